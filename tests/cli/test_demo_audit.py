"""`mediabucket demo` and `mediabucket audit` as a shell runs them."""

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest
from development_process import PROGRAM, Dev

from mediabucket_cli.demo_story.client import CheckFailed
from mediabucket_cli.demo_story.files import default_files, png
from mediabucket_cli.demo_story.story import Step, run_step

STEPS = [
    "provision",
    "upload picture.png",
    "same file again",
    "wrong type",
    "too large",
    "bad checksum text",
    "other bytes",
    "somebody else's media",
    "old URL",
    "two confirms at once",
    "message",
    "abandoned upload",
    "CORS changed by hand",
    "audit",
]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command with these variables set on top of ours."""
    variables = os.environ | environment
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, env=variables)


def test_the_demo_holds_with_a_file_of_ones_own(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(16, 16))
    told = run("demo", "--json", picture)
    outcomes = json.loads(told.stdout)
    assert [outcome["step"] for outcome in outcomes] == STEPS
    assert [outcome for outcome in outcomes if not outcome["passed"]] == []
    assert told.returncode == 0


def test_the_demo_fails_when_a_step_fails(tmp_path: Path) -> None:
    """A file of a type that the manifest does not allow: its upload is refused, and that is the result."""
    notes = tmp_path / "notes.txt"
    notes.write_text("not a picture")
    told = run("demo", notes)
    assert told.returncode == 1
    assert "FAILED" in told.stdout
    assert "text/plain are not allowed" in " ".join(told.stdout.split())


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = run("demo", tmp_path / "missing.png")
    assert (told.returncode, told.stdout) == (1, "")
    assert "missing.png: No such file or directory" in told.stderr.replace("\n", "")


@pytest.mark.parametrize(
    ("failure", "told"),
    [(CheckFailed("the bytes differ"), "the bytes differ"), (KeyError("media_id"), "KeyError: 'media_id'")],
)
def test_a_failing_step_is_a_line_of_the_table(failure: Exception, told: str) -> None:
    def fail() -> str:
        raise failure

    outcome = run_step(Step("step", fail))
    assert (outcome.checked, outcome.passed) == (told, False)


def test_the_default_files_are_what_they_say() -> None:
    picture, letter, film = default_files()
    assert picture.content.startswith(b"\x89PNG")
    assert letter.content.startswith(b"%PDF-")
    assert b"ftyp" in film.content[:12]
    assert len(film.content) == 25 * 1024**2


def test_audit_finds_and_repairs(running: Dev) -> None:
    """A PUT that lands after its upload was cancelled: bytes under pending/ that belong to nobody."""
    ticket = running.initiate().json()
    stored = httpx.put(ticket["upload_url"], content=b"hello", headers=ticket["headers"])
    assert stored.status_code == 200
    audit = ("audit", "--data", running.data, "--older-than", "0")
    sound = run(*audit)
    assert sound.returncode == 0, sound.stderr
    assert "nothing is left over" in " ".join(sound.stdout.split())

    deleted = running.call("DELETE", f"/api/media/{ticket['media_id']}")
    assert deleted.status_code == 204
    assert httpx.put(ticket["upload_url"], content=b"hello", headers=ticket["headers"]).status_code == 200
    found = run(*audit, "--json")
    assert found.returncode == 2
    [finding] = json.loads(found.stdout)["findings"]
    assert (finding["kind"], finding["key"]) == ("pending-without-row", f"pending/{ticket['media_id']}")
    repaired = run(*audit, "--repair")
    assert repaired.returncode == 0
    assert "1 finding" in repaired.stdout
    assert run(*audit).returncode == 0


def test_audit_says_where_it_looked(tmp_path: Path) -> None:
    told = run("audit", "--data", tmp_path)
    assert told.returncode == 1
    assert "start `mediabucket dev`" in " ".join(told.stderr.split())


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "missing or wrong in the environment: MEDIABUCKET_DATABASE_URL"),
        (
            {"MEDIABUCKET_DATABASE_URL": "postgresql://127.0.0.1:1/media"},
            "missing from the environment: BUCKET_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, MEDIABUCKET_FILE",
        ),
    ],
)
def test_audit_says_what_the_environment_of_a_service_lacks(environment: dict[str, str], told: str) -> None:
    refused = run("audit", BUCKET_NAME="media", **environment)
    assert refused.returncode == 1
    assert told in " ".join(refused.stderr.split())


def test_audit_takes_the_environment_of_a_service(running: Dev, tmp_path: Path) -> None:
    ready = running.ready
    spec = tmp_path / "mediabucket.json"
    spec.write_text('{"storeRef": {"name": "embedded"}}')
    audited = run(
        "audit",
        "--json",
        BUCKET_NAME=ready["bucket"],
        BUCKET_ENDPOINT=ready["s3_endpoint"],
        AWS_ACCESS_KEY_ID=ready["access_key_id"],
        AWS_SECRET_ACCESS_KEY=ready["secret_access_key"],
        MEDIABUCKET_DATABASE_URL=ready["database_url"],
        MEDIABUCKET_FILE=str(spec),
    )
    assert (audited.returncode, json.loads(audited.stdout)["findings"]) == (0, [])
