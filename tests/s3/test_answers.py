"""What is told of each attempt of a call: whoever counts them, or must not be taken for stuck, is called."""

from collections.abc import Callable
from typing import Any

import pytest

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.answers import Answer
from mediabucket_s3.errors import AccessDenied, StoreUnavailable
from mediabucket_s3.identities import IdentityAdmin
from mediabucket_s3.presign import PresignedRequest, Presigner
from mediabucket_s3.raw_requests import RawSender


class Heard:
    """Everything that was told."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def __call__(self, answer: Answer) -> None:
        self.answers.append(answer)

    @property
    def words(self) -> list[tuple[str, str]]:
        return [(answer.operation, answer.code) for answer in self.answers]


@pytest.fixture
def heard() -> Heard:
    return Heard()


def refusal(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


def presigned(connection: StoreConnection, bucket: str) -> PresignedRequest:
    return Presigner(connection, bucket).get("a.png", expires_in=60)


def test_answers_and_refusals_of_a_real_store(connection: StoreConnection, bucket_name: str, heard: Heard) -> None:
    admin = BucketAdmin.connect(connection, bucket_name, heard)
    assert not admin.exists()
    admin.create(connection.region, {})
    assert not IdentityAdmin.connect(connection, on_answer=heard).user_exists("nobody")
    assert heard.words[0] == ("HeadBucket", "404")
    assert ("CreateBucket", "OK") in heard.words
    assert heard.words[-1] == ("GetUser", "NoSuchEntity")
    assert [answer.ok for answer in heard.answers] == [answer.code == "OK" for answer in heard.answers]
    assert all(0 < answer.seconds < 10 for answer in heard.answers)


def test_each_attempt_is_told(canned_store: Callable[..., Any], heard: Heard, answer: Callable[..., Any]) -> None:
    store = canned_store(answer(503))
    with pytest.raises(StoreUnavailable):
        BucketAdmin.connect(store.connection, "some-bucket", heard).exists()
    assert heard.words == [("HeadBucket", "503")] * len(store.requests)
    assert len(heard.answers) > 1


def test_no_answer_has_the_name_of_the_failure(connection: StoreConnection, closed_port: int, heard: Heard) -> None:
    gone = connection.model_copy(
        update={"endpoint": f"http://127.0.0.1:{closed_port}", "public_endpoint": f"http://127.0.0.1:{closed_port}"}
    )
    with pytest.raises(StoreUnavailable):
        BucketAdmin.connect(gone, "some-bucket", heard).exists()
    assert set(heard.words) == {("HeadBucket", "EndpointConnectionError")}
    with pytest.raises(StoreUnavailable):
        RawSender(gone, heard)(presigned(gone, "some-bucket"))
    assert heard.words[-1] == ("presigned GET", "NewConnectionError")


def test_codes_are_few_whatever_the_store_answers(
    canned_store: Callable[..., Any], answer: Callable[..., Any], heard: Heard
) -> None:
    store = canned_store(answer(403, refusal("XRequest8f2a")))
    with pytest.raises(AccessDenied):
        IdentityAdmin.connect(store.connection, on_answer=heard).user_exists("nobody")
    RawSender(store.connection, heard)(presigned(store.connection, "some-bucket"))
    assert heard.words == [("GetUser", "Other"), ("presigned GET", "Other")]


def test_presigned_requests_are_told(connection: StoreConnection, bucket: BucketAdmin, heard: Heard) -> None:
    send = RawSender(connection, heard)
    upload = Presigner(connection, bucket.bucket).put(
        "a.png", content_type="image/png", content_length=1, expires_in=60
    )
    assert send(presigned(connection, bucket.bucket)).status == 404
    assert send(upload, b"x").ok
    assert heard.words == [("presigned GET", "NoSuchKey"), ("presigned PUT", "OK")]
