"""Who is visited when: never twice at once, never more than there are workers, and changes are not lost."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from mediabucket_operator.cluster import Reference
from mediabucket_operator.dispatcher import Dispatcher, Visitor


def reference(name: str) -> Reference:
    return Reference("MediaBucket", "team", name)


class Visits:
    """Counts visits, and how many there were at once, in all and to one object."""

    def __init__(self, seconds: float = 0.0, next_in: float | None = 60.0) -> None:
        self.seconds = seconds
        self.next_in = next_in
        self.count: Counter[str] = Counter()
        self.most_at_once = 0
        self.overlapping: set[str] = set()
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def running(self, name: str) -> int:
        return self._running[name]

    def under_way(self) -> bool:
        return self._running.total() > 0

    def __call__(self, visited: Reference) -> float | None:
        with self._lock:
            self.count[visited.name] += 1
            self._running[visited.name] += 1
            self.most_at_once = max(self.most_at_once, self._running.total())
            if self._running[visited.name] > 1:
                self.overlapping.add(visited.name)
        time.sleep(self.seconds)
        with self._lock:
            self._running[visited.name] -= 1
        return self.next_in


@asynccontextmanager
async def dispatching(visitor: Visitor, workers: int = 4) -> AsyncIterator[Dispatcher]:
    dispatcher = Dispatcher(visitor, workers)
    task = asyncio.create_task(dispatcher.run())
    yield dispatcher
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def eventually(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not look():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("requests", [1, 50])
async def test_requests_during_a_visit_are_one_more_visit(requests: int) -> None:
    """The visit that is under way has read what was there before."""
    visits = Visits(0.05)
    async with dispatching(visits) as dispatcher:
        dispatcher.soon(reference("a"))
        await eventually(lambda: visits.running("a") == 1)
        for _ in range(requests):
            dispatcher.soon(reference("a"))
        await eventually(lambda: visits.count["a"] == 2)
        await asyncio.sleep(0.2)
        assert visits.count["a"] == 2
    assert visits.overlapping == set()


async def test_no_object_is_visited_twice_at_once_and_workers_are_bounded() -> None:
    visits = Visits(0.005)
    async with dispatching(visits, workers=3) as dispatcher:
        names = [f"{number}" for number in range(20)]
        for _ in range(5):
            for name in names:
                dispatcher.soon(reference(name))
            await asyncio.sleep(0.01)
        await eventually(lambda: len(visits.count) == 20 and not visits.under_way())
    assert visits.overlapping == set()
    assert 1 < visits.most_at_once <= 3
    assert len(visits.count) == 20


async def test_the_next_visit_comes_when_the_last_one_said() -> None:
    visits = Visits(next_in=0.02)
    async with dispatching(visits) as dispatcher:
        dispatcher.soon(reference("a"))
        await eventually(lambda: visits.count["a"] > 4)


async def test_an_earlier_request_wins_over_a_later_one() -> None:
    visits = Visits()
    async with dispatching(visits) as dispatcher:
        dispatcher.soon(reference("a"), 60)
        dispatcher.soon(reference("a"), 0.01)
        dispatcher.soon(reference("a"), 60)
        await eventually(lambda: visits.count["a"] == 1)
        await asyncio.sleep(0.1)
    assert visits.count["a"] == 1


async def test_what_is_gone_is_not_visited_again() -> None:
    visits = Visits(next_in=None)
    async with dispatching(visits) as dispatcher:
        dispatcher.soon(reference("a"))
        await eventually(lambda: visits.count["a"] == 1)
        dispatcher.soon(reference("b"), 0.02)
        dispatcher.forget(reference("b"))
        await asyncio.sleep(0.1)
    assert visits.count == {"a": 1}


async def test_what_goes_during_its_visit_is_not_visited_again() -> None:
    visits = Visits(0.5, next_in=0.01)
    async with dispatching(visits) as dispatcher:
        dispatcher.soon(reference("a"))
        await eventually(lambda: visits.running("a") == 1)
        dispatcher.forget(reference("a"))
        await eventually(lambda: visits.running("a") == 0)
        await asyncio.sleep(0.1)
    assert visits.count == {"a": 1}


async def test_an_unexpected_error_does_not_end_the_dispatcher(caplog: pytest.LogCaptureFixture) -> None:
    failed: list[Reference] = []

    def fail(visited: Reference) -> float | None:
        failed.append(visited)
        raise ValueError("unexpected")

    async with dispatching(fail, workers=1) as dispatcher:
        for times in (1, 2):
            dispatcher.soon(reference("a"))
            await eventually(lambda times=times: len(failed) == times)  # type: ignore[misc]
    assert "ended in an error that nobody expected" in caplog.text


async def test_the_end_does_not_wait_for_a_visit_that_hangs() -> None:
    begun, release = threading.Event(), threading.Event()

    def hang(_reference: Reference) -> float | None:
        begun.set()
        release.wait(30)
        return None

    try:
        started = time.monotonic()
        async with dispatching(hang, workers=1) as dispatcher:
            for name in ("a", "b"):
                dispatcher.soon(reference(name))
            await eventually(begun.is_set)
        assert time.monotonic() - started < 10
    finally:
        release.set()
