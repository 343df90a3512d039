"""Processor time of single requests inside the application: no socket, no server, no database.

`in_process.py [CALLS]`: for work on the hot path, where it shows within seconds what a layer costs.
"""

import asyncio
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from statistics import median
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import UUID

import uvloop
from cases import PAGE
from ceiling import EMPTY_PATH, empty
from generators import CONNECTIONS, MARK
from peers import MANIFEST
from pydantic import SecretStr
from seeding import announcement
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Scope

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.manifest import load_manifest
from mediabucket_cli.token import make_token
from mediabucket_service.app import build_services, create_app, open_storage, token_verifier
from mediabucket_service.logs import LogFormat, LogLevel, set_up_logging
from mediabucket_service.media.models import MediaFile
from mediabucket_service.metrics import Metrics
from mediabucket_service.settings import Settings

_CALLS: Final = 2000
_ROUNDS: Final = 9
_SECRET: Final = "in-process-" * 4
_USER: Final = "writer"
_INITIATE: Final = "/api/media/upload/initiate"
_LIST: Final = "/api/media"

Call = tuple[Scope, bytes]


class Echo:
    """Stands in for the database: announced files come back as the rows that they would be, lists are full."""

    async def fetch_all(self, _: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "files" not in parameters:
            return [_listed(number) for number in range(PAGE)]
        fixed = {"status": "pending", "upload_id": None, "part_size": None}
        return [
            file | {"media_id": UUID(file["media_id"]), "checksum": bytes.fromhex(file["checksum"][2:])} | fixed
            for file in json.loads(parameters["files"])
        ]


def _listed(number: int) -> dict[str, Any]:
    now, path = datetime.now(UTC), f"uploads/2026/11/{_USER}/{UUID(int=number)}.png"
    row: dict[str, Any] = {field.name: None for field in fields(MediaFile)}
    return row | {
        "media_id": UUID(int=number),
        "bucket": "bench",
        "uploaded_by": _USER,
        "file_name": "picture.png",
        "file_path": path,
        "media_type": "image",
        "file_size": 4096,
        "mime_type": "image/png",
        "checksum": bytes(32),
        "status": "completed",
        "uploaded_at": now,
        "confirmed_at": now,
        "expires_at": now,
        "client_metadata": {},
    }


async def main(calls: int) -> None:
    settings = Settings(database_url=SecretStr("postgresql://127.0.0.1:1/none"), jwt_secret=SecretStr(_SECRET))
    connection = _connection()
    with tempfile.TemporaryFile("w") as log:
        set_up_logging(LogFormat.JSON, LogLevel.INFO, log)
        app = create_app(settings, connection)
        app.add_route(EMPTY_PATH, empty)
        async with open_storage(settings, connection) as storage:
            echoing = cast(Any, SimpleNamespace(database=Echo(), objects=storage.objects, documents=None))
            verifier = token_verifier(settings, connection)
            app.state.services, _ = build_services(settings, connection, echoing, Metrics(), verifier)
            await _measure(app, make_token(_SECRET, _USER, connection.spec.service.auth), calls)


async def _measure(app: ASGIApp, token: str, calls: int) -> None:
    bare = Starlette()
    bare.add_route(EMPTY_PATH, empty)
    nothing = [_call("GET", EMPTY_PATH, token)] * calls
    cases: dict[str, tuple[ASGIApp, Sequence[Call]]] = {
        "empty route, bare Starlette": (bare, nothing),
        "empty route": (app, nothing),
        "initiate": (app, [_initiate(number, token) for number in range(calls)]),
        f"list {PAGE}": (app, [_call("GET", _LIST, token)] * max(CONNECTIONS, calls // PAGE)),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(_ROUNDS):
        for name, (application, wanted) in cases.items():
            found[name].append(await _microseconds(application, wanted))
    for name, each in found.items():
        sys.stdout.write(f"{name:28} median {median(each):7.1f} µs, lowest {min(each):7.1f} µs\n")


async def _microseconds(app: ASGIApp, calls: Sequence[Call]) -> float:
    """Of processor time for each call, CONNECTIONS at once as under load."""
    started = time.process_time()
    for first in range(0, len(calls), CONNECTIONS):
        await asyncio.gather(*(_answered(app, *call) for call in calls[first : first + CONNECTIONS]))
    return (time.process_time() - started) / len(calls) * 1e6


async def _answered(app: ASGIApp, scope: Scope, body: bytes) -> None:
    """Raises RuntimeError for an answer that is no 200."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app({**scope, "state": {}}, receive, send)
    if statuses != [200]:
        raise RuntimeError(f"{scope['path']} answered {statuses}")


def _initiate(number: int, token: str) -> Call:
    checksum = hashlib.sha256(str(number).encode()).hexdigest()
    return _call("POST", _INITIATE, token, json.dumps(announcement(MARK)).replace(MARK, checksum).encode())


def _call(method: str, path: str, token: str, body: bytes = b"") -> Call:
    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {token}".encode())]
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }, body


def _connection() -> BucketConnection:
    [resource] = load_manifest(MANIFEST).media_buckets
    store = StoreConnection(
        endpoint="http://127.0.0.1:8333",
        public_endpoint="http://127.0.0.1:8333",
        region="us-east-1",
        access_key_id="bench",
        secret_access_key=SecretStr("not a secret"),
    )
    return BucketConnection(store=store, bucket="bench", spec=resource.spec)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else _CALLS))
