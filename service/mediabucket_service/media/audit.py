"""Audit: do rows and objects agree? Both directions are walked page by page, so that memory stays bounded.

Findings of each kind, and what `repair` does about them:

- row-without-object: a completed media whose object is gone → the row becomes failed, so that the file can be
  uploaded again instead of being answered `exists`.
- object-differs: a completed media whose object has other bytes than were verified → reported only: a person decides.
- row-lost: a published object of a media that has no row at all → the row is made again.
- object-without-row: any other published object that no completed media refers to → deleted.
- pending-without-row: bytes under `pending/` that no live upload expects → deleted.
- bytes-not-removed: a failed, expired or deleted media whose bytes may still be there → removed.

Where the database knows no completed media and the bucket has published objects, rows are made again and nothing is
deleted: the database was lost, or it is another bucket's.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from typing import TypeVar
from uuid import UUID

from mediabucket_api.constants import PENDING_PREFIX, UPLOADS_PREFIX
from mediabucket_s3.errors import ObjectMissing
from mediabucket_s3.objects import BucketObjects, ListedObject
from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.media.audit_repository import AuditRepository, PublishedRow
from mediabucket_service.media.keys import PublishedName, media_id_of, published_name_of
from mediabucket_service.media.reaper import BytesRemover
from mediabucket_service.media.restoration import NotRestored, Restoration

_PARALLEL_HEADS = 16
# Each has a megabyte in memory.
_PARALLEL_RESTORES = 8

Item = TypeVar("Item")


class FindingKind(StrEnum):
    ROW_WITHOUT_OBJECT = "row-without-object"
    OBJECT_DIFFERS = "object-differs"
    ROW_LOST = "row-lost"
    OBJECT_WITHOUT_ROW = "object-without-row"
    PENDING_WITHOUT_ROW = "pending-without-row"
    BYTES_NOT_REMOVED = "bytes-not-removed"


@dataclass(frozen=True)
class Finding:
    """One disagreement. `key` is the object's; `media_id` the row's where there is one."""

    kind: FindingKind
    key: str
    media_id: UUID | None
    detail: str
    repaired: bool = False


@dataclass(frozen=True)
class AuditReport:
    """What was compared, and every disagreement found."""

    rows: int
    objects: int
    findings: tuple[Finding, ...]


class Audit:
    """Compares the media of one bucket with its objects."""

    def __init__(
        self,
        repository: AuditRepository,
        remover: BytesRemover,
        objects: BucketObjects,
        restoration: Restoration,
        *,
        floor: timedelta,
        now: Clock = utc_now,
    ) -> None:
        """Objects younger than `floor` are left out: an upload or a confirm may be under way."""
        self._repository = repository
        self._remover = remover
        self._objects = objects
        self._restoration = restoration
        self._may_delete = True
        self._oldest_kept = now() - floor
        self._rows = 0
        self._listed = 0

    async def run(self, *, repair: bool) -> AuditReport:
        """Walk both sides. Raises what the database or the store raises."""
        self._may_delete = await self._knows_the_bucket()
        findings = [
            *[finding async for finding in self._rows_without_objects(repair)],
            *[finding async for finding in self._objects_without_rows(repair)],
            *[finding async for finding in self._pending_without_rows(repair)],
            *await self._bytes_not_removed(repair),
        ]
        return AuditReport(self._rows, self._listed, tuple(findings))

    async def _knows_the_bucket(self) -> bool:
        if await self._repository.published_page(after=None):
            return True
        async for _ in self._objects.list(UPLOADS_PREFIX):
            return False
        return True

    async def _rows_without_objects(self, repair: bool) -> AsyncIterator[Finding]:
        after = None
        while page := await self._repository.published_page(after=after):
            self._rows += len(page)
            for chunk in chunks(page, _PARALLEL_HEADS):
                for row, detail in zip(chunk, await asyncio.gather(*map(self._difference, chunk)), strict=True):
                    if detail is not None:
                        yield await self._row_finding(row, detail, repair)
            after = page[-1].media_id

    async def _difference(self, row: PublishedRow) -> tuple[FindingKind, str] | None:
        try:
            head = await self._objects.head(row.file_path)
        except ObjectMissing:
            return FindingKind.ROW_WITHOUT_OBJECT, "the object of a completed media is gone"
        if head.size != row.file_size or head.etag != row.etag:
            return (
                FindingKind.OBJECT_DIFFERS,
                f"the object has {head.size} bytes and ETag {head.etag}; verified were {row.file_size} and {row.etag}",
            )
        return None

    async def _row_finding(self, row: PublishedRow, difference: tuple[FindingKind, str], repair: bool) -> Finding:
        kind, detail = difference
        repaired = repair and kind == FindingKind.ROW_WITHOUT_OBJECT
        if repaired:
            await self._repository.mark_lost(row.media_id)
        return Finding(kind, row.file_path, row.media_id, detail, repaired)

    async def _objects_without_rows(self, repair: bool) -> AsyncIterator[Finding]:
        async for batch in self._old_objects(UPLOADS_PREFIX):
            served = await self._repository.published_keys([found.key for found in batch])
            names = {found: published_name_of(found.key) for found in batch if found.key not in served}
            recorded = await self._repository.recorded([name.media_id for name in names.values() if name is not None])
            lost = [
                (found, name) for found, name in names.items() if name is not None and name.media_id not in recorded
            ]
            for chunk in chunks(lost, _PARALLEL_RESTORES):
                for finding in await asyncio.gather(*(self._lost(found, name, repair) for found, name in chunk)):
                    yield finding
            for found in names.keys() - {found for found, _ in lost}:
                yield await self._orphan(FindingKind.OBJECT_WITHOUT_ROW, found, repair)

    async def _lost(self, found: ListedObject, name: PublishedName, repair: bool) -> Finding:
        if await self._restoration.is_erased(name):
            return await self._orphan(FindingKind.OBJECT_WITHOUT_ROW, found, repair)
        try:
            detail = await self._restoration.restore(found, name) if repair else self._restoration.promise(name)
        except NotRestored as obstacle:
            return Finding(FindingKind.ROW_LOST, found.key, name.media_id, str(obstacle))
        return Finding(FindingKind.ROW_LOST, found.key, name.media_id, detail, repair)

    async def _pending_without_rows(self, repair: bool) -> AsyncIterator[Finding]:
        async for batch in self._old_objects(PENDING_PREFIX):
            owners = {found.key: media_id_of(found.key) for found in batch}
            live = await self._repository.still_pending([owner for owner in owners.values() if owner is not None])
            for found in batch:
                if owners[found.key] not in live:
                    yield await self._orphan(FindingKind.PENDING_WITHOUT_ROW, found, repair)

    async def _orphan(self, kind: FindingKind, found: ListedObject, repair: bool) -> Finding:
        detail = f"{found.size} bytes that belong to no media"
        if repair and not self._may_delete:
            return Finding(kind, found.key, None, f"{detail}; kept: the database knew no completed media")
        if repair:
            await self._objects.delete(found.key)
        return Finding(kind, found.key, None, detail, repair)

    async def _bytes_not_removed(self, repair: bool) -> list[Finding]:
        rows = await self._repository.not_removed()
        if repair and rows:
            await self._remover.remove_all()
        detail = "the media is gone, its bytes are not known to be"
        return [Finding(FindingKind.BYTES_NOT_REMOVED, row.file_path, row.media_id, detail, repair) for row in rows]

    async def _old_objects(self, prefix: str) -> AsyncIterator[list[ListedObject]]:
        batch: list[ListedObject] = []
        async for found in self._objects.list(prefix):
            self._listed += 1
            if found.last_modified < self._oldest_kept:
                batch.append(found)
            if len(batch) == 1000:
                yield batch
                batch = []
        if batch:
            yield batch


def chunks(items: Sequence[Item], size: int) -> list[list[Item]]:
    iterator = iter(items)
    return list(iter(lambda: list(islice(iterator, size)), []))
