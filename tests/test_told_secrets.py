"""The look for secrets finds them, and what cannot be tested where everything is required has failed."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import told_secrets

ROOT = Path(__file__).resolve().parents[1]
SECRET = "a-secret-of-a-store-that-nobody-may-see"


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not where the tests' own output is looked through."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def store(directory: Path) -> Path:
    """The directory of a server that has a secret."""
    identity = {"credentials": [{"accessKey": "KEY", "secretKey": SECRET}]}
    (directory / "data").mkdir()
    (directory / "identities.json").write_text(json.dumps({"identities": [identity]}))
    (directory / "server.log").write_text("nothing to see\n")
    return directory


def test_what_no_log_tells_is_not_told(store: Path) -> None:
    (store / "data" / "wal.log").write_text(SECRET)
    assert told_secrets.told(store) == []


@pytest.mark.parametrize("shape", [SECRET, base64.b64encode(SECRET.encode()).decode()], ids=["plain", "base64"])
def test_a_secret_in_a_log_is_found(store: Path, shape: str) -> None:
    (store / "service.log").write_text(f'{{"detail": "refused {shape}"}}')
    assert told_secrets.told(store) == ["service.log tells the secret of identities.json"]


@pytest.mark.parametrize("name", [name for name in told_secrets.SECRET_FILES if not name.endswith(".json")])
def test_each_file_of_secrets_counts(directory: Path, name: str) -> None:
    (directory / name).write_text(f"one-that-is-not-told\n{SECRET}\n")
    (directory / told_secrets.SAID_BY_TESTS).write_text(SECRET)
    assert told_secrets.told(directory) == [f"{told_secrets.SAID_BY_TESTS} tells the secret of {name}"]


@pytest.mark.parametrize(
    ("required", "status", "told"), [("", 0, "1 skipped"), ("1", 1, "this was not tested: no moon")]
)
def test_a_skip_fails_where_everything_is_required(tmp_path: Path, required: str, status: int, told: str) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_moon.py").write_text(
        'import pytest\n\n\n@pytest.mark.skip("no moon")\ndef test_moon() -> None: ...\n'
    )
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            str(ROOT / "pyproject.toml"),
            f"--rootdir={tmp_path}",
            str(tmp_path),
        ],
        env={**os.environ, "MEDIABUCKET_TESTS_REQUIRED": required},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == status, result.stdout
    assert told in result.stdout
