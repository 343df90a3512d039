"""Who waits for the database, for how long, and on which connections."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg_pool import PoolTimeout, TooManyRequests
from tcp_proxy import TcpProxy

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_service.database import GRACE_SECONDS, Database
from mediabucket_service.database_outages import PROBES, DatabaseSilent, Patience

ALL_OTHERS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s"
)


@asynccontextmanager
async def connected(
    url: str, *, timeout_seconds: float = 1.0, pool_size: int = 4, max_waiting: int = 100
) -> AsyncIterator[Database]:
    options = {"timeout_seconds": timeout_seconds, "pool_size": pool_size, "max_waiting": max_waiting}
    async with Database(url, **options) as database:  # type: ignore[arg-type]
        await filled(database, pool_size)
        yield database


async def filled(database: Database, pool_size: int) -> None:
    """Let the pool grow to its size."""
    for _ in range(20):
        await asyncio.gather(*(database.fetch_one("SELECT pg_sleep(0.05) AS n", {}) for _ in range(pool_size * 2)))
        if database._pool.get_stats()["pool_size"] == pool_size:
            return
    raise AssertionError(database._pool.get_stats())


async def test_connections_that_were_ended_while_idle_cost_no_request(database_url: str) -> None:
    async with connected(database_url) as database:
        with psycopg.connect(database_url, autocommit=True) as killer:
            name = killer.info.dbname
            assert len(killer.execute(ALL_OTHERS, [name]).fetchall()) == 4
        answers = [await database.fetch_one("SELECT 1 AS n", {}) for _ in range(8)]
        assert answers == [{"n": 1}] * 8


async def test_connections_that_went_silent_are_replaced(postgres: Postgres, database_url: str) -> None:
    """The network forgot them; new ones work."""
    port = postgres.ports["port"]
    with TcpProxy(port) as proxy:
        async with connected(database_url.replace(f":{port}/", f":{proxy.port}/")) as database:
            proxy.freeze_existing()
            started = time.monotonic()
            first = await asyncio.gather(
                *(database.fetch_one("SELECT 1 AS n", {}) for _ in range(4)), return_exceptions=True
            )
            assert {type(answer) for answer in first} == {DatabaseSilent}
            assert 1 < time.monotonic() - started < 1 + GRACE_SECONDS + 4
            assert await database.fetch_one("SELECT 1 AS n", {}) == {"n": 1}


LOCK = b"SELECT pg_try_advisory_xact_lock(7) AS ours"


async def frozen_half_way(database: Database, proxy: TcpProxy) -> None:
    async with database.transaction() as connection:
        await connection.execute(LOCK)
        proxy.freeze()
        await connection.execute(b"SELECT 1")


async def test_a_silent_server_cannot_hold_a_transaction(postgres: Postgres, database_url: str) -> None:
    port = postgres.ports["port"]
    with TcpProxy(port) as proxy:
        async with connected(database_url.replace(f":{port}/", f":{proxy.port}/")) as database:
            started = time.monotonic()
            with pytest.raises(DatabaseSilent):
                await frozen_half_way(database, proxy)
            assert time.monotonic() - started < 1 + GRACE_SECONDS + 4
            proxy.thaw()
            assert await database.fetch_one("SELECT 1 AS n", {}) == {"n": 1}


async def test_what_a_frozen_client_has_locked_is_free_again(postgres: Postgres, database_url: str) -> None:
    """As one whose machine has lost its power: its connections are never closed."""
    port = postgres.ports["port"]
    with TcpProxy(port) as proxy:
        async with connected(database_url.replace(f":{port}/", f":{proxy.port}/")) as database:
            with pytest.raises(DatabaseSilent):
                await frozen_half_way(database, proxy)
            async with (
                await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
                asyncio.timeout(5),
            ):
                while await (await other.execute(LOCK)).fetchone() == (False,):
                    await asyncio.sleep(0.05)
            proxy.thaw()


async def test_a_database_with_another_isolation_is_used_with_ours(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {owner.info.dbname} SET default_transaction_isolation = 'serializable'")
    with psycopg.connect(database_url) as theirs:
        assert theirs.execute("SHOW transaction_isolation").fetchone() == ("serializable",)
    async with connected(database_url) as database, database.transaction() as connection:
        shown = await (await connection.execute(b"SHOW transaction_isolation")).fetchone()
        assert shown == {"transaction_isolation": "read committed"}


async def test_a_statement_that_takes_too_long_is_ended_by_a_server_that_is_alive(database_url: str) -> None:
    async with connected(database_url, timeout_seconds=1.5) as database:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await database.fetch_one("SELECT pg_sleep(30) AS n", {})
        assert await database.fetch_one("SELECT 1 AS n", {}) == {"n": 1}
        assert database._pool.get_stats().get("connections_lost", 0) == 0


async def test_no_more_than_the_limit_wait(database_url: str) -> None:
    async with connected(database_url, pool_size=1, max_waiting=3, timeout_seconds=20) as database:
        async with database.connection():
            waiting = [asyncio.create_task(database.fetch_one("SELECT 1 AS n", {})) for _ in range(10)]
            async with asyncio.timeout(10):
                while sum(task.done() for task in waiting) < 7:
                    await asyncio.sleep(0.01)
            done, _ = await asyncio.wait(waiting, timeout=0.2)
            assert [type(task.exception()) for task in done] == [TooManyRequests] * 7
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [result for result in results if not isinstance(result, Exception)] == [{"n": 1}] * 3


async def test_who_stops_waiting_takes_no_connection_along(database_url: str) -> None:
    """Callers are cancelled in the moments in which connections change hands; none is lost, however slow they are."""
    chance = random.Random(4)
    async with connected(database_url, timeout_seconds=30) as database:

        async def ask_and_leave() -> None:
            asking = asyncio.create_task(database.fetch_one("SELECT pg_sleep(0.001)::text AS n", {}))
            await asyncio.sleep(chance.uniform(0, 0.02))
            asking.cancel()
            answers = await asyncio.gather(database.fetch_one("SELECT 1 AS n", {}), asking, return_exceptions=True)
            assert answers[0] == {"n": 1}

        for _ in range(60):
            await asyncio.gather(*(ask_and_leave() for _ in range(24)))
        for _ in range(100):
            if (stats := database._pool.get_stats())["pool_available"] == 4:
                break
            await asyncio.sleep(0.02)
        assert stats["pool_available"] == 4


def attempt(patience: Patience, error: Exception | None = None) -> bool:
    with patience.attempt() as expectant:
        if error is not None:
            raise error
        return expectant


@pytest.mark.parametrize("error", [PoolTimeout("late"), DatabaseSilent("late")])
def test_after_one_that_waited_in_vain_a_few_find_out(error: Exception) -> None:
    patience = Patience()
    assert attempt(patience)
    with pytest.raises(type(error)):
        attempt(patience, error)
    probes = [patience.attempt() for _ in range(PROBES)]
    assert [probe.__enter__() for probe in probes] == [False] * PROBES
    with pytest.raises(DatabaseSilent, match="last requests"):
        attempt(patience)
    for probe in probes:
        probe.__exit__(None, None, None)
    assert attempt(patience), "one answer is enough"


@pytest.mark.parametrize(
    ("error", "back"),
    [
        (psycopg.errors.UniqueViolation("an answer"), True),
        (psycopg.OperationalError("the connection broke"), False),
        (RuntimeError("says nothing of the database"), False),
    ],
)
def test_an_error_that_is_an_answer_ends_the_suspicion(error: Exception, back: bool) -> None:
    patience = Patience()
    with pytest.raises(PoolTimeout):
        attempt(patience, PoolTimeout("late"))
    with pytest.raises(type(error)):
        attempt(patience, error)
    assert attempt(patience) is back
