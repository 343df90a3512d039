"""What a MediaBucket and an ObjectStore answer in `status`."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from mediabucket_api.base import ApiModel, Expected, ListType, ShortText


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """The conditions of a MediaBucket; all are set on the first visit. The last two have negative polarity."""

    READY = "Ready"
    STORE_REACHABLE = "StoreReachable"
    BUCKET_OWNED = "BucketOwned"
    POLICY_SYNCED = "PolicySynced"
    CORS_SYNCED = "CorsSynced"
    LIFECYCLE_ENFORCED = "LifecycleEnforced"
    ENCRYPTION_SYNCED = "EncryptionSynced"
    VERSIONING_SYNCED = "VersioningSynced"
    TAGS_SYNCED = "TagsSynced"
    PUBLIC_ACCESS_BLOCKED = "PublicAccessBlocked"
    CREDENTIALS_READY = "CredentialsReady"
    SERVICE_AVAILABLE = "ServiceAvailable"
    UPLOAD_PATH_VERIFIED = "UploadPathVerified"
    DRIFTED = "Drifted"
    DELETION_BLOCKED = "DeletionBlocked"


class StoreConditionType(StrEnum):
    """The conditions of an ObjectStore; all are set on the first visit."""

    READY = "Ready"
    REACHABLE = "Reachable"
    PROBED = "Probed"


class Condition(ApiModel):
    """https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md"""

    type: Annotated[str, StringConstraints(min_length=1, max_length=316)]
    """Unique within the list."""
    status: ConditionStatus
    """Whether the condition holds."""
    reason: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*$", max_length=1024),
        Expected("one word in CamelCase"),
    ]
    """One word for programs."""
    message: Annotated[str, StringConstraints(max_length=32_768)] = ""
    """A sentence for people, with what to do."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the resource that this is about."""
    last_transition_time: datetime
    """When status last flipped."""


class CapabilityVerdict(StrEnum):
    ENFORCED = "Enforced"
    IGNORED = "Ignored"
    UNSUPPORTED = "Unsupported"


class Capability(ApiModel):
    name: ShortText
    """What was tried."""
    verdict: CapabilityVerdict
    """Enforced: the store does it. Ignored: it accepts the request and does nothing. Unsupported: it refuses."""
    evidence: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """What the store answered; in the status of the ObjectStore only."""
    probed_at: datetime
    """When it was tried."""


class OwnershipState(StrEnum):
    CLAIMED = "Claimed"
    OWNED = "Owned"
    FOREIGN = "Foreign"


class OwnershipOrigin(StrEnum):
    CREATED = "Created"
    ADOPTED = "Adopted"


class Ownership(ApiModel):
    state: OwnershipState
    """Claimed: announced before the bucket is made. Foreign: it belongs to somebody else."""
    origin: OwnershipOrigin | None = None
    """An adopted bucket is never destroyed."""


class Enforcer(StrEnum):
    """Who carries out a lifecycle rule. Nobody: the store dropped it and the service cannot stand in."""

    STORE = "Store"
    SERVICE = "Service"
    NOBODY = "Nobody"


class LifecycleRuleStatus(ApiModel):
    id: ShortText
    """Name of the rule."""
    enforced_by: Enforcer
    """Nobody: the store dropped it and the service cannot stand in."""
    reason: Annotated[str, StringConstraints(max_length=1024)] = ""
    """Why not the store."""


class CredentialsStatus(ApiModel):
    access_key_id: ShortText | None = None
    """The access key in use."""
    issued_at: datetime | None = None
    """When it was made."""
    rotate_after: datetime | None = None
    """When it is replaced."""
    retiring_key_id: ShortText | None = None
    """The access key before it, which still works."""
    retire_after: datetime | None = None
    """When that one stops working."""


class ChangeAction(StrEnum):
    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class ServiceStatus(ApiModel):
    url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    """Where the upload API is reached."""
    ready_replicas: Annotated[int, Field(ge=0)] = 0
    """Replicas that answer."""


class PlannedChange(ApiModel):
    """One thing that would be written, were managementPolicy Manage."""

    aspect: ShortText
    """The side of the bucket that it is about."""
    path: ShortText
    """The field within it."""
    action: ChangeAction
    """What would be done to it."""
    before: Annotated[str, StringConstraints(max_length=256)] = ""
    """What the store has, cut short; nothing for a new one."""
    after: Annotated[str, StringConstraints(max_length=256)] = ""
    """What the manifest wants, cut short; nothing for one that goes."""


class MediaBucketStatus(ApiModel):
    """What was found and done, by observation only."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the resource that this status is about."""
    bucket_name: Annotated[str, StringConstraints(max_length=63)] | None = None
    """The bucket that was claimed."""
    ownership: Ownership | None = None
    """Whose the bucket is."""
    endpoint: Annotated[str, StringConstraints(max_length=2048)] | None = None
    """The store that the bucket is on."""
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=64), ListType("atomic")] = ()
    """What the store was found to do."""
    lifecycle: Annotated[tuple[LifecycleRuleStatus, ...], Field(max_length=16), ListType("atomic")] = ()
    """Who carries out which lifecycle rule."""
    credentials: CredentialsStatus | None = None
    """The bucket's own access key."""
    service: ServiceStatus | None = None
    """The upload service."""
    plan: Annotated[tuple[PlannedChange, ...], Field(max_length=64), ListType("atomic")] = ()
    """With managementPolicy Observe: what Manage would write."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32), ListType("map", keys=("type",))] = ()
    """Ready is the summary of all others."""


class ObjectStoreStatus(ApiModel):
    """What was found, by observation only."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the resource that this status is about."""
    credentials_version: ShortText | None = None
    """Version of the Secret that the store was probed with."""
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=64), ListType("atomic")] = ()
    """What the store was found to do."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), ListType("map", keys=("type",))] = ()
    """Ready is the summary of all others."""
