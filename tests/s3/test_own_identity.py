"""The identity that a process has from where it runs."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from identity_givers import Giver, irsa, pod_identity, pod_identity_agent, security_token_service
from pydantic import SecretStr

from mediabucket_s3.own_identity import Keys, NoIdentity, OwnIdentity

Serve = Callable[[Giver], AbstractContextManager[Giver]]
WAYS = [
    pytest.param(security_token_service, irsa, id="IRSA"),
    pytest.param(pod_identity_agent, pod_identity, id="Pod Identity"),
]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def giver(tmp_path: Path) -> Iterator[Giver]:
    token_file = tmp_path / "token"
    token_file.write_text("a token of the cluster")
    giver = Giver("ASIAFIRST", "first-secret", token_file, "first-session")
    yield giver
    assert giver.problems == []


def enter(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_there_is_none() -> None:
    with pytest.raises(NoIdentity, match="no role of its ServiceAccount"):
        OwnIdentity().keys()


def test_plain_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = OwnIdentity()
    with pytest.raises(NoIdentity):
        identity.keys()
    # What was not there at first may come.
    enter(monkeypatch, {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret"})
    assert identity.keys() == Keys("AKIA", SecretStr("secret"))


@pytest.mark.parametrize(("serve", "environment"), WAYS)
def test_keys_are_asked_for_once_until_they_end(
    monkeypatch: pytest.MonkeyPatch, giver: Giver, serve: Serve, environment: Callable[[Giver], dict[str, str]]
) -> None:
    with serve(giver):
        enter(monkeypatch, environment(giver))
        identity = OwnIdentity()
        first = Keys("ASIAFIRST", SecretStr("first-secret"), SecretStr("first-session"))
        assert [identity.keys() for _ in range(3)] == [first] * 3
        assert giver.given == 1


@pytest.mark.parametrize(("serve", "environment"), WAYS)
def test_keys_that_end_soon_are_replaced(
    monkeypatch: pytest.MonkeyPatch, giver: Giver, serve: Serve, environment: Callable[[Giver], dict[str, str]]
) -> None:
    giver.lifetime = timedelta(minutes=5)
    with serve(giver):
        enter(monkeypatch, environment(giver))
        identity = OwnIdentity()
        identity.keys()
        # The cluster has written another token, and the giver has other keys.
        giver.token_file.write_text("the next token")
        giver.access_key_id = "ASIASECOND"
        assert identity.keys().access_key_id == "ASIASECOND"


@pytest.mark.parametrize(("serve", "environment"), WAYS)
def test_a_refusal_is_told_without_the_token(
    monkeypatch: pytest.MonkeyPatch, giver: Giver, serve: Serve, environment: Callable[[Giver], dict[str, str]]
) -> None:
    giver.refuses = True
    with serve(giver):
        enter(monkeypatch, environment(giver))
        identity = OwnIdentity()
        with pytest.raises(NoIdentity, match="could not be had: ") as refused:
            identity.keys()
        assert giver.token_file.read_text() not in str(refused.value)
        giver.refuses = False
        assert identity.keys().access_key_id == "ASIAFIRST"


def test_keys_are_not_shown() -> None:
    assert "first" not in repr(Keys("AKIA", SecretStr("first-secret"), SecretStr("first-session")))
