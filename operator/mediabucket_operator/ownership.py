"""Whose bucket is it? Nothing is ever written to a bucket that cannot be proved ours."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from mediabucket_api.constants import (
    GROUP,
    OWNER_CLUSTER_TAG,
    OWNER_MARKER_KEY,
    OWNER_NAME_TAG,
    OWNER_TAG,
    RECREATE_ANNOTATION,
)
from mediabucket_api.resources import MediaBucket
from mediabucket_api.spec import AdoptionPolicy
from mediabucket_api.status import Ownership, OwnershipOrigin, OwnershipState
from mediabucket_operator.conditions import Verdict
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import NotImplementedByStore

# In the bucket, because a status does not outlive its resource: an adopted bucket must never be destroyed.
ORIGIN_TAG = f"{GROUP}/origin"


@dataclass(frozen=True)
class Owner:
    """Who a bucket says it belongs to: a resource's UID, its `<namespace>/<name>`, and the id of its cluster.

    `cluster` is empty for a manifest that was applied without a cluster.
    """

    uid: str
    name: str
    cluster: str = ""

    @classmethod
    def of(cls, resource: MediaBucket, cluster: str = "") -> "Owner":
        return cls(resource.owner_uid, f"{resource.metadata.namespace}/{resource.metadata.name}", cluster)

    def was(self, other: "Owner") -> bool:
        """Whether the other is the same resource, deleted and applied again: its UID is another one."""
        return self.name == other.name and (self.cluster == other.cluster or not (self.cluster and other.cluster))

    def __str__(self) -> str:
        return (self.name or self.uid) + (f" of cluster {self.cluster}" if self.cluster else "")


@dataclass(frozen=True)
class Mark:
    """What stands in a bucket: its owner, and whether the first of them made or adopted it."""

    owner: Owner
    origin: OwnershipOrigin

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "Mark | None":
        if OWNER_TAG not in tags:
            return None
        created = tags.get(ORIGIN_TAG) == OwnershipOrigin.CREATED
        origin = OwnershipOrigin.CREATED if created else OwnershipOrigin.ADOPTED
        owner = Owner(tags[OWNER_TAG], tags.get(OWNER_NAME_TAG, ""), tags.get(OWNER_CLUSTER_TAG, ""))
        return cls(owner, origin)

    def tags(self) -> dict[str, str]:
        cluster = {OWNER_CLUSTER_TAG: self.owner.cluster} if self.owner.cluster else {}
        return {OWNER_TAG: self.owner.uid, OWNER_NAME_TAG: self.owner.name, ORIGIN_TAG: self.origin.value} | cluster


@dataclass(frozen=True)
class Found:
    """What was seen of a bucket. `empty` is looked at only where it matters: in a bucket without a mark."""

    exists: bool
    mark: Mark | None = None
    empty: bool = False


class Step(Enum):
    """What may be done with the bucket."""

    CREATE = auto()
    TAKE = auto()
    KEEP = auto()
    REFUSE = auto()


@dataclass(frozen=True)
class Decision:
    """What to do, what status says of it, and the condition BucketOwned."""

    step: Step
    ownership: Ownership
    verdict: Verdict


def look(admin: BucketAdmin) -> Found:
    """See whose bucket it is. Raises S3Error."""
    if not admin.exists():
        return Found(exists=False)
    mark = read_mark(admin)
    return Found(exists=True, mark=mark, empty=mark is None and admin.is_empty())


def read_mark(admin: BucketAdmin) -> Mark | None:
    """The mark in the bucket's tags, or in an object where the store keeps no tags. Raises S3Error."""
    return Mark.from_tags(_tags(admin) or {}) or _marked_by_object(admin.read_object(OWNER_MARKER_KEY))


@dataclass(frozen=True)
class Made:
    """A bucket just after CreateBucket: the mark in it, and its tags, None where the store has none."""

    mark: Mark | None
    tags: Mapping[str, str] | None


def look_at_made(admin: BucketAdmin, *, keeps_tags: bool) -> Made:
    """See what became of a bucket that was just asked for. Raises S3Error.

    `keeps_tags`: a probe found so. Whoever was faster then has marked it by its tags, and there is no object to look
    for, unless the store is another one since.
    """
    tags = _tags(admin)
    mark = Mark.from_tags(tags or {})
    if mark is None and (tags is None or not keeps_tags):
        mark = _marked_by_object(admin.read_object(OWNER_MARKER_KEY))
    return Made(mark, tags)


def _tags(admin: BucketAdmin) -> dict[str, str] | None:
    """None where the store has no tags."""
    try:
        return admin.get_tags()
    except NotImplementedByStore:
        return None


def write_mark(admin: BucketAdmin, mark: Mark, made: Made | None = None) -> Mark:
    """Mark the bucket as ours beside whatever tags it has; `made`: as it was a moment ago. Raises S3Error.

    The mark that stands in it then is somebody else's, where both wrote theirs at once and ours was the first.
    """
    tags = _tags(admin) if made is None else made.tags
    kept = None if tags is None else _marked_by_tags(admin, mark, tags)
    if kept is None:
        admin.write_object(OWNER_MARKER_KEY, json.dumps(mark.tags()).encode(), "application/json")
    return kept or mark


def _marked_by_tags(admin: BucketAdmin, mark: Mark, tags: Mapping[str, str]) -> Mark | None:
    """The mark that is read back, None where the store keeps none."""
    if Mark.from_tags(tags) == mark:
        # With the tags that the bucket was made with.
        return mark
    try:
        admin.put_tags({**tags, **mark.tags()})
    except NotImplementedByStore:
        return None
    return Mark.from_tags(_tags(admin) or {})


def decide(resource: MediaBucket, found: Found, cluster: str = "") -> Decision:
    """What to do with the bucket, from what was seen of it and what the manifest allows."""
    if not found.exists:
        return _missing(resource)
    if found.mark is None:
        return _unmarked(resource, found)
    ours, owner = Owner.of(resource, cluster), found.mark.owner
    if owner.uid == ours.uid:
        return _owned(Step.KEEP, found.mark.origin)
    if ours.was(owner) and resource.spec.adoption_policy != AdoptionPolicy.NEVER:
        # A resource that was deleted under Retain and applied again has a new UID and its old name.
        return _owned(Step.TAKE, found.mark.origin)
    return _refused(
        resource,
        "ForeignOwner",
        f"bucket {resource.bucket_name} belongs to {owner}: choose another bucketName",
    )


def _marked_by_object(content: bytes | None) -> Mark | None:
    if content is None:
        return None
    try:
        tags = json.loads(content)
    except ValueError:
        tags = None
    marked = Mark.from_tags(tags) if isinstance(tags, dict) else None
    # Somebody meant something by it: nobody's bucket it is not.
    return marked or Mark(Owner("", f"whoever wrote {OWNER_MARKER_KEY} into it"), OwnershipOrigin.ADOPTED)


def _missing(resource: MediaBucket) -> Decision:
    known = resource.status.ownership
    was_ours = known is not None and known.origin is not None
    if known is None or not was_ours or resource.metadata.annotations.get(RECREATE_ANNOTATION) == "true":
        return _owned(Step.CREATE, OwnershipOrigin.CREATED)
    gone = (
        f"bucket {resource.bucket_name} was there and is gone; an empty one is made only with the annotation"
        f" {RECREATE_ANNOTATION}=true"
    )
    return Decision(Step.REFUSE, known, Verdict.false("BucketMissing", gone))


def _unmarked(resource: MediaBucket, found: Found) -> Decision:
    known = resource.status.ownership
    if known is not None and known.state == OwnershipState.CLAIMED and found.empty:
        # Whoever made it died before marking it. With anything in it, somebody else was faster.
        return _owned(Step.TAKE, OwnershipOrigin.CREATED)
    if resource.spec.adoption_policy == AdoptionPolicy.ADOPT:
        return _owned(Step.TAKE, OwnershipOrigin.ADOPTED)
    return _refused(
        resource,
        "BucketExists",
        f"bucket {resource.bucket_name} exists and does not say whose it is: set adoptionPolicy Adopt if it is yours,"
        " or choose another bucketName",
    )


def _refused(resource: MediaBucket, reason: str, message: str) -> Decision:
    known = resource.status.ownership
    ownership = Ownership(state=OwnershipState.FOREIGN, origin=known.origin if known is not None else None)
    return Decision(Step.REFUSE, ownership, Verdict.false(reason, message))


def _owned(step: Step, origin: OwnershipOrigin) -> Decision:
    verdict = Verdict.true("Owned", "the bucket is marked as this resource's")
    return Decision(step, Ownership(state=OwnershipState.OWNED, origin=origin), verdict)
