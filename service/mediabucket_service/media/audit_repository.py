"""What an audit asks of the database."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.errors import UniqueViolation

from mediabucket_service.database import Database
from mediabucket_service.media.models import MediaFile
from mediabucket_service.media.removal_repository import Removable, RemovalRepository

PAGE = 1000

_COLUMNS: Final = (
    "media_id, bucket, uploaded_by, file_name, file_path, cdn_url, media_type, file_size, mime_type, checksum, status,"
    " etag, uploaded_at, confirmed_at, expires_at, width, height, duration_seconds, duplicate_of"
)
_RESTORE: Final = f"""
INSERT INTO media_files ({_COLUMNS})
VALUES (%(media_id)s, %(bucket)s, %(uploaded_by)s, %(file_name)s, %(file_path)s, %(cdn_url)s, %(media_type)s,
    %(file_size)s, %(mime_type)s, %(checksum)s, 'completed', %(etag)s, %(uploaded_at)s, %(confirmed_at)s,
    %(expires_at)s, %(width)s, %(height)s, %(duration_seconds)s, NULL)
ON CONFLICT (media_id) DO NOTHING
"""
_RESTORE_DUPLICATE: Final = f"""
WITH restored AS (
    INSERT INTO media_files ({_COLUMNS})
    SELECT %(media_id)s, bucket, uploaded_by, %(file_name)s, file_path, cdn_url, media_type, file_size, mime_type,
        checksum, 'completed', etag, %(uploaded_at)s, %(confirmed_at)s, %(expires_at)s, width, height, duration_seconds,
        media_id
    FROM media_files
    WHERE bucket = %(bucket)s AND uploaded_by = %(uploaded_by)s AND checksum = %(checksum)s
      AND status = 'completed' AND duplicate_of IS NULL
    FOR SHARE
    ON CONFLICT (media_id) DO NOTHING
    RETURNING bucket)
INSERT INTO abandoned_copies (bucket, key) SELECT bucket, %(file_path)s FROM restored ON CONFLICT DO NOTHING
"""


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

    async def recorded(self, media_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these media have a row, whatever has become of them."""
        rows = await self._database.fetch_all(
            "SELECT media_id FROM media_files WHERE media_id = ANY(%(media_ids)s)", {"media_ids": list(media_ids)}
        )
        return {row["media_id"] for row in rows}

    async def erased_since(self, user_digest: bytes, moment: datetime) -> bool:
        """Whether an erasure of this user was asked for after that."""
        row = await self._database.fetch_one(
            "SELECT FROM erasures WHERE bucket = %(bucket)s AND user_digest = %(user_digest)s"
            " AND requested_at > %(moment)s",
            {"bucket": self._bucket, "user_digest": user_digest, "moment": moment},
        )
        return row is not None

    async def restore(self, file: MediaFile) -> None:
        """Write the row of a completed media that has none. When another row stands for the same user's same bytes it
        becomes a duplicate of that one, and its own object is noted to be removed, as in a confirm.
        """
        parameters = {**asdict(file), "bucket": self._bucket}
        try:
            await self._database.execute(_RESTORE, parameters)
        except UniqueViolation:
            await self._database.execute(_RESTORE_DUPLICATE, parameters)

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
