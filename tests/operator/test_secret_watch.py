"""A Secret that was replaced is noticed, whenever that was; one that stays is never reported twice."""

from typing import Any

import pytest
from memory_world import Faults, MemoryCluster

from mediabucket_api.constants import API_VERSION
from mediabucket_operator.cluster import Reference
from mediabucket_operator.secret_watch import SecretVersions

NAMESPACE = "mediabucket-system"
STORE = Reference("ObjectStore", "", "store")


class Stage:
    """One ObjectStore, and what may happen to it."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster(Faults())
        self.replace_secret()
        keys = {"namespace": NAMESPACE, "name": "keys"}
        spec = {"endpoint": "https://store", "credentialsSecretRef": keys}
        self._put("ObjectStore", {"name": "store"}, spec=spec)
        self.versions = SecretVersions(self.cluster, NAMESPACE)
        self.versions.follow("store")

    def replace_secret(self) -> None:
        self._put("Secret", {"name": "keys", "namespace": NAMESPACE})

    def remove_secret(self) -> None:
        self.cluster.remove(Reference("Secret", NAMESPACE, "keys"))

    def version(self) -> str:
        metadata = self.cluster.objects[Reference("Secret", NAMESPACE, "keys")]["metadata"]
        return f"{metadata['uid']}/{metadata['resourceVersion']}"

    def probed_with(self, version: str) -> None:
        self.cluster.objects[STORE]["status"] = {"credentialsVersion": version}

    def _put(self, kind: str, metadata: dict[str, Any], **fields: Any) -> None:
        api_version = "v1" if kind == "Secret" else API_VERSION
        self.cluster.put({"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields})


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_what_stays_is_no_news(stage: Stage) -> None:
    assert stage.versions.changed() == []
    stage.probed_with(stage.version())
    assert stage.versions.changed() == []


def test_a_replaced_secret_is_told_once(stage: Stage) -> None:
    stage.probed_with(stage.version())
    assert stage.versions.changed() == []
    stage.replace_secret()
    assert stage.versions.changed() == ["store"]
    # Bad keys: no probe is done with them, and status keeps the version before.
    assert stage.versions.changed() == []
    stage.remove_secret()
    assert stage.versions.changed() == ["store"]
    assert stage.versions.changed() == []


def test_replaced_while_nobody_looked(stage: Stage) -> None:
    stage.probed_with(stage.version())
    stage.replace_secret()
    assert stage.versions.changed() == ["store"]


def test_replaced_during_the_first_visit(stage: Stage) -> None:
    """The visit has read the old keys, the look sees the new ones, and only then the visit writes what it found."""
    old = stage.version()
    stage.replace_secret()
    assert stage.versions.changed() == []
    stage.probed_with(old)
    assert stage.versions.changed() == ["store"]
    assert stage.versions.changed() == []


def test_replaced_twice_during_a_visit(stage: Stage) -> None:
    stage.probed_with(stage.version())
    assert stage.versions.changed() == []
    stage.replace_secret()
    second = stage.version()
    assert stage.versions.changed() == ["store"]
    stage.replace_secret()
    assert stage.versions.changed() == ["store"]
    stage.probed_with(second)
    assert stage.versions.changed() == ["store"]
    stage.probed_with(stage.version())
    assert stage.versions.changed() == []


def test_who_is_gone_is_not_looked_at(stage: Stage) -> None:
    stage.versions.forget("store")
    stage.replace_secret()
    assert stage.versions.changed() == []
