"""The erasure of a user: their media, row and bytes, with every version the store has kept (GDPR article 17).

A receipt is opened and the rows are marked gone, then batch by batch: what the store holds is listed and noted,
removed, and the row is deleted. Rows are marked by many short statements, each of which is progress; those that
somebody holds are marked when they are free. Whoever dies at any step is followed by whoever calls next. A call erases
all that the user has begun before it; what the user begins later stays whole until the next call.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from mediabucket_s3.errors import NotImplementedByStore
from mediabucket_s3.objects import BucketObjects, ObjectVersion
from mediabucket_service.bounded import for_each
from mediabucket_service.media.erasure_repository import Doomed, ErasureRepository, Found, Receipt
from mediabucket_service.media.keys import pending_key, published_prefix

BATCH: Final = 50
# While a confirm still owns a media.
PAUSE_SECONDS: Final = 0.2
BEFORE_ALL: Final = UUID(int=0)

Versions = list[ObjectVersion]


class Erasures:
    """Erases users from one bucket and its tables."""

    def __init__(self, repository: ErasureRepository, objects: BucketObjects, *, answer_seconds: float) -> None:
        """`answer_seconds`: how long a call works before it answers with what is done so far."""
        self._repository = repository
        self._objects = objects
        self._answer_seconds = answer_seconds

    async def erase(self, user_id: str) -> Receipt:
        """Erase a user, or go on with it; without `completed_at` in the receipt it is to be called again.

        Raises S3Error when the store fails, and what psycopg raises; calling again goes on from there.
        """
        deadline = time.monotonic() + self._answer_seconds
        begun_before = await self._repository.open(user_id)
        all_marked = False
        after = BEFORE_ALL
        while True:
            if after == BEFORE_ALL and not all_marked:
                all_marked = await self._mark(user_id, begun_before, deadline)
            rows = await self._repository.page(user_id, after, BATCH)
            if removable := [row for row in rows if row.removable]:
                await self._remove(user_id, removable)
            was_last, is_late = len(rows) < BATCH, time.monotonic() >= deadline
            if was_last or is_late:
                receipt = await self._repository.receipt(user_id, all_marked=all_marked)
                if receipt.completed_at is not None or is_late:
                    return receipt
                await asyncio.sleep(PAUSE_SECONDS)
            after = BEFORE_ALL if was_last else rows[-1].media_id

    async def _mark(self, user_id: str, begun_before: datetime, deadline: float) -> bool:
        """Mark what nobody holds until the time is over; answers whether nothing is left to be marked."""
        after = BEFORE_ALL
        while (last := await self._repository.mark(user_id, begun_before, after)) is not None:
            if time.monotonic() >= deadline:
                return False
            after = last
        if not await self._repository.is_marked(user_id, begun_before):
            return False
        await self._repository.forget(user_id)
        return True

    async def _remove(self, user_id: str, rows: Sequence[Doomed]) -> None:
        """Remove a batch; what can be removed is, before the first failure is raised."""
        listed, failures = await for_each(rows, lambda row: self._versions(row, user_id))
        await self._repository.note(user_id, {row.media_id: entry for row, entry in _counted(listed)})
        removed, more_failures = await for_each(listed, lambda entry: self._remove_bytes(*entry, user_id))
        await self._repository.delete(user_id, [row.media_id for (row, _), _ in removed])
        for failure in (*failures, *more_failures):
            raise failure

    async def _versions(self, row: Doomed, user_id: str) -> Versions:
        """All that the store holds under the keys of a media, and under the key that it is served from."""
        prefixes = _prefixes(row, user_id)
        found = [version for prefix in prefixes async for version in self._objects.versions(prefix)]
        if not row.file_path.startswith(prefixes):
            found += [v async for v in self._objects.versions(row.file_path) if v.key == row.file_path]
        return found

    async def _remove_bytes(self, row: Doomed, versions: Versions, user_id: str) -> None:
        if row.upload_id is not None:
            await self._objects.abort_multipart_upload(pending_key(row.media_id), row.upload_id)
        try:
            # MinIO lists uploads of one key only, and none by a prefix.
            for prefix in {*_prefixes(row, user_id), row.file_path}:
                async for upload in self._objects.list_multipart_uploads(prefix):
                    await self._objects.abort_multipart_upload(upload.key, upload.upload_id)
        except NotImplementedByStore:
            # What cannot be listed is the store's to clean up.
            pass
        for version in versions:
            await self._objects.delete_version(version)


def _prefixes(row: Doomed, user_id: str) -> tuple[str, str]:
    """What the keys of a media begin with, and no other media's."""
    return pending_key(row.media_id), published_prefix(row.media_id, user_id, row.uploaded_at)


def _counted(listed: Sequence[tuple[Doomed, Versions]]) -> list[tuple[Doomed, Found]]:
    """What each media adds to the count: an object that several are served from counts once."""
    seen: set[tuple[str, str | None]] = set()
    counted = []
    for row, versions in listed:
        sizes = {(v.key, v.version_id): v.size for v in versions if not v.is_delete_marker}
        fresh = {name: size for name, size in sizes.items() if name not in seen}
        seen.update(fresh)
        counted.append((row, Found(objects=len(fresh), bytes=sum(fresh.values()))))
    return counted
