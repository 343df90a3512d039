"""A real API server for the whole session, with the CRDs in it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import kube_assets
import pytest
from given_cluster import given_cluster_with_chart, is_given
from go_tools import AssetsMissing
from kube_cluster import CONTROLLER_MANAGER, KubeCluster
from kube_platform import Platform, cluster_with_chart
from operator_process import (
    OPERATOR_ACCOUNT,
    OperatorProcess,
    eventually,
    namespace,
    store_documents,
)

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

ROOT = Path(__file__).resolve().parents[2]
ALL_ALLOWED = {"allowDestroy": "Allowed", "allowAdoption": "Allowed"}


@pytest.fixture(scope="session")
def assets() -> Path:
    """The directory with the programs (see scripts/kube_assets.py)."""
    try:
        return kube_assets.find()
    except AssetsMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def _collects_garbage(request: pytest.FixtureRequest) -> None:
    """For what only the controllers of Kubernetes do: objects go with their owner, and with their namespace."""
    if is_given():
        return
    assets: Path = request.getfixturevalue("assets")
    if not (assets / CONTROLLER_MANAGER).exists():
        pytest.skip(f"GARBAGE NOT COLLECTED: {assets} has no {CONTROLLER_MANAGER}; `make test-kube` builds one with Go")


@pytest.fixture(scope="session")
def kube(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeCluster]:
    """An API server that knows our kinds and nothing else."""
    cluster = KubeCluster.start(tmp_path_factory.mktemp("kube"), assets, (OPERATOR_ACCOUNT,))
    try:
        for file in sorted((ROOT / "crds").glob("*.yaml")):
            cluster.kubectl("apply", "--server-side", "-f", str(file))
        names = ["crd/mediabuckets.mediabucket.dev", "crd/objectstores.mediabucket.dev"]
        cluster.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
        yield cluster
    finally:
        cluster.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kube)


@pytest.fixture(scope="session")
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeCluster]:
    """For the operator: the cluster that was given to the tests, else one of its own."""
    directory = tmp_path_factory.mktemp("installed")
    if is_given():
        with given_cluster_with_chart(directory) as given:
            yield given
    else:
        with cluster_with_chart(directory, request.getfixturevalue("assets")) as cluster:
            yield cluster


@pytest.fixture(scope="session")
def _nobody_runs_pods() -> None:
    """For tests that play the controller of Deployments themselves."""
    if is_given():
        pytest.skip("the cluster that was given runs its own controllers, which these tests play")


@pytest.fixture(scope="session")
def platform(
    installed: KubeCluster, seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    operator = OperatorProcess(installed, tmp_path_factory.mktemp("operator"))
    installed.apply(*store_documents("store", seaweedfs.connection, limits=ALL_ALLOWED))
    with operator:
        eventually(lambda: operator.health()[0] == 200)
        yield Platform(installed, seaweedfs, operator)
    # What a store or the API server refuses is told in words; this is an exception that a handler did not expect.
    assert "ERROR   kopf.objects" not in operator.logs()


@pytest.fixture
def team(platform: Platform) -> str:
    """A new namespace."""
    name = f"team-{uuid.uuid4().hex[:8]}"
    platform.kube.apply(namespace(name))
    return name
