"""What Prometheus is told of the store's answers and of the pool's connections."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import ServerDisconnectedError
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from real_service import real_service
from service_platform import MakePlatform, Platform
from told_metrics import assert_clean, eventually_told, told
from upload_client import File

from mediabucket_s3.errors import ERROR_CODES
from mediabucket_s3.failure_codes import failure_code

PICTURE = File(b"a picture" * 100)
CALLS = "mediabucket_store_requests_total"
SECONDS = "mediabucket_store_request_duration_seconds"


async def test_each_call_of_the_store_is_counted_once_with_its_code(platform: Platform) -> None:
    alice = platform.user()
    early = (await alice.initiate(File(b"never sent"))).json()
    assert (await alice.confirm(early["media_id"])).status_code == 409
    missing = await told(platform.http)
    assert missing.of(CALLS, operation="HeadObject", code="404") == missing.of(CALLS) == 1
    ticket = await alice.begin(PICTURE)
    assert (await told(platform.http)).of(CALLS) == 1, "an initiate asks the store nothing"
    assert (await alice.confirm(ticket["media_id"])).status_code == 200
    after = await told(platform.http)
    assert {"CopyObject", "DeleteObject", "GetObject", "HeadObject"} == after.labels(CALLS, "operation")
    assert after.of(CALLS, code="OK") == after.of(CALLS) - 1
    for operation in after.labels(CALLS, "operation"):
        assert after.of(CALLS, operation=operation) == after.of(f"{SECONDS}_count", operation=operation)
    # A copy, and its deletion beside that of what was uploaded.
    assert after.of(CALLS, operation="DeleteObject", code="OK") == 2
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


async def test_connections_in_use_and_waits_for_them(make_platform: MakePlatform) -> None:
    async with make_platform(settings_changes={"database_pool_size": 3}) as platform:
        alice = platform.user()
        before = await told(platform.http)
        await asyncio.gather(*(alice.call("GET", "/api/media") for _ in range(20)))
        after = await told(platform.http)
        waits = "mediabucket_database_pool_wait_seconds_count"
        assert after.of(waits) - before.of(waits) == 20
        assert after.of("mediabucket_database_pool_size") == 3
        connections = "mediabucket_database_pool_connections"
        assert after.of(connections, state="in_use") == 0
        assert 1 <= after.of(connections, state="idle") <= 3
        database = platform.services.media._repository._database
        async with database.connection(), database.connection():
            assert (await told(platform.http)).of(connections, state="in_use") == 2


async def test_a_wait_in_vain_is_a_wait(make_platform: MakePlatform) -> None:
    changes = {"database_pool_size": 1, "database_timeout_seconds": 0.3}
    async with make_platform(settings_changes=changes) as platform:
        before = await told(platform.http)
        async with platform.services.media._repository._database.connection():
            assert (await platform.user().call("GET", "/api/media")).status_code == 503
        after = await told(platform.http)
        name = "mediabucket_database_pool_wait_seconds"
        assert after.of(f"{name}_count") - before.of(f"{name}_count") == 2
        assert after.of(f"{name}_sum") - before.of(f"{name}_sum") == pytest.approx(0.3, abs=0.15)


def answer(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "HeadObject")  # type: ignore[typeddict-item]


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
