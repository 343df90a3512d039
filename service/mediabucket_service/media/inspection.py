"""A look at the ends of an upload whose checksum is right: is it of the announced type, and how large?"""

import asyncio
from dataclasses import dataclass

from mediabucket_s3.objects import BucketObjects
from mediabucket_service.media.checksum import HashedObject
from mediabucket_service.media.measuring import Measures, measured
from mediabucket_service.media.models import MediaFile
from mediabucket_service.media.sniffing import HEAD_BYTES, disagreement, needs_tail
from mediabucket_service.media.stowaways import TAIL_BYTES


@dataclass(frozen=True)
class Findings:
    """`disagreement`: what is wrong, as a sentence for the uploader; None when the type is the announced one."""

    disagreement: str | None
    measures: Measures


async def inspect(objects: BucketObjects, verified: HashedObject, file: MediaFile) -> Findings:
    """What the ends of the verified bytes tell; read from the store unless the checksum was made from a stream.

    Raises PreconditionFailed when the object has changed since, ObjectMissing and other S3Error of the store.
    """
    head, tail = verified.head, verified.tail
    if head is None:
        head = await objects.read_head(verified.key, if_match=verified.etag, length=HEAD_BYTES)
    if not needs_tail(file.mime_type, file.file_size):
        tail = b""
    elif tail is None:
        tail = await objects.read_tail(verified.key, if_match=verified.etag, size=file.file_size, length=TAIL_BYTES)
    # A thread: an honest head takes microseconds, one made to be slow some milliseconds.
    return await asyncio.to_thread(findings, head, file.file_size, file.mime_type, tail)


def findings(head: bytes, size: int, mime_type: str, tail: bytes = b"") -> Findings:
    """What the ends of a file of `size` bytes tell, as `disagreement` has them. Never raises."""
    wrong = disagreement(head, size, mime_type, tail)
    return Findings(wrong, Measures() if wrong is not None else measured(head, size, mime_type))
