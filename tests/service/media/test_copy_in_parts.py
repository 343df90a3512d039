"""Files that are too large to be published by one copy; what one copy takes is lowered from 5 GiB to 5 MiB."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from erasing import erase_to_the_end
from part_client import FILM, IN_PARTS, PART, begun, film, hours_pass, open_uploads
from service_platform import PROBED, MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3 import copies
from mediabucket_s3.errors import AccessDenied, StoreUnavailable
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.media.repository import MediaRepository

LOWERED = {"largest_copy_bytes": PART}
# As large, and other bytes.
OTHERS = film(salt=b"others")
LEASED = "lease_owner = gen_random_uuid(), lease_until = now() + interval '1 minute'"
NOT_LEASED = "lease_owner = NULL, lease_until = NULL"


@pytest.fixture
async def platform(make_platform: MakePlatform) -> AsyncIterator[Platform]:
    async with make_platform(settings_changes=LOWERED, uploads=IN_PARTS) as running:
        yield running


def before_part(monkeypatch: pytest.MonkeyPatch, number: int, action: Callable[[], Awaitable[object]]) -> None:
    """Run something right before the `number`-th part is copied, counted over all copies; one by one."""
    original, parts = copies._copy_part, list[str]()

    async def interrupted(client: Any, upload: dict[str, str], copy: copies.Copy, *arguments: Any) -> str:
        parts.append(copy.destination)
        if len(parts) == number:
            await action()
        return await original(client, upload, copy, *arguments)

    monkeypatch.setattr(copies, "_PARALLEL", 1)
    monkeypatch.setattr(copies, "_copy_part", interrupted)


def condition_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """SeaweedFS keeps the condition of a part: it is taken from the requests, as if the store had never read it."""
    original = copies._source

    def unconditional(bucket: str, copy: copies.Copy) -> dict[str, Any]:
        return {"CopySource": original(bucket, copy)["CopySource"]}

    monkeypatch.setattr(copies, "_source", unconditional)


def probed(parts: str) -> dict[str, str]:
    """What a probe has found, with this verdict on copies of parts."""
    return PROBED | {"UploadPartCopy": parts}


async def require_published(user: UploadClient, platform: Platform, media_id: str, file: File = FILM) -> None:
    """It is served whole, with its type and name, and nothing else is left."""
    answer = await user.confirm(media_id)
    assert answer.status_code == 200, answer.text
    download = await user.download(answer.json()["url"])
    assert (download.status_code, download.content) == (200, file.content)
    row = await platform.row(media_id)
    head = await platform.objects.head(row["file_path"])
    assert (head.size, head.content_type, head.etag) == (len(file.content), "video/mp4", row["etag"])
    assert head.content_disposition == "inline; filename*=UTF-8''film.mp4"
    assert await platform.keys() == [row["file_path"]]
    assert await open_uploads(platform) == []


async def require_verified_or_refused(
    user: UploadClient, platform: Platform, media_id: str, *, refused: bool = True
) -> None:
    """The bytes that were announced are published, or, where they may be `refused`, none."""
    answer = await user.confirm(media_id)
    if answer.status_code == 200 or not refused:
        await require_published(user, platform, media_id)
        return
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:mediabucket:problem:upload-mismatch")
    assert await platform.keys() == []
    assert await open_uploads(platform) == []


@pytest.mark.promise(1)
async def test_a_file_above_the_bound_is_published_in_parts(alice: UploadClient, platform: Platform) -> None:
    for file in (FILM, OTHERS):
        ticket = await begun(alice, file)
        await require_published(alice, platform, ticket["media_id"], file)
        assert (await platform.row(ticket["media_id"]))["etag"].endswith("-3")
        assert (await alice.delete(ticket["media_id"])).status_code == 204
    assert await platform.keys() == []


async def test_so_is_one_that_came_in_one_piece(alice: UploadClient, platform: Platform) -> None:
    ticket = await alice.begin(FILM)
    await require_published(alice, platform, ticket["media_id"])
    assert (await platform.row(ticket["media_id"]))["etag"].endswith("-3")


async def test_a_file_at_the_bound_is_not(alice: UploadClient, platform: Platform) -> None:
    file = File(FILM.content[:PART], "film.mp4", "video/mp4")
    ticket = await alice.begin(file)
    await require_published(alice, platform, ticket["media_id"], file)
    assert "-" not in (await platform.row(ticket["media_id"]))["etag"]


@pytest.mark.promise(1)
@pytest.mark.parametrize("ignored", [False, True], ids=["kept", "ignored"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
async def test_bytes_that_arrive_while_parts_are_copied_are_verified_or_refused(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch, number: int, ignored: bool
) -> None:
    ticket = await alice.begin(FILM)
    if ignored:
        condition_is_ignored(monkeypatch)
    before_part(monkeypatch, number, lambda: alice.put(ticket, OTHERS.content))
    await require_verified_or_refused(alice, platform, ticket["media_id"])


@pytest.mark.promise(1)
async def test_a_store_that_ignores_the_condition_of_parts_publishes_what_was_set_aside(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition_is_ignored(monkeypatch)
    for file in (FILM, OTHERS):
        ticket = await begun(alice, file)
        await require_published(alice, platform, ticket["media_id"], file)
        await alice.delete(ticket["media_id"])


@pytest.mark.promise(1)
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("verdict", ["Enforced", "Ignored"])
async def test_what_a_probe_found_of_parts_is_not_asked_again_and_relied_on(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch, verdict: str, number: int
) -> None:
    """Other bytes arrive before the `number`-th part; 0: none do."""

    async def asked(*_: object) -> bool:
        raise AssertionError("it is known")

    monkeypatch.setattr("mediabucket_s3.objects.ignores_condition_of_part", asked)
    if verdict == "Ignored":
        condition_is_ignored(monkeypatch)
    async with make_platform(settings_changes=LOWERED, uploads=IN_PARTS, capabilities=probed(verdict)) as platform:
        alice = platform.user()
        ticket = await alice.begin(FILM)
        before_part(monkeypatch, number, lambda: alice.put(ticket, OTHERS.content))
        await require_verified_or_refused(alice, platform, ticket["media_id"], refused=number > 0)


@pytest.mark.parametrize("multipart", [False, True])
async def test_a_store_that_copies_no_parts_is_sent_no_file_that_it_could_not_publish(
    make_platform: MakePlatform, multipart: bool
) -> None:
    capabilities = probed("Unsupported")
    async with make_platform(settings_changes=LOWERED, uploads=IN_PARTS, capabilities=capabilities) as platform:
        alice = platform.user()
        refused = await alice.initiate(FILM, multipart=multipart)
        assert (refused.status_code, refused.json()["type"]) == (400, "urn:mediabucket:problem:file-too-large")
        assert refused.json()["max_bytes"] == PART
        assert await platform.keys() == []
        at_the_bound = File(FILM.content[:PART], "film.mp4", "video/mp4")
        ticket = await begun(alice, at_the_bound)
        await require_published(alice, platform, ticket["media_id"], at_the_bound)


async def test_a_store_that_fails_a_part_is_asked_again(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await begun(alice)

    async def fail(*_: object) -> str:
        raise StoreUnavailable("UploadPartCopy", "SlowDown", 503)

    with monkeypatch.context() as failing:
        failing.setattr(copies, "_PAUSES_SECONDS", (0.01, 0.01))
        failing.setattr(copies, "_copy_part", fail)
        assert (await alice.confirm(ticket["media_id"])).status_code == 503
    assert await open_uploads(platform) == []
    assert await platform.keys("uploads/") == []
    await require_published(alice, platform, ticket["media_id"])


async def test_a_copy_that_nobody_makes_any_more_is_aborted_by_the_sweep(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await begun(alice)
    row = await platform.row(ticket["media_id"])
    foreign = await platform.objects.create_multipart_upload("uploads/of somebody else", "video/mp4")
    for key in (row["file_path"], f"pending/{row['media_id']}.{row['media_id']}.verified"):
        await platform.objects.create_multipart_upload(key, "video/mp4")
    await platform.change(ticket["media_id"], LEASED)

    async def swept() -> list[str]:
        await platform.sweep()
        return await open_uploads(platform)

    assert len(await swept()) == 4, "too young"
    hours_pass(platform, monkeypatch)
    assert len(await swept()) == 4, "somebody holds the lease: it may be a copy of hours"
    await platform.change(ticket["media_id"], NOT_LEASED)
    assert sorted(await swept()) == sorted([foreign, row["upload_id"]])
    await platform.objects.abort_multipart_upload("uploads/of somebody else", foreign)
    await require_published(alice, platform, ticket["media_id"])


async def test_a_verification_of_hours_outlives_its_process(alice: UploadClient, platform: Platform) -> None:
    """Its file does not expire with its lease: who asks next goes on."""
    ticket = await begun(alice)
    await platform.change(ticket["media_id"], f"expires_at = now() - interval '1 hour', {LEASED}")
    repository = MediaRepository(platform.database, platform.connection.bucket, stale_after_seconds=3600)
    file = await repository.find(UUID(ticket["media_id"]), "alice")
    assert file is not None
    assert await repository.renew_lease(file, 30)
    await platform.change(ticket["media_id"], NOT_LEASED)
    await platform.reaper.clean_up()
    await require_published(alice, platform, ticket["media_id"])


async def test_a_copy_that_may_not_be_aborted_keeps_no_other_from_it(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key from before this: the pass has failed, and did what it could."""
    ticket = await begun(alice)
    path = (await platform.row(ticket["media_id"]))["file_path"]
    denied = await platform.objects.create_multipart_upload(path, "video/mp4")
    await platform.objects.create_multipart_upload(path, "video/mp4")
    hours_pass(platform, monkeypatch)
    abort = BucketObjects.abort_multipart_upload

    async def choosy(self: BucketObjects, key: str, upload_id: str) -> None:
        if upload_id == denied:
            raise AccessDenied("AbortMultipartUpload", "AccessDenied", 403)
        await abort(self, key, upload_id)

    with monkeypatch.context() as limited:
        limited.setattr(BucketObjects, "abort_multipart_upload", choosy)
        with pytest.raises(AccessDenied):
            await platform.sweep()
    row = await platform.row(ticket["media_id"])
    assert sorted(await open_uploads(platform)) == sorted([denied, row["upload_id"]])


@pytest.mark.parametrize("gone", ["expired", "erased"])
async def test_what_was_copied_for_a_file_that_is_gone_meanwhile_goes_too(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    ticket = await begun(alice)
    whole = copies._etag_of_whole

    async def interrupted(*arguments: Any) -> str:
        etag = await whole(*arguments)
        if gone == "erased":
            await platform.forget(ticket["media_id"])
        else:
            await platform.change(ticket["media_id"], "status = 'expired', bytes_removed_at = now()")
        raise StoreUnavailable("HeadObject", "InternalError", 500, etag)

    monkeypatch.setattr(copies, "_etag_of_whole", interrupted)
    assert (await alice.confirm(ticket["media_id"])).status_code == 503
    assert await platform.keys("uploads/") == []


async def test_an_erasure_aborts_the_copies_of_a_user(alice: UploadClient, platform: Platform) -> None:
    ticket = await begun(alice)
    row = await platform.row(ticket["media_id"])
    await platform.objects.create_multipart_upload(row["file_path"], "video/mp4")
    report = await erase_to_the_end(platform, "alice")
    assert report["media"] == 1
    assert await open_uploads(platform) == []
    assert await platform.keys() == []


@pytest.mark.parametrize("size", [5 * 1024**3 + 1, 5 * 1024**4])
async def test_a_file_above_5_gib_is_taken_in_parts_only(make_platform: MakePlatform, size: int) -> None:
    async with make_platform(uploads={"maxBytes": 5 * 1024**4}) as platform:
        alice = platform.user()
        refused = await alice.initiate(FILM, file_size=size)
        assert (refused.status_code, refused.json()["type"]) == (400, "urn:mediabucket:problem:file-too-large")
        assert "one PUT carries at most 5368709120: initiate it with multipart: true" in refused.json()["detail"]
        assert refused.json()["max_bytes"] == 5 * 1024**3
        ticket = (await alice.initiate(FILM, file_size=size, multipart=True)).json()
        assert sum(part["size"] for part in ticket["parts"]) == size
        assert len(ticket["parts"]) <= 10_000
        assert max(part["size"] for part in ticket["parts"]) <= 5 * 1024**3
    async with make_platform(uploads={"maxBytes": 5 * 1024**4}, capabilities={"Multipart": "Unsupported"}) as platform:
        refused = await platform.user().initiate(FILM, file_size=size, multipart=True)
        assert refused.status_code == 400
        assert refused.json()["detail"].endswith("the store takes no uploads in parts")


async def test_a_batch_refuses_only_what_one_put_cannot_carry(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"maxBytes": 5 * 1024**4}) as platform:
        files = [FILM.announcement(file_size=5 * 1024**3 + 1), OTHERS.announcement()]
        answer = await platform.user().call("POST", "/api/media/upload/initiate/batch", {"files": files})
        assert [item.get("status") for item in answer.json()["results"]] == [400, None]
