"""A look at the first bytes of an upload whose checksum is right: is it of the announced type, and how large?"""

import asyncio
from dataclasses import dataclass

from mediabucket_s3.objects import BucketObjects
from mediabucket_service.media.checksum import HashedObject
from mediabucket_service.media.measuring import Measures, measured
from mediabucket_service.media.models import MediaFile
from mediabucket_service.media.sniffing import HEAD_BYTES, disagreement


@dataclass(frozen=True)
class Findings:
    """`disagreement`: what is wrong, as a sentence for the uploader; None when the type is the announced one."""

    disagreement: str | None
    measures: Measures


async def inspect(objects: BucketObjects, verified: HashedObject, file: MediaFile) -> Findings:
    """What the head of the verified bytes tells; read from the store unless the checksum was made from a stream.

    Raises PreconditionFailed when the object has changed since, ObjectMissing and other S3Error of the store.
    """
    head = verified.head
    if head is None:
        head = await objects.read_head(verified.key, if_match=verified.etag, length=HEAD_BYTES)
    # A thread: an honest head takes microseconds, one made to be slow some milliseconds.
    return await asyncio.to_thread(findings, head, file.file_size, file.mime_type)


def findings(head: bytes, size: int, mime_type: str) -> Findings:
    """What `head`, the first HEAD_BYTES of a file of `size` bytes, tells. Never raises."""
    wrong = disagreement(head, size, mime_type)
    return Findings(wrong, Measures() if wrong is not None else measured(head, size, mime_type))
