"""No multipart upload outlives its file: refused, cancelled, expired, orphaned by a crash or a lost race."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from part_client import FILM, IN_PARTS, begin, begun, hours_pass, open_uploads, piece, put_part, put_parts
from service_platform import MakePlatform, Platform
from upload_client import UploadClient

from mediabucket_s3.errors import PreconditionFailed, StoreUnavailable
from mediabucket_s3.objects import BucketObjects, UploadedPart
from mediabucket_service.media.multipart_repository import MultipartRepository

STALE = "expires_at = now() - interval '1 second'"


@pytest.fixture
async def platform(make_platform: MakePlatform) -> AsyncIterator[Platform]:
    async with make_platform(uploads=IN_PARTS) as running:
        yield running


async def test_a_cancelled_upload_is_aborted(alice: UploadClient, platform: Platform) -> None:
    ticket = await begun(alice)
    assert (await alice.delete(ticket["media_id"])).status_code == 204
    assert await open_uploads(platform) == []
    assert (await put_part(alice, ticket["parts"][0], piece(FILM, 1))).status_code == 404
    assert (await platform.row(ticket["media_id"]))["bytes_removed_at"] is not None
    assert (await alice.delete(ticket["media_id"])).status_code == 204


async def test_an_expired_upload_is_aborted(alice: UploadClient, platform: Platform) -> None:
    ticket = await begin(alice)
    await put_parts(alice, ticket, numbers=[1])
    await platform.change(ticket["media_id"], STALE)
    await platform.reaper.clean_up()
    assert await open_uploads(platform) == []
    assert await platform.keys() == []
    assert (await alice.confirm(ticket["media_id"])).status_code == 410


async def test_aborting_is_retried_until_the_store_answers(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await begun(alice)

    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("AbortMultipartUpload", "ServiceUnavailable", 503)

    monkeypatch.setattr(BucketObjects, "abort_multipart_upload", unavailable)
    assert (await alice.delete(ticket["media_id"])).status_code == 204
    assert (await platform.row(ticket["media_id"]))["bytes_removed_at"] is None
    monkeypatch.undo()
    assert len(await open_uploads(platform)) == 1
    await platform.reaper.clean_up()
    assert await open_uploads(platform) == []
    assert (await platform.row(ticket["media_id"]))["bytes_removed_at"] is not None


async def test_an_upload_already_aborted_is_no_obstacle(alice: UploadClient, platform: Platform) -> None:
    ticket = await begin(alice)
    [upload_id] = await open_uploads(platform)
    await platform.objects.abort_multipart_upload(f"pending/{ticket['media_id']}", upload_id)
    await platform.change(ticket["media_id"], STALE)
    await platform.reaper.clean_up()
    assert (await platform.row(ticket["media_id"]))["bytes_removed_at"] is not None


async def test_only_uploads_that_no_pending_file_has_are_swept(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that its uploader comes back to may be older than any floor."""
    live = await begun(alice)
    orphan = await platform.objects.create_multipart_upload(f"pending/{live['media_id']}", "video/mp4")
    await platform.objects.create_multipart_upload("pending/not an id", "video/mp4")
    assert await platform.sweep() == 0, "young uploads may be about to be claimed"
    assert len(await open_uploads(platform)) == 3
    hours_pass(platform, monkeypatch)
    assert await platform.sweep() == 2
    [kept] = await open_uploads(platform)
    assert kept == (await platform.row(live["media_id"]))["upload_id"] != orphan
    assert (await alice.confirm(live["media_id"])).status_code == 200


async def test_a_crash_before_the_claim_leaves_an_upload_that_is_swept(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object) -> bool:
        raise ConnectionResetError("the process is gone")

    monkeypatch.setattr(MultipartRepository, "claim", dies)
    assert (await alice.initiate(FILM, multipart=True)).status_code == 500
    monkeypatch.undo()
    [orphan] = await open_uploads(platform)
    ticket = await begun(alice)
    assert (await platform.row(ticket["media_id"]))["upload_id"] != orphan
    hours_pass(platform, monkeypatch)
    assert await platform.sweep() == 1
    assert orphan not in await open_uploads(platform)
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_who_loses_the_race_aborts_its_own_upload(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both begin an upload before either claims one."""
    create = BucketObjects.create_multipart_upload
    both = asyncio.Barrier(2)
    begun_uploads: list[str] = []

    async def together(self: BucketObjects, *arguments: Any, **options: Any) -> str:
        upload_id = await create(self, *arguments, **options)
        begun_uploads.append(upload_id)
        await both.wait()
        return upload_id

    monkeypatch.setattr(BucketObjects, "create_multipart_upload", together)
    first, second = await asyncio.gather(begin(alice), begin(alice))
    assert len(begun_uploads) == 2
    row = await platform.row(first["media_id"])
    assert await open_uploads(platform) == [row["upload_id"]]
    for ticket in (first, second):
        assert all(row["upload_id"] in part["upload_url"] for part in ticket["parts"])


async def test_a_file_cancelled_while_its_upload_begins_keeps_none(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = BucketObjects.create_multipart_upload

    async def cancelled(self: BucketObjects, key: str, *arguments: Any, **options: Any) -> str:
        upload_id = await create(self, key, *arguments, **options)
        assert (await alice.delete(key.removeprefix("pending/"))).status_code == 204
        return upload_id

    monkeypatch.setattr(BucketObjects, "create_multipart_upload", cancelled)
    answer = await alice.initiate(FILM, multipart=True)
    assert answer.status_code == 409
    assert await open_uploads(platform) == []


async def test_a_failing_store_at_initiate_is_told_and_can_be_tried_again(
    alice: UploadClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object, **__: object) -> str:
        raise StoreUnavailable("CreateMultipartUpload", "ServiceUnavailable", 503)

    monkeypatch.setattr(BucketObjects, "create_multipart_upload", unavailable)
    refused = await alice.initiate(FILM, multipart=True)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    monkeypatch.undo()
    ticket = await begun(alice)
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


@pytest.mark.parametrize("completed_first", [True, False], ids=["after Complete", "before Complete"])
async def test_a_confirm_that_failed_at_complete_goes_on(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch, completed_first: bool
) -> None:
    """The answer of CompleteMultipartUpload is lost, and with it whether it was done."""
    complete = BucketObjects.complete_multipart_upload

    async def lost(self: BucketObjects, key: str, upload_id: str, parts: list[UploadedPart]) -> None:
        if completed_first:
            await complete(self, key, upload_id, parts)
        raise StoreUnavailable("CompleteMultipartUpload", "RequestTimeout", None, "no answer")

    ticket = await begun(alice)
    monkeypatch.setattr(BucketObjects, "complete_multipart_upload", lost)
    assert (await alice.confirm(ticket["media_id"])).status_code == 503
    monkeypatch.undo()
    assert (await platform.row(ticket["media_id"]))["lease_owner"] is None
    assert (await alice.confirm(ticket["media_id"])).status_code == 200
    assert await open_uploads(platform) == []


async def test_a_part_that_changes_during_confirm_is_listed_again(
    alice: UploadClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers InvalidPart; SeaweedFS would take the part as it was listed."""
    complete = BucketObjects.complete_multipart_upload
    refusals = [PreconditionFailed("CompleteMultipartUpload", "InvalidPart", 400)]

    async def refuses_once(self: BucketObjects, key: str, upload_id: str, parts: list[UploadedPart]) -> None:
        if refusals:
            raise refusals.pop()
        await complete(self, key, upload_id, parts)

    ticket = await begun(alice)
    monkeypatch.setattr(BucketObjects, "complete_multipart_upload", refuses_once)
    assert (await alice.confirm(ticket["media_id"])).status_code == 200
    assert refusals == []
