"""Tables with millions of rows: does an announcement cost more then? `make bench ARGS="--rows 1000000"`.

On two busy cores 1,000,000 rows took 40 s and 0.5 GiB of disk with their indexes, 10,000,000 took 6 minutes and
5.1 GiB; as much again goes through the write-ahead log.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, LiteralString

import psycopg
from cases import Cases, http
from peers import Arena
from psycopg import sql
from rounds import Contestant, Effort, Row, compared

# Announced over two years by 50,000 users: most completed, some given up or deleted, some under way.
_FILL: Final[LiteralString] = """
INSERT INTO media_files (media_id, bucket, uploaded_by, file_name, file_path, media_type, file_size, mime_type,
                         checksum, status, etag, uploaded_at, confirmed_at, expires_at, bytes_removed_at)
SELECT uuidv7(age), %(bucket)s, 'user-' || number %% 50000, 'picture.png',
       'uploads/2025/01/user-' || number %% 50000 || '/' || number || '.png', 'image', 4096, 'image/png',
       sha256(('file ' || number)::bytea), status, md5(number::text), now() + age,
       CASE WHEN status = 'completed' THEN now() + age END, now() + interval '1 day',
       CASE WHEN status IN ('expired', 'deleted') THEN now() END
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number,
     LATERAL (SELECT interval '1 minute' * -(1 + number %% 1000000) AS age,
                     CASE number %% 20 WHEN 0 THEN 'expired' WHEN 1 THEN 'deleted' WHEN 2 THEN 'pending'
                                       ELSE 'completed' END AS status) AS life
"""
_CHUNK: Final = 500_000
_INDEXES: Final[LiteralString] = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'media_files' AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""
_SIZE: Final[LiteralString] = "SELECT pg_total_relation_size('media_files')"


def grown(
    arena: Arena, cases: Cases, targets: Sequence[int], effort: Effort, tell: Callable[[str], None]
) -> dict[str, list[Row]]:
    """For each number of rows: initiate of the service, beside the same program on a table that stays small."""
    groups = {}
    filled = 0
    for target in sorted(targets):
        tell(f"filling media_files with {target:,} rows")
        started = time.monotonic()
        size = fill(arena, filled + 1, target, tell)
        filled = target
        tell(f"{target:,} rows after {time.monotonic() - started:.0f} s, {size / 2**30:.2f} GiB with all indexes")
        large, *_ = cases.initiate()
        name = f"initiate, {target:,} rows"
        large = Contestant(name, large.measure, rows=large.rows)
        groups[name] = compared([large, small_table(arena, cases)], effort)
    return groups


def small_table(arena: Arena, cases: Cases) -> Contestant:
    """The same program as the service, in the process that also has the empty route, on a database of its own."""
    return http("initiate, small table", arena.ceiling, cases.new_files)


def fill(arena: Arena, first: int, last: int, tell: Callable[[str], None]) -> int:
    """Make the rows of these numbers, then the indexes anew; bytes of the table with its indexes."""
    with psycopg.connect(arena.platform.database_url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        for start in range(first, last + 1, _CHUNK):
            end = min(start + _CHUNK - 1, last)
            names = {"bucket": arena.platform.connection.bucket, "first": start, "last": end}
            connection.execute(_FILL, names)
            tell(f"{end:,} rows")
        for name, definition in indexes:
            tell(f"index {name}")
            connection.execute(definition.encode())
        connection.execute("VACUUM ANALYZE media_files")
        row = connection.execute(_SIZE).fetchone()
        return int(row[0]) if row else 0
