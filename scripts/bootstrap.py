"""Makes `.venv` with pinned packages and this project in it: python3 scripts/bootstrap.py {cli,dev}.

Needs nothing but Python and a package index. Does nothing when everything is there already. Runs on any Python 3, so
that an old one can say what is wrong or find a newer one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

OLDEST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")
# What the second set has, the first has too.
SETS = ("cli", "dev")

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "bootstrap.json"
REQUIREMENTS = ROOT / "requirements"
PIP = ("--disable-pip-version-check", "--no-input", "--no-python-version-warning")


def main(wanted: str) -> None:
    if sys.version_info < OLDEST:
        continue_with_newer_python()
    with Path(__file__).open() as lock:
        wait_for(lock)
        digest = digest_of(wanted)
        if is_stamped(wanted, digest):
            return
        started = time.monotonic()
        tell(f"preparing {VENV.relative_to(ROOT)} (once; a minute or two)")
        pip = make_environment()
        install_packages(pip, wanted)
        install_project(pip)
        stamp(wanted, digest)
        tell(f"ready after {time.monotonic() - started:.0f} s")


def continue_with_newer_python() -> NoReturn:
    for name in NEWER:
        program = shutil.which(name)
        # Version managers put programs on the path that only say that there is no such version.
        if program and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            os.execv(program, [program, *sys.argv])
    fail("Python 3.11 or newer is needed, and this is " + sys.version.split()[0])


def wait_for(lock) -> None:  # type: ignore[no-untyped-def]  # the annotation of a file needs a newer Python
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell("waiting for another make to finish the installation")
        fcntl.flock(lock, fcntl.LOCK_EX)


def requirement_files(wanted: str) -> list[Path]:
    return [REQUIREMENTS / "build.txt", REQUIREMENTS / f"{wanted}.txt"]


def digest_of(wanted: str) -> str:
    """Of everything that decides what is installed and where."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in [*requirement_files(wanted), ROOT / "pyproject.toml", Path(__file__)]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_stamped(wanted: str, digest: str) -> bool:
    """Whether the set is installed, by itself or as part of the larger one."""
    stamps = read_stamps()
    larger = SETS[SETS.index(wanted) + 1 :]
    return stamps.get(wanted) == digest or any(stamps.get(name) == digest_of(name) for name in larger)


def read_stamps() -> dict[str, str]:
    try:
        stamps: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamps if is_usable() else {}


def stamp(wanted: str, digest: str) -> None:
    STAMP.write_text(json.dumps(read_stamps() | {wanted: digest}))


def make_environment() -> list[str]:
    """Make `.venv` unless there is a good one; the command that installs into it."""
    if not is_usable():
        tell("creating the virtual environment")
        options = ["--clear"] if has_module("ensurepip") else ["--clear", "--without-pip"]
        run([sys.executable, "-m", "venv", *options, str(VENV)], "the virtual environment cannot be created")
    if (VENV / "bin" / "pip").exists():
        return [str(PYTHON), "-m", "pip"]
    if has_module("pip"):
        return [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    fail("Python has neither ensurepip nor pip: install them (on Debian and Ubuntu: apt-get install python3-venv)")


def is_usable() -> bool:
    """Whether the Python of `.venv` still runs, is new enough, and is the one that packages were installed for."""
    question = (
        "import os, sys, sysconfig; print(sys.version_info >= (3, 11), os.path.isdir(sysconfig.get_path('purelib')))"
    )
    try:
        answer = subprocess.run([str(PYTHON), "-S", "-c", question], capture_output=True, check=False, text=True)
    except OSError:
        return False
    return answer.stdout.split() == ["True", "True"]


def has_module(name: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def install_packages(pip: list[str], wanted: str) -> None:
    files = requirement_files(wanted)
    total = sum(line[0].isalnum() for file in files for line in file.read_text().splitlines() if line)
    # Compiled when first imported: most of what is in packages never is, and compiling it all takes half a minute.
    options = ["--require-hashes", "--no-deps", "--no-compile", "--progress-bar=off"]
    install(
        [*pip, "install", *PIP, *options, *(f"--requirement={file}" for file in files)],
        f"installing {total} pinned packages",
        total,
    )


def install_project(pip: list[str]) -> None:
    """In place. The build uses the pinned packages that are there already."""
    options = ["--no-deps", "--no-build-isolation", "--progress-bar=off"]
    install([*pip, "install", *PIP, *options, "--editable", str(ROOT)], "installing mediabucket itself", 1)


def install(command: list[str], title: str, total: int) -> None:
    """Run pip, telling how far it is instead of what it says; what it says is shown when it fails."""
    tell(title)
    said = []
    seen = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith(("Collecting", "Requirement already satisfied")):
                seen += 1
                if seen % 25 == 0:
                    tell(f"  {min(seen, total)} of {total} fetched")
            elif line.startswith("Installing collected"):
                tell("  unpacking")
    if process.returncode != 0:
        fail("pip failed; it said:\n" + "".join(said[-30:]))


def run(command: list[str], what_failed: str) -> None:
    result = subprocess.run(command, capture_output=True, check=False, text=True)
    if result.returncode != 0:
        fail(f"{what_failed}:\n{result.stdout}{result.stderr}")


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def fail(reason: str) -> NoReturn:
    sys.exit(f"bootstrap: {reason}")


if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in SETS]:
        fail("usage: bootstrap.py {cli,dev}")
    main(sys.argv[1])
