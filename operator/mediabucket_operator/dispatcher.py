"""Who is visited when: one visit at a time for each object, a bounded number in all, changes before routine."""

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mediabucket_operator.cluster import Reference
from mediabucket_operator.lanes import Lanes

logger = logging.getLogger(__name__)

# Makes one visit, in a thread, and returns the seconds until the next one is due; None for an object that is gone.
Visitor = Callable[[Reference], float | None]


@dataclass
class _Entry:
    due: float
    running: bool = False
    # Asked for while a visit was running: what that one has read may be old.
    again: bool = False


class Dispatcher:
    """Call from the event loop only. `run` ends when it is cancelled.

    Visits of one lane share a part of the workers; default: each object has a lane of its own.
    """

    def __init__(self, visitor: Visitor, workers: int, lane: Callable[[Reference], str] = str) -> None:
        self._visitor = visitor
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="visit")
        self._lane = lane
        self._lanes = Lanes(workers)
        self._entries: dict[Reference, _Entry] = {}
        self._heap: list[tuple[float, int, Reference]] = []
        # What is due and waits for a worker, by lane.
        self._ready: dict[str, list[tuple[float, int, Reference]]] = {}
        self._order = itertools.count()
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def soon(self, reference: Reference, delay: float = 0.0) -> None:
        """Visit in `delay` seconds, unless a visit is due before that."""
        due = time.monotonic() + delay
        entry = self._entries.get(reference)
        if entry is None:
            entry = self._entries[reference] = _Entry(due=float("inf"))
        if entry.running:
            entry.again = True
        elif due < entry.due:
            self._put(reference, entry, due)

    def forget(self, reference: Reference) -> None:
        """Do not visit any more."""
        self._entries.pop(reference, None)

    def waiting(self) -> dict[str, int]:
        """How many visits are due and have not begun, by the kinds of objects that are known."""
        now, counted = time.monotonic(), dict.fromkeys((reference.kind for reference in self._entries), 0)
        for reference, entry in self._entries.items():
            counted[reference.kind] += entry.again or entry.due <= now
        return counted

    async def run(self) -> None:
        try:
            while True:
                self._begin_what_is_due()
                await self._wait()
        finally:
            # Threads that wait for a store that does not answer must not hold up the end of the process.
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _put(self, reference: Reference, entry: _Entry, due: float) -> None:
        entry.due = due
        heapq.heappush(self._heap, (due, next(self._order), reference))
        self._woken.set()

    def _begin_what_is_due(self) -> None:
        while self._heap and self._heap[0][0] <= time.monotonic():
            turn = heapq.heappop(self._heap)
            heapq.heappush(self._ready.setdefault(self._lane(turn[2]), []), turn)
        while (lane := self._next_lane()) is not None:
            due, _, reference = heapq.heappop(self._ready[lane])
            if not self._ready[lane]:
                del self._ready[lane]
            entry = self._entries.get(reference)
            # An entry that was moved forward is there twice.
            if entry is not None and not entry.running and entry.due == due:
                self._begin(reference, entry, lane)

    def _next_lane(self) -> str | None:
        """The lane of whoever has waited longest of those that may begin."""
        able = [lane for lane in self._ready if self._lanes.may_begin(lane)]
        return min(able, key=lambda lane: self._ready[lane][0], default=None)

    def _begin(self, reference: Reference, entry: _Entry, lane: str) -> None:
        entry.running, entry.again, entry.due = True, False, float("inf")
        self._lanes.begin(lane)
        task = asyncio.get_running_loop().create_task(self._visit(reference, entry, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _visit(self, reference: Reference, entry: _Entry, lane: str) -> None:
        next_in: float | None = 60.0
        try:
            next_in = await asyncio.get_running_loop().run_in_executor(self._executor, self._visitor, reference)
        except Exception:
            logger.exception("a visit to %s ended in an error that nobody expected", reference)
        finally:
            self._lanes.end(lane)
            entry.running = False
            self._plan_next(reference, entry, next_in)
            self._woken.set()

    def _plan_next(self, reference: Reference, entry: _Entry, next_in: float | None) -> None:
        if self._entries.get(reference) is not entry:
            return
        if entry.again:
            self._put(reference, entry, time.monotonic())
        elif next_in is None:
            self.forget(reference)
        else:
            self._put(reference, entry, time.monotonic() + next_in)

    async def _wait(self) -> None:
        self._woken.clear()
        timeout = max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None
        if timeout == 0.0:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._woken.wait()
        except TimeoutError:
            return
