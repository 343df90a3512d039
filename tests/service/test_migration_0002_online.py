"""Migration 0002 beside replicas of the version before: nobody waits, nothing fails, interruptions are repaired."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from old_service import INITIATE, OldService
from psycopg.rows import dict_row
from service_platform import MakePlatform
from upload_client import File

from mediabucket_service.migrations import configuration, upgrade

INDEXES = {"media_files_completed_once", "media_files_pending_once"}
# Another transaction that was there before: CREATE INDEX CONCURRENTLY waits for it, ALTER TABLE cannot go on.
HOLD = "SELECT count(*) FROM media_files"


@pytest.fixture
def old_database(database_url: str) -> str:
    """As the version before made it, with enough rows that an index takes its time."""
    command.upgrade(configuration(database_url), "0001")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO media_files (media_id, bucket, uploaded_by, file_name, file_path, media_type, file_size,"
            " mime_type, checksum, status, expires_at) SELECT gen_random_uuid(), 'old', 'many', 'a', 'a', 'image', 5,"
            " 'image/png', sha256(n::text::bytea), 'completed', now() FROM generate_series(1, 50000) AS n"
        )
    return database_url


@contextmanager
def idle_transaction(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url) as connection:
        connection.execute(HOLD)
        yield connection


def indexes(url: str) -> dict[str, bool]:
    """The indexes of media_files that 0002 makes or replaces, and whether they can be used."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'media_files'::regclass"
        ).fetchall()
    return {name: valid for name, valid in rows if name in INDEXES or name.startswith("media_files_one_")}


def eventually(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_the_version_before_works_while_0002_runs_and_after_it(old_database: str) -> None:
    with OldService(old_database) as service:
        eventually(lambda: service.rounds > 20)
        upgrade(old_database)
        after = service.rounds
        eventually(lambda: service.rounds > after + 20)
    assert service.errors == {}
    assert service.longest < 1
    assert indexes(old_database) == dict.fromkeys(INDEXES, True)
    command.check(configuration(old_database))


def test_an_idle_transaction_delays_the_migration_and_nobody_else(old_database: str) -> None:
    migration = threading.Thread(target=upgrade, args=(old_database,))
    with OldService(old_database) as service:
        with idle_transaction(old_database):
            migration.start()
            time.sleep(3)
            assert migration.is_alive(), "ALTER TABLE does not fit beside the transaction"
            before = service.rounds
            time.sleep(1)
            assert service.rounds > before, "the service goes on meanwhile"
        migration.join(30)
        assert not migration.is_alive()
    assert service.errors == {}
    assert service.longest < 1
    command.check(configuration(old_database))


def test_an_index_that_was_interrupted_is_made_again(old_database: str) -> None:
    """SIGKILL while CREATE INDEX CONCURRENTLY waits for an old transaction; the columns are committed by then."""
    with psycopg.connect(old_database, autocommit=True) as watcher, psycopg.connect(old_database) as idle:
        # Only a snapshot, which does not stop ALTER TABLE.
        idle.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        idle.execute("SELECT 1")
        program = [sys.executable, "-m", "mediabucket_service.migrations"]
        migration = subprocess.Popen(program, env=environ | {"MEDIABUCKET_DATABASE_URL": old_database})
        try:
            eventually(lambda: indexes(old_database).get("media_files_completed_once") is False)
        finally:
            migration.send_signal(signal.SIGKILL)
            migration.wait()
        # The server notices a client that is gone only when it has something to tell it.
        watcher.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'CREATE UNIQUE INDEX CONCURRENTLY%'"
        )
    assert indexes(old_database)["media_files_completed_once"] is False, "what the interruption left"
    upgrade(old_database)
    assert indexes(old_database) == dict.fromkeys(INDEXES, True)
    command.check(configuration(old_database))


async def test_old_and_new_statements_work_on_the_new_schema(make_platform: MakePlatform) -> None:
    async with make_platform() as platform:
        url = platform.settings.database_url.get_secret_value()
        service = OldService(url, users=1)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            service.one_round(connection, f"user-{uuid4()}")
            media = await platform.user().upload(File(b"new" * 100))
            announced = File(b"new" * 100)
            [known] = connection.execute(
                INITIATE.encode(),
                {
                    "bucket": platform.connection.bucket,
                    "uploaded_by": "alice",
                    "checksum": bytes.fromhex(announced.sha256),
                    "media_id": uuid4(),
                },
            ).fetchall()
    assert (str(known["media_id"]), known["status"]) == (media["media_id"], "completed")
