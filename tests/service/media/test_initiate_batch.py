"""POST /api/media/upload/initiate/batch, and the statement that requests share."""

import asyncio
import random
import re
import time
from typing import Any
from uuid import uuid4

import pytest
from distant_server import distant
from part_client import FILM, IN_PARTS
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_api.spec import UploadLimits
from mediabucket_s3.errors import Throttled
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.database import Database
from mediabucket_service.identifiers import new_identifier
from mediabucket_service.media.announced import Announced, NewUpload
from mediabucket_service.media.initiate_repository import InitiateRepository

PROBLEM = "urn:mediabucket:problem:"


async def initiate_batch(user: UploadClient, *files: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await user.call("POST", "/api/media/upload/initiate/batch", {"files": list(files)})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def test_each_file_is_answered_as_it_would_be_alone(alice: UploadClient) -> None:
    known, new, pending = File(b"known"), File(b"new"), File(b"pending")
    media_id = (await alice.upload(known))["media_id"]
    ticket = await alice.begin(pending)
    results = await initiate_batch(
        alice,
        new.announcement(),
        known.announcement(),
        pending.announcement(),
        new.announcement(file_size=2**40),
        new.announcement(mime_type="text/html"),
        known.announcement(file_size=1),
        new.announcement(file_name="again.png"),
    )
    assert [result.get("exists") for result in results] == [False, True, False, None, None, None, False]
    assert results[1]["media_id"] == media_id
    assert results[2]["media_id"] == ticket["media_id"]
    assert [result["type"].removeprefix(PROBLEM) for result in results[3:6]] == [
        "file-too-large",
        "type-not-allowed",
        "malformed-request",
    ]
    assert results[6]["media_id"] == results[0]["media_id"]
    put = await alice.store.put(results[0]["upload_url"], headers=results[0]["headers"], content=new.content)
    assert put.status_code == 200
    assert (await alice.confirm(results[0]["media_id"])).status_code == 200


async def test_a_hundred_files_are_one_statement(alice: UploadClient, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    fetch_all = Database.fetch_all

    async def counted(self: Database, query: str, parameters: dict[str, Any]) -> Any:
        # The reaper's own are not the request's.
        if "checksum" in query:
            statements.append(query)
        return await fetch_all(self, query, parameters)

    monkeypatch.setattr(Database, "fetch_all", counted)
    files = [File(f"file {number}".encode()) for number in range(100)]
    results = await initiate_batch(alice, *(file.announcement() for file in files))
    assert len({result["media_id"] for result in results}) == 100
    assert len(statements) == 1


LIMITS = UploadLimits.model_validate({"pendingPerUser": 1000, "bytesPerUser": 2**40})


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "users at once"])
@pytest.mark.parametrize(("limits", "round_trips"), [(None, 1), (LIMITS, 2)], ids=["no limits", "limits"])
async def test_a_hundred_files_need_so_many_round_trips(
    platform: Platform, limits: UploadLimits | None, round_trips: int, together: bool
) -> None:
    url = platform.settings.database_url.get_secret_value()
    found = re.search(r":(\d+)/", url)
    assert found is not None
    one_way = 0.4
    async with (
        distant(int(found[1]), one_way) as port,
        Database(url.replace(f":{found[1]}/", f":{port}/"), pool_size=1, timeout_seconds=20) as database,
    ):
        repository = InitiateRepository(database, f"b-{uuid4()}", stale_after_seconds=60, limits=limits)
        for first in (0, 100):
            uploads = [new_upload(number, number % 10 * (not together)) for number in range(first, first + 100)]
            # The first call opens the connection, and asks what the second knows.
            started = time.monotonic()
            if together:
                outcomes = list((await repository.initiate_many(uploads)).values())
            else:
                outcomes = [one for one in await asyncio.gather(*map(repository.initiate, uploads)) if one is not None]
            took = time.monotonic() - started
            assert [outcome.status for outcome in outcomes if isinstance(outcome, Announced)] == ["pending"] * 100
        assert round_trips * one_way <= took < (round_trips + 1) * one_way


def new_upload(number: int, user: int = 0) -> NewUpload:
    checksum = number.to_bytes(32, "big")
    return NewUpload(new_identifier(), f"user {user}", "a.png", f"k{number}", "image", 1, "image/png", checksum, {})


async def test_a_file_whose_parts_the_store_refuses_keeps_no_other_back(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Multipart uploads of a batch are begun some at a time, and what the store says to one is told of that one."""
    begun = BucketObjects.create_multipart_upload
    under_way, most, count = 0, 0, 0

    async def sometimes(self: BucketObjects, *names: Any, **options: Any) -> str:
        nonlocal under_way, most, count
        under_way, count = under_way + 1, count + 1
        most, refused = max(most, under_way), count % 5 == 0
        try:
            await asyncio.sleep(0.05)
            if refused:
                raise Throttled("CreateMultipartUpload", "SlowDown", 503)
            return await begun(self, *names, **options)
        finally:
            under_way -= 1

    monkeypatch.setattr(BucketObjects, "create_multipart_upload", sometimes)
    async with make_platform(uploads=IN_PARTS) as platform:
        large = [File(bytes([number]) + FILM.content, "film.mp4", "video/mp4") for number in range(20)]
        announced = [file.announcement(multipart=True) for file in large]
        results = await initiate_batch(platform.user(), *announced)
        refused = [result for result in results if "parts" not in result]
        assert [result["type"].removeprefix(PROBLEM) for result in refused] == ["dependency-unavailable"] * 4
        assert 1 < most <= 8
        monkeypatch.undo()
        again = await initiate_batch(platform.user(), *announced)
        assert all(result["parts"] for result in again)


@pytest.mark.parametrize("count", [0, 101])
async def test_a_batch_has_1_to_100_files(alice: UploadClient, count: int) -> None:
    files = [File(f"file {number}".encode()).announcement() for number in range(count)]
    answer = await alice.call("POST", "/api/media/upload/initiate/batch", {"files": files})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "files"


async def test_a_bad_file_is_named_by_its_place_and_nothing_is_announced(alice: UploadClient) -> None:
    files = [File(b"good").announcement(), File(b"bad").announcement(checksum="x")]
    answer = await alice.call("POST", "/api/media/upload/initiate/batch", {"files": files})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "files.1.checksum"
    assert (await alice.call("GET", "/api/media")).json()["items"] == []


async def test_limits_admit_as_many_as_there_is_room_for(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"limits": {"pendingPerUser": 3}}) as platform:
        alice = platform.user("alice")
        files = [File(f"file {number}".encode()).announcement() for number in range(5)]
        results = await initiate_batch(alice, *files)
        assert [result.get("exists") for result in results] == [False, False, False, None, None]
        assert results[3]["limit"] == "pendingPerUser"
        again = await initiate_batch(alice, *files)
        assert [result.get("media_id") for result in again] == [result.get("media_id") for result in results]


async def test_statements_of_several_replicas_over_the_same_files_never_block_each_other(platform: Platform) -> None:
    """Rows that are locked in another order would be a deadlock, which the database ends with an error."""
    replicas = [InitiateRepository(platform.database, f"b-{uuid4()}", stale_after_seconds=60) for _ in range(4)]
    bucket = replicas[0]._bucket
    for replica in replicas:
        replica._bucket = bucket
    dice = random.Random(7)

    def uploads() -> list[NewUpload]:
        numbers = dice.sample(range(40), 30)
        return [
            NewUpload(new_identifier(), "alice", "a.png", "k", "image", 1, "image/png", bytes([number]) * 32, {})
            for number in numbers
        ]

    for _ in range(10):
        answers = await asyncio.gather(*(replica.initiate_many(uploads()) for replica in replicas for _ in range(2)))
        assert [len(answer) for answer in answers] == [30] * 8
    row = await platform.database.fetch_one(
        "SELECT count(*) AS count FROM media_files WHERE bucket = %(bucket)s", {"bucket": bucket}
    )
    assert row == {"count": 40}
    await platform.database.execute("DELETE FROM media_files WHERE bucket = %(bucket)s", {"bucket": bucket})
