"""POST and GET /api/media/{id}/parts: who gets which URLs."""

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from part_client import (
    FILM,
    IN_PARTS,
    PART,
    ask_parts,
    begin,
    begun,
    numbers,
    open_uploads,
    piece,
    progress,
    put_part,
    put_parts,
)
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.errors import InvalidRequest
from mediabucket_s3.objects import BucketObjects

SIGNED = IN_PARTS | {"integrity": "Signed"}
SOME_CHECKSUM = hashlib.sha256(b"").hexdigest()


@pytest.fixture
async def platform(make_platform: MakePlatform) -> AsyncIterator[Platform]:
    async with make_platform(uploads=IN_PARTS) as running:
        yield running


@pytest.fixture
async def signed(make_platform: MakePlatform) -> AsyncIterator[UploadClient]:
    """A user of a bucket whose uploads are signed."""
    async with make_platform(uploads=SIGNED) as running:
        yield running.user()


def checksums(file: File = FILM, *, encoded: bool = False) -> list[dict[str, Any]]:
    """The parts with their SHA-256, as hex or as base64."""
    digests = [hashlib.sha256(piece(file, number)).digest() for number in (1, 2, 3)]
    return [
        {"part_number": number, "checksum": base64.b64encode(digest).decode() if encoded else digest.hex()}
        for number, digest in enumerate(digests, 1)
    ]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"part_numbers": [3, 1]}, id="numbers"),
        pytest.param({"parts": [{"part_number": 3}, {"part_number": 1}]}, id="parts"),
        pytest.param({"parts": [checksums()[2], checksums()[0]]}, id="with checksums"),
    ],
)
async def test_fresh_urls_for_chosen_parts(alice: UploadClient, body: dict[str, Any]) -> None:
    ticket = await begin(alice)
    await put_parts(alice, ticket, numbers=[2])
    answer = await ask_parts(alice, ticket["media_id"], **body)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    fresh = answer.json()
    assert (fresh["media_id"], fresh["part_size"], fresh["expires_in"]) == (ticket["media_id"], PART, 300)
    assert [(part["part_number"], part["size"]) for part in fresh["parts"]] == [(3, 100), (1, PART)]
    await put_parts(alice, fresh)
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param({"part_numbers": [0]}, "this file has parts 1 to 3, and no part 0", id="zero"),
        pytest.param({"part_numbers": [1, 4, -1]}, "this file has parts 1 to 3, and no part -1, 4", id="beyond"),
        pytest.param({"part_numbers": [2, 2]}, "name each part once, not part 2 again", id="twice"),
        pytest.param({"part_numbers": []}, "part_numbers", id="none"),
        pytest.param({"part_numbers": ["1"]}, "must be a whole number", id="text"),
        pytest.param({"part_numbers": [1] * 1001}, "part_numbers", id="too many"),
        pytest.param({}, "either parts or part_numbers", id="neither"),
        pytest.param({"part_numbers": [1], "parts": [{"part_number": 1}]}, "either parts or part_numbers", id="both"),
        pytest.param({"parts": [{"part_number": 1, "checksum": "abc"}]}, "SHA-256", id="bad checksum"),
    ],
)
async def test_wrong_part_numbers_are_told(alice: UploadClient, body: dict[str, Any], told: str) -> None:
    ticket = await begin(alice)
    refused = await ask_parts(alice, ticket["media_id"], **body)
    assert refused.status_code == 400
    assert refused.json()["type"] == "urn:mediabucket:problem:malformed-request"
    assert told in refused.json()["detail"]


async def test_parts_of_somebody_else_do_not_exist(alice: UploadClient, bob: UploadClient, platform: Platform) -> None:
    ticket = await begun(alice)
    media_id = ticket["media_id"]
    for answer in (
        await ask_parts(bob, media_id, part_numbers=[1]),
        await progress(bob, media_id),
        await bob.confirm(media_id),
        await bob.delete(media_id),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:mediabucket:problem:media-not-found"
    assert (await begin(bob))["media_id"] != media_id
    assert (await alice.confirm(media_id)).status_code == 200
    assert (await platform.row(media_id))["uploaded_by"] == "alice"


async def test_a_file_in_one_piece_has_no_parts(alice: UploadClient) -> None:
    ticket = (await alice.initiate(FILM)).json()
    for refused in (
        await ask_parts(alice, ticket["media_id"], part_numbers=[1]),
        await progress(alice, ticket["media_id"]),
    ):
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:mediabucket:problem:no-parts-expected"
        assert "in one piece" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("settle", "status", "problem"),
    [
        pytest.param("confirm", 409, "no-parts-expected", id="completed"),
        pytest.param("delete", 410, "upload-expired", id="cancelled"),
    ],
)
async def test_a_settled_upload_has_no_parts(alice: UploadClient, settle: str, status: int, problem: str) -> None:
    ticket = await begun(alice)
    await getattr(alice, settle)(ticket["media_id"])
    for refused in (
        await ask_parts(alice, ticket["media_id"], part_numbers=[1]),
        await progress(alice, ticket["media_id"]),
    ):
        assert refused.status_code == status
        assert refused.json()["type"] == f"urn:mediabucket:problem:{problem}"


async def test_parts_assembled_by_a_dead_process_have_arrived(alice: UploadClient, platform: Platform) -> None:
    ticket = await begun(alice)
    [upload_id] = await open_uploads(platform)
    key = f"pending/{ticket['media_id']}"
    parts = [part async for part in platform.objects.list_parts(key, upload_id)]
    await platform.objects.complete_multipart_upload(key, upload_id, sorted(parts, key=lambda part: part.part_number))
    seen = (await progress(alice, ticket["media_id"])).json()
    assert [part["arrived"] for part in seen["parts"]] == [True, True, True]
    await begin(alice)
    assert await open_uploads(platform) == [], "nothing is begun anew for a file that is all there"
    assert (await alice.confirm(ticket["media_id"])).status_code == 200


@pytest.mark.parametrize("encoded", [False, True], ids=["hex", "base64"])
async def test_signed_parts(signed: UploadClient, encoded: bool) -> None:
    ticket = await begin(signed)
    assert numbers(ticket) == [1, 2, 3]
    assert {part["upload_url"] for part in ticket["parts"]} == {None}
    fresh = (await ask_parts(signed, ticket["media_id"], parts=checksums(encoded=encoded))).json()
    for part, told in zip(fresh["parts"], checksums(), strict=True):
        digest = base64.b64encode(bytes.fromhex(told["checksum"])).decode()
        assert part["headers"] == {"x-amz-checksum-sha256": digest}
    await put_parts(signed, fresh)
    answer = await signed.confirm(ticket["media_id"])
    assert answer.status_code == 200, answer.text
    assert (await signed.download(answer.json()["url"])).content == FILM.content


async def test_the_store_refuses_other_bytes_for_a_signed_part(signed: UploadClient) -> None:
    ticket = await begin(signed)
    [part] = (await ask_parts(signed, ticket["media_id"], parts=checksums()[2:])).json()["parts"]
    other = await put_part(signed, part, b"x" * 100)
    assert (other.status_code, "BadDigest" in other.text) == (400, True)
    without = await signed.store.put(part["upload_url"], content=piece(FILM, 3))
    assert without.status_code == 403
    seen = (await progress(signed, ticket["media_id"])).json()
    assert [entry["arrived"] for entry in seen["parts"]] == [False, False, False]


@pytest.mark.parametrize(
    "body", [{"part_numbers": [1, 3]}, {"parts": [{"part_number": 2, "checksum": SOME_CHECKSUM}, {"part_number": 3}]}]
)
async def test_a_signed_part_needs_its_checksum(signed: UploadClient, body: dict[str, Any]) -> None:
    ticket = await begin(signed)
    refused = await ask_parts(signed, ticket["media_id"], **body)
    assert refused.status_code == 400
    assert "signed with the SHA-256 of each part" in refused.json()["detail"]
    assert '"checksum"' in refused.json()["detail"]


async def test_a_store_without_checksums_of_parts_is_asked_without(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = BucketObjects.create_multipart_upload
    asked: list[bool] = []

    async def refusing(self: BucketObjects, key: str, content_type: str, *, sha256: bool = False) -> str:
        asked.append(sha256)
        if sha256:
            raise InvalidRequest("CreateMultipartUpload", "InvalidArgument", 400, "x-amz-checksum-algorithm")
        return await create(self, key, content_type)

    monkeypatch.setattr(BucketObjects, "create_multipart_upload", refusing)
    async with make_platform(uploads=SIGNED) as platform:
        alice = platform.user()
        ticket = await begin(alice)
        fresh = (await ask_parts(alice, ticket["media_id"], parts=checksums())).json()
        await put_parts(alice, fresh)
        assert (await alice.confirm(ticket["media_id"])).status_code == 200
        await begin(alice, File(FILM.content + b"!", "film.mp4", "video/mp4"))
    assert asked == [True, False, False]
