"""The statements of the service before migration 0002, as it sent them, and threads that send them all the time."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import psycopg
from psycopg.rows import DictRow, dict_row

COLUMNS = (
    "media_id, bucket, uploaded_by, file_name, file_path, cdn_url, media_type, file_size, mime_type, checksum, status,"
    " etag, uploaded_at, confirmed_at, expires_at, lease_until, lease_owner, failure, duplicate_of, bytes_removed_at,"
    " metadata AS client_metadata"
)
INITIATE = f"""
WITH completed AS (
    SELECT {COLUMNS} FROM media_files
    WHERE bucket = %(bucket)s AND uploaded_by = %(uploaded_by)s AND checksum = %(checksum)s
      AND status = 'completed' AND duplicate_of IS NULL
), pending AS (
    INSERT INTO media_files (media_id, bucket, uploaded_by, file_name, file_path, media_type, file_size, mime_type,
                             checksum, status, uploaded_at, expires_at, metadata)
    SELECT %(media_id)s, %(bucket)s, %(uploaded_by)s, 'a.png', 'uploads/a', 'image', 5, 'image/png', %(checksum)s,
           'pending', now(), now() + 60 * interval '1 second', '{{}}'
    WHERE NOT EXISTS (SELECT FROM completed)
    ON CONFLICT (bucket, uploaded_by, checksum) WHERE status = 'pending' DO UPDATE
    SET file_name = excluded.file_name, file_size = excluded.file_size, mime_type = excluded.mime_type,
        media_type = excluded.media_type, metadata = excluded.metadata, expires_at = excluded.expires_at
    RETURNING {COLUMNS}
)
SELECT * FROM completed UNION ALL SELECT * FROM pending
"""
LEASE = (
    "UPDATE media_files SET lease_owner = %(owner)s,"
    " lease_until = clock_timestamp() + 30 * interval '1 second'"
    " WHERE media_id = %(media_id)s AND bucket = %(bucket)s AND uploaded_by = %(uploaded_by)s"
    " AND status = 'pending' AND (lease_until IS NULL OR lease_until < clock_timestamp())"
    f" RETURNING {COLUMNS}"
)
COMPLETE = (
    "UPDATE media_files SET status = 'completed', confirmed_at = now(), etag = 'e', cdn_url = NULL,"
    " lease_until = NULL, lease_owner = NULL"
    " WHERE media_id = %(media_id)s AND status = 'pending' AND lease_owner = %(owner)s"
    f" RETURNING {COLUMNS}"
)
PAGE = (
    f"SELECT {COLUMNS} FROM media_files WHERE bucket = %(bucket)s AND uploaded_by = %(uploaded_by)s"
    " AND status <> 'deleted' ORDER BY media_id DESC LIMIT 50"
)
USAGE = (
    "SELECT count(*) FILTER (WHERE status = 'pending') AS pending, coalesce(sum(file_size), 0)::bigint AS bytes,"
    " coalesce(bool_or(checksum = %(checksum)s), false) AS known FROM media_files"
    " WHERE bucket = %(bucket)s AND uploaded_by = %(uploaded_by)s"
    " AND status IN ('pending', 'completed') AND duplicate_of IS NULL"
)
LOCK = (
    "SELECT media_id FROM media_files WHERE media_id = %(media_id)s AND bucket = %(bucket)s"
    " AND uploaded_by = %(uploaded_by)s FOR UPDATE"
)
DELETE = (
    "UPDATE media_files SET lease_until = NULL, lease_owner = NULL,"
    " failure = CASE status WHEN 'pending' THEN 'cancelled' ELSE failure END,"
    " status = CASE status WHEN 'pending' THEN 'expired' WHEN 'completed' THEN 'deleted' ELSE status END"
    " WHERE media_id = %(media_id)s AND NOT EXISTS"
    " (SELECT FROM media_references WHERE media_references.media_id = media_files.media_id)"
    f" RETURNING {COLUMNS}"
)


@dataclass
class OldService:
    """Use as a context: users who upload, list and delete, each in a thread. `longest` is of one statement, in s."""

    url: str
    users: int = 4
    longest: float = 0.0
    rounds: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(f"user-{number}",), name=f"user-{number}")
            for number in range(self.users)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self, user: str) -> None:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            while not self._stopped.is_set():
                try:
                    self.one_round(connection, user)
                    self.rounds += 1
                except psycopg.Error as error:
                    self.errors[f"{type(error).__name__}: {error}"] += 1
                # As a client would: in between, others may have the lock.
                time.sleep(0.002)

    def one_round(self, connection: psycopg.Connection[DictRow], user: str) -> None:
        """Upload a file, announced twice; list; count; delete it."""
        known = {"bucket": "old", "uploaded_by": user, "checksum": uuid4().bytes * 2, "owner": uuid4()}
        [first] = self._run(connection, INITIATE, known | {"media_id": uuid4()})
        [again] = self._run(connection, INITIATE, known | {"media_id": uuid4()})
        assert first["media_id"] == again["media_id"]
        known["media_id"] = first["media_id"]
        assert self._run(connection, LEASE, known)
        assert self._run(connection, COMPLETE, known)
        [same] = self._run(connection, INITIATE, known | {"media_id": uuid4()})
        assert same["status"] == "completed"
        assert self._run(connection, PAGE, known)
        assert self._run(connection, USAGE, known)[0]["known"]
        with connection.transaction():
            self._run(connection, LOCK, known)
            [deleted] = self._run(connection, DELETE, known)
        assert deleted["status"] == "deleted"

    def _run(
        self, connection: psycopg.Connection[DictRow], statement: str, parameters: dict[str, Any]
    ) -> list[DictRow]:
        started = time.monotonic()
        rows = connection.execute(statement.encode(), parameters).fetchall()
        self.longest = max(self.longest, time.monotonic() - started)
        return rows
