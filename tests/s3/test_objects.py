"""The contract of BucketObjects on a real store."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.connect import object_client
from mediabucket_s3.errors import BucketMissing, ObjectMissing, PreconditionFailed, S3Error
from mediabucket_s3.objects import STREAM_CHUNK_BYTES, BucketObjects

CONTENT = b"the content of an upload"
ODD_KEYS = [
    "pending/with space",
    "pending/plus+plus",
    "pending/percent%41",
    "pending/question?hash#ampersand&equals=",
    "pending/quotes\"'`",
    "pending/angles<>",
    "pending/umlaut-ü-漢-😀",
    "pending/tilde~star*(brackets)!",
]


@pytest.fixture
async def client(connection: StoreConnection) -> AsyncIterator[Any]:
    """The library's own client, for what this project never does but finds done."""
    async with object_client(connection) as client:
        yield client


async def put_with_sha256(client: Any, bucket: str, key: str) -> None:
    await client.put_object(Bucket=bucket, Key=key, Body=CONTENT, ContentType="text/plain", ChecksumAlgorithm="SHA256")


async def test_head_tells_size_type_etag_and_time(objects: BucketObjects) -> None:
    await objects.put("a", CONTENT, "image/png")
    head = await objects.head("a")
    assert (head.key, head.size, head.content_type) == ("a", len(CONTENT), "image/png")
    assert head.etag
    assert '"' not in head.etag
    assert abs(datetime.now(UTC) - head.last_modified) < timedelta(minutes=1)


async def test_head_tells_the_checksum_only_where_the_store_holds_one(objects: BucketObjects, client: Any) -> None:
    await put_with_sha256(client, objects.bucket, "with")
    await objects.put("without", CONTENT, "text/plain")
    assert (await objects.head("with")).sha256 == hashlib.sha256(CONTENT).digest()
    assert (await objects.head("without")).sha256 is None


async def test_a_checksum_of_checksums_is_no_checksum_of_the_object(objects: BucketObjects, client: Any) -> None:
    target = {"Bucket": objects.bucket, "Key": "multipart"}
    upload = await client.create_multipart_upload(**target, ChecksumAlgorithm="SHA256")
    target["UploadId"] = upload["UploadId"]
    part = await client.upload_part(**target, PartNumber=1, Body=CONTENT, ChecksumAlgorithm="SHA256")
    parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
    await client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
    raw = await client.head_object(Bucket=objects.bucket, Key="multipart", ChecksumMode="ENABLED")
    assert raw["ChecksumType"] == "COMPOSITE"
    assert (await objects.head("multipart")).sha256 is None


class FixedHead:
    """A client that answers every HEAD alike."""

    def __init__(self, **checksum: str) -> None:
        self.answer = {"ContentLength": 1, "ETag": '"e"', "LastModified": datetime.now(UTC), **checksum}

    async def head_object(self, **_: Any) -> dict[str, Any]:
        return self.answer


@pytest.mark.parametrize(
    "checksum",
    [
        {"ChecksumSHA256": "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=-3"},
        {"ChecksumSHA256": "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", "ChecksumType": "COMPOSITE"},
        {"ChecksumSHA256": "c2hvcnQ="},
        {"ChecksumSHA256": "not base64"},
        {"ChecksumSHA256": ""},
        {"ChecksumCRC32": "AAAAAA=="},
    ],
)
async def test_a_checksum_that_is_not_sha256_of_all_bytes_counts_as_absent(checksum: dict[str, str]) -> None:
    assert (await BucketObjects(FixedHead(**checksum), "b").head("k")).sha256 is None


async def test_head_of_a_missing_object_misses_the_object(objects: BucketObjects) -> None:
    with pytest.raises(ObjectMissing):
        await objects.head("missing")


async def test_a_copy_keeps_bytes_type_and_checksum(objects: BucketObjects, client: Any) -> None:
    await put_with_sha256(client, objects.bucket, "pending/a")
    source = await objects.head("pending/a")
    etag = await objects.copy("pending/a", "uploads/a", if_match=source.etag, size=source.size)
    copy = await objects.head("uploads/a")
    assert (copy.etag, copy.size, copy.content_type) == (etag, source.size, "text/plain")
    assert copy.sha256 == hashlib.sha256(CONTENT).digest()


async def test_a_copy_can_be_given_another_type_and_disposition(objects: BucketObjects, client: Any) -> None:
    await objects.put("pending/a", CONTENT, "text/html")
    source = await objects.head("pending/a")
    await objects.copy(
        "pending/a",
        "uploads/a",
        if_match=source.etag,
        size=source.size,
        content_type="image/png",
        content_disposition="attachment",
    )
    raw = await client.head_object(Bucket=objects.bucket, Key="uploads/a")
    assert (raw["ContentType"], raw["ContentDisposition"]) == ("image/png", "attachment")


async def test_a_copy_with_another_type_keeps_bytes_and_checksum(objects: BucketObjects, client: Any) -> None:
    await put_with_sha256(client, objects.bucket, "pending/a")
    source = await objects.head("pending/a")
    etag = await objects.copy(
        "pending/a", "uploads/a", if_match=source.etag, size=source.size, content_type="image/png"
    )
    copy = await objects.head("uploads/a")
    assert (copy.etag, copy.size, copy.content_type) == (etag, source.size, "image/png")
    assert copy.sha256 == hashlib.sha256(CONTENT).digest()


async def test_a_disposition_that_the_store_would_silently_drop_is_refused(objects: BucketObjects) -> None:
    with pytest.raises(ValueError, match="content_type"):
        await objects.copy("a", "b", if_match="e", size=1, content_disposition="attachment")


async def test_asking_for_a_checksum_of_the_copy_never_yields_a_wrong_one(objects: BucketObjects) -> None:
    await objects.put("pending/a", CONTENT, "text/plain")
    source = await objects.head("pending/a")
    await objects.copy("pending/a", "pending/a.copy", if_match=source.etag, size=source.size, compute_sha256=True)
    assert (await objects.head("pending/a.copy")).sha256 in (None, hashlib.sha256(CONTENT).digest())


async def test_a_changed_source_is_not_copied(objects: BucketObjects) -> None:
    await objects.put("pending/a", CONTENT, "text/plain")
    before = await objects.head("pending/a")
    await objects.put("pending/a", b"other bytes", "text/plain")
    with pytest.raises(PreconditionFailed):
        await objects.copy("pending/a", "uploads/a", if_match=before.etag, size=before.size)
    with pytest.raises(ObjectMissing):
        await objects.head("uploads/a")


async def test_a_missing_source_is_missing(objects: BucketObjects) -> None:
    with pytest.raises(ObjectMissing):
        await objects.copy("missing", "uploads/a", if_match="0" * 32, size=1)


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_are_put_copied_listed_streamed_and_deleted(objects: BucketObjects, key: str) -> None:
    destination = key.replace("pending/", "uploads/")
    await objects.put(key, CONTENT, "text/plain")
    head = await objects.head(key)
    etag = await objects.copy(key, destination, if_match=head.etag, size=head.size)
    assert [entry.key async for entry in objects.list("uploads/")] == [destination]
    assert b"".join([chunk async for chunk in objects.stream(destination, if_match=etag)]) == CONTENT
    await objects.delete(destination)
    assert [entry.key async for entry in objects.list("uploads/")] == []


async def test_a_large_object_is_streamed_in_bounded_chunks(objects: BucketObjects) -> None:
    content = bytes(range(256)) * (5 * STREAM_CHUNK_BYTES // 256) + b"and a rest"
    await objects.put("large", content, "video/mp4")
    chunks = [chunk async for chunk in objects.stream("large", if_match=(await objects.head("large")).etag)]
    assert max(map(len, chunks)) <= STREAM_CHUNK_BYTES
    assert hashlib.sha256(b"".join(chunks)).digest() == hashlib.sha256(content).digest()


async def test_a_stream_left_early_frees_its_connection(connection: StoreConnection, objects: BucketObjects) -> None:
    await objects.put("large", b"x" * 4 * STREAM_CHUNK_BYTES, "video/mp4")
    etag = (await objects.head("large")).etag
    async with object_client(connection, connections=1) as client:
        narrow = BucketObjects(client, objects.bucket)
        for _ in range(3):
            stream = narrow.stream("large", if_match=etag)
            assert await anext(stream)
            await stream.aclose()
        assert (await narrow.head("large")).etag == etag


async def test_an_object_that_changed_is_not_streamed(objects: BucketObjects) -> None:
    await objects.put("a", CONTENT, "text/plain")
    etag = (await objects.head("a")).etag
    await objects.put("a", b"other bytes", "text/plain")
    with pytest.raises(PreconditionFailed):
        await anext(objects.stream("a", if_match=etag))


async def test_a_missing_object_is_not_streamed(objects: BucketObjects) -> None:
    with pytest.raises(ObjectMissing):
        await anext(objects.stream("missing", if_match="0" * 32))


@pytest.mark.parametrize("length", [1, 9, len(CONTENT), len(CONTENT) + 1, 65_536])
async def test_a_head_is_the_first_bytes_or_all(objects: BucketObjects, length: int) -> None:
    await objects.put("a", CONTENT, "text/plain")
    etag = (await objects.head("a")).etag
    assert await objects.read_head("a", if_match=etag, length=length) == CONTENT[:length]


@pytest.mark.parametrize("length", [1, 9, len(CONTENT), len(CONTENT) + 1, 65_536])
@pytest.mark.parametrize("ignored", [False, True], ids=["ranges", "no ranges"])
async def test_a_tail_is_the_last_bytes_or_all(
    objects: BucketObjects, length: int, ignored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await objects.put("a", CONTENT, "text/plain")
    etag = (await objects.head("a")).etag
    if ignored:
        get = objects._client.get_object
        monkeypatch.setattr(objects._client, "get_object", lambda **named: get(**without_range(named)))
    assert await objects.read_tail("a", if_match=etag, size=len(CONTENT), length=length) == CONTENT[-length:]


def without_range(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "Range"}


async def test_the_head_of_an_object_that_changed_or_is_gone_is_not_read(objects: BucketObjects) -> None:
    await objects.put("a", CONTENT, "text/plain")
    etag = (await objects.head("a")).etag
    await objects.put("a", b"other bytes", "text/plain")
    with pytest.raises(PreconditionFailed):
        await objects.read_head("a", if_match=etag, length=9)
    with pytest.raises(ObjectMissing):
        await objects.read_head("missing", if_match=etag, length=9)


async def test_deleting_twice_is_no_error(objects: BucketObjects) -> None:
    await objects.put("a", CONTENT, "text/plain")
    await objects.delete("a")
    await objects.delete("a")
    with pytest.raises(ObjectMissing):
        await objects.head("a")


async def test_more_objects_than_a_page_holds_are_listed_once_each_and_page_by_page(
    objects: BucketObjects, client: Any
) -> None:
    pages: list[str] = []
    client.meta.events.register("before-call.s3.ListObjectsV2", lambda **_: pages.append("page"))
    keys = [f"pending/{number:04}" for number in range(1100)]
    for batch in batches(keys, 50):
        await asyncio.gather(*(objects.put(key, b"", "text/plain") for key in batch))
    listing = BucketObjects(client, objects.bucket).list("pending/")
    assert (await anext(listing)).key == keys[0]
    assert len(pages) == 1
    assert [entry.key async for entry in listing] == keys[1:]
    assert len(pages) == 2
    assert [entry.key async for entry in objects.list("pending/", start_after=keys[1097])] == keys[1098:]


def batches(keys: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


async def test_a_listing_tells_size_etag_and_time_of_its_prefix_only(objects: BucketObjects) -> None:
    await objects.put("pending/a", CONTENT, "text/plain")
    await objects.put("uploads/b", CONTENT, "text/plain")
    [entry] = [entry async for entry in objects.list("pending/")]
    assert (entry.key, entry.size, entry.etag) == ("pending/a", len(CONTENT), (await objects.head("pending/a")).etag)
    assert abs(datetime.now(UTC) - entry.last_modified) < timedelta(minutes=1)


async def test_multipart_uploads_left_behind_are_found_and_dropped(objects: BucketObjects, client: Any) -> None:
    upload = await client.create_multipart_upload(Bucket=objects.bucket, Key="pending/left behind")
    await client.create_multipart_upload(Bucket=objects.bucket, Key="other/one")
    [found] = [pending async for pending in objects.list_multipart_uploads("pending/")]
    assert (found.key, found.upload_id) == ("pending/left behind", upload["UploadId"])
    assert abs(datetime.now(UTC) - found.initiated) < timedelta(minutes=1)
    await objects.abort_multipart_upload(found.key, found.upload_id)
    await objects.abort_multipart_upload(found.key, found.upload_id)
    assert [pending async for pending in objects.list_multipart_uploads("pending/")] == []


async def test_check_passes_while_the_bucket_is_there(objects: BucketObjects, bucket: BucketAdmin) -> None:
    await objects.check()
    bucket.delete()
    with pytest.raises(BucketMissing):
        await objects.check()


async def test_nothing_is_listed_from_a_bucket_that_is_not_there(connection: StoreConnection, bucket_name: str) -> None:
    async with BucketObjects.connect(connection, bucket_name) as objects:
        with pytest.raises(S3Error) as caught:
            [entry async for entry in objects.list("pending/")]
    assert type(caught.value) is BucketMissing


async def test_writing_to_a_bucket_that_is_not_there_creates_none(
    connection: StoreConnection, admin: BucketAdmin
) -> None:
    async with BucketObjects.connect(connection, admin.bucket) as objects:
        with pytest.raises(BucketMissing):
            await objects.put("pending/a", CONTENT, "text/plain")
    assert not admin.exists()
