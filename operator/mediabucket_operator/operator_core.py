"""The operator without kopf: what a visit leads to, and when the next one is due."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mediabucket_api.constants import MEDIA_BUCKET_KIND, OBJECT_STORE_KIND
from mediabucket_api.status import ConditionStatus, ConditionType, MediaBucketStatus
from mediabucket_operator import metrics
from mediabucket_operator.cluster import ClusterError, Reference
from mediabucket_operator.conditions import has_unanswered, unanswered
from mediabucket_operator.deletion import Attempt, Blocked, Withdrawn, release
from mediabucket_operator.fleet import Fleet, Member, StoreRests
from mediabucket_operator.guard import StoreRefused
from mediabucket_operator.keyed_locks import KeyedLocks
from mediabucket_operator.liveness import Pulse
from mediabucket_operator.reconcile import ASPECTS
from mediabucket_operator.settling import Settling
from mediabucket_operator.store_visit import sweep, visit_store
from mediabucket_operator.visit import Environment, Visited, visit

logger = logging.getLogger(__name__)

Soon = Callable[[Reference, float], None]


@dataclass(frozen=True)
class Next:
    """The seconds until the next visit, None for an object that is gone; whether it is to mend what is wrong."""

    seconds: float | None
    retries: bool = False


@dataclass(frozen=True)
class Later:
    """The deletion was carried out, and has to be once more: what was asked before may have made the bucket anew."""

    seconds: float


STORE_SECONDS: Final = 300.0
UNREACHABLE_STORE_SECONDS: Final = 8.0
SWEEP_SECONDS: Final = 3600.0
SWEEP_AFTER_RELEASE_SECONDS: Final = 3.0
_FIRST_RETRY_SECONDS: Final = 2.0
_LONGEST_RETRY_SECONDS: Final = 30.0
_JITTER: Final = 0.1


class Operator:
    """Its methods run in threads. `soon` asks for a visit in so many seconds, from any thread."""

    def __init__(
        self, environment: Environment, soon: Soon, pulse: Pulse, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.environment = environment
        self.fleet = Fleet()
        self._soon = soon
        self._pulse = pulse
        self._clock = clock
        self._rests = StoreRests()
        self._settling = Settling(clock())
        self._locks = KeyedLocks()
        self._lock = threading.Lock()
        self._failures: dict[Reference, int] = {}
        self._sweep_due: dict[str, float] = {}
        metrics.expect_repairs(aspect.name for aspect in ASPECTS)

    def visit(self, reference: Reference) -> float | None:
        """One visit; the seconds until the next, None for an object that is gone."""
        with metrics.reconciling(reference.kind) as told:
            try:
                following = self._visit(reference)
            except ClusterError as error:
                logger.warning("%s", error)
                return self._retry_in(reference)
            told.result = metrics.REQUEUE_AFTER if following.retries else metrics.SUCCESS
            return following.seconds

    def release(self, reference: Reference, withdrawn: Callable[[], bool] = lambda: False) -> Blocked | Later | None:
        """Carry out the deletion policy; None when the object may go. Raises ClusterError, Withdrawn."""
        member = self.fleet.get(reference)
        store = member.store if member is not None else ""
        with self._locks.hold(reference), self._pulse.visiting(str(reference)):
            if withdrawn():
                raise Withdrawn
            settling = self._settling.seconds_left(reference, self._clock())
            attempt = Attempt(lambda: self._rests.refusal(store, self._clock()), withdrawn)
            blocked = release(self.environment, reference, attempt)
        if attempt.contacted:
            self._note_answer(store, attempt.unanswered)
        if blocked is None and attempt.contacted and settling > 0:
            return Later(settling)
        return blocked

    def released(self, reference: Reference) -> None:
        """Its finalizer goes: the user of a bucket that stays is nobody's from now on."""
        member = self.fleet.get(reference)
        if member is not None and member.store:
            self._request_sweep(member.store)

    def lane(self, reference: Reference) -> str:
        """Whose share of the workers a visit takes: all MediaBuckets of a store have one, and every ObjectStore."""
        member = self.fleet.get(reference)
        return str(reference) if member is None else member.store

    def gone(self, member: Member) -> None:
        """The object is no more: whoever waited for its bucket may have it."""
        self._forget_failures(member.reference)
        self._settling.forget(member.reference)
        for other in self.fleet.waiting_for(member):
            self._soon(other, 0.0)

    def store_gone(self, name: str) -> None:
        self._visit_all_on(name)

    def _visit(self, reference: Reference) -> Next:
        if reference.kind == OBJECT_STORE_KIND:
            return self._visit_store(reference.name)
        return self._visit_media_bucket(reference)

    def _visit_store(self, name: str) -> Next:
        with self._pulse.visiting(f"{OBJECT_STORE_KIND} {name}"):
            visited = visit_store(self.environment, name)
        self._forget_failures(Reference(OBJECT_STORE_KIND, "", name))
        if visited.reachable:
            self._rests.answered(name)
        if visited.matters:
            self._visit_all_on(name)
        if not visited.present:
            # A watch that was away when the object went does not tell.
            metrics.store_gone(name)
            return Next(None)
        if visited.reachable and self._is_sweep_due(name):
            for user in sweep(self.environment, name):
                logger.info("removed the user %s of a MediaBucket that is gone", user)
        if visited.reachable:
            return Next(jittered(STORE_SECONDS))
        return Next(jittered(UNREACHABLE_STORE_SECONDS), retries=True)

    def _visit_media_bucket(self, reference: Reference) -> Next:
        member = self.fleet.get(reference)
        if member is None:
            return Next(None)
        # One bucket, one visit: who comes second finds the mark of who came first.
        bucket = self._locks.hold((member.store, member.bucket))
        with self._locks.hold(reference), bucket, self._pulse.visiting(str(reference)):
            visited = visit(self.environment, reference, self._refusal(member))
        if self.fleet.get(reference) is None:
            # Retained in the meantime, which waits for no visit: this one may have made a user since.
            self._request_sweep(member.store)
        if not visited.present:
            return Next(None)
        self._count_drift(visited)
        return self._concluded(member, visited)

    def _refusal(self, member: Member) -> StoreRefused | None:
        rival = self.fleet.rival(member.reference)
        if rival is not None:
            name = f"{rival.reference.namespace}/{rival.reference.name}"
            return StoreRefused(
                "BucketClaimed",
                f"bucket {member.bucket} is claimed by MediaBucket {name}, which came first: choose another bucketName",
            )
        return self._rests.refusal(member.store, self._clock())

    def _concluded(self, member: Member, visited: Visited) -> Next:
        status = visited.status
        if status is None:
            return Next(jittered(member.resync_seconds))
        message = unanswered(status)
        if visited.contacted:
            self._note_contact(member, status)
        if message is not None:
            return Next(self._retry_in(member.reference), retries=True)
        if not is_ready(status):
            seconds = min(self._retry_in(member.reference, member.resync_seconds), member.resync_seconds)
            return Next(seconds, retries=True)
        self._forget_failures(member.reference)
        return Next(jittered(member.resync_seconds))

    def _note_contact(self, member: Member, status: MediaBucketStatus) -> None:
        if has_unanswered(status):
            self._settling.unanswered(member.reference, self._clock())
        self._note_answer(member.store, unanswered(status))

    def _note_answer(self, store: str, message: str | None) -> None:
        """`message`: what kept the store from answering whoever has just asked it."""
        if message is None:
            if self._rests.answered(store):
                self._visit_all_on(store)
        elif self._rests.failed(store, self._clock(), message):
            # Its own status must not say for minutes that it is well, nor may those that wait for a worker.
            self._soon(Reference(OBJECT_STORE_KIND, "", store), 0.0)
            self._visit_all_on(store)

    def _count_drift(self, visited: Visited) -> None:
        for change in visited.changes:
            # What is written for a new bucket or an edited manifest repairs nothing.
            if visited.drift and change.applied:
                metrics.DRIFT_REPAIRED.labels(change.aspect).inc()

    def _visit_all_on(self, store: str) -> None:
        self.environment.accesses.forget(store)
        for reference in self.fleet.on_store(store):
            self._soon(reference, random.uniform(0, 1))

    def _retry_in(self, reference: Reference, longest: float = _LONGEST_RETRY_SECONDS) -> float:
        with self._lock:
            failures = self._failures[reference] = min(self._failures.get(reference, 0) + 1, 16)
        return jittered(min(_FIRST_RETRY_SECONDS * 2.0 ** (failures - 1), longest))

    def _forget_failures(self, reference: Reference) -> None:
        with self._lock:
            self._failures.pop(reference, None)

    def _request_sweep(self, store: str) -> None:
        with self._lock:
            self._sweep_due[store] = 0.0
        self._soon(Reference(OBJECT_STORE_KIND, "", store), SWEEP_AFTER_RELEASE_SECONDS)

    def _is_sweep_due(self, store: str) -> bool:
        with self._lock:
            now = self._clock()
            if now < self._sweep_due.get(store, 0.0):
                return False
            self._sweep_due[store] = now + SWEEP_SECONDS
            return True


def is_ready(status: MediaBucketStatus) -> bool:
    return any(
        condition.type == ConditionType.READY and condition.status == ConditionStatus.TRUE
        for condition in status.conditions
    )


def jittered(seconds: float) -> float:
    """A tenth more or less: what began together does not stay together."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)


def media_bucket(namespace: str, name: str) -> Reference:
    return Reference(MEDIA_BUCKET_KIND, namespace, name)
