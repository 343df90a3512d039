"""What becomes of a bucket when its MediaBucket is deleted. In doubt it stays.

https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""

from collections.abc import Callable
from dataclasses import dataclass

from mediabucket_api.constants import ABANDON_ANNOTATION, CONFIRM_DESTROY_ANNOTATION
from mediabucket_api.object_store import IamMode, Permission
from mediabucket_api.resources import MediaBucket
from mediabucket_api.spec import DeletionPolicy, ManagementPolicy
from mediabucket_api.status import ConditionType, OwnershipOrigin, OwnershipState
from mediabucket_operator.canary import CANARY_KEYS
from mediabucket_operator.cluster import Manifest, Reference
from mediabucket_operator.conditions import NO_ANSWER, Conditions, Verdict
from mediabucket_operator.credentials import BucketIdentity, user_name
from mediabucket_operator.event_notes import of_transitions
from mediabucket_operator.guard import StoreAccess, StoreRefused, store_access
from mediabucket_operator.ownership import Found, Owner, look
from mediabucket_operator.stored import Unreadable, read_media_bucket
from mediabucket_operator.visit import Environment, tell, tell_unreadable, unreadable, write_status
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import (
    BucketMissing,
    BucketNotEmpty,
    NotImplementedByStore,
    S3Error,
    StoreUnavailable,
    Throttled,
)


@dataclass(frozen=True)
class Blocked:
    """Why the resource cannot go yet: a one-word reason, and a sentence with what to do."""

    reason: str
    message: str


class Withdrawn(Exception):
    """Nobody wants the deletion any more: not a call more to the store."""


@dataclass
class Attempt:
    """One attempt at a deletion. `refusal` is asked before the store is: what is known already to keep it from its
    store. `withdrawn` is asked again and again.

    Afterwards: whether the store was asked for anything, and what kept it from answering.
    """

    refusal: Callable[[], StoreRefused | None] = lambda: None
    withdrawn: Callable[[], bool] = lambda: False
    contacted: bool = False
    unanswered: str | None = None

    def begin(self) -> None:
        """Raises StoreRefused."""
        if (refused := self.refusal()) is not None:
            raise refused
        self.contacted = True

    def go_on(self) -> None:
        """Before each step that cannot be undone. Raises Withdrawn."""
        if self.withdrawn():
            raise Withdrawn


_WAYS_OUT = f"or set deletionPolicy: Retain, or annotate {ABANDON_ANNOTATION}=true to leave everything as it is"


def asks_nothing_of_the_store(manifest: Manifest) -> bool:
    """Whether people want everything left as it is, so that no store and no visit has to be waited for."""
    policy = (manifest.get("spec") or {}).get("deletionPolicy", DeletionPolicy.RETAIN)
    annotations = manifest["metadata"].get("annotations") or {}
    return policy == DeletionPolicy.RETAIN or annotations.get(ABANDON_ANNOTATION) == "true"


def release(environment: Environment, reference: Reference, attempt: Attempt | None = None) -> Blocked | None:
    """Carry out the deletion policy of a MediaBucket that is on its way out; None when it may go.

    May be repeated after a crash at any call. Raises ClusterError: then nothing is known; Withdrawn.
    """
    manifest = environment.cluster.get(reference)
    if manifest is None:
        return None
    try:
        resource = read_media_bucket(manifest)
    except Unreadable as error:
        return _unread(environment, manifest, error)
    if leaves_everything(resource):
        return None
    blocked = _delete(environment, resource, attempt or Attempt())
    if blocked is not None:
        _write(environment, manifest, resource, blocked)
    return blocked


def _unread(environment: Environment, manifest: Manifest, error: Unreadable) -> Blocked | None:
    """Of a spec that cannot be read as a whole, what says that everything stays still counts."""
    annotations = manifest["metadata"].get("annotations") or {}
    policy = (manifest.get("spec") or {}).get("deletionPolicy", DeletionPolicy.RETAIN)
    if policy == DeletionPolicy.RETAIN or annotations.get(ABANDON_ANNOTATION) == "true":
        return None
    blocked = Blocked("SpecUnreadable", f"{error}: apply the manifest again, {_WAYS_OUT}")
    told = {ConditionType.DELETION_BLOCKED: Verdict.true(blocked.reason, blocked.message)}
    tell_unreadable(environment, manifest, unreadable(error) | told)
    return blocked


def leaves_everything(resource: MediaBucket) -> bool:
    """Whether the resource may go without a call to the store."""
    ownership = resource.status.ownership
    return (
        resource.spec.deletion_policy == DeletionPolicy.RETAIN
        or resource.metadata.annotations.get(ABANDON_ANNOTATION) == "true"
        # Nothing was ever made, or it is somebody else's.
        or ownership is None
        or ownership.state == OwnershipState.FOREIGN
    )


def refusal(resource: MediaBucket, access: StoreAccess) -> Blocked | None:
    """Why the bucket must not be deleted, whatever is in it."""
    bucket, ownership = resource.bucket_name, resource.status.ownership
    if resource.spec.management_policy != ManagementPolicy.MANAGE:
        told = (
            f"managementPolicy is {resource.spec.management_policy}: set Manage to delete bucket {bucket}, {_WAYS_OUT}"
        )
        return Blocked("NotManaged", told)
    if resource.spec.deletion_policy != DeletionPolicy.DESTROY:
        return None
    if ownership is not None and ownership.origin == OwnershipOrigin.ADOPTED:
        return Blocked("Adopted", f"bucket {bucket} was adopted, and is never destroyed: set deletionPolicy: Retain")
    if access.resource.spec.limits.allow_destroy == Permission.FORBIDDEN:
        return Blocked("DestroyForbidden", f"ObjectStore {access.resource.metadata.name} forbids Destroy; {_WAYS_OUT}")
    if resource.metadata.annotations.get(CONFIRM_DESTROY_ANNOTATION) != bucket:
        told = f"to destroy bucket {bucket} with all media, annotate {CONFIRM_DESTROY_ANNOTATION}={bucket}"
        return Blocked("ConfirmationMissing", f"{told}; {_WAYS_OUT}")
    return None


def _delete(environment: Environment, resource: MediaBucket, attempt: Attempt) -> Blocked | None:
    try:
        access = store_access(resource.spec.store_ref.name, environment.cluster, environment.settings.namespace)
    except StoreRefused as error:
        return Blocked(error.reason, f"{error.message}; {_WAYS_OUT}")
    if blocked := refusal(resource, access):
        return blocked
    admin = environment.stores.admin(access.connection, resource.bucket_name)
    try:
        attempt.begin()
        _delete_bucket(environment, resource, admin, attempt)
        _remove_identity(environment, resource, access)
    except StoreRefused as error:
        return Blocked(error.reason, f"{error.message}; {_WAYS_OUT}")
    except BucketMissing:
        return None
    except BucketNotEmpty:
        told = f"bucket {resource.bucket_name} is not empty: empty it, or use deletionPolicy Destroy; {_WAYS_OUT}"
        return Blocked("NotEmpty", told)
    except S3Error as error:
        if isinstance(error, StoreUnavailable | Throttled):
            attempt.unanswered = str(error)
        return Blocked(type(error).__name__, f"{error}; {_WAYS_OUT}")
    return None


def _delete_bucket(environment: Environment, resource: MediaBucket, admin: BucketAdmin, attempt: Attempt) -> None:
    found = look(admin)
    attempt.go_on()
    if found.exists and is_ours(resource, found, environment.cluster_id):
        _empty_if_asked(resource, admin, attempt)
        attempt.go_on()
        admin.delete()
    elif found.exists and found.mark is None:
        _delete_left_over(admin)


def _delete_left_over(admin: BucketAdmin) -> None:
    """SeaweedFS makes a deleted bucket anew when an upload ends that began before: without a mark, and with nothing in
    it but what this program wrote.
    """
    keys = admin.first_keys()
    if not keys or not set(keys) <= set(CANARY_KEYS):
        return
    for key in CANARY_KEYS:
        admin.delete_every_version(key)
    if admin.is_empty():
        admin.delete()


def is_ours(resource: MediaBucket, found: Found, cluster: str) -> bool:
    """Whether the bucket may be deleted with the resource: it carries our mark, or died with us before it got one."""
    if found.mark is not None:
        return found.mark.owner.uid == Owner.of(resource, cluster).uid
    return found.empty


def _empty_if_asked(resource: MediaBucket, admin: BucketAdmin, attempt: Attempt) -> None:
    """Of a bucket that may only go when it is empty, what this program itself left there is taken away."""
    if resource.spec.deletion_policy == DeletionPolicy.DESTROY:
        admin.delete_everything(attempt.go_on)
        return
    for key in CANARY_KEYS:
        admin.delete_every_version(key)


def _remove_identity(environment: Environment, resource: MediaBucket, access: StoreAccess) -> None:
    if access.resource.spec.iam.mode == IamMode.SHARED:
        return
    admin = environment.stores.identities(access.connection, access.resource.spec.iam.endpoint)
    try:
        BucketIdentity(admin, user_name(resource, environment.cluster_id), resource.bucket_name).remove()
    except NotImplementedByStore:
        return


def _write(environment: Environment, manifest: Manifest, resource: MediaBucket, blocked: Blocked) -> None:
    known = next((found for found in resource.status.conditions if found.type == ConditionType.DELETION_BLOCKED), None)
    if known is not None and known.reason == blocked.reason and blocked.reason in NO_ANSWER:
        # The store still does not answer: in which call it did not is no news.
        return
    now = environment.clock().replace(microsecond=0)
    conditions = Conditions(resource.status.conditions, resource.metadata.generation, now)
    conditions.set(ConditionType.DELETION_BLOCKED, Verdict.true(blocked.reason, blocked.message))
    status = resource.status.model_copy(update={"conditions": conditions.build()})
    written = write_status(environment, manifest, status)
    tell(environment, written, list(of_transitions(resource.status.conditions, status.conditions)))
