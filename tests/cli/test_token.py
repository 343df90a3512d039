"""`mediabucket token`, and how the command tells of what a person can mend."""

import sys
from pathlib import Path
from typing import Any

import jwt
import pytest

from mediabucket_api.spec import MediaBucketSpec
from mediabucket_cli import main as command
from mediabucket_cli.data_directory import DataDirectory

SECRET = "a secret of at least thirty-two bytes"


def data_directory(path: Path, **auth: str) -> DataDirectory:
    """What a platform with that `spec.service.auth` leaves behind."""
    spec = MediaBucketSpec.model_validate({"storeRef": {"name": "embedded"}, "service": {"auth": auth}})
    directory = DataDirectory(path)
    directory.spec.write_text(spec.model_dump_json(by_alias=True))
    directory.jwt_secret.write_text(SECRET)
    return directory


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mediabucket", *arguments])
    with pytest.raises(SystemExit) as exit_:
        command.main()
    return int(exit_.value.code or 0)


def test_a_token_has_the_issuer_and_audience_that_the_manifest_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data_directory(tmp_path, issuer="https://id.example.com", audience="media")
    assert run(monkeypatch, "token", "--sub", "bob", "--data", str(tmp_path), "--expires-in", "60") == 0
    claims: dict[str, Any] = jwt.decode(capsys.readouterr().out.strip(), SECRET, ["HS256"], audience="media")
    assert (claims["sub"], claims["iss"]) == ("bob", "https://id.example.com")


def test_without_a_platform_there_is_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "token", "--sub", "bob", "--data", str(tmp_path)) == 1
    assert capsys.readouterr().err.startswith(f"error: no platform has run in {tmp_path}: start `mediabucket dev`")


def test_tokens_of_an_identity_provider_are_not_ours_to_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data_directory(tmp_path, jwksUrl="https://id.example.com/keys")
    assert run(monkeypatch, "token", "--sub", "bob", "--data", str(tmp_path)) == 1
    assert "https://id.example.com/keys" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("dev", "-f", "missing.yaml"), "missing.yaml: does not exist: check the path"),
        (("token", "--sub", "", "--data", "{data}"), "--sub must have 1 to 255 characters"),
    ],
)
def test_what_a_person_can_mend_is_told_without_a_traceback(
    arguments: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data_directory(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *(argument.format(data=tmp_path) for argument in arguments)) == 1
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
