"""The database or the store away under load: 503 in time, never 500, and back by itself when they are."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from outages import MOST_SECONDS, Load, Request, recovered, restart, send_all, under_load, under_way
from real_service import RealService, real_service
from service_platform import Platform
from upload_client import File
from uploaders import LEASE_SECONDS, require_no_orphans, require_nothing_lost

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_s3.calls import ANSWER_SECONDS
from mediabucket_service.database import PROBE_SECONDS
from mediabucket_service.database_outages import PROBES

pytestmark = pytest.mark.takes_minutes(2)

logger = logging.getLogger(__name__)

AWAY_SECONDS = 10.0
DATABASE_SECONDS = 2.0
# Two cores for the service, its callers and two servers.
SLACK_SECONDS = 1.5
CALLERS = 24


@asynccontextmanager
async def serving(
    platform: Platform, directory: Path, database_seconds: float = DATABASE_SECONDS
) -> AsyncIterator[tuple[RealService, httpx.AsyncClient]]:
    changes = {
        "MEDIABUCKET_DATABASE_TIMEOUT_SECONDS": str(database_seconds),
        "MEDIABUCKET_DATABASE_POOL_SIZE": "4",
        "MEDIABUCKET_CONFIRM_LEASE_SECONDS": str(LEASE_SECONDS),
        # A confirm is waited for until the store's silence is told, instead of a 202 before that.
        "MEDIABUCKET_CONFIRM_ANSWER_SECONDS": "30",
    }
    with real_service(platform, directory, changes=changes) as service:
        limits = httpx.Limits(max_connections=200)
        async with service.client(limits=limits) as http:
            yield service, http


def assert_refusals(load: Load, dependency: str) -> None:
    assert load.refusals(), "the outage was noticed"
    for one in load.refusals():
        assert one.answer.status_code == 503, one.answer.text
        assert one.answer.headers["content-type"] == "application/problem+json"
        assert one.answer.headers["retry-after"] == "2"
        assert one.answer.json()["dependency"] == dependency


def seconds_inside(service: RealService, load: Load) -> list[float]:
    """How long the service had each request: what it took on a busy machine to send it and to read the answer is left
    out, unless it is more than anybody would wait.
    """
    assert load.longest() < MOST_SECONDS
    return [line["duration_ms"] / 1000 for line in service.access() if line["route"].startswith("/api/")]


def files_named(name: str) -> list[File]:
    """As many as half of the callers."""
    return [File(f"{name} {number}".encode() * 9) for number in range(CALLERS // 2)]


async def require_all_there(platform: Platform, promised: dict[str, File]) -> None:
    await require_nothing_lost(platform, promised)
    await require_no_orphans(platform)
    assert len(await platform.keys()) == len(promised)


def tell(what: str, load: Load, waits: list[float], back: float) -> None:
    last = max(one.at for one in load.refusals()) - back
    logger.info(
        "%s: %d answers, %d refused, longest %.2f s, last refusal %+.2f s after the return",
        *(what, len(load.answered), len(load.refusals()), max(waits), last),
    )


@pytest.mark.parametrize("away", ["frozen", "killed"])
async def test_a_database_that_is_away(
    away: str, own_platform: Platform, own_postgres: Postgres, tmp_path: Path
) -> None:
    async with serving(own_platform, tmp_path) as (service, http):
        alice = service.user(http)
        promised = {(await alice.upload(file))["media_id"]: file for file in files_named("before")}
        files = files_named("announced")
        requests: list[Request] = [partial(alice.initiate, file) for file in files]
        requests += [partial(alice.call, "GET", "/api/media")] * (CALLERS - len(files))
        async with under_load(requests) as load:
            await under_way(load, CALLERS)
            port = own_postgres.ports["port"]
            gone = time.monotonic()
            send_all(own_postgres, signal.SIGSTOP if away == "frozen" else signal.SIGKILL)
            await asyncio.sleep(AWAY_SECONDS)
            if away == "frozen":
                send_all(own_postgres, signal.SIGCONT)
            else:
                await asyncio.to_thread(restart, own_postgres)
                assert own_postgres.ports["port"] == port
            back = time.monotonic()
            await recovered(load, back)
        assert_refusals(load, "database")
        waits = seconds_inside(service, load)
        assert max(waits) < DATABASE_SECONDS + SLACK_SECONDS
        # While it starts again it is asked as often as while it is away.
        probes = PROBES * (back - gone) / PROBE_SECONDS
        assert sum(wait > PROBE_SECONDS * 0.9 for wait in waits) <= CALLERS + probes, "most do not wait in vain"
        tell(f"database {away}", load, waits, back)
        assert (await http.get("/readyz")).status_code == 200
        promised |= {(await alice.upload(file))["media_id"]: file for file in files}
        await require_all_there(own_platform, promised)


@pytest.mark.parametrize("away", ["frozen", "killed"])
async def test_a_store_that_is_away(
    away: str, own_platform: Platform, own_seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    # Two seconds are too few for a database that shares its two cores with everybody who was waiting for the store.
    async with serving(own_platform, tmp_path, database_seconds=10) as (service, http):
        alice = service.user(http)
        files = [*files_named("one"), *files_named("another")]
        promised = {(await own_platform.user().begin(file))["media_id"]: file for file in files}
        send_all(own_seaweedfs, signal.SIGSTOP if away == "frozen" else signal.SIGKILL)
        requests = [partial(alice.confirm, media_id) for media_id in promised]
        async with under_load([partial(alice.call, "GET", "/api/media")] * 4) as others, under_load(requests) as load:
            await asyncio.sleep(AWAY_SECONDS + 1.5)
            ready = await http.get("/readyz")
            if away == "frozen":
                send_all(own_seaweedfs, signal.SIGCONT)
            else:
                await asyncio.to_thread(restart, own_seaweedfs)
            back = time.monotonic()
            await recovered(load, back)
        noticed = [one.answer.text for one in others.refusals()]
        assert others.answered
        assert not noticed, "who does not need the store does not notice"
        assert ready.status_code == 503
        assert_refusals(load, "store")
        waits = seconds_inside(service, load)
        assert max(waits) < ANSWER_SECONDS + SLACK_SECONDS
        tell(f"store {away}", load, waits, back)
        await require_all_there(own_platform, promised)
