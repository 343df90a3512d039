"""When the last call is over that nobody waits for any more."""

import threading
from typing import Final

from mediabucket_operator.cluster import Reference

# Longer than a store plausibly takes over a call whose caller is gone.
SETTLE_SECONDS: Final = 15.0


class Settling:
    """A call of a process that was killed, or one that was not waited for any longer, may still be under way in the
    store, and make a bucket after somebody has seen that there is none. Safe to share between threads.
    """

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._since_start = now + SETTLE_SECONDS
        self._until: dict[Reference, float] = {}

    def unanswered(self, reference: Reference, now: float) -> None:
        """A visit to this object has given up waiting for its store."""
        with self._lock:
            self._until[reference] = now + SETTLE_SECONDS

    def forget(self, reference: Reference) -> None:
        with self._lock:
            self._until.pop(reference, None)

    def seconds_left(self, reference: Reference, now: float) -> float:
        """Until nothing that was asked of the store for this object can be under way; 0 when nothing is."""
        with self._lock:
            return max(self._since_start - now, self._until.get(reference, now) - now, 0.0)
