"""How many of a bounded number of workers one store may hold: one that has just frozen must not hold them all."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any


class Lanes:
    """Call from one thread only. A lane holds as many workers as `begin` was called for it, and `end` was not."""

    def __init__(self, workers: int) -> None:
        self._free = workers
        self._held: Counter[str] = Counter()

    def may_begin(self, lane: str) -> bool:
        """A lane takes another worker only while more are free than it holds: the first gets half of them, the next
        half of what is left.
        """
        return self._held[lane] < self._free

    def begin(self, lane: str) -> None:
        self._free -= 1
        self._held[lane] += 1

    def end(self, lane: str) -> None:
        self._free += 1
        self._held[lane] -= 1
        if not self._held[lane]:
            del self._held[lane]


class LaneExecutor:
    """Threads that lanes share. Call from the event loop only."""

    def __init__(self, workers: int, thread_name: str) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=thread_name)
        self._lanes = Lanes(workers)
        self._waiting: dict[str, deque[tuple[Callable[[], Any], asyncio.Future[Any]]]] = {}

    def submit(self, lane: str, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """What becomes of the work. Whoever cancels it gives up waiting: work that has begun goes on to its end."""
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(lane, deque()).append((work, result))
        self._begin()
        return result

    def stop(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        for lane, queue in list(self._waiting.items()):
            while queue and self._lanes.may_begin(lane):
                work, result = queue.popleft()
                if not result.cancelled():
                    self._lanes.begin(lane)
                    running = asyncio.get_running_loop().run_in_executor(self._executor, work)
                    running.add_done_callback(partial(self._ended, lane, result))
            if not queue:
                del self._waiting[lane]

    def _ended(self, lane: str, result: "asyncio.Future[Any]", running: "asyncio.Future[Any]") -> None:
        self._lanes.end(lane)
        error = None if running.cancelled() else running.exception()
        if not result.done():
            if running.cancelled():
                result.cancel()
            elif error is not None:
                result.set_exception(error)
            else:
                result.set_result(running.result())
        if not running.cancelled():
            self._begin()
