"""A server that speaks MongoDB's protocol, for tests: prints the path of FerretDB.

MongoDB itself is in no package index; FerretDB 1 answers the same calls and keeps documents in PostgreSQL. It is built
once from its Go module (pinned under tests/service/tools) and kept in a cache outside of the repository. Exit status
3: there is no Go, and nothing is needed where `$MEDIABUCKET_TEST_MONGODB_URL` names a MongoDB.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from go_tools import NOTHING_TO_BUILD_WITH, AssetsMissing, build, cache_directory, find_go, locked, version_of

TOOLS = Path(__file__).resolve().parent.parent / "tests" / "service" / "tools"
FERRETDB = TOOLS / "ferretdb"
MODULE = "github.com/FerretDB/FerretDB"
PROGRAM = "ferretdb"
URL_VARIABLE = "MEDIABUCKET_TEST_MONGODB_URL"
# Another word for another way to build it.
BUILD = "1"
HOW_TO_GET_IT = (
    f"messages in MongoDB are NOT tested: set {URL_VARIABLE} to the URL of a MongoDB,"
    " or install Go 1.25 or newer and run `make test`, which builds FerretDB"
)


def find() -> Path:
    """The program, if it is there already. Raises AssetsMissing."""
    program = cache_directory("documents", TOOLS, BUILD) / PROGRAM
    if not program.exists():
        raise AssetsMissing(HOW_TO_GET_IT)
    return program


def find_or_build() -> Path:
    """Raises AssetsMissing without Go, subprocess.CalledProcessError when it does not build."""
    try:
        return find()
    except AssetsMissing:
        go = find_go(HOW_TO_GET_IT)
    directory = cache_directory("documents", TOOLS, BUILD)
    with locked(directory):
        if not (directory / PROGRAM).exists():
            _build(go, directory)
    return directory / PROGRAM


def _build(go: str, directory: Path) -> None:
    version = version_of(MODULE, FERRETDB / "go.mod")
    source, module = directory / "source", directory / "module"
    for leftover in (source, module):
        shutil.rmtree(leftover, ignore_errors=True)
    # It wants its own version in a file that a module from the proxy does not have.
    shutil.copytree(_downloaded(go), source, copy_function=shutil.copyfile)
    # Go keeps modules read-only.
    for copied in (source, *source.rglob("*/")):
        copied.chmod(0o755)
    (source / "build" / "version" / "version.txt").write_text(f"{version}\n")
    shutil.copytree(FERRETDB, module)
    subprocess.run([go, "mod", "edit", "-replace", f"{MODULE}=../source"], cwd=module, check=True)
    build(go, module, directory, "-s -w", [f"{MODULE}/cmd/ferretdb"], f"FerretDB {version} (some minutes, once)")
    for used in (source, module):
        shutil.rmtree(used)


def _downloaded(go: str) -> Path:
    command = [go, "mod", "download", "-json", MODULE]
    answer = subprocess.run(command, cwd=FERRETDB, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(answer)["Dir"])


if __name__ == "__main__":
    if URL_VARIABLE in os.environ:
        sys.exit(0)
    try:
        sys.stdout.write(f"{find_or_build()}\n")
    except AssetsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        sys.exit(NOTHING_TO_BUILD_WITH)
