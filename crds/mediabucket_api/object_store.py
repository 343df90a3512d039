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
    name: Name


class Iam(ApiModel):
    mode: IamMode = IamMode.SCOPED
    endpoint: HttpUrl | None = None


class NamespaceSelector(ApiModel):
    """Which namespaces may use the store; empty: every one."""

    match_names: Annotated[tuple[NamespaceName, ...], Field(max_length=256), ListType("set")] = ()
    match_labels: Annotated[
        dict[
            Annotated[str, StringConstraints(max_length=317)],
            Annotated[str, StringConstraints(max_length=63)],
        ],
        Field(max_length=32),
    ] = Field(default_factory=dict)


class StoreLimits(ApiModel):
    """What no MediaBucket on this store may do, whatever its manifest says."""

    allow_destroy: Permission = Permission.FORBIDDEN
    allow_adoption: Permission = Permission.FORBIDDEN
    max_upload_bytes: Annotated[int, Field(ge=1, le=5 * 1024**4)] | None = None


class ObjectStoreSpec(ApiModel):
    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            "self.provider != 'AliyunOSS' || self.addressingStyle == 'Virtual'",
            "provider AliyunOSS needs addressingStyle Virtual: its S3 API refuses path-style requests",
            lambda store: store.provider != Provider.ALIYUN_OSS or store.addressing_style == AddressingStyle.VIRTUAL,
        ),
    )

    endpoint: HttpUrl
    public_endpoint: HttpUrl | None = None
    region: Annotated[
        str,
        StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$"),
        Expected("a region such as us-east-1: lower-case letters, digits and dashes"),
    ] = "us-east-1"
    addressing_style: AddressingStyle = AddressingStyle.PATH
    provider: Provider = Provider.GENERIC
    credentials_secret_ref: NamespacedSecretReference
    iam: Iam = Iam()
    ca_bundle: (
        Annotated[
            str,
            StringConstraints(max_length=65_536, pattern=r"-----BEGIN CERTIFICATE-----"),
            Expected("certificates in PEM form: text with -----BEGIN CERTIFICATE-----, not a path"),
        ]
        | None
    ) = None
    allowed_namespaces: NamespaceSelector = NamespaceSelector()
    limits: StoreLimits = StoreLimits()
