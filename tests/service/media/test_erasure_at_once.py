"""Erasures while their user goes on: what began before is gone, what begins after is whole, nothing is in between."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from erasing import Store, erase, erase_to_the_end, rows_of, upload_duplicate
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.objects import BucketObjects
from mediabucket_service.clock import utc_now
from mediabucket_service.media import erasure_repository
from mediabucket_service.media.erasure import Erasures
from mediabucket_service.media.erasure_repository import ErasureRepository
from mediabucket_service.media.repository import MediaRepository

PICTURE = File(b"a picture" * 100)


class Gate:
    """Stops a method right before or after its work, until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    def hold(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, after: bool) -> None:
        original = getattr(owner, name)

        async def held(*arguments: Any, **options: Any) -> Any:
            answer = await original(*arguments, **options) if after else None
            if not self.opened.is_set():
                self.reached.set()
                await self.opened.wait()
            return answer if after else await original(*arguments, **options)

        monkeypatch.setattr(owner, name, held)


@pytest.mark.parametrize("versioned", [False, True], ids=["plain", "versioned"])
@pytest.mark.parametrize(("owner", "name", "after"), [
    (BucketObjects, "head", False), (BucketObjects, "copy", False), (BucketObjects, "copy", True),
    (MediaRepository, "complete", False), (MediaRepository, "complete", True),
])  # fmt: skip
async def test_an_upload_is_erased_in_the_middle_of_its_confirm(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, after: bool, versioned: bool
) -> None:
    store = Store(platform)
    if versioned:
        store.keep_versions()
    alice = platform.user()
    ticket = await alice.begin(PICTURE)
    gate = Gate()
    gate.hold(monkeypatch, owner, name, after=after)
    confirm = asyncio.create_task(alice.confirm(ticket["media_id"]))
    await gate.reached.wait()
    erasure = asyncio.create_task(erase_to_the_end(platform, "alice"))
    completed = (owner, name, after) == (MediaRepository, "complete", True)
    await asyncio.wait({erasure}, timeout=20 if completed else 0.3)
    assert erasure.done() == completed, "it waits for a confirm that may still copy"
    gate.opened.set()
    confirmed, report = await asyncio.gather(confirm, erasure)
    assert confirmed.status_code == (200 if completed else 410)
    assert report["media"] == 1
    assert await rows_of(platform, "alice") == []
    # What a confirm that came too late has left by its last, plain delete has no bytes.
    assert [version for version in await store.all_versions() if not version.is_delete_marker] == []


async def test_rows_that_are_locked_for_longer_than_a_statement_may_take_are_marked_later(
    make_platform: MakePlatform,
) -> None:
    """Four times as long as the database is given; what nobody holds is erased meanwhile."""
    hurried = {"database_timeout_seconds": 1, "erasure_answer_seconds": 1}
    async with make_platform() as platform, make_platform(settings_changes=hurried) as hasty:
        media = await platform.user().upload(PICTURE)
        await platform.user().upload(File(b"another"))
        async with platform.database.transaction() as connection:
            query = "SELECT 1 FROM media_files WHERE media_id = %(id)s FOR SHARE"
            await connection.execute(query, {"id": media["media_id"]})
            locked_until = asyncio.get_running_loop().time() + 4
            while asyncio.get_running_loop().time() < locked_until:
                answer = await erase(hasty, "alice")
                assert (answer.status_code, answer.json()["media"]) == (202, 1)
            assert [str(row["media_id"]) for row in await rows_of(platform, "alice")] == [media["media_id"]]
        assert (await erase_to_the_end(hasty, "alice"))["media"] == 2
        assert await platform.keys() == []


async def test_each_statement_that_marks_is_progress(
    platform: Platform, alice: UploadClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows a user has: no statement changes more than so many, and a call without time does one."""
    monkeypatch.setattr(erasure_repository, "STATEMENT_ROWS", 2)
    media = [(await alice.upload(File(b"%d" % number)))["media_id"] for number in range(5)]
    await alice.send(content="look", media_ids=media)
    repository = ErasureRepository(platform.database, platform.connection.bucket)
    in_a_hurry = Erasures(repository, platform.objects, answer_seconds=0)
    for marked in (2, 4, 5):
        receipt = await in_a_hurry.erase("alice")
        assert (receipt.references, receipt.completed_at) == (marked, None)
    report = await erase_to_the_end(platform, "alice")
    assert (report["media"], report["references"]) == (5, 5)
    assert await dangling_references(platform) == 0


async def test_a_confirm_that_died_is_waited_for_until_its_lease_runs_out(make_platform: MakePlatform) -> None:
    async with make_platform(settings_changes={"erasure_answer_seconds": 0.1}) as platform:
        ticket = await platform.user().begin(PICTURE)
        lease = "lease_owner = gen_random_uuid(), lease_until = now() + interval '1 hour'"
        await platform.change(ticket["media_id"], lease)
        answer = await erase(platform, "alice")
        assert (answer.status_code, answer.json()["media"]) == (202, 0)
        await platform.change(ticket["media_id"], "lease_until = now() + interval '0.5 seconds'")
        assert (await erase_to_the_end(platform, "alice"))["media"] == 1
        assert await platform.keys() == []


async def test_a_copy_that_comes_after_the_erasure_is_removed_with_its_versions(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a confirm that was asleep for longer than its lease."""
    store = Store(platform)
    store.keep_versions()
    alice = platform.user()
    ticket = await alice.begin(PICTURE)
    gate = Gate()
    gate.hold(monkeypatch, MediaRepository, "complete", after=False)
    confirm = asyncio.create_task(alice.confirm(ticket["media_id"]))
    await gate.reached.wait()
    await platform.change(ticket["media_id"], "lease_until = now() - interval '1 second'")
    row = await platform.row(ticket["media_id"])
    await erase_to_the_end(platform, "alice")
    await platform.objects.put(row["file_path"], PICTURE.content, "image/png")
    gate.opened.set()
    assert (await confirm).status_code == 404
    assert [version for version in await store.all_versions() if not version.is_delete_marker] == []


async def test_bytes_that_land_late_under_pending_go_with_every_version(platform: Platform) -> None:
    """A URL that was handed out stays good until it expires: the sweep removes what comes by it."""
    store = Store(platform)
    store.keep_versions()
    alice = platform.user()
    ticket = await alice.begin(PICTURE)
    await erase_to_the_end(platform, "alice")
    assert (await alice.put(ticket, PICTURE.content)).status_code == 200
    assert (await alice.put(ticket, PICTURE.content)).status_code == 200
    platform.reaper._now = lambda: utc_now() + timedelta(hours=2)
    assert await platform.sweep() == 1
    assert await store.all_versions() == []


@pytest.mark.parametrize("versioned", [False, True], ids=["plain", "versioned"])
async def test_whatever_a_user_does_meanwhile_is_erased_or_left_whole(platform: Platform, versioned: bool) -> None:
    store = Store(platform)
    if versioned:
        store.keep_versions()
    alice, bob = platform.user("alice"), platform.user("bob")
    before = [await alice.upload(File(b"before %d" % number)) for number in range(10)]
    others = await bob.upload(PICTURE)

    async def live_on(number: int) -> None:
        ticket = (await alice.initiate(File(b"during %d" % number))).json()
        await alice.put(ticket, b"during %d" % number)
        await alice.send(content=str(number), media_ids=[ticket["media_id"], before[number % 10]["media_id"]])
        await alice.confirm(ticket["media_id"])
        await alice.send(content=str(number), media_ids=[ticket["media_id"]])

    reports, *answers = await asyncio.gather(
        asyncio.gather(*(erase_to_the_end(platform, "alice") for _ in range(2))),
        *(live_on(number) for number in range(20)),
        return_exceptions=True,
    )
    assert [answer for answer in (reports, *answers) if isinstance(answer, BaseException)] == []
    for row in await rows_of(platform, "alice"):
        media = (await alice.get(str(row["media_id"]))).json()
        assert media["status"] == "completed", "nothing but what is whole is left"
        assert (await alice.download(media["url"])).status_code == 200
    found = {str(row["media_id"]) for row in await rows_of(platform, "alice")}
    assert found.isdisjoint(media["media_id"] for media in before)
    await erase_to_the_end(platform, "alice")
    assert await rows_of(platform, "alice") == []
    left = [version for version in await store.all_versions() if not version.is_delete_marker]
    assert {version.key for version in left if version.key.startswith("uploads/")} == {
        (await platform.row(others["media_id"]))["file_path"]
    }
    assert await dangling_references(platform) == 0


async def dangling_references(platform: Platform) -> int:
    query = (
        "SELECT count(*) AS found FROM media_references JOIN media_files USING (media_id)"
        " WHERE bucket = %(bucket)s AND (uploaded_by = 'alice' OR status <> 'completed')"
    )
    row = await platform.database.fetch_one(query, {"bucket": platform.connection.bucket})
    assert row is not None
    return int(row["found"])


async def test_a_media_completed_by_the_object_of_another_while_that_is_marked_is_marked_too(
    platform: Platform, alice: UploadClient
) -> None:
    """The erasure waits for the lock that a confirm holds on the original; the duplicate was begun after it started."""
    original = await alice.upload(PICTURE)
    late = UUID("ffffffff-0000-7000-8000-000000000000")
    async with platform.database.transaction() as connection:
        await connection.execute(
            "SELECT 1 FROM media_files WHERE media_id = %(id)s FOR SHARE", {"id": original["media_id"]}
        )
        erasure = asyncio.create_task(erase_to_the_end(platform, "alice"))
        await asyncio.sleep(0.5)
        await connection.execute(
            "INSERT INTO media_files SELECT (jsonb_populate_record(m, jsonb_build_object("
            " 'media_id', %(late)s::text, 'duplicate_of', media_id))).* FROM media_files m WHERE media_id = %(id)s",
            {"late": str(late), "id": original["media_id"]},
        )
    assert (await erasure)["media"] == 2
    assert await rows_of(platform, "alice") == []


async def test_an_object_that_a_later_media_is_served_from_stays(platform: Platform, alice: UploadClient) -> None:
    """Both began after the rows were marked; then the first of them was deleted."""
    original = await alice.upload(PICTURE)
    duplicate = await upload_duplicate(platform, alice, PICTURE, original)
    await platform.change(original["media_id"], "status = 'deleted'")
    repository = ErasureRepository(platform.database, platform.connection.bucket)
    await repository.open("alice")
    assert [row.removable for row in await repository.page("alice", UUID(int=0), 10)] == [False, False]
    assert (await repository.receipt("alice", all_marked=True)).completed_at is not None
    media = (await alice.get(duplicate)).json()
    assert (await alice.download(media["url"])).content == PICTURE.content
    assert (await erase_to_the_end(platform, "alice"))["media"] == 2
    assert await platform.keys() == []
