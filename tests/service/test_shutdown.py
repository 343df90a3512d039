"""SIGTERM to a real process: nothing that was asked is lost, and it ends with status 0."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from real_service import END_SECONDS, RealService, real_service
from service_platform import Platform
from tcp_proxy import TcpProxy
from upload_client import File

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.workload import GRACE_PERIOD_SECONDS
from mediabucket_service.settings import Settings

SLOW_SECONDS = 0.4


@pytest.fixture
def slow_store(seaweedfs: SeaweedFS) -> Iterator[TcpProxy]:
    """A confirm makes several calls: it takes seconds."""
    with TcpProxy(seaweedfs.ports["s3.port"]) as proxy:
        proxy.delay_seconds = SLOW_SECONDS
        yield proxy


async def ended(service: RealService) -> int:
    return await asyncio.to_thread(service.process.wait, END_SECONDS)


async def test_confirms_under_way_are_finished(platform: Platform, slow_store: TcpProxy, tmp_path: Path) -> None:
    with real_service(platform, tmp_path, store_port=slow_store.port) as service:
        async with service.client() as http:
            alice = service.user(http)
            tickets = [await platform.user().begin(File(b"%d" % number * 100)) for number in range(6)]
            confirms = [asyncio.create_task(alice.confirm(ticket["media_id"])) for ticket in tickets]
            await asyncio.sleep(SLOW_SECONDS * 1.5)
            service.terminate()
            started = time.monotonic()
            answers = await asyncio.gather(*confirms)
            assert time.monotonic() - started > SLOW_SECONDS, "they were not done before"
        assert [answer.status_code for answer in answers] == [200] * 6
        assert {answer.json()["status"] for answer in answers} == {"completed"}
        assert {answer.headers.get("connection") for answer in answers} == {"close"}
        assert await ended(service) == 0
    assert [line for line in service.lines() if line["level"] not in ("INFO", "DEBUG")] == []
    assert service.lines()[-1]["message"].startswith("Finished server process")


async def test_while_draining_it_says_so_and_still_answers(platform: Platform, tmp_path: Path) -> None:
    with real_service(platform, tmp_path, changes={"MEDIABUCKET_DRAIN_SECONDS": "4"}) as service:
        async with service.client() as http:
            alice = service.user(http)
            before = await http.get("/readyz")
            assert (before.status_code, before.headers.get("connection")) == (200, None)
            service.terminate()
            started = time.monotonic()
            statuses = set()
            while time.monotonic() - started < 1.5:
                ready = await http.get("/readyz")
                alive = await http.get("/healthz")
                used = await alice.call("GET", "/api/media")
                statuses.add((ready.status_code, alive.status_code, used.status_code))
                assert used.headers["connection"] == "close"
                await asyncio.sleep(0.02)
            assert statuses == {(503, 200, 200)}
            assert ready.json() == {"status": "draining", "dependencies": {}}
            assert await ended(service) == 0
            assert 3.9 < time.monotonic() - started < 15
            with pytest.raises(httpx.ConnectError):
                await http.get("/healthz")


async def test_no_request_of_a_client_that_reconnects_is_lost(platform: Platform, tmp_path: Path) -> None:
    """Keep-alive connections, all the time, until the listener is closed: what was sent is answered."""
    lost = []
    with real_service(platform, tmp_path, changes={"MEDIABUCKET_DRAIN_SECONDS": "5"}) as service:
        gone = asyncio.Event()

        async def keep_asking() -> int:
            answered = 0
            async with service.client() as http:
                while not gone.is_set():
                    try:
                        assert (await http.get("/healthz")).status_code == 200
                        answered += 1
                    except httpx.ConnectError:
                        return answered
                    except httpx.TransportError as error:
                        lost.append(error)
                        return answered
            return answered

        callers = [asyncio.create_task(keep_asking()) for _ in range(8)]
        await asyncio.sleep(0.5)
        service.terminate()
        # When a Pod's address is taken out of the Service, callers stop coming: within the drain.
        await asyncio.sleep(0.8)
        gone.set()
        answered = await asyncio.gather(*callers)
        assert await ended(service) == 0
    assert lost == []
    assert min(answered) > 3


async def test_idle_connections_and_a_dead_database_do_not_hold_it_up(
    platform: Platform, tmp_path: Path, closed_port: int
) -> None:
    nowhere = {"MEDIABUCKET_DATABASE_URL": f"postgresql://u:p@127.0.0.1:{closed_port}/x"}
    with real_service(platform, tmp_path, changes=nowhere) as service:
        async with service.client() as http:
            await http.get("/healthz")
            service.terminate()
            started = time.monotonic()
            assert await ended(service) == 0
            assert time.monotonic() - started < 15


async def test_a_request_that_takes_too_long_is_given_up(
    platform: Platform, slow_store: TcpProxy, tmp_path: Path
) -> None:
    with real_service(
        platform, tmp_path, changes={"MEDIABUCKET_SHUTDOWN_SECONDS": "1"}, store_port=slow_store.port
    ) as service:
        async with service.client() as http:
            ticket = await platform.user().begin(File(b"slow" * 100))
            slow_store.delay_seconds = 60
            confirm = asyncio.create_task(service.user(http).confirm(ticket["media_id"]))
            async with asyncio.timeout(20):
                while (await platform.row(ticket["media_id"]))["lease_owner"] is None:
                    await asyncio.sleep(0.05)
            service.terminate()
            started = time.monotonic()
            assert await ended(service) == 0
            assert time.monotonic() - started < 15
            answer = await confirm
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["dependency"] == "service"
    assert (await platform.row(ticket["media_id"]))["lease_owner"] is None, "the next try need not wait"


async def test_a_second_signal_and_an_interrupt_skip_the_draining(platform: Platform, tmp_path: Path) -> None:
    for signals in ([signal.SIGTERM, signal.SIGTERM], [signal.SIGINT]):
        with real_service(platform, tmp_path, changes={"MEDIABUCKET_DRAIN_SECONDS": "60"}) as service:
            for number in signals:
                service.process.send_signal(number)
                await asyncio.sleep(0.2)
            assert await ended(service) == 0


def test_a_pod_is_given_the_time_that_the_process_takes(settings: Settings) -> None:
    closing_seconds = 10
    assert settings.drain_seconds + settings.shutdown_seconds + closing_seconds <= GRACE_PERIOD_SECONDS
