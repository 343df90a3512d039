"""What the client does when the way to the store, or the store itself, fails: real bytes, really cut."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from faulty_store import CutAfter, CutAnswer, Delay, Fault, Hold, Refuse, faulty_store
from js_client import ClientWorld, MakeWorld
from part_client import IN_PARTS, film
from upload_client import File

PICTURE = File(b"a picture that meets a fault" * 40_000)
INITIATE = "POST /api/media/upload/initiate"
EVENTS_SECONDS = 30


async def until(happened: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(EVENTS_SECONDS):
        while not happened():
            await asyncio.sleep(0.02)


async def upload_through(world: ClientWorld, *faults: Fault, **told: Any) -> Any:
    """Uploads the picture while the first PUTs meet these faults."""
    world.store.faults.extend(faults)
    return await world.upload(PICTURE, **told)


async def assert_is_whole(world: ClientWorld, answer: dict[str, Any], file: File = PICTURE) -> None:
    assert answer["media"]["status"] == "completed"
    assert await world.bytes_of(answer["media"]) == file.content


async def test_a_connection_that_breaks_amid_the_bytes_is_begun_again(world: ClientWorld) -> None:
    answer = await upload_through(world, CutAfter(300_000), CutAfter(0))
    await assert_is_whole(world, answer)
    assert world.store.statuses() == [None, None, 200]
    # The URL was good still.
    assert answer["calls"].count(INITIATE) == 1


async def test_a_store_that_has_too_much_to_do_is_asked_again(world: ClientWorld) -> None:
    answer = await upload_through(world, Refuse(503, "SlowDown"), Refuse(503, "SlowDown"))
    await assert_is_whole(world, answer)
    assert world.store.statuses() == [503, 503, 200]
    assert answer["calls"].count(INITIATE) == 1


async def test_a_store_that_fails_for_good_is_given_up_on(world: ClientWorld) -> None:
    answer = await upload_through(world, *[Refuse(500)] * 9, retry={"retries": 3})
    assert (answer["error"]["name"], answer["error"]["status"]) == ("StoreRefused", 500)
    assert answer["error"]["userMessage"]
    assert world.store.statuses() == [500] * 4


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "BadDigest"), (401, "Unauthorized"), (403, "AccessDenied"), (403, "SignatureDoesNotMatch"),
     (404, "NoSuchBucket"), (405, "MethodNotAllowed"), (411, "MissingContentLength"), (429, "TooMany")],
)  # fmt: skip
async def test_what_the_store_refuses_is_sent_once(world: ClientWorld, status: int, code: str) -> None:
    answer = await upload_through(world, Refuse(status, code))
    assert answer["error"]["name"] == "StoreRefused"
    assert (answer["error"]["status"], answer["error"]["code"]) == (status, code)
    assert world.store.statuses() == [status]
    assert answer["calls"] == [INITIATE]


async def test_what_the_api_refuses_is_asked_once(world: ClientWorld) -> None:
    answer = await world.upload(File(b"notes", "notes.txt", "text/plain", as_is=True))
    assert (answer["error"]["name"], answer["error"]["status"]) == ("TypeNotAllowed", 400)
    assert answer["calls"] == [INITIATE]
    assert world.store.requests == []


async def test_a_store_that_says_when_to_come_back_is_obeyed(world: ClientWorld) -> None:
    started = time.monotonic()
    answer = await upload_through(world, Refuse(429, "TooManyRequests", retry_after=1))
    await assert_is_whole(world, answer)
    assert world.store.statuses() == [429, 200]
    assert time.monotonic() - started > 1


async def test_a_store_that_asks_for_more_patience_than_there_is_is_not_waited_for(world: ClientWorld) -> None:
    answer = await upload_through(world, Refuse(503, "SlowDown", retry_after=3600))
    assert answer["error"]["status"] == 503
    assert world.store.statuses() == [503]


async def test_an_url_that_the_store_finds_expired_is_replaced(make_world: MakeWorld) -> None:
    """The PUT reaches the store late: the answer is the store's own."""
    async with make_world(uploads={"urlTTLSeconds": 2}) as world:
        answer = await upload_through(world, Delay(3))
        await assert_is_whole(world, answer)
        assert world.store.statuses() == [403, 200]
        assert answer["calls"].count(INITIATE) == 2


async def test_an_url_that_expired_meanwhile_is_not_used(make_world: MakeWorld) -> None:
    """The client itself knows, by its own count of seconds, when it tries again."""
    async with make_world(uploads={"urlTTLSeconds": 1}) as world:
        answer = await upload_through(world, Refuse(503, retry_after=2))
        await assert_is_whole(world, answer)
        assert world.store.statuses() == [503, 200]
        assert answer["calls"].count(INITIATE) == 2


async def test_a_store_that_does_not_say_that_an_url_expired_is_understood(make_world: MakeWorld) -> None:
    async with make_world(uploads={"urlTTLSeconds": 1}) as world:
        answer = await upload_through(world, Refuse(403, "AccessDenied", after_seconds=1.2))
        await assert_is_whole(world, answer)
        assert world.store.statuses() == [403, 200]
        assert answer["calls"].count(INITIATE) == 2


async def test_bytes_that_had_arrived_are_not_sent_a_third_time(make_world: MakeWorld) -> None:
    """The answer to the first PUT was lost; the store refuses the second with 412, and that is success."""
    async with make_world(uploads={"integrity": "Signed"}) as world:
        answer = await upload_through(world, CutAnswer())
        await assert_is_whole(world, answer)
        assert world.store.statuses() == [None, 412]


async def test_an_upload_is_aborted_amid_the_bytes(world: ClientWorld) -> None:
    world.store.faults.append(Hold())
    answer = await world.run("abort", file=world.saved(PICTURE), phase="uploading", after=200)
    ended = time.monotonic()
    assert (answer["error"]["name"], answer["isReason"], answer["callsAfter"]) == ("AbortError", True, 0)
    # The process lived on for half a second: it was not its end that closed the connection.
    hung_up_at = world.store.requests[0].hung_up_at
    assert hung_up_at is not None
    assert hung_up_at < ended - 0.4
    assert world.store.statuses() == [None]
    assert answer["calls"] == [INITIATE]


async def test_an_upload_is_aborted_between_two_tries(world: ClientWorld) -> None:
    world.store.faults.extend([Refuse(503, retry_after=60)])
    started = time.monotonic()
    answer = await world.run("abort", file=world.saved(PICTURE), phase="uploading", after=300)
    assert answer["error"]["name"] == "AbortError"
    assert time.monotonic() - started < 30
    assert world.store.statuses() == [503]


async def test_an_upload_is_aborted_before_it_is_announced(world: ClientWorld) -> None:
    answer = await world.run("abort", file=world.saved(film(parts=5)), phase="hashing", after=0)
    assert answer["error"]["name"] == "AbortError"
    assert answer["calls"] == []


async def test_bytes_that_the_store_has_lost_are_sent_again(world: ClientWorld) -> None:
    """The PUT was answered 200 by something that keeps nothing: confirm finds no bytes."""
    answer = await upload_through(world, Refuse(200))
    await assert_is_whole(world, answer)
    assert len(world.store.statuses()) == 2
    assert answer["calls"].count(INITIATE) == 2


async def test_each_part_is_tried_again_by_itself(world_in_parts: ClientWorld) -> None:
    world, file = world_in_parts, film(parts=4)
    world.store.faults.extend([CutAfter(1_000_000), Refuse(503)])
    answer = await world.upload(file)
    await assert_is_whole(world, answer, file)
    assert sorted(filter(None, world.store.parts())) == [1, 2, 3, 4]
    assert len(world.store.statuses()) == 6


async def test_a_part_that_is_refused_stops_the_others(world_in_parts: ClientWorld) -> None:
    world = world_in_parts
    world.store.faults.extend([Hold(), Hold(), Refuse(400, "BadDigest")])
    answer = await world.upload(film(parts=9))
    assert answer["error"]["code"] == "BadDigest"
    await until(lambda: all(asked.hung_up_at for asked in world.store.requests[:2]))
    # The fourth was on its way, and may have made room for one more.
    assert len(world.store.requests) <= 5


@pytest.mark.parametrize("integrity", ["Verified", "Signed"])
async def test_urls_of_parts_are_replaced_when_they_expire(make_world: MakeWorld, integrity: str) -> None:
    file = film(parts=4)
    uploads = IN_PARTS | {"integrity": integrity, "urlTTLSeconds": 5}
    async with make_world(uploads=uploads) as world:
        world.store.faults.append(Delay(6))
        answer = await world.upload(file, client={"parallelParts": 1})
        await assert_is_whole(world, answer, file)
        statuses = world.store.statuses()
    assert statuses == [403, 200, 200, 200, 200]
    assert answer["calls"].count(INITIATE) == 1
    assert any(call.startswith("POST /api/media/") and call.endswith("/parts") for call in answer["calls"])


@pytest.mark.parametrize("integrity", ["Verified", "Signed"])
async def test_another_process_sends_only_the_missing_parts(make_world: MakeWorld, integrity: str) -> None:
    file = film(parts=5, salt=b"resumed")
    async with make_world(uploads=IN_PARTS | {"integrity": integrity}) as world:
        # The page is closed while the third part is on its way.
        world.store.faults.extend([Delay(0), Delay(0), Hold()])
        one_by_one = {"parallelParts": 1}
        async with world.driver("upload", file=world.saved(file), client=one_by_one):
            await until(lambda: len(world.store.requests) == 3)
        assert world.store.parts() == [1, 2]
        world.store.requests.clear()

        answer = await world.upload(file, client=one_by_one)
        await assert_is_whole(world, answer, file)
        assert world.store.parts()[:3] == [3, 4, 5]
        assert len(world.store.statuses()) == 3
        first = next(state for state in answer["progress"] if state["phase"] == "uploading" and state["loaded"])
    assert first["loaded"] == 10 * 1024**2


async def test_a_service_that_is_away_for_a_moment_is_waited_for(world: ClientWorld) -> None:
    """A client that finds nobody at the API's port tries again, and says what is wrong in the end."""
    nobody = world.base_url.rpartition(":")[0] + ":9"
    answer = await world.upload(PICTURE, baseUrl=nobody, retry={"retries": 2})
    assert answer["error"]["name"] == "NetworkFailure"
    assert "network" in answer["error"]["userMessage"]
    assert answer["calls"] == [INITIATE] * 3


async def test_a_service_that_fails_for_a_moment_is_asked_again(world: ClientWorld) -> None:
    """The first answer to each call is lost, or is a refusal that passes: all of them may be repeated."""
    async with faulty_store(world.base_url, "POST") as api:
        api.faults.extend([CutAnswer(), Refuse(503), Delay(0), CutAnswer()])
        answer = await world.upload(PICTURE, baseUrl=api.endpoint)
        await assert_is_whole(world, answer)
    media_id = answer["media"]["media_id"]
    assert answer["calls"] == [INITIATE] * 3 + [f"POST /api/media/{media_id}/confirm"] * 2
    assert world.store.statuses() == [200]


async def test_a_message_whose_answer_was_lost_is_sent_once(world: ClientWorld) -> None:
    async with faulty_store(world.base_url, "POST") as api:
        api.faults.extend([CutAnswer(), CutAnswer()])
        message = {"conversation_id": "once", "content": "hello"}
        sent = await world.run("call", method="sendMessage", arguments=[message], baseUrl=api.endpoint)
    assert len(sent["calls"]) == 3
    page = await world.run("call", method="messages", arguments=["once"])
    assert [item["message_id"] for item in page["answer"]["items"]] == [sent["answer"]["message_id"]]


async def test_a_service_that_limits_its_users_is_obeyed(make_world: MakeWorld) -> None:
    async with make_world(uploads={"limits": {"pendingPerUser": 1}}) as world:
        begun = await world.platform.user().initiate(File(b"another, still pending"))
        assert begun.status_code == 200
        answer = await world.upload(PICTURE, retry={"longestRetryAfterSeconds": 0})
    assert answer["error"]["name"] == "TooManyRequests"
    assert answer["calls"] == [INITIATE]
