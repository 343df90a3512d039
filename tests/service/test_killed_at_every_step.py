"""Kill -9 at each step of each call while fifty people use it: nothing is lost, left over or held (promise 6).

The steps of one confirm on its own, in all their order, are in test_kill.py.
"""

import asyncio
import itertools
import json
import logging
import time
from pathlib import Path
from uuid import uuid4

import pytest
from busy_uploaders import BusyUploaders, require_all_ended_well
from part_client import IN_PARTS
from real_service import RealService, real_service
from service_platform import MakePlatform, Platform
from uploaders import uploading

from mediabucket_api.constants import PENDING_PREFIX

pytestmark = pytest.mark.takes_minutes(2)

logger = logging.getLogger(__name__)

CLIENTS = 50
# So that uploads that are left end, and late bytes are swept, while the test runs.
UPLOAD_SECONDS = 20
# Until the next death: on a busy machine, with all who were at work waiting for leases of the dead.
MOST_SECONDS = 60

# What is not done any more, with which call of a life; `!`: done, and its caller never hears of it.
CALLS = {
    "initiate": [("InitiateRepository.initiate", 5), ("Initiation.initiate!", 5)],
    "parts": [
        ("BucketObjects.create_multipart_upload", 2),
        ("MultipartRepository.claim", 2),
        ("MultipartRepository.claim!", 1),
        ("MultipartRepository.keep_alive", 1),
        ("BucketObjects.list_parts", 2),
        ("BucketObjects.complete_multipart_upload", 1),
        ("BucketObjects.abort_multipart_upload", 1),
    ],
    "confirm": [
        ("MediaRepository.lease", 5),
        ("BucketObjects.head", 5),
        ("BucketObjects.stream", 5),
        ("BucketObjects.copy", 5),
        ("MediaRepository.complete", 5),
        ("BucketObjects.delete", 5),
        ("MediaService.confirm!", 5),
    ],
    "refusal": [("MediaRepository.release_lease", 1), ("MediaRepository.fail", 1), ("MediaRepository.fail!", 1)],
    "message": [
        ("MediaRepository.add_references", 3),
        ("PostgresMessageRepository.insert", 3),
        ("Flows.send_message!", 3),
    ],
    "delete": [("MediaRepository.delete", 2), ("RemovalRepository.bytes_removed", 2), ("MediaService.delete!", 2)],
    "erasure": [
        ("ErasureRepository.mark", 1),
        ("ErasureRepository.note", 1),
        ("BucketObjects.delete_version", 1),
        ("ErasureRepository.delete", 1),
        ("Erasures.erase!", 1),
    ],
    "reaper": [
        ("RemovalRepository.expire_stale!", 1),
        ("RemovalRepository.to_remove!", 1),
        ("RemovalRepository.still_pending!", 1),
        ("RemovalRepository.live_uploads!", 1),
        ("BucketObjects.delete_every_version", 1),
    ],
}
# One of each call in turn: whoever is killed at every step of one call in a row gets nothing done meanwhile.
LIVES = [life for lives in itertools.zip_longest(*CALLS.values()) for life in lives if life is not None]


async def all_dead(service: RealService, log: Path) -> None:
    """Until every life but the last has ended as it was to."""
    dead, since = 0, time.monotonic()
    while dead < len(LIVES):
        await asyncio.sleep(0.05)
        assert service.process.poll() is None, service.text()
        told = len(log.read_text().splitlines())
        if told > dead:
            logger.info("%.1f s until %s", time.monotonic() - since, LIVES[dead])
            dead, since = told, time.monotonic()
        assert time.monotonic() - since < MOST_SECONDS, f"nobody got as far as {LIVES[dead]}"


async def leave_bytes(platform: Platform) -> None:
    """As PUTs that land when their uploads have ended; there are always some for the reaper to sweep."""
    while True:
        await platform.objects.put(f"{PENDING_PREFIX}{uuid4()}", b"late", "image/png")
        await asyncio.sleep(1)


@pytest.mark.promise(4)
@pytest.mark.promise(6)
async def test_killed_at_every_step_while_fifty_use_it(make_platform: MakePlatform, tmp_path: Path) -> None:
    log = tmp_path / "deaths"
    log.touch()
    changes = {
        "MORTAL_LIVES": json.dumps(LIVES),
        "MORTAL_LOG": str(log),
        "PYTHONPATH": str(Path(__file__).parents[1] / "support"),
        "MEDIABUCKET_CONFIRM_LEASE_SECONDS": "1",
        "MEDIABUCKET_REAPER_INTERVAL_SECONDS": "0.5",
        "MEDIABUCKET_SWEEP_INTERVAL_SECONDS": "0.5",
    }
    uploads = {"urlTTLSeconds": UPLOAD_SECONDS, "staleAfterSeconds": UPLOAD_SECONDS} | IN_PARTS
    async with make_platform(uploads=uploads) as platform:
        with real_service(platform, tmp_path, changes=changes, program=["mortal_service"]) as service:
            async with uploading(service.url, CLIENTS, BusyUploaders) as crowd:
                late = asyncio.create_task(leave_bytes(platform))
                await all_dead(service, log)
                late.cancel()
            assert log.read_text().splitlines() == [str(life) for life in LIVES]
        logger.info(
            "killed %d times: %d confirmed, %d deleted, %d refused, %d erased, answers %s, %d connections lost",
            *(len(LIVES), len(crowd.promised), len(crowd.deleted), len(crowd.refused), len(crowd.erased)),
            *(dict(sorted(crowd.answers.items())), crowd.lost_connections),
        )
        assert crowd.lost_connections >= len(LIVES), "the kills were noticed"
        await require_all_ended_well(platform, crowd)
