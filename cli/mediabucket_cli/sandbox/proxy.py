"""A reverse proxy on loopback, in a thread of its own; aiohttp middlewares decide what else befalls a request.

Requests and answers pass byte for byte and in pieces, the Host header included: what is signed for the proxy's address
stays signed.
"""

import asyncio
import socket
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Middleware
from multidict import CIMultiDict
from yarl import URL

from mediabucket_cli.embedded.ports import LOOPBACK, bound_socket
from mediabucket_cli.embedded.processes import ServerFailed

_CHUNK_BYTES: Final = 65_536
_STOP_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1
# RFC 9110 section 7.6.1: of a connection, not of a message.
_OF_A_CONNECTION: Final = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect")
)
# httpx and browsers send what they like; aiohttp must add nothing of its own.
_ADDED_BY_AIOHTTP: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class ReverseProxy:
    """Use it as a context, or `start` and `stop` it. `target` is a URL without a path."""

    def __init__(
        self,
        target: str,
        listener: socket.socket | None = None,
        *,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        """`listener` is a bound socket, any free loopback port when None."""
        self._target = target
        self._listener = listener or bound_socket()
        self._middlewares = middlewares
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="reverse-proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Returns once it serves. Raises ServerFailed."""
        self._thread.start()
        while not self._ready.wait(_POLL_SECONDS):
            if not self._thread.is_alive():
                raise ServerFailed(f"the proxy before {self._target} does not start: start the platform again")

    def stop(self) -> None:
        """End all connections; nothing happens the second time."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def _main(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(middlewares=self._middlewares)
        application.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=_STOP_SECONDS)
        # A connection of its own for each request: none that the other side has just closed is used again.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            auto_decompress=False,
            skip_auto_headers=_ADDED_BY_AIOHTTP,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as self._session:
            await runner.setup()
            await web.SockSite(runner, self._listener).start()
            self._ready.set()
            await self._stopped.wait()
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._passed(request)
        except (aiohttp.ClientError, OSError):
            return broken(request)

    async def _passed(self, request: web.Request) -> web.StreamResponse:
        url = URL(self._target + request.raw_path, encoded=True)
        body = request.content.iter_chunked(_CHUNK_BYTES) if request.body_exists else None
        headers = _of_the_message(request.headers)
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, reason=answer.reason, headers=_of_the_message(answer.headers)
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                await response.write(chunk)
            await response.write_eof()
            return response


def broken(request: web.Request) -> web.Response:
    """No answer is sent: the connection is gone."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def _of_the_message(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _OF_A_CONNECTION)
