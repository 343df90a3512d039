"""POST /api/media/{id}/confirm: verified, published once, the same answer for ever."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.errors import StoreUnavailable
from mediabucket_s3.objects import BucketObjects

PICTURE = File(b"a picture" * 100)


async def test_a_confirmed_file_is_served_as_it_was_uploaded(alice: UploadClient, platform: Platform) -> None:
    media = await alice.upload(PICTURE)
    assert media["status"] == "completed"
    assert media["checksum"] == PICTURE.sha256
    download = await alice.download(media["url"])
    assert download.content == PICTURE.content
    assert download.headers["content-type"] == "image/png"
    assert download.headers["content-disposition"] == "inline; filename*=UTF-8''picture.png"
    row = await platform.row(media["media_id"])
    assert await platform.keys() == [row["file_path"]]
    assert row["file_path"].startswith(f"uploads/{row['uploaded_at']:%Y/%m}/alice/{media['media_id']}.png")


async def test_confirm_before_the_bytes_have_arrived_can_be_repeated(alice: UploadClient) -> None:
    ticket = (await alice.initiate(PICTURE)).json()
    early = await alice.confirm(ticket["media_id"])
    assert early.status_code == 409
    assert early.json()["type"] == "urn:mediabucket:problem:upload-missing"
    assert early.headers["retry-after"] == "1"
    await alice.put(ticket, PICTURE.content)
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_50_concurrent_confirms_publish_once(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = count_calls(monkeypatch, "copy")
    ticket = await alice.begin(PICTURE)
    answers = await asyncio.gather(*(alice.confirm(ticket["media_id"]) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({stable(answer) for answer in answers}) == 1
    assert [key for key in copies if key.startswith("uploads/")] == await platform.keys()


async def test_a_repeated_confirm_gives_the_same_answer(alice: UploadClient) -> None:
    media = await alice.upload(PICTURE)
    again = await alice.confirm(media["media_id"])
    assert again.status_code == 200
    assert stable(again) == stable_view(media)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        pytest.param(b"b picture" * 100, "SHA-256 is", id="other bytes of the same size"),
        pytest.param(b"a pictur3" * 100, "was announced", id="one byte"),
    ],
)
async def test_other_bytes_are_refused_for_good(
    alice: UploadClient, platform: Platform, stored: bytes, told: str
) -> None:
    ticket = (await alice.initiate(PICTURE)).json()
    assert (await alice.put(ticket, stored)).status_code == 200
    refused = await alice.confirm(ticket["media_id"])
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:mediabucket:problem:upload-mismatch"
    assert told in refused.json()["detail"]
    assert await platform.keys() == [], "nothing is published, nothing is kept"
    await alice.put(ticket, PICTURE.content)
    assert (await alice.confirm(ticket["media_id"])).json()["detail"] == refused.json()["detail"]
    assert (await alice.get(ticket["media_id"])).json()["status"] == "failed"


@pytest.mark.parametrize(
    ("content", "mime_type", "told"),
    [
        pytest.param(PICTURE.content[:-1], "image/png", "the file has 899 bytes, but 900 were announced", id="size"),
        pytest.param(
            PICTURE.content,
            "text/html",
            "the file was uploaded as text/html, but image/png was announced",
            id="type",
        ),
    ],
)
async def test_size_and_type_are_checked_even_if_the_store_did_not(
    alice: UploadClient, platform: Platform, content: bytes, mime_type: str, told: str
) -> None:
    ticket = (await alice.initiate(PICTURE)).json()
    await platform.objects.put(f"pending/{ticket['media_id']}", content, mime_type)
    refused = await alice.confirm(ticket["media_id"])
    assert refused.status_code == 422
    assert refused.json()["error"] == told
    assert await platform.keys() == []


async def test_a_refused_file_can_be_uploaded_again(alice: UploadClient) -> None:
    ticket = (await alice.initiate(PICTURE)).json()
    await alice.put(ticket, b"b picture" * 100)
    await alice.confirm(ticket["media_id"])
    assert (await alice.upload(PICTURE))["media_id"] != ticket["media_id"]


async def test_bytes_changed_during_confirm_are_verified_again(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client uploads other bytes between the verification and the copy: the copy is pinned and refuses."""
    ticket = await alice.begin(PICTURE)

    async def overwrite() -> None:
        await alice.put(ticket, b"b picture" * 100)

    before_call(monkeypatch, "copy", overwrite)
    refused = await alice.confirm(ticket["media_id"])
    assert refused.status_code == 422
    assert await platform.keys() == []


async def test_the_same_bytes_completed_twice_share_one_object(alice: UploadClient, platform: Platform) -> None:
    """Two rows for one file exist only when an initiate ran between the two halves of a confirm."""
    ticket = await alice.begin(PICTURE)
    await platform.change(ticket["media_id"], "status = 'failed'")
    original = await alice.upload(PICTURE)
    await platform.objects.put(f"pending/{ticket['media_id']}", PICTURE.content, "image/png")
    await platform.change(ticket["media_id"], "status = 'pending'")

    duplicate = await alice.confirm(ticket["media_id"])
    assert duplicate.status_code == 200
    shared = (await platform.row(original["media_id"]))["file_path"]
    assert await platform.keys() == [shared]

    assert (await alice.delete(original["media_id"])).status_code == 204
    assert (await alice.download(duplicate.json()["url"])).content == PICTURE.content
    assert (await alice.delete(ticket["media_id"])).status_code == 204
    await platform.reaper.clean_up()
    assert await platform.keys() == []


async def test_a_dead_process_loses_its_lease(make_platform: MakePlatform) -> None:
    async with make_platform(settings_changes={"confirm_answer_seconds": 1}) as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        lease = "lease_owner = gen_random_uuid(), lease_until = now() + interval '{}'"
        await platform.change(ticket["media_id"], lease.format("1 hour"))
        busy = await alice.confirm(ticket["media_id"])
        assert busy.status_code == 202
        assert busy.headers["retry-after"] == "2"
        assert busy.json()["status"] == "pending"
        await platform.change(ticket["media_id"], lease.format("-1 second"))
        assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_a_failing_store_leaves_the_upload_pending(alice: UploadClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = await alice.begin(PICTURE)

    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("HeadObject", "ServiceUnavailable", 503, "try later")

    monkeypatch.setattr(BucketObjects, "head", unavailable)
    refused = await alice.confirm(ticket["media_id"])
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    monkeypatch.undo()
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


def stable(answer: httpx.Response) -> str:
    return stable_view(answer.json())


def stable_view(media: dict[str, Any]) -> str:
    """All of a media but its signed URL, which is new each time."""
    return str({name: value for name, value in media.items() if name not in ("url", "url_expires_at")})


def count_calls(monkeypatch: pytest.MonkeyPatch, method: str) -> list[str]:
    """The destinations of all calls of a method of the store from now on."""
    original = getattr(BucketObjects, method)
    seen: list[str] = []

    async def counted(self: BucketObjects, source: str, destination: str, **options: Any) -> Any:
        answer = await original(self, source, destination, **options)
        seen.append(destination)
        return answer

    monkeypatch.setattr(BucketObjects, method, counted)
    return seen


def before_call(monkeypatch: pytest.MonkeyPatch, method: str, action: Callable[[], Any]) -> None:
    """Run something once, right before the first call of a method that publishes."""
    original = getattr(BucketObjects, method)
    waiting = [action]

    async def interrupted(self: BucketObjects, source: str, destination: str, **options: Any) -> Any:
        if waiting and destination.startswith("uploads/"):
            await waiting.pop()()
        return await original(self, source, destination, **options)

    monkeypatch.setattr(BucketObjects, method, interrupted)
