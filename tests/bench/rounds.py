"""Paired measuring: contestants take turns in short rounds, so that whatever else the machine does hits all alike."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from generators import CONNECTIONS, BenchmarkFailed, Measurement, NoAnswer

_SETTLING_SECONDS: Final = 0.1
_WARM_UP_SECONDS: Final = (1, 2, 10)


@dataclass(frozen=True)
class Effort:
    """How long to measure: each contestant gets `rounds` of `seconds`, or of `confirms` files."""

    rounds: int
    seconds: int
    confirms: int


@dataclass(frozen=True)
class Rows:
    """Rows that prove the work: `count` after minus before must be `each` for every request, 0 or 1."""

    count: Callable[[], int]
    each: int

    def check(self, name: str, requests: int, before: int) -> None:
        """Raises BenchmarkFailed. Requests that nobody waited for at the end of a round may have left a row too."""
        made = self.settled() - before
        if not requests * self.each <= made <= (requests + CONNECTIONS) * self.each:
            raise BenchmarkFailed(f"{name}: {requests} requests were answered, and {made} rows were made")

    def settled(self) -> int:
        """The count, once nothing that was under way changes it any more."""
        count = self.count()
        while True:
            time.sleep(_SETTLING_SECONDS)
            previous, count = count, self.count()
            if count == previous:
                return count


@dataclass(frozen=True)
class Contestant:
    """Something to measure for some seconds; `prepare` is called before each round, outside of the time."""

    name: str
    measure: Callable[[int], Measurement]
    unit: str = "requests/s"
    rows: Rows | None = None
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Row:
    """One contestant: medians over the rounds, and the median of the rounds' ratios to each peer."""

    case: str
    unit: str
    value: float
    p50_ms: float
    p99_ms: float
    ratio_to: dict[str, float] = field(default_factory=dict)
    # Of all rounds, so that a reader sees how noisy the machine was.
    ratio_range: dict[str, tuple[float, float]] = field(default_factory=dict)
    rounds: list[float] = field(default_factory=list)
    server_cpu_us: float | None = None
    generator_share: float | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def one_round(contestant: Contestant, seconds: int) -> Measurement:
    """Measure once, and prove it. Raises BenchmarkFailed."""
    contestant.prepare()
    before = contestant.rows.settled() if contestant.rows else 0
    try:
        measured = contestant.measure(seconds)
    except BenchmarkFailed as failure:
        raise type(failure)(f"{contestant.name}: {failure}") from failure
    if contestant.rows:
        contestant.rows.check(contestant.name, measured.requests, before)
    return measured


def compared(
    contestants: Sequence[Contestant], effort: Effort, progress: Callable[[], None] = lambda: None
) -> list[Row]:
    """A row for each contestant; the first one is compared with the others.

    Every second round runs backwards: a machine that grows slower during the rounds favours nobody.
    """
    measured: list[list[Measurement]] = [[] for _ in contestants]
    # The first answers of a process are slow for reasons that do not come again.
    for contestant in contestants:
        _warm_up(contestant)
    for number in range(effort.rounds):
        order = list(enumerate(contestants))
        for place, contestant in order if number % 2 == 0 else reversed(order):
            measured[place].append(one_round(contestant, effort.seconds))
            progress()
    names = [contestant.name for contestant in contestants]
    subject, *peers = [[one.rate for one in of_one] for of_one in measured]
    ratios = {name: paired_ratios(subject, peer) for name, peer in zip(names[1:], peers, strict=True)}
    rows = [_row(contestant, of_one) for contestant, of_one in zip(contestants, measured, strict=True)]
    return [_with_ratios(rows[0], ratios), *rows[1:]]


def _warm_up(contestant: Contestant) -> None:
    """Rounds that do not count, until there are answers. Raises BenchmarkFailed."""
    for seconds in _WARM_UP_SECONDS:
        with suppress(NoAnswer):
            one_round(contestant, seconds)
            return
    raise BenchmarkFailed(f"{contestant.name} gave no answer within {_WARM_UP_SECONDS[-1]} s")


def paired_ratios(subject: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Round by round, in ascending order."""
    return sorted(ours / theirs for ours, theirs in zip(subject, peer, strict=True))


def timed(call: Callable[[int], None], seconds: float) -> Measurement:
    """A measurement of a function, called with 0, 1, 2, … until the seconds are over."""
    number, started = 0, time.perf_counter()
    while (now := time.perf_counter()) - started < seconds:
        call(number)
        number += 1
    each = (now - started) / number * 1000
    return Measurement(number, now - started, each, each)


def _row(contestant: Contestant, measured: Sequence[Measurement]) -> Row:
    return Row(
        case=contestant.name,
        unit=contestant.unit,
        value=round(median(one.rate for one in measured), 1),
        p50_ms=round(median(one.p50_ms for one in measured), 3),
        p99_ms=round(median(one.p99_ms for one in measured), 3),
        rounds=[round(one.rate, 1) for one in measured],
        server_cpu_us=_median(one.server_cpu_us for one in measured),
        generator_share=_median(one.generator_share for one in measured),
    )


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None


def _with_ratios(row: Row, ratios: dict[str, list[float]]) -> Row:
    return Row(
        **asdict(row)
        | {
            "ratio_to": {name: round(median(values), 3) for name, values in ratios.items()},
            "ratio_range": {name: (round(values[0], 3), round(values[-1], 3)) for name, values in ratios.items()},
        }
    )
