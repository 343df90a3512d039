"""PostgreSQL: one pool of autocommit connections.

Statements run as raw SQL: SQLModel describes the tables, but its session costs half of the requests a second
that the hot path can serve (1,103 against 2,144 initiates a second, measured on two cores).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, Self, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from mediabucket_service.database_outages import Patience, hung_up, severed_after
from mediabucket_service.tracing import child_span, statement_name

Connection: TypeAlias = AsyncConnection[DictRow]

MAX_WAITING = 1000
# Beyond the timeout that the server itself is asked to keep: a server that is alive answers before it is cut off.
GRACE_SECONDS = 0.5
# How long a request waits for a connection while nothing suggests that there will be one: each looks anew.
PROBE_SECONDS = 1.0


class PoolCounts(NamedTuple):
    """Connections that are in use or being opened, that are idle, and that there may be in all."""

    in_use: int
    idle: int
    size: int


class Database:
    """A pool that opens in the background: a service may start while its database is down.

    Whoever uses a connection has it for `timeout_seconds` and a little: then it is cut, whatever the server does.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int,
        timeout_seconds: float,
        max_waiting: int = MAX_WAITING,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`url` is a libpq URL; `timeout_seconds` bounds the wait for a connection, each statement, and both together.

        At most `max_waiting` wait for a connection; more are refused at once. `waited` is told how many seconds each
        wait took, in vain or not.
        """
        self._waited = waited
        self._timeout = timeout_seconds
        self._url = url
        self._pool_size = pool_size
        self._patience = Patience()
        self._returning: set[asyncio.Future[None]] = set()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=AsyncConnection[DictRow],
            min_size=1,
            max_size=pool_size,
            max_waiting=max_waiting,
            timeout=timeout_seconds,
            # Its pauses double, up to minutes; requests that want a connection make it try again at once.
            reconnect_timeout=PROBE_SECONDS,
            open=False,
            kwargs=_connection_options(url, timeout_seconds),
        )

    async def __aenter__(self) -> Self:
        await self._pool.open(wait=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()
        await asyncio.gather(*self._returning)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """An autocommit connection, not to be kept for longer than `timeout_seconds`.

        Raises psycopg.OperationalError: PoolTimeout and TooManyRequests when none is free, DatabaseSilent when the
        server did not answer on it.
        """
        deadline = time.monotonic() + self._timeout + GRACE_SECONDS
        with self._patience.attempt() as expectant:
            started = time.monotonic()
            try:
                connection = await self._checked_out(self._timeout if expectant else min(PROBE_SECONDS, self._timeout))
            finally:
                self._waited(time.monotonic() - started)
            try:
                async with connection:
                    with severed_after(connection, deadline - time.monotonic()):
                        yield connection
            finally:
                await self._pool.putconn(connection)

    async def _checked_out(self, seconds: float) -> Connection:
        """A connection that the server has not hung up on. Raises PoolTimeout, TooManyRequests."""
        deadline = time.monotonic() + seconds
        # After a restart all of them may be dead.
        for _ in range(self._pool_size + 1):
            connection = await self._uncancelled(self._pool.getconn(timeout=deadline - time.monotonic()))
            if not hung_up(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)
        raise PoolTimeout("the database hangs up on every connection")

    async def _uncancelled(self, asking: Coroutine[Any, Any, Connection]) -> Connection:
        """What the pool answers. Whoever stops waiting leaves the connection to the pool, not the pool in the middle.

        psycopg_pool loses a connection that it hands over to a waiter who is cancelled in that moment (Python 3.11's
        asyncio.wait_for): after pool_size such moments nobody would ever get one.
        """
        task = asyncio.ensure_future(asking)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            returning = asyncio.ensure_future(self._given_back(task))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            raise

    async def _given_back(self, asking: "asyncio.Future[Connection]") -> None:
        with suppress(psycopg.Error):
            await self._pool.putconn(await asking)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction: committed at the end, rolled back on an exception."""
        with child_span("db.transaction"):
            async with self.connection() as connection, connection.transaction():
                yield connection

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[bool]:
        """Whether nobody else has the lock of this name; it is then ours for the block, which may take minutes.

        It is held by a connection outside of the pool, which is not cut and goes with the process. Should the server
        or anything before it end that connection earlier, then another may get the lock meanwhile.
        Raises psycopg.OperationalError.
        """
        options = _connection_options(self._url, self._timeout)
        connection = await AsyncConnection[DictRow].connect(self._url, **options)
        try:
            with severed_after(connection, self._timeout + GRACE_SECONDS):
                # Of a transaction, not of the session: something that shares out sessions among clients would keep it.
                await connection.execute("BEGIN")
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                query = "SELECT pg_try_advisory_xact_lock(hashtextextended(%(name)s, 0)) AS ours"
                row = await (await connection.execute(query, {"name": name})).fetchone()
            yield row is not None and row["ours"]
        finally:
            # Without a last word to a server that may not answer: it rolls back what held the lock.
            await connection.close()

    async def fetch_one(self, query: str, parameters: dict[str, Any]) -> DictRow | None:
        """The first row of one statement, or None."""
        with child_span(statement_name(query)):
            async with self.connection() as connection:
                cursor = await connection.execute(query.encode(), parameters)
                return await cursor.fetchone()

    async def fetch_all(self, query: str, parameters: dict[str, Any]) -> list[DictRow]:
        """All rows of one statement."""
        with child_span(statement_name(query)):
            async with self.connection() as connection:
                cursor = await connection.execute(query.encode(), parameters)
                return await cursor.fetchall()

    async def execute(self, query: str, parameters: dict[str, Any]) -> int:
        """Run one statement; answers how many rows it touched."""
        with child_span(statement_name(query)):
            async with self.connection() as connection:
                cursor = await connection.execute(query.encode(), parameters)
                return cursor.rowcount

    def pool_counts(self) -> PoolCounts:
        stats = self._pool.get_stats()
        idle = stats["pool_available"]
        return PoolCounts(in_use=stats["pool_size"] - idle, idle=idle, size=self._pool_size)

    async def check(self) -> None:
        """Raise what the database raises when it cannot answer."""
        await self.fetch_one("SELECT 1 AS alive", {})


def _connection_options(url: str, timeout_seconds: float) -> dict[str, Any]:
    """What the URL says about dead peers counts; the rest is ours.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
    """
    dead_peers = {
        "connect_timeout": max(2, int(timeout_seconds)),
        # A connection that is only kept: 10 s + 3 x 5 s, where Linux would take over two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # One that has sent something: milliseconds until the network has to have taken it.
        "tcp_user_timeout": int(timeout_seconds * 1000),
    }
    named = conninfo_to_dict(url)
    milliseconds = int(timeout_seconds * 1000)
    # A process that was frozen, or whose machine is gone, must not keep what its transactions have locked: a living one
    # would have cut the connection by then.
    limits = f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}"
    # Whatever the database's default is: a statement must see what others committed while it waited for a lock.
    isolation = "-c default_transaction_isolation=read\\ committed"
    return {
        **{name: value for name, value in dead_peers.items() if name not in named},
        "autocommit": True,
        "row_factory": dict_row,
        "options": f"{limits} {isolation}",
    }
