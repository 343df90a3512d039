"""A store without IAM, or with one that confines nobody: whose key applications get, and what is said of it."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from memory_environment import OUTPUT, conditions, make_environment, memory_cluster, put_store
from memory_world import Faults, MemoryIdentities, MemoryStore

from mediabucket_api.connection import StoreConnection
from mediabucket_operator.cluster import Reference
from mediabucket_operator.visit import Environment
from mediabucket_s3.errors import NotImplementedByStore
from mediabucket_s3.identities import IdentityAdmin
from mediabucket_s3.own_identity import own_identity


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
    made = make_environment()
    return replace(made, stores=WithoutIam(Faults()))


def verdict(environment: Environment, **spec: Any) -> tuple[str, str]:
    """Of CredentialsReady, on a store with this spec."""
    put_store(environment, **spec)
    found = conditions(environment)["CredentialsReady"]
    return found.status, found.reason


def test_the_key_of_a_secret_is_shared(environment: Environment) -> None:
    assert verdict(environment) == ("True", "SharedForLackOfIam")
    output = environment.cluster.get(OUTPUT)
    assert output is not None
    assert base64.b64decode(output["data"]["AWS_ACCESS_KEY_ID"]) == b"admin"


def test_the_operators_own_identity_is_not(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "admin")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    own_identity.cache_clear()
    assert verdict(environment, credentialsSecretRef=None) == ("False", "IdentityNotShared")
    own_identity.cache_clear()
    assert environment.cluster.get(OUTPUT) is None


@pytest.mark.parametrize(
    ("probed", "status", "reason"),
    [("Ignored", "False", "ScopeNotEnforced"), ("Enforced", "True", "Scoped"), (None, "True", "Scoped")],
)
def test_a_key_that_the_store_does_not_confine_is_not_called_scoped(
    probed: str | None, status: str, reason: str
) -> None:
    environment = make_environment()
    put_store(environment)
    cluster = memory_cluster(environment)
    found = {"name": "Iam", "verdict": probed, "probedAt": "2026-11-23T12:00:00Z"}
    store = cluster.objects[Reference("ObjectStore", "", "store")]
    store["status"] = {"capabilities": [found] if probed else []}
    told = conditions(environment)
    credentials, ready = told["CredentialsReady"], told["Ready"]
    assert (credentials.status, credentials.reason) == (status, reason)
    assert (ready.status, ready.reason) == (status, "Available" if status == "True" else reason)
    if probed == "Ignored":
        assert "reaches every bucket; set iam.mode: Shared of ObjectStore store" in credentials.message
        assert base64.b64decode(cluster.objects[OUTPUT]["data"]["AWS_ACCESS_KEY_ID"]) == b"AKIA0000"
    writes = list(cluster.faults.writes)
    conditions(environment)
    assert cluster.faults.writes == writes
