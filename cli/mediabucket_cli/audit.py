"""`mediabucket audit`: do rows and objects agree?"""

import asyncio
import json
import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr, ValidationError
from rich.console import Console
from rich.table import Table

from mediabucket_api.connection import BucketConnection, ConnectionIncomplete, StoreConnection
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_cli import data_directory
from mediabucket_cli.data_directory import DataDirectory
from mediabucket_cli.errors import CommandFailed
from mediabucket_service.auditing import audit_bucket
from mediabucket_service.media.audit import AuditReport, RepairRefused
from mediabucket_service.settings import Settings

_FOUND = 2
_SHOWN = 40


def audit(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is found.")] = False,
    older_than: Annotated[int, typer.Option(min=0, help="Leave out objects younger than this many seconds.")] = 3600,
    data: Annotated[Path, typer.Option(help="Data directory of a running `mediabucket dev`.")] = data_directory.DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Compare the rows of media with the objects in the store, both ways.

    Reads the environment of the upload service where BUCKET_NAME is set, else the running development platform.
    Exit code 2 when something was found and not repaired.

    Example: mediabucket audit --older-than 0 --repair
    """
    settings, connection = _from_environment() if os.environ.get("BUCKET_NAME") else _from_platform(data)
    floor = timedelta(seconds=older_than)
    try:
        report = asyncio.run(audit_bucket(settings, connection, repair=repair, floor=floor))
    except RepairRefused as error:
        raise CommandFailed(str(error)) from error
    if as_json:
        typer.echo(json.dumps(asdict(report), default=str, indent=2))
    else:
        _print(report, connection.bucket)
    if any(not finding.repaired for finding in report.findings):
        raise typer.Exit(_FOUND)


def _from_environment() -> tuple[Settings, BucketConnection]:
    try:
        return Settings(), BucketConnection.from_environment(os.environ)
    except ConnectionIncomplete as error:
        raise CommandFailed(str(error)) from error
    except ValidationError as error:
        names = ", ".join(f"MEDIABUCKET_{'.'.join(map(str, item['loc'])).upper()}" for item in error.errors())
        raise CommandFailed(f"missing or wrong in the environment: {names}") from error


def _from_platform(data: Path) -> tuple[Settings, BucketConnection]:
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
    settings = Settings(database_url=SecretStr(ready["database_url"]))
    return settings, BucketConnection(store=store, bucket=ready["bucket"], spec=spec)


def _print(report: AuditReport, bucket: str) -> None:
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
