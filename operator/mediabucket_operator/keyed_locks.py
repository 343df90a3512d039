"""A lock for each key, for as long as somebody holds or waits for it."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class KeyedLocks:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Hashable, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: Hashable) -> Iterator[None]:
        with self._lock:
            lock, holders = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, holders + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, holders = self._held.pop(key)
                if holders > 1:
                    self._held[key] = (lock, holders - 1)
