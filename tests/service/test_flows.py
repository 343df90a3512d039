"""Messages that refer to media, over HTTP on a real store and a real database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_service.flows import PARALLEL_CONFIRMS
from mediabucket_service.media.models import MediaFile
from mediabucket_service.media.service import MediaService
from mediabucket_service.messages.models import Message
from mediabucket_service.messages.repository_mongodb import MongoMessageRepository
from mediabucket_service.messages.repository_postgresql import PostgresMessageRepository

PICTURE = File(b"a picture" * 100)
VIDEO = File(b"a video" * 1000, "clip.mp4", "video/mp4")
MALFORMED_CURSORS = ["x", "AAAA", "-" * 32, "é", "x" * 65]


@pytest.fixture(params=["postgresql", "mongodb"])
async def platform(make_platform: MakePlatform, request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    """Messages in either place."""
    changes: dict[str, Any] = {}
    if request.param == "mongodb":
        changes["mongodb_url"] = SecretStr(request.getfixturevalue("mongodb_url"))
    async with make_platform(settings_changes=changes) as running:
        yield running


@pytest.fixture
def conversation() -> str:
    """A conversation that no other test speaks in: all share a database."""
    return f"conversation-{uuid4()}"


async def send(user: UploadClient, conversation: str, **message: Any) -> dict[str, Any]:
    answer = await user.send(conversation_id=conversation, **message)
    assert answer.status_code == 200, answer.text
    sent: dict[str, Any] = answer.json()
    return sent


async def read(user: UploadClient, conversation: str, **query: Any) -> dict[str, Any]:
    answer = await user.call("GET", "/api/messages", params={"conversation_id": conversation} | query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def stable(message: dict[str, Any]) -> dict[str, Any]:
    """A message without the signed URLs, which are fresh in every answer."""
    media = [{key: one[key] for key in one if not key.startswith("url")} for one in message["media"]]
    return message | {"media": media}


def problem(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix("urn:mediabucket:problem:")


async def references(platform: Platform, media_id: str) -> list[UUID]:
    rows = await platform.database.fetch_all(
        "SELECT message_id FROM media_references WHERE media_id = %(id)s", {"id": media_id}
    )
    return [row["message_id"] for row in rows]


async def age_references(platform: Platform, media_id: str) -> None:
    """Make the references of a media look two hours old."""
    await platform.database.execute(
        "UPDATE media_references SET created_at = now() - interval '2 hours' WHERE media_id = %(id)s", {"id": media_id}
    )


async def test_a_message_is_read_with_its_media(alice: UploadClient, bob: UploadClient, conversation: str) -> None:
    picture, video = await alice.upload(PICTURE), await alice.upload(VIDEO)
    media_ids = [video["media_id"], picture["media_id"]]
    sent = await send(alice, conversation, content="look", media_ids=media_ids)
    assert sent["sender"] == "alice"
    assert [media["media_id"] for media in sent["media"]] == media_ids
    page = await read(bob, conversation)
    assert [stable(item) for item in page["items"]] == [stable(sent)]
    assert page["next"] is None
    assert (await bob.download(page["items"][0]["media"][1]["url"])).content == PICTURE.content


async def test_a_message_confirms_a_pending_upload_on_the_way(
    alice: UploadClient, platform: Platform, conversation: str
) -> None:
    ticket = await alice.begin(PICTURE)
    sent = await send(alice, conversation, media_ids=[ticket["media_id"]])
    assert sent["media"][0]["status"] == "completed"
    assert (await alice.download(sent["media"][0]["url"])).content == PICTURE.content
    assert await platform.keys("pending/") == []


async def test_many_pending_uploads_are_confirmed_in_parallel_but_not_all_at_once(
    alice: UploadClient, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most = 0, 0
    confirm = MediaService.confirm

    async def counted(self: MediaService, user_id: str, media_id: UUID) -> MediaFile:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await confirm(self, user_id, media_id)
        finally:
            at_once -= 1

    monkeypatch.setattr(MediaService, "confirm", counted)
    tickets = [await alice.begin(File(f"picture {number}".encode())) for number in range(20)]
    sent = await send(alice, conversation, media_ids=[ticket["media_id"] for ticket in tickets])
    assert [media["status"] for media in sent["media"]] == ["completed"] * 20
    assert 1 < most <= PARALLEL_CONFIRMS


async def test_unknown_media_and_media_of_others_are_named_alike_and_nothing_is_sent(
    alice: UploadClient, bob: UploadClient, conversation: str
) -> None:
    mine, theirs, unknown = (await alice.upload(PICTURE))["media_id"], (await bob.upload(PICTURE))["media_id"], uuid4()
    answer = await alice.send(conversation_id=conversation, media_ids=[mine, theirs, str(unknown)])
    assert answer.status_code == 404
    assert problem(answer) == "media-not-found"
    assert answer.json()["media_ids"] == [theirs, str(unknown)]
    assert (await read(alice, conversation))["items"] == []
    assert (await alice.delete(mine)).status_code == 204


@pytest.mark.parametrize(
    ("becomes", "status", "slug"),
    [
        ("status = 'expired'", 410, "upload-expired"),
        ("status = 'failed', failure = 'the checksum differs'", 422, "upload-mismatch"),
        ("status = 'deleted'", 410, "media-deleted"),
    ],
)
async def test_media_that_are_gone_stop_the_message_and_are_named(
    alice: UploadClient, platform: Platform, conversation: str, becomes: str, status: int, slug: str
) -> None:
    media_id = (await alice.begin(PICTURE))["media_id"]
    await platform.change(media_id, becomes)
    answer = await alice.send(conversation_id=conversation, media_ids=[media_id])
    assert answer.status_code == status
    assert problem(answer) == slug
    assert answer.json()["media_id"] == media_id
    assert (await read(alice, conversation))["items"] == []


async def test_bytes_that_have_not_arrived_stop_the_message_until_they_have(
    alice: UploadClient, platform: Platform, conversation: str
) -> None:
    ready = await alice.begin(VIDEO)
    ticket = (await alice.initiate(PICTURE)).json()
    media_ids = [ready["media_id"], ticket["media_id"]]
    answer = await alice.send(conversation_id=conversation, media_ids=media_ids)
    assert answer.status_code == 409
    assert problem(answer) == "upload-missing"
    assert answer.json()["media_id"] == ticket["media_id"]
    assert answer.headers["retry-after"] == "1"
    assert await references(platform, ready["media_id"]) == []
    await alice.put(ticket, PICTURE.content)
    await send(alice, conversation, media_ids=media_ids)


async def test_wrong_bytes_stop_the_message(alice: UploadClient, platform: Platform, conversation: str) -> None:
    ticket = (await alice.initiate(PICTURE)).json()
    await alice.put(ticket, b"x" * len(PICTURE.content))
    answer = await alice.send(conversation_id=conversation, media_ids=[ticket["media_id"]])
    assert answer.status_code == 422
    assert problem(answer) == "upload-mismatch"
    assert await platform.keys("uploads/") == []


async def test_a_media_cannot_be_deleted_while_a_message_refers_to_it(alice: UploadClient, conversation: str) -> None:
    media_id = (await alice.upload(PICTURE))["media_id"]
    await send(alice, conversation, media_ids=[media_id])
    answer = await alice.delete(media_id)
    assert answer.status_code == 409
    assert problem(answer) == "media-in-use"


async def test_a_message_and_a_delete_at_once_never_leave_a_message_without_its_media(
    alice: UploadClient, conversation: str
) -> None:
    for number in range(8):
        media_id = (await alice.upload(File(f"picture {number}".encode())))["media_id"]
        sent, deleted = await asyncio.gather(
            alice.send(conversation_id=conversation, media_ids=[media_id]), alice.delete(media_id)
        )
        assert (sent.status_code, deleted.status_code) in {(200, 409), (404, 204), (410, 204)}
    for message in (await read(alice, conversation))["items"]:
        assert [media["status"] for media in message["media"]] == ["completed"]


async def test_a_repeated_client_message_id_gets_the_first_answer_and_confirms_nothing(
    alice: UploadClient, platform: Platform, conversation: str
) -> None:
    media_id = (await alice.upload(PICTURE))["media_id"]
    first = await send(alice, conversation, media_ids=[media_id], client_message_id=conversation)
    pending = await alice.begin(VIDEO)
    again = await send(
        alice, "elsewhere", content="changed", media_ids=[pending["media_id"]], client_message_id=conversation
    )
    assert stable(again) == stable(first)
    assert (await platform.row(pending["media_id"]))["status"] == "pending"
    assert await references(platform, pending["media_id"]) == []
    assert await references(platform, media_id) == [UUID(first["message_id"])]


async def test_the_same_message_sent_20_times_at_once_is_one_message(
    alice: UploadClient, platform: Platform, conversation: str
) -> None:
    media_id = (await alice.begin(PICTURE))["media_id"]
    answers = await asyncio.gather(
        *(send(alice, conversation, media_ids=[media_id], client_message_id=conversation) for _ in range(20))
    )
    assert len({answer["message_id"] for answer in answers}) == 1
    assert len((await read(alice, conversation))["items"]) == 1
    assert await references(platform, media_id) == [UUID(answers[0]["message_id"])]


async def test_client_message_ids_of_different_users_are_apart(
    alice: UploadClient, bob: UploadClient, conversation: str
) -> None:
    sent = [await send(user, conversation, content="hello", client_message_id=conversation) for user in (alice, bob)]
    assert [message["sender"] for message in sent] == ["alice", "bob"]


async def test_references_of_a_message_that_never_came_to_be_are_swept(
    alice: UploadClient, platform: Platform, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    media_id = (await alice.upload(PICTURE))["media_id"]

    async def dies(*_: object) -> Message:
        raise ConnectionResetError("killed between references and message")

    with monkeypatch.context() as patched:
        for repository in (PostgresMessageRepository, MongoMessageRepository):
            patched.setattr(repository, "insert", dies)
        assert (await alice.send(conversation_id=conversation, media_ids=[media_id])).status_code == 500
    assert len(await references(platform, media_id)) == 1

    await platform.services.flows.sweep_references()
    assert len(await references(platform, media_id)) == 1, "a message still being sent keeps its references"

    await age_references(platform, media_id)
    assert await platform.services.flows.sweep_references() == 1
    assert (await alice.delete(media_id)).status_code == 204


async def test_a_sweep_keeps_the_references_of_messages(
    alice: UploadClient, platform: Platform, conversation: str
) -> None:
    media_id = (await alice.upload(PICTURE))["media_id"]
    await send(alice, conversation, media_ids=[media_id])
    await age_references(platform, media_id)
    for _ in range(2):
        assert await platform.services.flows.sweep_references() == 0
    assert len(await references(platform, media_id)) == 1


async def test_pages_of_a_conversation_follow_each_other(
    alice: UploadClient, bob: UploadClient, conversation: str
) -> None:
    sent = [await send(user, conversation, content=str(n)) for n, user in enumerate((alice, bob, alice, bob, alice))]
    read_ids, before = [], None
    for size in (2, 2, 1):
        page = await read(alice, conversation, limit=2, **({} if before is None else {"before": before}))
        assert len(page["items"]) == size
        read_ids += [item["message_id"] for item in page["items"]]
        before = page["next"]
    assert before is None
    assert sorted(read_ids) == sorted(message["message_id"] for message in sent)
    assert read_ids[-1] == sent[0]["message_id"]


@pytest.mark.parametrize("before", MALFORMED_CURSORS)
async def test_a_made_up_cursor_is_malformed(alice: UploadClient, before: str) -> None:
    answer = await alice.call("GET", "/api/messages", params={"conversation_id": "general", "before": before})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("before must ")


@pytest.mark.parametrize("query", [{}, {"conversation_id": ""}, {"conversation_id": "a\0b"}, {"limit": 0}])
async def test_a_question_that_names_no_conversation_is_malformed(alice: UploadClient, query: dict[str, Any]) -> None:
    answer = await alice.call("GET", "/api/messages", params=query)
    assert answer.status_code == 400
    assert "conversation_id" in answer.json()["detail"]


async def test_messages_need_a_token(platform: Platform) -> None:
    for answer in (
        await platform.http.post("/api/messages/send", json={"conversation_id": "general", "content": "x"}),
        await platform.http.get("/api/messages", params={"conversation_id": "general"}),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_signed_urls_are_not_to_be_stored(alice: UploadClient, conversation: str) -> None:
    media_id = (await alice.upload(PICTURE))["media_id"]
    sent = await alice.send(conversation_id=conversation, media_ids=[media_id])
    listed = await alice.call("GET", "/api/messages", params={"conversation_id": conversation})
    assert sent.headers["cache-control"] == listed.headers["cache-control"] == "no-store"


async def test_a_mongodb_that_is_down_is_503_for_messages_and_nothing_else(make_platform: MakePlatform) -> None:
    nobody = SecretStr("mongodb://127.0.0.1:9")
    async with make_platform(settings_changes={"mongodb_url": nobody, "database_timeout_seconds": 1.5}) as platform:
        alice = platform.user("alice")
        for answer in (
            await alice.send(content="hello"),
            await alice.call("GET", "/api/messages", params={"conversation_id": "general"}),
        ):
            assert answer.status_code == 503
            assert answer.json()["dependency"] == "documents"
        assert (await alice.upload(PICTURE))["status"] == "completed"
