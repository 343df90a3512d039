"""A store that ignores x-amz-copy-source-if-match: nothing but verified bytes is published all the same (promise 1).

SeaweedFS keeps the condition: it is taken from the requests here, as if the store had never read it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.objects import BucketObjects
from mediabucket_service.clock import utc_now
from mediabucket_service.media.repository import MediaRepository

PICTURE = File(b"a picture" * 100)
OTHERS = b"b picture" * 100
VERDICTS = [{}, {"CopySourceIfMatch": "Ignored"}, {"CopySourceIfMatch": "Unsupported", "ChecksumOnCopy": "Ignored"}]
IDS = ["never probed", "ignored", "unsupported"]


@pytest.fixture(autouse=True)
def condition_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    original = BucketObjects.copy

    async def unconditional(self: BucketObjects, *names: str, **options: Any) -> str:
        return await original(self, *names, **(options | {"if_match": None}))

    monkeypatch.setattr(BucketObjects, "copy", unconditional)


def before_copy(monkeypatch: pytest.MonkeyPatch, turn: int, action: Callable[[], Awaitable[Any]]) -> None:
    """Run something right before the copy that is the `turn`-th, from 0."""
    original = BucketObjects.copy
    turns = iter(range(100))

    async def interrupted(self: BucketObjects, *names: str, **options: Any) -> str:
        if next(turns) == turn:
            await action()
        return await original(self, *names, **options)

    monkeypatch.setattr(BucketObjects, "copy", interrupted)


@pytest.mark.promise(1)
@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("capabilities", VERDICTS, ids=IDS)
async def test_bytes_that_arrive_right_before_any_copy_are_verified_or_refused(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, str], turn: int
) -> None:
    async with make_platform(capabilities=capabilities) as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        before_copy(monkeypatch, turn, lambda: alice.put(ticket, OTHERS))
        answer = await alice.confirm(ticket["media_id"])
        published = await platform.keys("uploads/")
        if answer.status_code == 200:
            assert (await alice.download(answer.json()["url"])).content == PICTURE.content
            assert len(published) == 1
        else:
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:mediabucket:problem:upload-mismatch")
            assert published == []
        assert await platform.keys("pending/") == []


@pytest.mark.parametrize("capabilities", VERDICTS, ids=IDS)
async def test_an_honest_upload_is_published_and_nothing_else_is_left(
    make_platform: MakePlatform, capabilities: dict[str, str]
) -> None:
    async with make_platform(capabilities=capabilities) as platform:
        for number in range(2):
            media = await platform.user().upload(File(b"picture %d" % number))
            assert (await platform.user().download(media["url"])).status_code == 200
        assert await platform.keys("pending/") == []


@pytest.mark.promise(1)
async def test_a_try_that_was_overtaken_publishes_what_it_has_verified(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sleeps between its hash and its copy for longer than its lease; the next one sees other bytes and refuses."""
    async with make_platform(capabilities=VERDICTS[1]) as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        at_copy, go_on = asyncio.Event(), asyncio.Event()
        published: list[bytes] = []
        original = BucketObjects.copy

        async def asleep(self: BucketObjects, source: str, destination: str, **options: Any) -> str:
            if not destination.startswith("uploads/"):
                return await original(self, source, destination, **options)
            at_copy.set()
            await go_on.wait()
            etag = await original(self, source, destination, **options)
            published.append(await self.read_head(destination, if_match=etag, length=10_000))
            return etag

        monkeypatch.setattr(BucketObjects, "copy", asleep)
        # As if the process were frozen: the lease is not renewed.
        monkeypatch.setattr(MediaRepository, "renew_lease", lambda *_: asyncio.sleep(0, True))
        slow = asyncio.create_task(alice.confirm(ticket["media_id"]))
        await at_copy.wait()
        await platform.change(ticket["media_id"], "lease_until = now() - interval '1 second'")
        await alice.put(ticket, OTHERS)
        assert (await alice.confirm(ticket["media_id"])).status_code == 422
        go_on.set()
        assert (await slow).status_code == 422
        assert published == [PICTURE.content]
        assert await platform.keys() == []


@pytest.mark.promise(6)
async def test_what_a_dead_try_has_set_aside_is_swept(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_platform(capabilities=VERDICTS[1]) as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        await leave_behind(platform, alice, ticket["media_id"], monkeypatch)
        left = [key for key in await platform.keys() if key.endswith(".verified")]
        assert len(left) == 1
        assert (await alice.confirm(ticket["media_id"])).status_code == 200
        later = utc_now() + timedelta(hours=2)
        monkeypatch.setattr(platform.reaper, "_now", lambda: later)
        assert await platform.sweep() == 1
        assert await platform.keys("pending/") == []


async def leave_behind(platform: Platform, alice: UploadClient, media_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try that dies with what it has set aside: its removal does not happen, and its lease runs out."""
    with monkeypatch.context() as dead:
        dead.setattr(BucketObjects, "stream", lambda *_, **__: broken())
        dead.setattr(BucketObjects, "delete", lambda *_: asyncio.sleep(0))
        assert (await alice.confirm(media_id)).status_code == 500
    await platform.change(media_id, "lease_until = NULL, lease_owner = NULL")


async def broken() -> Any:
    raise RuntimeError("killed")
    yield b""
