"""The SHA-256 of a pending object, by the cheapest source that can be had. Absent is never equal.

What was hashed is published by a copy on the condition that its ETag is still the same. On a store that ignores the
condition, a PUT between the two would be published unverified: there the object is set aside first, by a copy under a
key that no URL was ever signed for and no other try writes to, and that copy is hashed and published.
"""

import asyncio
import hashlib
import logging
from contextlib import aclosing
from dataclasses import dataclass, replace

from mediabucket_s3.errors import AccessDenied, InvalidRequest, NotImplementedByStore
from mediabucket_s3.objects import BucketObjects, ObjectHead
from mediabucket_service.media.keys import verified_key
from mediabucket_service.media.models import MediaFile
from mediabucket_service.media.sniffing import HEAD_BYTES
from mediabucket_service.media.stowaways import TAIL_BYTES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HashedObject:
    """An object whose SHA-256 is known. It is these bytes only as long as it has this ETag.

    `head`, `tail`: its first HEAD_BYTES and last TAIL_BYTES, when they came by on the way. `set_aside`: nobody else
    can change it.
    """

    key: str
    etag: str
    sha256: bytes
    head: bytes | None = None
    tail: bytes | None = None
    set_aside: bool = False

    @property
    def pin(self) -> str | None:
        """The ETag that a copy of it has to be conditional on."""
        return None if self.set_aside else self.etag


class ChecksumReader:
    """Asks the store first, then lets it hash a copy, and streams the bytes only when it can do neither."""

    def __init__(
        self,
        objects: BucketObjects,
        *,
        store_hashes_copies: bool = True,
        store_pins_copies: bool | None = None,
        store_pins_parts: bool | None = None,
    ) -> None:
        """`store_hashes_copies` False: a probe found that it does not, and it is not tried.

        `store_pins_copies`: whether a copy is refused when its source has changed; None: to be found out.
        `store_pins_parts`: the same of copies in parts.
        """
        self._objects = objects
        # Else learned from the first copy: a store that did not hash one will not hash the next.
        self._store_hashes_copies = store_hashes_copies
        # By whether the copy is made in parts.
        self._store_pins_copies = {False: store_pins_copies, True: store_pins_parts}
        # What tries that are under way may have set aside.
        self._own_keys: set[str] = set()

    async def read(self, file: MediaFile, head: ObjectHead) -> HashedObject:
        """The SHA-256 of what `head` saw, or of a copy of what is there now.

        Raises PreconditionFailed when the object has changed since, and S3Error when the store fails.
        """
        if not await self._pins_copies(file, head):
            return await self._set_aside(file, head)
        if head.sha256 is not None:
            return HashedObject(head.key, head.etag, head.sha256)
        copy = await self._hashed_copy(head, verified_key(file.media_id), if_match=head.etag)
        if copy is not None:
            return copy
        return await streamed(self._objects, head)

    async def discard_own(self, file: MediaFile) -> None:
        """Remove what a try has set aside, whatever became of it. Raises S3Error."""
        if (own := _own_key(file)) in self._own_keys:
            self._own_keys.remove(own)
            await self._objects.delete(own)

    async def _pins_copies(self, file: MediaFile, head: ObjectHead) -> bool:
        in_parts = self._objects.copies_in_parts(head.size)
        pins = self._store_pins_copies[in_parts]
        if pins is None:
            own = _own_key(file)
            self._own_keys.add(own)
            pins = await self._objects.pins_copies(head.key, own, size=head.size)
            self._store_pins_copies[in_parts] = pins
            if pins:
                self._own_keys.remove(own)
            else:
                logger.warning("the store ignores x-amz-copy-source-if-match: uploads are copied once more to be safe")
        return pins

    async def _set_aside(self, file: MediaFile, head: ObjectHead) -> HashedObject:
        own = _own_key(file)
        self._own_keys.add(own)
        hashed = await self._hashed_copy(head, own, if_match=None)
        if hashed is None:
            await self._objects.copy(head.key, own, if_match=None, size=head.size)
            hashed = await streamed(self._objects, await self._objects.head(own))
        return replace(hashed, set_aside=True)

    async def _hashed_copy(self, source: ObjectHead, destination: str, *, if_match: str | None) -> HashedObject | None:
        # S3 computes no SHA-256 of a whole object that is made of parts.
        if not self._store_hashes_copies or self._objects.copies_in_parts(source.size):
            return None
        try:
            await self._objects.copy(source.key, destination, if_match=if_match, compute_sha256=True, size=source.size)
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


def _own_key(file: MediaFile) -> str:
    return verified_key(file.media_id, file.lease_owner)


async def streamed(objects: BucketObjects, head: ObjectHead) -> HashedObject:
    """The SHA-256 of what `head` saw, of bytes that pass through here. Raises as `ChecksumReader.read` does."""
    digest = hashlib.sha256()
    first_bytes = last_bytes = b""
    # Closed at once when the verification is cancelled: its connection is then free for others.
    async with aclosing(objects.stream(head.key, if_match=head.etag)) as chunks:
        async for chunk in chunks:
            # A thread, because a megabyte takes a millisecond in which no other request would move.
            await asyncio.to_thread(digest.update, chunk)
            first_bytes += chunk[: HEAD_BYTES - len(first_bytes)]
            last_bytes = (last_bytes + chunk[-TAIL_BYTES:])[-TAIL_BYTES:]
    return HashedObject(head.key, head.etag, digest.digest(), first_bytes, last_bytes)
