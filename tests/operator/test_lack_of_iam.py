"""A store without IAM, or with one that confines nobody: whose key applications get, and what is said of it."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from memory_world import Faults, MemoryCluster, MemoryIdentities, MemoryStore

from mediabucket_api.connection import StoreConnection
from mediabucket_api.constants import API_VERSION, FINALIZER
from mediabucket_api.status import Condition
from mediabucket_operator.cluster import Reference
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.visit import Environment, visit
from mediabucket_s3.errors import NotImplementedByStore
from mediabucket_s3.identities import IdentityAdmin
from mediabucket_s3.own_identity import own_identity

NAMESPACE = "mediabucket-system"
MEDIA = Reference("MediaBucket", "team", "media")
OUTPUT = Reference("Secret", "team", "media-media")


class WithoutIam(MemoryStore):
    def identities(self, connection: StoreConnection, endpoint: str | None) -> IdentityAdmin:
        del connection, endpoint
        return Lacking(self)

    def walk_upload_path(self, connection: Any) -> None:
        assert connection.store.access_key_id == "admin"


class Lacking(MemoryIdentities):
    def get_policy(self, user: str, name: str) -> Any:
        raise NotImplementedByStore("GetUserPolicy", "NotImplemented", 501, resource=f"{user} {name}")


@pytest.fixture
def environment() -> Environment:
    faults = Faults()
    cluster = MemoryCluster(faults)
    settings = OperatorSettings(namespace=NAMESPACE, service_image="service:1")
    keys = {name: base64.b64encode(b"admin").decode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    metadata = {"name": "keys", "namespace": NAMESPACE}
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": keys})
    wanted = {"storeRef": {"name": "store"}, "bucketName": "media-bucket", "service": {"state": "Disabled"}}
    named = {"name": MEDIA.name, "namespace": MEDIA.namespace, "finalizers": [FINALIZER]}
    cluster.put({"apiVersion": API_VERSION, "kind": "MediaBucket", "metadata": named, "spec": wanted})
    return Environment(cluster, WithoutIam(faults), settings, "cluster-1")


def put_store(environment: Environment, **spec: Any) -> None:
    document = {"apiVersion": API_VERSION, "kind": "ObjectStore", "metadata": {"name": "store"}}
    environment.cluster.put({**document, "spec": {"endpoint": "https://store", **spec}})  # type: ignore[attr-defined]


def conditions(environment: Environment) -> dict[str, Condition]:
    """By their type, after a visit."""
    status = visit(environment, MEDIA).status
    assert status is not None
    return {condition.type: condition for condition in status.conditions}


def verdict(environment: Environment, **spec: Any) -> tuple[str, str]:
    """Of CredentialsReady, on a store with this spec."""
    put_store(environment, **spec)
    found = conditions(environment)["CredentialsReady"]
    return found.status, found.reason


def test_the_key_of_a_secret_is_shared(environment: Environment) -> None:
    reference = {"credentialsSecretRef": {"namespace": NAMESPACE, "name": "keys"}}
    assert verdict(environment, **reference) == ("True", "SharedForLackOfIam")
    output = environment.cluster.get(OUTPUT)
    assert output is not None
    assert base64.b64decode(output["data"]["AWS_ACCESS_KEY_ID"]) == b"admin"


def test_the_operators_own_identity_is_not(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "admin")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    own_identity.cache_clear()
    assert verdict(environment) == ("False", "IdentityNotShared")
    own_identity.cache_clear()
    assert environment.cluster.get(OUTPUT) is None


@pytest.mark.parametrize(
    ("probed", "status", "reason"),
    [("Ignored", "False", "ScopeNotEnforced"), ("Enforced", "True", "Scoped"), (None, "True", "Scoped")],
)
def test_a_key_that_the_store_does_not_confine_is_not_called_scoped(
    environment: Environment, probed: str | None, status: str, reason: str
) -> None:
    faults = Faults()
    environment = replace(environment, stores=MemoryStore(faults))
    put_store(environment, credentialsSecretRef={"namespace": NAMESPACE, "name": "keys"})
    found = {"name": "Iam", "verdict": probed, "probedAt": "2026-11-23T12:00:00Z"}
    store = environment.cluster.objects[Reference("ObjectStore", "", "store")]  # type: ignore[attr-defined]
    store["status"] = {"capabilities": [found] if probed else []}
    told = conditions(environment)
    credentials, ready = told["CredentialsReady"], told["Ready"]
    assert (credentials.status, credentials.reason) == (status, reason)
    assert (ready.status, ready.reason) == (status, "Available" if status == "True" else reason)
    if probed == "Ignored":
        assert "reaches every bucket; set iam.mode: Shared of ObjectStore store" in credentials.message
        assert base64.b64decode(environment.cluster.get(OUTPUT)["data"]["AWS_ACCESS_KEY_ID"]) == b"AKIA0000"  # type: ignore[index]
    writes = list(faults.writes)
    conditions(environment)
    assert faults.writes == writes
