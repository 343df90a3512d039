"""Rows against objects, both ways."""

from datetime import timedelta

import pytest
from audits import audited
from service_platform import Platform
from upload_client import File, UploadClient

from mediabucket_service.media.audit import AuditReport, FindingKind

PICTURE = File(b"a picture" * 100)


async def test_a_sound_bucket_has_no_findings(alice: UploadClient, platform: Platform) -> None:
    await alice.upload(PICTURE)
    await alice.begin(File(b"under way"))
    assert await audited(platform) == AuditReport(rows=1, objects=2, findings=())


@pytest.mark.parametrize("repair", [False, True])
async def test_every_disagreement_is_found_and_repaired(alice: UploadClient, platform: Platform, repair: bool) -> None:
    kept, lost, changed, forgotten = [await alice.upload(File(b"media %d" % number)) for number in range(4)]
    paths = {media["media_id"]: (await platform.row(media["media_id"]))["file_path"] for media in (lost, changed)}
    await platform.objects.delete(paths[lost["media_id"]])
    await platform.objects.put(paths[changed["media_id"]], b"tampered", "image/png")
    await platform.objects.put("uploads/2026/01/alice/orphan.png", b"orphan", "image/png")
    await platform.objects.put("pending/not-an-upload", b"junk", "image/png")
    await platform.forget(forgotten["media_id"])
    gone = await alice.begin(PICTURE)
    await platform.change(gone["media_id"], "status = 'expired'")

    report = await audited(platform, repair=repair)
    kinds = [finding.kind for finding in report.findings]
    assert sorted(kinds) == sorted([*FindingKind, FindingKind.PENDING_WITHOUT_ROW])
    assert all(
        finding.repaired == (repair and finding.kind != FindingKind.OBJECT_DIFFERS) for finding in report.findings
    )

    remaining = {finding.kind for finding in (await audited(platform)).findings}
    assert remaining == ({FindingKind.OBJECT_DIFFERS} if repair else set(FindingKind))
    assert (await alice.download(kept["url"])).content == File(b"media 0").content
    assert (await alice.get(lost["media_id"])).json()["status"] == ("failed" if repair else "completed")
    assert (await alice.get(forgotten["media_id"])).status_code == (200 if repair else 404)


async def test_young_objects_are_left_alone(platform: Platform) -> None:
    await platform.objects.put("pending/just-now", b"junk", "image/png")
    assert (await audited(platform, floor=timedelta(hours=1))).findings == ()


async def test_nothing_is_deleted_where_the_database_knows_nothing(platform: Platform) -> None:
    """Somebody else's database, or an empty one after a failed restore: everything would look like an orphan."""
    kept = ["pending/not-an-upload", "uploads/2026/01/alice/precious.png"]
    for key in kept:
        await platform.objects.put(key, b"precious", "image/png")
    report = await audited(platform, repair=True)
    assert [(finding.key, finding.repaired) for finding in report.findings] == [(key, False) for key in reversed(kept)]
    assert all("knew no completed media" in finding.detail for finding in report.findings)
    assert await platform.keys() == kept
