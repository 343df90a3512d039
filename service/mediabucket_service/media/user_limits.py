"""What users hold, and whether that lets them announce more: counted under a lock of each user.

https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from psycopg import AsyncCursor
from psycopg.rows import DictRow

from mediabucket_api.spec import UploadLimits
from mediabucket_service.database import Connection
from mediabucket_service.media.announced import NewUpload

_LOCK_USER: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%(bucket)s || ' ' || %(user_id)s, 0))"
_LOCK_FREE_USERS: Final = """
SELECT user_id FROM unnest(%(user_ids)s::text[]) AS users (user_id)
WHERE pg_try_advisory_xact_lock(hashtextextended(%(bucket)s || ' ' || user_id, 0))
"""

# For each user two index-only scans, of the very indexes that settle the races: nothing is counted that could be wrong.
# And for each file a look into the same indexes: compared with one another, the rows and the files of all users would
# take as long as their product. With a `largest`, a user with more rows than that is left out.
_USAGE: Final = """
SELECT user_id, pending.count AS pending, pending.bytes + completed.bytes AS bytes, files.announced, files.sizes,
       files.known
FROM unnest(%(user_ids)s::text[]) AS users (user_id)
CROSS JOIN LATERAL (
    SELECT count(*), coalesce(sum(file_size), 0)::bigint AS bytes
    FROM (SELECT file_size FROM media_files
          WHERE bucket = %(bucket)s AND uploaded_by = user_id AND status = 'pending'
          LIMIT %(largest)s + 1) AS held) AS pending
CROSS JOIN LATERAL (
    SELECT count(*), coalesce(sum(file_size), 0)::bigint AS bytes
    FROM (SELECT file_size FROM media_files
          WHERE bucket = %(bucket)s AND uploaded_by = user_id AND status = 'completed' AND duplicate_of IS NULL
          LIMIT %(largest)s + 1) AS held) AS completed
CROSS JOIN LATERAL (
    SELECT array_agg(checksum) FILTER (WHERE announced.file_size IS NOT NULL) AS announced,
           array_agg(announced.file_size) FILTER (WHERE announced.file_size IS NOT NULL) AS sizes,
           array_agg(checksum) FILTER (WHERE known.file_size IS NOT NULL) AS known
    FROM unnest(%(owners)s::text[], %(checksums)s::bytea[]) AS wanted (owner, checksum)
    LEFT JOIN LATERAL (
        SELECT file_size FROM media_files
        WHERE bucket = %(bucket)s AND uploaded_by = owner AND media_files.checksum = wanted.checksum
          AND status = 'pending' LIMIT 1) AS announced ON true
    LEFT JOIN LATERAL (
        SELECT file_size FROM media_files
        WHERE bucket = %(bucket)s AND uploaded_by = owner AND media_files.checksum = wanted.checksum
          AND status = 'completed' AND duplicate_of IS NULL LIMIT 1) AS known ON true
    WHERE owner = user_id) AS files
WHERE %(largest)s::bigint IS NULL OR greatest(pending.count, completed.count) <= %(largest)s
"""


@dataclass(frozen=True)
class LimitExceeded:
    """Which limit of the manifest an upload would break: its name there, its value, and what is used already."""

    limit: str
    allowed: int
    used: int


@dataclass
class Usage:
    """What a user holds: uploads that are pending, and bytes that are stored or reserved. `announced` are the sizes
    of those pending, `known` the checksums of those completed, as far as they were asked about.
    """

    pending: int
    held_bytes: int
    announced: dict[bytes, int]
    known: set[bytes]

    def admit(self, upload: NewUpload, limits: UploadLimits) -> LimitExceeded | None:
        """Reserve room for one more upload, or say which limit it would break.

        A completed file takes nothing more; one that is pending only what its new announcement adds.
        """
        if upload.checksum in self.known:
            return None
        announced = self.announced.get(upload.checksum)
        if announced is None and limits.pending_per_user is not None and self.pending >= limits.pending_per_user:
            return LimitExceeded("pendingPerUser", limits.pending_per_user, self.pending)
        added = upload.file_size - (announced or 0)
        if added > 0 and limits.bytes_per_user is not None and self.held_bytes + added > limits.bytes_per_user:
            return LimitExceeded("bytesPerUser", limits.bytes_per_user, self.held_bytes)
        self.pending += announced is None
        self.held_bytes += added
        return None


async def lock_user(connection: Connection, bucket: str, user_id: str) -> None:
    """Wait until nobody else decides for this user, and keep it so to the end of the transaction."""
    await connection.execute(_LOCK_USER.encode(), {"bucket": bucket, "user_id": user_id})


async def lock_free_users(connection: Connection, bucket: str, user_ids: Iterable[str]) -> AsyncCursor[DictRow]:
    """The same of those, as rows of `user_id`, for whom nobody decides now. Nothing is waited for."""
    return await connection.execute(_LOCK_FREE_USERS.encode(), {"bucket": bucket, "user_ids": list(user_ids)})


async def usages(
    connection: Connection, bucket: str, uploads: Collection[NewUpload], *, largest: int | None = None
) -> dict[str, Usage]:
    """What the users of these uploads hold now, by user; without those who hold more files than `largest`, whom it
    would take long to count. It is theirs to rely on only under their lock.
    """
    owners = [upload.uploaded_by for upload in uploads]
    names = {
        "bucket": bucket,
        "user_ids": list(set(owners)),
        "owners": owners,
        "checksums": [upload.checksum for upload in uploads],
        "largest": largest,
    }
    cursor = await connection.execute(_USAGE.encode(), names)
    return {row["user_id"]: _usage(row) for row in await cursor.fetchall()}


def _usage(row: DictRow) -> Usage:
    announced = dict(zip(row["announced"] or (), row["sizes"] or (), strict=True))
    return Usage(row["pending"], row["bytes"], announced, set(row["known"] or ()))
