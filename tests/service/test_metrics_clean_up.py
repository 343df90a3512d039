"""What Prometheus is told of uploads that are pending, and of the clean-up that ends them."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from service_platform import MakePlatform, Platform
from told_metrics import told
from upload_client import File

from mediabucket_s3.errors import AccessDenied
from mediabucket_s3.objects import BucketObjects
from mediabucket_service.clock import utc_now
from mediabucket_service.database import Database
from mediabucket_service.identifiers import new_identifier
from mediabucket_service.media import backlog_repository
from mediabucket_service.media.backlog_repository import Backlog, BacklogRepository
from mediabucket_service.media.keys import pending_key
from mediabucket_service.media.reaper import BytesRemover, Reaper
from mediabucket_service.media.removal_repository import RemovalRepository
from mediabucket_service.metrics import CleanUpMetrics, UploadMetrics
from mediabucket_service.migrations import upgrade

OFTEN = {"reaper_interval_seconds": 0.1, "sweep_interval_seconds": 0.1}
STALE = "expires_at = now() - interval '1 second'"
ROWS = 200_000
# Of 8 KiB each; each pending row may be looked up once or twice. The table has more than 5,000.
MOST_BLOCKS = 2500


async def test_what_is_pending_is_told_with_its_bytes_and_its_age(make_platform: MakePlatform) -> None:
    async with make_platform(settings_changes={"reaper_interval_seconds": 0.1}) as platform:
        alice, bob = platform.user("alice"), platform.user("bob")
        oldest = (await alice.initiate(File(b"first"), file_size=1000)).json()
        await bob.initiate(File(b"second"), file_size=500)
        await bob.upload(File(b"done"))
        await platform.change(oldest["media_id"], "uploaded_at = now() - interval '2 hours'")
        async with asyncio.timeout(20):
            while (found := await told(platform.http)).of("mediabucket_pending_oldest_seconds") < 7200:
                await asyncio.sleep(0.05)
        assert found.of("mediabucket_pending_uploads") == 2
        assert found.of("mediabucket_pending_bytes") == 1500
        assert found.of("mediabucket_pending_oldest_seconds") < 7260
        assert found.of("mediabucket_reaper_backlog") == 0


async def test_overdue_is_what_the_clean_up_should_have_ended(platform: Platform) -> None:
    alice = platform.user()
    tickets = [(await alice.initiate(File(b"%d" % number))).json() for number in range(3)]
    await platform.change(tickets[0]["media_id"], STALE)
    await platform.change(tickets[1]["media_id"], f"{STALE}, lease_until = now() + interval '1 minute'")
    mine = BacklogRepository(platform.database, platform.connection.bucket)
    assert (await mine.look()).overdue == 1, "one that is being confirmed is nobody's fault"
    await platform.reaper.clean_up()
    after = await mine.look()
    assert (after.uploads, after.overdue) == (2, 0)
    assert await BacklogRepository(platform.database, "another bucket").look() == Backlog(0, 0, 0.0, 0)


async def test_passes_and_what_they_remove_are_counted(make_platform: MakePlatform) -> None:
    before = time.time()
    async with make_platform(settings_changes=OFTEN) as platform:
        alice = platform.user()
        ticket = await alice.begin(File(b"forgotten"))
        await platform.change(ticket["media_id"], STALE)
        await platform.database.execute(
            "INSERT INTO abandoned_copies (bucket, key) VALUES (%(bucket)s, 'uploads/copy')",
            {"bucket": platform.connection.bucket},
        )
        await asyncio.sleep(1)
        found = await told(platform.http)
    assert found.of("mediabucket_reaper_removed_total", kind="media") == 1
    assert found.of("mediabucket_reaper_removed_total", kind="copy") == 1
    assert found.of("mediabucket_uploads_total", outcome="expired", media_type="image") == 1
    assert found.of("mediabucket_reaper_passes_total", result="success") >= 2
    assert found.of("mediabucket_reaper_passes_total", result="failure") == 0
    assert before <= found.of("mediabucket_reaper_last_success_timestamp_seconds") <= time.time()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def later_reaper(platform: Platform, registry: CollectorRegistry, sweep_seconds: float = 3600) -> Reaper:
    """One for which two hours have passed: what is under pending/ now is old enough to be swept."""
    removal, passes = RemovalRepository(platform.database, platform.connection.bucket), CleanUpMetrics(registry)
    return Reaper(
        removal,
        BytesRemover(removal, platform.objects, passes.removed),
        platform.objects,
        platform.connection.spec.uploads,
        UploadMetrics(registry),
        passes,
        interval_seconds=0.05,
        sweep_interval_seconds=sweep_seconds,
        now=lambda: utc_now() + timedelta(hours=2),
    )


async def test_orphans_are_told_as_found_and_as_removed(platform: Platform, registry: CollectorRegistry) -> None:
    reaper = later_reaper(platform, registry)
    live = await platform.user().begin(File(b"still wanted"))
    for size in (700, 300):
        await platform.objects.put(pending_key(new_identifier()), b"x" * size, "image/png")
    await platform.objects.create_multipart_upload(pending_key(new_identifier()), "image/png")
    assert await reaper.sweep() == 3
    assert registry.get_sample_value("mediabucket_orphan_bytes") == 1000
    assert registry.get_sample_value("mediabucket_reaper_removed_total", {"kind": "orphan"}) == 2
    assert registry.get_sample_value("mediabucket_reaper_removed_total", {"kind": "multipart_upload"}) == 1
    assert await reaper.sweep() == 0
    assert registry.get_sample_value("mediabucket_orphan_bytes") == 0
    assert await platform.keys() == [pending_key(live["media_id"])]


async def test_orphans_that_cannot_be_removed_are_told_all_the_same(
    platform: Platform, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def denied(*_: object) -> None:
        raise AccessDenied("DeleteObject", "AccessDenied", 403)

    monkeypatch.setattr(BucketObjects, "delete_every_version", denied)
    monkeypatch.setattr(BucketObjects, "delete", denied)
    await platform.objects.put(pending_key(new_identifier()), b"x" * 900, "image/png")
    reaper = later_reaper(platform, registry, sweep_seconds=0.01)
    task = asyncio.create_task(reaper.run())
    async with asyncio.timeout(20):
        while (registry.get_sample_value("mediabucket_reaper_passes_total", {"result": "failure"}) or 0) < 2:
            await asyncio.sleep(0.01)
    assert registry.get_sample_value("mediabucket_orphan_bytes") == 900
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert registry.get_sample_value("mediabucket_reaper_removed_total", {"kind": "orphan"}) == 0
    assert registry.get_sample_value("mediabucket_reaper_passes_total", {"result": "success"}) == 0
    assert registry.get_sample_value("mediabucket_reaper_last_success_timestamp_seconds") == 0


_FILL = """
INSERT INTO media_files (media_id, bucket, uploaded_by, file_name, file_path, media_type, file_size, mime_type,
                         checksum, status, uploaded_at, expires_at)
SELECT gen_random_uuid(), %(bucket)s, 'user-' || n %% 1000, 'n', 'uploads/' || n, 'image', 10, 'image/png',
       sha256(convert_to(%(status)s || n, 'UTF8')), %(status)s, now() - interval '1 day', now() + interval '1 day'
FROM generate_series(1, %(rows)s) AS n
"""


async def test_a_large_table_is_not_read(database_url: str) -> None:
    upgrade(database_url)
    async with Database(database_url, pool_size=2, timeout_seconds=30) as database:
        for bucket, status, rows in (("b", "completed", ROWS), ("b", "pending", 300), ("other", "pending", 2000)):
            await database.execute(_FILL, {"bucket": bucket, "status": status, "rows": rows})
        # Before anybody knows how large it is, and after.
        await assert_frugal(database)
        await database.execute("ANALYZE media_files", {})
        await assert_frugal(database)


async def assert_frugal(database: Database) -> None:
    assert (await BacklogRepository(database, "b").look()).uploads == 300
    plan = await explained(database)
    assert not [node for node in all_nodes(plan) if node["Node Type"] == "Seq Scan"], plan
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < MOST_BLOCKS


async def explained(database: Database) -> dict[str, Any]:
    query = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {backlog_repository._BACKLOG}"
    row = await database.fetch_one(
        query,
        {
            "bucket": "b",
            "most_counted": backlog_repository.MOST_COUNTED,
            "most_aged": backlog_repository.MOST_AGED,
        },
    )
    assert row is not None
    plan: dict[str, Any] = row["QUERY PLAN"][0]["Plan"]
    return plan


def all_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from all_nodes(child)
