"""One visit to a MediaBucket: read it, make the store and the cluster what it says, write down how it went.

Knows nothing of kopf. Every step may be the last one before the process dies; the next visit goes on from what it
finds. Nothing is written to the API server, and nothing to the store, when nothing is different.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from mediabucket_api.resources import MediaBucket
from mediabucket_api.spec import MAX_BUCKET_NAME_CHARACTERS, ManagementPolicy
from mediabucket_api.status import (
    ChangeAction,
    Condition,
    ConditionType,
    MediaBucketStatus,
    ObjectStoreStatus,
    OwnershipState,
    PlannedChange,
)
from mediabucket_operator.changes import Change
from mediabucket_operator.cluster import (
    Cluster,
    ClusterError,
    Conflict,
    Manifest,
    Reference,
    is_protected,
    is_terminating,
)
from mediabucket_operator.conditions import Conditions, Verdict, condition, unanswered
from mediabucket_operator.event_notes import Note, event, of_changes, of_plan, of_transitions, short
from mediabucket_operator.guard import StoreAccess, StoreRefused, require_allowed
from mediabucket_operator.provision import Provisioned, Provisioning
from mediabucket_operator.reconcile import Outcome, paused, reconcile
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.store_accesses import StoreAccesses
from mediabucket_operator.stored import Unreadable, as_document, read_media_bucket, readable_conditions
from mediabucket_operator.stores import Stores

logger = logging.getLogger(__name__)

_STATUS_ATTEMPTS: Final = 5
_LONGEST_PLAN: Final = 64


@dataclass(frozen=True)
class Environment:
    """What every visit needs. `cluster_id` is what buckets are marked with."""

    cluster: Cluster
    stores: Stores
    settings: OperatorSettings
    cluster_id: str
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    accesses: StoreAccesses = field(default_factory=lambda: StoreAccesses(keep_seconds=0))


@dataclass(frozen=True)
class Visited:
    """How a visit went. `present` is False for an object that is gone, or on its way out; `drift` says that the bucket
    had been as wanted before it was changed; `contacted`, that the store was asked.
    """

    present: bool
    status: MediaBucketStatus | None = None
    changes: tuple[Change, ...] = ()
    drift: bool = False
    contacted: bool = False


def visit(environment: Environment, reference: Reference, refusal: StoreRefused | None = None) -> Visited:
    """One pass over one MediaBucket. `refusal` is what is known already to keep it from its store.

    Raises ClusterError: then nothing could be written down, and the visit has to be repeated. Whatever is wrong with
    the store, its credentials or the manifest is a condition instead.
    """
    manifest = environment.cluster.get(reference)
    if manifest is None or is_terminating(manifest):
        return Visited(present=False)
    if not is_protected(manifest):
        # Another object's change may bring us here first. What is made now nobody would remove, were it deleted now.
        return Visited(present=True)
    try:
        resource = read_media_bucket(manifest)
    except Unreadable as error:
        tell_unreadable(environment, manifest, unreadable(error))
        return Visited(present=True)
    return _Visit(environment, manifest, resource, refusal).run()


def write_status(
    environment: Environment, manifest: Manifest, status: MediaBucketStatus | ObjectStoreStatus
) -> Manifest:
    """Put the status on the object as it is now. Raises ClusterError; Conflict only when it keeps changing."""
    document = as_document(status)
    for _ in range(_STATUS_ATTEMPTS):
        if manifest.get("status", {}) == document:
            return manifest
        try:
            return environment.cluster.update_status({**manifest, "status": document})
        except Conflict as conflict:
            fresh = environment.cluster.get(Reference.of(manifest))
            if fresh is None or fresh["metadata"].get("uid") != manifest["metadata"].get("uid"):
                raise
            last, manifest = conflict, fresh
    raise last


def tell(environment: Environment, manifest: Manifest, notes: Sequence[Note]) -> None:
    """Post an Event for each note. What they tell stands in status as well, so one that is lost is no error."""
    for note in notes:
        try:
            environment.cluster.create_event(event(manifest, note, environment.clock()))
        except ClusterError as error:
            logger.warning("%s", error)
            return


def unreadable(error: Unreadable) -> dict[ConditionType, Verdict]:
    """Another version of the types wrote the spec."""
    return {ConditionType.READY: Verdict.false("SpecUnreadable", f"{error}: apply the manifest again")}


def tell_unreadable(environment: Environment, manifest: Manifest, verdicts: Mapping[ConditionType, Verdict]) -> bool:
    """Put these conditions on an object whose spec cannot be read, and touch nothing else of it; whether they are
    news. Raises ClusterError.
    """
    status, now = manifest.get("status") or {}, environment.clock().replace(microsecond=0)
    before = readable_conditions(status)
    told = [
        condition(kind, verdict, _of_type(before, kind), manifest["metadata"].get("generation"), now)
        for kind, verdict in verdicts.items()
    ]
    if all(one in before for one in told):
        return False
    others = [found for found in status.get("conditions") or [] if found.get("type") not in verdicts]
    ours = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in told]
    written = environment.cluster.update_status({**manifest, "status": {**status, "conditions": [*ours, *others]}})
    logger.warning("%s cannot be read: %s", Reference.of(manifest), told[0].message)
    tell(environment, written, list(of_transitions(before, told)))
    return True


def _of_type(conditions: Sequence[Condition], kind: ConditionType) -> Condition | None:
    return next((found for found in conditions if found.type == kind), None)


class _Visit:
    def __init__(
        self, environment: Environment, manifest: Manifest, resource: MediaBucket, refusal: StoreRefused | None
    ) -> None:
        self._environment = environment
        self._manifest = manifest
        self._resource = resource
        self._refusal = refusal
        self._now = environment.clock().replace(microsecond=0)

    def run(self) -> Visited:
        if self._resource.spec.management_policy == ManagementPolicy.PAUSE:
            return self._finish(Outcome(paused(self._resource, self._now)))
        try:
            access = self._access()
        except StoreRefused as refusal:
            return self._finish(Outcome(self._refused(refusal)))
        outcome = self._reconciled(access)
        # A store that does not answer is not asked again for every step: each of them would wait as long.
        if self._is_managed(outcome) and unanswered(outcome.status) is None:
            return replace(self._finish(outcome, self._provisioned(access, outcome)), contacted=True)
        return replace(self._finish(outcome), contacted=True)

    def _access(self) -> StoreAccess:
        if len(self._resource.bucket_name) > MAX_BUCKET_NAME_CHARACTERS:
            # A rule of the CRD sees the name, and not the namespace.
            told = f"{self._resource.bucket_name} is longer than {MAX_BUCKET_NAME_CHARACTERS} characters"
            raise StoreRefused("BucketNameTooLong", f"{told}: set spec.bucketName in a new MediaBucket")
        if self._refusal is not None:
            raise self._refusal
        cluster, namespace = self._environment.cluster, self._environment.settings.namespace
        access = self._environment.accesses.get(self._resource.spec.store_ref.name, cluster, namespace)
        require_allowed(self._resource, access.resource, cluster)
        return access

    def _reconciled(self, access: StoreAccess) -> Outcome:
        return reconcile(
            self._resource,
            self._environment.stores.admin(access.connection, self._resource.bucket_name),
            connection=access.connection,
            now=self._now,
            cluster=self._environment.cluster_id,
            capabilities=access.resource.status.capabilities,
            announce=self._announce,
        )

    def _announce(self, claimed: MediaBucketStatus) -> None:
        self._manifest = write_status(self._environment, self._manifest, claimed)

    def _is_managed(self, outcome: Outcome) -> bool:
        ownership = outcome.status.ownership
        owned = ownership is not None and ownership.state == OwnershipState.OWNED
        return owned and self._resource.spec.management_policy == ManagementPolicy.MANAGE

    def _provisioned(self, access: StoreAccess, outcome: Outcome) -> Provisioned:
        resource = self._resource.model_copy(update={"status": outcome.status})
        return Provisioning(
            cluster=self._environment.cluster,
            stores=self._environment.stores,
            settings=self._environment.settings,
            cluster_id=self._environment.cluster_id,
            now=self._now,
            resource=resource,
            access=access,
        ).run()

    def _refused(self, refusal: StoreRefused) -> MediaBucketStatus:
        """Not a call to the store; what is known of the bucket stays."""
        verdict = Verdict.false(refusal.reason, refusal.message)
        conditions = Conditions(self._resource.status.conditions, self._resource.metadata.generation, self._now)
        kind = ConditionType.BUCKET_OWNED if refusal.reason in _ABOUT_THE_BUCKET else ConditionType.STORE_REACHABLE
        conditions.set(kind, verdict)
        update = {
            "observed_generation": self._resource.metadata.generation,
            "conditions": conditions.build(),
        }
        return self._resource.status.model_copy(update=update)

    def _finish(self, outcome: Outcome, provisioned: Provisioned | None = None) -> Visited:
        status = self._concluded(outcome, provisioned or Provisioned())
        before = self._resource.status
        self._manifest = write_status(self._environment, self._manifest, status)
        drift = before.observed_generation == self._resource.metadata.generation and bool(before.conditions)
        notes = [
            *of_transitions(before.conditions, status.conditions),
            *of_changes(outcome.changes, drift=drift),
            *of_plan(before, status),
            *(provisioned.notes if provisioned else ()),
        ]
        tell(self._environment, self._manifest, notes)
        return Visited(present=True, status=status, changes=outcome.changes, drift=drift)

    def _concluded(self, outcome: Outcome, provisioned: Provisioned) -> MediaBucketStatus:
        """The status of the store's side and of the cluster's side as one, on top of what it was before the visit."""
        before = {found.type: found for found in self._resource.status.conditions}
        conditions = Conditions(self._resource.status.conditions, self._resource.metadata.generation, self._now)
        for found in outcome.status.conditions:
            decided = found != before.get(found.type) and found.type != ConditionType.READY
            if decided and found.observed_generation == self._resource.metadata.generation:
                conditions.set(ConditionType(found.type), Verdict(found.status, found.reason, found.message))
        for kind, verdict in provisioned.verdicts.items():
            conditions.set(kind, verdict)
        conditions.set(ConditionType.DELETION_BLOCKED, Verdict.false("NotRequested", ""))
        if self._resource.spec.management_policy == ManagementPolicy.PAUSE:
            return outcome.status
        update = {"conditions": conditions.build(), "plan": self._plan(outcome), **provisioned.status}
        return outcome.status.model_copy(update=update)

    def _plan(self, outcome: Outcome) -> tuple[PlannedChange, ...]:
        if self._resource.spec.management_policy != ManagementPolicy.OBSERVE:
            return ()
        return tuple(planned(change) for change in outcome.changes[:_LONGEST_PLAN])


# What is wrong with the claim to a bucket, not with the way to its store.
_ABOUT_THE_BUCKET: Final = frozenset({"BucketClaimed", "BucketNameTooLong", "NamespaceNotAllowed", "LimitExceeded"})


def planned(change: Change) -> PlannedChange:
    """A change as status tells it."""
    return PlannedChange(
        aspect=change.aspect,
        path=short(change.path),
        action=ChangeAction(change.action.capitalize()),
        before=short(change.before),
        after=short(change.after),
    )
