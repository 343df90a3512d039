"""The contract for applications: a ConfigMap that says where the bucket is, and a Secret with keys that reach it."""

from mediabucket_api.connection import BucketConnection
from mediabucket_api.resources import MediaBucket
from mediabucket_operator.children import child, encoded
from mediabucket_operator.cluster import Manifest


def config_map(resource: MediaBucket, connection: BucketConnection) -> Manifest:
    return child(resource, "ConfigMap", {"data": connection.to_config_map()})


def secret(resource: MediaBucket, connection: BucketConnection, annotations: dict[str, str]) -> Manifest:
    """`annotations` say which key is in it since when, and which one it replaces."""
    return child(resource, "Secret", {"type": "Opaque", "data": encoded(connection.to_secret())}, annotations)
