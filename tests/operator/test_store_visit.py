"""When a store is probed, what matters to its MediaBuckets, and whose users are left over."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from memory_world import Faults, MemoryCluster, MemoryStore

from mediabucket_api.constants import API_VERSION
from mediabucket_api.resources import ObjectStore
from mediabucket_api.status import CapabilityVerdict, ObjectStoreStatus
from mediabucket_operator.cluster import Manifest, Reference
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.store_visit import matters, orphans, probe_is_due, visit_store
from mediabucket_operator.stored import read_object_store
from mediabucket_operator.visit import Environment

PROBED_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def store(
    *, generation: int = 1, annotations: dict[str, str] | None = None, probed: str = "True", version: str = "1"
) -> ObjectStore:
    moment = PROBED_AT.isoformat()
    condition = {"type": "Probed", "status": probed, "reason": "Probed", "observedGeneration": 1}
    status: dict[str, Any] = {
        "observedGeneration": 1,
        "credentialsVersion": version,
        "capabilities": [{"name": "Iam", "verdict": "Enforced", "probedAt": moment}],
        "conditions": [{**condition, "lastTransitionTime": moment}],
    }
    return read_object_store(
        {
            "metadata": {"name": "main", "generation": generation, "annotations": annotations or {}},
            "spec": {"endpoint": "https://s3", "credentialsSecretRef": {"namespace": "a", "name": "b"}},
            "status": status,
        }
    )


@pytest.mark.parametrize(
    ("found", "version", "after", "due"),
    [
        (store(), "1", timedelta(hours=23), False),
        (store(), "1", DAY, True),
        (store(generation=2), "1", timedelta(0), True),
        (store(), "2", timedelta(0), True),
        (store(probed="False"), "1", timedelta(0), True),
        (store(annotations={"mediabucket.dev/probe": "now"}), "1", timedelta(0), True),
        (store(annotations={"mediabucket.dev/probe": "later"}), "1", timedelta(0), False),
        (store().model_copy(update={"status": ObjectStoreStatus()}), "1", timedelta(0), True),
    ],
)
def test_a_probe_is_due(found: ObjectStore, version: str, after: timedelta, due: bool) -> None:
    assert probe_is_due(found, version, PROBED_AT + after, DAY) == due


def test_a_newer_time_of_a_probe_does_not_matter_and_another_verdict_does() -> None:
    before = store().status
    [capability] = before.capabilities
    later = before.model_copy(update={"capabilities": (capability.model_copy(update={"probed_at": PROBED_AT + DAY}),)})
    lost = before.model_copy(
        update={"capabilities": (capability.model_copy(update={"verdict": CapabilityVerdict.IGNORED}),)}
    )
    assert not matters(before, later)
    assert matters(before, lost)
    assert matters(before, before.model_copy(update={"credentials_version": "2"}))
    assert matters(before, before.model_copy(update={"observed_generation": 2}))


def test_users_without_a_media_bucket_are_left_over() -> None:
    living = [
        {"metadata": {"uid": uid}, "spec": {"storeRef": {"name": name}}} for uid, name in (("1", "a"), ("2", "b"))
    ]
    users = ["mediabucket-x-1", "mediabucket-x-2", "mediabucket-x-3"]
    assert orphans(users, living, "mediabucket-x-", None) == ["mediabucket-x-3"]
    # A store that shares its own key has no use for users of its MediaBuckets.
    assert orphans(users, living, "mediabucket-x-", "a") == ["mediabucket-x-1", "mediabucket-x-3"]


class BusyCluster(MemoryCluster):
    """Somebody else changes every object just before its status is written for the first time."""

    touched = False

    def update_status(self, manifest: Manifest) -> Manifest:
        if not self.touched:
            self.touched = True
            self.change_annotations(Reference.of(manifest), {"example.com/touched": "once"})
        return super().update_status(manifest)


def test_a_verdict_survives_a_change_of_the_object_meanwhile() -> None:
    """kopf writes an annotation while the first visit is under way."""
    cluster = BusyCluster(Faults())
    reference = {"namespace": "elsewhere", "name": "keys"}
    spec = {"endpoint": "https://store", "credentialsSecretRef": reference}
    cluster.put({"apiVersion": API_VERSION, "kind": "ObjectStore", "metadata": {"name": "main"}, "spec": spec})
    settings = OperatorSettings(namespace="mediabucket-system")
    environment = Environment(cluster, MemoryStore(cluster.faults), settings, "cluster-1", lambda: PROBED_AT)
    assert visit_store(environment, "main").matters
    found = cluster.objects[Reference("ObjectStore", "", "main")]
    assert found["metadata"]["annotations"] == {"example.com/touched": "once"}
    assert {condition["reason"] for condition in found["status"]["conditions"]} == {
        "CredentialsNamespace",
        "NotChecked",
    }


def test_a_spec_that_cannot_be_read_is_told_once_and_until_it_can_be(caplog: pytest.LogCaptureFixture) -> None:
    """What an older version had said of it would stand there for ever."""
    cluster = MemoryCluster(Faults())
    spec: dict[str, Any] = {"endpoint": 5, "credentialsSecretRef": {"namespace": "elsewhere", "name": "keys"}}
    document = {"apiVersion": API_VERSION, "kind": "ObjectStore", "metadata": {"name": "main"}, "spec": spec}
    moment = PROBED_AT.isoformat()
    well = {"status": "True", "reason": "Available", "observedGeneration": 1, "lastTransitionTime": moment}
    status = {"conditions": [{"type": kind, **well} for kind in ("Ready", "Reachable")], "credentialsVersion": "7"}
    cluster.objects[Reference.of(cluster.put(document))]["status"] = status
    settings = OperatorSettings(namespace="mediabucket-system")
    now = PROBED_AT + DAY
    environment = Environment(cluster, MemoryStore(cluster.faults), settings, "cluster-1", lambda: now)

    visited = visit_store(environment, "main")
    assert (visited.present, visited.reachable, visited.matters) == (True, False, True)
    found = cluster.objects[Reference("ObjectStore", "", "main")]["status"]
    ready, reachable = found["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "SpecUnreadable")
    assert ready["message"] == "spec.endpoint: Input should be a valid string: apply the manifest again"
    assert ready["lastTransitionTime"] == now.isoformat().replace("+00:00", "Z")
    assert reachable == {"type": "Reachable", **well}, "what else is known stays"
    assert found["credentialsVersion"] == "7"
    assert "ObjectStore main cannot be read: spec.endpoint" in caplog.text

    writes, caplog_before = list(cluster.faults.writes), caplog.text
    assert not visit_store(environment, "main").matters
    assert (cluster.faults.writes, caplog.text) == (writes, caplog_before), "once"

    spec["endpoint"] = "https://store"
    cluster.put(document)
    assert visit_store(environment, "main").matters
    ready = cluster.objects[Reference("ObjectStore", "", "main")]["status"]["conditions"][0]
    assert ready["reason"] == "CredentialsNamespace"
