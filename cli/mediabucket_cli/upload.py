"""`mediabucket upload`: files to a MediaBucket API, resumed where an earlier run broke off."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mediabucket.client import Client, Outcome, Problem, Upload
from mediabucket_cli import data_directory
from mediabucket_cli.data_directory import DataDirectory
from mediabucket_cli.errors import CommandFailed
from mediabucket_cli.stop_signals import StopRequested, stop_requests
from mediabucket_cli.upload_progress import UploadDisplay

_INTERRUPTED = 130


def upload(
    files: Annotated[list[Path], typer.Argument(help="What to upload.", show_default=False)],
    url: Annotated[
        str | None,
        typer.Option(
            envvar="MEDIABUCKET_URL", help="Address of the API; the running `mediabucket dev`'s if not given."
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="MEDIABUCKET_TOKEN",
            show_envvar=True,
            help="Bearer token; better given in the environment, since others can see command lines.",
        ),
    ] = None,
    mime_type: Annotated[
        str | None, typer.Option("--type", help="MIME type of all files; by their names if not given.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Files at the same time.")] = 4,
    data: Annotated[Path, typer.Option(help="Data directory of `mediabucket dev`.")] = data_directory.DEFAULT,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a line of JSON for each file as it ends: {file, media, existed} or {file, error}."
        ),
    ] = False,
) -> None:
    """Upload files; what has arrived already, even parts of a large file, is not sent again.

    Exit code 1 when a file failed, each with a line on stderr; the others are uploaded all the same.

    Example: mediabucket upload --url https://media.example.com holiday.jpg film.mp4
    """
    address, bearer = _where(url, token, DataDirectory(data))
    uploads = [Upload(file, mime_type=mime_type) for file in files]
    try:
        client = Client(address, bearer)
    except ValueError as error:
        raise CommandFailed(str(error)) from error
    console = Console(stderr=True)
    try:
        with (
            stop_requests(),
            client,
            UploadDisplay(console, [file.name for file in files], _sizes(files), quiet=as_json) as display,
        ):

            def ended(number: int, outcome: Outcome) -> None:
                display.ended(number, outcome)
                if as_json:
                    typer.echo(json.dumps(as_line(files[number], outcome)))

            outcomes = client.upload_many(uploads, parallel=parallel, on_progress=display.moved, on_outcome=ended)
    except StopRequested:
        console.print("stopped; the same command goes on from here")
        sys.stdout.flush()
        # Python would wait for threads that a dead connection holds.
        os._exit(_INTERRUPTED)
    if any(outcome.error is not None for outcome in outcomes):
        raise typer.Exit(1)


def as_line(file: Path, outcome: Outcome) -> dict[str, Any]:
    """A line of --json. `error` is the problem document, or {type, detail} with the name of the error as type."""
    if outcome.media is not None:
        return {"file": str(file), "media": outcome.media.model_dump(mode="json"), "existed": outcome.existed}
    error = outcome.error
    if isinstance(error, Problem):
        return {"file": str(file), "error": error.members}
    return {"file": str(file), "error": {"type": type(error).__name__, "detail": str(error)}}


def _where(url: str | None, token: str | None, directory: DataDirectory) -> tuple[str, str]:
    """Address and token. The token of a development platform is only ever sent to that platform."""
    if url is None and directory.ready.exists():
        ready: dict[str, str] = json.loads(directory.ready.read_text())
        return ready["api_url"], (token or ready["token"]).strip()
    if url is None:
        raise CommandFailed("where to? Give --url or set MEDIABUCKET_URL, or start `mediabucket dev`")
    if token is None or not token.strip():
        raise CommandFailed("who are you? Set MEDIABUCKET_TOKEN to a bearer token, or give --token")
    return url, token.strip()


def _sizes(files: list[Path]) -> list[int]:
    """In bytes; 0 for what cannot be looked at, which fails later with a reason."""
    return [file.stat().st_size if file.is_file() else 0 for file in files]
