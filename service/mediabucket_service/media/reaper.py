"""The clean-up: every upload ends, row and bytes together.

Runs in every replica, without a leader: rows are taken with SKIP LOCKED, deletes are idempotent, and one replica at a
time lists the bucket. What it does: uploads past their time become expired; the bytes of expired, failed and deleted
media are removed and removal is retried until it succeeds; `pending/` is listed for bytes that no live upload expects
(a PUT that landed late, a URL used again after confirm), and multipart uploads that nobody goes on with are aborted.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from mediabucket_api.constants import PENDING_PREFIX, UPLOADS_PREFIX
from mediabucket_api.spec import Uploads
from mediabucket_s3.errors import AccessDenied, NotImplementedByStore, S3Error
from mediabucket_s3.objects import BucketObjects, ListedObject, PendingMultipartUpload
from mediabucket_service.bounded import count_done, for_each, together
from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.media.keys import copied_media_id_of, media_id_of, pending_key, verified_key
from mediabucket_service.media.removal_repository import BATCH, Removable, RemovalRepository
from mediabucket_service.metrics import CleanUpMetrics, UploadMetrics
from mediabucket_service.metrics.clean_up import COPY, MEDIA, MULTIPART_UPLOAD, ORPHAN

logger = logging.getLogger(__name__)

_JITTER = 0.2


class BytesRemover:
    """Removes what the store still holds of media that are gone."""

    def __init__(
        self, repository: RemovalRepository, objects: BucketObjects, removed: Callable[[str], None] = lambda _: None
    ) -> None:
        """`removed` is told the kind of each thing that the clean-up has removed."""
        self._repository = repository
        self._objects = objects
        self._removed = removed

    async def remove_soon(self, media_id: UUID) -> None:
        """Remove the bytes of one media now if the store answers; the reaper does it otherwise."""
        try:
            for row in await self._repository.to_remove(media_id=media_id):
                await self._remove(row)
        except S3Error as error:
            logger.warning("left the bytes of %s to the reaper: %s", media_id, error)

    async def remove_all(self) -> int:
        """Remove the bytes of every media that is gone; answers how many. Raises S3Error when the store fails, or
        keeps one of them: the others are removed all the same.
        """
        return await count_done(self._gone(), self._remove_and_tell)

    async def remove_abandoned_copies(self) -> int:
        """Remove what was published for media that then took another's object. Raises as `remove_all`."""
        return await count_done(self._abandoned(), self._remove_copy)

    async def _gone(self) -> AsyncIterator[list[Removable]]:
        after = None
        while rows := await self._repository.to_remove(after=after):
            yield rows
            after = rows[-1].media_id

    async def _abandoned(self) -> AsyncIterator[list[str]]:
        after = ""
        while keys := await self._repository.abandoned_copies(after=after):
            yield keys
            after = keys[-1]

    async def _remove_copy(self, key: str) -> bool:
        await self._objects.delete(key)
        await self._repository.copy_removed(key)
        self._removed(COPY)
        return True

    async def _remove_and_tell(self, row: Removable) -> bool:
        if removed := await self._remove(row):
            self._removed(MEDIA)
        return removed

    async def _remove(self, row: Removable) -> bool:
        if row.upload_id is not None:
            await self._objects.abort_multipart_upload(pending_key(row.media_id), row.upload_id)
        await self._objects.delete(pending_key(row.media_id))
        await self._objects.delete(verified_key(row.media_id))
        if row.shared:
            return False
        await self._objects.delete(row.file_path)
        await self._repository.bytes_removed(row.media_id)
        return True


class Reaper:
    """Runs the clean-up of one bucket for as long as the service lives."""

    def __init__(
        self,
        repository: RemovalRepository,
        remover: BytesRemover,
        objects: BucketObjects,
        uploads: Uploads,
        metrics: UploadMetrics,
        passes: CleanUpMetrics,
        *,
        interval_seconds: float,
        sweep_interval_seconds: float,
        also: Sequence[Callable[[], Awaitable[object]]] = (),
        now: Clock = utc_now,
    ) -> None:
        """`also`: clean-up of other domains, run after each pass."""
        self._repository = repository
        self._remover = remover
        self._objects = objects
        self._metrics = metrics
        self._passes = passes
        self._orphan_bytes = 0
        self._interval_seconds = interval_seconds
        self._sweep_interval_seconds = sweep_interval_seconds
        self._also = also
        self._now = now
        # Younger bytes may belong to an upload whose row this replica has not seen, or to a PUT that is under way.
        self._floor = timedelta(seconds=max(uploads.url_ttl_seconds, uploads.stale_after_seconds))

    async def run(self) -> None:
        """Clean up until cancelled. A failed step is logged and tried again in the next pass."""
        swept = -self._sweep_interval_seconds
        while True:
            succeeded = await self._attempt("expire and remove", self.clean_up)
            if time.monotonic() - swept >= self._sweep_interval_seconds:
                succeeded &= await self._attempt("sweep pending bytes", self.sweep)
                swept = time.monotonic()
            for step in self._also:
                succeeded &= await self._attempt("clean up", step)
            self._passes.passed(succeeded=succeeded)
            await asyncio.sleep(self._interval_seconds * random.uniform(1 - _JITTER, 1 + _JITTER))

    async def clean_up(self) -> None:
        """Expire stale uploads; remove the bytes of all media that are gone, and copies that no media names."""
        while expired := await self._repository.expire_stale():
            for media_type in expired:
                self._metrics.expired(media_type)
            if len(expired) < BATCH:
                break
        await together(self._remover.remove_all(), self._remover.remove_abandoned_copies())

    async def sweep(self) -> int:
        """Remove bytes under `pending/` that no live upload expects; answers how many objects and uploads went."""
        async with self._repository.sweep_lock() as mine:
            self._orphan_bytes = 0
            try:
                # Another replica tells what it finds.
                return sum(await together(self._sweep_objects(), self._sweep_multipart_uploads())) if mine else 0
            finally:
                self._passes.orphans(self._orphan_bytes)

    async def _sweep_objects(self) -> int:
        return await count_done(self._unexpected(), self._remove_for_good)

    async def _unexpected(self) -> AsyncIterator[list[ListedObject]]:
        oldest_kept = self._now() - self._floor
        batch: list[ListedObject] = []
        async for found in self._objects.list(PENDING_PREFIX):
            if found.last_modified < oldest_kept:
                batch.append(found)
            if len(batch) == BATCH:
                yield await self._of_nobody(batch)
                batch = []
        yield await self._of_nobody(batch)

    async def _of_nobody(self, batch: Sequence[ListedObject]) -> list[ListedObject]:
        owners = {found.key: media_id_of(found.key) for found in batch}
        live = await self._repository.still_pending({owner for owner in owners.values() if owner is not None})
        unexpected = [found for found in batch if owners[found.key] not in live]
        # Before any of them is removed: those that cannot be are the reason to look.
        self._orphan_bytes += sum(found.size for found in unexpected)
        return unexpected

    async def _remove_for_good(self, found: ListedObject) -> bool:
        """Nothing refers to these bytes: no version of them is worth keeping, where the key may remove versions."""
        try:
            await self._objects.delete_every_version(found.key)
        except AccessDenied:
            await self._objects.delete(found.key)
        self._passes.removed(ORPHAN)
        return True

    async def _sweep_multipart_uploads(self) -> int:
        oldest_kept = self._now() - self._floor
        try:
            found = [
                upload
                for prefix in (PENDING_PREFIX, UPLOADS_PREFIX)
                async for upload in self._objects.list_multipart_uploads(prefix)
                if upload.initiated < oldest_kept
            ]
        except NotImplementedByStore:
            logger.debug("the store has no multipart uploads to list")
            return 0
        by_clients, copies = _by_maker(found)
        return sum(await together(self._abort_unexpected(by_clients), self._abort_abandoned(copies)))

    async def _abort_unexpected(self, found: Sequence[PendingMultipartUpload]) -> int:
        """Abort what no pending file has: a file that its uploader comes back to keeps its upload beyond the floor."""
        owners = {upload: (media_id_of(upload.key), upload.upload_id) for upload in found}
        live = await self._repository.live_uploads([(owner, name) for owner, name in owners.values() if owner])
        return await self._abort(upload for upload, owner in owners.items() if owner not in live)

    async def _abort_abandoned(self, copies: Mapping[PendingMultipartUpload, UUID]) -> int:
        """Abort copies in parts whose makers have died: whoever is still making one holds its file's lease."""
        leased = await self._repository.leased(set(copies.values()))
        return await self._abort(upload for upload, owner in copies.items() if owner not in leased)

    async def _abort(self, uploads: Iterable[PendingMultipartUpload]) -> int:
        """One may be kept back by an access key from before copies in parts: the others do not wait for its policy."""
        aborted, failures = await for_each(uploads, self._abort_one)
        for failure in failures:
            raise failure
        return len(aborted)

    async def _abort_one(self, upload: PendingMultipartUpload) -> None:
        await self._objects.abort_multipart_upload(upload.key, upload.upload_id)
        self._passes.removed(MULTIPART_UPLOAD)

    async def _attempt(self, what: str, step: Callable[[], Awaitable[object]]) -> bool:
        try:
            await step()
        except Exception as error:
            # The loop must outlive every outage: nothing else would ever clean up.
            logger.warning("could not %s, will try again: %s", what, error)
            return False
        return True


def _by_maker(
    found: Sequence[PendingMultipartUpload],
) -> tuple[list[PendingMultipartUpload], dict[PendingMultipartUpload, UUID]]:
    """Multipart uploads that clients send parts to, and those that are copies of a media's bytes, made by confirm.

    Others under `uploads/` are not ours, and in neither.
    """
    copies = {upload: owner for upload in found if (owner := copied_media_id_of(upload.key)) is not None}
    by_clients = [upload for upload in found if upload not in copies and upload.key.startswith(PENDING_PREFIX)]
    return by_clients, copies
