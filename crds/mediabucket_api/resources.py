"""The two resources as a whole: metadata, spec and status together."""

import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mediabucket_api.base import ApiModel, Name
from mediabucket_api.constants import API_VERSION
from mediabucket_api.object_store import ObjectStoreSpec
from mediabucket_api.spec import MediaBucketSpec, default_bucket_name
from mediabucket_api.status import MediaBucketStatus, ObjectStoreStatus


class Metadata(BaseModel):
    """The part of Kubernetes' ObjectMeta that this project reads; the rest is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Name
    namespace: Name = "default"
    uid: str | None = None
    generation: int | None = None
    annotations: dict[str, str] = Field(default_factory=dict)


class MediaBucket(ApiModel):
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
    api_version: Literal["mediabucket.dev/v1alpha1"] = "mediabucket.dev/v1alpha1"
    kind: Literal["ObjectStore"] = "ObjectStore"
    metadata: Metadata
    spec: ObjectStoreSpec
    status: ObjectStoreStatus = ObjectStoreStatus()
