"""Two clusters whose manifests name the same buckets of the same account: each bucket becomes one cluster's."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kube_cluster import KubeCluster
from kube_platform import cluster_with_chart
from moto.server import ThreadedMotoServer
from operator_process import OperatorProcess, condition, eventually, media_bucket, namespace, store_documents
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_api.constants import OWNER_CLUSTER_TAG, OWNER_TAG
from mediabucket_s3.admin import BucketAdmin

pytestmark = pytest.mark.takes_minutes(2)

NAMES = [f"media-{number:02}" for number in range(24)]
CLUSTERS = ("cluster-1", "cluster-2")
RESYNC_SECONDS = 30
# Of the same namespace and name in both, so that nothing but the cluster tells them apart.
SPEC: dict[str, Any] = {"resyncIntervalSeconds": RESYNC_SECONDS, "tags": [{"key": "team", "value": "a"}]}


@pytest.fixture
def store() -> Iterator[StoreConnection]:
    """As AWS in us-east-1, moto answers 200 to a CreateBucket of a bucket that the account has already."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    yield StoreConnection(
        endpoint=endpoint, public_endpoint=endpoint, access_key_id="account", secret_access_key=SecretStr("nothing")
    )
    server.stop()


@pytest.fixture
def rivals(assets: Path, store: StoreConnection, tmp_path: Path) -> Iterator[dict[str, KubeCluster]]:
    with ExitStack() as stack:
        clusters = {}
        for name in CLUSTERS:
            cluster = stack.enter_context(cluster_with_chart(tmp_path / name, assets))
            # moto confines no users: what CredentialsReady says of that is not what this is about.
            cluster.apply(*store_documents("store", store, iam={"mode": "Shared"}), namespace("team"))
            environment = {"MEDIABUCKET_OPERATOR_CLUSTER_ID": name}
            stack.enter_context(OperatorProcess(cluster, tmp_path / f"operator-{name}", environment=environment))
            clusters[name] = cluster
        for cluster in clusters.values():
            cluster.kubectl("wait", "--for=condition=Ready", "ostore/store", "--timeout=60s")
        yield clusters


def owners(rivals: dict[str, KubeCluster]) -> dict[str, dict[str, str]]:
    """What BucketOwned says, by bucket and cluster."""
    found = {cluster: kube.list("mb", "team") for cluster, kube in rivals.items()}
    told: dict[str, dict[str, str]] = {name: {} for name in NAMES}
    for cluster, document in itertools.chain(*([(cluster, one) for one in ones] for cluster, ones in found.items())):
        told[document["metadata"]["name"]][cluster] = condition(document, "BucketOwned").get("reason", "")
    return told


def test_each_bucket_becomes_one_clusters(rivals: dict[str, KubeCluster], store: StoreConnection) -> None:
    documents = [media_bucket(name, "team", "store", bucketName=f"rival-{name}", **SPEC) for name in NAMES]
    with ThreadPoolExecutor() as both:
        list(both.map(lambda cluster: cluster.apply(*documents), rivals.values()))

    def settled() -> bool:
        told = owners(rivals)
        undecided = {name: by for name, by in told.items() if sorted(by.values()) != ["ForeignOwner", "Owned"]}
        assert undecided == {}
        return True

    # Who was overwritten in the moment between the other's look and its mark sees it at the next visit.
    eventually(settled, seconds=4 * RESYNC_SECONDS, every=1)
    for name, by in owners(rivals).items():
        [owner] = [cluster for cluster, reason in by.items() if reason == "Owned"]
        tags = BucketAdmin.connect(store, f"rival-{name}").get_tags()
        uid = rivals[owner].get("mb", name, "team")["metadata"]["uid"]
        assert (tags[OWNER_CLUSTER_TAG], tags[OWNER_TAG]) == (owner, uid)
        [loser] = set(rivals) - {owner}
        assert rivals[loser].get("mb", name, "team")["status"]["ownership"]["state"] == "Foreign"
