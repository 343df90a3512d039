"""`mediabucket audit`: do rows and objects agree?"""

import json
import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_cli import data_directory
from mediabucket_cli.data_directory import DataDirectory
from mediabucket_cli.errors import CommandFailed

if TYPE_CHECKING:
    from mediabucket_service.media.audit import AuditReport

_FOUND = 2
_SHOWN = 40


def audit(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is found.")] = False,
    older_than: Annotated[int, typer.Option(min=0, help="Leave out objects younger than this many seconds.")] = 3600,
    users: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="User ids, one a line: rows of those whose keys hold a digest come back."
        ),
    ] = None,
    data: Annotated[Path, typer.Option(help="Data directory of a running `mediabucket dev`.")] = data_directory.DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compare the rows of media with the objects in the store, both ways.

    Reads the environment of the upload service where BUCKET_NAME is set, else the running development platform.
    Exit code 2 when something was found and not repaired.

    Example: mediabucket audit --older-than 0 --repair
    """
    # Here, because it takes most of a second that no other command should wait for.
    from mediabucket_cli.media_audit import audit_as_configured, audit_media

    floor = timedelta(seconds=older_than)
    named = users.read_text(encoding="utf-8").splitlines() if users is not None else []
    if os.environ.get("BUCKET_NAME"):
        bucket, report = audit_as_configured(repair=repair, floor=floor, users=named)
    else:
        database_url, connection = _platform(data)
        bucket, report = (
            connection.bucket,
            audit_media(database_url, connection, repair=repair, floor=floor, users=named),
        )
    if as_json:
        typer.echo(json.dumps(asdict(report), default=str, indent=2))
    else:
        _print(report, bucket)
    if any(not finding.repaired for finding in report.findings):
        raise typer.Exit(_FOUND)


def _platform(data: Path) -> tuple[str, BucketConnection]:
    directory = DataDirectory(data)
    if not directory.ready.exists():
        raise CommandFailed(
            f"no development platform serves from {data}: start `mediabucket dev`, or set the environment of the"
            " upload service (BUCKET_NAME and the rest)"
        )
    ready: dict[str, Any] = json.loads(directory.ready.read_text())
    store = StoreConnection(
        endpoint=ready["s3_endpoint"],
        public_endpoint=ready["s3_endpoint"],
        region=ready["region"],
        access_key_id=ready["access_key_id"],
        secret_access_key=SecretStr(ready["secret_access_key"]),
    )
    spec = MediaBucketSpec.model_validate_json(directory.spec.read_text())
    return ready["database_url"], BucketConnection(store=store, bucket=ready["bucket"], spec=spec)


def _print(report: "AuditReport", bucket: str) -> None:
    console = Console()
    if report.findings:
        table = Table("finding", "object", "what is wrong", "repaired", box=None, pad_edge=False)
        for finding in report.findings[:_SHOWN]:
            table.add_row(finding.kind, finding.key, finding.detail, "yes" if finding.repaired else "no")
        console.print(table)
        if len(report.findings) > _SHOWN:
            console.print(f"… and {len(report.findings) - _SHOWN} more: --json shows all")
    found = len(report.findings)
    told = f"{found} {'finding' if found == 1 else 'findings'}" if found else "nothing is left over"
    console.print(f"{bucket}: {report.rows} completed media and {report.objects} objects compared; {told}")
