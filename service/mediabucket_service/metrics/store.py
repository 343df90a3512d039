"""Calls of the store."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from mediabucket_s3.failure_codes import ANSWERED, failure_code
from mediabucket_service.metrics.children import LATENCY_BUCKETS, Children

OK: Final = "ok"
FAILED: Final = "failed"


class StoreMetrics:
    """One measurement for each call, with all its attempts, until its headers or its error have arrived."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Children(
            Counter(
                "mediabucket_store_requests",
                "Calls of the store by S3's name of the operation and its error code, OK without one",
                ("operation", "code"),
                registry=registry,
            ).labels
        )
        self._seconds = Children(
            Histogram(
                "mediabucket_store_request_duration_seconds",
                "Time until the store had answered a call, with all attempts, by whether the answer was an error",
                ("operation", "result"),
                buckets=LATENCY_BUCKETS,
                registry=registry,
            ).labels
        )

    @contextmanager
    def measured(self, operation: str) -> Iterator[None]:
        """Encloses one call. `operation`: S3's name of it."""
        code = ANSWERED
        started = time.perf_counter()
        try:
            yield
        except BaseException as error:
            code = failure_code(error)
            raise
        finally:
            self._seconds[operation, OK if code == ANSWERED else FAILED].observe(time.perf_counter() - started)
            self._requests[operation, code].inc()
