"""What Prometheus is told of visits, of resources, and of watches."""

import base64
import time
from typing import Any

import pytest
from memory_world import Fault, Faults, MemoryCluster, MemoryStore
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import generate_latest
from told_metrics import Told, assert_clean

from mediabucket_api.constants import API_VERSION, FINALIZER, MEDIA_BUCKET_KIND, OBJECT_STORE_KIND
from mediabucket_operator import metrics
from mediabucket_operator.cluster import Reference
from mediabucket_operator.dispatcher import Dispatcher
from mediabucket_operator.liveness import Pulse
from mediabucket_operator.operator_core import Operator
from mediabucket_operator.resource_metrics import ResourceStates
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.visit import Environment
from mediabucket_operator.watched_session import watch_opened
from mediabucket_s3.answers import Answer

NAMESPACE = "mediabucket-system"
MEDIA = Reference(MEDIA_BUCKET_KIND, "team", "media")
STORE = Reference(OBJECT_STORE_KIND, "", "store")
RECONCILES = "controller_runtime_reconcile_total"
CONDITION = "mediabucket_condition"
AGE = "mediabucket_operator_credential_age_seconds"
CAPABILITY = "mediabucket_operator_store_capability"


class World:
    """One MediaBucket, which the watches have shown; its store when a test puts it there."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.cluster, self.store = MemoryCluster(self.faults), MemoryStore(self.faults)
        settings = OperatorSettings(namespace=NAMESPACE)
        environment = Environment(self.cluster, self.store, settings, "cluster-1")
        self.operator = Operator(environment, lambda _reference, _delay: None, Pulse())
        spec = {"storeRef": {"name": "store"}, "bucketName": "media-bucket", "service": {"state": "Disabled"}}
        metadata = {"name": MEDIA.name, "namespace": MEDIA.namespace, "finalizers": [FINALIZER]}
        manifest = {"apiVersion": API_VERSION, "kind": MEDIA_BUCKET_KIND, "metadata": metadata, "spec": spec}
        self.operator.fleet.note(self.cluster.put(manifest))

    def put_store(self) -> None:
        data = {"AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": "secret"}
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
        keys = {"namespace": NAMESPACE, "name": "keys"}
        self.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": keys, "data": encoded})
        spec = {"endpoint": "https://store", "credentialsSecretRef": keys}
        self.cluster.put(
            {"apiVersion": API_VERSION, "kind": OBJECT_STORE_KIND, "metadata": {"name": "store"}, "spec": spec}
        )


def told() -> Told:
    return Told(generate_latest(REGISTRY).decode())


def results(controller: str) -> dict[str, float]:
    found = told()
    return {
        result: found.of(RECONCILES, controller=controller, result=result)
        for result in found.labels(RECONCILES, "result")
    }


def growth(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - value for name, value in before.items() if after[name] != value}


def test_results_are_those_of_controller_runtime_and_begin_with_zero() -> None:
    for controller in (MEDIA_BUCKET_KIND, OBJECT_STORE_KIND):
        assert set(results(controller)) == {"success", "error", "requeue", "requeue_after"}
        assert told().has("controller_runtime_reconcile_errors_total", controller=controller)


def test_every_aspect_has_a_series_before_its_first_repair() -> None:
    World()
    known = {"publicAccess", "encryption", "versioning", "policy", "cors", "lifecycle", "tags"}
    assert told().labels("mediabucket_operator_drift_repaired_total", "aspect") == known


def test_a_visit_that_finds_all_well_is_a_success_and_one_that_must_come_back_is_not() -> None:
    world = World()
    before = results(MEDIA_BUCKET_KIND)
    world.operator.visit(MEDIA)
    missing = results(MEDIA_BUCKET_KIND)
    assert growth(before, missing) == {"requeue_after": 1}, "it has no store"
    world.put_store()
    world.operator.visit(MEDIA)
    assert growth(missing, results(MEDIA_BUCKET_KIND)) == {"success": 1}


def test_a_visit_that_could_not_be_written_down_is_an_error() -> None:
    world = World()
    world.faults.plan[0] = Fault.REFUSED
    before = told()
    counted = results(MEDIA_BUCKET_KIND)
    assert world.operator.visit(MEDIA) is not None
    assert growth(counted, results(MEDIA_BUCKET_KIND)) == {"error": 1}
    for name in ("controller_runtime_reconcile_errors_total", "controller_runtime_reconcile_time_seconds_count"):
        earlier = before.of(name, controller=MEDIA_BUCKET_KIND) if before.has(name, controller=MEDIA_BUCKET_KIND) else 0
        assert told().of(name, controller=MEDIA_BUCKET_KIND) - earlier == 1


def test_a_visit_that_nobody_expected_to_fail_is_an_error_too() -> None:
    world = World()
    world.put_store()
    before = results(OBJECT_STORE_KIND)
    with pytest.raises(AssertionError, match="no test in memory probes"):
        world.operator.visit(STORE)
    assert growth(before, results(OBJECT_STORE_KIND)) == {"error": 1}
    assert told().of("controller_runtime_active_workers", controller=OBJECT_STORE_KIND) == 0


def test_visits_that_are_under_way_are_active() -> None:
    with metrics.reconciling(MEDIA_BUCKET_KIND) as visit, metrics.reconciling(OBJECT_STORE_KIND):
        visit.result = metrics.SUCCESS
        assert told().of("controller_runtime_active_workers", controller=MEDIA_BUCKET_KIND) == 1
        assert told().of("controller_runtime_active_workers") == 2
    assert told().of("controller_runtime_active_workers") == 0


async def test_what_is_due_and_has_not_begun_is_waiting() -> None:
    dispatcher = Dispatcher(lambda _: None, workers=1)
    for name in "abc":
        dispatcher.soon(Reference(MEDIA_BUCKET_KIND, "team", name))
    dispatcher.soon(Reference(MEDIA_BUCKET_KIND, "team", "later"), 3600)
    dispatcher.soon(Reference(OBJECT_STORE_KIND, "", "later"), 3600)
    assert dispatcher.waiting() == {MEDIA_BUCKET_KIND: 3, OBJECT_STORE_KIND: 0}


def test_watches_that_are_opened_again_are_restarts() -> None:
    pulse, path = Pulse(), f"/apis/test/{time.monotonic_ns()}"
    restarts = "mediabucket_operator_watch_restarts_total"
    watch_opened(pulse, path)
    assert told().of(restarts, path=path) == 0
    for _ in range(2):
        pulse.watch_heard(path)
        watch_opened(pulse, path)
    assert told().of(restarts, path=path) == 2


def manifest(kind: str, namespace: str, name: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"kind": kind, "metadata": metadata, "status": status}


class States:
    """Resources, a clock that stands, and what Prometheus would see."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.resources = ResourceStates(lambda: self.now)
        self.registry = CollectorRegistry()
        self.registry.register(self.resources)

    @property
    def told(self) -> Told:
        return Told(generate_latest(self.registry).decode())

    def note(self, kind: str, namespace: str, name: str, **status: Any) -> None:
        self.resources.note(kind, manifest(kind, namespace, name, **status))


def test_a_condition_is_one_for_the_status_that_it_has() -> None:
    states = States()
    for current in ("Unknown", "False", "True"):
        states.note(MEDIA_BUCKET_KIND, "team", "media", conditions=[{"type": "Ready", "status": current}])
        found = {
            status: states.told.of(CONDITION, type="Ready", status=status) for status in ("True", "False", "Unknown")
        }
        assert found == dict.fromkeys(found, 0.0) | {current: 1.0}
    assert states.told.of(CONDITION, kind=MEDIA_BUCKET_KIND, namespace="team", name="media") == 1


def test_what_is_told_of_a_resource_goes_with_it_and_with_nothing_else() -> None:
    states = States()
    ready = [{"type": "Ready", "status": "True"}]
    key = {"issuedAt": "2026-11-23T12:00:00Z"}
    for namespace in ("team", "other"):
        states.note(MEDIA_BUCKET_KIND, namespace, "media", conditions=ready, credentials=key)
    found = [{"name": "Multipart", "verdict": "Enforced"}]
    states.note(OBJECT_STORE_KIND, "", "media", conditions=ready, capabilities=found)
    states.resources.forget(MEDIA_BUCKET_KIND, "team", "media")
    assert not states.told.has(CONDITION, kind=MEDIA_BUCKET_KIND, namespace="team")
    assert not states.told.has(AGE, namespace="team")
    assert states.told.of(CONDITION, namespace="other", status="True") == 1
    assert states.told.of(CONDITION, kind=OBJECT_STORE_KIND, namespace="", status="True") == 1
    states.resources.forget(OBJECT_STORE_KIND, "", "media")
    assert not states.told.has(CAPABILITY)
    assert not states.told.has(CONDITION, kind=OBJECT_STORE_KIND)


def test_a_condition_that_is_gone_from_the_status_is_gone_here() -> None:
    states = States()
    states.note(MEDIA_BUCKET_KIND, "team", "media", conditions=[{"type": "Old", "status": "True"}])
    states.note(MEDIA_BUCKET_KIND, "team", "media", conditions=[{"type": "New", "status": "True"}])
    assert states.told.labels(CONDITION, "type") == {"New"}


def test_keys_grow_old_between_two_visits() -> None:
    states = States()
    states.note(MEDIA_BUCKET_KIND, "team", "media", credentials={"issuedAt": "2027-01-15T07:50:00Z"})
    first = states.told.of(AGE, namespace="team", name="media")
    states.now += 60
    assert states.told.of(AGE, namespace="team", name="media") - first == 60
    assert first == 600
    # The key of the store: nobody knows how old it is.
    states.note(MEDIA_BUCKET_KIND, "team", "media", credentials={"accessKeyId": "AKIA"})
    assert not states.told.has(AGE)


def test_what_a_store_can_do_is_told_of_the_store_only() -> None:
    states = States()
    found = [{"name": "Multipart", "verdict": "Enforced"}, {"name": "Iam", "verdict": "Unsupported"}]
    states.note(OBJECT_STORE_KIND, "", "store", capabilities=found)
    states.note(MEDIA_BUCKET_KIND, "team", "media", capabilities=found)
    assert states.told.of(CAPABILITY) == 2
    assert states.told.of(CAPABILITY, store="store", capability="Iam", verdict="Unsupported") == 1


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        "fine",
        {"credentials": {"issuedAt": "yesterday"}},
        {"credentials": {"issuedAt": 1}},
        {"credentials": "issued"},
        {"conditions": None},
        {"conditions": {"Ready": "True"}},
        {"conditions": ["Ready", {"type": "Old"}, {"status": "True"}]},
    ],
    ids=str,
)
def test_a_status_of_another_program_breaks_nothing(status: Any) -> None:
    states = States()
    states.resources.note(MEDIA_BUCKET_KIND, {"metadata": {"name": "media", "namespace": "team"}, "status": status})
    assert states.told.names() == {CONDITION, CAPABILITY, AGE}


def test_requests_to_stores_are_told_by_operation_with_code_and_result() -> None:
    requests = "mediabucket_operator_store_requests_total"
    seconds = "mediabucket_operator_store_request_duration_seconds"
    for code, took in (("OK", 0.02), ("SlowDown", 9), ("AccessDenied", 0.01)):
        metrics.store_answered(Answer("TestedOnce", code, took))
    assert {told().of(requests, operation="TestedOnce", code=code) for code in ("OK", "SlowDown", "AccessDenied")} == {
        1
    }
    assert told().of(f"{seconds}_count", operation="TestedOnce", result="ok") == 1
    assert told().of(f"{seconds}_count", operation="TestedOnce", result="failed") == 2
    assert told().of(f"{seconds}_sum", operation="TestedOnce", result="failed") > 9


def test_a_store_that_is_gone_takes_its_probes_along() -> None:
    probes = "mediabucket_operator_probe_runs_total"
    metrics.probed("passing", succeeded=True)
    metrics.probed("passing", succeeded=False)
    metrics.probed("passing", succeeded=False)
    assert told().of(probes, store="passing", result="success") == 1
    assert told().of(probes, store="passing", result="failure") == 2
    metrics.store_gone("passing")
    # Deleted twice, as when both the watch and a visit notice.
    metrics.store_gone("passing")
    assert not told().has(probes, store="passing")


def test_a_visit_to_a_store_that_is_gone_forgets_it() -> None:
    world = World()
    metrics.RESOURCES.note(OBJECT_STORE_KIND, manifest(OBJECT_STORE_KIND, "", "store", conditions=[]))
    metrics.probed("store", succeeded=True)
    assert world.operator.visit(STORE) is None
    assert not told().has("mediabucket_operator_probe_runs_total", store="store")


def test_promtool_finds_no_fault() -> None:
    metrics.allow_workers(8)
    metrics.RESOURCES.note(MEDIA_BUCKET_KIND, manifest(MEDIA_BUCKET_KIND, "team", "clean", conditions=[]))
    try:
        assert_clean(told())
    finally:
        metrics.RESOURCES.forget(MEDIA_BUCKET_KIND, "team", "clean")
