"""Announcements and confirms for a long time: does the service's memory stay flat?"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cases import Cases
from peers import Arena
from rounds import one_round

SAMPLE_SECONDS: Final = 5.0
_LOAD_SECONDS: Final = 5


def soaked(arena: Arena, cases: Cases, *, minutes: float, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Memory of the service every SAMPLE_SECONDS, as {seconds, rss_mib, initiates, confirms}.

    Raises BenchmarkFailed on a wrong answer.
    """
    initiate, *_ = cases.initiate()
    confirm, *_ = cases.confirm()
    done = {"initiates": 0, "confirms": 0}
    deadline = time.monotonic() + minutes * 60
    with sampled(arena.service.process_id, done) as samples:
        while time.monotonic() < deadline:
            done["initiates"] += one_round(initiate, _LOAD_SECONDS).requests
            done["confirms"] += one_round(confirm, 0).requests
            tell(f"{done['initiates']:,} initiates, {done['confirms']:,} confirms, {samples[-1]['rss_mib']} MiB")
    return samples


@contextmanager
def sampled(process_id: int, done: dict[str, int]) -> Iterator[list[dict[str, Any]]]:
    """A list that grows by itself while the block runs; it begins with one sample."""
    started = time.monotonic()
    samples = [_sample(process_id, 0.0, done)]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            samples.append(_sample(process_id, time.monotonic() - started, done))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def _sample(process_id: int, seconds: float, done: dict[str, int]) -> dict[str, Any]:
    return {"seconds": round(seconds, 1), "rss_mib": resident_mebibytes(process_id), **done}


def resident_mebibytes(process_id: int) -> float:
    """VmRSS of a process. Linux only."""
    status = Path(f"/proc/{process_id}/status").read_text()
    kibibytes = next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]
    return round(int(kibibytes) / 1024, 1)


def growth_per_hour(samples: list[dict[str, Any]]) -> float:
    """MiB an hour over the second half, by least squares: the first half fills pools and caches."""
    half = samples[len(samples) // 2 :]
    if len(half) < 2:
        return 0.0
    hours = [sample["seconds"] / 3600 for sample in half]
    memory = [sample["rss_mib"] for sample in half]
    middle, level = sum(hours) / len(half), sum(memory) / len(half)
    spread = sum((hour - middle) ** 2 for hour in hours)
    return float(sum((hour - middle) * (one - level) for hour, one in zip(hours, memory, strict=True)) / spread)
