"""The database or the store away under load: 503 in time, never 500, and back by itself when they are."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from outages import SETTLE_SECONDS, Load, Request, send_all, under_load
from pydantic import SecretStr
from real_service import RealService, real_service
from service_platform import Platform, running_platform
from upload_client import JWT_SECRET, File

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_s3.calls import ANSWER_SECONDS
from mediabucket_service.database import PROBE_SECONDS
from mediabucket_service.database_outages import PROBES
from mediabucket_service.migrations import upgrade
from mediabucket_service.settings import Settings

pytestmark = pytest.mark.takes_minutes(2)

logger = logging.getLogger(__name__)

AWAY_SECONDS = 10.0
DATABASE_SECONDS = 2.0
# Two cores for the service, its callers and two servers.
SLACK_SECONDS = 1.5
CALLERS = 24
# Longer than anybody would wait, on a machine that does other things, too.
MOST_SECONDS = 20


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres.start(tmp_path_factory.mktemp("own-postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="module")
def own_seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with SeaweedFS.start(tmp_path_factory.mktemp("own-seaweedfs"), durable=False) as server:
        yield server


@pytest.fixture(scope="module")
def own_settings(own_postgres: Postgres) -> Settings:
    url = own_postgres.create_database("outages")
    upgrade(url)
    return Settings(database_url=SecretStr(url), jwt_secret=SecretStr(JWT_SECRET), reaper_interval_seconds=3600)


@pytest.fixture
async def own_platform(own_seaweedfs: SeaweedFS, own_settings: Settings, bucket_name: str) -> AsyncIterator[Platform]:
    async with running_platform(own_seaweedfs.connection, own_settings, bucket_name) as platform:
        yield platform


@asynccontextmanager
async def serving(
    platform: Platform, directory: Path, database_seconds: float = DATABASE_SECONDS
) -> AsyncIterator[tuple[RealService, httpx.AsyncClient]]:
    changes = {
        "MEDIABUCKET_DATABASE_TIMEOUT_SECONDS": str(database_seconds),
        "MEDIABUCKET_DATABASE_POOL_SIZE": "4",
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


async def under_way(load: Load) -> None:
    async with asyncio.timeout(MOST_SECONDS):
        while len(load.answered) < CALLERS:
            await asyncio.sleep(0.05)
    assert load.statuses() == {200}


async def recovered(load: Load, back: float) -> None:
    """Until nothing has been refused for a while; longer than SETTLE_SECONDS after the return is too long."""
    quiet = 1.5
    while (
        time.monotonic() < back + quiet
        or load.refusals(time.monotonic() - quiet)
        # On a busy machine nothing may have been answered at all.
        or 200 not in load.statuses(back)
    ):
        await asyncio.sleep(0.05)
        assert not load.refusals(back + SETTLE_SECONDS)
        assert time.monotonic() < back + MOST_SECONDS
    assert load.statuses(back) == {200} or load.statuses(back) == {200, 503}


def tell(what: str, load: Load, waits: list[float], back: float) -> None:
    last = max(one.at for one in load.refusals()) - back
    logger.info(
        "%s: %d answers, %d refused, longest %.2f s, last refusal %+.2f s after the return",
        *(what, len(load.answered), len(load.refusals()), max(waits), last),
    )


def restart(server: Postgres | SeaweedFS) -> None:
    """The same server on the same data and ports."""
    server.stop()
    server.launch()
    server.wait_until_ready()


@pytest.mark.parametrize("away", ["frozen", "killed"])
async def test_a_database_that_is_away(
    away: str, own_platform: Platform, own_postgres: Postgres, tmp_path: Path
) -> None:
    async with serving(own_platform, tmp_path) as (service, http):
        alice = service.user(http)
        files = [File(b"%d" % number * 9) for number in range(CALLERS)]
        requests: list[Request] = [partial(alice.initiate, file) for file in files[::2]]
        requests += [partial(alice.call, "GET", "/api/media")] * len(files[1::2])
        async with under_load(requests) as load:
            await under_way(load)
            port = own_postgres.ports["port"]
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
        probes = PROBES * AWAY_SECONDS / PROBE_SECONDS
        assert sum(wait > PROBE_SECONDS * 0.9 for wait in waits) <= CALLERS + probes, "most do not wait in vain"
        tell(f"database {away}", load, waits, back)
        assert (await http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("away", ["frozen", "killed"])
async def test_a_store_that_is_away(
    away: str, own_platform: Platform, own_seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    # Two seconds are too few for a database that shares its two cores with everybody who was waiting for the store.
    async with serving(own_platform, tmp_path, database_seconds=10) as (service, http):
        alice = service.user(http)
        tickets = [await own_platform.user().begin(File(b"%d" % number * 9)) for number in range(CALLERS)]
        send_all(own_seaweedfs, signal.SIGSTOP if away == "frozen" else signal.SIGKILL)
        requests = [partial(alice.confirm, ticket["media_id"]) for ticket in tickets]
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
        assert {
            row["status"]
            for row in await own_platform.database.fetch_all(
                "SELECT DISTINCT status FROM media_files WHERE bucket = %(bucket)s",
                {"bucket": own_platform.connection.bucket},
            )
        } == {"completed"}
