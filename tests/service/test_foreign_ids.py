"""Ids of somebody else, in every call that takes an id: answered like an id that nobody has.

The calls come from the OpenAPI document. A new field that takes an id fails the first test until the sweep knows it.
"""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from api_routes import Route, api_routes
from service_platform import Platform, running_platform
from upload_client import File, UploadClient

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.settings import Settings

# Of the same age and length as real ones: a made-up id must differ from a foreign one in nothing but being unknown.
UNKNOWN = "019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"

# What names a media that must be the caller's own; each with a body that is good but for the id, if the call has one.
OWNED: dict[tuple[str, str], Any] = {
    ("GET /api/media/{media_id}", "path.media_id"): None,
    ("GET /api/media/{media_id}/content", "path.media_id"): None,
    ("POST /api/media/{media_id}/confirm", "path.media_id"): None,
    ("DELETE /api/media/{media_id}", "path.media_id"): None,
    ("GET /api/media/{media_id}/parts", "path.media_id"): None,
    ("POST /api/media/{media_id}/parts", "path.media_id"): {"part_numbers": [1]},
    ("POST /api/messages/send", "body.media_ids[]"): {"conversation_id": "foreign", "content": "mine"},
}
CONVERSATION = "conversations belong to the chat app, which knows their members"
# What looks like an id but is nobody's property; each has a test of its own below, or the reason here.
UNOWNED = {
    ("DELETE /api/users/{sub}/media", "path.sub"): "test_other_users_are_for_administrators_only",
    ("GET /api/media", "query.cursor"): "test_a_foreign_cursor_lists_nothing_foreign",
    ("POST /api/messages/send", "body.client_message_id"): "test_a_foreign_client_message_id_answers_nothing_foreign",
    ("POST /api/messages/send", "body.conversation_id"): CONVERSATION,
    ("GET /api/messages", "query.conversation_id"): CONVERSATION,
}  # fmt: skip
STATES = ("pending", "arrived", "completed", "in use", "deleted", "failed", "expired")


@pytest.fixture(scope="module")
async def platform(seaweedfs: SeaweedFS, settings: Settings) -> AsyncIterator[Platform]:
    async with running_platform(seaweedfs.connection, settings, f"test-{uuid.uuid4().hex[:20]}") as running:
        yield running


@pytest.fixture(scope="module")
async def foreign(platform: Platform) -> dict[str, str]:
    """Bob's media, one in every state."""
    bob = platform.user("bob")
    pending = (await bob.initiate(File(b"pending"))).json()
    arrived = await bob.begin(File(b"arrived"))
    completed, in_use, deleted = [await bob.upload(File(name)) for name in (b"completed", b"in use", b"deleted")]
    assert (await bob.send(media_ids=[in_use["media_id"]])).status_code == 200
    assert (await bob.delete(deleted["media_id"])).status_code == 204
    failed, expired = [(await bob.initiate(File(name))).json() for name in (b"failed", b"expired")]
    await bob.put(failed, b"FAILED")
    assert (await bob.confirm(failed["media_id"])).status_code == 422
    assert (await bob.delete(expired["media_id"])).status_code == 204
    media = (pending, arrived, completed, in_use, deleted, failed, expired)
    return {state: found["media_id"] for state, found in zip(STATES, media, strict=True)}


async def test_the_sweep_knows_every_id_that_a_call_takes(platform: Platform) -> None:
    taken = {(route.name, identifier) for route in await api_routes(platform.http) for identifier in route.identifiers}
    assert taken - (OWNED.keys() | UNOWNED.keys()) == set(), "say in OWNED or UNOWNED whose these are"
    assert (OWNED.keys() | UNOWNED.keys()) - taken == set(), "no call takes these any more"


def visible(answer: httpx.Response, media_id: str) -> tuple[int, dict[str, str], str]:
    """All that a caller sees of an answer, but for the id that the caller sent and the one of the request."""
    headers = dict(answer.headers)
    text = answer.text.replace(media_id, "<id>").replace(headers.pop("x-request-id"), "<request>")
    return answer.status_code, headers, text


async def ask(user: UploadClient, route: Route, place: str, media_id: str) -> httpx.Response:
    path, body = route.template, OWNED[route.name, place]
    if place.startswith("path."):
        path = path.replace(f"{{{place.removeprefix('path.')}}}", media_id)
    elif place.endswith("[]"):
        body = body | {place.removeprefix("body.").removesuffix("[]"): [media_id]}
    else:
        body = body | {place.removeprefix("body."): media_id}
    return await user.call(route.method, path, body)


@pytest.mark.parametrize("state", STATES)
async def test_a_foreign_id_is_answered_like_an_unknown_one(
    platform: Platform, foreign: dict[str, str], state: str
) -> None:
    alice = platform.user("alice")
    before = await everything_of_bob(platform)
    for route in await api_routes(platform.http):
        for place in route.identifiers:
            if (route.name, place) not in OWNED:
                continue
            unknown = await ask(alice, route, place, UNKNOWN)
            known = await ask(alice, route, place, foreign[state])
            assert unknown.status_code == 404, route.name
            assert unknown.json()["type"] == "urn:mediabucket:problem:media-not-found"
            assert visible(known, foreign[state]) == visible(unknown, UNKNOWN), route.name
    assert await everything_of_bob(platform) == before


async def test_one_foreign_id_among_own_ones_sends_nothing(platform: Platform, foreign: dict[str, str]) -> None:
    alice = platform.user("alice")
    own = await alice.begin(File(b"own"))
    for media_id in (UNKNOWN, foreign["completed"]):
        refused = await alice.send(media_ids=[own["media_id"], media_id], conversation_id="among")
        assert refused.status_code == 404
        assert refused.json()["media_ids"] == [media_id]
    assert (await alice.get(own["media_id"])).json()["status"] == "pending", "nothing is confirmed on the way"
    assert (await alice.call("GET", "/api/messages?conversation_id=among")).json()["items"] == []


async def test_a_foreign_cursor_lists_nothing_foreign(platform: Platform, foreign: dict[str, str]) -> None:
    alice = platform.user("alice")
    own = {(await alice.initiate(File(name))).json()["media_id"] for name in (b"older", b"old")}
    for cursor in [*foreign.values(), UNKNOWN, "ffffffff-ffff-ffff-ffff-ffffffffffff"]:
        answer = await alice.call("GET", f"/api/media?cursor={cursor}&limit=100")
        assert answer.status_code == 200
        assert {item["uploaded_by"] for item in answer.json()["items"]} <= {"alice"}
    assert own <= {item["media_id"] for item in answer.json()["items"]}


async def test_a_foreign_client_message_id_answers_nothing_foreign(platform: Platform) -> None:
    bobs = await platform.user("bob").send(content="bob's secret", client_message_id="1", conversation_id="private")
    alices = await platform.user("alice").send(content="hello", client_message_id="1", conversation_id="other")
    assert bobs.status_code == alices.status_code == 200
    assert alices.json()["message_id"] != bobs.json()["message_id"]
    assert (alices.json()["sender"], alices.json()["content"]) == ("alice", "hello")


async def test_a_foreign_checksum_says_nothing_about_the_file(platform: Platform, foreign: dict[str, str]) -> None:
    """Knowing a hash is not having the file: alice gets the ticket that she would get for bytes that nobody has."""
    alice = platform.user("alice")
    known = (await alice.initiate(File(b"completed"))).json()
    unknown = (await alice.initiate(File(b"cOmpleted"))).json()
    assert known["exists"] is unknown["exists"] is False
    assert known.keys() == unknown.keys()
    assert known["media_id"] not in foreign.values()


async def test_other_users_are_for_administrators_only(platform: Platform, foreign: dict[str, str]) -> None:
    before = await everything_of_bob(platform)
    answers = [await platform.user().call("DELETE", f"/api/users/{user}/media") for user in ("bob", "bOb", "alice")]
    assert {answer.status_code for answer in answers} == {403}
    assert len({visible(answer, "no id")[2] for answer in answers}) == 1
    assert await everything_of_bob(platform) == before
    assert foreign["completed"] in str(before)


async def everything_of_bob(platform: Platform) -> list[Any]:
    bucket = platform.connection.bucket
    query = "SELECT * FROM media_files WHERE uploaded_by = 'bob' AND bucket = %(bucket)s ORDER BY media_id"
    return [await platform.database.fetch_all(query, {"bucket": bucket}), await platform.keys()]
