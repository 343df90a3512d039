"""Where Helm is. It is no Python package: without it the tests that need it are skipped, and say so."""

import os
import shutil
from pathlib import Path

import kube_assets
import pytest
from go_tools import AssetsMissing

HOW_TO_GET_HELM = (
    "no helm to render the chart with: run `make test-kube` once, which builds one with Go, put one on the PATH,"
    " or name the program in HELM"
)


def helm_binary() -> Path:
    """`$HELM`, else the pinned one that was built for tests, else one on the PATH. Skips the test without any."""
    if named := os.environ.get("HELM"):
        assert os.access(named, os.X_OK), f"HELM is {named}, which is no program"
        return Path(named)
    if found := built_helm() or shutil.which("helm"):
        return Path(found)
    pytest.skip(HOW_TO_GET_HELM)


def built_helm() -> Path | None:
    try:
        program = kube_assets.find() / "helm"
    except AssetsMissing:
        return None
    return program if os.access(program, os.X_OK) else None


@pytest.fixture(scope="session")
def helm_program() -> Path:
    return helm_binary()
