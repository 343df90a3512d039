"""`make bench`: rates of the upload service beside its peers, each pair measured in turns in the same run.

Absolute rates depend on the machine; the ratios are what to compare. One uvicorn worker, 32 connections; the load
generator, PostgreSQL, the store and the service share the machine's cores.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cases import CONFIRMS, Cases
from generators import CONNECTIONS, BenchmarkFailed, name
from peers import CACHE, arena
from report import plot, save, show
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rounds import Row, compared

CASES = ("initiate", "duplicate", "confirm", "message", "list", "presign")


@dataclass(frozen=True)
class Effort:
    """How long to measure: each contestant gets `rounds` of `seconds`, or of `confirms` files."""

    rounds: int
    seconds: int
    confirms: int


QUICK = Effort(rounds=3, seconds=1, confirms=CONFIRMS // 2)
FULL = Effort(rounds=7, seconds=2, confirms=CONFIRMS)


def main() -> None:
    options = arguments()
    console = Console(stderr=True)
    try:
        measure_cases(options, console)
    except BenchmarkFailed as failure:
        sys.exit(f"the benchmark failed, and there are no numbers: {failure}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="about one minute instead of five")
    parser.add_argument("--cases", type=chosen, default=CASES, metavar="A,B", help=f"of {','.join(CASES)}")
    parser.add_argument("--durable", action="store_true", help="databases wait for the disk, as in production")
    return parser.parse_args()


def chosen(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    if unknown := set(wanted) - set(CASES):
        raise argparse.ArgumentTypeError(f"no case {', '.join(sorted(unknown))}: there are {', '.join(CASES)}")
    return wanted


def measure_cases(options: argparse.Namespace, console: Console) -> None:
    """Measure the chosen cases, and write the table, the JSON and the plot."""
    effort = QUICK if options.quick else FULL
    groups: dict[str, list[Row]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="mediabucket-bench-", ignore_cleanup_errors=True) as folder,
        arena(
            Path(folder), durable=options.durable, companion="initiate" in options.cases, tell=console.print
        ) as running,
    ):
        cases = Cases(running, effort.confirms)
        console.print(f"load: {name()} with {CONNECTIONS} connections; confirm and list by load_generator.py")
        with progress(console) as (bar, task):
            for case in options.cases:
                bar.update(task, description=f"{case}, preparing", completed=0)
                contestants = cases.all[case]()
                bar.update(task, description=case, total=len(contestants) * effort.rounds)
                groups[case] = compared(
                    contestants, rounds=effort.rounds, seconds=effort.seconds, progress=lambda: bar.advance(task)
                )
    save([row for rows in groups.values() for row in rows], CACHE / "bench.json")
    plot(groups, CACHE / "bench.png")
    show(groups, Console())


@contextmanager
def progress(console: Console) -> Iterator[tuple[Progress, TaskID]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield bar, bar.add_task("", total=None)


if __name__ == "__main__":
    main()
