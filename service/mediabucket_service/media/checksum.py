"""The SHA-256 of a pending object, by the cheapest source that can be had. Absent is never equal."""

import asyncio
import hashlib
import logging
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from mediabucket_s3.errors import AccessDenied, InvalidRequest, NotImplementedByStore
from mediabucket_s3.objects import BucketObjects, ObjectHead
from mediabucket_service.media.keys import pending_key, verified_key
from mediabucket_service.media.sniffing import HEAD_BYTES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HashedObject:
    """An object whose SHA-256 is known. It is these bytes only as long as it has this ETag.

    `head`: its first HEAD_BYTES, when they came by on the way.
    """

    key: str
    etag: str
    sha256: bytes
    head: bytes | None = None


class ChecksumReader:
    """Asks the store first, then lets it hash a copy, and streams the bytes only when it can do neither."""

    def __init__(self, objects: BucketObjects, *, store_hashes_copies: bool = True) -> None:
        """`store_hashes_copies` False: a probe found that it does not, and it is not tried."""
        self._objects = objects
        # Else learned from the first copy: a store that did not hash one will not hash the next.
        self._store_hashes_copies = store_hashes_copies

    async def read(self, media_id: UUID, head: ObjectHead) -> HashedObject:
        """The SHA-256 of what `head` saw, or of a copy of it.

        Raises PreconditionFailed when the object has changed since, and S3Error when the store fails.
        """
        if head.sha256 is not None:
            return HashedObject(head.key, head.etag, head.sha256)
        if self._store_hashes_copies:
            copy = await self._hashed_copy(media_id, head)
            if copy is not None:
                return copy
        return await streamed(self._objects, head)

    async def _hashed_copy(self, media_id: UUID, head: ObjectHead) -> HashedObject | None:
        destination = verified_key(media_id)
        try:
            await self._objects.copy(
                pending_key(media_id), destination, if_match=head.etag, compute_sha256=True, size=head.size
            )
        except (AccessDenied, InvalidRequest, NotImplementedByStore) as error:
            logger.info("the store does not hash copies (%s): confirm streams instead", error)
            self._store_hashes_copies = False
            return None
        copy = await self._objects.head(destination)
        if copy.sha256 is None:
            self._store_hashes_copies = False
            await self._objects.delete(destination)
            return None
        return HashedObject(copy.key, copy.etag, copy.sha256)


async def streamed(objects: BucketObjects, head: ObjectHead) -> HashedObject:
    """The SHA-256 of what `head` saw, of bytes that pass through here. Raises as `ChecksumReader.read` does."""
    digest = hashlib.sha256()
    first_bytes = b""
    # Closed at once when the verification is cancelled: its connection is then free for others.
    async with aclosing(objects.stream(head.key, if_match=head.etag)) as chunks:
        async for chunk in chunks:
            # A thread, because a megabyte takes a millisecond in which no other request would move.
            await asyncio.to_thread(digest.update, chunk)
            first_bytes += chunk[: HEAD_BYTES - len(first_bytes)]
    return HashedObject(head.key, head.etag, digest.digest(), first_bytes)
