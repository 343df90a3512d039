"""What the client does when nothing fails: on a real service and a real store."""

from typing import Any

import pytest
from js_client import ClientWorld, MakeWorld
from part_client import IN_PARTS, MEBIBYTE, PART, film
from sample_files import SIGNATURES
from upload_client import File, make_token

INITIATE = "POST /api/media/upload/initiate"
LARGE = 320 * MEBIBYTE
SIGNED = {"uploads": {"integrity": "Signed"}}


def phases(answer: dict[str, Any]) -> list[str]:
    """The phases of an upload in the order in which they were told."""
    return list(dict.fromkeys(state["phase"] for state in answer["progress"]))


async def test_a_file_is_uploaded_and_confirmed(world: ClientWorld) -> None:
    file = File(b"a picture" * 1000)
    answer = await world.upload(file, options={"metadata": {"album": "summer"}})
    media = answer["media"]
    assert (media["status"], media["checksum"], media["file_name"]) == ("completed", file.sha256, file.name)
    assert media["metadata"] == {"album": "summer"}
    assert await world.bytes_of(media) == file.content
    assert answer["calls"] == [INITIATE, f"POST /api/media/{media['media_id']}/confirm"]
    assert phases(answer) == ["hashing", "uploading", "confirming", "done"]
    size = len(file.content)
    assert answer["progress"][-1] == {"phase": "done", "loaded": size, "total": size}


async def test_what_was_uploaded_before_is_not_sent_again(world: ClientWorld) -> None:
    file = File(b"the same picture" * 1000)
    first, again = await world.upload(file), await world.upload(file)
    media_id = first["media"]["media_id"]
    assert again["media"] == first["media"] | {name: again["media"][name] for name in ("url", "url_expires_at")}
    assert again["calls"] == [INITIATE, f"GET /api/media/{media_id}"]
    assert world.store.statuses() == [200]


async def test_what_the_store_checks_itself_is_sent_with_exactly_the_signed_headers(make_world: MakeWorld) -> None:
    file = File(b"a signed picture" * 1000)
    async with make_world(**SIGNED) as world:
        answer = await world.upload(file)
        assert await world.bytes_of(answer["media"]) == file.content


@pytest.mark.parametrize("integrity", ["Verified", "Signed"])
async def test_a_large_file_is_sent_in_parts(make_world: MakeWorld, integrity: str) -> None:
    file = film(parts=4)
    async with make_world(uploads=IN_PARTS | {"integrity": integrity}) as world:
        answer = await world.upload(file)
        assert await world.bytes_of(answer["media"]) == file.content
        assert sorted(filter(None, world.store.parts())) == [1, 2, 3, 4]
        uploading = [state["loaded"] for state in answer["progress"] if state["phase"] == "uploading"]
    assert uploading == sorted(uploading)
    assert uploading[-1] == len(file.content)


@pytest.mark.parametrize("parts_from", [5 * MEBIBYTE, 1024 * MEBIBYTE], ids=["in parts", "in one piece"])
async def test_a_large_file_is_sent_without_being_in_memory(make_world: MakeWorld, parts_from: int) -> None:
    beginning = SIGNATURES["video/mp4"] + parts_from.to_bytes(8, "big")
    uploads = {"maxBytes": LARGE, "multipart": {"minBytes": parts_from, "partBytes": 16 * MEBIBYTE}}
    async with make_world(uploads=uploads) as world:
        path = world.folder / "large.mp4"
        with path.open("wb") as file:
            file.write(beginning)
            file.truncate(LARGE)
        answer = await world.run("upload", file={"path": str(path), "type": "video/mp4"})
        assert answer["media"]["file_size"] == LARGE
        assert len(world.store.statuses()) == (LARGE // (16 * MEBIBYTE) if parts_from < LARGE else 1)
    assert answer["peakBytes"] < 240 * MEBIBYTE


async def test_a_type_with_parameters_is_announced_without(world: ClientWorld) -> None:
    """As MediaRecorder names what it has recorded."""
    file = File(b"recorded" * 100, "clip.mp4", "video/mp4")
    saved = world.saved(file) | {"type": "video/mp4;codecs=avc1"}
    answer = await world.run("upload", file=saved)
    assert (answer["media"]["status"], answer["media"]["mime_type"]) == ("completed", "video/mp4")


async def test_an_upload_can_end_in_a_message(world: ClientWorld) -> None:
    told = {"conversation": "general", "content": "look!", "messageType": "image", "clientMessageId": "one"}
    answer = await world.upload(File(b"for a message"), options=told)
    message = answer["media"]["message"]
    assert (message["content"], message["message_type"], message["client_message_id"]) == ("look!", "image", "one")
    assert message["media_ids"] == [answer["media"]["media_id"]]


async def test_many_files_are_uploaded_a_few_at_a_time(world: ClientWorld) -> None:
    """One that is refused does not keep the others back."""
    files = [File(f"picture {number}".encode() * 500, f"{number}.png") for number in range(6)]
    saved = [world.saved(file) for file in files]
    saved[2] |= {"type": "text/plain"}
    answer = await world.run("uploadMany", files=saved, options={"parallel": 2})
    outcomes = [result["media"]["checksum"] if "media" in result else result["error"] for result in answer["results"]]
    assert outcomes[2]["slug"] == "type-not-allowed"
    assert outcomes[2]["userMessage"] == "Files of this type cannot be uploaded here."
    assert outcomes[:2] + outcomes[3:] == [file.sha256 for file in files[:2] + files[3:]]
    assert (answer["most"], answer["left"]) == (2, 0)


async def test_media_are_listed_read_and_deleted(world: ClientWorld) -> None:
    media_id = (await world.upload(File(b"to be listed")))["media"]["media_id"]
    listed = await world.run("call", method="list", arguments=[{"limit": 1, "mediaType": "image"}])
    assert [media["media_id"] for media in listed["answer"]["items"]] == [media_id]
    read = await world.run("call", method="get", arguments=[media_id])
    assert read["answer"]["media_id"] == media_id
    assert await world.run("call", method="delete", arguments=[media_id]) == {
        "answer": None, "calls": [f"DELETE /api/media/{media_id}"]
    }  # fmt: skip
    gone = await world.run("call", method="get", arguments=[media_id])
    assert gone["error"]["name"] in ("MediaDeleted", "MediaNotFound")


async def test_messages_are_sent_and_read(world: ClientWorld) -> None:
    message = {"conversation_id": "a & b", "content": "hello"}
    sent = (await world.run("call", method="sendMessage", arguments=[message]))["answer"]
    assert sent["client_message_id"]
    page = (await world.run("call", method="messages", arguments=["a & b", {"limit": 5}]))["answer"]
    assert [item["message_id"] for item in page["items"]] == [sent["message_id"]]


async def test_arrived_parts_are_told(world_in_parts: ClientWorld) -> None:
    begun = await world_in_parts.platform.user().initiate(film(), multipart=True)
    told = await world_in_parts.run("call", method="parts", arguments=[begun.json()["media_id"]])
    assert [(part["part_number"], part["size"], part["arrived"]) for part in told["answer"]["parts"]] == [
        (1, PART, False), (2, PART, False), (3, 100, False)
    ]  # fmt: skip


async def test_a_token_that_has_ended_is_replaced_once(world: ClientWorld) -> None:
    ended, good = make_token("alice", exp=1), make_token("alice")
    answer = await world.run("renewedToken", first=ended, second=good)
    assert answer["page"]["items"] == []
    assert answer["refusals"] == [None, ended]
    assert len(answer["calls"]) == 2


async def test_a_refused_token_is_not_sent_again(world: ClientWorld) -> None:
    ended = make_token("alice", exp=1)
    answer = await world.run("renewedToken", first=ended, second=ended)
    assert answer["error"]["name"] == "Unauthenticated"
    assert len(answer["calls"]) == 1


async def test_a_file_that_is_being_verified_is_waited_for(make_world: MakeWorld) -> None:
    """The service answers 202 at once, and the client asks again."""
    file = film(parts=3, salt=b"slow")
    changes = {"confirm_answer_seconds": 0}
    async with make_world(settings_changes=changes, uploads=IN_PARTS) as world:
        answer = await world.upload(file)
        assert answer["media"]["status"] == "completed"
        confirm = f"POST /api/media/{answer['media']['media_id']}/confirm"
        assert answer["calls"].count(confirm) >= 2
