"""`mediabucket plan`: what is different between a manifest and its store."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from mediabucket_api.manifest import load_manifest
from mediabucket_api.resources import MediaBucket
from mediabucket_api.status import Condition, ConditionStatus, ConditionType
from mediabucket_cli.errors import CommandFailed
from mediabucket_cli.store import store_connection
from mediabucket_operator.changes import Change
from mediabucket_operator.reconcile import Outcome, reconcile
from mediabucket_s3.admin import BucketAdmin

_DIFFERENT = 2
_MARKS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}
# Without these nothing can be said about a bucket.
_NEEDED = (ConditionType.STORE_REACHABLE, ConditionType.BUCKET_OWNED)

ManifestOption = Annotated[Path, typer.Option("-f", "--file", help="The manifest.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class Reconciled:
    """A MediaBucket of the manifest and how its pass went."""

    resource: MediaBucket
    outcome: Outcome

    @property
    def name(self) -> str:
        return f"{self.resource.metadata.namespace}/{self.resource.metadata.name}"

    def condition(self, kind: ConditionType) -> Condition:
        return next(condition for condition in self.outcome.status.conditions if condition.type == kind)

    def obstacle(self) -> Condition | None:
        """Why nothing can be said or done, if so. A bucket that is yet to be made is none."""
        if self.outcome.changes:
            return None
        found = (self.condition(kind) for kind in _NEEDED)
        return next((condition for condition in found if condition.status == ConditionStatus.FALSE), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "mediaBucket": self.name,
            "bucket": self.resource.bucket_name,
            "changes": [{**vars(change), "action": change.action} for change in self.outcome.changes],
            "conditions": [
                condition.model_dump(mode="json", by_alias=True) for condition in self.outcome.status.conditions
            ],
        }


def reconcile_manifest(file: Path, *, dry_run: bool) -> Iterable[Reconciled]:
    """One pass over each MediaBucket of a file, as it is asked for. Raises ManifestInvalid, CommandFailed."""
    manifest = load_manifest(file)
    if not manifest.media_buckets:
        raise CommandFailed(f"{file} has no MediaBucket: add one, as examples/chat-media.yaml has it")
    connections = [store_connection(resource, manifest) for resource in manifest.media_buckets]
    for resource, connection in zip(manifest.media_buckets, connections, strict=True):
        admin = BucketAdmin.connect(connection, resource.bucket_name)
        yield Reconciled(
            resource, reconcile(resource, admin, connection=connection, now=datetime.now(UTC), dry_run=dry_run)
        )


def plan(file: ManifestOption, as_json: JsonOption = False) -> None:
    """Show what `apply` would change in the store; nothing is written.

    Exit code 0 when nothing is different, 2 when something is, 1 on an error.

    Example: mediabucket plan -f media.yaml
    """
    found = list(reconcile_manifest(file, dry_run=True))
    if as_json:
        typer.echo(json.dumps([reconciled.as_json() for reconciled in found], indent=2))
    else:
        _print(Console(), found)
    if any(reconciled.obstacle() for reconciled in found):
        raise typer.Exit(1)
    if any(reconciled.outcome.changes for reconciled in found):
        raise typer.Exit(_DIFFERENT)


def _print(console: Console, found: list[Reconciled]) -> None:
    for reconciled in found:
        console.print(Text(f"{reconciled.name} → bucket {reconciled.resource.bucket_name}", style="bold"))
        if (obstacle := reconciled.obstacle()) is not None:
            console.print(Text(f"  {obstacle.reason}: {obstacle.message}", style="red"), soft_wrap=True)
        elif not reconciled.outcome.changes:
            console.print(Text("  as the manifest says", style="green"))
        for line in change_lines(reconciled.outcome.changes):
            console.print(line, soft_wrap=True)
    total = sum(len(reconciled.outcome.changes) for reconciled in found)
    different = sum(bool(reconciled.outcome.changes) for reconciled in found)
    noun = "difference" if total == 1 else "differences"
    console.print(f"{total} {noun} in {different} of {len(found)} MediaBuckets")


def change_lines(changes: tuple[Change, ...]) -> Iterable[Text]:
    """A diff: aspects as headings, fields aligned below them."""
    for aspect, of_aspect in groupby(changes, key=lambda change: change.aspect):
        yield Text(f"  {aspect}", style="bold")
        fields = [field for change in of_aspect for field in _fields(change)]
        width = max(len(path) for path, _ in fields)
        for path, change in fields:
            mark, style = _MARKS[change.action]
            yield Text(f"    {mark} {path:<{width}}  {_told(change)}", style=style)


def _fields(change: Change) -> list[tuple[str, Change]]:
    """The leaves of a change: what is made or removed as a whole is shown field by field."""
    whole = change.after if change.before is None else change.before
    if change.action == "update" or not isinstance(whole, dict):
        return [(change.path, change)]
    return [field for name, value in whole.items() for field in _fields(_leaf(change, f"{change.path}.{name}", value))]


def _leaf(change: Change, path: str, value: Any) -> Change:
    if change.action == "create":
        return Change(change.aspect, path, None, value, change.applied)
    return Change(change.aspect, path, value, None, change.applied)


def _told(change: Change) -> str:
    if change.action == "update":
        return f"{_value(change.before)} → {_value(change.after)}"
    return _value(change.after if change.action == "create" else change.before)


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
