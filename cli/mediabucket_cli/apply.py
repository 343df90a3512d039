"""`mediabucket apply`: make the store what a manifest says."""

import json

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mediabucket_api.status import Condition, ConditionStatus, ConditionType
from mediabucket_cli.plan import JsonOption, ManifestOption, Reconciled, change_lines, reconcile_manifest
from mediabucket_operator.conditions import NEGATIVE, NOT_CHECKED

_STYLES = {True: "green", False: "bold red", None: "dim"}


def apply(file: ManifestOption, as_json: JsonOption = False) -> None:
    """Make buckets what the manifest says; what others put into them stays.

    Exit code 0 only if every MediaBucket is Ready.

    Example: mediabucket apply -f media.yaml
    """
    # Progress goes where it cannot get into the JSON.
    console = Console(stderr=as_json)
    done: list[Reconciled] = []
    with console.status("reading the manifest") as progress:
        for reconciled in reconcile_manifest(file, dry_run=False):
            done.append(reconciled)
            progress.update(f"{len(done)} done, the last was {reconciled.name}")
            _print(console, reconciled)
    if as_json:
        typer.echo(json.dumps([reconciled.as_json() for reconciled in done], indent=2))
    if any(reconciled.condition(ConditionType.READY).status != ConditionStatus.TRUE for reconciled in done):
        raise typer.Exit(1)


def _print(console: Console, reconciled: Reconciled) -> None:
    console.print(Text(f"{reconciled.name} → bucket {reconciled.resource.bucket_name}", style="bold"))
    changes = reconciled.outcome.changes
    for line in change_lines(tuple(change for change in changes if change.applied)):
        console.print(line, soft_wrap=True)
    if not changes:
        console.print(Text("  nothing to change", style="green"))
    table = Table("condition", "status", "reason", "message", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for condition in reconciled.outcome.status.conditions:
        if condition.reason != NOT_CHECKED:
            status = Text(condition.status, _STYLES[_good(condition)])
            table.add_row(condition.type, status, condition.reason, condition.message)
    console.print(table)


def _good(condition: Condition) -> bool | None:
    if condition.status == ConditionStatus.UNKNOWN:
        return None
    return (condition.status == ConditionStatus.TRUE) != (condition.type in NEGATIVE)
