"""`mediabucket dev`: a manifest served on this machine until Ctrl-C."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from mediabucket_api.problems import ManifestInvalid
from mediabucket_cli import data_directory
from mediabucket_cli.dev_panel import print_panel, write_ready_file
from mediabucket_cli.development_platform import PREFERRED_PORT, DevelopmentPlatform
from mediabucket_cli.embedded.processes import ServerFailed
from mediabucket_cli.errors import CommandFailed
from mediabucket_cli.sandbox import hardships
from mediabucket_cli.sandbox.hardships import Hardships
from mediabucket_cli.sandbox.options import option_of
from mediabucket_cli.stop_signals import StopRequested, StopRequests, ignore_stop_requests, stop_requests
from mediabucket_s3.errors import S3Error

_EXAMPLE = Path("examples/chat-media.yaml")
_TICK_SECONDS = 0.25


def dev(
    manifest: Annotated[Path, typer.Option("-f", "--file", help="The manifest to serve.")] = _EXAMPLE,
    data: Annotated[
        Path | None, typer.Option(help=f"Where data are kept between runs; {data_directory.DEFAULT} if not given.")
    ] = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Keep nothing.")] = False,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help=f"Port of the API, 0 for any free one; {PREFERRED_PORT} if it is free."),
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write URLs and credentials there as JSON once the API serves.")
    ] = None,
    latency: Annotated[
        float, option_of(hardships.latency, "--latency", "DURATION", "Make each request to API and store wait: 800ms.")
    ] = 0.0,
    fail_puts: Annotated[
        float, option_of(hardships.share, "--fail-puts", "PERCENT", "Make PUTs to the store fail: 10%.")
    ] = 0.0,
    expire_urls: Annotated[
        int | None, option_of(hardships.lifetime, "--expire-urls", "DURATION", "Make signed URLs die young: 5s.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Which PUTs fail: the same ones in each run.")] = None,
) -> None:
    """Run a store, a database and the upload API of a manifest on this machine.

    Some options make life hard for a front end, on purpose.

    Example: mediabucket dev -f examples/chat-media.yaml --latency 800ms --fail-puts 10% --expire-urls 5s
    """
    console = Console()
    wanted = Hardships(latency, fail_puts, expire_urls, *(() if seed is None else (seed,)))
    if ephemeral and data is not None:
        raise typer.BadParameter("--ephemeral and --data exclude each other: give one of them")
    with (
        stop_requests() as stops,
        suppress(StopRequested),
        _directory(data, ephemeral=ephemeral) as directory,
    ):
        platform = DevelopmentPlatform(
            manifest,
            directory,
            port=port,
            durable=not ephemeral,
            hardships=wanted,
            report=lambda event: _tell(console, event),
        )
        ready_files = [platform.data.ready, *([] if ready_file is None else [ready_file])]
        try:
            watched = WatchedFile(manifest)
            platform.start()
            stops.check()
            print_panel(console, platform)
            with _ready_files(platform, ready_files) as write:
                _serve(platform, watched, console, stops, write)
        finally:
            ignore_stop_requests()
            platform.stop()


class WatchedFile:
    """A file that editors replace, truncate and write in pieces."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._latest = self._content()

    def changed(self) -> bool:
        """Whether it is different since the last time, and has been the same for two calls."""
        content = self._content()
        settled = content == self._latest
        self._latest = content
        if not settled or content == self._seen:
            return False
        self._seen = content
        return True

    def _content(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except OSError:
            return None


@contextmanager
def _directory(data: Path | None, *, ephemeral: bool) -> Iterator[Path]:
    if not ephemeral:
        yield data or data_directory.DEFAULT
        return
    temporary = Path(tempfile.mkdtemp(prefix="mediabucket-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary)


@contextmanager
def _ready_files(platform: DevelopmentPlatform, files: list[Path]) -> Iterator[Callable[[], None]]:
    """Write them as often as asked, and remove them at the end."""

    def write() -> None:
        for file in files:
            write_ready_file(file, platform)

    try:
        yield write
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _serve(
    platform: DevelopmentPlatform,
    manifest: WatchedFile,
    console: Console,
    stops: StopRequests,
    write_ready_files: Callable[[], None],
) -> None:
    """Look after the platform and follow its manifest until something ends it."""
    told: int | None = None
    while True:
        if told != platform.service.process_id:
            told = platform.service.process_id
            write_ready_files()
        time.sleep(_TICK_SECONDS)
        stops.check()
        platform.look_after()
        if manifest.changed():
            _follow(platform, console)


def _follow(platform: DevelopmentPlatform, console: Console) -> None:
    """Apply the changed manifest; with one that is no good everything stays as it was."""
    try:
        platform.apply_manifest()
    except (ManifestInvalid, CommandFailed, ServerFailed, S3Error) as error:
        _tell(console, f"the changed manifest is not applied:\n{error}", style="red")


def _tell(console: Console, event: str, style: str = "") -> None:
    console.print(Text(event, style=style), soft_wrap=True)
