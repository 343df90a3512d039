"""The shape of the repository, where no tool would notice a mistake before it hurts."""

import os
import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from mediabucket_s3 import errors
from mediabucket_s3.errors import S3Error
from mediabucket_service.problems import S3_PROBLEMS, problem_for_s3

ROOT = Path(__file__).parents[1]
CODE_ROOTS = ("crds", "operator", "service", "cli", "client")
MAX_LINES = 400


def modules() -> list[Path]:
    return [file for root in (*CODE_ROOTS, "scripts", "tests") for file in (ROOT / root).rglob("*.py")]


@pytest.mark.parametrize("root", CODE_ROOTS)
def test_a_code_root_holds_packages_and_no_module_of_its_own(root: str) -> None:
    # operator/__init__.py would hide the standard library's `operator` from every program started in this folder.
    assert list((ROOT / root).glob("*.py")) == []


@pytest.mark.parametrize("root", CODE_ROOTS)
def test_no_package_hides_one_of_the_standard_library(root: str) -> None:
    packages = {entry.name for entry in (ROOT / root).iterdir() if entry.is_dir() and entry.name != "__pycache__"}
    assert packages
    assert packages.isdisjoint(sys.stdlib_module_names)


def test_tests_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_test_helpers_do_not_hide_installed_modules() -> None:
    helpers = {file.stem for file in (ROOT / "tests" / "support").glob("*.py")}
    assert helpers.isdisjoint(sys.stdlib_module_names)


def test_modules_are_short_enough_to_be_read() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in modules()}
    assert {file: length for file, length in lengths.items() if length > MAX_LINES} == {}


def test_make_lets_python_keep_compiled_modules() -> None:
    """Nothing is compiled when it is installed: without them, each start of the service takes twice as long."""
    shown = subprocess.run(
        ["make", "--no-print-directory", "--eval=show: ; @env", "show"],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PYTHONUNBUFFERED=1" in shown.stdout.splitlines()
    assert "PYTHONDONTWRITEBYTECODE" not in shown.stdout


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_requirements_are_pinned_by_hash_and_name_no_registry(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    pins = re.split(r"\n(?=[a-z])", text)
    assert [
        pin for pin in pins if not re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+", pin) or "--hash=sha256:" not in pin
    ] == []


def test_there_is_one_set_of_pins() -> None:
    assert not (ROOT / "uv.lock").exists()


def s3_errors() -> list[type[S3Error]]:
    return [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, S3Error)]


@pytest.mark.parametrize("error", s3_errors(), ids=lambda error: error.__name__)
def test_every_error_of_the_store_has_a_status_of_its_own_choice(error: type[S3Error]) -> None:
    assert error in S3_PROBLEMS
    problem = problem_for_s3(error("HeadObject", "SomeCode"))
    # What the store does is never a bug of ours.
    assert problem.status in (HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE)
