"""Whose bucket is it? Nothing is ever written to a bucket that cannot be proved ours."""

import json
from dataclasses import dataclass
from enum import Enum, auto

from mediabucket_api.constants import OWNER_MARKER_KEY, OWNER_NAME_TAG, OWNER_TAG, RECREATE_ANNOTATION
from mediabucket_api.resources import MediaBucket
from mediabucket_api.spec import AdoptionPolicy
from mediabucket_api.status import Ownership, OwnershipOrigin, OwnershipState
from mediabucket_operator.conditions import Verdict
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import NotImplementedByStore


@dataclass(frozen=True)
class Owner:
    """Who a bucket says it belongs to: a resource's UID, and its `<namespace>/<name>` for people."""

    uid: str
    name: str

    @classmethod
    def of(cls, resource: MediaBucket) -> "Owner":
        return cls(resource.owner_uid, f"{resource.metadata.namespace}/{resource.metadata.name}")

    def tags(self) -> dict[str, str]:
        return {OWNER_TAG: self.uid, OWNER_NAME_TAG: self.name}


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
    ownership: Ownership | None
    verdict: Verdict


def read_owner(admin: BucketAdmin) -> Owner | None:
    """The owner in the bucket's tags, or in the marker object where the store has no tags. Raises S3Error."""
    try:
        tags = admin.get_tags()
    except NotImplementedByStore:
        content = admin.read_object(OWNER_MARKER_KEY)
        tags = {} if content is None else json.loads(content)
    return Owner(tags[OWNER_TAG], tags.get(OWNER_NAME_TAG, "")) if OWNER_TAG in tags else None


def write_owner(admin: BucketAdmin, owner: Owner) -> None:
    """Mark the bucket as ours beside whatever tags it has. Raises S3Error."""
    try:
        admin.put_tags(admin.get_tags() | owner.tags())
    except NotImplementedByStore:
        admin.write_object(OWNER_MARKER_KEY, json.dumps(owner.tags()).encode(), "application/json")


def decide(resource: MediaBucket, exists: bool, found: Owner | None) -> Decision:
    """What to do with the bucket, from what it says and what the manifest allows."""
    if not exists:
        return _missing(resource)
    if found is None:
        return _unmarked(resource)
    ours = Owner.of(resource)
    if found.uid == ours.uid:
        return Decision(Step.KEEP, _owned(resource, OwnershipOrigin.CREATED), _verdict_owned())
    if found.name == ours.name and resource.spec.adoption_policy != AdoptionPolicy.NEVER:
        # A resource that was deleted under Retain and applied again has a new UID and its old name.
        return Decision(Step.TAKE, _owned(resource, OwnershipOrigin.CREATED), _verdict_owned())
    return _refused(
        "ForeignOwner",
        f"bucket {resource.bucket_name} belongs to {found.name or found.uid}: choose another bucketName",
    )


def _missing(resource: MediaBucket) -> Decision:
    known = resource.status.ownership
    was_there = known is not None and known.state == OwnershipState.OWNED
    if not was_there or resource.metadata.annotations.get(RECREATE_ANNOTATION) == "true":
        return Decision(Step.CREATE, _owned(resource, OwnershipOrigin.CREATED), _verdict_owned())
    gone = (
        f"bucket {resource.bucket_name} was there and is gone; an empty one is made only with the annotation"
        f" {RECREATE_ANNOTATION}=true"
    )
    return Decision(Step.REFUSE, known, Verdict.false("BucketMissing", gone))


def _unmarked(resource: MediaBucket) -> Decision:
    known = resource.status.ownership
    if known is not None and known.state == OwnershipState.CLAIMED:
        # The claim is older than the bucket: whoever made it died before marking it.
        return Decision(Step.TAKE, _owned(resource, OwnershipOrigin.CREATED), _verdict_owned())
    if resource.spec.adoption_policy == AdoptionPolicy.ADOPT:
        return Decision(Step.TAKE, _owned(resource, OwnershipOrigin.ADOPTED), _verdict_owned())
    return _refused(
        "BucketExists",
        f"bucket {resource.bucket_name} exists and does not say whose it is: set adoptionPolicy Adopt if it is yours,"
        " or choose another bucketName",
    )


def _refused(reason: str, message: str) -> Decision:
    return Decision(Step.REFUSE, Ownership(state=OwnershipState.FOREIGN), Verdict.false(reason, message))


def _owned(resource: MediaBucket, origin: OwnershipOrigin) -> Ownership:
    known = resource.status.ownership
    return Ownership(state=OwnershipState.OWNED, origin=(known and known.origin) or origin)


def _verdict_owned() -> Verdict:
    return Verdict.true("Owned", "the bucket is marked as this resource's")
