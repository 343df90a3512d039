"""Rows of a table of bad requests. `<name>` in a path, a body or a sentence stands for the id of a media."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from upload_client import File

INITIATE = "/api/media/upload/initiate"
SEND = "/api/messages/send"
MALFORMED = "malformed-request"
ANNOUNCEMENT = File(b"never uploaded").announcement()
MESSAGE = {"conversation_id": "bad-requests", "content": "hello"}
ABSENT = object()
"""The value of a field that is left out."""


STATUS_OF = {
    "malformed-request": 400,
    "file-too-large": 400,
    "type-not-allowed": 400,
    "unauthenticated": 401,
    "not-found": 404,
    "media-not-found": 404,
    "method-not-allowed": 405,
    "upload-missing": 409,
    "media-in-use": 409,
    "upload-expired": 410,
    "media-deleted": 410,
    "request-too-large": 413,
    "upload-mismatch": 422,
}


@dataclass(frozen=True)
class BadRequest:
    """One request, and the kind of problem and the sentence that it should be answered with."""

    name: str
    method: str
    path: str
    told: str
    slug: str = MALFORMED
    body: bytes | tuple[bytes, ...] | None = None
    headers: Mapping[str, bytes | None] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return STATUS_OF[self.slug]

    def naming(self, ids: Mapping[str, str]) -> Self:
        """The request with real ids."""
        path, told, body = self.path, self.told, self.body
        for name, media_id in ids.items():
            path, told = path.replace(f"<{name}>", media_id), told.replace(f"<{name}>", media_id)
            body = body.replace(f"<{name}>".encode(), media_id.encode()) if isinstance(body, bytes) else body
        return replace(self, path=path, told=told, body=body)

    def content(self) -> bytes | AsyncIterator[bytes] | None:
        """The body as httpx takes it: parts are sent without announcing their length."""
        return _stream(self.body) if isinstance(self.body, tuple) else self.body


def initiating(name: str, told: str, slug: str = MALFORMED, **changes: Any) -> BadRequest:
    """A good announcement but for these fields."""
    return posted(f"initiate: {name}", told, _changed(ANNOUNCEMENT, changes), slug)


def sending(name: str, told: str, slug: str = MALFORMED, **changes: Any) -> BadRequest:
    """A good message but for these fields."""
    return posted(f"send: {name}", told, _changed(MESSAGE, changes), slug, path=SEND)


def posted(
    name: str,
    told: str,
    body: bytes | tuple[bytes, ...],
    slug: str = MALFORMED,
    *,
    path: str = INITIATE,
    content_type: str | None = "application/json",
    **headers: str | None,
) -> BadRequest:
    """Any body; `headers` with `_` for `-`, None for a header that is left out."""
    sent = {name.replace("_", "-"): value for name, value in {"Content_Type": content_type, **headers}.items()}
    encoded = {name: None if value is None else value.encode() for name, value in sent.items()}
    return BadRequest(name, "POST", path, told, slug, body, encoded)


def asked(method: str, path: str, told: str, slug: str = MALFORMED) -> BadRequest:
    """A request without a body."""
    return BadRequest(f"{method} {path[:60]}", method, path, told, slug)


def with_token(name: str, told: str, authorization: str | bytes | None) -> BadRequest:
    """A request with this Authorization header, or none."""
    header = authorization.encode() if isinstance(authorization, str) else authorization
    return BadRequest(f"token: {name}", "GET", "/api/media", told, "unauthenticated", headers={"Authorization": header})


def _changed(body: Mapping[str, Any], changes: Mapping[str, Any]) -> bytes:
    merged = {**body, **changes}
    return json.dumps({name: value for name, value in merged.items() if value is not ABSENT}).encode()


async def _stream(parts: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
