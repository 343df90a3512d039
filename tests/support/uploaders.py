"""Many users who upload and never give up, and what must be true once they have stopped, whatever has failed."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from service_platform import Platform
from upload_client import File, UploadClient

GIVE_UP_SECONDS = 60.0
PAUSE_SECONDS = 0.1
LEASE_SECONDS = 2.0

Crowd = TypeVar("Crowd", bound="Uploaders")


@dataclass
class Uploaders:
    """Users of whatever process is at `url` now; `promised` is what they were told is completed."""

    url: str
    http: httpx.AsyncClient
    promised: dict[str, File] = field(default_factory=dict)
    messages: set[str] = field(default_factory=set)
    answers: dict[int, int] = field(default_factory=dict)
    lost_connections: int = 0
    begins_again_at: frozenset[int] = frozenset({409})
    give_up_seconds: float = GIVE_UP_SECONDS

    async def upload(self, user: str, file: File) -> None:
        """Until it is confirmed and shown in a message."""
        media_id = await self.complete(user, file)
        self.promised[media_id] = file
        await self.show(user, media_id, file)

    async def complete(self, user: str, file: File) -> str:
        """Until it is confirmed. The file is sent again when the store does not have it."""
        while not (ticket := await self.begin(user, file))["exists"]:
            await self._send_bytes(user, ticket, file)
            if await self.confirmed(user, ticket["media_id"]):
                break
        return str(ticket["media_id"])

    async def begin(self, user: str, file: File, **changes: Any) -> dict[str, Any]:
        """The ticket, or what says that the media exists."""
        answer = await self.persist(user, lambda client: client.initiate(file, **changes), "confirm-in-progress")
        assert answer.status_code == 200, answer.text
        ticket: dict[str, Any] = answer.json()
        return ticket

    async def confirmed(self, user: str, media_id: str) -> bool:
        """False when the upload has to be begun again."""
        answer = await self.persist(user, lambda client: client.confirm(media_id))
        assert answer.status_code in (200, *self.begins_again_at), answer.text
        return answer.status_code == 200

    async def show(self, user: str, media_id: str, file: File) -> None:
        """In a message, once."""
        message = {"conversation_id": user, "content": file.name, "media_ids": [media_id]}
        sent = await self.persist(user, lambda client: client.send(**message, client_message_id=media_id))
        self.messages.add(sent.json()["message_id"])

    async def keep_uploading(self, user: str, stopped: asyncio.Event) -> None:
        number = 0
        while not stopped.is_set():
            await self.one_round(user, number)
            number += 1

    async def one_round(self, user: str, number: int) -> None:
        await self.upload(user, File(f"{user} file {number}".encode() * 100, name=f"{number}.png"))

    async def _send_bytes(self, user: str, ticket: dict[str, Any], file: File) -> None:
        await self.persist(user, lambda client: client.put(ticket, file.content, as_is=True))

    async def persist(
        self, user: str, call: Callable[[UploadClient], Awaitable[httpx.Response]], not_yet: str = ""
    ) -> httpx.Response:
        """Call until the answer is neither a failure of the servers nor "not yet": 202, or the problem of that name."""
        deadline = time.monotonic() + self.give_up_seconds
        while True:
            answer = await self._attempt(user, call)
            if answer is not None and answer.status_code < 500 and not _is_not_yet(answer, not_yet):
                return answer
            assert time.monotonic() < deadline, f"given up: {answer.text if answer else 'no answer'}"
            await asyncio.sleep(PAUSE_SECONDS)

    async def _attempt(
        self, user: str, call: Callable[[UploadClient], Awaitable[httpx.Response]]
    ) -> httpx.Response | None:
        try:
            answer = await call(UploadClient(_Relocated(self.http, self.url), self.http, user))  # type: ignore[arg-type]
        except httpx.TransportError:
            self.lost_connections += 1
            return None
        self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
        # A store may answer so while it stops.
        assert answer.status_code != 500 or not str(answer.url).startswith(self.url), answer.text
        return answer


def _is_not_yet(answer: httpx.Response, problem: str) -> bool:
    if answer.status_code == 409 and problem:
        return str(answer.json()["type"]).endswith(f":{problem}")
    return answer.status_code == 202


@dataclass(frozen=True)
class _Relocated:
    """One client for all processes, so that connections are shared."""

    http: httpx.AsyncClient
    url: str

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self.http.request(method, self.url + path, **options)


@asynccontextmanager
async def uploading(url: str, number: int, kind: Callable[[str, httpx.AsyncClient], Crowd]) -> AsyncIterator[Crowd]:
    """`number` users upload meanwhile; at the end each finishes the file it is at."""
    limits = httpx.Limits(max_connections=2 * number)
    async with httpx.AsyncClient(timeout=30, limits=limits) as http:
        crowd, stopped = kind(url, http), asyncio.Event()
        tasks = [asyncio.create_task(crowd.keep_uploading(f"user-{one}", stopped)) for one in range(number)]
        try:
            yield crowd
        finally:
            stopped.set()
            await asyncio.gather(*tasks)


async def require_nothing_lost(platform: Platform, promised: dict[str, File]) -> None:
    """Every promised media is completed, and every completed one is in the store with the bytes of its row."""
    rows = await rows_of(platform)
    completed = {str(row["media_id"]): row for row in rows if row["status"] == "completed"}
    missing = promised.keys() - completed.keys()
    assert not missing, f"{len(missing)} confirmed media are not completed: {sorted(missing)[:3]}"
    for media_id, file in promised.items():
        assert completed[media_id]["checksum"].hex() == file.sha256
    for row in completed.values():
        chunks = platform.objects.stream(row["file_path"], if_match=row["etag"])
        found = hashlib.sha256(b"".join([chunk async for chunk in chunks])).digest()
        assert found == row["checksum"], f"{row['file_path']} holds other bytes"


async def require_no_orphans(platform: Platform) -> None:
    """After the leases' time no upload is held; after theirs the reaper leaves what completed rows name, only that."""
    await asyncio.sleep(LEASE_SECONDS)
    held = [row for row in await rows_of(platform) if row["lease_until"] and row["status"] != "pending"]
    assert not held, "settled, and still leased"
    await platform.database.execute(
        "UPDATE media_files SET expires_at = now() - interval '1 second' WHERE bucket = %(bucket)s"
        " AND status = 'pending' AND (lease_until IS NULL OR lease_until < now())",
        {"bucket": platform.connection.bucket},
    )
    platform.reaper._floor = -abs(platform.reaper._floor)
    await platform.reaper.clean_up()
    await platform.sweep()
    rows = await rows_of(platform)
    assert not [row for row in rows if row["status"] == "pending"], "a lease is stuck"
    assert set(await platform.keys()) == {row["file_path"] for row in rows if row["status"] == "completed"}


async def rows_of(platform: Platform) -> list[dict[str, Any]]:
    query = "SELECT * FROM media_files WHERE bucket = %(bucket)s"
    return await platform.database.fetch_all(query, {"bucket": platform.connection.bucket})
