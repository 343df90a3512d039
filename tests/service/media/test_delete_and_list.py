"""DELETE, GET one, GET many, GET content."""

import asyncio

from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

PICTURE = File(b"a picture" * 100)


async def test_a_deleted_media_is_gone_with_its_bytes(alice: UploadClient, platform: Platform) -> None:
    media = await alice.upload(PICTURE)
    for _ in range(2):
        assert (await alice.delete(media["media_id"])).status_code == 204
    assert await platform.keys() == []
    for answer in (await alice.get(media["media_id"]), await alice.confirm(media["media_id"])):
        assert answer.status_code == 410
        assert answer.json()["type"] == "urn:mediabucket:problem:media-deleted"
    assert (await alice.initiate(PICTURE)).json()["exists"] is False


async def test_deleting_a_pending_upload_cancels_it(alice: UploadClient, platform: Platform) -> None:
    ticket = await alice.begin(PICTURE)
    assert (await alice.delete(ticket["media_id"])).status_code == 204
    assert await platform.keys() == []
    assert (await alice.confirm(ticket["media_id"])).status_code == 410
    assert (await alice.get(ticket["media_id"])).json()["failure"] == "cancelled"


async def test_media_of_others_do_not_exist(alice: UploadClient, bob: UploadClient) -> None:
    media_id = (await alice.upload(PICTURE))["media_id"]
    content = await bob.call("GET", f"/api/media/{media_id}/content")
    for answer in (await bob.get(media_id), await bob.confirm(media_id), await bob.delete(media_id), content):
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"you have no media {media_id}"
    assert (await alice.get(media_id)).status_code == 200


async def test_a_media_in_a_message_cannot_be_deleted(alice: UploadClient) -> None:
    media = await alice.upload(PICTURE)
    assert (await alice.send(media_ids=[media["media_id"]])).status_code == 200
    refused = await alice.delete(media["media_id"])
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:mediabucket:problem:media-in-use"
    assert (await alice.download(media["url"])).content == PICTURE.content


async def test_delete_and_send_at_once_never_break_a_message(alice: UploadClient) -> None:
    """Either the message has its media, or it was refused: never a message whose media is gone."""
    for number in range(10):
        media = await alice.upload(File(b"raced %d" % number))
        sent, deleted = await asyncio.gather(alice.send(media_ids=[media["media_id"]]), alice.delete(media["media_id"]))
        assert (sent.status_code, deleted.status_code) in {(200, 409), (404, 204), (410, 204)}


async def test_content_redirects_to_the_store(alice: UploadClient) -> None:
    ticket = await alice.begin(PICTURE)
    early = await alice.call("GET", f"/api/media/{ticket['media_id']}/content")
    assert early.status_code == 409
    await alice.confirm(ticket["media_id"])
    redirect = await alice.call("GET", f"/api/media/{ticket['media_id']}/content")
    assert redirect.status_code == 307
    assert redirect.headers["cache-control"] == "no-store"
    assert (await alice.download(redirect.headers["location"])).content == PICTURE.content


async def test_media_are_listed_newest_first_page_by_page(alice: UploadClient, bob: UploadClient) -> None:
    uploaded = [(await alice.initiate(File(b"%d" % number))).json()["media_id"] for number in range(7)]
    await bob.initiate(File(b"of somebody else"))
    listed: list[str] = []
    query = "limit=3"
    while True:
        page = (await alice.call("GET", f"/api/media?{query}")).json()
        listed += [media["media_id"] for media in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=3&cursor={page['next_cursor']}"
    assert listed == uploaded[::-1]


async def test_lists_can_be_filtered(alice: UploadClient) -> None:
    picture = await alice.upload(PICTURE)
    film = await alice.begin(File(b"a film", "film.mp4", "video/mp4"))
    deleted = await alice.upload(File(b"a mistake"))
    await alice.delete(deleted["media_id"])

    async def listed(query: str) -> list[str]:
        page = await alice.call("GET", f"/api/media?{query}")
        return [media["media_id"] for media in page.json()["items"]]

    assert await listed("") == [film["media_id"], picture["media_id"]]
    assert await listed("status=completed") == [picture["media_id"]]
    assert await listed("media_type=video") == [film["media_id"]]
    assert await listed("status=deleted") == [deleted["media_id"]]


async def test_a_cdn_serves_what_it_fronts(make_platform: MakePlatform) -> None:
    async with make_platform(cdn={"baseUrl": "https://cdn.example.com/"}) as fronted:
        media = await fronted.user().upload(PICTURE)
        path = (await fronted.row(media["media_id"]))["file_path"]
        assert media["url"] == media["cdn_url"] == f"https://cdn.example.com/{path}"
        assert media["url_expires_at"] is None
