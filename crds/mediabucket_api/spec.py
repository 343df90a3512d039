"""MediaBucketSpec: the only configuration of a bucket and of the upload API in front of it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from mediabucket_api.base import (
    ApiModel,
    Expected,
    HttpUrl,
    ListType,
    Name,
    Rule,
    ShortText,
    immutable,
    immutable_optional,
)

# No dot, underscore or capital: botocore silently leaves virtual-host addressing for such names.
BucketName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", max_length=63),
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


class ServiceState(StrEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"


class ExposureType(StrEnum):
    NONE = "None"
    INGRESS = "Ingress"
    HTTP_ROUTE = "HTTPRoute"


class StoreReference(ApiModel):
    name: Name


class SecretReference(ApiModel):
    """A Secret in the MediaBucket's own namespace."""

    name: Name
    key: ShortText | None = None


class Multipart(ApiModel):
    """When an upload is offered in parts, and how large a part is, in bytes."""

    min_bytes: Annotated[int, Field(ge=MIN_PART_BYTES, le=MAX_SINGLE_PUT_BYTES)] = 64 * 1024**2
    part_bytes: Annotated[int, Field(ge=MIN_PART_BYTES, le=MAX_SINGLE_PUT_BYTES)] = 16 * 1024**2


class UploadLimits(ApiModel):
    """Per user: how many uploads may be pending, and how many bytes may be stored and reserved."""

    pending_per_user: Annotated[int, Field(ge=1, le=100_000)] | None = None
    bytes_per_user: Annotated[int, Field(ge=1, le=2**53)] | None = None


class Uploads(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.staleAfterSeconds >= self.urlTTLSeconds",
            "staleAfterSeconds must be at least urlTTLSeconds: an upload cannot expire before its URL does",
            lambda uploads: uploads.stale_after_seconds >= uploads.url_ttl_seconds,
        ),
    )

    max_bytes: Annotated[int, Field(ge=1, le=MAX_SINGLE_PUT_BYTES)] = 104_857_600
    allowed_mime_types: Annotated[tuple[MimeType, ...], Field(min_length=1, max_length=64), ListType("set")] = (
        DEFAULT_MIME_TYPES
    )
    # AWS signs for at most seven days: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
    url_ttl_seconds: Annotated[int, Field(ge=1, le=604_800, alias="urlTTLSeconds")] = 300
    stale_after_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    integrity: Integrity = Integrity.VERIFIED
    multipart: Multipart = Multipart()
    limits: UploadLimits = UploadLimits()


class Cors(ApiModel):
    """Which web pages may use the URLs and the API. Methods and headers follow from what the signer signs."""

    allowed_origins: Annotated[tuple[Origin, ...], Field(max_length=64), ListType("set")] = ()
    max_age_seconds: Annotated[int, Field(ge=0, le=86_400)] = 3600


class Lifecycle(ApiModel):
    expire_pending_days: Annotated[int, Field(ge=1, le=365)] = 1
    abort_incomplete_multipart_days: Annotated[int, Field(ge=1, le=365)] = 1
    expire_noncurrent_days: Annotated[int, Field(ge=1, le=3650)] | None = None


class Encryption(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "(self.type == 'SSEKMS') == has(self.kmsKeyId)",
            "kmsKeyId is required with type SSEKMS and refused with any other type",
            lambda encryption: (encryption.type == EncryptionType.SSE_KMS) == (encryption.kms_key_id is not None),
        ),
    )

    type: EncryptionType = EncryptionType.NONE
    kms_key_id: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = None


class Tag(ApiModel):
    """A bucket tag: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Tag.html"""

    key: Annotated[
        str,
        StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9 _.:/=+@-]+$"),
        Expected("letters, digits, spaces and _ . : / = + @ -"),
    ]
    value: Annotated[
        str,
        StringConstraints(max_length=256, pattern=r"^[A-Za-z0-9 _.:/=+@-]*$"),
        Expected("letters, digits, spaces and _ . : / = + @ -"),
    ]


class Cdn(ApiModel):
    base_url: HttpUrl | None = None

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
    overlap_hours: Annotated[int, Field(ge=1, le=720)] = 24


class Credentials(ApiModel):
    rotation: Rotation = Rotation()


class Replicas(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.min <= self.max",
            "replicas.min must not exceed replicas.max",
            lambda replicas: replicas.min <= replicas.max,
        ),
    )

    min: Annotated[int, Field(ge=1, le=100)] = 2
    max: Annotated[int, Field(ge=1, le=100)] = 6


Quantity = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$"),
    Expected('a quantity in quotes such as "500m", "2" or "512Mi"'),
]


class ResourceAmounts(ApiModel):
    cpu: Quantity | None = None
    memory: Quantity | None = None


class Resources(ApiModel):
    requests: ResourceAmounts = ResourceAmounts(cpu="50m", memory="128Mi")
    limits: ResourceAmounts = ResourceAmounts(memory="512Mi")


class SecretSource(ApiModel):
    """Where a connection URL comes from: the key `url` of a Secret unless the reference names another."""

    secret_ref: SecretReference | None = None


class Auth(ApiModel):
    """How bearer tokens are checked: by a JWKS (RFC 7517) or by a shared secret (HS256)."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "!(has(self.jwksUrl) && has(self.secretRef))",
            "jwksUrl and secretRef exclude each other: tokens are checked by one of them",
            lambda auth: auth.jwks_url is None or auth.secret_ref is None,
        ),
    )

    jwks_url: HttpUrl | None = None
    secret_ref: SecretReference | None = None
    issuer: ShortText | None = None
    audience: ShortText | None = None


class Exposure(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "(self.type == 'None') != has(self.host)",
            "host is required with type Ingress or HTTPRoute and refused with type None",
            lambda exposure: (exposure.type == ExposureType.NONE) != (exposure.host is not None),
        ),
    )

    type: ExposureType = ExposureType.NONE
    host: Name | None = None


class Service(ApiModel):
    """The upload service as a workload."""

    state: ServiceState = ServiceState.ENABLED
    replicas: Replicas = Replicas()
    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    resources: Resources = Resources()
    database: SecretSource = SecretSource()
    messages: SecretSource = SecretSource()
    auth: Auth = Auth()
    exposure: Exposure = Exposure()


class MediaBucketSpec(ApiModel):
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
    bucket_name: BucketName | None = None
    management_policy: ManagementPolicy = ManagementPolicy.MANAGE
    adoption_policy: AdoptionPolicy = AdoptionPolicy.IF_TAGGED_OURS
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    drift_policy: DriftPolicy = DriftPolicy.CORRECT
    resync_interval_seconds: Annotated[int, Field(ge=30, le=86_400)] = 300
    uploads: Uploads = Uploads()
    public_access: PublicAccess = PublicAccess.BLOCKED
    cdn: Cdn = Cdn()
    require_tls: Annotated[Switch, Field(alias="requireTLS")] = Switch.ENFORCED
    cors: Cors = Cors()
    lifecycle: Lifecycle = Lifecycle()
    encryption: Encryption = Encryption()
    versioning: Versioning = Versioning.DISABLED
    tags: Annotated[tuple[Tag, ...], Field(max_length=40), ListType("map", keys=("key",))] = ()
    credentials: Credentials = Credentials()
    service: Service = Service()


def default_bucket_name(namespace: str, name: str) -> str:
    """The bucket of a MediaBucket that names none."""
    return f"{namespace}-{name}"
