"""The ObjectStores of MediaBuckets with their credentials, kept for a moment: a thousand visits are to one store."""

import threading
import time
from collections.abc import Callable

from mediabucket_operator.cluster import Cluster
from mediabucket_operator.guard import StoreAccess, store_access


class StoreAccesses:
    """Safe to share between threads. Whoever lets MediaBuckets be visited because their store is another now says so
    first, with `forget`; a change that nobody has told yet is seen after `keep_seconds` at the latest.
    """

    def __init__(self, keep_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, StoreAccess]] = {}
        self._forgotten = 0

    def get(self, name: str, cluster: Cluster, operator_namespace: str) -> StoreAccess:
        """The ObjectStore of this name, with its credentials. Raises StoreRefused, ClusterError, and keeps neither."""
        began = self._clock()
        with self._lock:
            until, known = self._kept.get(name, (began, None))
            forgotten = self._forgotten
        if known is not None and began < until:
            return known
        access = store_access(name, cluster, operator_namespace)
        with self._lock:
            # What was read before somebody said `forget` may be old.
            if forgotten == self._forgotten:
                self._kept[name] = (began + self._keep_seconds, access)
        return access

    def forget(self, name: str) -> None:
        with self._lock:
            self._forgotten += 1
            self._kept.pop(name, None)
