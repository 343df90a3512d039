"""`make bench`: rates of the upload service beside its peers, each pair measured in turns in the same run.

Absolute rates depend on the machine; the ratios are what to compare. One uvicorn worker, 32 connections; the load
generator, PostgreSQL, the store and the service share the machine's cores.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cases import CONFIRMS, Cases
from generators import CONNECTIONS, OWN, BenchmarkFailed
from generators import name as generator
from growth import grown
from peers import CACHE, Arena, arena
from progress import progress
from report import markdown, plot, plot_series, save, show
from rich.console import Console
from rounds import Effort, Row, compared
from soak import growth_per_hour, soaked
from worker_profile import CALLS, profiled, py_spy
from worker_profile import show as show_profile

from mediabucket_cli.embedded.processes import ServerFailed
from mediabucket_cli.errors import CommandFailed

CASES = ("initiate", "limited", "duplicate", "confirm", "message", "list", "presign")
QUICK = Effort(rounds=3, seconds=1, confirms=CONFIRMS // 3)
FULL = Effort(rounds=7, seconds=2, confirms=CONFIRMS)


def main() -> None:
    options = arguments()
    console = Console(stderr=True)
    try:
        run(options, console)
    except (BenchmarkFailed, CommandFailed, ServerFailed) as failure:
        sys.exit(f"the benchmark failed, and there are no numbers: {failure}")
    except KeyboardInterrupt:
        sys.exit("stopped; everything that was started is stopped too")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="about one minute instead of five")
    parser.add_argument("--cases", type=chosen, default=CASES, metavar="A,B", help=f"of {','.join(CASES)}")
    parser.add_argument("--durable", action="store_true", help="databases wait for the disk, as in production")
    parser.add_argument(
        "--profile", action="store_true", help="where the time of an initiate goes, instead of the cases"
    )
    parser.add_argument(
        "--soak", type=float, metavar="MINUTES", help="memory of the service under load, instead of the cases"
    )
    parser.add_argument(
        "--rows",
        type=row_counts,
        metavar="N,N",
        help="initiate on tables of so many rows, instead of the cases; a million take a minute and 1 GB of disk",
    )
    return parser.parse_args()


def row_counts(text: str) -> tuple[int, ...]:
    counts = tuple(map(int, text.split(",")))
    if min(counts) < 1:
        raise argparse.ArgumentTypeError("numbers of rows are 1 or more")
    return counts


def chosen(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    if unknown := set(wanted) - set(CASES):
        raise argparse.ArgumentTypeError(f"no case {', '.join(sorted(unknown))}: there are {', '.join(CASES)}")
    return wanted


def run(options: argparse.Namespace, console: Console) -> None:
    """Measure what was asked for, and write tables, JSON and plots. Raises BenchmarkFailed."""
    effort = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory(prefix="mediabucket-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        sampler = py_spy(folder, console.print) if options.profile else None
        by_cases = not (options.profile or options.soak or options.rows)
        with arena(
            folder,
            durable=options.durable,
            companion=by_cases and "initiate" in options.cases,
            limited=by_cases and "limited" in options.cases,
            tell=console.print,
            calls=folder / CALLS if options.profile and sampler is None else None,
        ) as running:
            cases = Cases(running, effort.confirms)
            console.print(f"load: {generator()}, for confirm and list {OWN}, with {CONNECTIONS} connections")
            if options.profile:
                shares = profiled(running, cases, folder, sampler)
                show_profile("py-spy" if sampler else "cProfile", shares, Console())
            if options.soak:
                soak(running, cases, options.soak, console)
            if options.rows:
                publish(grown(running, cases, options.rows, effort, console.print), "rows")
            if by_cases:
                publish(measured(options.cases, cases, effort, console), "bench")


def measured(names: Sequence[str], cases: Cases, effort: Effort, console: Console) -> dict[str, list[Row]]:
    """The rows of each case."""
    groups: dict[str, list[Row]] = {}
    with progress(console) as (bar, task):
        for case in names:
            bar.update(task, description=f"{case}, preparing", completed=0)
            contestants = cases.all[case]()
            bar.update(task, description=case, total=len(contestants) * effort.rounds)
            groups[case] = compared(contestants, effort, progress=lambda: bar.advance(task))
    return groups


def publish(groups: Mapping[str, Sequence[Row]], name: str) -> None:
    """Into .bench, and onto the terminal."""
    save([row for rows in groups.values() for row in rows], CACHE / f"{name}.json")
    (CACHE / f"{name}.md").write_text(markdown(groups))
    plot(groups, CACHE / f"{name}.png")
    show(groups, Console())


def soak(running: Arena, cases: Cases, minutes: float, console: Console) -> None:
    """Into .bench/soak.json and .bench/soak.png."""
    samples = soaked(running, cases, minutes=minutes, tell=console.print)
    CACHE.mkdir(exist_ok=True)
    (CACHE / "soak.json").write_text(json.dumps(samples, indent=2) + "\n")
    plot_series(samples, CACHE / "soak.png", x="seconds", y="rss_mib")
    first, last = samples[0]["rss_mib"], samples[-1]["rss_mib"]
    Console().print(
        f"{samples[-1]['initiates']:,} initiates and {samples[-1]['confirms']:,} confirms: {first} MiB at the start, "
        f"{last} MiB at the end, {growth_per_hour(samples):+.1f} MiB an hour over the second half"
    )


if __name__ == "__main__":
    main()
