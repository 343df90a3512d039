"""Faults as aiohttp middlewares, for a ReverseProxy."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from mediabucket_cli.sandbox.hardships import Fate
from mediabucket_cli.sandbox.proxy import broken

_CHUNK_BYTES: Final = 65_536


def delayed(seconds: float) -> Middleware:
    """Each request waits before it is passed on."""

    @web.middleware
    async def delay(request: web.Request, handler: Handler) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await handler(request)

    return delay


def failing_puts(next_fate: Callable[[], Fate]) -> Middleware:
    """`next_fate` is asked for each PUT."""

    @web.middleware
    async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
        fate = next_fate() if request.method == "PUT" else Fate.PASSES
        if fate == Fate.CUT:
            return await cut(request, (request.content_length or 0) // 2)
        if fate == Fate.REFUSED:
            return await refused(request, 503, "SlowDown", "failed on purpose: mediabucket dev --fail-puts")
        return await handler(request)

    return fail


async def refused(
    request: web.Request, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer in the store's place, once the body is read.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    async for _ in request.content.iter_chunked(_CHUNK_BYTES):
        pass
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    # Without it a page is told of a broken connection instead of the status.
    allowed = {"Access-Control-Allow-Origin": "*"} if "Origin" in request.headers else {}
    return web.Response(
        status=status, text=text, content_type="application/xml", headers={**allowed, **(headers or {})}
    )


async def cut(request: web.Request, after_bytes: int) -> web.Response:
    """The connection breaks when so many bytes of the body are read. Nothing of it is passed on."""
    unread = after_bytes
    while unread > 0 and (chunk := await request.content.read(min(unread, _CHUNK_BYTES))):
        unread -= len(chunk)
    return broken(request)
