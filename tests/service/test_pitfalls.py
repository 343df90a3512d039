"""The pitfalls of direct uploads, P1 to P12, each attacked on the real service, store and database.

P13 to P26, and those that are not the service's, are in test_pitfalls_around.py. Each test here is the short and
direct attack; what else follows from the design is tested with the code that it is about.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.objects import BucketObjects

GOOD = File(b"good bytes" * 100)
EVIL = b"evil bytes" * 100
STALE = "expires_at = now() - interval '1 second'"


@pytest.mark.parametrize(("integrity", "store_says"), [("Verified", 200), ("Signed", 400)])
async def test_p01_swap_after_confirm(make_platform: MakePlatform, integrity: str, store_says: int) -> None:
    async with make_platform(uploads={"integrity": integrity}) as platform:
        alice = platform.user()
        ticket = await alice.begin(GOOD)
        media = (await alice.confirm(ticket["media_id"])).json()
        swapped = await alice.put(ticket, EVIL)
        assert swapped.status_code == store_says, "the URL still works; Signed: for the announced bytes only"
        assert urlsplit(ticket["upload_url"]).path != urlsplit(media["url"]).path, "the served key was never signed"
        for again in (media, (await alice.confirm(ticket["media_id"])).json(), (await alice.initiate(GOOD)).json()):
            assert (await alice.download(again.get("url") or again["cdn_url"])).content == GOOD.content


@pytest.mark.parametrize(("integrity", "required"), [
    ("Verified", {"host", "content-length", "content-type"}),
    ("Signed", {"host", "content-length", "content-type", "x-amz-checksum-sha256", "if-none-match"}),
])  # fmt: skip
async def test_p02_signed_headers_silently_unsigned(
    make_platform: MakePlatform, integrity: str, required: set[str]
) -> None:
    async with make_platform(uploads={"integrity": integrity}) as platform:
        alice = platform.user()
        batch = (await alice.call("POST", "/api/media/upload/initiate/batch", {"files": [GOOD.announcement()]})).json()
        for ticket in ((await alice.initiate(GOOD)).json(), batch["results"][0]):
            [signed] = parse_qs(urlsplit(ticket["upload_url"]).query)["X-Amz-SignedHeaders"]
            assert set(signed.split(";")) == required
            for left_out in ticket["headers"]:
                others = {name: value for name, value in ticket["headers"].items() if name != left_out}
                refused = await alice.store.put(ticket["upload_url"], content=GOOD.content, headers=others)
                assert refused.status_code in (400, 403), left_out
        assert await platform.keys() == []


async def test_p03_a_checksum_that_the_store_does_not_tell_is_no_match(alice: UploadClient, platform: Platform) -> None:
    ticket = (await alice.initiate(GOOD)).json()
    claimed = {**ticket["headers"], "x-amz-meta-sha256": GOOD.sha256}
    assert (await alice.put(ticket, EVIL, claimed)).status_code == 403, "what is not signed may not be claimed"
    assert (await alice.put(ticket, EVIL)).status_code == 200
    assert (await platform.objects.head(f"pending/{ticket['media_id']}")).sha256 is None, "the store tells none"
    refused = await alice.confirm(ticket["media_id"])
    assert refused.status_code == 422
    assert GOOD.sha256 in refused.json()["detail"]
    assert await platform.keys() == []


@pytest.mark.parametrize("sent", [b"", b"x", GOOD.content[:-1], GOOD.content + b"x", GOOD.content * 100], ids=len)
async def test_p04_size_lie(alice: UploadClient, platform: Platform, sent: bytes) -> None:
    ticket = (await alice.initiate(GOOD)).json()
    assert (await alice.put(ticket, sent)).status_code == 403, "the store itself refuses"
    assert (await alice.confirm(ticket["media_id"])).status_code == 409
    # A store that did not look: the service does, and keeps nothing.
    await platform.objects.put(f"pending/{ticket['media_id']}", sent, "image/png")
    refused = await alice.confirm(ticket["media_id"])
    assert refused.status_code == 422
    assert refused.json()["detail"] == f"the file has {len(sent)} bytes, but {len(GOOD.content)} were announced"
    assert await platform.keys() == []


@pytest.mark.parametrize("size", [0, -1, 5 * 1024**3 + 1, 2**53, 2**63])
async def test_p04_no_size_that_cannot_be_put_is_signed(make_platform: MakePlatform, size: int) -> None:
    async with make_platform(uploads={"maxBytes": 5 * 1024**4}) as platform:
        assert (await platform.user().initiate(GOOD, file_size=size)).status_code == 400


async def test_p05_type_lie(make_platform: MakePlatform) -> None:
    """A page in the clothes of a picture: not stored as a page, and never served as one."""
    page = File(b"<!doctype html><script>alert(1)</script>", "page.png", as_is=True)
    async with make_platform() as platform:
        alice = platform.user()
        ticket = (await alice.initiate(page)).json()
        for lie in ("text/html", "image/svg+xml", "image/png; charset=x", "IMAGE/PNG"):
            assert (await alice.put(ticket, page.content, {"Content-Type": lie}, as_is=True)).status_code == 403
        assert (await alice.put(ticket, page.content, as_is=True)).status_code == 200, "as image/png, as announced"
        refused = await alice.confirm(ticket["media_id"])
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:mediabucket:problem:upload-mismatch")
        assert "image/png" in refused.json()["detail"]
        assert await platform.keys() == []
        assert (await alice.initiate(page, mime_type="text/html")).status_code == 400
        media = await alice.upload(GOOD)
        for lie in ("response-content-type=text%2Fhtml", "response-content-disposition=inline"):
            assert (await alice.download(f"{media['url']}&{lie}")).status_code == 403
        replaced = media["url"].replace("image%2Fpng", "text%2Fhtml")
        assert replaced != media["url"]
        assert (await alice.download(replaced)).status_code == 403


@pytest.mark.parametrize("mime_type", ["text/html", "image/svg+xml", "application/xml"])
async def test_p05_what_could_run_is_offered_for_download(make_platform: MakePlatform, mime_type: str) -> None:
    async with make_platform(uploads={"allowedMimeTypes": [mime_type]}) as platform:
        media = await platform.user().upload(File(b"<svg onload='alert(1)'/>", "x.svg", mime_type))
        download = await platform.user().download(media["url"])
        assert download.headers["content-disposition"].startswith("attachment;")


@pytest.mark.parametrize("ending", ["expired", "cancelled", "refused"])
async def test_p06_late_put(alice: UploadClient, platform: Platform, ending: str) -> None:
    """The bytes land after the upload has ended: the record stays as it was, the bytes do not stay."""
    ticket = (await alice.initiate(GOOD)).json()
    if ending == "refused":
        await alice.put(ticket, EVIL)
        assert (await alice.confirm(ticket["media_id"])).status_code == 422
    elif ending == "cancelled":
        assert (await alice.delete(ticket["media_id"])).status_code == 204
    else:
        await platform.change(ticket["media_id"], STALE)
    await platform.reaper.clean_up()
    before = await platform.row(ticket["media_id"])
    assert (await alice.put(ticket, GOOD.content)).status_code == 200
    assert (await alice.confirm(ticket["media_id"])).status_code in (410, 422)
    platform.reaper._floor = timedelta(seconds=-5)
    assert await platform.sweep() == 1
    assert await platform.keys() == []
    assert await platform.row(ticket["media_id"]) == before


@pytest.mark.parametrize("first", ["sweeper", "confirm", "neither"])
async def test_p07_sweeper_against_confirm(alice: UploadClient, platform: Platform, first: str) -> None:
    """Either it is completed and its bytes are there, or it is expired and they are not; both at once, often."""
    for number in range(1 if first != "neither" else 12):
        ticket = await alice.begin(File(b"%d" % number))
        await platform.change(ticket["media_id"], STALE)

        async def sweep(pause: float, media_id: str = ticket["media_id"]) -> None:
            if first == "confirm":
                await taken(platform, media_id)
            await asyncio.sleep(pause)
            await platform.reaper.clean_up()

        if first == "sweeper":
            await sweep(0)
        answer, _ = await asyncio.gather(alice.confirm(ticket["media_id"]), sweep(number % 4 * 0.002))
        row = await platform.row(ticket["media_id"])
        kept = [key for key in await platform.keys() if ticket["media_id"] in key]
        expected = (200, "completed", [row["file_path"]]) if answer.status_code == 200 else (410, "expired", [])
        assert (answer.status_code, row["status"], kept) == expected
        assert first == "neither" or row["status"] == {"sweeper": "expired", "confirm": "completed"}[first]


async def taken(platform: Platform, media_id: str) -> None:
    """Until a confirm owns it, or is done with it."""
    while (row := await platform.row(media_id))["status"] == "pending" and row["lease_owner"] is None:
        await asyncio.sleep(0.001)


async def test_p08_double_confirm(alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 confirms, one publication, one answer; and no transaction is open while the store works."""
    ticket = await alice.begin(GOOD)
    copied: list[str] = []
    held: set[str] = set()
    copy = BucketObjects.copy

    async def watched(self: BucketObjects, source: str, destination: str, **options: Any) -> Any:
        copied.append(destination)
        held.update(await held_transactions(platform))
        return await copy(self, source, destination, **options)

    monkeypatch.setattr(BucketObjects, "copy", watched)
    answers = await asyncio.gather(*(alice.confirm(ticket["media_id"]) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    views = [{name: value for name, value in answer.json().items() if not name.startswith("url")} for answer in answers]
    assert all(view == views[0] for view in views)
    assert len([destination for destination in copied if destination.startswith("uploads/")]) == 1
    assert held == set()


async def held_transactions(platform: Platform) -> set[str]:
    """Transactions of this database that stay open without being used; one between two statements does not."""
    held = await idle_transactions(platform)
    patience_ends = time.monotonic() + 2
    while held and time.monotonic() < patience_ends:
        await asyncio.sleep(0.02)
        held &= await idle_transactions(platform)
    return held


async def idle_transactions(platform: Platform) -> set[str]:
    query = (
        "SELECT coalesce(array_agg(pid || ' since ' || xact_start), '{}') AS idle FROM pg_stat_activity"
        " WHERE datname = current_database() AND state LIKE 'idle in transaction%%'"
    )
    found = await platform.database.fetch_one(query, {})
    assert found is not None
    return set(found["idle"])


async def test_p09_confirm_before_the_bytes_and_answers_lost(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"integrity": "Signed"}) as platform:
        alice = platform.user()
        ticket = (await alice.initiate(GOOD)).json()
        early = await alice.confirm(ticket["media_id"])
        assert (early.status_code, early.json()["type"]) == (409, "urn:mediabucket:problem:upload-missing")
        assert int(early.headers["retry-after"]) >= 1
        assert (await alice.put(ticket, GOOD.content)).status_code == 200
        assert (await alice.put(ticket, GOOD.content)).status_code == 412, "its answer was lost: confirm now"
        first, second = [(await alice.confirm(ticket["media_id"])) for _ in range(2)]
        assert first.status_code == second.status_code == 200


async def test_p10_dedup_on_unconfirmed_rows(alice: UploadClient, platform: Platform) -> None:
    """What is not completed, or no longer, is never said to exist."""
    announced = (await alice.initiate(GOOD)).json()
    assert (await alice.initiate(GOOD)).json()["exists"] is False, "announced only"
    await alice.put(announced, GOOD.content)
    assert (await alice.initiate(GOOD)).json()["exists"] is False, "arrived, but not proved"
    media_id = (await alice.confirm(announced["media_id"])).json()["media_id"]
    assert (await alice.initiate(GOOD)).json()["exists"] is True
    await alice.delete(media_id)
    again = (await alice.initiate(GOOD)).json()
    assert (again["exists"], again["media_id"] != media_id) == (False, True)
    await platform.change(again["media_id"], STALE)
    await platform.reaper.clean_up()
    assert (await alice.initiate(GOOD)).json()["exists"] is False


async def test_p11_dedup_across_users(alice: UploadClient, bob: UploadClient, platform: Platform) -> None:
    """A hash is no proof of having the file."""
    alices = await alice.upload(GOOD)
    ticket = (await bob.initiate(GOOD)).json()
    assert (ticket["exists"], ticket["media_id"] != alices["media_id"]) == (False, True)
    assert (await bob.confirm(ticket["media_id"])).status_code == 409, "nothing is copied from alice"
    await bob.put(ticket, GOOD.content)
    bobs = (await bob.confirm(ticket["media_id"])).json()
    keys = [(await platform.row(media["media_id"]))["file_path"] for media in (alices, bobs)]
    assert sorted(await platform.keys()) == sorted(keys)
    assert (await alice.delete(alices["media_id"])).status_code == 204
    assert (await bob.download(bobs["url"])).content == GOOD.content


async def test_p12_delete_against_reference_and_dedup(alice: UploadClient) -> None:
    """Delete, send and initiate at once, often: whoever was told that the media is there finds its bytes there."""
    for number in range(10):
        file = File(b"wanted %d" % number)
        media_id = (await alice.upload(file))["media_id"]
        deleted, sent = await asyncio.gather(alice.delete(media_id), alice.send(media_ids=[media_id]))
        assert (deleted.status_code, sent.status_code) in {(204, 404), (204, 410), (409, 200)}
        if sent.status_code == 200:
            assert (await alice.download(sent.json()["media"][0]["url"])).content == file.content
            assert (await alice.initiate(file)).json()["media_id"] == media_id
        else:
            assert (await alice.initiate(file)).json()["exists"] is False
