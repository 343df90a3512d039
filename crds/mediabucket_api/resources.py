"""The two resources as a whole: metadata, spec and status together."""

import uuid
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from mediabucket_api.base import ApiModel, Name, NamespaceName, Rule
from mediabucket_api.constants import API_VERSION
from mediabucket_api.object_store import ObjectStoreSpec
from mediabucket_api.spec import MediaBucketSpec, default_bucket_name
from mediabucket_api.status import MediaBucketStatus, ObjectStoreStatus


class Metadata(ApiModel):
    """The part of Kubernetes' ObjectMeta that this project reads; the rest is ignored."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    namespace: NamespaceName = "default"
    uid: str | None = None
    generation: int | None = None
    annotations: dict[str, str] = Field(default_factory=dict)


class MediaBucket(ApiModel):
    """A bucket for media, and the upload service in front of it."""

    rules: ClassVar[Sequence[Rule]] = (
        Rule(
            # CEL cannot see the namespace: the shortest one and its dash leave 61 characters.
            "has(self.spec.bucketName) || (self.metadata.name.size() <= 61 && !self.metadata.name.contains('.'))",
            "a name with a dot, or longer than 61 characters, cannot be part of a bucket name: set spec.bucketName",
            lambda resource: resource.spec.bucket_name is not None or fits_bucket_name(resource.metadata.name),
        ),
    )

    api_version: Literal["mediabucket.dev/v1alpha1"] = "mediabucket.dev/v1alpha1"
    kind: Literal["MediaBucket"] = "MediaBucket"
    metadata: Metadata
    spec: MediaBucketSpec
    status: MediaBucketStatus = MediaBucketStatus()

    @property
    def bucket_name(self) -> str:
        """What the manifest names, else what status recorded, else `<namespace>-<name>`."""
        default = default_bucket_name(self.metadata.namespace, self.metadata.name)
        return self.spec.bucket_name or self.status.bucket_name or default

    @property
    def owner_uid(self) -> str:
        """Who owns the bucket: the resource's UID, or without an API server one derived from its name."""
        identity = f"{API_VERSION}/{self.metadata.namespace}/{self.metadata.name}"
        return self.metadata.uid or str(uuid.uuid5(uuid.NAMESPACE_URL, identity))


class ObjectStore(ApiModel):
    """An S3-compatible store that buckets are made on."""

    api_version: Literal["mediabucket.dev/v1alpha1"] = "mediabucket.dev/v1alpha1"
    kind: Literal["ObjectStore"] = "ObjectStore"
    metadata: Metadata
    spec: ObjectStoreSpec
    status: ObjectStoreStatus = ObjectStoreStatus()


def fits_bucket_name(name: str) -> bool:
    """Whether a resource's name can be part of its default bucket name in the shortest of namespaces."""
    return len(name) <= 61 and "." not in name
