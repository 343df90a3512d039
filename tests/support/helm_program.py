"""Where Helm is. It is no Python package: without it the tests that need it are skipped, and say so."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

import kube_assets
import pytest
from go_tools import AssetsMissing

HOW_TO_GET_HELM: Final = (
    "no helm to render the chart with: run `make test-kube` once, which builds one with Go, put one on the PATH,"
    " or name the program in HELM"
)


def helm_binary() -> Path:
    """`$HELM`, else the pinned one that was built for tests, else one on the PATH. Skips the test without any."""
    if named := os.environ.get("HELM"):
        assert os.access(named, os.X_OK), f"HELM is {named}, which is no program"
        return Path(named)
    if found := _built_helm() or shutil.which("helm"):
        return Path(found)
    pytest.skip(HOW_TO_GET_HELM)


def _built_helm() -> Path | None:
    """Where `$KUBEBUILDER_ASSETS` has no helm, the one that was built without them serves as well."""
    directories = [kube_assets.cache_directory()]
    with contextlib.suppress(AssetsMissing):
        directories.insert(0, kube_assets.find())
    programs = (directory / "helm" for directory in directories)
    return next((program for program in programs if os.access(program, os.X_OK)), None)
