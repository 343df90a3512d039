"""Connections to the store and to the database that break in the middle of a call, or right before its answer."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_service import RealService, real_service
from service_platform import Platform
from tcp_proxy import TcpProxy
from upload_client import File, UploadClient
from uploaders import LEASE_SECONDS, require_no_orphans, require_nothing_lost

pytestmark = pytest.mark.takes_minutes(1)

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
    """Five seconds before every answer: calls are refused in time, or answered; nobody hangs."""
    ticket = await alice.begin(FILM)
    between.store.delay_seconds = between.database.delay_seconds = 5
    for answer in (
        await alice.confirm(ticket["media_id"]),
        await alice.initiate(File(b"another")),
        await alice.call("GET", "/api/media"),
    ):
        assert answer.status_code in (200, 202, 503), answer.text
        assert answer.elapsed.total_seconds() < 20
    between.store.delay_seconds = between.database.delay_seconds = 0
    await require_completed(alice, platform, ticket["media_id"])


async def require_completed(alice: UploadClient, platform: Platform, media_id: str) -> None:
    """It is completed as soon as one asks again; nothing is lost, left over or held."""
    answer = await alice.confirm(media_id)
    while answer.status_code == 202:
        answer = await alice.confirm(media_id)
    assert answer.status_code == 200, answer.text
    assert (await alice.download(answer.json()["url"])).content == FILM.content
    await require_nothing_lost(platform, {media_id: FILM})
    await require_no_orphans(platform)
