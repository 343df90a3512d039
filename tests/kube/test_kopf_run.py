"""The handlers are kopf's like any others: its own command runs them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_platform import Platform, cluster_with_chart
from operator_process import OperatorProcess, condition, eventually, media_bucket, namespace, store_documents

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

COMMAND = ("kopf", "run", "-m", "mediabucket_operator.handlers", "--all-namespaces", "--standalone")


@pytest.fixture
def run_by_kopf(assets: Path, seaweedfs: SeaweedFS, tmp_path: Path) -> Iterator[Platform]:
    """On an API server of its own: the operator of all other tests would do its work."""
    with cluster_with_chart(tmp_path / "kube", assets) as cluster:
        cluster.apply(*store_documents("store", seaweedfs.connection), namespace("team"))
        with OperatorProcess(cluster, tmp_path / "operator", command=COMMAND) as operator:
            yield Platform(cluster, seaweedfs, operator)


def test_kopf_runs_the_handlers(run_by_kopf: Platform, bucket_name: str) -> None:
    eventually(lambda: run_by_kopf.operator.health() == (200, "ok\n"))
    run_by_kopf.kube.apply(media_bucket("media", "team", "store", bucketName=bucket_name))
    run_by_kopf.wait("media", "team")
    assert condition(run_by_kopf.get("media", "team"), "CredentialsReady")["reason"] == "Scoped"
    run_by_kopf.kube.kubectl("delete", "mb/media", "-n", "team", "--timeout=30s")
    assert run_by_kopf.admin(bucket_name).exists()
    assert run_by_kopf.operator.health() == (200, "ok\n")
