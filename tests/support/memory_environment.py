"""The smallest world in memory that a MediaBucket can be visited in: it, its ObjectStore, and the store's keys."""

from typing import Any, Final

from memory_world import Faults, MemoryCluster, MemoryStore

from mediabucket_api.constants import API_VERSION, FINALIZER
from mediabucket_api.status import Condition
from mediabucket_operator.children import encoded
from mediabucket_operator.cluster import Reference
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.visit import Environment, visit

NAMESPACE: Final = "mediabucket-system"
MEDIA: Final = Reference("MediaBucket", "team", "media")
OUTPUT: Final = Reference("Secret", "team", "media-media")
KEYS: Final = {"namespace": NAMESPACE, "name": "keys"}


def make_environment() -> Environment:
    """Without the ObjectStore: see `put_store`."""
    faults = Faults()
    cluster = MemoryCluster(faults)
    data = encoded(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "admin"))
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": KEYS, "data": data})
    settings = OperatorSettings(namespace=NAMESPACE, service_image="service:1")
    environment = Environment(cluster, MemoryStore(faults), settings, "cluster-1")
    put_media_bucket(environment, {"state": "Disabled"})
    return environment


def memory_cluster(environment: Environment) -> MemoryCluster:
    assert isinstance(environment.cluster, MemoryCluster)
    return environment.cluster


def put_media_bucket(environment: Environment, service: dict[str, Any]) -> None:
    """As `kubectl apply` does, and with the finalizer."""
    wanted = {"storeRef": {"name": "store"}, "bucketName": "media-bucket", "service": service}
    named = {"name": MEDIA.name, "namespace": MEDIA.namespace, "finalizers": [FINALIZER]}
    manifest = {"apiVersion": API_VERSION, "kind": "MediaBucket", "metadata": named, "spec": wanted}
    memory_cluster(environment).put(manifest)


def put_store(environment: Environment, **spec: Any) -> None:
    """An ObjectStore with the keys of the Secret, unless the spec says otherwise."""
    document = {"apiVersion": API_VERSION, "kind": "ObjectStore", "metadata": {"name": "store"}}
    wanted = {"endpoint": "https://store", "credentialsSecretRef": KEYS, **spec}
    kept = {name: value for name, value in wanted.items() if value is not None}
    memory_cluster(environment).put({**document, "spec": kept})


def conditions(environment: Environment) -> dict[str, Condition]:
    """By their type, after a visit."""
    status = visit(environment, MEDIA).status
    assert status is not None
    return {condition.type: condition for condition in status.conditions}
