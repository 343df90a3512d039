"""`mediabucket probe`: what a store can do, found out by doing it."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mediabucket_api.manifest import load_manifest
from mediabucket_api.status import Capability, CapabilityVerdict
from mediabucket_cli.errors import CommandFailed
from mediabucket_cli.plan import JsonOption, ManifestOption
from mediabucket_cli.store import connection_of
from mediabucket_operator.probe import bucket_name_for, consequences, probe_store

_STYLES = {
    CapabilityVerdict.ENFORCED: "green",
    CapabilityVerdict.IGNORED: "red",
    CapabilityVerdict.UNSUPPORTED: "yellow",
}

StoreOption = Annotated[str | None, typer.Option("--store", help="Only the ObjectStore of this name.")]


def probe(file: ManifestOption, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Try on each ObjectStore of a manifest what it enforces, in a bucket that is made and removed.

    Exit code 0 when it could be tried, whatever came of it.

    Example: mediabucket probe -f examples/seaweedfs.yaml
    """
    manifest = load_manifest(file)
    stores = [found for found in manifest.object_stores if store in (None, found.metadata.name)]
    if not stores:
        raise CommandFailed(_no_store(file, store, [found.metadata.name for found in manifest.object_stores]))
    progress = Console(stderr=True)
    found: dict[str, tuple[Capability, ...]] = {}
    for resource in stores:
        connection = connection_of(resource.spec, manifest, os.environ)
        with progress.status(f"probing {resource.metadata.name}") as line:
            found[resource.metadata.name] = probe_store(
                connection,
                bucket=bucket_name_for(f"{_who()}/{resource.metadata.name}"),
                iam_endpoint=resource.spec.iam.endpoint,
                now=datetime.now(UTC),
                on_trial=lambda name, line=line: line.update(f"trying {name}"),  # type: ignore[misc]
            )
    if as_json:
        told = {name: [one.model_dump(mode="json", by_alias=True) for one in many] for name, many in found.items()}
        typer.echo(json.dumps(told, indent=2))
        return
    for name, capabilities in found.items():
        _print(Console(), name, capabilities)


def _no_store(file: Path, wanted: str | None, names: list[str]) -> str:
    if names:
        return f"{file} has no ObjectStore named {wanted}: it has {', '.join(names)}"
    return f"{file} has no ObjectStore: add one, as examples/seaweedfs.yaml has it"


def _print(console: Console, store: str, capabilities: tuple[Capability, ...]) -> None:
    table = Table(title=f"ObjectStore {store}", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in ("CAPABILITY", "VERDICT", "EVIDENCE"):
        table.add_column(heading, no_wrap=heading != "EVIDENCE", overflow="fold")
    for capability in capabilities:
        verdict = Text(capability.verdict, style=_STYLES[capability.verdict])
        table.add_row(capability.name, verdict, capability.evidence or "")
    console.print(table)
    console.print(Text("\nWhat follows", style="bold"))
    for sentence in consequences(capabilities):
        console.print(Text(f"  {sentence}"), soft_wrap=True)


def _who() -> str:
    """Two people who probe one store at the same time do not get in each other's way."""
    return f"{os.uname().nodename}/{os.getuid()}"
