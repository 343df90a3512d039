"""Five hundred MediaBuckets at rest: visited again and again, and nothing is written anywhere."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_cluster import KubeCluster
from kube_platform import Platform, cluster_with_chart
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

pytestmark = pytest.mark.takes_minutes(4)

COUNT = int(os.environ.get("MEDIABUCKET_TEST_AT_REST", "500"))
SCOPED = 20
# The shortest resync interval, and twice that with its jitter.
RESYNC_SECONDS, WATCHED_SECONDS = 30, 70
READS = frozenset({"get", "list", "watch"})


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
        shared = store_documents("store", store, iam={"mode": "Shared"})
        cluster.apply(*shared, *store_documents("scoped", store), namespace("crowd"))
        with OperatorProcess(cluster, tmp_path_factory.mktemp("operator")) as operator:
            yield Platform(cluster, seaweedfs, operator)


def writes_of_the_operator(kube: KubeCluster, after_line: int) -> Counter[str]:
    calls = operator_calls(kube, after_line)
    return Counter(f"{entry['verb']} {entry['requestURI']}" for entry in calls if entry["verb"] not in READS)


def visited_without_a_write(kube: KubeCluster) -> bool:
    lines = len(kube.audit_log.read_text().splitlines())
    time.sleep(1.2 * RESYNC_SECONDS)
    return not writes_of_the_operator(kube, lines)


def test_nothing_is_written_while_nothing_changes(platform: Platform, recorded: RecordingProxy) -> None:
    kube = platform.kube
    spec = {"resyncIntervalSeconds": RESYNC_SECONDS, "cors": {"allowedOrigins": ["https://app.example.com"]}}
    # Few with keys of their own: SeaweedFS takes longer for each user the more there are.
    stores = ["scoped"] * SCOPED + ["store"] * (COUNT - SCOPED)
    kube.apply(*(media_bucket(f"media-{number:03}", "crowd", name, **spec) for number, name in enumerate(stores)))

    def not_ready() -> list[str]:
        found = kube.list("mb", "-n", "crowd")
        return [one["metadata"]["name"] for one in found if condition(one, "Ready").get("status") != "True"]

    eventually(lambda: not not_ready(), seconds=180, every=1)
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
