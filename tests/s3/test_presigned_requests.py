"""What a presigned URL allows and refuses, as an outside client with plain HTTP on a real store."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.objects import BucketObjects
from mediabucket_s3.presign import PresignedRequest, Presigner

CONTENT = b"the bytes that were announced"
SHA256 = hashlib.sha256(CONTENT).digest()
KEY = "pending/0190-é +~"


@pytest.fixture
def presigner(bucket: BucketAdmin, connection: StoreConnection) -> Presigner:
    return Presigner(connection, bucket.bucket)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10) as http:
        yield http


def signed_put(presigner: Presigner, key: str = KEY, now: datetime | None = None) -> PresignedRequest:
    return presigner.put(key, content_type="image/png", content_length=len(CONTENT), expires_in=60, now=now)


def locked_put(presigner: Presigner) -> PresignedRequest:
    return presigner.put(
        KEY,
        content_type="image/png",
        content_length=len(CONTENT),
        checksum_sha256=SHA256,
        if_none_match=True,
        expires_in=60,
    )


async def test_a_put_with_exactly_the_headers_named_is_accepted(
    presigner: Presigner, http: httpx.Client, objects: BucketObjects
) -> None:
    request = signed_put(presigner)
    assert http.request(request.method, request.url, headers=request.headers, content=CONTENT).status_code == 200
    head = await objects.head(KEY)
    assert (head.size, head.content_type) == (len(CONTENT), "image/png")


async def test_a_put_that_signs_the_checksum_leaves_it_with_the_object(
    presigner: Presigner, http: httpx.Client, objects: BucketObjects
) -> None:
    request = locked_put(presigner)
    assert http.put(request.url, headers=request.headers, content=CONTENT).status_code == 200
    assert (await objects.head(KEY)).sha256 == SHA256


@pytest.mark.parametrize(
    ("changes", "content"),
    [
        pytest.param({"Content-Type": "text/html"}, CONTENT, id="another type"),
        pytest.param({}, CONTENT + b"!", id="longer"),
        pytest.param({}, CONTENT[:-1], id="shorter"),
        pytest.param({}, b"", id="empty"),
    ],
)
def test_a_put_of_anything_else_than_announced_is_refused(
    presigner: Presigner, http: httpx.Client, bucket: BucketAdmin, changes: dict[str, str], content: bytes
) -> None:
    request = signed_put(presigner)
    assert http.put(request.url, headers=request.headers | changes, content=content).status_code == 403
    assert bucket.is_empty()


def test_a_put_of_other_bytes_than_the_signed_checksum_is_refused(
    presigner: Presigner, http: httpx.Client, bucket: BucketAdmin
) -> None:
    request = locked_put(presigner)
    response = http.put(request.url, headers=request.headers, content=CONTENT[::-1])
    assert (response.status_code, "BadDigest" in response.text) == (400, True)
    assert bucket.is_empty()


@pytest.mark.parametrize("header", ["x-amz-checksum-sha256", "if-none-match", "Content-Type"])
def test_a_put_without_a_signed_header_is_refused(
    presigner: Presigner, http: httpx.Client, bucket: BucketAdmin, header: str
) -> None:
    request = locked_put(presigner)
    headers = {name: value for name, value in request.headers.items() if name != header}
    assert http.put(request.url, headers=headers, content=CONTENT).status_code == 403
    assert bucket.is_empty()


def test_a_second_put_is_refused_where_only_one_was_signed(presigner: Presigner, http: httpx.Client) -> None:
    request = locked_put(presigner)
    assert http.put(request.url, headers=request.headers, content=CONTENT).status_code == 200
    assert http.put(request.url, headers=request.headers, content=CONTENT).status_code == 412


def test_an_expired_url_is_refused(presigner: Presigner, http: httpx.Client, bucket: BucketAdmin) -> None:
    request = signed_put(presigner, now=datetime.now(UTC) - timedelta(seconds=61))
    assert http.put(request.url, headers=request.headers, content=CONTENT).status_code == 403
    assert bucket.is_empty()


def test_a_url_with_another_signature_expiry_or_key_is_refused(
    presigner: Presigner, http: httpx.Client, bucket: BucketAdmin
) -> None:
    request = signed_put(presigner, key="pending/mine")
    other_digit = "0" if request.url[-1] != "0" else "1"
    for tampered in (
        request.url[:-1] + other_digit,
        request.url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"),
        request.url.replace("pending/mine", "uploads/mine"),
        request.url.replace("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost", "X-Amz-SignedHeaders=host"),
    ):
        assert tampered != request.url
        assert http.put(tampered, headers=request.headers, content=CONTENT).status_code == 403
    assert bucket.is_empty()


def test_a_url_for_put_does_not_read_or_delete(presigner: Presigner, http: httpx.Client) -> None:
    request = signed_put(presigner)
    assert http.put(request.url, headers=request.headers, content=CONTENT).status_code == 200
    assert http.get(request.url).status_code == 403
    assert http.delete(request.url).status_code == 403


async def test_a_get_answers_with_the_type_and_disposition_signed(
    presigner: Presigner, http: httpx.Client, objects: BucketObjects
) -> None:
    await objects.put(KEY, CONTENT, "text/html")
    disposition = "attachment; filename=\"holiday photo.png\"; filename*=UTF-8''%C3%A9t%C3%A9.png"
    request = presigner.get(KEY, expires_in=60, content_type="image/png", content_disposition=disposition)
    response = http.get(request.url)
    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-disposition"] == disposition
    assert http.get(request.url.replace("attachment", "inline")).status_code == 403


async def test_a_get_without_overrides_answers_what_is_stored(
    presigner: Presigner, http: httpx.Client, objects: BucketObjects
) -> None:
    await objects.put(KEY, CONTENT, "image/png")
    response = http.get(presigner.get(KEY, expires_in=60).url)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    assert http.get(presigner.get("missing", expires_in=60).url).status_code == 404


def test_a_url_is_signed_for_the_public_endpoint_not_the_internal_one(
    connection: StoreConnection, bucket: BucketAdmin, http: httpx.Client
) -> None:
    port = urlsplit(connection.endpoint).port
    public = connection.model_copy(
        update={"endpoint": "http://internal.invalid", "public_endpoint": f"http://localhost:{port}"}
    )
    request = signed_put(Presigner(public, bucket.bucket))
    assert urlsplit(request.url).netloc == f"localhost:{port}"
    assert http.put(request.url, headers=request.headers, content=CONTENT).status_code == 200
    elsewhere = request.url.replace("localhost", "127.0.0.1")
    assert http.put(elsewhere, headers=request.headers, content=CONTENT).status_code == 403
