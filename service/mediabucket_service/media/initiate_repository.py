"""Initiate in SQL: a user's file is found or announced, for many files in one statement.

Times are the database's, so that replicas' clocks play no part.
"""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

from psycopg.rows import DictRow

from mediabucket_api.spec import UploadLimits
from mediabucket_service.batching import Batcher
from mediabucket_service.database import Connection, Database

# More than the pool lets wait for a database that is away: what comes then is refused at once, behind nobody.
_SLOTS: Final = 4
_BATCH: Final = 100

# Rows are taken in the order of the unique index, in every replica: no two statements can wait for each other.
_INITIATE = """
WITH wanted AS (
    -- One document: an array for each column took psycopg twice as long, and PostgreSQL no less.
    SELECT * FROM json_to_recordset(%(files)s::json)
        AS files (media_id uuid, uploaded_by text, file_name text, file_path text, media_type text, file_size bigint,
                  mime_type text, checksum bytea, metadata jsonb)
), completed AS (
    -- The limit keeps the planner from joining whole tables: one look into the index for each file.
    SELECT found.* FROM wanted CROSS JOIN LATERAL (
        SELECT * FROM media_files
        WHERE bucket = %(bucket)s AND uploaded_by = wanted.uploaded_by AND checksum = wanted.checksum
          AND status = 'completed' AND duplicate_of IS NULL LIMIT 1) AS found
), pending AS (
    INSERT INTO media_files (media_id, bucket, uploaded_by, file_name, file_path, media_type, file_size, mime_type,
                             checksum, status, uploaded_at, expires_at, metadata)
    SELECT media_id, %(bucket)s, uploaded_by, file_name, file_path, media_type, file_size, mime_type, checksum,
           'pending', now(), now() + %(stale_after)s * interval '1 second', metadata
    FROM wanted
    WHERE NOT EXISTS (SELECT FROM completed
                      WHERE completed.uploaded_by = wanted.uploaded_by AND completed.checksum = wanted.checksum)
      -- Counted as completed, and deleted since: announced now it would be beyond the limit that it was not held to.
      AND checksum <> ALL(%(known)s::bytea[])
    ORDER BY uploaded_by, checksum
    ON CONFLICT (bucket, uploaded_by, checksum) WHERE status = 'pending' DO UPDATE
    SET file_name = excluded.file_name, file_size = excluded.file_size, mime_type = excluded.mime_type,
        media_type = excluded.media_type, metadata = excluded.metadata, expires_at = excluded.expires_at,
        -- A multipart upload is of one type and cut for one size. One that is dropped here is aborted by the reaper.
        upload_id = CASE WHEN (media_files.mime_type, media_files.file_size) = (excluded.mime_type, excluded.file_size)
                         THEN media_files.upload_id END
    RETURNING *
)
SELECT media_id, uploaded_by, checksum, status, file_name, file_path, file_size, mime_type, media_type, upload_id,
       part_size
FROM (SELECT * FROM completed UNION ALL SELECT * FROM pending) AS answered
"""

_LOCK_USER = "SELECT pg_advisory_xact_lock(hashtextextended(%(bucket)s || ' ' || %(user_id)s, 0))"

# Two index-only scans, of the very indexes that settle the races: nothing is counted that could be wrong.
_USAGE = """
SELECT pending.count AS pending, pending.bytes + completed.bytes AS bytes, pending.announced, pending.sizes,
       completed.known
FROM (SELECT count(*), coalesce(sum(file_size), 0)::bigint AS bytes,
             array_agg(checksum) FILTER (WHERE checksum = ANY(%(checksums)s)) AS announced,
             array_agg(file_size) FILTER (WHERE checksum = ANY(%(checksums)s)) AS sizes
      FROM media_files WHERE bucket = %(bucket)s AND uploaded_by = %(user_id)s AND status = 'pending') AS pending,
     (SELECT coalesce(sum(file_size), 0)::bigint AS bytes,
             array_agg(checksum) FILTER (WHERE checksum = ANY(%(checksums)s)) AS known
      FROM media_files WHERE bucket = %(bucket)s AND uploaded_by = %(user_id)s AND status = 'completed'
        AND duplicate_of IS NULL) AS completed
"""


class NewUpload(NamedTuple):
    """What initiate knows about a file that may not exist yet."""

    media_id: UUID
    uploaded_by: str
    file_name: str
    file_path: str
    media_type: str
    file_size: int
    mime_type: str
    checksum: bytes
    metadata: dict[str, str]

    @property
    def key(self) -> tuple[str, bytes]:
        """What makes two uploads the same: the user and the bytes."""
        return self.uploaded_by, self.checksum

    def as_json(self) -> dict[str, Any]:
        """Every column, as PostgreSQL reads its type from JSON."""
        return self._asdict() | {"media_id": str(self.media_id), "checksum": f"\\x{self.checksum.hex()}"}


class Announced(NamedTuple):
    """A file that a user has announced, now or before: `status` is pending or completed."""

    media_id: UUID
    status: str
    file_name: str
    file_path: str
    file_size: int
    mime_type: str
    media_type: str
    checksum: bytes
    upload_id: str | None
    part_size: int | None


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


Outcome = Announced | LimitExceeded


class InitiateRepository:
    """Finds or announces files of one bucket.

    A file without an outcome was settled, or deleted, by a concurrent transaction meanwhile: try again.
    """

    def __init__(self, database: Database, bucket: str, *, stale_after_seconds: int) -> None:
        self._database = database
        self._bucket = bucket
        self._stale_after_seconds = stale_after_seconds
        # As many as there are users with calls under way.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._batcher = Batcher(self._initiate_all, slots=_SLOTS, size=_BATCH)

    async def initiate(self, upload: NewUpload) -> Announced | None:
        """The user's completed media with these bytes, or the pending one, made if need be.

        Requests that come while a statement is under way share the next one.
        """
        return await self._batcher.submit(upload.key, upload)

    async def initiate_many(self, uploads: Sequence[NewUpload]) -> Mapping[tuple[str, bytes], Announced]:
        """`initiate` for files that differ in user or bytes, in one round trip; the outcome of each by its key."""
        return await self._initiate_all({upload.key: upload for upload in uploads})

    async def initiate_within(
        self, uploads: Sequence[NewUpload], limits: UploadLimits
    ) -> Mapping[tuple[str, bytes], Outcome]:
        """`initiate_many` for files of one user under the manifest's limits, one call at a time for each user.

        Two round trips: the lock and what it protects, then what came of that. Who waits for his own calls does so
        without a connection, so that no user can hold them all.
        """
        user_id = uploads[0].uploaded_by
        names = {"bucket": self._bucket, "user_id": user_id, "checksums": [upload.checksum for upload in uploads]}
        async with (
            self._turns.setdefault(user_id, asyncio.Lock()),
            self._database.connection() as connection,
            connection.pipeline(),
        ):
            # Not `transaction()`, which in a pipeline waits for the answer to BEGIN, and to all before COMMIT.
            # After an exception the connection is rolled back as it is left.
            await connection.execute("BEGIN")
            await connection.execute(_LOCK_USER.encode(), names)
            usage = _usage(await _rows(connection, _USAGE, names))
            exceeded = {upload.key: usage.admit(upload, limits) for upload in uploads}
            refused: dict[tuple[str, bytes], Outcome] = {key: told for key, told in exceeded.items() if told}
            admitted = [upload for upload in uploads if upload.key not in refused]
            cursor = await connection.execute(_INITIATE.encode(), self._parameters(admitted, known=usage.known))
            await connection.execute("COMMIT")
        # Not before: within the pipeline it would be a round trip of its own.
        return refused | _announced(await cursor.fetchall())

    async def _initiate_all(
        self, uploads: Mapping[tuple[str, bytes], NewUpload]
    ) -> Mapping[tuple[str, bytes], Announced]:
        return _announced(await self._database.fetch_all(_INITIATE, self._parameters(list(uploads.values()))))

    def _parameters(self, uploads: Sequence[NewUpload], known: Collection[bytes] = ()) -> dict[str, Any]:
        return {
            "bucket": self._bucket,
            "stale_after": self._stale_after_seconds,
            "known": list(known),
            "files": json.dumps([upload.as_json() for upload in uploads]),
        }


def _usage(rows: Sequence[DictRow]) -> Usage:
    [row] = rows
    announced = dict(zip(row["announced"] or (), row["sizes"] or (), strict=True))
    return Usage(row["pending"], row["bytes"], announced, set(row["known"] or ()))


def _announced(rows: Sequence[DictRow]) -> dict[tuple[str, bytes], Announced]:
    return {
        (row["uploaded_by"], row["checksum"]): Announced(
            media_id=row["media_id"],
            status=row["status"],
            file_name=row["file_name"],
            file_path=row["file_path"],
            file_size=row["file_size"],
            mime_type=row["mime_type"],
            media_type=row["media_type"],
            checksum=row["checksum"],
            upload_id=row["upload_id"],
            part_size=row["part_size"],
        )
        for row in rows
    }


async def _rows(connection: Connection, query: str, parameters: dict[str, Any]) -> list[DictRow]:
    cursor = await connection.execute(query.encode(), parameters)
    return await cursor.fetchall()
