"""A real API server for the whole session, with the CRDs in it."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_cluster import KubeCluster

ROOT = Path(__file__).resolve().parents[2]
OPERATOR_ACCOUNT = "mediabucket-system:mediabucket-operator"


def kube_assets() -> Path:
    """The directory with the programs. Raises AssetsMissing (see scripts/kube_assets.py)."""
    spec = importlib.util.spec_from_file_location("kube_assets", ROOT / "scripts" / "kube_assets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        found: Path = module.find()
    except module.AssetsMissing as missing:
        pytest.skip(str(missing))
    return found


@pytest.fixture(scope="session")
def assets() -> Path:
    return kube_assets()


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
