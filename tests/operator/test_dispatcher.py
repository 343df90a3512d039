"""Who is visited when: never twice at once, never more than there are workers, and changes are not lost."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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


async def test_now_returns_when_a_visit_that_began_after_it_has_ended() -> None:
    visits = Visits(0.05)
    async with dispatching(visits) as dispatcher:
        first = asyncio.create_task(dispatcher.now(reference("a")))
        await asyncio.sleep(0.02)
        # The visit that is under way has read what was there before: another one follows.
        await dispatcher.now(reference("a"))
        assert visits.count["a"] == 2
        await first


async def test_many_requests_during_a_visit_are_one_more_visit() -> None:
    visits = Visits(0.05)
    async with dispatching(visits) as dispatcher:
        first = asyncio.create_task(dispatcher.now(reference("a")))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, *(dispatcher.now(reference("a")) for _ in range(50)))
        assert visits.count["a"] == 2


async def test_no_object_is_visited_twice_at_once_and_workers_are_bounded() -> None:
    visits = Visits(0.005)
    async with dispatching(visits, workers=3) as dispatcher:
        names = [f"{number}" for number in range(20)] * 5
        await asyncio.gather(*(dispatcher.now(reference(name)) for name in names))
    assert visits.overlapping == set()
    assert 1 < visits.most_at_once <= 3
    assert len(visits.count) == 20


async def test_the_next_visit_comes_when_the_last_one_said() -> None:
    visits = Visits(next_in=0.02)
    async with dispatching(visits) as dispatcher:
        await dispatcher.now(reference("a"))
        await asyncio.sleep(0.3)
    assert visits.count["a"] > 4


async def test_an_earlier_request_wins_over_a_later_one() -> None:
    visits = Visits()
    async with dispatching(visits) as dispatcher:
        dispatcher.soon(reference("a"), 60)
        dispatcher.soon(reference("a"), 0.01)
        dispatcher.soon(reference("a"), 60)
        await asyncio.sleep(0.1)
    assert visits.count["a"] == 1


async def test_what_is_gone_is_not_visited_again() -> None:
    visits = Visits(next_in=None)
    async with dispatching(visits) as dispatcher:
        await dispatcher.now(reference("a"))
        dispatcher.soon(reference("b"), 0.02)
        dispatcher.forget(reference("b"))
        await asyncio.sleep(0.1)
    assert visits.count == {"a": 1}


async def test_an_unexpected_error_ends_neither_the_dispatcher_nor_who_waits() -> None:
    def fail(_reference: Reference) -> float | None:
        raise ValueError("unexpected")

    async with dispatching(fail) as dispatcher:
        await dispatcher.now(reference("a"))
        await dispatcher.now(reference("a"))


async def test_the_end_lets_everybody_go() -> None:
    release = threading.Event()

    def wait(_reference: Reference) -> float | None:
        release.wait(5)
        return None

    async with dispatching(wait, workers=1) as dispatcher:
        waiting = [asyncio.create_task(dispatcher.now(reference(name))) for name in ("a", "b")]
        await asyncio.sleep(0.05)
    release.set()
    await asyncio.wait_for(asyncio.gather(*waiting), 2)
