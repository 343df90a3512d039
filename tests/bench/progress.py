"""Bars of what takes minutes."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@contextmanager
def progress(console: Console) -> Iterator[tuple[Progress, TaskID]]:
    """A bar that goes when its work has ended; nothing where nobody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    # Once a second: drawing uses the processor that is measured.
    with Progress(*columns, console=console, transient=True, refresh_per_second=1) as bar:
        yield bar, bar.add_task("", total=None)
