"""`mediabucket demo`: the whole story on a throw-away platform."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mediabucket_api.constants import API_VERSION, MEDIA_BUCKET_KIND
from mediabucket_cli.demo_story.files import default_files, read_file
from mediabucket_cli.demo_story.story import Outcome, Story, run_step
from mediabucket_cli.development_platform import DevelopmentPlatform
from mediabucket_cli.errors import CommandFailed
from mediabucket_cli.stop_signals import StopRequested, ignore_stop_requests, stop_requests
from mediabucket_operator.changes import Change
from mediabucket_operator.reconcile import reconcile
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.objects import BucketObjects

_MANIFEST: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": MEDIA_BUCKET_KIND,
    "metadata": {"name": "demo"},
    "spec": {"storeRef": {"name": "embedded"}, "cors": {"allowedOrigins": ["https://chat.example.com"]}},
}
# The reaper's usual pace would make the demo wait for minutes.
_SERVICE_SETTINGS = {"MEDIABUCKET_REAPER_INTERVAL_SECONDS": "0.5", "MEDIABUCKET_SWEEP_INTERVAL_SECONDS": "1"}


def demo(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files to upload instead of a picture, a PDF and a film.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Upload, confirm, deduplicate, refuse, expire, heal: every step checked over HTTP, on a throw-away platform.

    Exit code 0 only if every check held.

    Example: mediabucket demo holiday.jpg letter.pdf
    """
    try:
        uploads = [read_file(path) for path in files] if files else default_files()
    except OSError as error:
        raise CommandFailed(f"cannot read {error.filename}: {error.strerror}; name files that you can read") from error
    # Progress goes where it cannot get into the JSON.
    console = Console(stderr=as_json)
    outcomes: list[Outcome] = []
    with stop_requests() as stops, _platform(console) as platform, httpx.Client(timeout=60) as http:
        for step in Story(platform, http, uploads).steps():
            stops.check()
            outcomes.append(run_step(step))
            console.print(_line(outcomes[-1]), soft_wrap=True)
    if as_json:
        typer.echo(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        _print_table(console, outcomes)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


@contextmanager
def _platform(console: Console) -> Iterator["EphemeralPlatform"]:
    with tempfile.TemporaryDirectory(prefix="mediabucket-demo-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        manifest = directory / "demo.yaml"
        manifest.write_text(yaml.safe_dump(_MANIFEST))
        running = DevelopmentPlatform(
            manifest,
            directory / "data",
            port=0,
            durable=False,
            service_settings=_SERVICE_SETTINGS,
            report=lambda event: console.print(Text(f"  {event}", style="dim"), soft_wrap=True),
        )
        try:
            running.start()
            yield EphemeralPlatform(running)
        except StopRequested:
            sys.exit(130)
        finally:
            ignore_stop_requests()
            running.stop()


class EphemeralPlatform:
    """The hands of the platform team, for the story."""

    def __init__(self, platform: DevelopmentPlatform) -> None:
        self._platform = platform

    @property
    def api_url(self) -> str:
        return self._platform.api_url

    def token(self, user: str) -> str:
        return self._platform.token(user)

    def keys(self, prefix: str) -> list[str]:
        return asyncio.run(self._listed(prefix))

    def plan(self) -> list[str]:
        return [f"{change.aspect}.{change.path}" for change in self._differences()]

    def apply(self) -> None:
        self._platform.apply_manifest()

    def break_cors(self) -> None:
        [ours, *others] = self._admin.get_cors()
        self._admin.put_cors([{**ours, "AllowedOrigins": ["https://evil.example"]}, *others])

    def change_uploads(self, **uploads: Any) -> None:
        manifest = yaml.safe_load(self._platform.manifest_file.read_text())
        manifest["spec"]["uploads"] = uploads
        self._platform.manifest_file.write_text(yaml.safe_dump(manifest))
        self._platform.apply_manifest()

    def audit(self) -> list[str]:
        # Here, because it takes most of a second that no other command should wait for.
        from mediabucket_cli.media_audit import audit_media

        connection = self._platform.connection
        report = audit_media(self._platform.database_url, connection, repair=False, floor=timedelta(0))
        return [f"{finding.kind} {finding.key}" for finding in report.findings]

    @property
    def _admin(self) -> BucketAdmin:
        connection = self._platform.connection
        return BucketAdmin.connect(connection.store, connection.bucket)

    def _differences(self) -> tuple[Change, ...]:
        resource, store = self._platform.resource, self._platform.connection.store
        return reconcile(resource, self._admin, connection=store, now=datetime.now(UTC), dry_run=True).changes

    async def _listed(self, prefix: str) -> list[str]:
        connection = self._platform.connection
        async with BucketObjects.connect(connection.store, connection.bucket) as objects:
            return [found.key async for found in objects.list(prefix)]


def _line(outcome: Outcome) -> Text:
    mark = ("✓ ", "green") if outcome.passed else ("✗ ", "bold red")
    return Text.assemble(mark, outcome.step)


def _print_table(console: Console, outcomes: list[Outcome]) -> None:
    table = Table("", "step", "what was checked", "seconds", box=None, pad_edge=False, title_justify="left")
    table.columns[-1].justify = "right"
    for outcome in outcomes:
        mark = Text("ok", "green") if outcome.passed else Text("FAILED", "bold red")
        table.add_row(mark, outcome.step, outcome.checked, f"{outcome.seconds:.2f}")
    console.print()
    console.print(table)
    failed = sum(not outcome.passed for outcome in outcomes)
    told = f"{failed} of {len(outcomes)} steps failed" if failed else f"all {len(outcomes)} steps held"
    console.print(Text(f"\n{told}", style="bold red" if failed else "bold green"))
