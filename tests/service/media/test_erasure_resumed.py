"""An erasure that dies at any call is resumed by repeating it: the same end, and the same totals."""

import asyncio
from typing import Any

import pytest
from erasing import Store, erase, erase_to_the_end, rows_of
from failing_calls import FailingCalls, failing
from service_platform import MakePlatform, Platform
from upload_client import File

from mediabucket_s3.objects import BucketObjects
from mediabucket_service.media.erasure_repository import ErasureRepository

METHODS: dict[type, tuple[str, ...]] = {
    ErasureRepository: ("open", "mark", "is_marked", "forget", "page", "note", "delete", "receipt"),
    BucketObjects: ("versions", "list_multipart_uploads", "abort_multipart_upload", "delete_version"),
}
LISTINGS = ("versions", "list_multipart_uploads")
FILES = [File(b"picture %d" % number * 100) for number in range(2)]


async def use(platform: Platform) -> None:
    """Two completed media, one of them in a message, and a pending one that is uploaded in parts."""
    alice = platform.user()
    media = [(await alice.upload(file))["media_id"] for file in FILES]
    await alice.send(content="look", media_ids=media[:1])
    pending = await alice.begin(File(b"pending"))
    upload_id = await Store(platform).begin_parts(pending["media_id"])
    await platform.change(pending["media_id"], f"upload_id = '{upload_id}'")


async def whole_erasure(platform: Platform) -> tuple[list[str], dict[str, Any]]:
    """The calls of an erasure that nothing disturbs, and what it reports."""
    await use(platform)
    calls = FailingCalls()
    with failing(calls, METHODS, LISTINGS):
        report = await erase_to_the_end(platform, "alice")
    return calls.log, totals(report)


def totals(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("media", "objects", "bytes", "references")}


@pytest.mark.promise(6)
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("versioned", [False, True], ids=["plain", "versioned"])
async def test_an_erasure_that_dies_at_any_call_is_resumed(
    make_platform: MakePlatform, versioned: bool, after_effect: bool
) -> None:
    async with make_platform() as platform:
        if versioned:
            Store(platform).keep_versions()
        await platform.user("bob").upload(FILES[0])
        log, expected = await whole_erasure(platform)
        assert set(log) == {f"{owner.__name__}.{name}" for owner, names in METHODS.items() for name in names}
        assert expected["media"] == 3
        others = await rows_of(platform, "bob")
        before = expected
        for fails_at in range(1, len(log) + 1):
            calls = FailingCalls(fails_at, after_effect)
            await use(platform)
            with failing(calls, METHODS, LISTINGS):
                answer = await erase(platform, "alice")
            assert answer.status_code == 503, calls.log
            assert answer.json()["dependency"] == "store"
            report = totals(await erase_to_the_end(platform, "alice"))
            added = {name: report[name] - before[name] for name in report}
            assert added == expected, (fails_at, calls.log[fails_at - 1])
            before = report
            assert await rows_of(platform, "alice") == []
            assert await Store(platform).uploads() == []
        assert await rows_of(platform, "bob") == others
        assert {v.key for v in await Store(platform).all_versions() if v.key.startswith("uploads/")} == {
            others[0]["file_path"]
        }


async def test_a_failing_store_is_told_and_the_rest_goes_on(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be removed is removed and counted; the one that cannot stays, row and all."""
    alice = platform.user()
    media = [await alice.upload(File(b"%d" % number)) for number in range(5)]
    delete_version = BucketObjects.delete_version

    async def failing_once(self: BucketObjects, version: Any) -> None:
        if media[2]["media_id"] in version.key:
            raise ConnectionAbortedError
        await delete_version(self, version)

    monkeypatch.setattr(BucketObjects, "delete_version", failing_once)
    assert (await erase(platform, "alice")).status_code == 500
    assert [str(row["media_id"]) for row in await rows_of(platform, "alice")] == [media[2]["media_id"]]
    monkeypatch.undo()
    told = totals(await erase_to_the_end(platform, "alice"))
    assert told == {"media": 5, "objects": 5, "bytes": 5 * len(File(b"0").content), "references": 0}


async def test_more_than_a_call_has_time_for_is_answered_202_and_goes_on(make_platform: MakePlatform) -> None:
    async with make_platform(settings_changes={"erasure_answer_seconds": 0.000_001}) as platform:
        await make_rows(platform, 120)
        reports: list[dict[str, Any]] = []
        while not reports or reports[-1]["completed_at"] is None:
            answer = await erase(platform, "alice")
            reports.append(answer.json())
            assert answer.status_code == (202 if reports[-1]["completed_at"] is None else 200)
            assert answer.headers["cache-control"] == "no-store"
            assert int(answer.headers.get("retry-after", "0")) == (1 if answer.status_code == 202 else 0)
        assert [report["media"] for report in reports] == [50, 100, 120]
        assert len({report["requested_at"] for report in reports}) == 1


async def make_rows(platform: Platform, count: int) -> None:
    """Completed media of alice, each with an object of one byte."""
    await platform.database.execute(
        "INSERT INTO media_files (media_id, bucket, uploaded_by, file_name, file_path, media_type, file_size,"
        " mime_type, checksum, status, expires_at) SELECT gen_random_uuid(), %(bucket)s, 'alice', 'a.png',"
        " 'uploads/alice/' || n, 'image', 1, 'image/png', sha256(n::text::bytea), 'completed', now()"
        " FROM generate_series(1, %(count)s) AS n",
        {"bucket": platform.connection.bucket, "count": count},
    )
    keys = [row["file_path"] for row in await rows_of(platform, "alice")]
    await asyncio.gather(*(platform.objects.put(key, b"x", "image/png") for key in keys))


async def test_two_erasures_at_once_count_everything_once(make_platform: MakePlatform) -> None:
    async with make_platform() as first, make_platform() as second:
        await make_rows(first, 120)
        reports = await asyncio.gather(*(erase_to_the_end(platform, "alice") for platform in (first, second, first)))
        assert [totals(report) for report in reports] == [
            {"media": 120, "objects": 120, "bytes": 120, "references": 0}
        ] * 3
        assert await first.keys() == []


async def test_an_erasure_that_nobody_goes_on_with_is_left_to_the_reaper_after_an_hour(
    platform: Platform,
) -> None:
    await platform.user().upload(FILES[0])
    with failing(FailingCalls(1), {BucketObjects: ("versions",)}, LISTINGS):
        assert (await erase(platform, "alice")).status_code == 503
    await platform.reaper.clean_up()
    assert len(await platform.keys()) == 1, "an erasure counts what it removes: nobody else removes it meanwhile"
    await platform.database.execute(
        "UPDATE erasures SET requested_at = requested_at - interval '61 minutes' WHERE bucket = %(bucket)s",
        {"bucket": platform.connection.bucket},
    )
    await platform.reaper.clean_up()
    assert await platform.keys() == []
    assert totals(await erase_to_the_end(platform, "alice")) == {"media": 1, "objects": 0, "bytes": 0, "references": 0}
