"""ObjectStoreSpec: where buckets are made. Cluster-scoped, owned by the platform team."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from mediabucket_api.base import ApiModel, Expected, HttpUrl, ListType, Name, NamespaceName, Rule


class AddressingStyle(StrEnum):
    PATH = "Path"
    VIRTUAL = "Virtual"


class Provider(StrEnum):
    """A starting assumption only: the probe decides what a store can do."""

    AWS = "AWS"
    SEAWEEDFS = "SeaweedFS"
    MINIO = "MinIO"
    CEPH = "Ceph"
    ALIYUN_OSS = "AliyunOSS"
    R2 = "R2"
    GCS = "GCS"
    GENERIC = "Generic"


class IamMode(StrEnum):
    SCOPED = "Scoped"
    SHARED = "Shared"


class Permission(StrEnum):
    ALLOWED = "Allowed"
    FORBIDDEN = "Forbidden"


class NamespacedSecretReference(ApiModel):
    namespace: NamespaceName
    """The operator's own namespace."""
    name: Name
    """Its keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and if need be AWS_SESSION_TOKEN."""


class Iam(ApiModel):
    mode: IamMode = IamMode.SCOPED
    """Scoped: each bucket has its own access key. Shared: applications use the store's."""
    endpoint: HttpUrl | None = None
    """Default: the endpoint of the store."""


class NamespaceSelector(ApiModel):
    """Which namespaces may use the store; empty: every one."""

    match_names: Annotated[tuple[NamespaceName, ...], Field(max_length=256), ListType("set")] = ()
    """Names of namespaces."""
    match_labels: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=63)]],
        Field(max_length=32),
    ] = Field(default_factory=dict)
    """Labels that a namespace must carry, all of them."""


class StoreLimits(ApiModel):
    """What no MediaBucket on this store may do, whatever its manifest says."""

    allow_destroy: Permission = Permission.FORBIDDEN
    """Whether deletionPolicy Destroy may be used."""
    allow_adoption: Permission = Permission.FORBIDDEN
    """Whether adoptionPolicy Adopt may be used."""
    max_upload_bytes: Annotated[int, Field(ge=1, le=5 * 1024**4)] | None = None
    """Upper bound of uploads.maxBytes."""


class ObjectStoreSpec(ApiModel):
    """Where the store is, and who may use it."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.provider != 'AliyunOSS' || self.addressingStyle == 'Virtual'",
            "provider AliyunOSS needs addressingStyle Virtual: its S3 API refuses path-style requests",
            lambda store: store.provider != Provider.ALIYUN_OSS or store.addressing_style == AddressingStyle.VIRTUAL,
        ),
        Rule(
            "has(self.credentialsSecretRef) || self.iam.mode == 'Scoped'",
            "without credentialsSecretRef iam.mode must be Scoped: the operator's own identity is not handed out",
            lambda store: store.credentials_secret_ref is not None or store.iam.mode == IamMode.SCOPED,
        ),
    )

    endpoint: HttpUrl
    """URL of the S3 API, as the cluster reaches it."""
    public_endpoint: HttpUrl | None = None
    """What URLs handed to clients are signed for. Default: endpoint."""
    region: Annotated[
        str,
        StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$"),
        Expected("a region such as us-east-1: lower-case letters, digits and dashes"),
    ] = "us-east-1"
    """Region that requests are signed for."""
    addressing_style: AddressingStyle = AddressingStyle.PATH
    """Virtual: the bucket is part of the host name. Path: the first part of the path."""
    provider: Provider = Provider.GENERIC
    """A starting assumption only: the probe decides what a store can do."""
    credentials_secret_ref: NamespacedSecretReference | None = None
    """The identity that makes and configures buckets. Default: that of the operator's own Pod, as IRSA or EKS Pod
    Identity give it."""
    iam: Iam = Iam()
    """How access keys for single buckets are made."""
    ca_bundle: (
        Annotated[
            str,
            StringConstraints(max_length=65_536, pattern=r"-----BEGIN CERTIFICATE-----"),
            Expected("certificates in PEM form: text with -----BEGIN CERTIFICATE-----, not a path"),
        ]
        | None
    ) = None
    """Certificates to trust beside the usual ones, in PEM form."""
    allowed_namespaces: NamespaceSelector = NamespaceSelector()
    """Which namespaces may use the store; empty: every one."""
    limits: StoreLimits = StoreLimits()
    """What no MediaBucket on this store may do."""
