"""Connections to the database."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, Histogram

from mediabucket_service.database import PoolCounts
from mediabucket_service.metrics.children import LATENCY_BUCKETS


class PoolMetrics:
    """The pool of this process; of several workers the sum."""

    def __init__(self, registry: CollectorRegistry) -> None:
        connections = Gauge(
            "mediabucket_database_pool_connections",
            "Connections to the database; those that are being opened are in use",
            ("state",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._in_use, self._idle = connections.labels("in_use"), connections.labels("idle")
        self._size = Gauge(
            "mediabucket_database_pool_size",
            "How many connections to the database there may be",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._wait = Histogram(
            "mediabucket_database_pool_wait_seconds",
            "Time that a statement or transaction waited for a connection, in vain or not",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._counts: Callable[[], PoolCounts] | None = None

    def waited(self, seconds: float) -> None:
        self._wait.observe(seconds)

    def follow(self, counts: Callable[[], PoolCounts]) -> None:
        """Tell of this pool from now on."""
        self._counts = counts

    def refresh(self) -> None:
        """Look at the pool; nothing before there is one."""
        if self._counts is None:
            return
        counts = self._counts()
        self._in_use.set(counts.in_use)
        self._idle.set(counts.idle)
        self._size.set(counts.size)
