"""Connections to the store and to the database that break in the middle of a call, or right before its answer."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from outages import MOST_SECONDS, Request, recovered, under_load, under_way
from part_client import open_uploads
from real_service import RealService, real_service
from service_platform import Platform
from tcp_proxy import TcpProxy
from upload_client import File, UploadClient
from uploaders import LEASE_SECONDS, require_no_orphans, require_nothing_lost, rows_of

from mediabucket_service.settings import Settings

pytestmark = pytest.mark.takes_minutes(1)

CALLERS = 24
# Two slow calls, one after the other, and some time to try again in vain.
SLOW_SECONDS = 12
# Long enough for a client to be gone before any call of its request is answered; a confirm makes several.
CALL_SECONDS = 0.3
HANG_UP_SECONDS = 0.1

FILM = File(bytes(range(256)) * 12_000, "film.mp4", "video/mp4")


@dataclass(frozen=True)
class Between:
    """A service, and the proxies between it and its servers."""

    service: RealService
    store: TcpProxy
    database: TcpProxy


@pytest.fixture
def between(platform: Platform, tmp_path: Path) -> Iterator[Between]:
    store_port = int(platform.connection.store.endpoint.rpartition(":")[2])
    url = platform.settings.database_url.get_secret_value()
    found = re.search(r":(\d+)/", url)
    assert found is not None
    with TcpProxy(store_port) as store, TcpProxy(int(found[1])) as database:
        changes = {
            "MEDIABUCKET_DATABASE_URL": url.replace(f":{found[1]}/", f":{database.port}/"),
            "MEDIABUCKET_CONFIRM_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        with real_service(platform, tmp_path, changes=changes, store_port=store.port) as service:
            yield Between(service, store, database)


@pytest.fixture
async def alice(between: Between) -> AsyncIterator[UploadClient]:
    async with between.service.client() as http:
        yield between.service.user(http)


@pytest.mark.promise(6)
@pytest.mark.parametrize(
    ("request_line", "after_bytes"),
    [
        pytest.param(rb"^GET /[^/]+/pending/", 1_000_000, id="in the middle of the hash stream"),
        pytest.param(rb"^PUT /[^/]+/pending/", 0, id="answer of the copy that is hashed"),
        pytest.param(rb"^PUT /[^/]+/uploads/", 0, id="answer of the copy that publishes"),
        pytest.param(rb"^DELETE /[^/]+/pending/", 0, id="answer of the removal"),
    ],
)
async def test_the_store_hangs_up(
    between: Between, alice: UploadClient, platform: Platform, request_line: bytes, after_bytes: int
) -> None:
    ticket = await alice.begin(FILM)
    between.store.cut_answer(request_line, after_bytes)
    first = await alice.confirm(ticket["media_id"])
    assert between.store.cuts == 1
    assert first.status_code in (200, 503), first.text
    await require_completed(alice, platform, ticket["media_id"])


@pytest.mark.promise(6)
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(rb"UPDATE media_files SET lease_owner", id="answer of the lease"),
        pytest.param(rb"UPDATE media_files SET status = 'completed'", id="answer of the completion"),
    ],
)
async def test_the_database_hangs_up(
    between: Between, alice: UploadClient, platform: Platform, statement: bytes
) -> None:
    ticket = await alice.begin(FILM)
    between.database.cut_answer(statement)
    first = await alice.confirm(ticket["media_id"])
    assert between.database.cuts == 1
    assert first.status_code in (200, 202, 503), first.text
    await require_completed(alice, platform, ticket["media_id"])


@pytest.mark.promise(6)
async def test_the_answer_of_an_insert_is_lost(between: Between, alice: UploadClient, platform: Platform) -> None:
    between.database.cut_answer(rb"INSERT INTO media_files")
    first = await alice.initiate(FILM)
    assert between.database.cuts == 1
    assert first.status_code in (200, 503), first.text
    ticket = await alice.begin(FILM)
    rows = await platform.database.fetch_all(
        "SELECT media_id FROM media_files WHERE bucket = %(bucket)s", {"bucket": platform.connection.bucket}
    )
    assert [str(row["media_id"]) for row in rows] == [ticket["media_id"]]
    await require_completed(alice, platform, ticket["media_id"])


@pytest.mark.promise(6)
async def test_the_answer_of_a_commit_is_lost(between: Between, alice: UploadClient, platform: Platform) -> None:
    """A deletion is a transaction of two statements; its COMMIT takes effect, and nobody hears of it."""
    media = await alice.upload(FILM)
    between.database.cut_answer(rb"COMMIT")
    first = await alice.delete(media["media_id"])
    assert between.database.cuts == 1
    assert first.status_code == 503, first.text
    assert (await alice.delete(media["media_id"])).status_code == 204
    await require_no_orphans(platform)
    assert await platform.keys() == []


async def test_both_are_slow(between: Between, alice: UploadClient, platform: Platform) -> None:
    """Five seconds before every answer: calls are refused in time, or answered; nobody hangs, and it ends by itself."""
    files = [File(f"confirmed {number}".encode() * 9) for number in range(CALLERS // 3)]
    promised = {(await alice.begin(file))["media_id"]: file for file in files}
    requests: list[Request] = [partial(alice.confirm, media_id) for media_id in promised]
    requests += [partial(alice.initiate, File(f"announced {number}".encode() * 9)) for number in range(CALLERS // 3)]
    requests += [partial(alice.call, "GET", "/api/media")] * (CALLERS // 3)
    async with under_load(requests) as load:
        await under_way(load, CALLERS)
        # The first of these confirms are repetitions: new ones have all their steps to go.
        late = File(b"late" * 99)
        ticket = await alice.begin(late)
        slow = time.monotonic()
        between.store.delay_seconds = between.database.delay_seconds = 5
        confirming = asyncio.create_task(alice.confirm(ticket["media_id"]))
        await asyncio.sleep(SLOW_SECONDS)
        ready = await alice.http.get("/readyz")
        between.store.delay_seconds = between.database.delay_seconds = 0
        back = time.monotonic()
        await recovered(load, back, meanwhile=(202, 503))
    assert (await confirming).status_code in (200, 202, 503)
    assert ready.status_code == 503
    assert "ok" not in ready.json()["dependencies"].values()
    assert load.statuses(slow) <= {200, 202, 503}
    assert 503 in load.statuses(slow)
    assert load.longest() < MOST_SECONDS
    assert (await alice.http.get("/readyz")).status_code == 200
    await require_idle_pool(alice)
    await require_completed(alice, platform, ticket["media_id"], late)
    await require_nothing_lost(platform, promised)


async def require_idle_pool(alice: UploadClient) -> None:
    """No connection is kept by a request that was given up."""
    async with asyncio.timeout(10):
        while await connections(alice, "in_use") != 0:
            await asyncio.sleep(0.1)
    assert 0 < await connections(alice, "idle") <= Settings.model_fields["database_pool_size"].default


async def connections(alice: UploadClient, state: str) -> float:
    told = (await alice.http.get("/metrics")).text
    found = re.search(rf'^mediabucket_database_pool_connections{{state="{state}"}} (\S+)$', told, re.MULTILINE)
    assert found is not None, told
    return float(found[1])


async def hang_up(between: Between, user: UploadClient, path: str, body: object = None) -> None:
    """Send a POST, and be gone before there is an answer."""
    host, _, port = between.service.url.removeprefix("http://").partition(":")
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {user.headers['Authorization']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + content)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), HANG_UP_SECONDS)
    writer.transport.abort()


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happened():
            await asyncio.sleep(0.05)


@pytest.mark.promise(6)
async def test_a_client_hangs_up_on_its_confirm(between: Between, alice: UploadClient, platform: Platform) -> None:
    """What it asked for is done all the same, and nothing is held for it."""
    media_id = (await alice.begin(FILM))["media_id"]
    between.store.delay_seconds = CALL_SECONDS
    await hang_up(between, alice, f"/api/media/{media_id}/confirm")
    assert (await platform.row(media_id))["status"] == "pending"

    async def is_settled() -> bool:
        return bool((await platform.row(media_id))["status"] != "pending")

    await until(is_settled)
    row = await platform.row(media_id)
    assert (row["status"], row["lease_owner"], row["lease_until"]) == ("completed", None, None)
    between.store.delay_seconds = 0
    await require_completed(alice, platform, media_id)


@pytest.mark.promise(6)
async def test_a_client_hangs_up_on_its_message(between: Between, alice: UploadClient, platform: Platform) -> None:
    """It is sent, with the media that it had to confirm; sent again it is the same."""
    media_id = (await alice.begin(FILM))["media_id"]
    message = {"conversation_id": media_id, "media_ids": [media_id], "client_message_id": media_id}
    between.store.delay_seconds = CALL_SECONDS
    await hang_up(between, alice, "/api/messages/send", message)

    async def sent() -> list[str]:
        listed = await alice.call("GET", "/api/messages", params={"conversation_id": media_id})
        return [found["message_id"] for found in listed.json()["items"]]

    assert await sent() == []

    async def is_sent() -> bool:
        return await sent() != []

    await until(is_sent)
    between.store.delay_seconds = 0
    again = await alice.send(**message)
    assert (again.status_code, [again.json()["message_id"]]) == (200, await sent())
    await require_completed(alice, platform, media_id)


@pytest.mark.promise(4)
async def test_a_client_hangs_up_on_a_long_initiate(between: Between, alice: UploadClient, platform: Platform) -> None:
    """The upload in parts that was begun for it is the one that it gets when it asks again, and ends with its file."""
    large = {"file_size": 80 * 1024**2, "multipart": True}
    between.store.delay_seconds = CALL_SECONDS
    await hang_up(between, alice, "/api/media/upload/initiate", FILM.announcement(**large))

    async def uploads_of_rows() -> list[str]:
        return [row["upload_id"] for row in await rows_of(platform) if row["upload_id"] is not None]

    async def is_begun() -> bool:
        return await uploads_of_rows() != []

    await until(is_begun)
    between.store.delay_seconds = 0
    ticket = (await alice.initiate(FILM, **large)).json()
    assert ticket["parts"]
    assert await open_uploads(platform) == await uploads_of_rows()
    assert (await alice.delete(ticket["media_id"])).status_code == 204
    assert await open_uploads(platform) == []
    await require_no_orphans(platform)


async def require_completed(alice: UploadClient, platform: Platform, media_id: str, file: File = FILM) -> None:
    """It is completed as soon as one asks again; nothing is lost, left over or held."""
    answer = await alice.confirm(media_id)
    while answer.status_code == 202:
        answer = await alice.confirm(media_id)
    assert answer.status_code == 200, answer.text
    assert (await alice.download(answer.json()["url"])).content == file.content
    await require_nothing_lost(platform, {media_id: file})
    await require_no_orphans(platform)
