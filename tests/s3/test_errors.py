"""One table says what an answer means: here against what botocore really raises, not against made-up exceptions."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from mediabucket_api.connection import StoreConnection
from mediabucket_s3 import connect
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import (
    ERROR_CODES,
    AccessDenied,
    BucketMissing,
    InvalidRequest,
    NotImplementedByStore,
    ObjectMissing,
    PreconditionFailed,
    S3Error,
    StoreUnavailable,
    Throttled,
    error_class,
    translated_s3_errors,
)
from mediabucket_s3.objects import BucketObjects

OPERATIONS_USED = (
    "AbortMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "DeleteBucket",
    "DeleteObject",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjectsV2",
    "PutObject",
)


@pytest.fixture(autouse=True)
def _single_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries change the time an error takes, not which one it is."""
    monkeypatch.setattr(connect, "ATTEMPTS", 1)


def error_body(code: str, message: str = "as the store says") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


def all_subclasses(parent: type[S3Error]) -> Iterator[type[S3Error]]:
    for child in parent.__subclasses__():
        yield child
        yield from all_subclasses(child)


@pytest.mark.parametrize(
    ("kind", "code"), [(kind, code) for kind, codes in ERROR_CODES.items() for code in sorted(codes)]
)
def test_a_code_of_the_table_is_its_error_whatever_the_status(kind: type[S3Error], code: str) -> None:
    with pytest.raises(S3Error) as caught, translated_s3_errors("GetObject", "some/key"):
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 418}}, "GetObject")
    assert type(caught.value) is kind
    assert (caught.value.operation, caught.value.code, caught.value.http_status) == ("GetObject", code, 418)


def test_every_error_stands_for_some_code_and_no_code_for_two_errors() -> None:
    assert set(ERROR_CODES) == set(all_subclasses(S3Error))
    codes = [code for codes in ERROR_CODES.values() for code in codes]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("operation", OPERATIONS_USED)
def test_every_error_that_botocore_knows_of_a_call_in_use_is_in_the_table(operation: str) -> None:
    model = botocore.session.get_session().get_service_model("s3").operation_model(operation)
    known = {code for codes in ERROR_CODES.values() for code in codes}
    assert {shape.error_code for shape in model.error_shapes} <= known


@pytest.mark.parametrize(
    ("http_status", "kind"),
    [
        (301, InvalidRequest),
        (400, InvalidRequest),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, S3Error),
        (405, NotImplementedByStore),
        (409, S3Error),
        (412, PreconditionFailed),
        (418, S3Error),
        (429, Throttled),
        (500, StoreUnavailable),
        (501, NotImplementedByStore),
        (502, StoreUnavailable),
        (503, StoreUnavailable),
        (599, StoreUnavailable),
        (None, S3Error),
    ],
)
def test_an_unknown_code_is_judged_by_its_status(http_status: int | None, kind: type[S3Error]) -> None:
    assert error_class("GetObject", "NeverHeardOf", http_status) is kind


@pytest.mark.parametrize(
    ("http_status", "kind"),
    [
        (404, ObjectMissing),
        (403, AccessDenied),
        (412, PreconditionFailed),
        (400, InvalidRequest),
        (503, StoreUnavailable),
    ],
)
async def test_head_of_an_object_has_no_body_and_is_judged_by_its_status(
    canned_store: Callable[..., Any], answer: Callable[..., Any], http_status: int, kind: type[S3Error]
) -> None:
    store = canned_store(answer(status=http_status))
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(S3Error) as caught:
            await objects.head("some/key")
    assert (type(caught.value), caught.value.http_status) == (kind, http_status)


async def test_head_of_a_bucket_that_is_not_there_misses_the_bucket(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    store = canned_store(answer(status=404))
    assert not BucketAdmin.connect(store.connection, "some-bucket").exists()
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(BucketMissing):
            await objects.check()


def test_a_forbidden_bucket_is_not_a_missing_one(canned_store: Callable[..., Any], answer: Callable[..., Any]) -> None:
    store = canned_store(answer(status=403))
    with pytest.raises(AccessDenied):
        BucketAdmin.connect(store.connection, "some-bucket").exists()


def refusing_connection(connection: StoreConnection) -> StoreConnection:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
    return connection.model_copy(update={"endpoint": endpoint})


TRANSPORT_FAILURES: dict[str, dict[str, Any]] = {
    "closed without an answer": {"raw": b""},
    "not HTTP": {"raw": b"\x16\x03\x01 nonsense\r\n\r\n"},
    "half an answer": {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<ListBucketResult>"},
    "a gateway's error page": {"status": 502, "body": b"<html>Bad Gateway</html>", "content_type": "text/html"},
    "a web page": {"status": 200, "body": b"<html><br>Welcome</html>", "content_type": "text/html"},
    "InternalError": {"status": 500, "body": error_body("InternalError")},
    "ServiceUnavailable": {"status": 503, "body": error_body("ServiceUnavailable")},
}


@pytest.mark.parametrize("failure", TRANSPORT_FAILURES.values(), ids=TRANSPORT_FAILURES.keys())
async def test_a_store_that_fails_is_unavailable_to_both_clients(
    canned_store: Callable[..., Any], answer: Callable[..., Any], failure: dict[str, Any]
) -> None:
    store = canned_store(answer(**failure))
    with pytest.raises(StoreUnavailable):
        BucketAdmin.connect(store.connection, "some-bucket").is_empty()
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(StoreUnavailable):
            [entry async for entry in objects.list("pending/")]


async def test_a_store_that_cannot_be_reached_is_unavailable(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    connection = refusing_connection(canned_store(answer()).connection)
    with pytest.raises(StoreUnavailable) as caught:
        BucketAdmin.connect(connection, "some-bucket").exists()
    assert isinstance(caught.value.__cause__, EndpointConnectionError)
    assert caught.value.http_status is None
    async with BucketObjects.connect(connection, "some-bucket") as objects:
        with pytest.raises(StoreUnavailable):
            await objects.check()


async def test_a_store_that_never_answers_is_unavailable_after_a_bounded_time(canned_store: Callable[..., Any]) -> None:
    connection = canned_store(None).connection
    with pytest.raises(StoreUnavailable):
        BucketAdmin(connect.administration_client(connection, read_timeout=0.2), "some-bucket").exists()
    async with connect.object_client(connection, read_timeout=0.2) as client:
        with pytest.raises(StoreUnavailable):
            await BucketObjects(client, "some-bucket").check()


async def test_a_body_that_breaks_off_is_no_short_object(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    store = canned_store(answer(raw=b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 1000\r\n\r\nonly this'))
    with pytest.raises(StoreUnavailable):
        BucketAdmin.connect(store.connection, "some-bucket").read_object("some/key")
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(StoreUnavailable):
            [chunk async for chunk in objects.stream("some/key", if_match="e")]


async def test_a_store_that_asks_for_patience_throttles(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    store = canned_store(answer(status=503, body=error_body("SlowDown")))
    with pytest.raises(Throttled):
        BucketAdmin.connect(store.connection, "some-bucket").get_cors()
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(Throttled):
            await objects.delete("some/key")


@pytest.mark.parametrize(("code", "kind"), [("InternalError", StoreUnavailable), ("SlowDown", Throttled)])
async def test_a_copy_that_fails_after_its_status_was_sent_fails(
    canned_store: Callable[..., Any], answer: Callable[..., Any], code: str, kind: type[S3Error]
) -> None:
    store = canned_store(answer(status=200, body=error_body(code)))
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(kind):
            await objects.copy("pending/a", "uploads/a", if_match="e", size=1)


async def test_a_copy_that_answers_nothing_is_no_success(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    store = canned_store(answer(status=200))
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(StoreUnavailable):
            await objects.copy("pending/a", "uploads/a", if_match="e", size=1)


async def test_what_botocore_itself_refuses_to_send_is_an_invalid_request(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    store = canned_store(answer())
    async with BucketObjects.connect(store.connection, "some-bucket") as objects:
        with pytest.raises(InvalidRequest):
            await objects.head("")
    assert store.requests == []


def test_other_failures_of_the_libraries_are_s3_errors_with_their_cause() -> None:
    with pytest.raises(S3Error) as caught, translated_s3_errors("GetObject"):
        raise NoCredentialsError
    assert type(caught.value) is S3Error
    assert isinstance(caught.value.__cause__, NoCredentialsError)


def test_what_is_no_failure_of_the_store_passes_untouched() -> None:
    with pytest.raises(KeyError), translated_s3_errors("GetObject"):
        raise KeyError("a mistake of ours")


def test_an_error_reads_as_a_sentence_with_operation_resource_code_and_status() -> None:
    assert str(AccessDenied("PutBucketCors", "AccessDenied", 403, "Access Denied.", "team-chat")) == (
        "PutBucketCors team-chat: AccessDenied (HTTP 403): Access Denied."
    )
    assert str(ObjectMissing("HeadObject", "404", 404, resource="a/b")) == "HeadObject a/b: 404"


def test_no_error_shows_a_secret_or_a_signature(canned_store: Callable[..., Any], answer: Callable[..., Any]) -> None:
    leak = (
        "GET /b/k?X-Amz-Credential=AKIDEXAMPLE%2F2026&amp;X-Amz-Security-Token=the-token&amp;X-Amz-Signature=deadbeef "
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/2026, Signature=deadbeef"
    )
    store = canned_store(answer(status=403, body=error_body("SignatureDoesNotMatch", leak)))
    with pytest.raises(AccessDenied) as caught:
        BucketAdmin.connect(store.connection, "some-bucket").get_tags()
    shown = f"{caught.value} {caught.value!r} {caught.value.detail}"
    assert "SignatureDoesNotMatch" in shown
    for secret in ("deadbeef", "the-token", "very-secret-key", "AKIDEXAMPLE"):
        assert secret not in shown
