"""The Python client, sync and async, against a served platform; both it and its store behind proxies with a script."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sample_files import dressed
from scripted_faults import Script
from served_api import served
from service_platform import Platform, running_platform
from upload_client import make_token

from mediabucket.client import AsyncClient, Client, Media, Outcome, Retry
from mediabucket_api.connection import StoreConnection
from mediabucket_cli.sandbox.proxy import ReverseProxy
from mediabucket_service.settings import Settings

MEBIBYTE = 1024**2
PART = 5 * MEBIBYTE
IN_PARTS = {"multipart": {"minBytes": PART, "partBytes": PART}}
# Half of each bound, and no test waits for minutes.
QUICK = Retry(first_seconds=0.02, longest_seconds=0.1, random=lambda: 0.5)


@dataclass
class World:
    """`api` and `store` are the scripts of what lies before them."""

    platform: Platform
    url: str
    api: Script
    store: Script

    def user(self, kind: str, name: str = "alice", **options: Any) -> "Either":
        return Either(kind, self.url, make_token(name), {"retry": QUICK} | options)


@dataclass
class Either:
    """A Client in a thread or an AsyncClient on this loop: the tests ask the same of both."""

    kind: str
    url: str
    token: str
    options: dict[str, Any] = field(default_factory=dict)

    async def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """What a method of the client returns, on a client of its own."""
        if self.kind == "async":
            async with AsyncClient(self.url, self.token, **self.options) as client:
                return await getattr(client, method)(*arguments, **named)
        return await asyncio.to_thread(self._call, method, *arguments, **named)

    async def upload(self, file: Any, **named: Any) -> Media:
        media: Media = await self.call("upload", file, **named)
        return media

    async def upload_many(self, files: Any, **named: Any) -> list[Outcome]:
        outcomes: list[Outcome] = await self.call("upload_many", files, **named)
        return outcomes

    def _call(self, method: str, *arguments: Any, **named: Any) -> Any:
        with Client(self.url, self.token, **self.options) as client:
            return getattr(client, method)(*arguments, **named)


MakeWorld = Callable[..., AbstractAsyncContextManager[World]]


@asynccontextmanager
async def running_world(
    store: StoreConnection, settings: Settings, bucket: str, *, store_port: int | None = None, **spec: Any
) -> AsyncIterator[World]:
    """`store_port`: what the proxy before the store passes requests on to, instead of the store itself."""
    api_script, store_script = Script(method="POST"), Script()
    target = store.endpoint if store_port is None else f"http://127.0.0.1:{store_port}"
    with ReverseProxy(target, middlewares=[store_script.middleware]) as before_store:
        connection = store.model_copy(update={"public_endpoint": before_store.url})
        async with running_platform(connection, settings, bucket, **spec) as platform, served(platform) as (host, port):
            before_api = ReverseProxy(f"http://{host}:{port}", middlewares=[api_script.middleware])
            with before_api:
                yield World(platform, before_api.url, api_script, store_script)


def picture(directory: Path, size: int = 1000, name: str = "picture.png", salt: bytes = b"salt") -> Path:
    """A file that begins as PNG pictures do."""
    return _written(directory / name, size, "image/png", salt)


def film(directory: Path, parts: int = 4, name: str = "film.mp4", salt: bytes = b"film") -> Path:
    """So many parts, the last of which has 100 bytes."""
    return _written(directory / name, (parts - 1) * PART + 100, "video/mp4", salt)


def _written(path: Path, size: int, mime_type: str, salt: bytes) -> Path:
    path.write_bytes(dressed((salt * (size // len(salt) + 1))[:size], mime_type))
    return path
