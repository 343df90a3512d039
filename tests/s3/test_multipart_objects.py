"""Uploads in parts on a real store: what BucketObjects and Presigner do, and what SeaweedFS does differently."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import InvalidRequest, ObjectMissing, StoreUnavailable
from mediabucket_s3.objects import BucketObjects, UploadedPart
from mediabucket_s3.presign import Presigner

KEY = "pending/019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
CONTENT = b"the only part of a film"


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture
def presigner(bucket: BucketAdmin, connection: StoreConnection) -> Presigner:
    return Presigner(connection, bucket.bucket)


def put(
    presigner: Presigner,
    http: httpx.Client,
    upload_id: str,
    content: bytes,
    *,
    number: int = 1,
    sha256: bytes | None = None,
) -> httpx.Response:
    request = presigner.put_part(
        KEY,
        upload_id=upload_id,
        part_number=number,
        content_length=len(CONTENT),
        checksum_sha256=sha256,
        expires_in=60,
    )
    return http.put(request.url, content=content, headers=request.headers)


async def test_an_object_of_parts(objects: BucketObjects, presigner: Presigner, http: httpx.Client) -> None:
    upload_id = await objects.create_multipart_upload(KEY, "video/mp4")
    assert [part async for part in objects.list_parts(KEY, upload_id)] == []
    assert put(presigner, http, upload_id, CONTENT).status_code == 200
    [part] = [part async for part in objects.list_parts(KEY, upload_id)]
    assert (part.part_number, part.size) == (1, len(CONTENT))
    assert await objects.has_multipart_upload(KEY, upload_id)
    await objects.complete_multipart_upload(KEY, upload_id, [part])
    head = await objects.head(KEY)
    assert (head.size, head.content_type, head.sha256) == (len(CONTENT), "video/mp4", None)
    assert not await objects.has_multipart_upload(KEY, upload_id)
    with pytest.raises(ObjectMissing):
        [part async for part in objects.list_parts(KEY, upload_id)]
    assert put(presigner, http, upload_id, CONTENT).status_code == 404


async def test_the_length_of_a_part_is_signed(objects: BucketObjects, presigner: Presigner, http: httpx.Client) -> None:
    upload_id = await objects.create_multipart_upload(KEY, "video/mp4")
    assert put(presigner, http, upload_id, CONTENT + b"!").status_code == 403
    assert put(presigner, http, upload_id, CONTENT[1:]).status_code == 403


@pytest.mark.parametrize("sha256", [True, False], ids=["begun for checksums", "begun without"])
async def test_the_checksum_of_a_part_is_enforced(
    objects: BucketObjects, presigner: Presigner, http: httpx.Client, sha256: bool
) -> None:
    upload_id = await objects.create_multipart_upload(KEY, "video/mp4", sha256=sha256)
    signed = hashlib.sha256(CONTENT).digest()
    refused = put(presigner, http, upload_id, CONTENT[::-1], sha256=signed)
    assert (refused.status_code, "BadDigest" in refused.text) == (400, True)
    assert [part async for part in objects.list_parts(KEY, upload_id)] == []
    assert put(presigner, http, upload_id, CONTENT, sha256=signed).status_code == 200


async def test_seaweedfs_wants_checksums_named_that_it_does_not_list(
    objects: BucketObjects, presigner: Presigner, http: httpx.Client
) -> None:
    """Why `tells_part_checksums` is asked. When this fails, SeaweedFS has learned it."""
    upload_id = await objects.create_multipart_upload(KEY, "video/mp4", sha256=True)
    put(presigner, http, upload_id, CONTENT, sha256=hashlib.sha256(CONTENT).digest())
    parts = [part async for part in objects.list_parts(KEY, upload_id)]
    assert parts[0].sha256 is None
    assert not await objects.tells_part_checksums(KEY, upload_id)
    with pytest.raises(InvalidRequest):
        await objects.complete_multipart_upload(KEY, upload_id, parts)


async def test_seaweedfs_lists_a_part_for_each_time_it_was_sent(
    objects: BucketObjects, presigner: Presigner, http: httpx.Client
) -> None:
    """Why the latest is looked for. When this fails, SeaweedFS has learned it."""
    upload_id = await objects.create_multipart_upload(KEY, "video/mp4")
    for content in (CONTENT, CONTENT[::-1]):
        put(presigner, http, upload_id, content)
    assert [part.part_number async for part in objects.list_parts(KEY, upload_id)] == [1, 1]


async def test_parts_are_listed_page_by_page(objects: BucketObjects, presigner: Presigner, http: httpx.Client) -> None:
    """S3 has 1000 parts a page, SeaweedFS 10,000: here they are two."""
    pages = 0

    def two_a_page(params: dict[str, Any], **_: Any) -> None:
        nonlocal pages
        pages += 1
        params["MaxParts"] = 2

    objects._client.meta.events.register("provide-client-params.s3.ListParts", two_a_page)
    upload_id = await objects.create_multipart_upload(KEY, "video/mp4")
    for number in range(1, 6):
        put(presigner, http, upload_id, CONTENT, number=number)
    assert [part.part_number async for part in objects.list_parts(KEY, upload_id)] == [1, 2, 3, 4, 5]
    assert pages == 3


class Answering:
    """A client that answers every call alike."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer
        self.asked: dict[str, Any] = {}

    async def complete_multipart_upload(self, **arguments: Any) -> dict[str, Any]:
        self.asked = arguments
        return self.answer


async def test_parts_are_named_with_the_checksums_that_the_store_has_listed() -> None:
    """AWS refuses to complete an upload with checksums otherwise."""
    client = Answering(ETag='"e"')
    parts = [
        UploadedPart(1, 5, "one", "checksum=", datetime.now(UTC)),
        UploadedPart(2, 5, "two", None, datetime.now(UTC)),
    ]
    await BucketObjects(client, "bucket").complete_multipart_upload(KEY, "upload", parts)
    assert client.asked["MultipartUpload"] == {
        "Parts": [
            {"PartNumber": 1, "ETag": '"one"', "ChecksumSHA256": "checksum="},
            {"PartNumber": 2, "ETag": '"two"'},
        ]
    }


async def test_an_answer_without_an_etag_says_that_nothing_was_completed() -> None:
    with pytest.raises(StoreUnavailable):
        await BucketObjects(Answering(), "bucket").complete_multipart_upload(KEY, "upload", [])
