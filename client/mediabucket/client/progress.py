"""How far an upload is."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["hashing", "uploading", "confirming", "done"]


@dataclass(frozen=True)
class Progress:
    """`done` of `total` bytes of this phase. Bytes that a large file sent in an earlier run count as done."""

    phase: Phase
    done: int
    total: int


# Called one call at a time for each file; by a Client from the thread that does the work.
OnProgress = Callable[[Progress], None]


class Meter:
    """Tells a listener. What is sent a second time does not move it backwards."""

    def __init__(self, total: int, listener: OnProgress | None) -> None:
        self._total = total
        self._listener = listener
        self._lock = threading.Lock()
        self._phase: Phase = "hashing"
        self._parts: dict[int, int] = {}
        self._sum = self._most = 0

    def enter(self, phase: Phase, done: int = 0) -> None:
        """Begin a phase."""
        with self._lock:
            self._phase, self._parts, self._sum, self._most = phase, {}, done, done
            self._tell()

    def reached(self, done: int, part: int = 0) -> None:
        """So many bytes of a part have passed."""
        with self._lock:
            self._sum += done - self._parts.get(part, 0)
            self._parts[part] = done
            if self._sum > self._most:
                self._most = self._sum
                self._tell()

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener(Progress(self._phase, self._most, self._total))
