"""Statements of the clean-up: what is to expire, whose bytes are to go, which pending bytes belong to nobody."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from mediabucket_service.database import Database

BATCH = 500

# An erasure counts what it removes. One that nobody has gone on with for an hour is not waited for.
_NOT_BEING_ERASED = (
    "NOT EXISTS (SELECT FROM erasures WHERE erasures.bucket = gone.bucket AND completed_at IS NULL"
    " AND user_digest = sha256(convert_to(gone.uploaded_by, 'UTF8')) AND requested_at > now() - interval '1 hour')"
)


@dataclass(frozen=True)
class Removable:
    """A media that is gone. `shared`: another completed media is served from the same object, which therefore stays."""

    media_id: UUID
    file_path: str
    shared: bool
    upload_id: str | None


class RemovalRepository:
    """The clean-up's view of one bucket's media. Safe in any number of replicas at once."""

    def __init__(self, database: Database, bucket: str) -> None:
        self._database = database
        self._bucket = bucket

    async def expire_stale(self) -> list[str]:
        """Give up pending uploads past their time, at most a batch; answers their media types."""
        rows = await self._database.fetch_all(
            "UPDATE media_files SET status = 'expired', lease_until = NULL, lease_owner = NULL WHERE media_id IN ("
            " SELECT media_id FROM media_files WHERE bucket = %(bucket)s AND status = 'pending' AND expires_at < now()"
            " AND (lease_until IS NULL OR lease_until < now())"
            " ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) RETURNING media_type",
            {"bucket": self._bucket, "limit": BATCH},
        )
        return [row["media_type"] for row in rows]

    async def to_remove(self, *, after: UUID | None = None, media_id: UUID | None = None) -> list[Removable]:
        """Media whose bytes must go, in order of media_id: those after `after`, or the one named."""
        rows = await self._database.fetch_all(
            "SELECT media_id, file_path, upload_id,"
            " EXISTS (SELECT FROM media_files other WHERE other.bucket = gone.bucket"
            "  AND other.file_path = gone.file_path AND other.status = 'completed') AS shared"
            " FROM media_files gone WHERE bucket = %(bucket)s AND status IN ('failed', 'expired', 'deleted')"
            f" AND bytes_removed_at IS NULL AND {_NOT_BEING_ERASED}"
            " AND (%(after)s::uuid IS NULL OR media_id > %(after)s)"
            " AND (%(media_id)s::uuid IS NULL OR media_id = %(media_id)s) ORDER BY media_id LIMIT %(limit)s",
            {"bucket": self._bucket, "after": after, "media_id": media_id, "limit": BATCH},
        )
        return [Removable(**row) for row in rows]

    async def bytes_removed(self, media_id: UUID) -> None:
        """Remember that nothing of a media is left in the store."""
        await self._database.execute(
            "UPDATE media_files SET bytes_removed_at = now() WHERE media_id = %(media_id)s", {"media_id": media_id}
        )

    async def abandoned_copies(self, *, after: str = "") -> list[str]:
        """Keys of copies that no media names any more, in order: a batch of those after `after`."""
        rows = await self._database.fetch_all(
            "SELECT key FROM abandoned_copies WHERE bucket = %(bucket)s AND key > %(after)s"
            " ORDER BY key LIMIT %(limit)s",
            {"bucket": self._bucket, "after": after, "limit": BATCH},
        )
        return [row["key"] for row in rows]

    async def copy_removed(self, key: str) -> None:
        """Forget a copy that is no longer in the store."""
        await self._database.execute(
            "DELETE FROM abandoned_copies WHERE bucket = %(bucket)s AND key = %(key)s",
            {"bucket": self._bucket, "key": key},
        )

    async def still_pending(self, media_ids: Collection[UUID]) -> set[UUID]:
        """Which of these uploads may still be confirmed."""
        rows = await self._database.fetch_all(
            "SELECT media_id FROM media_files WHERE media_id = ANY(%(media_ids)s) AND status = 'pending'",
            {"media_ids": list(media_ids)},
        )
        return {row["media_id"] for row in rows}

    async def live_uploads(self, uploads: Collection[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
        """Which of these multipart uploads, each with the media that its key names, may still be confirmed."""
        rows = await self._database.fetch_all(
            "SELECT media_id, upload_id FROM media_files"
            " JOIN unnest(%(media_ids)s::uuid[], %(upload_ids)s::text[]) AS named (media_id, upload_id)"
            " USING (media_id, upload_id) WHERE status = 'pending'",
            {
                "media_ids": [media_id for media_id, _ in uploads],
                "upload_ids": [upload_id for _, upload_id in uploads],
            },
        )
        return {(row["media_id"], row["upload_id"]) for row in rows}

    async def leased(self, media_ids: Collection[UUID]) -> set[UUID]:
        """Which of these uploads somebody is confirming right now."""
        rows = await self._database.fetch_all(
            "SELECT media_id FROM media_files"
            " WHERE media_id = ANY(%(media_ids)s) AND status = 'pending' AND lease_until > now()",
            {"media_ids": list(media_ids)},
        )
        return {row["media_id"] for row in rows}

    def sweep_lock(self) -> AbstractAsyncContextManager[bool]:
        """Whether this replica may list the bucket now: one at a time does."""
        return self._database.lock(f"sweep {self._bucket}")
