"""A TCP proxy to a store that writes down every request as it passes: what was asked, never what was signed."""

import asyncio
import contextlib
import re
import threading
from collections import Counter
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from mediabucket_cli.embedded.ports import LOOPBACK

_REQUEST = re.compile(rb"(?:^|\r\n\r\n|\n)(GET|HEAD|PUT|POST|DELETE|OPTIONS) (\S+) HTTP/1\.1\r\n")
_ACTION = re.compile(rb"(?:^|&|\r\n\r\n)Action=([A-Za-z]+)")
_CHUNK = 65_536


class RecordingProxy:
    """`requests` counts by name: S3 requests by method and the part of the bucket they are about, IAM by action."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._target = (parts.hostname or LOOPBACK, parts.port or 80)
        self.requests: Counter[str] = Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.endpoint = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def writes(self) -> dict[str, int]:
        """All requests that change something."""
        return {name: count for name, count in self.requests.items() if not _is_read(name)}

    def _run(self) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, LOOPBACK, 0))
        self.endpoint = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        both = [self._relay(reader, upstream_writer, record=True), self._relay(upstream_reader, writer, record=False)]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*both)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, record: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if record:
                    self._record(chunk)
                writer.write(chunk)
                await writer.drain()
        writer.close()

    def _record(self, chunk: bytes) -> None:
        for method, target in _REQUEST.findall(chunk):
            path, _, query = target.decode().partition("?")
            about = query.partition("&")[0].partition("=")[0]
            if not (method == b"POST" and path == "/"):
                self.requests[f"{method.decode()} {about if about.islower() else ''}".rstrip()] += 1
        for action in _ACTION.findall(chunk):
            self.requests[f"IAM {action.decode()}"] += 1


def _is_read(name: str) -> bool:
    return name.startswith(("GET", "HEAD", "IAM Get", "IAM List"))
