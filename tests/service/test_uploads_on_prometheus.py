"""The dashboard and the alerts of uploads on a real Prometheus, which watches two services under a little load: a
running `mediabucket dev`, and one that does not reach its store.
"""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from development_process import Dev, eventually
from draw_dashboards import draw, drawing_is_asked
from monitoring import upload_alerts
from prometheus_server import PrometheusServer, Target, prometheus
from real_service import RealService, real_service
from service_platform import MakePlatform
from upload_client import File, UploadClient
from watched_expressions import RULES, of_dashboard, of_rules, silent, with_selectors
from webhook_receiver import SECRET, hook, running_receiver

from mediabucket_api.connection import webhook_secret_variable
from mediabucket_service.database import Database

OFTEN = {"MEDIABUCKET_REAPER_INTERVAL_SECONDS": "1", "MEDIABUCKET_WEBHOOK_INTERVAL_SECONDS": "0.2"}
STALE = "UPDATE media_files SET expires_at = now() - interval '1 second' WHERE media_id = %(id)s"
SECONDS = 45
DRAWN_SECONDS = 90
PAUSE_SECONDS = 0.2
# Failures are one in a hundred or fewer.
DRAWN_PAUSE_SECONDS = 8
LUCKY_USERS = 16
LARGE = 64 * 1024**2


@dataclass(frozen=True)
class Served:
    """A running `mediabucket dev`; `http` talks to its API and to its store."""

    http: httpx.AsyncClient
    database: Database
    jwt_secret: str

    def user(self, name: str) -> UploadClient:
        return UploadClient(self.http, self.http, name, self.jwt_secret)


@asynccontextmanager
async def load(ready: dict[str, Any], broken: RealService) -> AsyncIterator[None]:
    """Users who come and go until the block ends. For a picture most of them are lucky."""
    async with (
        httpx.AsyncClient(base_url=ready["api_url"], timeout=30) as http,
        Database(ready["database_url"], pool_size=1, timeout_seconds=10) as database,
        broken.client() as broken_http,
    ):
        served = Served(http, database, ready["jwt_secret"])
        lucky, pause = (LUCKY_USERS, DRAWN_PAUSE_SECONDS) if drawing_is_asked() else (0, PAUSE_SECONDS)
        users = [
            for_ever(lambda number: everything_once(served, broken.user(broken_http), number), pause),
            *(for_ever(partial(one_upload, served.user(f"bob-{user}")), 0) for user in range(lucky)),
        ]
        tasks = [asyncio.create_task(user) for user in users]
        try:
            yield
            assert [task.exception() for task in tasks if task.done()] == []
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def for_ever(once: Callable[[int], Awaitable[None]], pause: float) -> None:
    for number in count(1):
        await once(number)
        await asyncio.sleep(pause)


async def one_upload(user: UploadClient, number: int) -> None:
    """As it goes nearly always: a user takes a while, and now and then uploads a file again, or removes one."""
    kind = ("image/png", "image/jpeg", "video/mp4")[number % 3]
    file = File(os.urandom(random.randint(10_000, 300_000)), mime_type=kind)
    ticket = await user.begin(file)
    await asyncio.sleep(random.uniform(0, 1))
    assert (await user.confirm(ticket["media_id"])).status_code == 200
    if number % 5 == 0:
        assert (await user.initiate(file)).json()["exists"] is True
    if number % 9 == 0:
        assert (await user.delete(ticket["media_id"])).status_code == 204


async def everything_once(served: Served, unlucky: UploadClient, number: int) -> None:
    """Each outcome that an upload can have, and a service that does not reach its store."""
    alice = served.user(f"alice-{number}")
    file = File(os.urandom(500 + number))
    media = await alice.upload(file)
    assert (await alice.initiate(file)).json()["exists"] is True
    assert (await alice.delete(media["media_id"])).status_code == 204
    early = (await alice.initiate(File(os.urandom(400)))).json()
    assert (await alice.confirm(early["media_id"])).status_code == 409
    assert await served.database.execute(STALE, {"id": early["media_id"]}) == 1
    other = File(os.urandom(600))
    wrong = (await alice.initiate(other, checksum=hashlib.sha256(b"other").hexdigest())).json()
    assert (await alice.put(wrong, other.content)).status_code == 200
    assert (await alice.confirm(wrong["media_id"])).status_code == 422
    assert (await unlucky.initiate(other, multipart=True, file_size=LARGE)).status_code == 503
    ticket = (await unlucky.initiate(File(os.urandom(700)))).json()
    assert (await unlucky.confirm(ticket["media_id"])).status_code == 503


def replica(address: str, pod: str) -> Target:
    labels = {"job": "mediabucket", "namespace": "chat", "mediabucket": "avatars", "pod": pod}
    return Target(address, labels)


@asynccontextmanager
async def development(directory: Path) -> AsyncIterator[dict[str, Any]]:
    """`mediabucket dev` with a webhook; answers its ready file."""
    dev = Dev(directory)
    async with running_receiver() as receiver:
        manifest = yaml.safe_load(dev.manifest.read_text())
        manifest["spec"]["uploads"]["webhooks"] = [hook("chat", receiver.url)]
        dev.manifest.write_text(yaml.safe_dump(manifest))
        dev.start("--port", "0", environment=OFTEN | {webhook_secret_variable("chat"): SECRET})
        try:
            await asyncio.to_thread(dev.wait_until_ready)
            yield dev.ready
        finally:
            dev.kill()
            await asyncio.to_thread(eventually, lambda: not dev.processes(), "the end of every process")


@pytest.fixture
async def watched(make_platform: MakePlatform, closed_port: int, tmp_path: Path) -> AsyncIterator[PrometheusServer]:
    async with development(tmp_path) as ready, make_platform() as platform:
        with real_service(platform, tmp_path, changes=OFTEN, store_port=closed_port) as broken:
            targets = [
                replica(ready["api_url"].removeprefix("http://"), "a"),
                replica(broken.url.removeprefix("http://"), "b"),
            ]
            with prometheus(tmp_path / "prometheus", RULES, targets) as server:
                async with load(ready, broken):
                    yield server


async def test_every_panel_and_alert_shows_something(watched: PrometheusServer) -> None:
    expressions = with_selectors([*of_dashboard("uploads"), *of_rules(upload_alerts.groups())])
    assert len(expressions) > 80
    assert await asyncio.to_thread(silent, expressions, watched.query, SECONDS) == []
    if drawing_is_asked():
        await asyncio.sleep(DRAWN_SECONDS)
        await asyncio.to_thread(draw, "uploads", watched.query_range, DRAWN_SECONDS)
