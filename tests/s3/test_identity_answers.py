"""A store without IAM is told from one that fails or refuses; no answer is taken for what it is not, or told on."""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_cli.embedded import seaweedfs as embedded
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_s3 import connect
from mediabucket_s3.connect import identity_client
from mediabucket_s3.errors import (
    AccessDenied,
    IdentityMissing,
    InvalidRequest,
    LimitReached,
    NotImplementedByStore,
    S3Error,
    StoreUnavailable,
    Throttled,
)
from mediabucket_s3.identities import IdentityAdmin

STS = b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type/><Code>%s</Code></Error></ErrorResponse>'
IAM = b'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Code>%s</Code></Error></ErrorResponse>'
S3 = b"<Error><Code>%s</Code><Message>as S3 says</Message></Error>"
HTML = b"<!DOCTYPE html><html><body><p>Hello<br></body></html>"


@pytest.mark.parametrize(
    ("status", "body", "expected", "code"),
    [
        # SeaweedFS with IAM off.
        (405, b"", NotImplementedByStore, "NotImplemented"),
        # S3 itself, and stores that do not tell the requests apart.
        (405, S3 % b"MethodNotAllowed", NotImplementedByStore, "NotImplemented"),
        (404, S3 % b"NoSuchBucket", NotImplementedByStore, "NotImplemented"),
        (501, S3 % b"NotImplemented", NotImplementedByStore, "NotImplemented"),
        (200, b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", NotImplementedByStore, "NotImplemented"),
        (400, IAM % b"InvalidAction", NotImplementedByStore, "InvalidAction"),
        # MinIO has STS there.
        (403, STS % b"AccessDenied", NotImplementedByStore, "NotImplemented"),
        (400, STS % b"MissingParameter", NotImplementedByStore, "NotImplemented"),
        (503, STS % b"STSNotInitialized", StoreUnavailable, "STSNotInitialized"),
        # No store at all, or something before it.
        (200, HTML, NotImplementedByStore, "NotImplemented"),
        (200, b"<html><body/></html>", NotImplementedByStore, "NotImplemented"),
        (200, b"", NotImplementedByStore, "NotImplemented"),
        (404, HTML, NotImplementedByStore, "NotImplemented"),
        (404, b'{"message": "not found"}', NotImplementedByStore, "NotImplemented"),
        (403, HTML, AccessDenied, "403"),
        (401, b"", AccessDenied, "401"),
        (400, HTML, InvalidRequest, "400"),
        (301, HTML, InvalidRequest, "301"),
        (429, b"slow down", Throttled, "429"),
        (500, HTML, StoreUnavailable, "500"),
        (502, b"<html><body>Bad Gateway</body></html>", StoreUnavailable, "502"),
        (503, b"", StoreUnavailable, "503"),
        # A store with IAM that refuses in S3's words, as SeaweedFS and Ceph do, or fails.
        (403, S3 % b"SignatureDoesNotMatch", AccessDenied, "SignatureDoesNotMatch"),
        (404, S3 % b"NoSuchEntity", IdentityMissing, "NoSuchEntity"),
        (400, S3 % b"InvalidArgument", InvalidRequest, "InvalidArgument"),
        (503, S3 % b"SlowDown", Throttled, "SlowDown"),
        (200, S3 % b"InternalError", StoreUnavailable, "InternalError"),
        (403, IAM % b"AccessDenied", AccessDenied, "AccessDenied"),
        (400, IAM % b"AccessDeniedException", AccessDenied, "AccessDeniedException"),
        (409, IAM % b"LimitExceeded", LimitReached, "LimitExceeded"),
        (409, IAM % b"ConcurrentModification", Throttled, "ConcurrentModification"),
        (503, IAM % b"ServiceUnavailable", StoreUnavailable, "ServiceUnavailable"),
    ],
)
def test_a_store_without_iam_is_told_from_one_that_fails_or_refuses(
    canned_store: Callable[..., Any],
    answer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    expected: type[S3Error],
    code: str,
) -> None:
    monkeypatch.setattr(connect, "ATTEMPTS", 1)
    identities = IdentityAdmin.connect(canned_store(answer(status, body)).connection)
    with pytest.raises(S3Error) as caught:
        identities.put_policy("somebody", "access", {})
    assert (type(caught.value), caught.value.code) == (expected, code)
    assert str(caught.value).startswith("PutUserPolicy somebody: ")


@pytest.mark.parametrize("body", [b"", HTML, b"<html><body/></html>", b"<GetUserResponse"])
def test_nobody_exists_where_nobody_is_told_of(
    canned_store: Callable[..., Any], answer: Callable[..., Any], body: bytes
) -> None:
    identities = IdentityAdmin.connect(canned_store(answer(200, body)).connection)
    with pytest.raises((NotImplementedByStore, StoreUnavailable)):
        identities.user_exists("somebody")


@pytest.mark.parametrize(("status", "attempts"), [(405, 1), (403, 1), (503, connect.ATTEMPTS)])
def test_only_what_may_pass_is_tried_again(
    canned_store: Callable[..., Any],
    answer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    attempts: int,
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    store = canned_store(answer(status, HTML))
    with pytest.raises(S3Error):
        IdentityAdmin.connect(store.connection).user_exists("somebody")
    assert store.requests == ["POST /"] * attempts


def test_a_store_that_is_not_there_is_unavailable(canned_store: Callable[..., Any], answer: Callable[..., Any]) -> None:
    store = canned_store(answer())
    connection = store.connection
    store.stop()
    with pytest.raises(StoreUnavailable):
        IdentityAdmin.connect(connection).list_users("")


@contextmanager
def seaweedfs_with(setting: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeaweedFS]:
    monkeypatch.setattr(embedded, "_SETTINGS", (*embedded._SETTINGS, setting))
    with SeaweedFS.start(directory / "seaweedfs", durable=False) as server:
        yield server


def test_seaweedfs_with_iam_off_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with seaweedfs_with("-s3.iam=false", tmp_path, monkeypatch) as server:
        identities = IdentityAdmin.connect(server.connection)
        for attempt in (lambda: identities.user_exists("a"), lambda: identities.create_user("a", {"team": "a"})):
            with pytest.raises(NotImplementedByStore):
                attempt()


def test_seaweedfs_with_read_only_iam_refuses_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with seaweedfs_with("-s3.iam.readOnly=true", tmp_path, monkeypatch) as server:
        identities = IdentityAdmin.connect(server.connection)
        assert not identities.user_exists("a")
        with pytest.raises(AccessDenied, match="IAM write operations are disabled on this server"):
            identities.create_user("a", {})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret_access_key": SecretStr("wrong")}, "SignatureDoesNotMatch"),
        ({"access_key_id": "unknown"}, "InvalidAccessKeyId"),
    ],
)
def test_a_wrong_key_is_denied_with_the_reason(connection: StoreConnection, change: dict[str, Any], code: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        IdentityAdmin.connect(connection.model_copy(update=change)).list_users("")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://iam.amazonaws.com", "us-east-1"),
        ("https://iam.amazonaws.com.cn/", "cn-north-1"),
        ("https://iam.example.com", "eu-central-1"),
    ],
)
def test_aws_iam_is_signed_for_in_its_own_region(connection: StoreConnection, endpoint: str, region: str) -> None:
    client = identity_client(connection.model_copy(update={"region": "eu-central-1"}), endpoint)
    signed: list[str] = []

    def stop(request: Any, **_: Any) -> None:
        signed.append(request.headers["Authorization"].decode())
        raise InterruptedError

    client.meta.events.register("before-send.iam", stop)
    with pytest.raises(InterruptedError):
        client.list_users()
    client.meta.events.unregister("before-send.iam", stop)
    assert f"/{region}/iam/aws4_request" in signed[0]


def test_half_an_answer_with_a_secret_in_it_is_not_told(
    canned_store: Callable[..., Any], answer: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    half = b"<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><SecretAccessKey>canary-secret</Secr"
    store = canned_store(answer(200, half)).connection
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreUnavailable) as caught:
        IdentityAdmin.connect(store).create_access_key("a")
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "canary-secret" not in told


def test_a_success_that_says_nothing_is_none(canned_store: Callable[..., Any], answer: Callable[..., Any]) -> None:
    body = b"<CreateAccessKeyResponse><CreateAccessKeyResult/></CreateAccessKeyResponse>"
    with pytest.raises(StoreUnavailable, match="the answer lacks AccessKey"):
        IdentityAdmin.connect(canned_store(answer(200, body)).connection).create_access_key("a")
