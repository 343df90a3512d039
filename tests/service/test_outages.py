"""The database or the store away under load: 503 in time, never 500, and back by itself when they are."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from outages import SETTLE_SECONDS, Load, send_all, under_load
from pydantic import SecretStr
from real_service import RealService, real_service
from service_platform import Platform, running_platform
from upload_client import JWT_SECRET, File

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_s3.calls import ANSWER_SECONDS
from mediabucket_service.migrations import upgrade
from mediabucket_service.settings import Settings

AWAY_SECONDS = 10.0
DATABASE_SECONDS = 2.0
# Two cores for the service, its callers and two servers.
SLACK_SECONDS = 1.5
CALLERS = 24


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
async def serving(platform: Platform, directory: Path) -> AsyncIterator[tuple[RealService, httpx.AsyncClient]]:
    changes = {"MEDIABUCKET_DATABASE_TIMEOUT_SECONDS": str(DATABASE_SECONDS), "MEDIABUCKET_DATABASE_POOL_SIZE": "4"}
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


def restart(server: Postgres | SeaweedFS) -> None:
    """The same server on the same data and ports."""
    server.child.process.wait()
    server._spawn()
    server.wait_until_ready()


@pytest.mark.parametrize("away", ["frozen", "killed"])
async def test_a_database_that_is_away(
    away: str, own_platform: Platform, own_postgres: Postgres, tmp_path: Path
) -> None:
    async with serving(own_platform, tmp_path) as (service, http):
        alice = service.user(http)
        files = [File(b"%d" % number * 9) for number in range(CALLERS)]
        requests = [lambda file=file: alice.initiate(file) for file in files[::2]]  # type: ignore[misc]
        requests += [lambda: alice.call("GET", "/api/media") for _ in files[1::2]]
        async with under_load(requests) as load:
            await asyncio.sleep(1)
            assert load.statuses() == {200}
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
            await asyncio.sleep(SETTLE_SECONDS + 0.5)
        assert_refusals(load, "database")
        assert load.longest() < DATABASE_SECONDS + SLACK_SECONDS
        settled = gone + DATABASE_SECONDS + SLACK_SECONDS
        refused_later = [one for one in load.refusals(settled) if one.at < back - 1]
        assert sum(one.seconds > 0.5 for one in refused_later) < len(refused_later) / 10, "most do not wait any more"
        assert load.statuses(back + SETTLE_SECONDS) == {200}
        last = max(one.at for one in load.refusals())
        print(
            f"{away}: {len(load.answered)} answers, {len(load.refusals())} refused, longest {load.longest():.2f} s,"
            f" typical refusal {load.typical_refusal_seconds(settled):.4f} s, last refusal {last - back:+.2f} s"
        )
        assert (await http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("away", ["frozen", "killed"])
async def test_a_store_that_is_away(
    away: str, own_platform: Platform, own_seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    async with serving(own_platform, tmp_path) as (service, http):
        alice = service.user(http)
        tickets = [await own_platform.user().begin(File(b"%d" % number * 9)) for number in range(CALLERS)]
        send_all(own_seaweedfs, signal.SIGSTOP if away == "frozen" else signal.SIGKILL)
        gone = time.monotonic()
        requests = [lambda id=ticket["media_id"]: alice.confirm(id) for ticket in tickets]  # type: ignore[misc]
        async with under_load([lambda: alice.call("GET", "/api/media")] * 4) as others, under_load(requests) as load:
            await asyncio.sleep(AWAY_SECONDS + 1.5)
            ready = await http.get("/readyz")
            if away == "frozen":
                send_all(own_seaweedfs, signal.SIGCONT)
            else:
                await asyncio.to_thread(restart, own_seaweedfs)
            back = time.monotonic()
            await asyncio.sleep(SETTLE_SECONDS + 0.5)
        assert back > gone
        assert others.statuses() == {200}, "who does not need the store does not notice"
        assert others.longest() < 1.5
        assert ready.status_code == 503
        assert_refusals(load, "store")
        assert load.longest() < ANSWER_SECONDS + SLACK_SECONDS
        assert load.statuses(back + SETTLE_SECONDS) == {200}
        last = max(one.at for one in load.refusals())
        print(
            f"{away}: {len(load.answered)} answers, {len(load.refusals())} refused, longest {load.longest():.2f} s,"
            f" last refusal {last - back:+.2f} s, others longest {others.longest():.2f}"
        )
        assert {
            row["status"]
            for row in await own_platform.database.fetch_all(
                "SELECT DISTINCT status FROM media_files WHERE bucket = %(bucket)s",
                {"bucket": own_platform.connection.bucket},
            )
        } == {"completed"}
