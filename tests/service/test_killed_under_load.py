"""Fifty people upload while the service, the database or the store dies again and again: nothing confirmed is lost."""

import asyncio
import logging
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from outages import restart, send_all
from real_service import RealService, real_service
from service_platform import Platform
from upload_client import File
from uploaders import LEASE_SECONDS, Uploaders, require_no_orphans, require_nothing_lost, uploading

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_cli.embedded.server import EmbeddedServer

pytestmark = pytest.mark.takes_minutes(3)

logger = logging.getLogger(__name__)

CLIENTS = 50
KILLS = 3
LEASES = {"MEDIABUCKET_CONFIRM_LEASE_SECONDS": str(LEASE_SECONDS)}


def served(stack: ExitStack, platform: Platform, directory: Path) -> RealService:
    directory.mkdir()
    return stack.enter_context(real_service(platform, directory, changes=LEASES))


async def after_the_next(crowd: Uploaders, uploads: int) -> None:
    """Until so many more uploads are confirmed."""
    wanted = len(crowd.promised) + uploads
    async with asyncio.timeout(60):
        while len(crowd.promised) < wanted:
            await asyncio.sleep(0.02)


async def require_all_well(platform: Platform, crowd: Uploaders, what: str) -> None:
    logger.info(
        "%s: %d confirmed, answers %s, %d connections lost",
        *(what, len(crowd.promised), dict(sorted(crowd.answers.items())), crowd.lost_connections),
    )
    await require_nothing_lost(platform, crowd.promised)
    await require_no_orphans(platform)
    await require_nothing_lost(platform, crowd.promised)
    assert len(crowd.messages) == len(crowd.promised)


@pytest.mark.promise(6)
async def test_the_service_is_killed_at_random_moments(own_platform: Platform, tmp_path: Path) -> None:
    chance = random.Random(6)
    with ExitStack() as stack:
        service = served(stack, own_platform, tmp_path / "0")
        async with uploading(service.url, CLIENTS, Uploaders) as crowd:
            for number in range(1, KILLS + 1):
                await after_the_next(crowd, 20)
                await asyncio.sleep(chance.uniform(0, 0.5))
                service.process.kill()
                service = await asyncio.to_thread(served, stack, own_platform, tmp_path / str(number))
                crowd.url = service.url
            await after_the_next(crowd, 20)
        assert crowd.lost_connections > 0, "the kills were noticed"
        await require_all_well(own_platform, crowd, f"service killed {KILLS} times")


@pytest.mark.promise(6)
@pytest.mark.parametrize("ends", ["stopped", "killed"])
@pytest.mark.parametrize("what", ["database", "store"])
async def test_a_server_is_restarted_under_load(
    ends: str, what: str, own_platform: Platform, own_postgres: Postgres, own_seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    server: EmbeddedServer = own_postgres if what == "database" else own_seaweedfs
    with ExitStack() as stack:
        service = served(stack, own_platform, tmp_path / "0")
        async with uploading(service.url, CLIENTS, Uploaders) as crowd:
            await after_the_next(crowd, 50)
            before = server.child.process.pid
            if ends == "killed":
                send_all(server, signal.SIGKILL)
            await asyncio.to_thread(restart, server)
            assert server.child.process.pid != before
            await after_the_next(crowd, 50)
        await require_all_well(own_platform, crowd, f"{what} {ends}")


async def test_a_lost_object_and_an_orphan_are_found(own_platform: Platform) -> None:
    """The judge can judge."""
    alice = own_platform.user()
    file = File(b"a picture" * 100)
    media = await alice.upload(file)
    promised = {media["media_id"]: file}
    await require_nothing_lost(own_platform, promised)
    await require_no_orphans(own_platform)

    path = (await own_platform.row(media["media_id"]))["file_path"]
    head = await own_platform.objects.head(path)
    await own_platform.objects.copy(path, "uploads/stray.png", if_match=head.etag, size=head.size)
    with pytest.raises(AssertionError):
        await require_no_orphans(own_platform)
    await own_platform.objects.delete("uploads/stray.png")
    await own_platform.change(media["media_id"], "status = 'deleted'")
    with pytest.raises(AssertionError, match="not completed"):
        await require_nothing_lost(own_platform, promised)
    await own_platform.change(media["media_id"], "status = 'completed', checksum = sha256('other')")
    with pytest.raises(AssertionError):
        await require_nothing_lost(own_platform, promised)
