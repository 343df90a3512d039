"""Users who do all that the API lets them do, each one thing again and again, and what must be true at the end."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx
from part_client import ask_parts, film, open_uploads, piece, put_part
from service_platform import Platform
from upload_client import File, UploadClient, make_token
from uploaders import GIVE_UP_SECONDS, Uploaders, require_no_orphans, require_nothing_lost, rows_of

# Between one thing and the next: the reaper is to get its turn, too.
PAUSE_SECONDS: Final = 1


@dataclass
class BusyUploaders(Uploaders):
    """`promised` is what was to stay; the others hold ids of media and users, once their end was told."""

    deleted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    # Uploads live for seconds here, and servers die meanwhile: the same call of the same user more than once.
    begins_again_at: frozenset[int] = frozenset({409, 410})
    give_up_seconds: float = 2 * GIVE_UP_SECONDS

    async def one_round(self, user: str, number: int) -> None:
        ways = (self.upload_film, self.delete, self.lie, self.leave, self.be_erased, self.cancel_film)
        which = int(user.rpartition("-")[2]) % (2 * len(ways))
        if which < len(ways):
            await ways[which](user, f"{user} file {number}")
        else:
            await super().one_round(user, number)
        await asyncio.sleep(random.uniform(0, 2 * PAUSE_SECONDS))

    async def upload_film(self, user: str, text: str) -> None:
        file = film(parts=2, salt=text.encode())
        while not (ticket := await self.begin(user, file, multipart=True))["exists"]:
            await self._put_parts(user, ticket, file)
            if await self.confirmed(user, ticket["media_id"]):
                break
        self.promised[ticket["media_id"]] = file
        await self.show(user, ticket["media_id"], file)

    async def cancel_film(self, user: str, text: str) -> None:
        file = film(parts=2, salt=text.encode())
        ticket = await self.begin(user, file, multipart=True)
        await self._put_parts(user, {"parts": ticket["parts"][1:], "media_id": ticket["media_id"]}, file)
        await self._delete(user, ticket["media_id"])

    async def delete(self, user: str, text: str) -> None:
        """And PUT the bytes again, with a URL that still works."""
        file = File(text.encode() * 100)
        ticket = await self.begin(user, file)
        await self.complete(user, file)
        await self._delete(user, ticket["media_id"])
        await self.persist(user, lambda client: client.put(ticket, file.content, as_is=True))

    async def lie(self, user: str, text: str) -> None:
        """Ask for a confirm too early, then send other bytes than announced."""
        file = File(text.encode() * 100)
        ticket = await self.begin(user, file)
        assert not await self.confirmed(user, ticket["media_id"])
        await self.persist(user, lambda client: client.put(ticket, file.content[:-1] + b"?", as_is=True))
        answer = await self.persist(user, lambda client: client.confirm(ticket["media_id"]))
        assert answer.status_code in (422, *self.begins_again_at), answer.text
        if answer.status_code == 422:
            self.refused.add(ticket["media_id"])

    async def leave(self, user: str, text: str) -> None:
        """Never come back to bytes that have arrived."""
        file = File(text.encode() * 100)
        ticket = await self.begin(user, file)
        await self.persist(user, lambda client: client.put(ticket, file.content, as_is=True))

    async def be_erased(self, _: str, text: str) -> None:
        """A user of their own each time, with one media and one upload under way."""
        await self.complete(text, File(text.encode() * 100))
        await self.begin(text, File(text.encode() * 50))
        answer = await self.persist(text, erase)
        assert answer.status_code == 200, answer.text
        # An upload that ended for its age, and was begun again, is one more.
        assert answer.json()["media"] >= 2, answer.text
        self.erased.add(text)

    async def _put_parts(self, user: str, ticket: dict[str, Any], file: File) -> None:
        """And ask for a fresh URL, as one whose file is large does."""
        for part in ticket["parts"]:
            content = piece(file, part["part_number"])
            await self.persist(user, lambda client, part=part, content=content: put_part(client, part, content))  # type: ignore[misc]
        await self.persist(user, lambda client: ask_parts(client, ticket["media_id"], part_numbers=[1]))

    async def _delete(self, user: str, media_id: str) -> None:
        answer = await self.persist(user, lambda client: client.delete(media_id))
        assert answer.status_code == 204, answer.text
        self.deleted.add(media_id)


async def erase(client: UploadClient) -> httpx.Response:
    """The client's user is erased by an administrator."""
    headers = {"Authorization": f"Bearer {make_token('administrator', scope='media:admin')}"}
    return await client.http.request("DELETE", f"/api/users/{quote(client.user, safe='')}/media", headers=headers)


async def require_all_ended_well(platform: Platform, crowd: BusyUploaders) -> None:
    """Nothing lost, nothing left over, nothing held; and what was told of deletions, refusals and erasures is so."""
    await require_nothing_lost(platform, crowd.promised)
    await require_no_orphans(platform)
    await require_nothing_lost(platform, crowd.promised)
    assert await open_uploads(platform) == []
    rows = await rows_of(platform)
    status = {str(row["media_id"]): row["status"] for row in rows}
    assert {status[media_id] for media_id in crowd.deleted} <= {"deleted", "expired"}
    assert {status[media_id] for media_id in crowd.refused} <= {"failed"}
    assert not {row["uploaded_by"] for row in rows} & crowd.erased
    assert len(crowd.messages) == len(crowd.promised)
    await require_no_stray_references(platform)


async def require_no_stray_references(platform: Platform) -> None:
    """After an hour no media is held by a message that never came to be."""
    await platform.database.execute("UPDATE media_references SET created_at = now() - interval '2 hours'", {})
    await platform.services.flows.sweep_references()
    stray = await platform.database.fetch_all(
        "SELECT message_id FROM media_references JOIN media_files USING (media_id) WHERE bucket = %(bucket)s"
        " AND NOT EXISTS (SELECT FROM messages WHERE messages.message_id = media_references.message_id)",
        {"bucket": platform.connection.bucket},
    )
    assert stray == []
