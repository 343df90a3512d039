"""Copies above what one call takes, on a real store: in parts, all of one state of the source, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediabucket_api.connection import StoreConnection
from mediabucket_s3 import copies
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.copies import LARGEST_COPY, part_bytes, ranges
from mediabucket_s3.errors import ObjectMissing, PreconditionFailed, StoreUnavailable
from mediabucket_s3.objects import BucketObjects

MEBIBYTE = 1024**2
LARGEST = 5 * MEBIBYTE
# Three parts, the last of them with a rest.
CONTENT = b"".join(bytes([number]) * MEBIBYTE for number in range(12)) + b"rest"
SOURCE, DESTINATION = "pending/large file", "uploads/large file"


@pytest.fixture
async def objects(bucket: BucketAdmin, connection: StoreConnection) -> AsyncIterator[BucketObjects]:
    async with BucketObjects.connect(connection, bucket.bucket, largest_copy=LARGEST) as objects:
        yield objects


@pytest.fixture
async def etag(objects: BucketObjects) -> str:
    """Of the source."""
    await objects.put(SOURCE, CONTENT, "video/mp4")
    return (await objects.head(SOURCE)).etag


async def copied(objects: BucketObjects, etag: str | None, **options: Any) -> str:
    return await objects.copy(SOURCE, DESTINATION, if_match=etag, size=len(CONTENT), **options)


async def left(objects: BucketObjects) -> list[str]:
    """Keys of objects beside the source, and of uploads that are still open."""
    keys = [found.key async for found in objects.list("") if found.key != SOURCE]
    return keys + [found.key async for found in objects.list_multipart_uploads("")]


def before(monkeypatch: pytest.MonkeyPatch, step: str, action: Callable[..., Awaitable[Any]], number: int = 1) -> None:
    """Let something happen right before the `number`-th of these steps."""
    original, steps = getattr(copies, step), []

    async def interrupted(client: Any, upload: dict[str, str], *arguments: Any) -> Any:
        steps.append(step)
        if len(steps) == number:
            await action(client, upload)
        return await original(client, upload, *arguments)

    monkeypatch.setattr(copies, step, interrupted)


async def test_a_copy_in_parts_is_the_object(objects: BucketObjects, etag: str) -> None:
    disposition = "inline; filename*=UTF-8''film.mp4"
    copy = await copied(objects, etag, content_type="video/mp4", content_disposition=disposition)
    head = await objects.head(DESTINATION)
    assert (head.size, head.content_type, head.content_disposition) == (len(CONTENT), "video/mp4", disposition)
    assert (head.etag, copy.rpartition("-")[2]) == (copy, "3"), "made of three parts"
    assert b"".join([chunk async for chunk in objects.stream(DESTINATION, if_match=copy)]) == CONTENT
    assert await left(objects) == [DESTINATION]


async def test_only_what_is_too_large_is_copied_in_parts(objects: BucketObjects) -> None:
    for size, in_parts in ((LARGEST, False), (LARGEST + 1, True)):
        await objects.put(SOURCE, b"x" * size, "video/mp4")
        copy = await objects.copy(SOURCE, DESTINATION, if_match=None, size=size)
        assert (await objects.head(DESTINATION)).size == size
        assert (objects.copies_in_parts(size), copy.endswith("-2")) == (in_parts, in_parts)


async def test_another_state_is_not_copied(objects: BucketObjects, etag: str) -> None:
    await objects.put(SOURCE, CONTENT[::-1], "video/mp4")
    with pytest.raises(PreconditionFailed):
        await copied(objects, etag)
    assert await left(objects) == []


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_source_that_changes_meanwhile_is_not_copied(
    objects: BucketObjects, etag: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def change(*_: object) -> None:
        await objects.put(SOURCE, CONTENT[::-1], "video/mp4")

    monkeypatch.setattr(copies, "_PARALLEL", 1)
    before(monkeypatch, "_copy_part", change, number)
    with pytest.raises(PreconditionFailed):
        await copied(objects, etag)
    assert await left(objects) == []


async def test_a_source_that_is_gone_is_missing(objects: BucketObjects, etag: str) -> None:
    await objects.delete(SOURCE)
    with pytest.raises(ObjectMissing):
        await copied(objects, etag)
    assert await left(objects) == []


@pytest.mark.parametrize("step", ["_copy_part", "_complete"])
async def test_a_copy_that_is_stopped_leaves_nothing(
    objects: BucketObjects, etag: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    reached = asyncio.Event()

    async def stall(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    before(monkeypatch, step, stall)
    copy = asyncio.create_task(copied(objects, etag))
    await reached.wait()
    assert await left(objects) == [DESTINATION], "an upload is open"
    copy.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copy
    assert await left(objects) == []


async def test_a_part_that_fails_is_copied_again(
    objects: BucketObjects, etag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable("UploadPartCopy", "SlowDown", 503)

    monkeypatch.setattr(copies, "_PAUSES_SECONDS", (0.01, 0.01))
    before(monkeypatch, "_copy_part", fail, 2)
    copy = await copied(objects, etag)
    assert b"".join([chunk async for chunk in objects.stream(DESTINATION, if_match=copy)]) == CONTENT


async def test_parts_under_way_end_before_a_copy_is_aborted(
    objects: BucketObjects, etag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, ended = copies._copy_part, list[int]()

    async def uneven(client: Any, upload: dict[str, str], copy: copies.Copy, number: int, *rest: Any) -> str:
        if number == 2:
            await asyncio.sleep(0.05)
            raise PreconditionFailed("UploadPartCopy", "PreconditionFailed", 412)
        await asyncio.sleep(0.2)
        told = await original(client, upload, copy, number, *rest)
        ended.append(number)
        return told

    monkeypatch.setattr(copies, "_copy_part", uneven)
    with pytest.raises(PreconditionFailed):
        await copied(objects, etag)
    assert sorted(ended) == [1, 3]
    assert await left(objects) == []


async def test_a_completion_whose_answer_was_lost_is_the_copy(
    objects: BucketObjects, etag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As botocore asks again by itself: the second answer is that there is no such upload."""
    original = copies._complete

    async def twice(*arguments: Any) -> None:
        await original(*arguments)
        await original(*arguments)

    monkeypatch.setattr(copies, "_complete", twice)
    copy = await copied(objects, etag)
    assert (await objects.head(DESTINATION)).etag == copy
    assert await left(objects) == [DESTINATION]


async def test_a_store_that_does_not_keep_to_ranges_makes_no_copy(
    objects: BucketObjects, etag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "ranges", lambda _, length: [f"bytes=0-{length - 1}"] * 3)
    with pytest.raises(StoreUnavailable, match=f"the copy has {3 * LARGEST} bytes, and {len(CONTENT)} were to be"):
        await copied(objects, etag)


@pytest.mark.usefixtures("etag")
async def test_whether_a_store_keeps_the_condition_is_found_out_without_a_copy(
    objects: BucketObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await objects.pins_copies(SOURCE, DESTINATION, size=len(CONTENT))
    condition = copies._source
    monkeypatch.setattr(copies, "_source", lambda bucket, copy: {"CopySource": condition(bucket, copy)["CopySource"]})
    assert not await objects.pins_copies(SOURCE, DESTINATION, size=len(CONTENT))
    assert await left(objects) == []
    with pytest.raises(ObjectMissing):
        await objects.pins_copies("gone", DESTINATION, size=len(CONTENT))
    assert await left(objects) == []


@pytest.mark.parametrize("step", ["_copy_part", "_complete"])
async def test_a_copy_that_others_abort_is_to_be_tried_again(
    objects: BucketObjects, etag: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def aborted(client: Any, upload: dict[str, str]) -> None:
        await client.abort_multipart_upload(**upload)

    before(monkeypatch, step, aborted)
    with pytest.raises(StoreUnavailable, match="aborted by somebody else"):
        await copied(objects, etag)
    assert await left(objects) == []
    monkeypatch.undo()
    await copied(objects, etag)


CREATED = b"<InitiateMultipartUploadResult><UploadId>made</UploadId></InitiateMultipartUploadResult>"


@pytest.mark.parametrize("aborting", [204, 503])
async def test_a_part_without_a_result_is_not_copied_and_the_upload_is_aborted(
    canned_store: Callable[..., Any], answer: Callable[..., Any], aborting: int
) -> None:
    store = canned_store(answer(body=b"<CopyPartResult/>"))
    store.answers = {"POST /chat/copy?uploads": answer(body=CREATED), "DELETE /chat/copy": answer(status=aborting)}
    async with BucketObjects.connect(store.connection, "chat", largest_copy=LARGEST) as objects:
        with pytest.raises(StoreUnavailable, match="the store did not say that it copied"):
            await objects.copy("source", "copy", if_match="state", size=LARGEST + 1)
    assert "DELETE /chat/copy?uploadId=made" in store.requests
    assert not [request for request in store.requests if request.startswith("POST /chat/copy?uploadId")], "completed"


@given(st.integers(1, 5 * 1024**4), st.integers(LARGEST, LARGEST_COPY))
def test_every_byte_is_in_one_part_and_no_part_is_too_many(size: int, largest: int) -> None:
    length = part_bytes(size, largest)
    spans = [tuple(map(int, span.removeprefix("bytes=").split("-"))) for span in ranges(size, length)]
    assert [first for first, _ in spans] == [0, *(last + 1 for _, last in spans[:-1])]
    assert spans[-1][1] == size - 1
    assert len(spans) <= 10_000
    assert length <= LARGEST_COPY
    assert {last - first + 1 for first, last in spans[:-1]} <= {length}
