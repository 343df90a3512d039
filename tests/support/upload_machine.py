"""The life of uploads as a Hypothesis state machine: calls of one user in any order, deaths at any step of any call.

What the machine knows is what a user may rely on: which answers were given. What must hold then is checked after every
step (nothing published but what was announced, nothing confirmed lost) and, once everybody has stopped and the reaper
has run, of rows and bytes together.
"""

import asyncio
import hashlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from failing_calls import FailingCalls, failing
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule
from part_client import film, open_uploads, piece, put_part
from service_platform import Platform
from upload_client import File, UploadClient

from mediabucket_api.constants import UPLOADS_PREFIX
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.media.initiate_repository import InitiateRepository
from mediabucket_service.media.multipart_repository import MultipartRepository
from mediabucket_service.media.removal_repository import RemovalRepository
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.messages.repository_mongodb import MongoMessageRepository
from mediabucket_service.messages.repository_postgresql import PostgresMessageRepository

T = TypeVar("T")

# Where a process may die: right before one of these calls, or right after it took effect.
STEPS: dict[type, tuple[str, ...]] = {
    BucketObjects: (
        "head", "copy", "delete", "delete_every_version", "create_multipart_upload", "list_parts",
        "complete_multipart_upload", "abort_multipart_upload",
    ),
    InitiateRepository: ("initiate",),
    MediaRepository: (
        "lease", "complete", "complete_as_duplicate", "fail", "release_lease", "delete",
        "add_references", "remove_references", "settle_references",
    ),
    MultipartRepository: ("claim",),
    PostgresMessageRepository: ("insert", "existing"),
    MongoMessageRepository: ("insert", "existing"),
    RemovalRepository: ("expire_stale", "bytes_removed", "to_remove", "live_uploads"),
}  # fmt: skip
LISTINGS = ("list_parts",)
# The last one is a film unless told otherwise, and may be uploaded in two parts.
FILES = 3
PARTS = frozenset({1, 2})
deaths = st.none() | st.none() | st.builds(FailingCalls, fails_at=st.integers(1, 9), after_effect=st.booleans())


class Known(StrEnum):
    """What a user knows of an upload from the answers that were given."""

    NOTHING = "nothing"
    COMPLETED = "completed"
    FAILED = "failed"
    GONE = "gone"


@dataclass(eq=False)
class Ticket:
    """An upload that was begun: what the API answered, and what became of it as far as the user knows."""

    file: File
    answer: dict[str, Any]
    arrived: set[bytes] = field(default_factory=set)
    parts_arrived: set[int] = field(default_factory=set)
    known: Known = Known.NOTHING
    deletion_tried: bool = False
    in_message: bool = False

    @property
    def media_id(self) -> str:
        return str(self.answer["media_id"])

    @property
    def there(self) -> bool:
        """Whether the user may rely on it."""
        return self.known == Known.COMPLETED and not self.deletion_tried

    def seen_completed(self) -> None:
        assert hashlib.sha256(self.file.content).digest() in self.arrived, "completed, but its bytes never arrived"
        assert self.known in (Known.NOTHING, Known.COMPLETED), f"was {self.known}, and is completed"
        self.known, self.deletion_tried = Known.COMPLETED, False

    def seen_failed(self) -> None:
        assert not self.there, "was completed, and failed"
        assert self.known != Known.COMPLETED, "was completed, and failed"
        self.known = Known.FAILED

    def seen_gone(self) -> None:
        assert not self.there, "was completed, and is gone"
        self.known = Known.FAILED if self.known == Known.FAILED else Known.GONE


class UploadMachine(RuleBasedStateMachine):
    """One user on a running platform, which `run` drives. Subclasses of a test set `platform` and `runner`."""

    platform: Platform
    runner: asyncio.Runner
    with_film: bool = True
    tickets: Bundle[Ticket] = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.user: UploadClient = self.platform.user(f"machine-{uuid4()}")
        self.files = [File(f"{self.user.user} file {number}".encode()) for number in range(FILES)]
        if self.with_film:
            self.files[-1] = film(parts=len(PARTS), salt=self.user.user.encode())
        self.known: dict[str, Ticket] = {}
        self.sent: dict[str, str] = {}
        self.checked: set[tuple[str, str]] = set()

    def run(self, work: Coroutine[Any, Any, T], death: FailingCalls | None = None) -> T:
        """Do one thing; with a death, every step from that one on fails."""
        with failing(
            FailingCalls() if death is None else FailingCalls(death.fails_at, death.after_effect), STEPS, LISTINGS
        ):
            return self.runner.run(work)

    @rule(target=tickets, number=st.integers(0, FILES - 1), in_parts=st.booleans(), death=deaths)
    def initiate(self, number: int, in_parts: bool, death: FailingCalls | None) -> Any:
        file = self.files[number]
        answer = self.run(self.user.initiate(file, multipart=in_parts), death)
        if answer.status_code != 200:
            assert answer.status_code == 503 or is_problem(answer, "confirm-in-progress"), answer.text
            return multiple()
        body = answer.json()
        assert body["exists"] or not self.there(file), "bytes that are there are asked for again"
        ticket = self.known.setdefault(body["media_id"], Ticket(file, body))
        if body["exists"]:
            ticket.seen_completed()
            return multiple()
        ticket.answer = body
        return ticket

    @precondition(lambda self: self.there())
    @rule(target=tickets, choice=st.integers(0, 9))
    def initiate_between_the_halves_of_a_confirm(self, choice: int) -> Ticket:
        """The race that makes a second row for the same bytes: the first is not to be found by its checksum."""
        there = self.there()
        file = there[choice % len(there)].file
        body = self.run(self.initiate_unseen(file))
        ticket = self.known.setdefault(body["media_id"], Ticket(file, body))
        ticket.answer = body
        return ticket

    @rule(target=tickets, number=st.integers(0, FILES - 1), in_parts=st.booleans())
    def upload(self, number: int, in_parts: bool) -> Any:
        """What most users do."""
        ticket = self.initiate(number, in_parts, None)
        if isinstance(ticket, Ticket):
            self.put(ticket, wrong=False)
            self.put_parts(ticket, PARTS, wrong=False)
            self.confirm(ticket, None)
        return ticket

    @rule(ticket=tickets, wrong=st.sampled_from([False, False, True]))
    def put(self, ticket: Ticket, wrong: bool) -> None:
        """With any URL that was ever handed out, at any time."""
        content = ticket.file.content[:-1] + b"?" if wrong else ticket.file.content
        if "upload_url" in ticket.answer:
            answer = self.run(self.user.put(ticket.answer, content, as_is=True))
            assert answer.status_code == 200, answer.text
            ticket.arrived.add(hashlib.sha256(content).digest())

    @rule(ticket=tickets, numbers=st.sampled_from([PARTS, PARTS, frozenset({1}), frozenset({2})]), wrong=st.booleans())
    def put_parts(self, ticket: Ticket, numbers: frozenset[int], wrong: bool) -> None:
        """Some or all, with URLs of an upload that may be completed, aborted or replaced."""
        for part in ticket.answer.get("parts", []):
            number = part["part_number"]
            if number not in numbers:
                continue
            content = piece(ticket.file, number)
            answer = self.run(put_part(self.user, part, content[:-1] + b"?" if wrong else content))
            assert answer.status_code in (200, 404), answer.text
            if answer.status_code == 200 and not wrong:
                ticket.parts_arrived.add(number)
        if ticket.parts_arrived == PARTS:
            ticket.arrived.add(hashlib.sha256(ticket.file.content).digest())

    @rule(ticket=tickets, death=deaths)
    def confirm(self, ticket: Ticket, death: FailingCalls | None) -> None:
        self.note_confirm(ticket, self.run(self.user.confirm(ticket.media_id), death))

    @rule(ticket=tickets)
    def confirm_twice_at_once(self, ticket: Ticket) -> None:
        async def both() -> list[httpx.Response]:
            return list(await asyncio.gather(*(self.user.confirm(ticket.media_id) for _ in range(2))))

        answers = self.run(both())
        for answer in answers:
            self.note_confirm(ticket, answer)
        settled = {answer.status_code for answer in answers} - {202, 409}
        assert len(settled) < 2, [answer.text for answer in answers]

    @rule(ticket=tickets, death=deaths)
    def delete(self, ticket: Ticket, death: FailingCalls | None) -> None:
        answer = self.run(self.user.delete(ticket.media_id), death)
        note(f"delete: {answer.status_code}")
        if ticket.in_message:
            assert answer.status_code in (409, 503), answer.text
            return
        ticket.deletion_tried = True
        if answer.status_code == 204:
            ticket.seen_gone()
            return
        # A message whose sender died may still refer to it.
        assert answer.status_code == 503 or is_problem(answer, "media-in-use"), answer.text

    @rule(first=tickets, second=tickets, name=st.sampled_from(["one", "two", "three"]), death=deaths)
    def send_message(self, first: Ticket, second: Ticket, name: str, death: FailingCalls | None) -> None:
        media_ids = list(dict.fromkeys(ticket.media_id for ticket in (first, second)))
        message = {"content": name, "media_ids": media_ids, "client_message_id": name}
        answer = self.run(self.user.send(conversation_id=self.user.user, **message), death)
        note(f"message: {answer.status_code} {answer.text[:200]}")
        if answer.status_code != 200:
            assert answer.status_code in (202, 404, 409, 410, 422, 503), answer.text
            return
        assert answer.json()["message_id"] == self.sent.setdefault(name, answer.json()["message_id"])
        assert [media["media_id"] for media in answer.json()["media"]] == answer.json()["media_ids"]
        for media_id in answer.json()["media_ids"]:
            self.known[media_id].seen_completed()
            self.known[media_id].in_message = True

    @rule(ticket=tickets, death=deaths)
    def grow_stale(self, ticket: Ticket, death: FailingCalls | None) -> None:
        """Its time passes, and the reaper comes by."""
        self.run(self.change_mine("expires_at = now() - interval '1 second'", ticket.media_id))
        self.run(self.reap(), death)

    @rule()
    def leases_of_the_dead_run_out(self) -> None:
        self.run(self.change_mine("lease_until = now() - interval '1 second'"))

    @rule(death=deaths)
    def an_hour_passes_for_messages(self, death: FailingCalls | None) -> None:
        self.run(self.execute("UPDATE media_references SET created_at = now() - interval '2 hours'"))
        self.run(self.attempt(self.platform.services.flows.sweep_references()), death)

    @invariant()
    def only_announced_bytes_are_published(self) -> None:
        self.run(self.require_announced_bytes())

    def teardown(self) -> None:
        """Everybody stops, the reaper runs: rows and bytes agree, and what was promised is there."""
        try:
            self.leases_of_the_dead_run_out()
            self.an_hour_passes_for_messages(None)
            self.run(self.change_mine("expires_at = now() - interval '1 second'"))
            self.run(self.reap())
            self.run(self.require_all_ended())
            self.run(self.require_promises_kept())
        finally:
            self.run(self.forget())

    def note_confirm(self, ticket: Ticket, answer: httpx.Response) -> None:
        note(f"confirm: {answer.status_code} {answer.text[:200]}")
        match answer.status_code:
            case 200:
                ticket.seen_completed()
            case 410:
                ticket.seen_gone()
            case 422:
                ticket.seen_failed()
            case status:
                assert status in (202, 409, 503), answer.text

    def there(self, file: File | None = None) -> list[Ticket]:
        """What the user may rely on; of one file only, if it is named."""
        return [ticket for ticket in self.known.values() if ticket.there and file in (None, ticket.file)]

    async def initiate_unseen(self, file: File) -> dict[str, Any]:
        """Initiate while the completed media with the same bytes are not to be found by their checksum."""
        mine = "UPDATE media_files SET checksum = {} WHERE uploaded_by = %(user)s AND status = 'completed' AND {}"
        hidden, checksum = "sha256(media_id::text::bytea)", f"decode('{file.sha256}', 'hex')"
        await self.execute(mine.format(hidden, f"checksum = {checksum}"))
        try:
            answer = await self.user.initiate(file)
        finally:
            await self.execute(mine.format(checksum, f"checksum = {hidden}"))
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        assert not body["exists"]
        return body

    async def require_announced_bytes(self) -> None:
        """Promise 1, at any time: under `uploads/` is nothing that its uploader did not announce."""
        checksums = {str(row["media_id"]): row["checksum"] for row in await self.rows()}
        async for found in self.platform.objects.list(UPLOADS_PREFIX):
            if (found.key, found.etag) not in self.checked:
                owner = PurePosixPath(found.key).stem
                assert await self.sha256(found.key) == checksums.get(owner), f"{found.key} holds other bytes"
                self.checked.add((found.key, found.etag))

    async def require_all_ended(self) -> None:
        """Promise 4: rows and bytes together."""
        rows = await self.rows()
        assert not [row for row in rows if row["status"] == "pending" or row["lease_until"]]
        served = {row["file_path"] for row in rows if row["status"] == "completed"}
        assert set(await self.platform.keys()) == served
        assert await open_uploads(self.platform) == []

    async def require_promises_kept(self) -> None:
        """Promises 1 and 6: what the user was told is there, is, with its bytes; messages came to be once."""
        for ticket in self.there():
            media = (await self.user.get(ticket.media_id)).json()
            assert media["status"] == "completed", media
            assert (await self.user.download(media["url"])).content == ticket.file.content
        kept = await self.user.call("GET", "/api/messages", params={"conversation_id": self.user.user})
        found = {message["content"]: message["message_id"] for message in kept.json()["items"]}
        assert len(found) == len(kept.json()["items"]), "a message came to be twice"
        assert self.sent.items() <= found.items()

    async def reap(self) -> None:
        self.platform.reaper._floor = -abs(self.platform.reaper._floor)
        await self.attempt(self.platform.reaper.clean_up())
        await self.attempt(self.platform.sweep())

    async def attempt(self, work: Coroutine[Any, Any, Any]) -> None:
        """As the reaper's loop does: what fails is tried again in the next pass."""
        try:
            await work
        except Exception as error:
            note(f"given up: {error}")

    async def sha256(self, key: str) -> bytes:
        head = await self.platform.objects.head(key)
        chunks = [chunk async for chunk in self.platform.objects.stream(key, if_match=head.etag)]
        return hashlib.sha256(b"".join(chunks)).digest()

    async def execute(self, query: str) -> None:
        await self.platform.database.execute(query, {"user": self.user.user})

    async def forget(self) -> None:
        """Leave the next machine an empty bucket."""
        await self.execute("DELETE FROM media_references")
        await self.execute("DELETE FROM media_files WHERE uploaded_by = %(user)s")
        for key in await self.platform.keys():
            await self.platform.objects.delete(key)
        await self.platform.sweep()

    async def rows(self) -> list[dict[str, Any]]:
        query = "SELECT * FROM media_files WHERE uploaded_by = %(user)s"
        return await self.platform.database.fetch_all(query, {"user": self.user.user})

    async def change_mine(self, assignments: str, media_id: str | None = None) -> None:
        await self.platform.database.execute(
            f"UPDATE media_files SET {assignments} WHERE uploaded_by = %(user)s AND status = 'pending'"
            " AND (%(media_id)s::uuid IS NULL OR media_id = %(media_id)s)",
            {"user": self.user.user, "media_id": media_id},
        )


def is_problem(answer: httpx.Response, name: str) -> bool:
    return answer.status_code == 409 and str(answer.json()["type"]).endswith(f":{name}")
