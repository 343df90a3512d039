"""Large files in parts: from the ticket to the published object."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from part_client import (
    FILM,
    IN_PARTS,
    PART,
    ask_parts,
    begin,
    begun,
    film,
    numbers,
    open_uploads,
    piece,
    progress,
    put_part,
    put_parts,
)
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

WRONG_PART = b"x" * 100


@pytest.fixture
async def platform(make_platform: MakePlatform) -> AsyncIterator[Platform]:
    """The application with parts of 5 MiB."""
    async with make_platform(uploads=IN_PARTS) as running:
        yield running


async def test_a_film_in_three_parts(alice: UploadClient, platform: Platform) -> None:
    ticket = await begin(alice)
    assert ticket["part_size"] == PART
    assert [(part["part_number"], part["size"]) for part in ticket["parts"]] == [(1, PART), (2, PART), (3, 100)]
    assert (ticket["method"], ticket["exists"], ticket["expires_in"]) == ("PUT", False, 300)
    await put_parts(alice, ticket)
    answer = await alice.confirm(ticket["media_id"])
    assert answer.status_code == 200
    media = answer.json()
    assert (media["status"], media["checksum"], media["file_size"]) == ("completed", FILM.sha256, len(FILM.content))
    download = await alice.download(media["url"])
    assert download.content == FILM.content
    assert download.headers["content-type"] == "video/mp4"
    row = await platform.row(ticket["media_id"])
    assert await platform.keys() == [row["file_path"]]
    assert await open_uploads(platform) == []
    again = await alice.initiate(FILM, multipart=True)
    assert (again.json()["media_id"], again.json()["exists"]) == (ticket["media_id"], True)


async def test_the_urls_are_of_one_upload_and_one_key(alice: UploadClient, platform: Platform) -> None:
    ticket = await begin(alice)
    row = await platform.row(ticket["media_id"])
    for part in ticket["parts"]:
        url = urlsplit(part["upload_url"])
        query = parse_qs(url.query)
        assert url.path == f"/{platform.connection.bucket}/pending/{ticket['media_id']}"
        assert query["uploadId"] == [row["upload_id"]]
        assert query["partNumber"] == [str(part["part_number"])]
        assert query["X-Amz-SignedHeaders"] == ["content-length;host"]
        assert part["headers"] == {}


@pytest.mark.parametrize(
    ("file", "multipart"),
    [
        pytest.param(File(bytes(PART - 1), "film.mp4", "video/mp4"), True, id="too small"),
        pytest.param(FILM, False, id="not asked for"),
    ],
)
async def test_other_files_are_put_in_one_piece(
    alice: UploadClient, platform: Platform, file: File, multipart: bool
) -> None:
    ticket = (await alice.initiate(file, multipart=multipart)).json()
    assert "parts" not in ticket
    assert (await alice.put(ticket, file.content)).status_code == 200
    assert (await platform.row(ticket["media_id"]))["upload_id"] is None
    assert (await alice.confirm(ticket["media_id"])).json()["status"] == "completed"


async def test_a_file_of_the_least_size_is_one_part(alice: UploadClient) -> None:
    least = File(FILM.content[:PART], "film.mp4", "video/mp4")
    ticket = await begun(alice, least)
    assert numbers(ticket) == [1]
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_a_batch_offers_parts_too(alice: UploadClient) -> None:
    other = film(salt=b"other")
    body = {"files": [FILM.announcement(multipart=True), other.announcement(), FILM.announcement(multipart=True)]}
    answer = await alice.call("POST", "/api/media/upload/initiate/batch", body)
    first, whole, same = answer.json()["results"]
    assert numbers(first) == numbers(same) == [1, 2, 3]
    assert first["media_id"] == same["media_id"]
    assert "upload_url" in whole
    await put_parts(alice, first)
    assert (await alice.confirm(first["media_id"])).status_code == 200


async def test_a_client_resumes_after_a_restart(make_platform: MakePlatform) -> None:
    async with make_platform(uploads=IN_PARTS) as platform:
        ticket = await begin(platform.user())
        await put_parts(platform.user(), ticket, numbers=[2])
        row = await platform.row(ticket["media_id"])
    async with make_platform(uploads=IN_PARTS) as platform:
        alice = platform.user()
        resumed = await begin(alice)
        assert resumed["media_id"] == ticket["media_id"]
        assert (await platform.row(ticket["media_id"]))["upload_id"] == row["upload_id"]
        seen = (await progress(alice, ticket["media_id"])).json()
        assert seen["part_size"] == PART
        assert [(part["part_number"], part["size"], part["arrived"]) for part in seen["parts"]] == [
            (1, PART, False),
            (2, PART, True),
            (3, 100, False),
        ]
        await put_parts(alice, resumed, numbers=[1, 3])
        assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_a_part_of_another_length_is_refused_by_the_store(alice: UploadClient) -> None:
    ticket = await begin(alice)
    refused = await put_part(alice, ticket["parts"][2], b"x" * 101)
    assert refused.status_code == 403


async def test_missing_parts_are_named(alice: UploadClient, platform: Platform) -> None:
    ticket = await begin(alice)
    await put_parts(alice, ticket, numbers=[2])
    early = await alice.confirm(ticket["media_id"])
    assert early.status_code == 409
    assert early.json()["type"] == "urn:mediabucket:problem:upload-missing"
    assert early.json()["detail"] == "parts 1, 3 of 3 have not arrived: PUT them, then confirm again"
    assert early.json()["missing_parts"] == [1, 3]
    assert early.headers["retry-after"] == "1"
    assert (await platform.row(ticket["media_id"]))["lease_owner"] is None
    await put_parts(alice, ticket, numbers=[1, 3])
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_a_part_of_the_wrong_size_can_be_put_again(alice: UploadClient, platform: Platform) -> None:
    """No URL lets a client do this: it stands for a store that ignores the signed length."""
    ticket = await begin(alice)
    await put_parts(alice, ticket, numbers=[1, 2])
    row = await platform.row(ticket["media_id"])
    target = {"Bucket": platform.connection.bucket, "Key": f"pending/{ticket['media_id']}"}
    await platform.objects._client.upload_part(**target, UploadId=row["upload_id"], PartNumber=3, Body=b"short")
    refused = await alice.confirm(ticket["media_id"])
    assert refused.status_code == 409
    assert refused.json()["detail"] == "part 3 has 5 bytes and must have 100: PUT them, then confirm again"
    assert refused.json()["wrong_parts"] == [{"part_number": 3, "size": 100}]
    seen = (await progress(alice, ticket["media_id"])).json()
    assert [part["arrived"] for part in seen["parts"]] == [True, True, False]
    await put_parts(alice, ticket, numbers=[3])
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_of_a_part_that_was_put_again_the_last_counts(alice: UploadClient) -> None:
    """SeaweedFS lists a part once for each time it was put, in no order, and tells them apart by the second only."""
    ticket = await begin(alice)
    for part in ticket["parts"]:
        assert (await put_part(alice, part, b"x" * part["size"])).status_code == 200
    await asyncio.sleep(1.1)
    await put_parts(alice, ticket)
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_other_bytes_are_refused_and_nothing_stays(alice: UploadClient, platform: Platform) -> None:
    ticket = await begin(alice)
    await put_parts(alice, ticket, numbers=[1, 2])
    assert (await put_part(alice, ticket["parts"][2], WRONG_PART)).status_code == 200
    refused = await alice.confirm(ticket["media_id"])
    assert refused.status_code == 422
    assert "SHA-256 is" in refused.json()["detail"]
    assert await platform.keys() == []
    assert await open_uploads(platform) == []


async def test_the_part_urls_are_dead_after_confirm(alice: UploadClient, platform: Platform) -> None:
    ticket = await begun(alice)
    media = (await alice.confirm(ticket["media_id"])).json()
    late = await put_part(alice, ticket["parts"][2], WRONG_PART)
    assert (late.status_code, "NoSuchUpload" in late.text) == (404, True)
    assert (await alice.download(media["url"])).content == FILM.content
    assert await open_uploads(platform) == []


async def test_a_file_put_in_one_piece_after_all_is_confirmed(alice: UploadClient, platform: Platform) -> None:
    ticket = await begin(alice)
    await put_parts(alice, ticket, numbers=[1])
    whole = (await alice.initiate(FILM)).json()
    assert whole["media_id"] == ticket["media_id"]
    assert (await alice.put(whole, FILM.content)).status_code == 200
    assert (await alice.confirm(ticket["media_id"])).json()["status"] == "completed"
    assert await open_uploads(platform) == []
    assert (await put_part(alice, ticket["parts"][2], piece(FILM, 3))).status_code == 404


async def test_20_concurrent_initiates_have_one_upload(alice: UploadClient, platform: Platform) -> None:
    tickets = await asyncio.gather(*(begin(alice) for _ in range(20)))
    [media_id] = {ticket["media_id"] for ticket in tickets}
    uploads = {
        upload_id
        for ticket in tickets
        for part in ticket["parts"]
        for upload_id in parse_qs(urlsplit(part["upload_url"]).query)["uploadId"]
    }
    assert uploads == {(await platform.row(media_id))["upload_id"]} == set(await open_uploads(platform))


async def test_10_concurrent_confirms_have_one_answer(alice: UploadClient, platform: Platform) -> None:
    ticket = await begun(alice)
    answers = await asyncio.gather(*(alice.confirm(ticket["media_id"]) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    varying = ("url", "url_expires_at")
    assert len({str({k: v for k, v in answer.json().items() if k not in varying}) for answer in answers}) == 1
    assert await platform.keys() == [(await platform.row(ticket["media_id"]))["file_path"]]


async def test_announced_with_another_type_there_is_another_upload(alice: UploadClient, platform: Platform) -> None:
    """A multipart upload has the type that it was begun with: confirm would refuse the file for it."""
    first = await begun(alice)
    # What makes an MP4 makes a QuickTime film: the same container.
    renamed = File(FILM.content, "film.mov", "video/quicktime", as_is=True)
    ticket = await begun(alice, renamed)
    assert ticket["media_id"] == first["media_id"]
    assert len(await open_uploads(platform)) == 2, "the first is left to the reaper"
    assert (await alice.confirm(ticket["media_id"])).json()["mime_type"] == "video/quicktime"


async def test_an_upload_that_the_store_has_lost_is_begun_anew(alice: UploadClient, platform: Platform) -> None:
    ticket = await begun(alice)
    [upload_id] = await open_uploads(platform)
    await platform.objects.abort_multipart_upload(f"pending/{ticket['media_id']}", upload_id)
    lost = await alice.confirm(ticket["media_id"])
    assert lost.status_code == 409
    assert lost.json()["detail"] == "the store no longer holds this upload: initiate the same file again"
    assert (await progress(alice, ticket["media_id"])).json()["detail"] == lost.json()["detail"]
    resumed = await begun(alice)
    assert resumed["media_id"] == ticket["media_id"]
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


async def test_asking_for_urls_keeps_an_upload_alive(alice: UploadClient, platform: Platform) -> None:
    ticket = await begin(alice)
    await platform.change(ticket["media_id"], "expires_at = now() - interval '1 second'")
    assert (await ask_parts(alice, ticket["media_id"], part_numbers=[1])).status_code == 200
    await platform.reaper.clean_up()
    assert (await platform.row(ticket["media_id"]))["status"] == "pending"
