"""Initiate in SQL: a user's file is found or announced, for many files in one statement.

Times are the database's, so that replicas' clocks play no part.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from psycopg import AsyncCursor
from psycopg.rows import DictRow

from mediabucket_api.spec import UploadLimits
from mediabucket_service.batching import Batcher
from mediabucket_service.database import Connection, Database
from mediabucket_service.media.announced import Announced, NewUpload, UploadKey
from mediabucket_service.media.user_limits import LimitExceeded, Usage, lock_free_users, lock_user, usages

# More than the pool lets wait for a database that is away: what comes then is refused at once, behind nobody.
_SLOTS: Final = 4
_BATCH: Final = 100
# Who holds more is counted alone: 0.3 ms for each user, in a batch of a hundred, is what the others may wait.
_MOST_FILES_TOGETHER: Final = 2000

# Rows are taken in the order of the unique index, in every replica: no two statements can wait for each other.
_INITIATE = """
WITH wanted AS (
    -- One document: an array for each column took psycopg twice as long, and PostgreSQL no less.
    SELECT * FROM json_to_recordset(%(files)s::json)
        AS files (media_id uuid, uploaded_by text, file_name text, file_path text, media_type text, file_size bigint,
                  mime_type text, checksum bytea, metadata jsonb, known boolean)
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
      AND NOT known
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


Outcome = Announced | LimitExceeded


class InitiateRepository:
    """Finds or announces files of one bucket, within the limits of its manifest for each user.

    A file without an outcome was settled, or deleted, by a concurrent transaction meanwhile: try again.
    """

    def __init__(
        self, database: Database, bucket: str, *, stale_after_seconds: int, limits: UploadLimits | None = None
    ) -> None:
        self._database = database
        self._bucket = bucket
        self._stale_after_seconds = stale_after_seconds
        self._limits = limits or UploadLimits()
        self._limited = self._limits.pending_per_user is not None or self._limits.bytes_per_user is not None
        # As many as there are users with calls that wait for each other.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Whoever waits in the database for a user's turn does so on a connection: these may all be lost for a while.
        self._turn_slots = asyncio.Semaphore(_SLOTS)
        together = self._initiate_those_free if self._limited else self._initiate_all
        self._batcher: Batcher[UploadKey, NewUpload, Outcome] = Batcher(together, slots=_SLOTS, size=_BATCH)

    async def initiate(self, upload: NewUpload) -> Outcome | None:
        """The user's completed media with these bytes, or the pending one, made if need be; else the limit it breaks.

        Requests that come while a statement is under way share the next one.
        """
        outcome = await self._batcher.submit(upload.key, upload)
        if outcome is None and self._limited:
            # Somebody else decides for this user just now, or this one holds much: others must not wait for that.
            return (await self._initiate_in_turn([upload])).get(upload.key)
        return outcome

    async def initiate_many(self, uploads: Sequence[NewUpload]) -> Mapping[UploadKey, Outcome]:
        """`initiate` for files of one user that differ in bytes, in one round trip, two where users have limits; the
        outcome of each by its key.
        """
        if self._limited:
            return await self._initiate_in_turn(uploads)
        return await self._initiate_all({upload.key: upload for upload in uploads})

    async def _initiate_all(self, uploads: Mapping[UploadKey, NewUpload]) -> Mapping[UploadKey, Outcome]:
        return _announced(await self._database.fetch_all(_INITIATE, self._parameters(uploads.values())))

    async def _initiate_in_turn(self, uploads: Sequence[NewUpload]) -> Mapping[UploadKey, Outcome]:
        """For one user, one call at a time, and for some users at a time. Who waits for that does so without a
        connection, so that nobody can hold them all.
        """
        user_id = uploads[0].uploaded_by
        async with (
            self._turns.setdefault(user_id, asyncio.Lock()),
            self._turn_slots,
            self._transaction() as connection,
        ):
            await lock_user(connection, self._bucket, user_id)
            usage = await usages(connection, self._bucket, uploads)
            decided = await self._decide(connection, uploads, usage)
        return await decided.outcomes()

    async def _initiate_those_free(self, uploads: Mapping[UploadKey, NewUpload]) -> Mapping[UploadKey, Outcome]:
        """For all users for whom nobody decides now, and who do not hold too much to be counted at once. Those of the
        others have no outcome.
        """
        async with self._transaction() as connection:
            users = await lock_free_users(connection, self._bucket, {upload.uploaded_by for upload in uploads.values()})
            usage = await usages(connection, self._bucket, uploads.values(), largest=_MOST_FILES_TOGETHER)
            ours = {row["user_id"] for row in await users.fetchall()} & usage.keys()
            mine = [upload for upload in uploads.values() if upload.uploaded_by in ours]
            decided = await self._decide(connection, mine, usage)
        return await decided.outcomes()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        """Of two round trips: the locks and what they protect, then what came of that."""
        async with self._database.connection() as connection, connection.pipeline():
            # Not `transaction()`, which in a pipeline waits for the answer to BEGIN, and to all before COMMIT.
            # After an exception the connection is rolled back as it is left.
            await connection.execute("BEGIN")
            yield connection
            await connection.execute("COMMIT")

    async def _decide(
        self, connection: Connection, uploads: Sequence[NewUpload], usage: Mapping[str, Usage]
    ) -> "_Decided":
        refused: dict[UploadKey, LimitExceeded] = {}
        admitted = []
        known = {(user, checksum) for user, used in usage.items() for checksum in used.known}
        for upload in uploads:
            if (exceeded := usage[upload.uploaded_by].admit(upload, self._limits)) is not None:
                refused[upload.key] = exceeded
            else:
                admitted.append(upload)
        cursor = await connection.execute(_INITIATE.encode(), self._parameters(admitted, known))
        return _Decided(refused, cursor)

    def _parameters(self, uploads: Iterable[NewUpload], known: Collection[UploadKey] = ()) -> dict[str, Any]:
        return {
            "bucket": self._bucket,
            "stale_after": self._stale_after_seconds,
            "files": json.dumps([upload.as_json() | {"known": upload.key in known} for upload in uploads]),
        }


class _Decided(NamedTuple):
    refused: Mapping[UploadKey, LimitExceeded]
    announced: "AsyncCursor[DictRow]"

    async def outcomes(self) -> Mapping[UploadKey, Outcome]:
        """Not before the end of the transaction: within the pipeline it would be a round trip of its own."""
        return {**self.refused, **_announced(await self.announced.fetchall())}


def _announced(rows: Sequence[DictRow]) -> dict[UploadKey, Outcome]:
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
