"""One visit to an ObjectStore: does it answer, what can it do, and which users on it belong to nobody any more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mediabucket_api.constants import MEDIA_BUCKET_KIND, OBJECT_STORE_KIND, PROBE_ANNOTATION
from mediabucket_api.object_store import IamMode
from mediabucket_api.resources import ObjectStore
from mediabucket_api.status import (
    Capability,
    Condition,
    ConditionStatus,
    ObjectStoreStatus,
    StoreConditionType,
)
from mediabucket_operator import metrics
from mediabucket_operator.cluster import Manifest, Reference, is_terminating
from mediabucket_operator.conditions import Verdict, condition
from mediabucket_operator.credentials import user_prefix
from mediabucket_operator.event_notes import of_transitions
from mediabucket_operator.guard import StoreAccess, StoreRefused, access_of
from mediabucket_operator.probe import bucket_name_for
from mediabucket_operator.stored import Unreadable, read_object_store
from mediabucket_operator.visit import Environment, tell, tell_unreadable, unreadable, write_status
from mediabucket_s3.errors import AccessDenied, S3Error

PROBE_NOW: Final = "now"


@dataclass(frozen=True)
class StoreVisited:
    """How a visit went. `matters` says that MediaBuckets on the store should be visited: something they depend on is
    different from before.
    """

    present: bool
    reachable: bool = False
    matters: bool = False


def visit_store(environment: Environment, name: str) -> StoreVisited:
    """One pass over one ObjectStore. Raises ClusterError; whatever is wrong with the store is a condition."""
    reference = Reference(OBJECT_STORE_KIND, "", name)
    manifest = environment.cluster.get(reference)
    if manifest is None or is_terminating(manifest):
        return StoreVisited(present=False, matters=True)
    try:
        store = read_object_store(manifest)
    except Unreadable as error:
        return StoreVisited(present=True, matters=tell_unreadable(environment, manifest, unreadable(error)))
    now = environment.clock().replace(microsecond=0)
    status = _looked_at(environment, store, now)
    written = write_status(environment, manifest, status)
    tell(environment, written, list(of_transitions(store.status.conditions, status.conditions)))
    if _was_asked(store) and _verdict_of(status, StoreConditionType.PROBED) is not None:
        environment.cluster.annotate(reference, {PROBE_ANNOTATION: None})
    reachable = _is_true(status, StoreConditionType.REACHABLE)
    return StoreVisited(present=True, reachable=reachable, matters=matters(store.status, status))


def probe_is_due(store: ObjectStore, secret_version: str, now: datetime, interval: timedelta) -> bool:
    """On creation, on change of the spec or the credentials, when asked, and every `interval`."""
    status = store.status
    probed = next((condition for condition in status.conditions if condition.type == StoreConditionType.PROBED), None)
    if _was_asked(store) or probed is None or probed.status != ConditionStatus.TRUE or not status.capabilities:
        return True
    changed = probed.observed_generation != store.metadata.generation or status.credentials_version != secret_version
    return changed or now >= max(capability.probed_at for capability in status.capabilities) + interval


def matters(before: ObjectStoreStatus, after: ObjectStoreStatus) -> bool:
    """Whether MediaBuckets on the store may now be treated in another way."""
    return (
        before.observed_generation != after.observed_generation
        or before.credentials_version != after.credentials_version
        or _verdicts(before.capabilities) != _verdicts(after.capabilities)
        or _is_true(before, StoreConditionType.REACHABLE) != _is_true(after, StoreConditionType.REACHABLE)
    )


def orphans(
    users: Sequence[str], media_buckets: Sequence[Manifest], prefix: str, shared_store: str | None
) -> list[str]:
    """The users of this cluster whose MediaBucket is gone, or uses the store's own key now."""
    alive = {
        f"{prefix}{manifest['metadata']['uid']}"
        for manifest in media_buckets
        if shared_store is None or manifest["spec"]["storeRef"]["name"] != shared_store
    }
    return sorted(set(users) - alive)


def remove_orphans(environment: Environment, access: StoreAccess) -> list[str]:
    """Delete the users that no MediaBucket has any more: it was retained, abandoned, or died on the way.

    Raises S3Error, ClusterError.
    """
    store = access.resource
    admin = environment.stores.identities(access.connection, store.spec.iam.endpoint)
    prefix = user_prefix(environment.cluster_id)
    # In this order: whoever has a user was a MediaBucket before.
    users = admin.list_users(prefix)
    if not users:
        return []
    shared = store.metadata.name if store.spec.iam.mode == IamMode.SHARED else None
    gone = orphans(users, environment.cluster.list(MEDIA_BUCKET_KIND), prefix, shared)
    for user in gone:
        admin.delete_user(user)
    return gone


def sweep(environment: Environment, name: str) -> list[str]:
    """`remove_orphans` by the name of the ObjectStore; a store that cannot be used is left for another time."""
    manifest = environment.cluster.get(Reference(OBJECT_STORE_KIND, "", name))
    if manifest is None:
        return []
    try:
        access = access_of(read_object_store(manifest), environment.cluster, environment.settings.namespace)
        return remove_orphans(environment, access)
    except (StoreRefused, Unreadable, S3Error):
        return []


def _looked_at(environment: Environment, store: ObjectStore, now: datetime) -> ObjectStoreStatus:
    try:
        access = access_of(store, environment.cluster, environment.settings.namespace)
    except StoreRefused as refusal:
        verdict = Verdict.false(refusal.reason, refusal.message)
        return _status(store, now, {StoreConditionType.REACHABLE: verdict})
    interval = timedelta(seconds=environment.settings.probe_interval_seconds)
    if probe_is_due(store, access.secret_version, now, interval):
        return _probed(environment, store, access, now)
    return _status(store, now, {StoreConditionType.REACHABLE: _reached(environment, access)})


def _reached(environment: Environment, access: StoreAccess) -> Verdict:
    bucket = _probe_bucket(environment.cluster_id, access.resource)
    try:
        environment.stores.admin(access.connection, bucket).exists()
    except AccessDenied as error:
        return Verdict.false("AccessDenied", f"{error}: check the keys in the Secret of credentialsSecretRef")
    except S3Error as error:
        return Verdict.false(type(error).__name__, str(error))
    return Verdict.true("Reachable")


def _probed(environment: Environment, store: ObjectStore, access: StoreAccess, now: datetime) -> ObjectStoreStatus:
    bucket = _probe_bucket(environment.cluster_id, store)
    try:
        found = environment.stores.probe(access.connection, bucket, store.spec.iam.endpoint, now)
    except S3Error as error:
        metrics.probed(store.metadata.name, succeeded=False)
        reached = _reached(environment, access)
        failed = Verdict.false(type(error).__name__, f"the probe could not be done: {error}")
        return _status(store, now, {StoreConditionType.REACHABLE: reached, StoreConditionType.PROBED: failed})
    metrics.probed(store.metadata.name, succeeded=True)
    verdicts = {
        StoreConditionType.REACHABLE: Verdict.true("Reachable"),
        StoreConditionType.PROBED: Verdict.true("Probed", f"{len(found)} capabilities were tried"),
    }
    status = _status(store, now, verdicts)
    return status.model_copy(update={"capabilities": found, "credentials_version": access.secret_version})


def _status(store: ObjectStore, now: datetime, verdicts: Mapping[StoreConditionType, Verdict]) -> ObjectStoreStatus:
    before = {found.type: found for found in store.status.conditions}
    conditions = [
        condition(kind, verdicts.get(kind), before.get(kind), store.metadata.generation, now)
        for kind in (StoreConditionType.REACHABLE, StoreConditionType.PROBED)
    ]
    wrong = next((found for found in conditions if found.status != ConditionStatus.TRUE), None)
    ready = Verdict.true("Available") if wrong is None else Verdict.false(wrong.reason, wrong.message)
    summary = condition(StoreConditionType.READY, ready, before.get("Ready"), store.metadata.generation, now)
    update = {"observed_generation": store.metadata.generation, "conditions": (summary, *conditions)}
    return store.status.model_copy(update=update)


def _probe_bucket(cluster_id: str, store: ObjectStore) -> str:
    return bucket_name_for(f"{cluster_id}/{store.metadata.uid or store.metadata.name}")


def _was_asked(store: ObjectStore) -> bool:
    return store.metadata.annotations.get(PROBE_ANNOTATION) == PROBE_NOW


def _is_true(status: ObjectStoreStatus, kind: StoreConditionType) -> bool:
    found = _verdict_of(status, kind)
    return found is not None and found.status == ConditionStatus.TRUE


def _verdict_of(status: ObjectStoreStatus, kind: StoreConditionType) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)


def _verdicts(capabilities: Sequence[Capability]) -> dict[str, str]:
    return {capability.name: capability.verdict.value for capability in capabilities}
