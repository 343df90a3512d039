"""Where Helm is. It is no Python package: without it the tests that need it are skipped, and say so."""

import os
import shutil
from pathlib import Path

import pytest

HOW_TO_GET_HELM = "no helm to render the chart with: put it on the PATH, or name the program in HELM"


def helm_binary() -> Path:
    """`$HELM`, or the one on the PATH, or one built for tests. Skips the test when there is none."""
    if named := os.environ.get("HELM"):
        assert os.access(named, os.X_OK), f"HELM is {named}, which is no program"
        return Path(named)
    found = shutil.which("helm") or shutil.which("/tmp/helm/helm")
    if found is None:
        pytest.skip(HOW_TO_GET_HELM)
    return Path(found)


@pytest.fixture(scope="session")
def helm_program() -> Path:
    return helm_binary()
