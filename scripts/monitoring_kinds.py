"""The kinds of the Prometheus operator for tests: prints the directory that has their CustomResourceDefinitions.

They are what its own release installs, taken once from its Go module (pinned under tests/kube/kinds), and kept in a
cache outside of the repository. Exit status 3: there is no Go to fetch the module with.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from go_tools import NOTHING_TO_BUILD_WITH, AssetsMissing, cache_directory, find_go, locked, tell

KINDS = Path(__file__).resolve().parent.parent / "tests" / "kube" / "kinds"
MODULE = "github.com/prometheus-operator/prometheus-operator"
WITHIN_MODULE = Path("example", "prometheus-operator-crd")
FILES = tuple(
    f"monitoring.coreos.com_{plural}.yaml" for plural in ("podmonitors", "servicemonitors", "prometheusrules")
)
# Another word for another choice of files.
CHOICE = "1"
HOW_TO_GET_THEM = (
    "no kinds of the Prometheus operator: install Go 1.25 or newer and run `make test-kube`, which fetches them"
)


def find() -> Path:
    """The directory with the files, if they are there already. Raises AssetsMissing."""
    directory = cache_directory("monitoring-kinds", KINDS, CHOICE)
    if all((directory / name).exists() for name in FILES):
        return directory
    raise AssetsMissing(HOW_TO_GET_THEM)


def find_or_fetch() -> Path:
    """Raises AssetsMissing without Go, subprocess.CalledProcessError when the module cannot be had."""
    try:
        return find()
    except AssetsMissing:
        go = find_go(HOW_TO_GET_THEM)
    directory = cache_directory("monitoring-kinds", KINDS, CHOICE)
    with locked(directory):
        _copy(_downloaded(go) / WITHIN_MODULE, directory)
    return directory


def _downloaded(go: str) -> Path:
    """Go compares the module with the sum that is pinned beside its version."""
    tell(f"fetching {MODULE}")
    with tempfile.TemporaryDirectory() as copy:
        # It may write into the files of a module.
        module = Path(shutil.copytree(KINDS / "monitoring", Path(copy, "module")))
        command = [go, "mod", "download", "-json", MODULE]
        told = subprocess.run(command, cwd=module, check=True, stdout=subprocess.PIPE, text=True).stdout
        unchanged = (module / "go.sum").read_text() == (KINDS / "monitoring" / "go.sum").read_text()
    assert unchanged, "tests/kube/kinds/monitoring/go.sum is not complete"
    return Path(json.loads(told)["Dir"])


def _copy(source: Path, directory: Path) -> None:
    for name in FILES:
        partial = directory / f"{name}.partial"
        shutil.copyfile(source / name, partial)
        partial.rename(directory / name)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find_or_fetch()}\n")
    except AssetsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        sys.exit(NOTHING_TO_BUILD_WITH)
