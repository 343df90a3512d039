"""A second row for the same bytes whose confirm dies: the copy that it had published does not stay behind."""

import pytest
from failing_calls import FailingCalls, failing
from service_platform import Platform
from upload_client import File, UploadClient

from mediabucket_s3.objects import BucketObjects
from mediabucket_service.media.repository import MediaRepository

PICTURE = File(b"a picture" * 100)


async def begin_again(alice: UploadClient, platform: Platform, media_id: str) -> str:
    """Initiate and PUT the same file while its first media is not to be found: what a race would do."""
    await platform.change(media_id, "checksum = sha256('hidden')")
    again = await alice.begin(PICTURE)
    await platform.change(media_id, f"checksum = decode('{PICTURE.sha256}', 'hex')")
    return str(again["media_id"])


@pytest.mark.promise(4)
@pytest.mark.parametrize("dies_at", range(1, 7))
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_no_copy_stays_behind(alice: UploadClient, platform: Platform, dies_at: int, after_effect: bool) -> None:
    first = await alice.upload(PICTURE)
    second = await begin_again(alice, platform, first["media_id"])
    steps: dict[type, tuple[str, ...]] = {
        BucketObjects: ("copy", "delete"),
        MediaRepository: ("complete", "complete_as_duplicate"),
    }
    calls = FailingCalls(dies_at, after_effect=after_effect)
    with failing(calls, steps, ()):
        await alice.confirm(second)
    assert calls.failed == (dies_at <= len(calls.log))

    confirmed = await alice.confirm(second)
    assert confirmed.status_code == 200
    assert (await alice.download(confirmed.json()["url"])).content == PICTURE.content
    row = await platform.row(second)
    assert str(row["duplicate_of"]) == first["media_id"]
    published = (await platform.row(first["media_id"]))["file_path"]
    await platform.reaper.clean_up()
    assert await platform.keys("uploads/") == [published]
    left = "SELECT key FROM abandoned_copies WHERE bucket = %(bucket)s"
    assert await platform.database.fetch_all(left, {"bucket": platform.connection.bucket}) == []
