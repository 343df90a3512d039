"""Every upload ends, row and bytes together."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from part_client import IN_PARTS, begin, hours_pass, open_uploads
from service_platform import SWEEPING, MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.errors import AccessDenied, InvalidRequest, StoreUnavailable
from mediabucket_s3.objects import BucketObjects, ListedObject
from mediabucket_service.media.removal_repository import RemovalRepository

PICTURE = File(b"a picture" * 100)
STALE = "expires_at = now() - interval '1 second'"


async def test_an_abandoned_upload_expires_with_its_bytes(alice: UploadClient, platform: Platform) -> None:
    ticket = await alice.begin(PICTURE)
    await platform.change(ticket["media_id"], STALE)
    await platform.reaper.clean_up()
    assert (await alice.get(ticket["media_id"])).json()["status"] == "expired"
    assert await platform.keys() == []
    late = await alice.confirm(ticket["media_id"])
    assert late.status_code == 410
    assert late.json()["type"] == "urn:mediabucket:problem:upload-expired"
    assert (await alice.upload(PICTURE))["media_id"] != ticket["media_id"]


async def test_an_upload_that_is_being_confirmed_does_not_expire(alice: UploadClient, platform: Platform) -> None:
    ticket = await alice.begin(PICTURE)
    lease = "lease_owner = gen_random_uuid(), lease_until = now() + interval '1 minute'"
    await platform.change(ticket["media_id"], f"{STALE}, {lease}")
    await platform.reaper.clean_up()
    assert (await platform.row(ticket["media_id"]))["status"] == "pending"


async def test_initiating_again_keeps_an_upload_alive(alice: UploadClient, platform: Platform) -> None:
    ticket = await alice.begin(PICTURE)
    await platform.change(ticket["media_id"], STALE)
    await alice.initiate(PICTURE)
    await platform.reaper.clean_up()
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_removal_is_retried_until_the_store_answers(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await alice.begin(PICTURE)
    await platform.change(ticket["media_id"], STALE)

    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("DeleteObject", "ServiceUnavailable", 503)

    monkeypatch.setattr(BucketObjects, "delete", unavailable)
    with pytest.raises(StoreUnavailable):
        await platform.reaper.clean_up()
    monkeypatch.undo()
    row = await platform.row(ticket["media_id"])
    assert (row["status"], row["bytes_removed_at"]) == ("expired", None)
    await platform.reaper.clean_up()
    assert (await platform.row(ticket["media_id"]))["bytes_removed_at"] is not None
    assert await platform.keys() == []


async def test_bytes_that_the_store_keeps_keep_no_others_back(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an object under a legal hold: it is asked for again in every pass, and all others go."""
    tickets = [await alice.begin(File(b"file %d" % number)) for number in range(12)]
    held = {f"pending/{ticket['media_id']}" for ticket in tickets[:3]}
    for ticket in tickets:
        await platform.change(ticket["media_id"], STALE)
    await platform.database.execute(
        "INSERT INTO abandoned_copies (bucket, key) VALUES (%(bucket)s, 'uploads/copy')",
        {"bucket": platform.connection.bucket},
    )
    delete = BucketObjects.delete

    async def refused(self: BucketObjects, key: str) -> None:
        if key in held:
            raise AccessDenied("DeleteObject", "AccessDenied", 403)
        await delete(self, key)

    with monkeypatch.context() as holding:
        holding.setattr(BucketObjects, "delete", refused)
        with pytest.raises(AccessDenied):
            await platform.reaper.clean_up()
    assert set(await platform.keys()) == held
    removal = RemovalRepository(platform.database, platform.connection.bucket)
    assert {f"pending/{row.media_id}" for row in await removal.to_remove()} == held
    assert await removal.abandoned_copies() == []
    await platform.reaper.clean_up()
    assert await platform.keys() == []


async def test_orphans_that_the_store_keeps_keep_no_others_back(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_platform(uploads=IN_PARTS) as platform:
        alice = platform.user()
        tickets = [await alice.begin(File(b"file %d" % number)) for number in range(12)]
        for ticket in (*tickets, await begin(alice)):
            await platform.forget(ticket["media_id"])
        assert len(await open_uploads(platform)) == 1
        held = {f"pending/{ticket['media_id']}" for ticket in tickets[:3]}
        delete_every_version = BucketObjects.delete_every_version

        async def refused(self: BucketObjects, key: str) -> None:
            if key in held:
                raise InvalidRequest("DeleteObjectVersion", "ObjectLocked", 400)
            await delete_every_version(self, key)

        hours_pass(platform, monkeypatch)
        monkeypatch.setattr(BucketObjects, "delete_every_version", refused)
        with pytest.raises(InvalidRequest):
            await platform.sweep()
        assert set(await platform.keys()) == held
        assert await open_uploads(platform) == []


async def test_a_copy_left_by_a_dead_confirm_goes_with_the_upload(alice: UploadClient, platform: Platform) -> None:
    ticket = await alice.begin(PICTURE)
    row = await platform.row(ticket["media_id"])
    await platform.objects.put(row["file_path"], PICTURE.content, "image/png")
    await platform.change(ticket["media_id"], STALE)
    await platform.reaper.clean_up()
    assert await platform.keys() == []


async def test_many_replicas_expire_each_upload_once(alice: UploadClient, platform: Platform) -> None:
    for number in range(20):
        ticket = (await alice.initiate(File(b"%d" % number))).json()
        await platform.change(ticket["media_id"], STALE)
    await asyncio.gather(*(platform.reaper.clean_up() for _ in range(5)))
    rows = await platform.database.fetch_all(
        "SELECT status, count(*) AS many FROM media_files WHERE bucket = %(bucket)s GROUP BY status",
        {"bucket": platform.connection.bucket},
    )
    assert rows == [{"status": "expired", "many": 20}]


async def test_bytes_that_land_late_are_swept(make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PUT by a URL that is still alive, after the upload was confirmed: it changes nothing and it does not stay."""
    async with make_platform() as platform:
        alice = platform.user()
        ticket = await alice.begin(PICTURE)
        media = (await alice.confirm(ticket["media_id"])).json()
        live = await alice.begin(File(b"still going on"))
        assert (await alice.put(ticket, b"b picture" * 100)).status_code == 200
        assert await platform.sweep() == 0, "young bytes may belong to an upload under way"

        hours_pass(platform, monkeypatch)
        assert await platform.sweep() == 1
        assert (await alice.download(media["url"])).content == PICTURE.content
        assert f"pending/{live['media_id']}" in await platform.keys()


async def test_a_hashed_copy_that_a_dead_confirm_left_is_swept(
    alice: UploadClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The try that ended the confirm hashed without a copy, and looked for none."""
    await alice.upload(File(b"the first, from which the service learns that this store hashes no copies"))
    ticket = await alice.begin(PICTURE)
    left = f"pending/{ticket['media_id']}.verified"
    await platform.objects.put(left, PICTURE.content, "image/png")
    media = (await alice.confirm(ticket["media_id"])).json()
    assert await platform.keys("pending/") == [left]
    hours_pass(platform, monkeypatch)
    await platform.sweep()
    assert await platform.keys("pending/") == []
    assert (await alice.download(media["url"])).content == PICTURE.content


async def test_one_replica_at_a_time_sweeps(platform: Platform) -> None:
    await platform.first_sweep_is_over()
    repository = platform.reaper._repository
    async with repository.sweep_lock() as first, repository.sweep_lock() as second:
        assert (first, second) == (True, False)


async def test_a_sweep_may_take_longer_than_a_statement(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing a large bucket takes minutes. Meanwhile nobody else lists it, and no request is refused."""
    listed = BucketObjects.list

    async def slow_list(self: BucketObjects, prefix: str) -> AsyncIterator[ListedObject]:
        async for found in listed(self, prefix):
            await asyncio.sleep(3)
            yield found

    async with make_platform(settings_changes={"database_timeout_seconds": 1}) as platform:
        ticket = await platform.user().begin(PICTURE)
        await platform.forget(ticket["media_id"])
        hours_pass(platform, monkeypatch)
        monkeypatch.setattr(BucketObjects, "list", slow_list)
        sweep = asyncio.create_task(platform.sweep())
        await asyncio.sleep(1.5)
        assert await platform.reaper.sweep() == 0, "another replica does it"
        assert await sweep == 1
        # As the loop of the service does, which counts failed passes.
        assert await platform.reaper._attempt("sweep", platform.reaper.sweep)


async def test_a_sweep_ends_well_although_its_lock_was_lost(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await platform.user().begin(PICTURE)
    await platform.forget(ticket["media_id"])
    hours_pass(platform, monkeypatch)
    listed = BucketObjects.list

    async def disturbed_list(self: BucketObjects, prefix: str) -> AsyncIterator[ListedObject]:
        ended = await platform.database.fetch_all(
            f"SELECT pg_terminate_backend(pid) FROM ({SWEEPING}) AS sweeping", {"bucket": platform.connection.bucket}
        )
        assert len(ended) == 1
        async for found in listed(self, prefix):
            yield found

    monkeypatch.setattr(BucketObjects, "list", disturbed_list)
    assert await platform.sweep() == 1


async def test_the_lock_of_a_sweep_that_was_cancelled_is_free(platform: Platform) -> None:
    repository = platform.reaper._repository
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), repository.sweep_lock():
            await asyncio.sleep(60)
    async with asyncio.timeout(10):
        while True:
            async with repository.sweep_lock() as ours:
                if ours:
                    return


async def test_the_loop_outlives_a_failing_step(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform.reaper, "_interval_seconds", 0)
    passes = 0

    async def failing() -> None:
        nonlocal passes
        passes += 1
        raise StoreUnavailable("ListObjectsV2", "ServiceUnavailable", 503)

    monkeypatch.setattr(platform.reaper, "clean_up", failing)
    task = asyncio.create_task(platform.reaper.run())
    while passes < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
