"""What Prometheus is told by a real operator: names, values, and nothing of what is gone."""

import base64

from kube_platform import Platform
from operator_process import media_bucket, store_documents
from told_metrics import Told, assert_clean, eventually_told, told_by

from mediabucket_cli.embedded.ports import LOOPBACK

WORKERS = 16
CONDITION = "mediabucket_condition"
AGE = "mediabucket_operator_credential_age_seconds"
PROBES = "mediabucket_operator_probe_runs_total"
REQUESTS = "mediabucket_operator_store_requests_total"
REQUEST_SECONDS = "mediabucket_operator_store_request_duration_seconds_count"
WATCHED = {
    "/apis/mediabucket.dev/v1alpha1/mediabuckets",
    "/apis/mediabucket.dev/v1alpha1/objectstores",
    "/apis/apps/v1/deployments",
}


def address(platform: Platform) -> str:
    return f"http://{LOOPBACK}:{platform.operator.port}"


def is_ready(found: Told, team: str) -> bool:
    labels = {"kind": "MediaBucket", "namespace": team, "name": "avatars", "type": "Ready"}
    return found.has(CONDITION, **labels) and found.of(CONDITION, **labels, status="True") == 1


def test_a_media_bucket_is_told_from_its_first_condition_to_its_end(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store"))
    platform.wait("avatars", team)
    found = eventually_told(address(platform), lambda found: is_ready(found, team))
    assert found.of(CONDITION, namespace=team, type="Ready", status="False") == 0
    types = {known["type"] for known in platform.get("avatars", team)["status"]["conditions"]}
    for kind in types:
        assert found.of(CONDITION, namespace=team, name="avatars", type=kind) == 1, "one status each"
    assert 0 <= found.of(AGE, namespace=team, name="avatars") < 120
    assert found.of("controller_runtime_reconcile_total", controller="MediaBucket", result="success") >= 1
    assert found.of("controller_runtime_reconcile_time_seconds_count", controller="MediaBucket") >= 1

    platform.kube.kubectl("delete", "mb/avatars", "-n", team, "--wait=true", "--timeout=60s")
    eventually_told(address(platform), lambda found: team not in found.text)


def test_a_store_is_told_with_its_probe_and_goes(platform: Platform) -> None:
    nowhere = platform.store.connection.model_copy(update={"endpoint": f"http://{LOOPBACK}:9"})
    platform.kube.apply(*store_documents("nowhere", nowhere))
    reachable = {"kind": "ObjectStore", "namespace": "", "type": "Reachable"}
    found = eventually_told(
        address(platform),
        lambda found: (
            found.has(CONDITION, **reachable, name="nowhere")
            and found.has(CONDITION, **reachable, name="store")
            and found.has(PROBES, store="nowhere")
        ),
    )
    assert found.of(CONDITION, **reachable, name="nowhere", status="True") == 0
    assert found.of(PROBES, store="nowhere", result="failure") >= 1
    assert found.of(REQUESTS, operation="HeadBucket", code="EndpointConnectionError") >= 1
    assert found.of(REQUEST_SECONDS, operation="HeadBucket", result="failed") >= 1
    platform.kube.kubectl("delete", "ostore/nowhere", "--wait=true")
    eventually_told(address(platform), lambda found: "nowhere" not in found.text)

    # An operator that was started again knows what its predecessor has found, and probes only on request.
    platform.kube.kubectl("annotate", "ostore/store", "mediabucket.dev/probe=now", "--overwrite")
    well = eventually_told(address(platform), lambda found: found.has(PROBES, store="store"))
    assert well.of(PROBES, store="store", result="success") >= 1
    assert well.of("mediabucket_operator_store_capability", store="store", verdict="Enforced") > 5
    for operation in ("CreateBucket", "CreateUser", "presigned PUT"):
        assert well.of(REQUESTS, operation=operation, code="OK") >= 1
        assert well.of(REQUEST_SECONDS, operation=operation) == well.of(REQUESTS, operation=operation)


def test_what_is_told_is_known_to_dashboards_and_holds_no_secret(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store"))
    platform.wait("avatars", team)
    found = eventually_told(address(platform), lambda found: is_ready(found, team))
    for controller in ("MediaBucket", "ObjectStore"):
        assert found.of("controller_runtime_max_concurrent_reconciles", controller=controller) == WORKERS
        assert found.of("controller_runtime_active_workers", controller=controller) <= WORKERS / 2
        assert found.of("workqueue_depth", name=controller) >= 0
    assert found.labels("mediabucket_operator_watch_silence_seconds", "path") >= WATCHED
    assert found.labels("mediabucket_operator_watch_restarts_total", "path") >= WATCHED
    keys = platform.kube.get("secret", "avatars-media", team)["data"]
    store = platform.store.connection
    private = [
        base64.b64decode(keys["AWS_ACCESS_KEY_ID"]).decode(),
        base64.b64decode(keys["AWS_SECRET_ACCESS_KEY"]).decode(),
        store.access_key_id,
        store.secret_access_key.get_secret_value(),
        platform.get("avatars", team)["metadata"]["uid"],
    ]
    assert [number for number, secret in enumerate(private) if secret in told_by(address(platform)).text] == []
    assert_clean(found)
