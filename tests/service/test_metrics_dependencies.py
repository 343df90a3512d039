"""What Prometheus is told of the store's answers and of the pool's connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ServerDisconnectedError
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from psycopg_pool import PoolTimeout
from real_service import real_service
from service_platform import MakePlatform, Platform
from told_metrics import Told, assert_clean, eventually_told, told
from upload_client import File

from mediabucket_s3.errors import ERROR_CODES
from mediabucket_s3.failure_codes import failure_code
from mediabucket_service.database import Database
from mediabucket_service.metrics.exposition import Exposition
from mediabucket_service.metrics.pool import PoolMetrics

PICTURE = File(b"a picture" * 100)
CALLS = "mediabucket_store_requests_total"
SECONDS = "mediabucket_store_request_duration_seconds"
CONNECTIONS = "mediabucket_database_pool_connections"
WAITS = "mediabucket_database_pool_wait_seconds"


# The clean-up, which has its first pass when it likes, lists only.
OF_AN_UPLOAD = ("CopyObject", "DeleteObject", "GetObject", "HeadObject")


def calls(found: Told, **labels: str) -> dict[str, float]:
    """How often an upload has called the store, by the operation."""
    called = [name for name in OF_AN_UPLOAD if found.has(CALLS, operation=name, **labels)]
    return {name: found.of(CALLS, operation=name, **labels) for name in called}


async def test_each_call_of_the_store_is_counted_once_with_its_code(platform: Platform) -> None:
    alice = platform.user()
    early = (await alice.initiate(File(b"never sent"))).json()
    assert calls(await told(platform.http)) == {}, "an initiate asks the store nothing"
    assert (await alice.confirm(early["media_id"])).status_code == 409
    missing = await told(platform.http)
    assert calls(missing, code="404") == calls(missing) == {"HeadObject": 1}
    ticket = await alice.begin(PICTURE)
    assert (await alice.confirm(ticket["media_id"])).status_code == 200
    after = await told(platform.http)
    # The store did not hash the first copy, which is deleted for that; then what was uploaded.
    assert calls(after, code="OK") == {"CopyObject": 2, "DeleteObject": 2, "GetObject": 1, "HeadObject": 2}
    assert calls(after, code="404") == {"HeadObject": 1}
    for operation, count in calls(after).items():
        assert after.of(f"{SECONDS}_count", operation=operation) == count
    assert after.of(f"{SECONDS}_count", operation="HeadObject", result="failed") == 1
    assert after.of(f"{SECONDS}_count", operation="HeadObject", result="ok") == 2
    assert after.labels(f"{SECONDS}_count", "result") == {"ok", "failed"}
    assert 0 < after.of(f"{SECONDS}_sum") < 10


async def test_a_store_without_an_answer_is_told_by_the_name_of_the_failure(
    platform: Platform, closed_port: int, tmp_path: Path
) -> None:
    often = {"MEDIABUCKET_REAPER_INTERVAL_SECONDS": "0.2"}
    with real_service(platform, tmp_path, store_port=closed_port, changes=often) as service:
        async with service.client() as http:
            alice = service.user(http)
            ticket = (await alice.initiate(PICTURE)).json()
            assert (await alice.confirm(ticket["media_id"])).status_code == 503
        after = eventually_told(service.url, lambda found: found.of("mediabucket_reaper_passes_total") > 0)
        assert after.of(CALLS, operation="HeadObject", code="EndpointConnectionError") == 1
        # It may sweep no more often than every ten minutes: the first pass of all fails.
        assert after.of("mediabucket_reaper_passes_total", result="failure") == 1
        assert after.of("mediabucket_upload_failures_total", reason="store") == 1
        assert_clean(after)


@asynccontextmanager
async def watched_pool(url: str, **options: Any) -> AsyncIterator[tuple[Database, Callable[[], Told]]]:
    """A pool that nobody else uses, and what is told of it."""
    exposition = Exposition()
    metrics = PoolMetrics(exposition.registry)

    def look() -> Told:
        metrics.refresh()
        return Told(exposition.text().decode())

    async with Database(url, waited=metrics.waited, **options) as database:
        metrics.follow(database.pool_counts)
        yield database, look


async def test_connections_in_use_and_waits_for_them(database_url: str) -> None:
    async with watched_pool(database_url, pool_size=3, timeout_seconds=10) as (database, look):
        assert look().of(f"{WAITS}_count") == 0
        await asyncio.gather(*(database.check() for _ in range(20)))
        after = look()
        assert after.of(f"{WAITS}_count") == 20
        assert after.of("mediabucket_database_pool_size") == 3
        # Those that are still being opened count as in use.
        async with asyncio.timeout(10):
            while look().of(CONNECTIONS, state="in_use"):
                await asyncio.sleep(0.01)
        assert 1 <= look().of(CONNECTIONS, state="idle") <= 3
        async with database.connection(), database.connection():
            assert look().of(CONNECTIONS, state="in_use") == 2


async def test_a_wait_in_vain_is_a_wait(database_url: str) -> None:
    async with watched_pool(database_url, pool_size=1, timeout_seconds=1.5) as (database, look):
        async with database.connection():
            with pytest.raises(PoolTimeout):
                await database.check()
        after = look()
        assert after.of(f"{WAITS}_count") == 2
        assert after.of(f"{WAITS}_sum") > 1.4


async def test_the_service_tells_of_its_own_pool(make_platform: MakePlatform) -> None:
    async with make_platform(settings_changes={"database_pool_size": 3}) as platform:
        before = await told(platform.http)
        assert (await platform.user().call("GET", "/api/media")).status_code == 200
        after = await told(platform.http)
        assert after.of(f"{WAITS}_count") > before.of(f"{WAITS}_count")
        assert after.of("mediabucket_database_pool_size") == 3
        assert after.of(CONNECTIONS) > 0


def answer(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "HeadObject")


def test_codes_are_few_whatever_a_store_answers() -> None:
    for codes in ERROR_CODES.values():
        assert {failure_code(answer(code)) for code in codes} == codes
    assert failure_code(answer("404")) == "404"
    # A code may hold anything: an address, a request's id.
    made_up = ("", "None", "999", "200", "XRequest-8f2a", "NoSuchKey\n", "AccessDenied user=alice")
    assert {failure_code(answer(code)) for code in made_up} == {"Other"}
    assert failure_code(ClientError({}, "HeadObject")) == "Other"


def test_failures_without_an_answer_have_the_name_of_their_class() -> None:
    url = "http://store:1/pending/alice"
    assert failure_code(EndpointConnectionError(endpoint_url=url)) == "EndpointConnectionError"
    assert failure_code(ReadTimeoutError(endpoint_url=url)) == "ReadTimeoutError"
    assert failure_code(ServerDisconnectedError()) == "ServerDisconnectedError"
    assert failure_code(TimeoutError(url)) == "TimeoutError"
    assert failure_code(asyncio.CancelledError()) == "Cancelled"
    assert failure_code(KeyError("alice")) == "Other"
