"""Five hundred MediaBuckets at rest: visited again and again, and nothing is written anywhere."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kube_cluster import KubeCluster
from kube_platform import Platform, cluster_with_chart, report
from operator_calls import operator_calls
from operator_process import (
    OperatorProcess,
    condition,
    eventually,
    media_bucket,
    namespace,
    store_documents,
)
from recording_proxy import RecordingProxy

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

pytestmark = pytest.mark.takes_minutes(3)

COUNT = int(os.environ.get("MEDIABUCKET_TEST_AT_REST", "500"))
SCOPED = 20
# The shortest resync interval, and twice that with its jitter.
RESYNC_SECONDS, WATCHED_SECONDS = 30, 70
READS = frozenset({"get", "list", "watch"})
# What each service is promised and may use at most, in words that the API server writes in others.
QUANTITIES = (
    ({"cpu": "0.5", "memory": "1024Mi"}, {"cpu": "1000m", "memory": "2048Mi"}),
    ({"cpu": "0.0005", "memory": "1000M"}, {"cpu": "1.5", "memory": "1000G"}),
    ({"cpu": "0.001", "memory": "1048576Ki"}, {"cpu": "2000m", "memory": "1024Gi"}),
    ({"cpu": "0.0000000001", "memory": "0.5Gi"}, {"cpu": "1k", "memory": "536870912"}),
)
DATABASE = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "database", "namespace": "crowd"},
    "stringData": {"url": "postgresql://one"},
}


def service(name: str, requests: dict[str, str], limits: dict[str, str]) -> dict[str, Any]:
    """With all that goes with one: a PodDisruptionBudget, an autoscaler, an Ingress."""
    return {
        "state": "Enabled",
        "replicas": {"min": 2, "max": 4},
        "database": {"secretRef": {"name": "database"}},
        "exposure": {"type": "Ingress", "host": f"{name}.example.com"},
        "resources": {"requests": requests, "limits": limits},
    }


@pytest.fixture(scope="module")
def recorded(seaweedfs: SeaweedFS) -> Iterator[RecordingProxy]:
    with RecordingProxy(seaweedfs.connection.endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def platform(
    assets: Path, seaweedfs: SeaweedFS, recorded: RecordingProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    with cluster_with_chart(tmp_path_factory.mktemp("rest"), assets) as cluster:
        store = seaweedfs.connection.model_copy(update={"endpoint": recorded.endpoint})
        shared = store_documents("store", store, iam={"mode": "Shared"}, limits={"allowAdoption": "Allowed"})
        cluster.apply(*shared, *store_documents("scoped", store), namespace("crowd"))
        with OperatorProcess(cluster, tmp_path_factory.mktemp("operator")) as operator:
            yield Platform(cluster, seaweedfs, operator)


def requests_of_the_operator(kube: KubeCluster, after_line: int) -> list[tuple[str, str]]:
    return [(entry["verb"], entry["requestURI"]) for entry in operator_calls(kube, after_line)]


def writes_of_the_operator(kube: KubeCluster, after_line: int) -> Counter[str]:
    requests = requests_of_the_operator(kube, after_line)
    return Counter(f"{verb} {address}" for verb, address in requests if verb not in READS)


def visited_without_a_write(kube: KubeCluster) -> bool:
    lines = len(kube.audit_log.read_text().splitlines())
    time.sleep(1.2 * RESYNC_SECONDS)
    return not writes_of_the_operator(kube, lines)


def test_nothing_is_written_while_nothing_changes(platform: Platform, recorded: RecordingProxy) -> None:
    kube = platform.kube
    spec = {"resyncIntervalSeconds": RESYNC_SECONDS, "cors": {"allowedOrigins": ["https://app.example.com"]}}
    # Few with keys of their own: SeaweedFS takes longer for each user the more there are.
    stores = ["scoped"] * SCOPED + ["store"] * (COUNT - SCOPED)
    buckets = [media_bucket(f"media-{number:03}", "crowd", name, **spec) for number, name in enumerate(stores)]
    # Of both kinds of stores.
    served = {buckets[place]["metadata"]["name"]: buckets[place] for place in (0, 1, -2, -1)}
    # SeaweedFS 4.48 may hang where CreateBucket meets another bucket's first upload: see docs/operations.md. So the
    # many are there before, and adopted.
    for document in buckets[SCOPED:]:
        document["spec"]["adoptionPolicy"] = "Adopt"
        platform.admin(f"crowd-{document['metadata']['name']}").create("us-east-1", {})
    for (name, document), amounts in zip(served.items(), QUANTITIES, strict=True):
        document["spec"]["service"] = service(name, *amounts)
    kube.apply(DATABASE, *buckets)
    for name in served:
        eventually(lambda name=name: kube.find("deployment", f"{name}-media", "crowd"), seconds=180)  # type: ignore[misc]

    def all_are_ready() -> bool:
        for name in served:
            report(kube, f"{name}-media", "crowd", replicas=2, available=2)
        told = {one["metadata"]["name"]: condition(one, "Ready") for one in kube.list("mb", "crowd")}
        assert {name: ready for name, ready in told.items() if ready.get("status") != "True"} == {}
        return True

    eventually(all_are_ready, seconds=180, every=1)
    # Ready is not yet at rest: a probe whose verdict was refused by a conflict is told a visit later.
    eventually(lambda: visited_without_a_write(kube), seconds=200, every=0)
    lines = len(kube.audit_log.read_text().splitlines())
    recorded.requests.clear()
    time.sleep(WATCHED_SECONDS)
    assert writes_of_the_operator(kube, lines) == Counter()
    assert recorded.writes() == {}
    # It did look, each of them at least once: a bucket is found by HEAD, its key by ListAccessKeys.
    assert recorded.requests["IAM ListAccessKeys"] >= SCOPED
    assert recorded.requests["GET cors"] >= COUNT
    looked_at = Counter(address for verb, address in requests_of_the_operator(kube, lines) if verb == "get")
    for name in served:
        for kind in ("deployments", "poddisruptionbudgets", "horizontalpodautoscalers", "ingresses"):
            assert [True for address in looked_at if address.endswith(f"/crowd/{kind}/{name}-media")], (kind, name)
