"""A confirm that takes longer than a request should: 202, and the verification goes on."""

import asyncio
import hashlib
import logging
import threading
from collections.abc import AsyncIterator

import httpx
import pytest
from part_client import FILM, IN_PARTS, begun
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.errors import StoreUnavailable
from mediabucket_s3.objects import ObjectHead
from mediabucket_service.flows import PARALLEL_CONFIRMS
from mediabucket_service.media import checksum
from mediabucket_service.media.checksum import ChecksumReader, HashedObject
from mediabucket_service.media.models import MediaFile

PICTURE = File(b"a picture" * 100)
QUICK = {"confirm_answer_seconds": 0.2}


class Gate:
    """Holds every verification before its hash is told."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.reached = 0
        self.failure: Exception | None = None


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate, read = Gate(), ChecksumReader.read

    async def slow(self: ChecksumReader, file: MediaFile, head: ObjectHead) -> HashedObject:
        gate.reached += 1
        await gate.open.wait()
        if gate.failure:
            raise gate.failure
        return await read(self, file, head)

    monkeypatch.setattr(ChecksumReader, "read", slow)
    return gate


@pytest.fixture
async def platform(make_platform: MakePlatform) -> AsyncIterator[Platform]:
    async with make_platform(settings_changes=QUICK, uploads=IN_PARTS) as running:
        yield running


def still_pending(answer: httpx.Response, media_id: str) -> bool:
    assert answer.status_code == 202, answer.text
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["cache-control"] == "no-store"
    media = answer.json()
    assert (media["media_id"], media["status"], media["url"]) == (media_id, "pending", None)
    return True


async def settled(user: UploadClient, media_id: str) -> httpx.Response:
    """Ask until the answer is another than 202."""
    async with asyncio.timeout(20):
        while (answer := await user.confirm(media_id)).status_code == 202:
            await asyncio.sleep(0.01)
    return answer


async def test_a_long_confirm_is_answered_202_until_it_is_done(
    alice: UploadClient, platform: Platform, gate: Gate
) -> None:
    ticket = await begun(alice)
    # Both who verifies and who finds it being verified are answered after a fifth of a second.
    async with asyncio.timeout(10):
        assert still_pending(await alice.confirm(ticket["media_id"]), ticket["media_id"])
        answers = await asyncio.gather(*(alice.confirm(ticket["media_id"]) for _ in range(5)))
    assert all(still_pending(answer, ticket["media_id"]) for answer in answers)
    assert gate.reached == 1, "nobody began again"
    gate.open.set()
    answer = await settled(alice, ticket["media_id"])
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert gate.reached == 1
    assert await platform.keys() == [(await platform.row(ticket["media_id"]))["file_path"]]


async def test_a_long_confirm_is_finished_without_anybody_asking(
    alice: UploadClient, platform: Platform, gate: Gate
) -> None:
    ticket = await alice.begin(PICTURE)
    assert still_pending(await alice.confirm(ticket["media_id"]), ticket["media_id"])
    gate.open.set()
    async with asyncio.timeout(20):
        while (await platform.row(ticket["media_id"]))["status"] == "pending":
            await asyncio.sleep(0.01)
    assert (await alice.get(ticket["media_id"])).json()["status"] == "completed"


async def test_a_refusal_found_late_is_told_to_who_asks(alice: UploadClient, gate: Gate) -> None:
    ticket = (await alice.initiate(PICTURE)).json()
    await alice.put(ticket, b"b picture" * 100)
    assert still_pending(await alice.confirm(ticket["media_id"]), ticket["media_id"])
    gate.open.set()
    refused = await settled(alice, ticket["media_id"])
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:mediabucket:problem:upload-mismatch"


async def test_a_store_that_fails_late_is_logged_and_the_next_one_starts_again(
    alice: UploadClient, platform: Platform, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = await alice.begin(PICTURE)
    assert still_pending(await alice.confirm(ticket["media_id"]), ticket["media_id"])
    gate.failure = StoreUnavailable("GetObject", "ServiceUnavailable", 503)
    told = f"verify {ticket['media_id']} ended after its request was answered"
    with caplog.at_level(logging.WARNING):
        gate.open.set()
        async with asyncio.timeout(20):
            while (await platform.row(ticket["media_id"]))["lease_owner"] is not None or told not in caplog.text:
                await asyncio.sleep(0.01)
    gate.failure = None
    assert (await settled(alice, ticket["media_id"])).status_code == 200


async def test_a_message_says_that_its_media_is_being_verified(alice: UploadClient, gate: Gate) -> None:
    ticket = await alice.begin(PICTURE)
    busy = await alice.send(media_ids=[ticket["media_id"]])
    assert busy.status_code == 409
    assert busy.json()["type"] == "urn:mediabucket:problem:confirm-in-progress"
    assert busy.json()["media_id"] == ticket["media_id"]
    gate.open.set()
    assert (await settled(alice, ticket["media_id"])).status_code == 200
    assert (await alice.send(media_ids=[ticket["media_id"]])).status_code == 200


async def test_a_message_with_many_such_media_waits_for_none_in_turn(alice: UploadClient, gate: Gate) -> None:
    tickets = [await alice.begin(File(b"%d" % number)) for number in range(PARALLEL_CONFIRMS + 3)]
    media_ids = [ticket["media_id"] for ticket in tickets]
    assert (await alice.send(media_ids=media_ids)).status_code == 409
    assert gate.reached == PARALLEL_CONFIRMS
    gate.open.set()
    async with asyncio.timeout(20):
        while (sent := await alice.send(media_ids=media_ids)).status_code == 409:
            await asyncio.sleep(0.01)
    assert sent.status_code == 200
    assert [media["status"] for media in sent.json()["media"]] == ["completed"] * len(media_ids)


async def test_a_verification_that_lasts_keeps_its_lease(make_platform: MakePlatform, gate: Gate) -> None:
    changes = QUICK | {"confirm_lease_seconds": 2.0}
    async with make_platform(settings_changes=changes) as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        await alice.confirm(ticket["media_id"])
        await platform.change(ticket["media_id"], "expires_at = now() - interval '1 second'")
        # Together longer than the lease.
        for _ in range(8):
            await asyncio.sleep(0.15)
            await platform.reaper.clean_up()
            assert still_pending(await alice.confirm(ticket["media_id"]), ticket["media_id"])
        assert gate.reached == 1
        gate.open.set()
        assert (await settled(alice, ticket["media_id"])).status_code == 200


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("taken", ["lease_owner = gen_random_uuid()", "status = 'expired', failure = 'cancelled'"])
async def test_a_verification_stops_when_the_upload_is_in_other_hands(make_platform: MakePlatform, taken: str) -> None:
    changes = QUICK | {"confirm_lease_seconds": 1.5}
    async with make_platform(settings_changes=changes) as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        await alice.confirm(ticket["media_id"])
        running = platform.services.verifications._running
        assert len(running) == 1
        await platform.change(ticket["media_id"], f"{taken}, lease_until = now() + interval '1 minute'")
        async with asyncio.timeout(20):
            while running:
                await asyncio.sleep(0.01)
        ours = taken.startswith("status")
        lease_until = (await platform.row(ticket["media_id"]))["lease_until"]
        assert (lease_until is None) == ours, "one's own lease is given back, another's is not"


async def test_a_process_that_stops_gives_its_leases_back(make_platform: MakePlatform, gate: Gate) -> None:
    async with make_platform(settings_changes=QUICK) as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        assert still_pending(await alice.confirm(ticket["media_id"]), ticket["media_id"])
        assert (await platform.row(ticket["media_id"]))["lease_owner"] is not None
    async with make_platform(settings_changes=QUICK) as platform:
        row = await platform.row(ticket["media_id"])
        assert (row["status"], row["lease_owner"], row["lease_until"]) == ("pending", None, None)
        gate.open.set()
        assert (await settled(platform.user(), ticket["media_id"])).status_code == 200


async def test_the_streamed_hash_leaves_the_event_loop_alone(
    alice: UploadClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()

    class Digest:
        def __init__(self) -> None:
            self._digest = hashlib.sha256()

        def update(self, chunk: bytes) -> None:
            threads.add(threading.get_ident())
            self._digest.update(chunk)

        def digest(self) -> bytes:
            return self._digest.digest()

    class Hashes:
        sha256 = Digest

    monkeypatch.setattr(checksum, "hashlib", Hashes)
    ticket = await begun(alice)
    assert (await settled(alice, ticket["media_id"])).json()["checksum"] == FILM.sha256
    assert threads
    assert threading.get_ident() not in threads
