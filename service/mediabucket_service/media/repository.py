"""Every statement about media files. Times are the database's, so that replicas' clocks play no part.

Statements that change a row name the state they expect: a row that is no longer in it is left alone, and the caller
gets None.
"""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow

from mediabucket_service.database import Connection, Database
from mediabucket_service.media.models import MediaFile, MediaStatus

_COLUMNS = (
    "media_id, bucket, uploaded_by, file_name, file_path, cdn_url, media_type, file_size, mime_type, checksum, status,"
    " etag, uploaded_at, confirmed_at, expires_at, lease_until, lease_owner, failure, duplicate_of, bytes_removed_at,"
    " upload_id, part_size, width, height, duration_seconds, metadata AS client_metadata"
)

# An object that is still served counts, and is found by its checksum, for as long as one row stands for it.
_PROMOTE = """
UPDATE media_files SET duplicate_of = NULL WHERE media_id = (
    SELECT media_id FROM media_files
    WHERE bucket = %(bucket)s AND file_path = %(file_path)s AND status = 'completed' AND duplicate_of IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM media_files original
        WHERE original.bucket = %(bucket)s AND original.uploaded_by = %(uploaded_by)s
          AND original.checksum = %(checksum)s AND original.status = 'completed' AND original.duplicate_of IS NULL)
    ORDER BY media_id LIMIT 1 FOR UPDATE)
"""


class MediaRepository:
    """The media of one bucket."""

    def __init__(self, database: Database, bucket: str, *, stale_after_seconds: int) -> None:
        self._database = database
        self._bucket = bucket
        self._stale_after_seconds = stale_after_seconds

    async def find(self, media_id: UUID, user_id: str) -> MediaFile | None:
        """The media if it is this user's."""
        row = await self._database.fetch_one(
            f"SELECT {_COLUMNS} FROM media_files"
            " WHERE media_id = %(media_id)s AND bucket = %(bucket)s AND uploaded_by = %(user_id)s",
            {"media_id": media_id, "bucket": self._bucket, "user_id": user_id},
        )
        return _media_file(row)

    async def find_many(self, media_ids: Collection[UUID], user_id: str | None = None) -> list[MediaFile]:
        """The media among these ids; only this user's when `user_id` is given."""
        rows = await self._database.fetch_all(
            f"SELECT {_COLUMNS} FROM media_files WHERE media_id = ANY(%(media_ids)s) AND bucket = %(bucket)s"
            " AND (%(user_id)s::text IS NULL OR uploaded_by = %(user_id)s)",
            {"media_ids": list(media_ids), "bucket": self._bucket, "user_id": user_id},
        )
        return _media_files(rows)

    async def page(
        self, user_id: str, *, before: UUID | None, limit: int, status: MediaStatus | None, media_type: str | None
    ) -> list[MediaFile]:
        """A user's media, newest first, older than `before`; deleted ones only when asked for."""
        rows = await self._database.fetch_all(
            f"SELECT {_COLUMNS} FROM media_files WHERE bucket = %(bucket)s AND uploaded_by = %(user_id)s"
            " AND (%(before)s::uuid IS NULL OR media_id < %(before)s)"
            " AND CASE WHEN %(status)s::text IS NULL THEN status <> 'deleted' ELSE status = %(status)s END"
            " AND (%(media_type)s::text IS NULL OR media_type = %(media_type)s)"
            " ORDER BY media_id DESC LIMIT %(limit)s",
            {
                "bucket": self._bucket,
                "user_id": user_id,
                "before": before,
                "status": status,
                "media_type": media_type,
                "limit": limit,
            },
        )
        return _media_files(rows)

    async def lease(self, media_id: UUID, user_id: str, owner: UUID, seconds: float) -> MediaFile | None:
        """Take a pending upload for `seconds`; None when it is not pending or another owns it."""
        row = await self._database.fetch_one(
            "UPDATE media_files SET lease_owner = %(owner)s,"
            " lease_until = clock_timestamp() + %(seconds)s * interval '1 second'"
            " WHERE media_id = %(media_id)s AND bucket = %(bucket)s AND uploaded_by = %(user_id)s"
            " AND status = 'pending' AND (lease_until IS NULL OR lease_until < clock_timestamp())"
            f" RETURNING {_COLUMNS}",
            {"media_id": media_id, "bucket": self._bucket, "user_id": user_id, "owner": owner, "seconds": seconds},
        )
        return _media_file(row)

    async def renew_lease(self, file: MediaFile, seconds: float) -> bool:
        """Keep a lease that is still ours; False when it was lost.

        The file lives on for it: what took hours must not expire because the process that did it has died.
        """
        return await self._owned_update(
            file,
            "lease_until = clock_timestamp() + %(seconds)s * interval '1 second',"
            " expires_at = greatest(expires_at, now() + %(stale_after)s * interval '1 second')",
            {"seconds": seconds, "stale_after": self._stale_after_seconds},
        )

    async def release_lease(self, file: MediaFile) -> bool:
        """Give an upload back as it was; one that has been erased meanwhile too: its erasure waits for that."""
        touched = await self._database.execute(
            "UPDATE media_files SET lease_until = NULL, lease_owner = NULL"
            " WHERE media_id = %(media_id)s AND lease_owner = %(owner)s",
            {"media_id": file.media_id, "owner": file.lease_owner},
        )
        return touched == 1

    async def complete(self, file: MediaFile, *, etag: str, cdn_url: str | None) -> MediaFile | None:
        """Make a leased upload completed with what was verified; None when the lease was lost.

        Raises DuplicatePublished when the same user's same bytes were completed in another row first.
        """
        try:
            row = await self._database.fetch_one(
                "UPDATE media_files SET status = 'completed', confirmed_at = now(), etag = %(etag)s,"
                " cdn_url = %(cdn_url)s, file_size = %(file_size)s, mime_type = %(mime_type)s,"
                " media_type = %(media_type)s, width = %(width)s, height = %(height)s,"
                " duration_seconds = %(duration_seconds)s, lease_until = NULL, lease_owner = NULL"
                " WHERE media_id = %(media_id)s AND status = 'pending' AND lease_owner = %(owner)s"
                f" RETURNING {_COLUMNS}",
                {
                    "media_id": file.media_id,
                    "owner": file.lease_owner,
                    "etag": etag,
                    "cdn_url": cdn_url,
                    "file_size": file.file_size,
                    "mime_type": file.mime_type,
                    "media_type": file.media_type,
                    "width": file.width,
                    "height": file.height,
                    "duration_seconds": file.duration_seconds,
                },
            )
        except UniqueViolation as error:
            raise DuplicatePublished(file.media_id) from error
        return _media_file(row)

    async def complete_as_duplicate(self, file: MediaFile) -> MediaFile | None:
        """Complete a leased, verified upload by the row that has its bytes already; None when there is none.

        The share lock makes a delete of that row wait, so that its object cannot vanish in between. The upload's own
        copy, which no row names from then on, is noted in the same statement.
        """
        row = await self._database.fetch_one(
            "WITH original AS (SELECT media_id, file_path, etag, cdn_url, file_size,"
            "  width, height, duration_seconds FROM media_files"
            "  WHERE bucket = %(bucket)s AND uploaded_by = %(uploaded_by)s AND checksum = %(checksum)s"
            "  AND status = 'completed' AND duplicate_of IS NULL AND media_id <> %(media_id)s FOR SHARE),"
            " completed AS (UPDATE media_files SET status = 'completed', confirmed_at = now(),"
            " duplicate_of = original.media_id,"
            " file_path = original.file_path, etag = original.etag, cdn_url = original.cdn_url,"
            " file_size = original.file_size, width = original.width, height = original.height,"
            " duration_seconds = original.duration_seconds, lease_until = NULL, lease_owner = NULL"
            " FROM original WHERE media_files.media_id = %(media_id)s AND status = 'pending'"
            f" AND lease_owner = %(owner)s RETURNING media_files.*),"
            " noted AS (INSERT INTO abandoned_copies (bucket, key) SELECT bucket, %(file_path)s FROM completed"
            "  ON CONFLICT DO NOTHING)"
            f" SELECT {_COLUMNS} FROM completed",
            {
                "file_path": file.file_path,
                "bucket": self._bucket,
                "uploaded_by": file.uploaded_by,
                "checksum": file.checksum,
                "media_id": file.media_id,
                "owner": file.lease_owner,
            },
        )
        return _media_file(row)

    async def fail(self, file: MediaFile, reason: str) -> bool:
        """Refuse a leased upload for good."""
        return await self._owned_update(
            file, "status = 'failed', failure = %(reason)s, lease_until = NULL, lease_owner = NULL", {"reason": reason}
        )

    async def delete(self, media_id: UUID, user_id: str) -> tuple[MediaFile | None, bool]:
        """Mark a media deleted (a pending one: expired). Answers the row as it is then, and whether it is in use.

        Two statements under a row lock: a reference committed while this waited for the lock is seen by the second.
        """
        parameters = {"media_id": media_id, "bucket": self._bucket, "user_id": user_id}
        async with self._database.transaction() as connection:
            found = await _fetch_one(
                connection,
                "SELECT media_id FROM media_files WHERE media_id = %(media_id)s AND bucket = %(bucket)s"
                " AND uploaded_by = %(user_id)s FOR UPDATE",
                parameters,
            )
            if found is None:
                return None, False
            row = await _fetch_one(
                connection,
                "UPDATE media_files SET lease_until = NULL, lease_owner = NULL,"
                " failure = CASE status WHEN 'pending' THEN 'cancelled' ELSE failure END,"
                " status = CASE status WHEN 'pending' THEN 'expired' WHEN 'completed' THEN 'deleted' ELSE status END"
                " WHERE media_id = %(media_id)s AND NOT EXISTS"
                " (SELECT FROM media_references WHERE media_references.media_id = media_files.media_id)"
                f" RETURNING {_COLUMNS}",
                parameters,
            )
            if row is not None and row["status"] == MediaStatus.DELETED and row["duplicate_of"] is None:
                await connection.execute(_PROMOTE.encode(), row)
            return _media_file(row), row is None

    async def add_references(self, message_id: UUID, media_ids: Collection[UUID], user_id: str) -> bool:
        """Let a message refer to media; False, and nothing written, unless all are this user's completed ones."""
        parameters = {
            "message_id": message_id,
            "media_ids": list(media_ids),
            "bucket": self._bucket,
            "user_id": user_id,
        }
        async with self._database.transaction() as connection:
            # The share lock makes a concurrent delete wait until the references can be seen. Ordered: no deadlock.
            cursor = await connection.execute(
                "SELECT media_id FROM media_files WHERE media_id = ANY(%(media_ids)s) AND bucket = %(bucket)s"
                " AND uploaded_by = %(user_id)s AND status = 'completed' ORDER BY media_id FOR SHARE",
                parameters,
            )
            if len(await cursor.fetchall()) != len(set(media_ids)):
                return False
            await connection.execute(
                "INSERT INTO media_references (media_id, message_id)"
                " SELECT unnest(%(media_ids)s::uuid[]), %(message_id)s ON CONFLICT DO NOTHING",
                parameters,
            )
            return True

    async def remove_references(self, message_ids: Collection[UUID]) -> int:
        """Forget the references of messages; answers how many there were."""
        return await self._database.execute(
            "DELETE FROM media_references WHERE message_id = ANY(%(message_ids)s)", {"message_ids": list(message_ids)}
        )

    async def unsettled_message_ids(self, older_than_seconds: float, limit: int) -> set[UUID]:
        """Messages that references older than this name, and that nobody has looked for yet."""
        rows = await self._database.fetch_all(
            "SELECT message_id FROM media_references WHERE NOT settled"
            " AND created_at < now() - %(age)s * interval '1 second' ORDER BY created_at LIMIT %(limit)s",
            {"age": older_than_seconds, "limit": limit},
        )
        return {row["message_id"] for row in rows}

    async def settle_references(self, message_ids: Collection[UUID]) -> None:
        """Remember that these messages exist."""
        await self._database.execute(
            "UPDATE media_references SET settled = true WHERE message_id = ANY(%(message_ids)s)",
            {"message_ids": list(message_ids)},
        )

    async def _owned_update(self, file: MediaFile, assignments: str, parameters: dict[str, Any]) -> bool:
        touched = await self._database.execute(
            f"UPDATE media_files SET {assignments}"
            " WHERE media_id = %(media_id)s AND status = 'pending' AND lease_owner = %(owner)s",
            parameters | {"media_id": file.media_id, "owner": file.lease_owner},
        )
        return touched == 1


class DuplicatePublished(Exception):
    """The same user's same bytes were completed in another row while this one was being published."""


async def _fetch_one(connection: Connection, query: str, parameters: dict[str, Any]) -> DictRow | None:
    cursor = await connection.execute(query.encode(), parameters)
    return await cursor.fetchone()


def _media_file(row: DictRow | None) -> MediaFile | None:
    return None if row is None else MediaFile(**row)


def _media_files(rows: Iterable[DictRow]) -> list[MediaFile]:
    return [MediaFile(**row) for row in rows]
