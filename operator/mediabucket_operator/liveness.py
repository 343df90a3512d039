"""Whether the process does its work: its event loop turns, its watches are heard from, no visit is stuck.

A store that is down is none of its problems: each call to it ends within a known time, and the visit goes on.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

# The API server sends a bookmark on every watch about once a minute:
# https://kubernetes.io/docs/reference/using-api/api-concepts/#watch-bookmarks
SILENT_WATCH_SECONDS: Final = 75.0
STALLED_LOOP_SECONDS: Final = 20.0
# Longer than any one call to a store or to the API server may take, with its retries.
STUCK_VISIT_SECONDS: Final = 75.0


class Pulse:
    """What the parts of the process last did, and when. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._loop: float | None = None
        self._watches: dict[str, float] = {}
        self._visits: dict[int, tuple[str, float]] = {}
        self._ended: list[str] = []

    def loop_turned(self) -> None:
        with self._lock:
            self._loop = self._clock()

    def ended(self, what: str) -> None:
        """A part of the process that must run for as long as the process does has ended."""
        with self._lock:
            self._ended.append(what)

    def watch_heard(self, path: str) -> bool:
        """A watch was opened, or something came out of it; answers whether it had been heard before."""
        with self._lock:
            known = path in self._watches
            self._watches[path] = self._clock()
            return known

    @contextmanager
    def visiting(self, what: str) -> Iterator[None]:
        """This thread is at work until the block ends, and stuck when it makes no progress for long."""
        thread = threading.get_ident()
        with self._lock:
            self._visits[thread] = (what, self._clock())
        try:
            yield
        finally:
            with self._lock:
                self._visits.pop(thread, None)

    def progress(self) -> None:
        """This thread got an answer from somewhere."""
        thread = threading.get_ident()
        with self._lock:
            if thread in self._visits:
                self._visits[thread] = (self._visits[thread][0], self._clock())

    def problems(self) -> list[str]:
        """What a restart could mend; nothing while all is well."""
        with self._lock:
            now = self._clock()
            ended = [f"task {what} ended" for what in self._ended]
            return [*ended, *self._loop_problems(now), *self._watch_problems(now), *self._visit_problems(now)]

    def silence(self) -> dict[str, float]:
        """Seconds since each watch was heard from."""
        with self._lock:
            now = self._clock()
            return {path: now - heard for path, heard in self._watches.items()}

    def _loop_problems(self, now: float) -> Iterator[str]:
        if self._loop is not None and now - self._loop > STALLED_LOOP_SECONDS:
            yield f"the event loop has stalled for {now - self._loop:.0f} s"

    def _watch_problems(self, now: float) -> Iterator[str]:
        for path, heard in sorted(self._watches.items()):
            if now - heard > SILENT_WATCH_SECONDS:
                yield f"nothing came from the watch {path} for {now - heard:.0f} s"

    def _visit_problems(self, now: float) -> Iterator[str]:
        for what, moved in sorted(self._visits.values()):
            if now - moved > STUCK_VISIT_SECONDS:
                yield f"the visit to {what} has made no progress for {now - moved:.0f} s"
