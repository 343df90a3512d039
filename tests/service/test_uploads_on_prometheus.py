"""The dashboard and the alerts of uploads on a real Prometheus, which watches two replicas under a little load: one
serves, the other does not reach the store.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from draw_dashboards import draw, drawing_is_asked
from monitoring import upload_alerts
from prometheus_server import PrometheusServer, Target, prometheus
from real_service import RealService, real_service
from served_api import served
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient
from watched_expressions import RULES, of_dashboard, of_rules, silent, with_selectors
from webhook_receiver import SECRET, hook, running_receiver

from mediabucket_api.connection import webhook_secret_variable

OFTEN = {"reaper_interval_seconds": 1, "sweep_interval_seconds": 2, "webhook_interval_seconds": 0.2}
STALE = "expires_at = now() - interval '1 second'"
SECONDS = 45
DRAWN_SECONDS = 60
LARGE = 64 * 1024**2


@asynccontextmanager
async def load(platform: Platform, broken: RealService) -> AsyncIterator[None]:
    """Users who come and go until the block ends."""

    async def forever() -> None:
        async with broken.client() as http:
            number = 0
            while True:
                number += 1
                await everything_once(platform, broken.user(http), number)
                await asyncio.sleep(0.2)

    task = asyncio.create_task(forever())
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def everything_once(platform: Platform, unlucky: UploadClient, number: int) -> None:
    """Each outcome that an upload can have, and a service that does not reach its store."""
    alice = platform.user(f"alice-{number}")
    file = File(os.urandom(500 + number))
    media = await alice.upload(file)
    assert (await alice.initiate(file)).json()["exists"] is True
    assert (await alice.delete(media["media_id"])).status_code == 204
    early = (await alice.initiate(File(os.urandom(400)))).json()
    assert (await alice.confirm(early["media_id"])).status_code == 409
    await platform.change(early["media_id"], STALE)
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


@pytest.fixture
async def watched(
    make_platform: MakePlatform, closed_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PrometheusServer]:
    monkeypatch.setenv(webhook_secret_variable("chat"), SECRET)
    async with running_receiver() as receiver:
        uploads = {"webhooks": [hook("chat", receiver.url)], "allowedMimeTypes": ["image/png"]}
        async with make_platform(settings_changes=OFTEN, uploads=uploads) as platform, served(platform) as (host, port):
            with real_service(platform, tmp_path, store_port=closed_port) as broken:
                targets = [replica(f"{host}:{port}", "a"), replica(broken.url.removeprefix("http://"), "b")]
                with prometheus(tmp_path / "prometheus", RULES, targets) as server:
                    async with load(platform, broken):
                        yield server


async def test_every_panel_and_alert_shows_something(watched: PrometheusServer) -> None:
    expressions = with_selectors([*of_dashboard("uploads"), *of_rules(upload_alerts.groups())])
    assert len(expressions) > 80
    assert await asyncio.to_thread(silent, expressions, watched.query, SECONDS) == []
    if drawing_is_asked():
        await asyncio.sleep(DRAWN_SECONDS)
        await asyncio.to_thread(draw, "uploads", watched.query_range, DRAWN_SECONDS)
