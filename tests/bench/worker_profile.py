"""Where the time of an initiate goes: `make bench ARGS=--profile`.

py-spy samples the running worker, from a throw-away environment of its own; where it cannot be had, cProfile runs a
worker of its own, which is slower and shows calls of small functions too large.
"""

import os
import pstats
import signal
import subprocess
import time
import venv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from cases import Cases, http
from generators import BenchmarkFailed
from peers import CACHE, Arena
from rich.console import Console
from rich.table import Table
from rounds import one_round

SECONDS: Final = 10
CALLS: Final = "calls.prof"
_SAMPLES_A_SECOND: Final = 500
OTHER: Final = "event loop and the rest"
# The innermost frame that one of these names appears in decides; of several in one frame, the first.
GROUPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("signing", ("mediabucket_s3",)),
    ("token", ("jwt/", "mediabucket_service/auth")),
    ("database driver", ("psycopg", "mediabucket_service/database", "mediabucket_service/batching", "_repository")),
    ("validation", ("pydantic", "schemas.py")),
    ("response", ("starlette/responses", "json/encoder", "RequestResponseCycle.send")),
    ("HTTP parsing", ("uvicorn/protocols", "body_limit", "starlette/requests", "starlette/datastructures")),
    ("metrics", ("prometheus_client", "mediabucket_service/metrics")),
    (
        "framework",
        ("fastapi", "starlette", "direct_route", "_service/dependencies", "cors", "problems", "uvicorn/middleware"),
    ),
    ("the service's own code", ("mediabucket_",)),
)


def profiled(arena: Arena, cases: Cases, folder: Path, sampler: Path | None) -> dict[str, float]:
    """Each group's share of the worker's busy time; by cProfile without a `sampler`. Raises BenchmarkFailed."""
    if sampler is not None:
        return shares(grouped(_sampled(sampler, arena, cases)))
    return shares(_of_calls(_profiled_by_calls(arena, cases, folder / CALLS)))


def py_spy(folder: Path, tell: Callable[[str], None]) -> Path | None:
    """The program, installed into `folder`; None, told, when pip cannot get it."""
    tell("installing py-spy into a throw-away environment")
    venv.create(folder / "py-spy", with_pip=True)
    programs = folder / "py-spy" / "bin"
    done = subprocess.run(
        [programs / "pip", "install", "--quiet", "py-spy"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return programs / "py-spy"
    tell(f"[bold red]py-spy cannot be installed, cProfile is used instead:[/] {done.stderr.strip()[-200:]}")
    return None


def _sampled(program: Path, arena: Arena, cases: Cases) -> list[tuple[list[str], int]]:
    """Stacks from the outermost to the innermost frame, and how often each was seen; kept for flame graphs."""
    initiate, *_ = cases.initiate()
    one_round(initiate, 2)
    CACHE.mkdir(exist_ok=True)
    output = CACHE / "stacks.txt"
    options = ["--format", "raw", "--rate", str(_SAMPLES_A_SECOND), "--duration", str(SECONDS), "--nonblocking"]
    command = [str(program), "record", "--pid", str(arena.service.process_id), *options, "--full-filenames"]
    recorder = subprocess.Popen([*command, "--output", str(output)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    one_round(initiate, SECONDS + 1)
    _, told_by_it = recorder.communicate(timeout=60)
    if recorder.returncode != 0 or not output.exists():
        raise BenchmarkFailed(f"py-spy could not look into the worker: {told_by_it.decode().strip()}")
    return list(stacks(output.read_text().splitlines()))


def stacks(lines: Iterable[str]) -> Iterable[tuple[list[str], int]]:
    """Read py-spy's raw format: frames between semicolons, then a count."""
    for line in lines:
        frames, _, count = line.rpartition(" ")
        yield frames.split(";"), int(count)


def grouped(seen: Iterable[tuple[list[str], int]]) -> Counter[str]:
    """Samples by group."""
    counts: Counter[str] = Counter()
    for frames, count in seen:
        counts[group_of(frames)] += count
    return counts


def group_of(frames: list[str]) -> str:
    """The group of a stack: that of its innermost frame that belongs to any."""
    found = (name for frame in reversed(frames) for name, parts in GROUPS if any(part in frame for part in parts))
    return next(found, OTHER)


def shares(counts: Mapping[str, float]) -> dict[str, float]:
    """Of the whole, the largest first."""
    whole = sum(counts.values())
    return {name: count / whole for name, count in sorted(counts.items(), key=lambda item: -item[1])}


def _profiled_by_calls(arena: Arena, cases: Cases, output: Path) -> pstats.Stats:
    """The arena must have been started with `calls`: cProfile writes when its program ends."""
    one_round(http("initiate", arena.ceiling, cases.new_files), SECONDS)
    os.kill(arena.ceiling.process_id, signal.SIGINT)
    deadline = time.monotonic() + SECONDS
    while not (output.exists() and output.stat().st_size):
        if time.monotonic() > deadline:
            raise BenchmarkFailed("cProfile wrote nothing")
        time.sleep(0.1)
    # The file is there before it is complete.
    time.sleep(1)
    return pstats.Stats(str(output))


def _of_calls(calls: pstats.Stats) -> Counter[str]:
    """Seconds by group; what is written in C counts for whoever called it."""
    seconds: Counter[str] = Counter()
    times: dict[Any, Any] = calls.stats  # type: ignore[attr-defined]
    for function, (_, _, own, _, callers) in times.items():
        if function[0].endswith("asyncio/runners.py"):
            # The event loop, which for the most part waits.
            continue
        if function[0] != "~":
            seconds[group_of([_frame(function)])] += own
            continue
        for caller, (_, _, part, _) in callers.items():
            seconds[group_of([_frame(caller), function[2]])] += part
    return seconds


def _frame(function: tuple[str, int, str]) -> str:
    file, line, name = function
    return f"{name} ({file}:{line})"


def show(name: str, found: Mapping[str, float], console: Console) -> None:
    """The groups, the largest first."""
    table = Table("group", "share of the worker's time", box=None, pad_edge=False, title=f"One initiate, by {name}")
    table.columns[1].justify = "right"
    for group, share in found.items():
        table.add_row(group, f"{share:.1%}")
    console.print(table)
