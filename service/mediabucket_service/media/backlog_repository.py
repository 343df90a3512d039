"""How much is pending, in one statement that costs the same however large the table of media is."""

from dataclasses import dataclass
from typing import Final

from mediabucket_service.database import Database

# Of a bucket that has more, this many are told.
MOST_COUNTED: Final = 100_000
MOST_AGED: Final = 1000

# Both are ordered as an index of the pending rows is: no plan that reads the whole table can look cheaper. The ages are
# those of the uploads that expire first; no row of the first index is looked up for them.
_BACKLOG: Final = """
WITH counted AS (
    SELECT file_size FROM media_files WHERE bucket = %(bucket)s AND status = 'pending'
    ORDER BY bucket, uploaded_by, checksum LIMIT %(most_counted)s
), first AS (
    SELECT uploaded_at, expires_at < now() AND (lease_until IS NULL OR lease_until < now()) AS overdue
    FROM media_files WHERE status = 'pending' AND bucket = %(bucket)s
    ORDER BY expires_at LIMIT %(most_aged)s
)
SELECT (SELECT count(*) FROM counted) AS uploads,
       (SELECT coalesce(sum(file_size), 0)::bigint FROM counted) AS bytes,
       (SELECT coalesce(extract(epoch FROM now() - min(uploaded_at)), 0)::float8 FROM first) AS oldest_seconds,
       (SELECT count(*) FROM first WHERE overdue) AS overdue
"""


@dataclass(frozen=True)
class Backlog:
    """What is pending: how many uploads, their announced bytes, the age of the oldest, and how many are to expire."""

    uploads: int
    bytes: int
    oldest_seconds: float
    overdue: int


class BacklogRepository:
    """The pending uploads of one bucket."""

    def __init__(self, database: Database, bucket: str) -> None:
        self._database = database
        self._bucket = bucket

    async def look(self) -> Backlog:
        """At most MOST_COUNTED uploads, and at most MOST_AGED overdue ones, are counted."""
        row = await self._database.fetch_one(
            _BACKLOG, {"bucket": self._bucket, "most_counted": MOST_COUNTED, "most_aged": MOST_AGED}
        )
        assert row is not None
        return Backlog(**row)
