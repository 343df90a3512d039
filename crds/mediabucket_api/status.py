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


class Condition(ApiModel):
    """https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md"""

    type: Annotated[str, StringConstraints(min_length=1, max_length=316)]
    status: ConditionStatus
    reason: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*$", max_length=1024),
        Expected("one word in CamelCase"),
    ]
    message: Annotated[str, StringConstraints(max_length=32_768)] = ""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    last_transition_time: datetime


class CapabilityVerdict(StrEnum):
    ENFORCED = "Enforced"
    IGNORED = "Ignored"
    UNSUPPORTED = "Unsupported"


class Capability(ApiModel):
    name: ShortText
    verdict: CapabilityVerdict
    evidence: Annotated[str, StringConstraints(max_length=1024)] = ""
    probed_at: datetime


class OwnershipState(StrEnum):
    CLAIMED = "Claimed"
    OWNED = "Owned"
    FOREIGN = "Foreign"


class OwnershipOrigin(StrEnum):
    CREATED = "Created"
    ADOPTED = "Adopted"


class Ownership(ApiModel):
    state: OwnershipState
    origin: OwnershipOrigin | None = None


class Enforcer(StrEnum):
    """Who carries out a lifecycle rule. Nobody: the store dropped it and the service cannot stand in."""

    STORE = "Store"
    SERVICE = "Service"
    NOBODY = "Nobody"


class LifecycleRuleStatus(ApiModel):
    id: ShortText
    enforced_by: Enforcer
    reason: Annotated[str, StringConstraints(max_length=1024)] = ""


class CredentialsStatus(ApiModel):
    access_key_id: ShortText | None = None
    issued_at: datetime | None = None
    rotate_after: datetime | None = None
    retiring_key_id: ShortText | None = None
    retire_after: datetime | None = None


class ServiceStatus(ApiModel):
    url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    ready_replicas: Annotated[int, Field(ge=0)] = 0


class MediaBucketStatus(ApiModel):
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    bucket_name: Annotated[str, StringConstraints(max_length=63)] | None = None
    ownership: Ownership | None = None
    endpoint: Annotated[str, StringConstraints(max_length=2048)] | None = None
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=64), ListType("map", keys=("name",))] = ()
    lifecycle: Annotated[tuple[LifecycleRuleStatus, ...], Field(max_length=16), ListType("map", keys=("id",))] = ()
    credentials: CredentialsStatus | None = None
    service: ServiceStatus | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32), ListType("map", keys=("type",))] = ()


class ObjectStoreStatus(ApiModel):
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=64), ListType("map", keys=("name",))] = ()
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), ListType("map", keys=("type",))] = ()
