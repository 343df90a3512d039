"""An HTTP proxy in front of a store that fails on command, once for each fault, and counts what is asked.

It passes requests on byte for byte, the Host header included, so that URLs are signed for the proxy.
"""

import asyncio
import contextlib
import re
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_CHUNK: Final = 65_536
_HEAD_LIMIT: Final = 65_536
_PART: Final = re.compile(r"[?&]partNumber=(\d+)")


@dataclass(frozen=True)
class CutAfter:
    """The connection breaks when so many bytes of the body have passed."""

    body_bytes: int


@dataclass(frozen=True)
class CutAnswer:
    """The store gets the whole request; the connection breaks before its answer."""


@dataclass(frozen=True)
class Refuse:
    """Answered by the proxy, when it has read the body and waited."""

    status: int
    code: str = "SomeCode"
    retry_after: int | None = None
    after_seconds: float = 0.0


@dataclass(frozen=True)
class Delay:
    """The request reaches the store so much later."""

    seconds: float


@dataclass(frozen=True)
class Hold:
    """Nobody ever answers."""


@dataclass(frozen=True)
class Stall:
    """The connection stays, and nobody takes a byte of the body."""


Fault = CutAfter | CutAnswer | Refuse | Delay | Hold | Stall


@dataclass
class Asked:
    """A request and how it ended: the status that the client was sent, None while it waits or when it was cut off.

    `hung_up_at`: when its client closed a connection that was held, on the clock `time.monotonic`.
    """

    method: str
    target: str
    status: int | None = None
    hung_up_at: float | None = None

    @property
    def part(self) -> int | None:
        """The number of the part that is sent."""
        found = _PART.search(self.target)
        return int(found[1]) if found else None


@dataclass
class FaultyStore:
    """`faults` are taken in turn, one for each request with this method; afterwards everything passes."""

    port: int
    target: tuple[str, int]
    method: str = "PUT"
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[Asked] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def statuses(self) -> list[int | None]:
        """How all PUTs were answered, in the order in which they began."""
        return [asked.status for asked in self.requests if asked.method == "PUT"]

    def parts(self) -> list[int | None]:
        """The numbers of the parts that the store has taken."""
        return [asked.part for asked in self.requests if asked.status == 200]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            asked = Asked(method, target)
            self.requests.append(asked)
            fault = self.faults.popleft() if method == self.method and self.faults else None
            await self._answer(asked, fault, head, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _answer(
        self, asked: Asked, fault: Fault | None, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        length = _content_length(head)
        match fault:
            case Refuse():
                await reader.readexactly(length)
                await asyncio.sleep(fault.after_seconds)
                asked.status = fault.status
                writer.write(_refusal(fault))
                await writer.drain()
            case Hold():
                await reader.read()
                asked.hung_up_at = time.monotonic()
            case Stall():
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.Event().wait()
            case CutAfter():
                await reader.readexactly(min(length, fault.body_bytes))
                writer.transport.abort()
            case _:
                await asyncio.sleep(fault.seconds if isinstance(fault, Delay) else 0)
                answer = await self._passed(head, length, reader)
                if isinstance(fault, CutAnswer):
                    writer.transport.abort()
                    return
                asked.status = int(answer.split(b" ", 2)[1])
                writer.write(answer)
                await writer.drain()

    async def _passed(self, head: bytes, length: int, reader: asyncio.StreamReader) -> bytes:
        """The store's answer, which ends with the connection."""
        upstream, sink = await asyncio.open_connection(*self.target)
        try:
            lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"connection:")]
            sink.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
            while length > 0:
                chunk = await reader.read(min(_CHUNK, length))
                if not chunk:
                    raise ConnectionResetError("the client went away")
                length -= len(chunk)
                sink.write(chunk)
                await sink.drain()
            return await upstream.read()
        finally:
            sink.close()


def _content_length(head: bytes) -> int:
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0


def _refusal(fault: Refuse) -> bytes:
    body = f'<?xml version="1.0"?><Error><Code>{fault.code}</Code><Message>as the test says</Message></Error>'
    lines = [f"HTTP/1.1 {fault.status} Refused", "Content-Type: application/xml", f"Content-Length: {len(body)}"]
    if fault.retry_after is not None:
        lines.append(f"Retry-After: {fault.retry_after}")
    return "\r\n".join([*lines, "Connection: close", "", body]).encode()


@asynccontextmanager
async def faulty_store(endpoint: str, method: str = "PUT") -> AsyncIterator[FaultyStore]:
    """A proxy on a free port in front of the server at this endpoint; faults meet requests with this method."""
    parts = urlsplit(endpoint)
    proxy = FaultyStore(0, (parts.hostname or "127.0.0.1", parts.port or 80), method)
    running: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, limit=_HEAD_LIMIT)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*running, return_exceptions=True)
