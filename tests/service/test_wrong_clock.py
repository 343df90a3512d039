"""The service's clock is ten minutes off, ahead or behind; those of the store, the database and the users are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from real_service import real_service
from service_platform import Platform
from upload_client import File, UploadClient
from uploaders import require_no_orphans, require_nothing_lost

AHEAD, BEHIND = 600, -600
WRONG_CLOCK = Path(__file__).parents[1] / "support" / "wrong_clock"
PICTURE = File(b"a picture" * 100)


@asynccontextmanager
async def off_by(
    seconds: int, platform: Platform, directory: Path
) -> AsyncIterator[tuple[UploadClient, httpx.AsyncClient]]:
    """A service whose reaper runs once a second, by a wrong clock."""
    changes = {
        "PYTHONPATH": str(WRONG_CLOCK),
        "CLOCK_OFFSET_SECONDS": str(seconds),
        "MEDIABUCKET_REAPER_INTERVAL_SECONDS": "1",
        "MEDIABUCKET_SWEEP_INTERVAL_SECONDS": "1",
    }
    with real_service(platform, directory, changes=changes) as service:
        async with service.client() as http:
            yield service.user(http), http


async def the_reaper_comes_by(platform: Platform) -> None:
    """Twice: what is overdue by the database's clock goes, row and bytes."""
    for name in ("first", "second"):
        overdue = await platform.user("carol").begin(File(name.encode()))
        await platform.change(overdue["media_id"], "expires_at = now() - interval '1 second'")
        async with asyncio.timeout(20):
            while (await platform.row(overdue["media_id"]))["bytes_removed_at"] is None:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize(("seconds", "told"), [(AHEAD, "ahead of"), (BEHIND, "behind")])
async def test_readiness_tells(platform: Platform, tmp_path: Path, seconds: int, told: str) -> None:
    async with off_by(seconds, platform, tmp_path) as (_, http):
        ready = await http.get("/readyz")
    assert ready.status_code == 503
    said = ready.json()["dependencies"]["store"]
    assert "RequestTimeTooSkewed" in said
    assert f" s {told} the store's: set it by NTP" in said
    assert ready.json()["dependencies"]["database"] == "ok"


@pytest.mark.promise(6)
async def test_ahead_uploads_work_and_nothing_is_reaped_early(platform: Platform, tmp_path: Path) -> None:
    async with off_by(AHEAD, platform, tmp_path) as (alice, _):
        waiting = await alice.begin(File(b"waiting"))
        media = await alice.upload(PICTURE)
        assert (await alice.download(media["url"])).content == PICTURE.content
        await the_reaper_comes_by(platform)
        assert (await alice.confirm(waiting["media_id"])).status_code == 200
    await require_nothing_lost(platform, {media["media_id"]: PICTURE, waiting["media_id"]: File(b"waiting")})
    await require_no_orphans(platform)


@pytest.mark.promise(6)
async def test_behind_the_store_refuses_and_nothing_is_lost(platform: Platform, tmp_path: Path) -> None:
    """Its URLs have expired when they are made; another replica with a right clock takes over the upload."""
    kept = await platform.user().upload(File(b"kept"))
    async with off_by(BEHIND, platform, tmp_path) as (alice, _):
        ticket = (await alice.initiate(PICTURE)).json()
        refused = await alice.put(ticket, PICTURE.content, as_is=True)
        assert refused.status_code == 403
        assert "expired" in refused.text
        assert (await alice.confirm(ticket["media_id"])).status_code == 409
        await the_reaper_comes_by(platform)
    media = await platform.user().upload(PICTURE)
    assert media["media_id"] == ticket["media_id"]
    await require_nothing_lost(platform, {kept["media_id"]: File(b"kept"), media["media_id"]: PICTURE})
    await require_no_orphans(platform)
