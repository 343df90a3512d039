"""The chart on a real API server: installed, upgraded, uninstalled, and what survives."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_cluster import KubeCluster
from kube_platform import helm
from operator_process import OPERATOR_NAMESPACE, media_bucket, namespace

CHART = Path(__file__).resolve().parents[2] / "charts" / "mediabucket"
DEPLOYMENT = "mediabucket-operator"


@pytest.fixture(scope="module")
def kube(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeCluster]:
    cluster = KubeCluster.start(tmp_path_factory.mktemp("chart"), assets)
    try:
        restricted = {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        }
        cluster.apply(namespace(OPERATOR_NAMESPACE, **restricted))
        yield cluster
    finally:
        cluster.stop()


def release(assets: Path, kube: KubeCluster, command: str, *options: str) -> str:
    return helm(assets, kube, command, "mediabucket", *options, "-n", OPERATOR_NAMESPACE)


def test_install_upgrade_uninstall_and_install_again(assets: Path, kube: KubeCluster) -> None:
    told = release(assets, kube, "install", str(CHART))
    assert "kubectl" in told
    operator = kube.get("deployment", DEPLOYMENT, OPERATOR_NAMESPACE)
    assert operator["spec"]["replicas"] == 1
    assert operator["spec"]["strategy"]["type"] == "Recreate"
    kube.kubectl("wait", "--for=condition=Established", "crd/mediabuckets.mediabucket.dev", "--timeout=30s")
    kube.apply(namespace("team"), media_bucket("media", "team", "store"))

    release(assets, kube, "upgrade", str(CHART), "--set", "operator.workers=3", "--set", "operator.logLevel=DEBUG")
    environment = kube.get("deployment", DEPLOYMENT, OPERATOR_NAMESPACE)["spec"]["template"]["spec"]["containers"][0][
        "env"
    ]
    assert {"name": "MEDIABUCKET_OPERATOR_WORKERS", "value": "3"} in environment

    release(assets, kube, "uninstall")
    assert kube.find("deployment", DEPLOYMENT, OPERATOR_NAMESPACE) is None
    assert kube.get("mb", "media", "team")["spec"]["storeRef"] == {"name": "store"}
    left = kube.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    assert "mediabucket" not in left

    release(assets, kube, "install", str(CHART))
    assert kube.get("mb", "media", "team")


def test_a_value_that_nobody_knows_is_refused(assets: Path, kube: KubeCluster) -> None:
    with pytest.raises(AssertionError, match="additional properties 'replicas' not allowed"):
        helm(assets, kube, "install", "other", str(CHART), "-n", OPERATOR_NAMESPACE, "--set", "replicas=2")
