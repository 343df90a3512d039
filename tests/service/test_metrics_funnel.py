"""What Prometheus is told of uploads: announced, arrived, and then completed, refused or expired."""

import hashlib
from uuid import UUID

import pytest
from sample_files import dressed
from service_platform import MakePlatform, Platform
from told_metrics import assert_clean, told
from upload_client import File, UploadClient

from mediabucket_s3.errors import StoreUnavailable
from mediabucket_s3.objects import ObjectHead
from mediabucket_service.media.checksum import ChecksumReader, HashedObject
from mediabucket_service.media.keys import pending_key
from mediabucket_service.media.models import MediaFile

PICTURE = File(b"a picture" * 100)
OTHER = File(b"b picture" * 100)
UPLOADS = "mediabucket_uploads_total"
FAILURES = "mediabucket_upload_failures_total"


async def test_the_funnel_of_an_upload_that_ends_well(alice: UploadClient, platform: Platform) -> None:
    before = await told(platform.http)
    # `increase()` sees nothing of a counter that begins with one.
    assert before.of(UPLOADS, outcome="arrived", media_type="image") == 0
    assert before.of(FAILURES, reason="checksum", media_type="video") == 0
    ticket = await alice.begin(PICTURE)
    assert (await told(platform.http)).of(UPLOADS, outcome="arrived") == 0
    await platform.change(ticket["media_id"], "uploaded_at = now() - interval '40 seconds'")
    for _ in range(2):
        assert (await alice.confirm(ticket["media_id"])).status_code == 200
    after = await told(platform.http)
    for outcome in ("initiated", "arrived", "completed"):
        assert after.of(UPLOADS, outcome=outcome) == after.of(UPLOADS, outcome=outcome, media_type="image") == 1
    assert after.of("mediabucket_upload_completed_bytes_total", media_type="image") == len(PICTURE.content)
    assert after.of("mediabucket_upload_duration_seconds_count", media_type="image") == 1
    assert 40 <= after.of("mediabucket_upload_duration_seconds_sum", media_type="image") < 50
    assert after.of(FAILURES) == 0


async def test_every_refusal_has_its_reason(alice: UploadClient, platform: Platform) -> None:
    async def refused(content: bytes, content_type: str = "image/png", name: bytes = b"") -> None:
        file = File(name * 100)
        ticket = (await alice.initiate(file, file_size=len(PICTURE.content))).json()
        # Past the signed URL: stores that enforce it would not let these in.
        await platform.objects.put(pending_key(UUID(ticket["media_id"])), content, content_type)
        assert (await alice.confirm(ticket["media_id"])).status_code == 422

    await refused(PICTURE.content + b"longer", name=b"size")
    await refused(PICTURE.content, "image/gif", name=b"type")
    await refused(OTHER.content, name=b"checksum")
    pretended = File(b"no picture at all", as_is=True)
    begun = await alice.begin(pretended)
    assert (await alice.confirm(begun["media_id"])).status_code == 422
    early = (await alice.initiate(OTHER)).json()
    for _ in range(3):
        assert (await alice.confirm(early["media_id"])).status_code == 409

    after = await told(platform.http)
    reasons = {reason: after.of(FAILURES, reason=reason) for reason in after.labels(FAILURES, "reason")}
    assert {reason: many for reason, many in reasons.items() if many} == {
        "size": 1, "type": 2, "checksum": 1, "missing": 3,
    }  # fmt: skip
    assert after.of(UPLOADS, outcome="arrived") == after.of(UPLOADS, outcome="failed") == 4


async def test_bytes_arrive_once_however_often_their_confirm_is_repeated(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> HashedObject:
        raise StoreUnavailable("CopyObject", "ServiceUnavailable", 503)

    ticket = await alice.begin(PICTURE)
    monkeypatch.setattr(ChecksumReader, "read", unavailable)
    for _ in range(2):
        assert (await alice.confirm(ticket["media_id"])).status_code == 503
    waiting = await told(platform.http)
    assert (waiting.of(UPLOADS, outcome="arrived"), waiting.of(UPLOADS, outcome="completed")) == (1, 0)
    monkeypatch.undo()
    assert (await alice.confirm(ticket["media_id"])).status_code == 200
    after = await told(platform.http)
    assert (after.of(UPLOADS, outcome="arrived"), after.of(UPLOADS, outcome="completed")) == (1, 1)
    assert after.of(FAILURES, reason="store", media_type="image") == after.of(FAILURES) == 2


async def test_a_refusal_that_comes_too_late_neither_counts_nor_removes_anything(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process stalls with wrong bytes in its hands; meanwhile the right ones are uploaded and confirmed."""
    ticket = (await alice.initiate(PICTURE)).json()
    await alice.put(ticket, dressed(OTHER.content, "image/png"), as_is=True)
    read, stalls = ChecksumReader.read, [True]

    async def stalling(self: ChecksumReader, file: MediaFile, head: ObjectHead) -> HashedObject:
        found = await read(self, file, head)
        if stalls.pop() if stalls else False:
            await platform.change(ticket["media_id"], "lease_until = now() - interval '1 second'")
            await alice.put(ticket, PICTURE.content, as_is=True)
            assert (await alice.confirm(ticket["media_id"])).status_code == 200
        return found

    monkeypatch.setattr(ChecksumReader, "read", stalling)
    late = await alice.confirm(ticket["media_id"])
    assert (late.status_code, late.json()["status"]) == (200, "completed")
    assert (await alice.download(late.json()["url"])).content == PICTURE.content
    after = await told(platform.http)
    assert (after.of(UPLOADS, outcome="completed"), after.of(UPLOADS, outcome="failed")) == (1, 0)


async def test_two_that_complete_one_upload_count_it_once(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await alice.begin(PICTURE)
    read, stalls = ChecksumReader.read, [True]

    async def stalling(self: ChecksumReader, file: MediaFile, head: ObjectHead) -> HashedObject:
        found = await read(self, file, head)
        if stalls.pop() if stalls else False:
            await platform.change(ticket["media_id"], "lease_until = now() - interval '1 second'")
            assert (await alice.confirm(ticket["media_id"])).status_code == 200
            # As if the second one had not cleaned up yet.
            await platform.objects.put(found.key, PICTURE.content, "image/png")
        return found

    monkeypatch.setattr(ChecksumReader, "read", stalling)
    assert (await alice.confirm(ticket["media_id"])).status_code in (200, 409)
    after = await told(platform.http)
    assert after.of(UPLOADS, outcome="completed") == 1
    assert after.of("mediabucket_upload_completed_bytes_total") == len(PICTURE.content)


async def test_nothing_private_is_a_label_and_promtool_finds_no_fault(make_platform: MakePlatform) -> None:
    async with make_platform(settings_changes={"reaper_interval_seconds": 0.1}) as platform:
        alice = platform.user("alice-the-private")
        media = await alice.upload(File(b"a picture", name="holiday-secret.png"))
        await alice.send(media_ids=[media["media_id"]], text="private words")
        late = (await alice.initiate(OTHER, checksum=hashlib.sha256(b"?").hexdigest())).json()
        await alice.put(late, OTHER.content)
        await alice.confirm(late["media_id"])
        expired = await alice.begin(File(b"forgotten"))
        await platform.change(expired["media_id"], "expires_at = now() - interval '1 second'")
        await platform.reaper.clean_up()
        await alice.call("GET", "/nowhere/holiday-secret.png?token=alice-the-private")
        found = await told(platform.http)
        connection = platform.connection
    private = [
        *("alice-the-private", "holiday-secret", "private words", "nowhere", "pending/"),
        *(one["media_id"] for one in (media, late, expired)),
        *(connection.bucket, connection.store.access_key_id, connection.store.secret_access_key.get_secret_value()),
        *(alice.headers["Authorization"].split(".")[1], "X-Amz-Signature", "127.0.0.1"),
    ]
    # Sentences about a metric may say where it looks.
    series = "\n".join(line for line in found.text.splitlines() if not line.startswith("#"))
    assert [word for word in private if word in series] == []
    assert_clean(found)
