"""The JavaScript client at `/client/`: `import { createClient } from "<service>/client/mediabucket.js"`.

Its modules import each other, so that a page must never get some of one version and some of another: they are kept by
caches and asked for again each time, by an ETag that follows from the bytes and is the same on every replica.
https://www.rfc-editor.org/rfc/rfc9110#field.etag
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response, status

from mediabucket_service.problems import RouteNotFound

MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class ClientFile:
    """A file as it is served; `etag` with its quotes."""

    content: bytes
    media_type: str
    etag: str


@cache
def client_files() -> dict[str, ClientFile]:
    """The files of the client by their names, read once."""
    return dict(_read())


def _read() -> Iterator[tuple[str, ClientFile]]:
    for file in (files("mediabucket_service") / "web" / "client").iterdir():
        media_type = next((told for ending, told in MEDIA_TYPES.items() if file.name.endswith(ending)), None)
        if media_type is not None:
            content = file.read_bytes()
            yield file.name, ClientFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


@router.api_route("/client/{name}", methods=["GET", "HEAD"])
async def client_file(name: str, if_none_match: Annotated[str, Header()] = "") -> Response:
    """One file of the client; 304 for those who have it."""
    file = client_files().get(name)
    if file is None:
        raise RouteNotFound("there is nothing at this address")
    headers = {"ETag": file.etag, "Cache-Control": "public, no-cache"}
    if is_known(file.etag, if_none_match):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def is_known(etag: str, if_none_match: str) -> bool:
    """Whether If-None-Match names this ETag, be it as a weak one, as a proxy that compresses makes it."""
    told = [entry.strip().removeprefix("W/") for entry in if_none_match.split(",")]
    return etag in told or "*" in told
