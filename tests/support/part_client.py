"""What a client does that uploads a large file in parts."""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from service_platform import Platform
from upload_client import File, UploadClient

from mediabucket_service.clock import utc_now

MEBIBYTE = 1024**2
PART = 5 * MEBIBYTE
IN_PARTS = {"multipart": {"minBytes": PART, "partBytes": PART}}


def film(*, parts: int = 3, salt: bytes = b"film") -> File:
    """A film of so many parts; the last has 100 bytes."""
    piece = hashlib.sha256(salt).digest()
    return File((piece * (PART // len(piece))) * (parts - 1) + piece[:20] * 5, "film.mp4", "video/mp4")


FILM = film()


def piece(file: File, part_number: int) -> bytes:
    """The bytes of one part."""
    return file.content[(part_number - 1) * PART : part_number * PART]


async def begin(user: UploadClient, file: File = FILM) -> dict[str, Any]:
    """The multipart ticket."""
    answer = await user.initiate(file, multipart=True)
    assert answer.status_code == 200, answer.text
    ticket: dict[str, Any] = answer.json()
    return ticket


async def put_part(user: UploadClient, part: dict[str, Any], content: bytes) -> httpx.Response:
    return await user.store.put(part["upload_url"], content=content, headers=part["headers"])


async def put_parts(
    user: UploadClient, ticket: dict[str, Any], file: File = FILM, numbers: Iterable[int] | None = None
) -> None:
    """PUT these parts, or all."""
    for part in ticket["parts"]:
        if numbers is None or part["part_number"] in numbers:
            answer = await put_part(user, part, piece(file, part["part_number"]))
            assert answer.status_code == 200, answer.text


async def begun(user: UploadClient, file: File = FILM) -> dict[str, Any]:
    """Initiate and PUT all parts; answers the ticket."""
    ticket = await begin(user, file)
    await put_parts(user, ticket, file)
    return ticket


async def ask_parts(user: UploadClient, media_id: str, **body: Any) -> httpx.Response:
    return await user.call("POST", f"/api/media/{media_id}/parts", body)


async def progress(user: UploadClient, media_id: str) -> httpx.Response:
    return await user.call("GET", f"/api/media/{media_id}/parts")


async def open_uploads(platform: Platform) -> list[str]:
    """The multipart uploads that were neither completed nor aborted."""
    return [found.upload_id async for found in platform.objects.list_multipart_uploads("")]


def hours_pass(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the sweep all uploads are older than any that may still be under way."""
    later = utc_now() + timedelta(hours=2)
    monkeypatch.setattr(platform.reaper, "_now", lambda: later)


def numbers(ticket: dict[str, Any]) -> list[int]:
    return [part["part_number"] for part in ticket["parts"]]
