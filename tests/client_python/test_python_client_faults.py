"""The Python client while the network, the store and the API fail: what is tried again, what never is."""

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from python_client import PART, QUICK, MakeWorld, World, film, picture
from scripted_faults import CutAfter, Fault, LoseAnswer, Refuse

from mediabucket.client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    NotVerifiedYet,
    Retry,
    StoreRefused,
    UnexpectedAnswer,
    Upload,
    UploadLost,
    UrlExpired,
)
from mediabucket.client.requests import Settings
from mediabucket.client.sync_runner import SyncRunner
from mediabucket.client.uploads import upload_file
from mediabucket.client.wire import Api
from mediabucket_cli.embedded.seaweedfs import SeaweedFS


@pytest.mark.parametrize(
    ("faults", "puts"),
    [
        ([CutAfter(200_000)], 2),
        ([Refuse(503, "SlowDown"), Refuse(503, "SlowDown")], 3),
        ([Refuse(500, "InternalError"), CutAfter(0), Refuse(408), Refuse(429)], 5),
    ],
    ids=["cut in the middle", "503 twice", "one of each"],
)
async def test_what_passes_is_tried_again(
    world: World, kind: str, tmp_path: Path, faults: list[Fault], puts: int
) -> None:
    file = picture(tmp_path, 400_000)
    world.store.faults.extend(faults)
    media = await world.user(kind).upload(file)
    assert len(world.store.asked("PUT")) == puts
    assert httpx.get(media.url or "").content == file.read_bytes()
    assert len(world.api.asked("POST", "/initiate")) == 1


async def test_a_part_that_is_cut_is_sent_again_and_no_other(world: World, kind: str, tmp_path: Path) -> None:
    file = film(tmp_path)
    world.store.faults.extend([None, CutAfter(PART // 2)])
    media = await world.user(kind, parallel_parts=1).upload(file)
    assert world.store.parts() == [1, 2, 2, 3, 4]
    assert httpx.get(media.url or "").content == file.read_bytes()


@pytest.mark.parametrize("status", [400, 404, 409, 411, 413, 501])
async def test_attempts_are_counted_by_what_the_store_says(
    world: World, kind: str, tmp_path: Path, status: int
) -> None:
    """A 4xx is never tried again as it is; a 404 means that the upload has to be announced anew. 5xx are."""
    world.store.always = Refuse(status, "SomeCode")
    with pytest.raises(StoreRefused, match=f"the store answered {status}, SomeCode: as the test says") as caught:
        await world.user(kind).upload(picture(tmp_path))
    announced, puts = len(world.api.asked("POST", "/initiate")), len(world.store.asked("PUT"))
    if status == 404:
        assert isinstance(caught.value, UploadLost)
        assert (announced, puts) == (4, 4)
    else:
        assert (announced, puts) == (1, QUICK.attempts if status >= 500 else 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
async def test_a_4xx_of_the_api_is_never_tried_again(world: World, kind: str, tmp_path: Path, status: int) -> None:
    world.api.always = Refuse(status)
    with pytest.raises(UnexpectedAnswer, match=f"HTTP status {status}"):
        await world.user(kind).upload(picture(tmp_path))
    assert len(world.api.asked("POST")) == 1


async def test_an_api_that_comes_back_is_waited_for(world: World, kind: str, tmp_path: Path) -> None:
    world.api.faults.extend([Refuse(503), CutAfter(0), Refuse(500)])
    await world.user(kind).upload(picture(tmp_path))
    assert len(world.api.asked("POST", "/initiate")) == 4


async def test_retry_after_is_waited_for(world: World, kind: str, tmp_path: Path) -> None:
    world.api.faults.append(Refuse(429, headers={"Retry-After": "1"}))
    world.store.faults.append(Refuse(503, headers={"Retry-After": "1"}))
    started = time.monotonic()
    await world.user(kind).upload(picture(tmp_path))
    assert time.monotonic() - started >= 2


async def test_a_retry_after_beyond_patience_is_not_waited_for(world: World, kind: str, tmp_path: Path) -> None:
    world.api.always = Refuse(429, headers={"Retry-After": "3600"})
    started = time.monotonic()
    with pytest.raises(UnexpectedAnswer, match="429"):
        await world.user(kind).upload(picture(tmp_path))
    assert time.monotonic() - started < 5
    assert len(world.api.asked("POST")) == 1


async def test_an_expired_url_is_replaced(make_world: MakeWorld, kind: str, tmp_path: Path) -> None:
    """The store says so, not a clock: 403 of the real store for a URL that is too old."""
    async with make_world(uploads={"urlTTLSeconds": 4}) as world:
        user = world.user(kind)
        file = picture(tmp_path)
        world.store.faults.append(Refuse(503, headers={"Retry-After": "5"}))
        media = await user.upload(file)
        assert httpx.get((await user.call("get", media.media_id)).url).content == file.read_bytes()
        assert len(world.api.asked("POST", "/initiate")) == 2


async def test_403_leads_to_a_fresh_url(world: World, kind: str, tmp_path: Path) -> None:
    world.store.faults.append(Refuse(403, "AccessDenied"))
    await world.user(kind).upload(picture(tmp_path))
    assert len(world.api.asked("POST", "/initiate")) == 2

    world.store.requests.clear()
    world.store.faults.extend([None, Refuse(403, "AccessDenied")])
    await world.user(kind, parallel_parts=1).upload(film(tmp_path))
    assert world.store.parts() == [1, 2, 2, 3, 4]
    assert len(world.api.asked("POST", "/parts")) == 1


async def test_403_for_every_url_is_told_in_the_end(world: World, kind: str, tmp_path: Path) -> None:
    world.store.always = Refuse(403, "SignatureDoesNotMatch")
    with pytest.raises(UrlExpired, match="SignatureDoesNotMatch"):
        await world.user(kind).upload(picture(tmp_path))
    assert len(world.store.asked("PUT")) == 4


async def test_a_put_whose_answer_was_lost_counts(
    make_world: MakeWorld, seaweedfs: SeaweedFS, kind: str, tmp_path: Path
) -> None:
    """The second PUT of a signed upload is refused with 412 by the store itself: the bytes are there."""
    async with make_world(uploads={"integrity": "Signed"}) as world:
        lost = LoseAnswer(seaweedfs.connection.endpoint)
        world.store.faults.append(lost)
        media = await world.user(kind).upload(picture(tmp_path))
        assert media.status == "completed"
        assert lost.statuses == [200]
        assert len(world.store.asked("PUT")) == 2
        assert len(world.api.asked("POST", "/initiate")) == 1


async def test_bytes_that_vanish_are_sent_again(world: World, kind: str, tmp_path: Path) -> None:
    """409 upload-missing at confirm: something before the store said yes and lost the bytes."""
    world.store.faults.append(Refuse(200))
    media = await world.user(kind).upload(picture(tmp_path))
    assert media.status == "completed"
    assert len(world.store.asked("PUT")) == 2


async def test_202_is_followed_until_the_file_is_verified(make_world: MakeWorld, kind: str, tmp_path: Path) -> None:
    """A service that waits for no verification answers 202 with `Retry-After: 2` first."""
    async with make_world(settings_changes={"confirm_answer_seconds": 0.0}) as world:
        started = time.monotonic()
        media = await world.user(kind).upload(picture(tmp_path))
        assert media.status == "completed"
        assert world.api.statuses("POST", "/confirm") == [202, 200]
        assert time.monotonic() - started >= 2


async def test_patience_with_a_verification_ends(world: World, tmp_path: Path) -> None:
    world.api.faults.append(None)
    world.api.always = Refuse(202, headers={"Retry-After": "0"})
    user = world.user("sync")
    settings = Settings(retry=QUICK, verification_seconds=0.3)

    def run() -> None:
        with httpx.Client() as http:
            runner = SyncRunner(http, Api.at(user.url), lambda: user.token)
            runner.run(upload_file(settings, Upload(picture(tmp_path)), None))

    with pytest.raises(NotVerifiedYet, match="confirm it later"):
        await asyncio.to_thread(run)


async def test_nobody_there_is_told_without_secrets(kind: str, world: World, closed_port: int, tmp_path: Path) -> None:
    user = world.user(kind)
    user.url = f"http://127.0.0.1:{closed_port}"
    with pytest.raises(ConnectionFailed, match="the API cannot be reached") as caught:
        await user.upload(picture(tmp_path))
    assert user.token not in str(caught.value)


async def test_the_store_is_not_there(world: World, kind: str, tmp_path: Path) -> None:
    world.store.always = CutAfter(0)
    with pytest.raises(ConnectionFailed, match="the store cannot be reached") as caught:
        await world.user(kind).upload(picture(tmp_path))
    assert "X-Amz" not in str(caught.value)
    assert len(world.store.asked("PUT")) == QUICK.attempts


async def test_something_else_answers(world: World, kind: str, tmp_path: Path) -> None:
    world.api.always = Refuse(200)
    with pytest.raises(UnexpectedAnswer, match="is the address that of the MediaBucket API"):
        await world.user(kind).upload(picture(tmp_path))


async def test_one_failing_part_stops_the_others(world: World, kind: str, tmp_path: Path) -> None:
    world.store.faults.extend([None, Refuse(400, "Broken")])
    with pytest.raises(StoreRefused, match="Broken"):
        await world.user(kind, parallel_parts=2).upload(film(tmp_path, parts=8))
    assert len(world.store.parts()) < 6


async def test_a_cancelled_upload_goes_on_later(world: World, tmp_path: Path) -> None:
    file = film(tmp_path, parts=5)
    user = world.user("async", parallel_parts=1)
    task = asyncio.create_task(user.upload(file))
    while len(world.store.parts()) < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.store.requests.clear()
    media = await user.upload(file)
    assert {1, 2}.isdisjoint(world.store.parts())
    assert httpx.get(media.url or "").content == file.read_bytes()


async def test_a_token_is_asked_for_before_each_request(world: World, tmp_path: Path) -> None:
    asked: list[int] = []
    token = world.user("sync").token

    async def later() -> str:
        asked.append(1)
        return token

    async with AsyncClient(world.url, later, retry=QUICK) as client:
        await client.upload(picture(tmp_path))
    assert len(asked) == len(world.api.requests) == 2

    def now() -> str:
        asked.append(1)
        return token

    with Client(world.url, now, retry=Retry()) as sync_client:
        await asyncio.to_thread(sync_client.list)
    assert len(asked) == 3


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="must be a URL such as"):
        Client("media.example.com", "token")


@pytest.mark.parametrize("token", ["", "two words", "line\n", "größe"])
async def test_what_is_no_token_is_told_without_telling_it(world: World, kind: str, token: str) -> None:
    user = world.user(kind)
    user.token = token
    with pytest.raises(ValueError, match="the token is empty or has characters") as caught:
        await user.call("list")
    assert not token or token not in str(caught.value)
    assert world.api.requests == []


async def test_what_leads_elsewhere_is_no_success(world: World, kind: str) -> None:
    world.api.method, world.api.always = "DELETE", Refuse(308, headers={"Location": "https://example.com"})
    with pytest.raises(UnexpectedAnswer, match="308"):
        await world.user(kind).call("delete", uuid4())
    world.api.always = Refuse(200)
    with pytest.raises(UnexpectedAnswer, match="200"):
        await world.user(kind).call("delete", uuid4())
