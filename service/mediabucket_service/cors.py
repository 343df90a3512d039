"""The API answers the same origins that the bucket does: both follow from `spec.cors`."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediabucket_api.spec import Cors

EXPOSED_HEADERS: Final = ("Retry-After",)
_ORIGIN: Final = b"origin"
_VARY: Final = b"vary"
# Pages that call are few; whoever sends other origins pushes them out, which costs a regular expression.
_ORIGINS: Final = 256


def origin_pattern(origins: Iterable[str]) -> str:
    """A regular expression for S3's origin patterns, in which `*` stands for any characters."""
    return "|".join(re.escape(origin).replace(r"\*", ".*") for origin in origins)


class CrossOrigin:
    """Starlette's CORSMiddleware for preflights; for all else its very headers, without its work for each answer."""

    def __init__(self, app: ASGIApp, cors: Cors) -> None:
        self._app = app
        pattern = origin_pattern(cors.allowed_origins)
        self._preflights = CORSMiddleware(
            app,
            allow_origin_regex=pattern,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=EXPOSED_HEADERS,
            max_age=cors.max_age_seconds,
        )
        self._is_allowed = re.compile(pattern).fullmatch
        self._headers_for = lru_cache(maxsize=_ORIGINS)(self._told)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            await self._preflights(scope, receive, send)
            return
        told = self._headers_for(next((value for name, value in scope["headers"] if name == _ORIGIN), None))

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *told]
            await send(message)

        await self._app(scope, receive, send_told)

    def _told(self, origin: bytes | None) -> tuple[tuple[bytes, bytes], ...]:
        """An answer without an Origin says as well that it depends on it: a cache must not give it to a page."""
        vary = (_VARY, b"Origin")
        if origin is None:
            return (vary,)
        exposed = (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode())
        if self._is_allowed(origin.decode("latin-1")) is None:
            return (exposed, vary)
        return (exposed, (b"access-control-allow-origin", origin), vary)


def allow_origins(app: FastAPI, cors: Cors) -> None:
    """Let pages of the manifest's origins call the API; none when it names none."""
    if cors.allowed_origins:
        app.add_middleware(CrossOrigin, cors=cors)
