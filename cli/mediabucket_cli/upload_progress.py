"""What a person sees of uploads: bars on a terminal, lines anywhere else."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from mediabucket.client import Outcome, Progress
from mediabucket_cli.upload_failures import told

_NAME_WIDTH: Final = 32


class UploadDisplay:
    """A bar for each file that is on its way and one for all; a line for each that ends. Call it from any thread.

    `quiet` leaves out lines of files that arrived, for output that a program reads; reasons of failures are never left
    out. Colours and control characters go to terminals only, colours not even there with NO_COLOR
    (https://no-color.org).
    """

    def __init__(self, console: Console, names: Sequence[str], sizes: Sequence[int], *, quiet: bool) -> None:
        self._console = console
        self._names = names
        self._sizes = sizes
        self._quiet = quiet
        self._lock = threading.Lock()
        self._bars = _bars(console)
        self._of_file: dict[int, TaskID] = {}
        self._sent: dict[int, int] = {}
        self._all = self._bars.add_task("all", total=sum(sizes) or None, phase=f"0/{len(names)}")
        self._count = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def moved(self, number: int, progress: Progress) -> None:
        """A file came further."""
        with self._lock:
            if number not in self._of_file:
                name = _shortened(self._names[number])
                self._of_file[number] = self._bars.add_task(name, total=progress.total, phase="")
            task = self._of_file[number]
            self._bars.update(task, completed=progress.done, total=progress.total, phase=progress.phase)
            # Hashed bytes have not left yet.
            if progress.phase != "hashing":
                self._sent[number] = progress.done
                self._bars.update(self._all, completed=sum(self._sent.values()))

    def ended(self, number: int, outcome: Outcome) -> None:
        """A file arrived or failed."""
        with self._lock:
            self._count += 1
            if number in self._of_file:
                self._bars.remove_task(self._of_file.pop(number))
            # What failed is not waited for any more.
            self._sent[number] = self._sizes[number]
            done = sum(self._sent.values())
            self._bars.update(self._all, completed=done, phase=f"{self._count}/{len(self._names)}")
            if outcome.error is not None or not self._quiet:
                self._console.print(_line(self._names[number], outcome), soft_wrap=True)


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[phase]}", markup=False),
        console=console,
        transient=True,
    )


def _line(name: str, outcome: Outcome) -> Text:
    if outcome.media is None:
        assert outcome.error is not None
        return Text.assemble(("failed    ", "bold red"), f"{_printable(name)}: {_printable(told(outcome.error))}")
    word = ("known     ", "yellow") if outcome.existed else ("uploaded  ", "green")
    return Text.assemble(word, f"{_printable(name)}  {outcome.media.media_id}")


def _shortened(name: str) -> str:
    name = _printable(name)
    return name if len(name) <= _NAME_WIDTH else f"…{name[1 - _NAME_WIDTH :]}"


def _printable(text: str) -> str:
    """Nothing in a file's name shall move the cursor, or be read as bytes that are no text."""
    return "".join(character if character.isprintable() else "?" for character in text)
