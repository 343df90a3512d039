"""What the operator counts. Names are controller-runtime's where it has them, so that known dashboards work.

https://book.kubebuilder.io/reference/metrics-reference
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics

from mediabucket_api.constants import MEDIA_BUCKET_KIND, OBJECT_STORE_KIND
from mediabucket_operator.resource_metrics import ResourceStates
from mediabucket_s3.answers import Answer

# A second series for each counter and histogram, which nobody asks for in this format.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTROLLERS: Final = (MEDIA_BUCKET_KIND, OBJECT_STORE_KIND)
SUCCESS: Final = "success"
ERROR: Final = "error"
REQUEUE: Final = "requeue"
# What is wrong may mend itself: the next visit comes sooner than the routine's.
REQUEUE_AFTER: Final = "requeue_after"
FAILURE: Final = "failure"
# controller-runtime's own.
RECONCILE_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    *(1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60),
)
# A connection is waited for 3 s, an answer 10 s, one to a presigned request 20 s.
STORE_BUCKETS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30)

RECONCILES = Counter("controller_runtime_reconcile", "Visits by result.", ["controller", "result"])
RECONCILE_ERRORS = Counter("controller_runtime_reconcile_errors", "Visits that ended in an error.", ["controller"])
RECONCILE_SECONDS = Histogram(
    "controller_runtime_reconcile_time_seconds", "Duration of a visit.", ["controller"], buckets=RECONCILE_BUCKETS
)
ACTIVE_WORKERS = Gauge("controller_runtime_active_workers", "Visits that are under way.", ["controller"])
MOST_WORKERS = Gauge(
    "controller_runtime_max_concurrent_reconciles",
    "How many visits may be under way; all controllers share them.",
    ["controller"],
)
QUEUE_DEPTH = Gauge("workqueue_depth", "Objects whose visit is due and has not begun.", ["name"])
DRIFT_REPAIRED = Counter("mediabucket_operator_drift_repaired", "Differences that were written back.", ["aspect"])
STORE_REQUESTS = Counter(
    "mediabucket_operator_store_requests",
    "Requests to stores, each attempt of a call, by S3's name of the operation and its error code, OK without one.",
    ["operation", "code"],
)
STORE_SECONDS = Histogram(
    "mediabucket_operator_store_request_duration_seconds",
    "Time until a store had answered a request, or was not waited for any longer.",
    ["operation", "result"],
    buckets=STORE_BUCKETS,
)
PROBE_RUNS = Counter("mediabucket_operator_probe_runs", "Probes of a store by result.", ["store", "result"])
WATCH_SILENCE = Gauge("mediabucket_operator_watch_silence_seconds", "Since a watch was last heard from.", ["path"])
WATCH_RESTARTS = Counter(
    "mediabucket_operator_watch_restarts",
    "How often a watch was opened again; the API server ends each after five minutes.",
    ["path"],
)
RESOURCES: Final = ResourceStates()

REGISTRY.register(RESOURCES)
for controller in CONTROLLERS:
    # `rate()` and `increase()` see nothing of a counter that begins with one.
    for result in (SUCCESS, ERROR, REQUEUE, REQUEUE_AFTER):
        RECONCILES.labels(controller, result)
    RECONCILE_ERRORS.labels(controller)
    ACTIVE_WORKERS.labels(controller)
    QUEUE_DEPTH.labels(controller)


@dataclass
class Reconcile:
    """A visit that is under way; whoever makes it says how it ends."""

    result: str = ERROR


@contextmanager
def reconciling(controller: str) -> Iterator[Reconcile]:
    """Counts one visit of a thread. One that raises, or that says nothing, has ended in an error."""
    visit = Reconcile()
    active = ACTIVE_WORKERS.labels(controller)
    active.inc()
    try:
        with RECONCILE_SECONDS.labels(controller).time():
            yield visit
    except BaseException:
        visit.result = ERROR
        raise
    finally:
        active.dec()
        RECONCILES.labels(controller, visit.result).inc()
        if visit.result == ERROR:
            RECONCILE_ERRORS.labels(controller).inc()


def allow_workers(workers: int) -> None:
    for controller in CONTROLLERS:
        MOST_WORKERS.labels(controller).set(workers)


def expect_repairs(aspects: Iterable[str]) -> None:
    """Begin with zeros: `increase()` sees nothing of the first repair otherwise."""
    for aspect in aspects:
        DRIFT_REPAIRED.labels(aspect)


def probed(store: str, *, succeeded: bool) -> None:
    """Count a probe of an ObjectStore."""
    PROBE_RUNS.labels(store, FAILURE).inc(0 if succeeded else 1)
    PROBE_RUNS.labels(store, SUCCESS).inc(1 if succeeded else 0)


def store_answered(answer: Answer) -> None:
    """Count one attempt of a call of any store."""
    STORE_REQUESTS.labels(answer.operation, answer.code).inc()
    STORE_SECONDS.labels(answer.operation, "ok" if answer.ok else "failed").observe(answer.seconds)


def store_gone(store: str) -> None:
    """Tell nothing more of an ObjectStore."""
    RESOURCES.forget(OBJECT_STORE_KIND, "", store)
    for result in (SUCCESS, FAILURE):
        PROBE_RUNS.remove(store, result)
