"""MediaBucketSpec: the only configuration of a bucket and of the upload API in front of it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from mediabucket_api.base import ApiModel, Expected, HttpUrl, ListType, Name, Rule, immutable, immutable_optional
from mediabucket_api.workload import SecretReference, Service

MAX_BUCKET_NAME_CHARACTERS = 63
# No dot, underscore or capital: botocore silently leaves virtual-host addressing for such names.
BucketName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", max_length=MAX_BUCKET_NAME_CHARACTERS),
    Expected("3 to 63 lower-case letters, digits and dashes, with a letter or digit at both ends (no dots)"),
]
MimeType = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*$", max_length=127),
    Expected("one lower-case media type such as image/png, without wildcards and parameters"),
]
Origin = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|https?://[A-Za-z0-9.*-]+(:([0-9]{1,5}|\*))?)$", max_length=253),
    Expected("a web origin such as https://app.example.com or http://localhost:*, without path and final slash, or *"),
]
# Part of the name of an environment variable.
WebhookName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"),
    Expected("at most 40 lower-case letters, digits and dashes, with a letter or digit at both ends"),
]

DEFAULT_MIME_TYPES = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "video/mp4",
    "video/quicktime",
    "audio/mpeg",
    "audio/mp4",
    "application/pdf",
)
# One PUT carries at most 5 GiB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
MAX_SINGLE_PUT_BYTES = 5 * 1024**3
# What S3 is known to hold in one object: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_OBJECT_BYTES = 5 * 1024**4
MIN_PART_BYTES = 5 * 1024**2


class ManagementPolicy(StrEnum):
    MANAGE = "Manage"
    OBSERVE = "Observe"
    PAUSE = "Pause"


class AdoptionPolicy(StrEnum):
    NEVER = "Never"
    IF_TAGGED_OURS = "IfTaggedOurs"
    ADOPT = "Adopt"


class DeletionPolicy(StrEnum):
    RETAIN = "Retain"
    DELETE_IF_EMPTY = "DeleteIfEmpty"
    DESTROY = "Destroy"


class DriftPolicy(StrEnum):
    CORRECT = "Correct"
    WARN = "Warn"


class Integrity(StrEnum):
    VERIFIED = "Verified"
    SIGNED = "Signed"


class PublicAccess(StrEnum):
    BLOCKED = "Blocked"
    PUBLIC_READ = "PublicRead"


class Switch(StrEnum):
    ENFORCED = "Enforced"
    DISABLED = "Disabled"


class EncryptionType(StrEnum):
    NONE = "None"
    SSE_S3 = "SSES3"
    SSE_KMS = "SSEKMS"


class Versioning(StrEnum):
    DISABLED = "Disabled"
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


class StoreReference(ApiModel):
    name: Name
    """Name of an ObjectStore."""


class Multipart(ApiModel):
    """When an upload is offered in parts, and how large a part is, in bytes."""

    min_bytes: Annotated[int, Field(ge=MIN_PART_BYTES, le=MAX_SINGLE_PUT_BYTES)] = 64 * 1024**2
    """Files of at least this size are offered in parts."""
    part_bytes: Annotated[int, Field(ge=MIN_PART_BYTES, le=MAX_SINGLE_PUT_BYTES)] = 16 * 1024**2
    """Size of each part but the last."""


class UploadLimits(ApiModel):
    """Per user: pending uploads, bytes stored and reserved, and API calls."""

    pending_per_user: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Uploads that one user may have begun and not confirmed."""
    bytes_per_user: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """Bytes that one user may have stored and reserved."""
    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """API calls that one user may make in a minute, over all replicas; a tenth of them at once."""


class WebhookEvent(StrEnum):
    COMPLETED = "media.completed"
    FAILED = "media.failed"
    EXPIRED = "media.expired"
    DELETED = "media.deleted"


class Webhook(ApiModel):
    """Where to tell what became of media, at least once, signed: https://www.standardwebhooks.com"""

    name: WebhookName
    """Unique within the list."""
    url: HttpUrl
    """Where events are POSTed."""
    secret_ref: SecretReference
    """The Secret whose key `secret`, unless another is named, holds the signing secret `whsec_...`."""
    events: Annotated[tuple[WebhookEvent, ...], Field(min_length=1, max_length=4), ListType("set")] = tuple(
        WebhookEvent
    )
    """Which events are sent."""


class Uploads(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.staleAfterSeconds >= self.urlTTLSeconds",
            "staleAfterSeconds must be at least urlTTLSeconds: an upload cannot expire before its URL does",
            lambda uploads: uploads.stale_after_seconds >= uploads.url_ttl_seconds,
        ),
    )

    max_bytes: Annotated[int, Field(ge=1, le=MAX_OBJECT_BYTES)] = 104_857_600
    """Largest file accepted, in bytes; above 5 GiB in parts only. The size is signed into the upload URL."""
    allowed_mime_types: Annotated[tuple[MimeType, ...], Field(min_length=1, max_length=64), ListType("set")] = (
        DEFAULT_MIME_TYPES
    )
    """Types accepted. The type is signed into the upload URL."""
    # AWS signs for at most seven days: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
    url_ttl_seconds: Annotated[int, Field(ge=1, le=604_800, alias="urlTTLSeconds")] = 300
    """How long an upload URL works."""
    stale_after_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    """When an upload that was never confirmed expires, row and bytes."""
    integrity: Integrity = Integrity.VERIFIED
    """Verified: SHA-256 is proved at confirm. Signed: the store itself also refuses other bytes and a second PUT."""
    multipart: Multipart = Multipart()
    """How large files are cut."""
    limits: UploadLimits = UploadLimits()
    """What one user may hold and ask."""
    webhooks: Annotated[tuple[Webhook, ...], Field(max_length=8), ListType("map", keys=("name",))] = ()
    """Who is told what became of media."""


class Cors(ApiModel):
    """Which web pages may use the URLs and the API. Methods and headers follow from what the signer signs."""

    allowed_origins: Annotated[tuple[Origin, ...], Field(max_length=64), ListType("set")] = ()
    """Origins of the web pages that may upload; none: only programs outside a browser."""
    max_age_seconds: Annotated[int, Field(ge=0, le=86_400)] = 3600
    """How long a browser may remember a preflight."""


class Lifecycle(ApiModel):
    expire_pending_days: Annotated[int, Field(ge=1, le=365)] = 1
    """Age at which the store removes what was uploaded and never confirmed."""
    abort_incomplete_multipart_days: Annotated[int, Field(ge=1, le=365)] = 1
    """Age at which the store aborts multipart uploads."""
    expire_noncurrent_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """Age at which old versions go; needs versioning."""


class Encryption(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "(self.type == 'SSEKMS') == has(self.kmsKeyId)",
            "kmsKeyId is required with type SSEKMS and refused with any other type",
            lambda encryption: (encryption.type == EncryptionType.SSE_KMS) == (encryption.kms_key_id is not None),
        ),
    )

    type: EncryptionType = EncryptionType.NONE
    """SSES3: keys of the store. SSEKMS: a key of a key management service."""
    kms_key_id: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = None
    """Key id or ARN, with type SSEKMS only."""


class Tag(ApiModel):
    """A bucket tag: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Tag.html"""

    key: Annotated[
        str,
        StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9 _.:/=+@-]+$"),
        Expected("letters, digits, spaces and _ . : / = + @ -"),
    ]
    """Unique within the bucket."""
    value: Annotated[
        str,
        StringConstraints(max_length=256, pattern=r"^[A-Za-z0-9 _.:/=+@-]*$"),
        Expected("letters, digits, spaces and _ . : / = + @ -"),
    ]
    """May be empty."""


class Cdn(ApiModel):
    base_url: HttpUrl | None = None
    """Where media are served from, instead of signed URLs of the store."""

    def url_of(self, key: str) -> str | None:
        """The CDN's URL of a published key; None without a CDN."""
        return None if self.base_url is None else f"{self.base_url.rstrip('/')}/{key}"


class Rotation(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.overlapHours < self.intervalDays * 24",
            "overlapHours must be shorter than intervalDays",
            lambda rotation: rotation.overlap_hours < rotation.interval_days * 24,
        ),
    )

    interval_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Age at which an access key is replaced."""
    overlap_hours: Annotated[int, Field(ge=1, le=720)] = 24
    """How long the old key still works beside the new one."""


class Credentials(ApiModel):
    rotation: Rotation = Rotation()
    """When the access key of the bucket is replaced."""


class MediaBucketSpec(ApiModel):
    """What the bucket and the upload service shall be."""

    rules: ClassVar[Sequence[Rule]] = (
        immutable("storeRef"),
        immutable_optional("bucketName"),
        Rule(
            "self.versioning != 'Disabled' || oldSelf.versioning == 'Disabled'",
            "versioning cannot go back to Disabled: S3 only knows Suspended",
        ),
        Rule(
            "self.deletionPolicy != 'Destroy' || self.adoptionPolicy != 'Adopt'",
            "deletionPolicy Destroy is refused with adoptionPolicy Adopt: adopted buckets are never destroyed",
            lambda spec: spec.deletion_policy != DeletionPolicy.DESTROY or spec.adoption_policy != AdoptionPolicy.ADOPT,
        ),
        Rule(
            "!has(self.lifecycle.expireNoncurrentDays) || self.versioning != 'Disabled'",
            "lifecycle.expireNoncurrentDays needs versioning Enabled or Suspended",
            lambda spec: spec.lifecycle.expire_noncurrent_days is None or spec.versioning != Versioning.DISABLED,
        ),
    )

    store_ref: StoreReference
    """The ObjectStore that the bucket is made on. Immutable."""
    bucket_name: BucketName | None = None
    """Default: namespace, dash, name. Immutable."""
    management_policy: ManagementPolicy = ManagementPolicy.MANAGE
    """Observe: report what would change and write nothing. Pause: do nothing."""
    adoption_policy: AdoptionPolicy = AdoptionPolicy.IF_TAGGED_OURS
    """What to do with a bucket that exists already. IfTaggedOurs: take it when its tags name this resource."""
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """What becomes of the bucket when this resource is deleted."""
    drift_policy: DriftPolicy = DriftPolicy.CORRECT
    """What to do when somebody changed the bucket by hand."""
    resync_interval_seconds: Annotated[int, Field(ge=30, le=86_400)] = 300
    """How often the bucket is compared with this spec, jittered."""
    uploads: Uploads = Uploads()
    """What may be uploaded, and how."""
    public_access: PublicAccess = PublicAccess.BLOCKED
    """PublicRead: anybody may read confirmed media, and nothing else."""
    cdn: Cdn = Cdn()
    """A content delivery network in front of confirmed media."""
    require_tls: Annotated[Switch, Field(alias="requireTLS")] = Switch.ENFORCED
    """Enforced: the store refuses plain HTTP."""
    cors: Cors = Cors()
    """Which web pages may upload."""
    lifecycle: Lifecycle = Lifecycle()
    """What the store removes by itself."""
    encryption: Encryption = Encryption()
    """Encryption at rest by the store."""
    versioning: Versioning = Versioning.DISABLED
    """Whether the store keeps old versions. Never back to Disabled."""
    tags: Annotated[tuple[Tag, ...], Field(max_length=40), ListType("map", keys=("key",))] = ()
    """Tags of the bucket, beside those that name its owner."""
    credentials: Credentials = Credentials()
    """The access key of the bucket, which applications use."""
    service: Service = Service()
    """The upload service in front of the bucket."""


def default_bucket_name(namespace: str, name: str) -> str:
    """The bucket of a MediaBucket that names none."""
    return f"{namespace}-{name}"
