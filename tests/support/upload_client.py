"""A chat app's front end in Python: what the tests do to the API, over HTTP and nothing else."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
from sample_files import dressed

JWT_SECRET = "a secret for tests that is long enough"


def make_token(user: str, secret: str = JWT_SECRET, **claims: Any) -> str:
    """A token as the chat app's login would give it."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + 3600} | claims, secret, algorithm="HS256")


@dataclass(frozen=True)
class File:
    """A file that a user wants to upload. Unless `as_is`, its content is made to begin as its type does."""

    content: bytes
    name: str = "picture.png"
    mime_type: str = "image/png"
    as_is: bool = False

    def __post_init__(self) -> None:
        if not self.as_is:
            object.__setattr__(self, "content", dressed(self.content, self.mime_type))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def announcement(self, **changes: Any) -> dict[str, Any]:
        """The body of initiate."""
        return {
            "file_name": self.name,
            "file_size": len(self.content),
            "mime_type": self.mime_type,
            "checksum": self.sha256,
        } | changes


@dataclass(frozen=True)
class UploadClient:
    """One user of the API."""

    http: httpx.AsyncClient
    store: httpx.AsyncClient
    user: str = "alice"
    secret: str = JWT_SECRET

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_token(self.user, self.secret)}"}

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Any call, as this user."""
        return await self.http.request(method, path, json=body, headers=self.headers, **options)

    async def initiate(self, file: File, **changes: Any) -> httpx.Response:
        return await self.call("POST", "/api/media/upload/initiate", file.announcement(**changes))

    async def put(
        self,
        ticket: dict[str, Any],
        content: bytes,
        headers: dict[str, str] | None = None,
        *,
        as_is: bool = False,
    ) -> httpx.Response:
        """PUT to the store, as the browser's fetch does: Content-Type and what the ticket says.

        Unless `as_is`, the content is made to begin as its type does, as that of a File is.
        """
        sent = content if as_is else dressed(content, ticket["headers"]["Content-Type"])
        return await self.store.put(ticket["upload_url"], content=sent, headers=headers or ticket["headers"])

    async def confirm(self, media_id: str) -> httpx.Response:
        return await self.call("POST", f"/api/media/{media_id}/confirm")

    async def get(self, media_id: str) -> httpx.Response:
        return await self.call("GET", f"/api/media/{media_id}")

    async def delete(self, media_id: str) -> httpx.Response:
        return await self.call("DELETE", f"/api/media/{media_id}")

    async def download(self, url: str) -> httpx.Response:
        return await self.store.get(url)

    async def send(self, **message: Any) -> httpx.Response:
        return await self.call("POST", "/api/messages/send", {"conversation_id": "general"} | message)

    async def begin(self, file: File) -> dict[str, Any]:
        """Initiate and PUT; answers the ticket."""
        answer = await self.initiate(file)
        assert answer.status_code == 200, answer.text
        ticket: dict[str, Any] = answer.json()
        stored = await self.put(ticket, file.content, as_is=True)
        assert stored.status_code == 200, stored.text
        return ticket

    async def upload(self, file: File) -> dict[str, Any]:
        """Initiate, PUT and confirm; answers the media."""
        ticket = await self.begin(file)
        answer = await self.confirm(ticket["media_id"])
        assert answer.status_code == 200, answer.text
        media: dict[str, Any] = answer.json()
        return media
