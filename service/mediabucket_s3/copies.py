"""Copies inside a bucket: in one call, or, above what one call takes, in parts.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/CopyingObjectsMPUapi.html
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from mediabucket_s3.calls import copy_seconds
from mediabucket_s3.errors import (
    ObjectMissing,
    PreconditionFailed,
    S3Error,
    StoreUnavailable,
    Throttled,
    translated_s3_errors,
)

logger = logging.getLogger(__name__)

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
LARGEST_COPY: Final = 5 * 1024**3
# Small enough for a part to be copied again, large enough for few calls.
_PREFERRED_PART_BYTES: Final = 512 * 1024**2
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MOST_PARTS: Final = 10_000
# Parts of one copy that the store works on at the same time.
_PARALLEL: Final = 4
# Before the second try to copy a part, and before the third.
_PAUSES_SECONDS: Final = (1.0, 5.0)


@dataclass(frozen=True)
class Copy:
    """What is to be copied where. `size`, in bytes, bounds the time and, in parts, is what is copied.

    `if_match`: the ETag that the source must have; None: whatever it is by then. `metadata`: arguments of CopyObject
    or CreateMultipartUpload that the copy is to have, such as ContentType.
    """

    source: str
    destination: str
    if_match: str | None
    size: int
    metadata: dict[str, str]


def copied_metadata(content_type: str | None, content_disposition: str | None) -> dict[str, str]:
    """The `metadata` of a Copy. Raises ValueError for a disposition without a type: the store would drop it."""
    if content_type is None:
        if content_disposition is not None:
            raise ValueError("a copy that changes content_disposition must name its content_type too")
        return {}
    disposition = {"ContentDisposition": content_disposition} if content_disposition is not None else {}
    return {"ContentType": content_type, **disposition}


async def copy_at_once(client: Any, bucket: str, copy: Copy, **arguments: str) -> str:
    """Copy by one CopyObject with these arguments and return the copy's ETag. Raises as `BucketObjects.copy`."""
    replaced = {"MetadataDirective": "REPLACE", **copy.metadata} if copy.metadata else {}
    with translated_s3_errors("CopyObject", copy.source):
        async with asyncio.timeout(copy_seconds(copy.size)):
            answer = await client.copy_object(
                Bucket=bucket, Key=copy.destination, **_source(bucket, copy), **replaced, **arguments
            )
    return _etag(answer.get("CopyObjectResult"), "CopyObject", copy.source)


async def copy_in_parts(
    client: Any, bucket: str, copy: Copy, largest_part: int, slots: AbstractAsyncContextManager[object]
) -> str:
    """Copy by a multipart upload, each part on the condition of the whole, and return the copy's ETag.

    Nothing can be seen under the destination's key before all of it. The upload is aborted when anything fails; one
    that a dying process leaves stays until somebody aborts it. Each part is copied within `slots`.
    Raises as `BucketObjects.copy`.
    """
    async with _upload(client, bucket, copy) as upload:
        parts = await _copied_parts(client, upload, copy, part_bytes(copy.size, largest_part), slots)
        await _complete(client, upload, copy, parts)
    return await _etag_of_whole(client, bucket, copy)


async def ignores_condition_of_part(client: Any, bucket: str, copy: Copy) -> bool:
    """Whether the store copies a part of a source that has another ETag than `copy` names. Nothing is left of it.

    Raises S3Error for every other answer than these two.
    """
    try:
        async with _upload(client, bucket, copy) as upload:
            await _copy_part(client, upload, copy, 1, "bytes=0-0", 1)
            await _abort(client, upload)
    except PreconditionFailed:
        return False
    return True


@asynccontextmanager
async def _upload(client: Any, bucket: str, copy: Copy) -> AsyncIterator[dict[str, str]]:
    """A new multipart upload of the destination, as the arguments that name it; aborted when anything fails."""
    with translated_s3_errors("CreateMultipartUpload", copy.destination):
        answer = await client.create_multipart_upload(Bucket=bucket, Key=copy.destination, **copy.metadata)
    upload = {"Bucket": bucket, "Key": copy.destination, "UploadId": answer["UploadId"]}
    try:
        yield upload
    except BaseException:
        await asyncio.shield(_abort(client, upload))
        raise


def part_bytes(size: int, largest: int) -> int:
    """How large the parts of a copy of `size` bytes are: 512 MiB, or `largest` if that is less, or what it takes."""
    return max(min(_PREFERRED_PART_BYTES, largest), -(-size // _MOST_PARTS))


def ranges(size: int, length: int) -> list[str]:
    """The values of `x-amz-copy-source-range` that cut `size` bytes into parts of `length` bytes and a rest."""
    return [f"bytes={start}-{min(start + length, size) - 1}" for start in range(0, size, length)]


async def _copied_parts(
    client: Any, upload: dict[str, str], copy: Copy, length: int, slots: AbstractAsyncContextManager[object]
) -> list[dict[str, Any]]:
    waiting = deque(enumerate(ranges(copy.size, length), start=1))
    etags: dict[int, str] = {}

    async def work() -> None:
        while waiting:
            number, span = waiting.popleft()
            try:
                async with slots:
                    etags[number] = await _copy_part_patiently(client, upload, copy, number, span, length)
            except BaseException:
                # Parts that are under way end first: one that the store still copies may outlive an abort.
                waiting.clear()
                raise

    for ended in await asyncio.gather(*(work() for _ in range(_PARALLEL)), return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
    return [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]


async def _copy_part_patiently(
    client: Any, upload: dict[str, str], copy: Copy, number: int, span: str, length: int
) -> str:
    """One part in some tries: of thousands one that fails must not be the end of hours of work."""
    for pause in _PAUSES_SECONDS:
        try:
            return await _copy_part(client, upload, copy, number, span, length)
        except (StoreUnavailable, Throttled) as error:
            logger.info("part %d of %s will be copied again: %s", number, upload["Key"], error)
            await asyncio.sleep(pause)
    return await _copy_part(client, upload, copy, number, span, length)


async def _copy_part(client: Any, upload: dict[str, str], copy: Copy, number: int, span: str, length: int) -> str:
    with _aborted_by_others(), translated_s3_errors("UploadPartCopy", copy.source):
        async with asyncio.timeout(copy_seconds(length * _PARALLEL)):
            answer = await client.upload_part_copy(
                PartNumber=number, CopySourceRange=span, **_source(upload["Bucket"], copy), **upload
            )
    return _etag(answer.get("CopyPartResult"), "UploadPartCopy", copy.source)


async def _complete(client: Any, upload: dict[str, str], copy: Copy, parts: list[dict[str, Any]]) -> None:
    """Make the object, unless it is there: who asks again after a lost answer hears that there is no such upload."""
    try:
        with translated_s3_errors("CompleteMultipartUpload", copy.destination):
            async with asyncio.timeout(copy_seconds(copy.size)):
                answer = await client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
    except ObjectMissing as error:
        logger.info("whether the copy is complete is to be seen: %s", error)
    else:
        _etag(answer, "CompleteMultipartUpload", copy.destination)


async def _etag_of_whole(client: Any, bucket: str, copy: Copy) -> str:
    """The ETag of the finished copy. A store that does not keep to the ranges of parts has made something else."""
    try:
        with translated_s3_errors("HeadObject", copy.destination):
            head = await client.head_object(Bucket=bucket, Key=copy.destination)
    except ObjectMissing as error:
        raise _stopped_by_others(error) from error
    if head["ContentLength"] != copy.size:
        detail = f"the copy has {head['ContentLength']} bytes, and {copy.size} were to be copied"
        raise StoreUnavailable("CompleteMultipartUpload", "WrongSize", 200, detail, copy.destination)
    return _etag(head, "HeadObject", copy.destination)


async def _abort(client: Any, upload: dict[str, str]) -> None:
    """Best effort: why the copy failed is what its caller has to hear."""
    try:
        with translated_s3_errors("AbortMultipartUpload", upload["Key"]):
            await client.abort_multipart_upload(**upload)
    except ObjectMissing:
        return
    except S3Error as error:
        logger.warning("left a copy in parts to the clean-up: %s", error)


@contextmanager
def _aborted_by_others() -> Iterator[None]:
    """The copy's own upload may be gone, by the store's own clean-up perhaps: the source is not missing then."""
    try:
        yield
    except ObjectMissing as error:
        if error.code != "NoSuchUpload":
            raise
        raise _stopped_by_others(error) from error


def _stopped_by_others(error: ObjectMissing) -> StoreUnavailable:
    detail = "the copy was aborted by somebody else while it was made"
    return StoreUnavailable(error.operation, error.code, error.http_status, detail, error.resource)


def _source(bucket: str, copy: Copy) -> dict[str, Any]:
    condition = {} if copy.if_match is None else {"CopySourceIfMatch": f'"{copy.if_match}"'}
    return {"CopySource": {"Bucket": bucket, "Key": copy.source}, **condition}


def _etag(result: dict[str, Any] | None, operation: str, resource: str) -> str:
    """These calls send their status before they are done: only the ETag says that they ended well."""
    etag: str = (result or {}).get("ETag", "").strip('"')
    if not etag:
        raise StoreUnavailable(operation, "NoResult", 200, "the store did not say that it copied", resource)
    return etag
