"""Statements of an erasure: its receipt, the rows that go, and what was found in the store for them.

What is found for a row is written into the row (`etag`, which means nothing once a media is gone) before any of it is
removed, and added to the receipt by the statement that deletes the row: whoever dies in between has lost no count,
and whoever comes second adds nothing twice. Rows are locked in the order of their ids, so that no two wait in a ring.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from mediabucket_service.database import Database
from mediabucket_service.media.keys import user_digest

# Rows, or events, that one statement changes: a thousand need a tenth of the time that a request may take.
STATEMENT_ROWS: Final = 1000

_OF_USER = "bucket = %(bucket)s AND uploaded_by = %(user_id)s"
_RECEIPT_COLUMNS = "media, objects, bytes, removed_references AS references, requested_at, completed_at"
_RECEIPT = "bucket = %(bucket)s AND user_digest = %(user_digest)s"

# Once it is completed a receipt is opened again only when the user has media again; its counts go on.
_OPEN = f"""
INSERT INTO erasures AS receipt (bucket, user_digest) VALUES (%(bucket)s, %(user_digest)s)
ON CONFLICT (bucket, user_digest) DO UPDATE SET requested_at = now(), completed_at = NULL
WHERE receipt.completed_at IS NOT NULL AND EXISTS (SELECT FROM media_files WHERE {_OF_USER})
"""

# What was begun before the erasure, and what has been completed by the object of such a media since. After a row is
# marked no other can be completed by its object: a confirm that is about to do so holds a lock on it until then.
_UNMARKED = f"""
{_OF_USER} AND status IN ('pending', 'completed') AND (uploaded_at <= %(begun_before)s OR duplicate_of IS NOT NULL)
"""

# A row that somebody holds is not waited for: it would keep a connection, and the others wait. It is marked later.
_MARK = f"""
UPDATE media_files
SET status = CASE media_files.status WHEN 'pending' THEN 'expired' ELSE 'deleted' END, failure = 'erased'
FROM (SELECT media_id FROM media_files WHERE {_UNMARKED} AND media_id > %(after)s
      ORDER BY media_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS doomed
WHERE media_files.media_id = doomed.media_id RETURNING media_files.media_id
"""

_REMOVE_REFERENCES = f"""
WITH removed AS (DELETE FROM media_references WHERE media_id = ANY(%(media_ids)s) RETURNING 1)
UPDATE erasures SET removed_references = removed_references + (SELECT count(*) FROM removed) WHERE {_RECEIPT}
"""

# Receivers learn that a media is gone, by its id alone. Once its payload is cut down an event names no user.
_OF_EVENTS = "bucket = %(bucket)s AND payload ->> 'uploaded_by' = %(user_id)s"
_CUT_DOWN_EVENTS = f"""
UPDATE webhook_deliveries SET payload = jsonb_build_object('media_id', media_id, 'status', payload ->> 'status')
WHERE delivery_id IN (SELECT delivery_id FROM webhook_deliveries
                      WHERE {_OF_EVENTS} AND event = 'media.deleted' LIMIT %(limit)s)
"""
_REMOVE_EVENTS = f"""
DELETE FROM webhook_deliveries
WHERE delivery_id IN (SELECT delivery_id FROM webhook_deliveries
                      WHERE {_OF_EVENTS} AND event <> 'media.deleted' LIMIT %(limit)s)
"""

# A media that began after the user's rows were marked may be served from the object of one that is gone since.
_GONE = """
status IN ('failed', 'expired', 'deleted') AND NOT EXISTS (
    SELECT FROM media_files other
    WHERE other.bucket = media_files.bucket AND other.file_path = media_files.file_path AND other.status = 'completed')
"""

# A confirm that was at work when its row was marked still owns it: it may be copying. All rows of the user are read,
# in the order of an index: right after they were marked the statistics say that none is gone, and a plan made of that
# reads them all for each page (measured for 100,000 rows: 500 ms a page instead of 1).
_PAGE = f"""
SELECT media_id, file_path, uploaded_at, upload_id,
       {_GONE} AND (lease_until IS NULL OR lease_until < now()) AS removable
FROM media_files WHERE {_OF_USER} AND media_id > %(after)s ORDER BY media_id LIMIT %(limit)s
"""

_NOTE = f"""
UPDATE media_files SET etag = json_build_object('objects', found.objects, 'bytes', found.bytes)
FROM (SELECT media_id FROM media_files WHERE {_OF_USER} AND media_id = ANY(%(media_ids)s)
      AND status IN ('failed', 'expired', 'deleted') AND (etag IS NULL OR etag NOT LIKE '{{%%')
      ORDER BY media_id FOR UPDATE) AS unnoted
JOIN unnest(%(media_ids)s::uuid[], %(objects)s::bigint[], %(bytes)s::bigint[]) AS found (media_id, objects, bytes)
  USING (media_id)
WHERE media_files.media_id = unnoted.media_id
"""

_DELETE = f"""
WITH doomed AS (
    SELECT media_id FROM media_files WHERE {_OF_USER} AND media_id = ANY(%(media_ids)s)
      AND status IN ('failed', 'expired', 'deleted') AND etag LIKE '{{%%' ORDER BY media_id FOR UPDATE
), gone AS (
    DELETE FROM media_files USING doomed WHERE media_files.media_id = doomed.media_id
    RETURNING (etag::jsonb ->> 'objects')::bigint AS objects, (etag::jsonb ->> 'bytes')::bigint AS bytes
), counted AS (
    SELECT count(*) AS media, coalesce(sum(objects), 0) AS objects, coalesce(sum(bytes), 0) AS bytes FROM gone
)
UPDATE erasures SET media = erasures.media + counted.media, objects = erasures.objects + counted.objects,
                    bytes = erasures.bytes + counted.bytes
FROM counted WHERE {_RECEIPT}
"""

_COMPLETE = f"""
UPDATE erasures SET completed_at = now()
WHERE {_RECEIPT} AND completed_at IS NULL AND NOT EXISTS (SELECT FROM media_files WHERE {_OF_USER} AND {_GONE})
"""


@dataclass(frozen=True)
class Receipt:
    """What an erasure has removed so far: rows, object versions (no delete markers), their bytes, references."""

    media: int
    objects: int
    bytes: int
    references: int
    requested_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True)
class Doomed:
    """A media of a user who is being erased. `upload_id` of a multipart upload, if one is known.

    `removable` once it is gone for its user, no confirm works at it, and no other media is served from its object.
    """

    media_id: UUID
    file_path: str
    uploaded_at: datetime
    upload_id: str | None
    removable: bool


@dataclass(frozen=True)
class Found:
    """What the store holds of one media: object versions without delete markers, and their bytes."""

    objects: int
    bytes: int


class ErasureRepository:
    """Erasures in one bucket. Every method may be repeated, and be called by several at once."""

    def __init__(self, database: Database, bucket: str) -> None:
        self._database = database
        self._bucket = bucket

    async def open(self, user_id: str) -> datetime:
        """Make the receipt, or open it again when it is completed and the user has media again.

        Answers the time: what is begun before it is to be erased.
        """
        await self._database.execute(_OPEN, self._parameters(user_id))
        row = await self._database.fetch_one("SELECT clock_timestamp() AS now", {})
        if row is None:
            raise LookupError("the database told no time")
        now: datetime = row["now"]
        return now

    async def mark(self, user_id: str, begun_before: datetime, after: UUID) -> UUID | None:
        """Make some of the user's media after this one gone, and forget what refers to them.

        Answers the last of them; None when there is none left that nobody holds.
        """
        parameters = self._parameters(user_id, begun_before=begun_before, after=after, limit=STATEMENT_ROWS)
        async with self._database.transaction() as connection:
            cursor = await connection.execute(_MARK.encode(), parameters)
            marked = [row["media_id"] for row in await cursor.fetchall()]
            # By a statement of its own, which sees references that were committed before the rows were locked.
            await connection.execute(_REMOVE_REFERENCES.encode(), parameters | {"media_ids": marked})
        return max(marked, default=None)

    async def is_marked(self, user_id: str, begun_before: datetime) -> bool:
        """Whether all media that are to be erased are marked."""
        query = f"SELECT 1 FROM media_files WHERE {_UNMARKED} LIMIT 1"
        return await self._database.fetch_one(query, self._parameters(user_id, begun_before=begun_before)) is None

    async def forget(self, user_id: str) -> None:
        """Remove what else names the user: events that were not told yet, those too of the rows marked, and calls."""
        parameters = self._parameters(user_id, limit=STATEMENT_ROWS)
        for statement in (_CUT_DOWN_EVENTS, _REMOVE_EVENTS):
            while await self._database.execute(statement, parameters) == STATEMENT_ROWS:
                pass
        await self._database.execute(
            "DELETE FROM rate_limits WHERE bucket = %(bucket)s AND user_id = %(user_id)s", parameters
        )

    async def page(self, user_id: str, after: UUID, limit: int) -> list[Doomed]:
        """The user's media after this one, in order of media_id."""
        rows = await self._database.fetch_all(_PAGE, self._parameters(user_id, after=after, limit=limit))
        return [Doomed(**row) for row in rows]

    async def note(self, user_id: str, found: Mapping[UUID, Found]) -> None:
        """Write down what was found for media that are about to be removed; what is written already stays."""
        await self._database.execute(
            _NOTE,
            self._parameters(
                user_id,
                media_ids=list(found),
                objects=[entry.objects for entry in found.values()],
                bytes=[entry.bytes for entry in found.values()],
            ),
        )

    async def delete(self, user_id: str, media_ids: list[UUID]) -> None:
        """Delete rows of which nothing is left in the store, and add what was noted for them to the receipt."""
        await self._database.execute(_DELETE, self._parameters(user_id, media_ids=media_ids))

    async def receipt(self, user_id: str, *, all_marked: bool) -> Receipt:
        """The receipt, completed if all is marked and nothing that is gone is left. Needs to be opened before."""
        parameters = self._parameters(user_id)
        if all_marked:
            await self._database.execute(_COMPLETE, parameters)
        row = await self._database.fetch_one(f"SELECT {_RECEIPT_COLUMNS} FROM erasures WHERE {_RECEIPT}", parameters)
        if row is None:
            raise LookupError("the erasure was not opened")
        return Receipt(**row)

    def _parameters(self, user_id: str, **others: Any) -> dict[str, Any]:
        return {"bucket": self._bucket, "user_id": user_id, "user_digest": user_digest(user_id)} | others
