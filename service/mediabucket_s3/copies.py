"""Copies inside a bucket: in one call, or, above what one call takes, in parts.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/CopyingObjectsMPUapi.html
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from mediabucket_s3.calls import copy_seconds
from mediabucket_s3.errors import ObjectMissing, S3Error, StoreUnavailable, translated_s3_errors

logger = logging.getLogger(__name__)

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
LARGEST_COPY: Final = 5 * 1024**3
# Small enough for a part to be tried again, large enough for few calls.
_PREFERRED_PART_BYTES: Final = 512 * 1024**2
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MOST_PARTS: Final = 10_000
# Parts of one copy that the store works on at the same time.
_PARALLEL: Final = 4


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


async def copy_at_once(client: Any, bucket: str, copy: Copy, **arguments: str) -> str:
    """Copy by one CopyObject with these arguments and return the copy's ETag. Raises as `BucketObjects.copy`."""
    replaced = {"MetadataDirective": "REPLACE", **copy.metadata} if copy.metadata else {}
    with translated_s3_errors("CopyObject", copy.source):
        async with asyncio.timeout(copy_seconds(copy.size)):
            answer = await client.copy_object(
                Bucket=bucket, Key=copy.destination, **_source(bucket, copy), **replaced, **arguments
            )
    return _etag(answer.get("CopyObjectResult"), "CopyObject", copy.source)


async def copy_in_parts(client: Any, bucket: str, copy: Copy, largest_part: int) -> str:
    """Copy by a multipart upload, each part on the condition of the whole, and return the copy's ETag.

    Nothing can be seen under the destination's key before all of it. The upload is aborted when anything fails; one
    that a dying process leaves stays until somebody aborts it. Raises as `BucketObjects.copy`.
    """
    with translated_s3_errors("CreateMultipartUpload", copy.destination):
        answer = await client.create_multipart_upload(Bucket=bucket, Key=copy.destination, **copy.metadata)
    upload = {"Bucket": bucket, "Key": copy.destination, "UploadId": answer["UploadId"]}
    try:
        parts = await _copied_parts(client, upload, copy, part_bytes(copy.size, largest_part))
        return await _completed(client, upload, copy, parts)
    except BaseException:
        await asyncio.shield(_abort(client, upload))
        raise


def part_bytes(size: int, largest: int) -> int:
    """How large the parts of a copy of `size` bytes are: 512 MiB, or `largest` if that is less, or what it takes."""
    return max(min(_PREFERRED_PART_BYTES, largest), -(-size // _MOST_PARTS))


def ranges(size: int, length: int) -> list[str]:
    """The values of `x-amz-copy-source-range` that cut `size` bytes into parts of `length` bytes and a rest."""
    return [f"bytes={start}-{min(start + length, size) - 1}" for start in range(0, size, length)]


async def _copied_parts(client: Any, upload: dict[str, str], copy: Copy, length: int) -> list[dict[str, Any]]:
    slots = asyncio.Semaphore(_PARALLEL)

    async def copied(number: int, span: str) -> dict[str, Any]:
        async with slots:
            return {"PartNumber": number, "ETag": await _copy_part(client, upload, copy, number, span, length)}

    try:
        # The others are stopped when one fails, and have ended before the upload is aborted.
        async with asyncio.TaskGroup() as group:
            spans = ranges(copy.size, length)
            tasks = [group.create_task(copied(number, span)) for number, span in enumerate(spans, start=1)]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _copy_part(client: Any, upload: dict[str, str], copy: Copy, number: int, span: str, length: int) -> str:
    with _aborted_by_others(), translated_s3_errors("UploadPartCopy", copy.source):
        async with asyncio.timeout(copy_seconds(length * _PARALLEL)):
            answer = await client.upload_part_copy(
                PartNumber=number, CopySourceRange=span, **_source(upload["Bucket"], copy), **upload
            )
    return _etag(answer.get("CopyPartResult"), "UploadPartCopy", copy.source)


async def _completed(client: Any, upload: dict[str, str], copy: Copy, parts: list[dict[str, Any]]) -> str:
    with _aborted_by_others(), translated_s3_errors("CompleteMultipartUpload", copy.destination):
        async with asyncio.timeout(copy_seconds(copy.size)):
            answer = await client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
    return _etag(answer, "CompleteMultipartUpload", copy.destination)


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
    """The copy's own upload may be gone, by a rule of the bucket as a rule: the source is not missing then."""
    try:
        yield
    except ObjectMissing as error:
        if error.code != "NoSuchUpload":
            raise
        detail = "the copy was aborted by somebody else while it was made"
        raise StoreUnavailable(error.operation, error.code, error.http_status, detail, error.resource) from error


def _source(bucket: str, copy: Copy) -> dict[str, Any]:
    condition = {} if copy.if_match is None else {"CopySourceIfMatch": f'"{copy.if_match}"'}
    return {"CopySource": {"Bucket": bucket, "Key": copy.source}, **condition}


def _etag(result: dict[str, Any] | None, operation: str, resource: str) -> str:
    """These calls send their status before they are done: only the ETag says that they ended well."""
    etag: str = (result or {}).get("ETag", "").strip('"')
    if not etag:
        raise StoreUnavailable(operation, "NoResult", 200, "the store did not say that it copied", resource)
    return etag
