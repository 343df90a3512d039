"""Several workers behind one port: each tells Prometheus of all, whoever is asked."""

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from outages import process_tree
from prometheus_client.mmap_dict import MmapedDict
from real_service import RealService, real_service
from service_platform import MakePlatform
from told_metrics import Told, assert_clean, eventually_told, told_by
from upload_client import File

WORKERS = 2
POOL_SIZE = 3
REQUESTS = 80
END_SECONDS = 20
HEALTH = {"route": "/healthz", "method": "GET", "status": "200"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "values"


@pytest.fixture
async def workers(make_platform: MakePlatform, tmp_path: Path, directory: Path) -> AsyncIterator[RealService]:
    program = ("uvicorn", "mediabucket_service.main:app", "--workers", str(WORKERS), "--no-access-log")
    changes = {
        "PROMETHEUS_MULTIPROC_DIR": str(directory),
        "MEDIABUCKET_DATABASE_POOL_SIZE": str(POOL_SIZE),
        "MEDIABUCKET_REAPER_INTERVAL_SECONDS": "0.2",
    }
    async with make_platform() as platform:
        with real_service(platform, tmp_path, changes=changes, program=program) as service:
            try:
                yield service
            finally:
                # Not killed: its workers would outlive it.
                service.terminate()
                service.process.wait(END_SECONDS)


def answers_of(directory: Path) -> dict[int, float]:
    """How many of these requests each worker has answered."""
    return {
        int(file.stem.rpartition("_")[2]): sum(
            value
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
            if '"http_requests_total"' in key and '"/healthz"' in key
        )
        for file in directory.glob("counter_*.db")
    }


def ask(service: RealService, times: int) -> None:
    """Each on a connection of its own, so that no worker has them all."""
    for _ in range(times):
        assert httpx.get(f"{service.url}/healthz", timeout=10).status_code == 200


def answered(found: Told) -> float:
    return found.of("http_requests_total", **HEALTH)


def test_workers_are_summed_and_the_dead_stay_counted(workers: RealService, directory: Path) -> None:
    before = answered(told_by(workers.url))
    ask(workers, REQUESTS)
    shares = answers_of(directory)
    assert len(shares) == WORKERS
    assert min(shares.values()) > 0, "one worker has answered all: nothing is summed"
    for _ in range(10):
        found = told_by(workers.url)
        assert answered(found) == before + REQUESTS
        assert found.of("http_request_duration_seconds_count", route="/healthz") == before + REQUESTS
    assert_clean(found)
    eventually_told(workers.url, lambda found: has_pools(found, WORKERS))

    victim = min(shares)
    os.kill(victim, signal.SIGKILL)
    wait_for_another(workers, victim)
    found = eventually_told(workers.url, lambda found: has_pools(found, WORKERS))
    assert answered(found) == before + REQUESTS, "what a dead worker had counted is gone"
    assert list(directory.glob(f"gauge_live*_{victim}.db")) == []


async def test_what_is_the_same_everywhere_is_not_summed(workers: RealService) -> None:
    async with httpx.AsyncClient(base_url=workers.url, timeout=30) as http:
        alice = workers.user(http)
        media = await alice.upload(File(b"a picture" * 100))
        await alice.initiate(File(b"announced"), file_size=4321)
    # A look may have fallen into the moment in which the picture was pending.
    found = eventually_told(workers.url, lambda found: found.of("mediabucket_pending_bytes") == 4321)
    assert found.of("mediabucket_pending_uploads") == 1
    assert found.of("mediabucket_uploads_total", outcome="completed") == 1
    assert found.of("mediabucket_store_requests_total", operation="CopyObject", code="OK") >= 1
    assert abs(time.time() - found.of("mediabucket_reaper_last_success_timestamp_seconds")) < 30
    assert found.of("mediabucket_orphan_bytes") == 0
    assert "pid=" not in found.text
    for private in (media["media_id"], "alice", "picture"):
        assert private not in found.text
    assert_clean(found)


def has_pools(found: Told, many: int) -> bool:
    return (
        found.has("mediabucket_database_pool_size") and found.of("mediabucket_database_pool_size") == many * POOL_SIZE
    )


def wait_for_another(service: RealService, victim: int) -> None:
    """uvicorn looks every half second, and starts another."""
    deadline = time.monotonic() + END_SECONDS
    while victim in process_tree(service.process.pid):
        assert time.monotonic() < deadline, service.text()
        time.sleep(0.1)
