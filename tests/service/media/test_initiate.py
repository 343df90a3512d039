"""POST /api/media/upload/initiate."""

import asyncio
import base64
from urllib.parse import parse_qs, urlsplit

import pytest
from service_platform import MakePlatform
from upload_client import File, UploadClient

PICTURE = File(b"a picture" * 100)


async def test_a_new_file_gets_a_ticket(alice: UploadClient) -> None:
    answer = await alice.initiate(PICTURE)
    ticket = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert ticket["exists"] is False
    assert ticket["method"] == "PUT"
    assert ticket["headers"] == {"Content-Type": "image/png"}
    assert ticket["expires_in"] == 300
    query = parse_qs(urlsplit(ticket["upload_url"]).query)
    assert query["X-Amz-Expires"] == ["300"]
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert urlsplit(ticket["upload_url"]).path.endswith(f"/pending/{ticket['media_id']}")


async def test_a_pending_file_keeps_its_media_id(alice: UploadClient) -> None:
    first, second = [(await alice.initiate(PICTURE)).json() for _ in range(2)]
    assert second["media_id"] == first["media_id"]
    assert second["exists"] is False


async def test_200_concurrent_initiates_of_one_file_make_one_media(alice: UploadClient) -> None:
    answers = await asyncio.gather(*(alice.initiate(PICTURE) for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["media_id"] for answer in answers}) == 1


async def test_a_completed_file_exists(alice: UploadClient) -> None:
    media = await alice.upload(PICTURE)
    answer = (await alice.initiate(PICTURE, file_name="another name.png")).json()
    assert answer["exists"] is True
    assert answer["media_id"] == media["media_id"]
    assert (await alice.download(answer["cdn_url"])).content == PICTURE.content


async def test_files_are_never_shared_between_users(alice: UploadClient, bob: UploadClient) -> None:
    media = await alice.upload(PICTURE)
    ticket = (await bob.initiate(PICTURE)).json()
    assert ticket["exists"] is False
    assert ticket["media_id"] != media["media_id"]


async def test_the_last_announcement_of_a_pending_file_counts(alice: UploadClient) -> None:
    await alice.initiate(PICTURE, mime_type="image/jpeg")
    media = await alice.upload(PICTURE)
    assert media["mime_type"] == "image/png"


async def test_a_known_checksum_with_another_size_is_refused(alice: UploadClient) -> None:
    await alice.upload(PICTURE)
    answer = await alice.initiate(PICTURE, file_size=1)
    assert answer.status_code == 400
    assert answer.json()["error"] == "file_size is 1, but the file with this checksum has 900 bytes"


async def test_a_checksum_may_be_base64(alice: UploadClient) -> None:
    encoded = base64.b64encode(bytes.fromhex(PICTURE.sha256)).decode()
    answers = [await alice.initiate(PICTURE, checksum=encoded), await alice.initiate(PICTURE)]
    assert len({answer.json()["media_id"] for answer in answers}) == 1


async def test_signed_integrity_signs_the_checksum_and_forbids_a_second_put(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"integrity": "Signed"}) as platform:
        alice = platform.user()
        ticket = (await alice.initiate(PICTURE)).json()
        assert set(ticket["headers"]) == {"Content-Type", "x-amz-checksum-sha256", "if-none-match"}
        assert (await alice.put(ticket, b"other bytes" * 81 + b"123456789")).status_code == 400
        assert (await alice.put(ticket, PICTURE.content)).status_code == 200
        assert (await alice.put(ticket, PICTURE.content)).status_code == 412
        assert (await alice.confirm(ticket["media_id"])).status_code == 200


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"pendingPerUser": 1}, "1 uploads are pending and 1 are allowed: confirm, cancel or delete some first"),
        (
            {"bytesPerUser": 1000},
            "900 bytes are stored or reserved and 1000 are allowed: confirm, cancel or delete some first",
        ),
    ],
)
async def test_limits_of_the_manifest_hold_for_each_user(
    make_platform: MakePlatform, limits: dict[str, int], told: str
) -> None:
    async with make_platform(uploads={"limits": limits}) as platform:
        alice, bob = platform.user("alice"), platform.user("bob")
        assert (await alice.initiate(PICTURE)).status_code == 200
        refused = await alice.initiate(File(b"another" * 100))
        assert refused.status_code == 429
        assert refused.json()["error"] == told
        assert int(refused.headers["retry-after"]) > 0
        assert (await alice.initiate(PICTURE)).status_code == 200, "the same file reserves nothing more"
        assert (await bob.initiate(PICTURE)).status_code == 200


async def test_concurrent_initiates_cannot_exceed_a_limit(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"limits": {"pendingPerUser": 3}}) as platform:
        alice = platform.user()
        answers = await asyncio.gather(*(alice.initiate(File(b"%d" % number)) for number in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 17
