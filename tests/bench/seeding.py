"""Files that were really uploaded: the start of confirm, list and messages."""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from generators import BenchmarkFailed
from yarl import URL

from mediabucket_cli.demo_story.files import png_chunk, png_of

FILE_BYTES: Final = 4096
_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Uploaded:
    """A file that a user has PUT, confirmed or not; `checksum` is its SHA-256, hexadecimal."""

    user: str
    token: str
    media_id: str
    checksum: str


def uploaded(api_url: str, tokens: Sequence[tuple[str, str]], *, confirmed: bool) -> list[Uploaded]:
    """Announce and PUT one new file for each (user, token). Raises BenchmarkFailed when anything is refused."""
    return asyncio.run(_all_uploaded(api_url, tokens, confirmed))


async def _all_uploaded(api_url: str, tokens: Sequence[tuple[str, str]], confirmed: bool) -> list[Uploaded]:
    room = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as http:

        async def one(user: str, token: str) -> Uploaded:
            async with room:
                return await _upload(http, api_url, user, token, confirmed)

        return await asyncio.gather(*(one(user, token) for user, token in tokens))


async def _upload(http: aiohttp.ClientSession, api_url: str, user: str, token: str, confirmed: bool) -> Uploaded:
    content = picture()
    checksum = hashlib.sha256(content).hexdigest()
    headers = {"Authorization": f"Bearer {token}"}
    async with http.post(
        f"{api_url}/api/media/upload/initiate", json=announcement(checksum, len(content)), headers=headers
    ) as answer:
        ticket = await _right(answer)
    # As it is: writing the URL anew would break its signature.
    url = URL(ticket["upload_url"], encoded=True)
    async with http.put(url, data=content, headers=ticket["headers"]) as stored:
        if stored.status != 200:
            raise BenchmarkFailed(f"the store refused a file: {stored.status} {await stored.text()}")
    if confirmed:
        async with http.post(f"{api_url}/api/media/{ticket['media_id']}/confirm", headers=headers) as answer:
            await _right(answer)
    return Uploaded(user, token, ticket["media_id"], checksum)


async def _right(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    if answer.status != 200:
        raise BenchmarkFailed(f"{answer.url} answered {answer.status}: {await answer.text()}")
    body: dict[str, Any] = await answer.json()
    return body


def announcement(checksum: str, size: int = FILE_BYTES) -> dict[str, object]:
    """The body of initiate."""
    return {"file_name": "picture.png", "file_size": size, "mime_type": "image/png", "checksum": checksum}


def picture() -> bytes:
    """FILE_BYTES of a PNG that nobody has uploaded: one grey pixel, and a chunk of chance that decoders skip."""
    grey = [b"\x80\x80\x80"]
    room = FILE_BYTES - len(png_of(grey, png_chunk(b"raNd", b"")))
    return png_of(grey, png_chunk(b"raNd", secrets.token_bytes(room)))
