"""A TCP proxy that fails on command: it freezes, delays, refuses, loses answers, or answers in the store's place."""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from mediabucket_cli.embedded.ports import LOOPBACK

_CHUNK: Final = 65_536
_LOOK_SECONDS: Final = 0.05
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_REQUEST: Final = re.compile(rb"(GET|HEAD|PUT|POST|DELETE|OPTIONS) \S+ HTTP/1\.1\r\n")


@dataclass(frozen=True)
class Refusal:
    """An answer in the store's place."""

    status: str
    code: str
    message: str

    def as_http(self, *, with_body: bool) -> bytes:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{self.message}</Message><RequestId>0</RequestId></Error>"
        )
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        return f"{head}Connection: close\r\n\r\n{body if with_body else ''}".encode()


# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_SLOW_DOWN: Final = Refusal("503 Service Unavailable", "SlowDown", "Please reduce your request rate.")


@dataclass(eq=False)
class _Connection:
    """Both sides of one connection. `asked`: the client has said something since the last answer began.

    `cut_after`: how many more bytes of answers pass before the connection breaks.
    """

    client: asyncio.StreamWriter
    upstream: asyncio.StreamWriter
    frozen: bool = False
    asked: bool = False
    cut_after: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def abort(self) -> None:
        self.client.transport.abort()
        self.upstream.transport.abort()
        self.ended.set()


class TcpProxy:
    """Use as a context. Its switches may be turned from any thread, while connections are open.

    Set `delay_seconds` for a wait before every answer, and `fails_every_second` to have every second HTTP request
    answered with 503 SlowDown. `passed` and `failed` count HTTP requests while that switch is on. Set `writes_refused`
    for an answer to every PUT and POST.
    """

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self.delay_seconds = 0.0
        self.fails_every_second = False
        self.writes_refused: Refusal | None = None
        self.cuts = 0
        self.held = 0
        self.passed = 0
        self.failed = 0
        self.port = 0
        self._target = (host, port)
        self._frozen = False
        self._to_cut: re.Pattern[bytes] | None = None
        self._cut_after = 0
        self._holds_body_only = False
        self._to_hold: re.Pattern[bytes] | None = None
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="tcp-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def cut_answer(self, request: bytes, after_bytes: int = 0) -> None:
        """Break the connection of the next request with these words (a pattern): once it has been passed on, and so
        many bytes of what the server then says. `cuts` counts.
        """
        self._cut_after = after_bytes
        self._to_cut = re.compile(request)

    def hold_back(self, request: bytes, *, body_only: bool) -> None:
        """Keep the next request with these words (a pattern), or its body, from the server until `let_pass`. Whatever
        becomes of the client meanwhile, who is never answered. `held` counts.
        """
        self._holds_body_only = body_only
        self._to_hold = re.compile(request)

    def let_pass(self) -> None:
        """What `hold_back` holds reaches the server."""
        self._loop.call_soon_threadsafe(self._passes.set)

    def freeze(self) -> None:
        """All connections stay open and new ones are accepted, but nothing passes."""
        self._frozen = True

    def freeze_existing(self) -> None:
        """Nothing passes on the connections that are open now; new ones work."""
        self._call(self._freeze_existing())

    def thaw(self) -> None:
        """What was held back passes."""
        self._frozen = False
        self._call(self._thaw_existing())

    def refuse(self) -> None:
        """End all connections, and refuse new ones until `accept`. The port stays ours."""
        self._call(self._refuse())

    def accept(self) -> None:
        self._call(self._accept())

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._passes = asyncio.Event()
        self._socket = _bound(0)
        self.port = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None
        await self._accept()
        self._ready.set()
        await self._stopped.wait()
        await self._refuse()
        self._socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _freeze_existing(self) -> None:
        for connection in self._connections:
            connection.frozen = True

    async def _thaw_existing(self) -> None:
        for connection in self._connections:
            connection.frozen = False

    async def _accept(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._begin, sock=self._socket)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            # Bound and not listening: who connects is refused, and nobody else gets the port.
            self._socket = _bound(self.port)
        for connection in list(self._connections):
            connection.abort()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Accepted before the end, and told of after it.
        if self._stopped.is_set():
            writer.transport.abort()
            return
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)

        def end(_: object) -> None:
            self._tasks.discard(task)
            # A task that is cancelled before it has begun closes nothing.
            if not writer.is_closing():
                writer.transport.abort()

        task.add_done_callback(end)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            return
        connection = _Connection(writer, upstream_writer)
        self._connections.add(connection)
        relays = [
            self._loop.create_task(self._requests(connection, reader)),
            self._loop.create_task(self._answers(connection, upstream_reader)),
        ]
        try:
            await connection.ended.wait()
        finally:
            self._connections.discard(connection)
            # Before anything is waited for: this task may be cancelled there.
            writer.close()
            upstream_writer.close()
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)

    async def _requests(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await self._while_frozen(connection)
                if (refusal := self._refusal(chunk)) is not None:
                    await _refuse_request(connection.client, reader, refusal, chunk)
                    break
                if self._to_hold is not None and self._to_hold.search(chunk):
                    self._to_hold = None
                    self._keep(self._hold(await _whole(reader, chunk)))
                    continue
                connection.asked = True
                self._look_for_cut(connection, chunk)
                connection.upstream.write(chunk)
                await connection.upstream.drain()
            await self._while_frozen(connection)
        connection.ended.set()

    async def _answers(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if connection.asked:
                    connection.asked = False
                    await asyncio.sleep(self.delay_seconds)
                await self._while_frozen(connection)
                if connection.cut_after is not None and connection.cut_after < len(chunk):
                    self.cuts += 1
                    connection.abort()
                    break
                connection.cut_after = None if connection.cut_after is None else connection.cut_after - len(chunk)
                connection.client.write(chunk)
                await connection.client.drain()
            await self._while_frozen(connection)
        connection.ended.set()

    async def _while_frozen(self, connection: _Connection) -> None:
        while self._frozen or connection.frozen:
            await asyncio.sleep(_LOOK_SECONDS)

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hold(self, request: bytes) -> None:
        begin = request.index(b"\r\n\r\n") + 4 if self._holds_body_only else 0
        reader, writer = await asyncio.open_connection(*self._target)
        self._passes.clear()
        try:
            writer.write(request[:begin])
            await writer.drain()
            self.held += 1
            await self._passes.wait()
            writer.write(request[begin:])
            await reader.read(_CHUNK)
        finally:
            writer.close()

    def _look_for_cut(self, connection: _Connection, chunk: bytes) -> None:
        if self._to_cut is not None and self._to_cut.search(chunk):
            self._to_cut = None
            connection.cut_after = self._cut_after

    def _refusal(self, chunk: bytes) -> Refusal | None:
        """Clients wait for an answer before they ask again, so that each request begins a chunk."""
        if not _REQUEST.match(chunk):
            return None
        if self.writes_refused is not None and chunk.startswith((b"PUT ", b"POST ")):
            self.failed += 1
            return self.writes_refused
        if not self.fails_every_second:
            return None
        fails = self.failed < self.passed
        self.failed += fails
        self.passed += not fails
        return _SLOW_DOWN if fails else None


async def _whole(reader: asyncio.StreamReader, request: bytes) -> bytes:
    """The request to its end, of which this is the beginning."""
    while b"\r\n\r\n" not in request:
        request += await reader.read(_CHUNK)
    head, _, body = request.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    missing = int(length.group(1)) - len(body) if length else 0
    return request + (await reader.readexactly(missing) if missing > 0 else b"")


async def _refuse_request(
    writer: asyncio.StreamWriter, reader: asyncio.StreamReader, refusal: Refusal, request: bytes
) -> None:
    writer.write(refusal.as_http(with_body=not request.startswith(b"HEAD ")))
    await writer.drain()
    writer.write_eof()
    # A socket that is closed with unread data resets the connection, and the answer may be lost.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while await reader.read(_CHUNK):
                pass


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((LOOPBACK, port))
    bound.setblocking(False)
    return bound
