"""What an audit asks of the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mediabucket_service.database import Database
from mediabucket_service.media.removal_repository import Removable, RemovalRepository

PAGE = 1000


@dataclass(frozen=True)
class PublishedRow:
    """A completed media: where its object is, and what was verified of it."""

    media_id: UUID
    file_path: str
    file_size: int
    etag: str | None


class AuditRepository:
    """The audit's view of one bucket's media."""

    def __init__(self, database: Database, bucket: str) -> None:
        self._database = database
        self._bucket = bucket
        self._removal = RemovalRepository(database, bucket)

    async def published_page(self, *, after: UUID | None) -> list[PublishedRow]:
        """Completed media in order of media_id."""
        rows = await self._database.fetch_all(
            "SELECT media_id, file_path, file_size, etag FROM media_files WHERE bucket = %(bucket)s"
            " AND status = 'completed' AND (%(after)s::uuid IS NULL OR media_id > %(after)s)"
            " ORDER BY media_id LIMIT %(limit)s",
            {"bucket": self._bucket, "after": after, "limit": PAGE},
        )
        return [PublishedRow(**row) for row in rows]

    async def published_keys(self, keys: Sequence[str]) -> set[str]:
        """Which of these keys a completed media is served from, or a pending one is about to be."""
        rows = await self._database.fetch_all(
            "SELECT file_path FROM media_files WHERE bucket = %(bucket)s AND file_path = ANY(%(keys)s)"
            " AND status IN ('completed', 'pending')",
            {"bucket": self._bucket, "keys": list(keys)},
        )
        return {row["file_path"] for row in rows}

    async def still_pending(self, media_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these uploads may still be confirmed."""
        return await self._removal.still_pending(media_ids)

    async def not_removed(self) -> list[Removable]:
        """Media that are gone and whose bytes are not known to be; those that share an object with a live one aside."""
        return [row for row in await self._removal.to_remove() if not row.shared]

    async def mark_lost(self, media_id: UUID) -> None:
        """A completed media whose object is gone can no longer be served, nor stand in for a new upload."""
        await self._database.execute(
            "UPDATE media_files SET status = 'failed', failure = 'the published object was lost from the store',"
            " bytes_removed_at = now() WHERE media_id = %(media_id)s AND status = 'completed'",
            {"media_id": media_id},
        )
