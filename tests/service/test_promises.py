"""The promises of the project that the service keeps, each by its number. Promise 6 is in test_kill.py."""

import tracemalloc
from datetime import timedelta
from typing import Any

import httpx
import pytest
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.objects import STREAM_CHUNK_BYTES, BucketObjects

PICTURE = File(b"a picture" * 100)
FILM = File(bytes(range(256)) * (128 * 1024), "film.mp4", "video/mp4")


@pytest.mark.promise(1)
async def test_promise_1_published_once_verified_immutable(alice: UploadClient, platform: Platform) -> None:
    """After confirm no URL ever handed out, in whatever way it is used, changes the bytes that are served."""
    ticket = await alice.begin(PICTURE)
    refreshed = (await alice.initiate(PICTURE)).json()
    assert not [key for key in await platform.keys() if key.startswith("uploads/")], "nothing before confirm"
    media = (await alice.confirm(ticket["media_id"])).json()
    view = (await alice.get(ticket["media_id"])).json()
    redirect = await alice.call("GET", f"/api/media/{ticket['media_id']}/content")

    evil = b"b picture" * 100
    urls = [ticket["upload_url"], refreshed["upload_url"], media["url"], view["url"], redirect.headers["location"]]
    for url in urls:
        for method in ("PUT", "POST", "DELETE"):
            answer = await platform.store.request(method, url, content=evil, headers={"Content-Type": "image/png"})
            assert answer.status_code < 500
    assert (await alice.confirm(ticket["media_id"])).status_code == 200
    for url in (media["url"], (await alice.get(ticket["media_id"])).json()["url"]):
        assert (await alice.download(url)).content == PICTURE.content


@pytest.mark.promise(1)
async def test_promise_1_nothing_is_published_that_was_refused(alice: UploadClient, platform: Platform) -> None:
    for number, stored in enumerate((b"x" * 900, b"y" * 900)):
        ticket = (await alice.initiate(File(b"%d" % number * 900))).json()
        await alice.put(ticket, stored)
        assert (await alice.confirm(ticket["media_id"])).status_code == 422
    assert await platform.keys("uploads/") == []


@pytest.mark.promise(2)
async def test_promise_2_no_upload_byte_passes_through_the_service(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 MiB are uploaded; the service gets a few hundred bytes from the client and none of the file from the store."""
    sent_to_service = 0

    async def count(request: httpx.Request) -> None:
        nonlocal sent_to_service
        sent_to_service += len(request.content)

    def streamed(*_: Any, **__: Any) -> None:
        raise AssertionError("the service read the file")

    monkeypatch.setattr(BucketObjects, "stream", streamed)
    async with make_platform(uploads={"integrity": "Signed"}) as platform:
        platform.http.event_hooks["request"].append(count)
        media = await platform.user().upload(FILM)
        assert media["status"] == "completed"
    assert 0 < sent_to_service < 500


@pytest.mark.promise(2)
async def test_promise_2_hashing_for_a_store_that_cannot_is_bounded(make_platform: MakePlatform) -> None:
    """The one exception: a store that cannot hash. The service streams 32 MiB with a few MiB of memory."""
    async with make_platform() as platform:
        alice = platform.user()
        ticket = await alice.begin(FILM)
        tracemalloc.start()
        try:
            answer = await alice.confirm(ticket["media_id"])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answer.status_code == 200
    assert peak < 6 * STREAM_CHUNK_BYTES


@pytest.mark.promise(4)
async def test_promise_4_every_upload_ends(alice: UploadClient, platform: Platform) -> None:
    """Uploads end in every way there is; afterwards the bucket holds the completed ones and nothing else."""
    completed = await alice.upload(File(b"completed"))
    refused = (await alice.initiate(File(b"refused"))).json()
    await alice.put(refused, b"REFUSED")
    await alice.confirm(refused["media_id"])
    cancelled = await alice.begin(File(b"cancelled"))
    await alice.delete(cancelled["media_id"])
    deleted = await alice.upload(File(b"deleted"))
    await alice.delete(deleted["media_id"])
    abandoned = await alice.begin(File(b"abandoned"))
    never_put = (await alice.initiate(File(b"never put"))).json()
    for ticket in (abandoned, never_put):
        await platform.change(ticket["media_id"], "expires_at = now() - interval '1 second'")
    await platform.reaper.clean_up()
    # PUTs that land after the end: their URLs were good when the requests started.
    for late, content in ((abandoned, b"abandoned"), (refused, b"refused"), (cancelled, b"cancelled")):
        assert (await alice.put(late, content)).status_code == 200

    platform.reaper._floor = timedelta(seconds=-5)
    await platform.sweep()
    states = {
        ticket["media_id"]: (await platform.row(ticket["media_id"]))["status"]
        for ticket in (completed, refused, cancelled, deleted, abandoned, never_put)
    }
    assert list(states.values()) == ["completed", "failed", "expired", "deleted", "expired", "expired"]
    assert await platform.keys() == [(await platform.row(completed["media_id"]))["file_path"]]
