"""DELETE /api/users/{sub}/media: nothing of a user stays, on either side, and the report says what went."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from erasing import Store, erase, erase_to_the_end, rows_of, unreachable_webhook, upload_duplicate
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient

from mediabucket_s3.admin import BucketAdmin

PICTURES = [File(b"picture %d" % number * 100) for number in range(3)]
STALE = "expires_at = now() - interval '1 second'"


@pytest.fixture(params=["Disabled", "Enabled"])
async def erasing(
    make_platform: MakePlatform, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Platform]:
    """The application on a bucket without versions, and on one with."""
    async with make_platform(uploads=unreachable_webhook(monkeypatch)) as platform:
        if request.param == "Enabled":
            BucketAdmin.connect(platform.connection.store, platform.connection.bucket).put_versioning("Enabled")
        yield platform


async def use_everything(platform: Platform, user: UploadClient) -> None:
    """A user with media in every state, more than one version, a multipart upload, a message, and a stray PUT."""
    kept = [await user.upload(picture) for picture in PICTURES]
    await user.send(content="look", media_ids=[media["media_id"] for media in kept[:2]])
    deleted = await user.upload(File(b"to be deleted"))
    assert (await user.delete(deleted["media_id"])).status_code == 204
    failed = await user.begin(File(b"announced"))
    await user.put(failed, b"different")
    assert (await user.confirm(failed["media_id"])).status_code == 422
    expired = await user.begin(File(b"too late"))
    await platform.change(expired["media_id"], STALE)
    await platform.reaper.clean_up()
    pending = await user.begin(File(b"pending"))
    await user.put(pending, b"pending")
    store = Store(platform)
    await platform.change(pending["media_id"], f"upload_id = '{await store.begin_parts(pending['media_id'])}'")
    await store.begin_parts(kept[0]["media_id"])
    await platform.objects.put(f"pending/{kept[1]['media_id']}.verified", b"left by a confirm", "image/png")


async def test_everything_of_a_user_goes_and_nothing_of_another(erasing: Platform) -> None:
    alice, bob = erasing.user("alice"), erasing.user("bob")
    for user in (alice, bob):
        await use_everything(erasing, user)
    store = Store(erasing)
    rows, others = await rows_of(erasing, "alice"), await rows_of(erasing, "bob")
    versions, others_versions = await store.versions_of(rows), await store.versions_of(others)
    report = await erase_to_the_end(erasing, "alice")

    assert (report["media"], report["objects"], report["bytes"], report["references"]) == (
        len(rows),
        len([version for version in versions if not version.is_delete_marker]),
        sum(version.size for version in versions),
        2,
    )
    assert datetime.fromisoformat(report["requested_at"]) <= datetime.fromisoformat(report["completed_at"])
    assert await rows_of(erasing, "alice") == []
    assert await store.versions_of(rows) == []
    assert {upload.split("/")[1] for upload in await store.uploads()} <= {str(row["media_id"]) for row in others}
    assert await rows_of(erasing, "bob") == others
    assert await store.versions_of(others) == others_versions
    assert await events_of_nobody(erasing) == {
        ("media.deleted", str(row["media_id"])) for row in rows if row["status"] in ("completed", "deleted")
    }
    assert await users_named_in_events(erasing) == {"bob", None}


async def events_of_nobody(platform: Platform) -> set[tuple[str, str]]:
    """The events that name no user. They name nothing else but the media."""
    query = (
        "SELECT event, payload FROM webhook_deliveries"
        " WHERE bucket = %(bucket)s AND NOT payload ? 'uploaded_by' AND media_id = (payload ->> 'media_id')::uuid"
    )
    rows = await platform.database.fetch_all(query, {"bucket": platform.connection.bucket})
    assert all(row["payload"] == {"media_id": row["payload"]["media_id"], "status": "deleted"} for row in rows)
    return {(row["event"], row["payload"]["media_id"]) for row in rows}


async def users_named_in_events(platform: Platform) -> set[str | None]:
    query = "SELECT DISTINCT payload ->> 'uploaded_by' AS name FROM webhook_deliveries WHERE bucket = %(bucket)s"
    rows = await platform.database.fetch_all(query, {"bucket": platform.connection.bucket})
    return {row["name"] for row in rows}


async def test_messages_stay_without_the_media(erasing: Platform) -> None:
    alice, bob = erasing.user("alice"), erasing.user("bob")
    media = [(await user.upload(PICTURES[0]))["media_id"] for user in (alice, bob)]
    there = {"conversation_id": erasing.connection.bucket}
    await alice.send(content="mine", media_ids=[media[0]], **there)
    await bob.send(content="his", media_ids=[media[1]], **there)
    await erase_to_the_end(erasing, "alice")
    page = (await bob.call("GET", f"/api/messages?conversation_id={erasing.connection.bucket}")).json()
    told = {message["content"]: [found["media_id"] for found in message["media"]] for message in page["items"]}
    assert told == {"mine": [], "his": [media[1]]}


async def test_a_user_without_media_is_erased_at_once(platform: Platform) -> None:
    answer = await erase(platform, "nobody")
    assert answer.status_code == 200
    report = answer.json()
    assert (report["media"], report["objects"], report["bytes"], report["references"]) == (0, 0, 0, 0)
    assert report["completed_at"] is not None


async def test_repeating_gives_the_same_report_and_a_later_upload_counts_on_top(platform: Platform) -> None:
    alice = platform.user()
    await alice.upload(PICTURES[0])
    first = await erase_to_the_end(platform, "alice")
    assert (await erase(platform, "alice")).json() == first
    assert (first["media"], first["objects"], first["bytes"]) == (1, 1, len(PICTURES[0].content))
    await alice.upload(PICTURES[1])
    second = await erase_to_the_end(platform, "alice")
    assert (second["media"], second["objects"]) == (2, 2)
    assert second["bytes"] == len(PICTURES[0].content) + len(PICTURES[1].content)
    assert second["requested_at"] > first["completed_at"]
    assert (await erase(platform, "alice")).json() == second


async def test_an_erased_user_may_begin_anew(platform: Platform) -> None:
    alice = platform.user()
    before = await alice.upload(PICTURES[0])
    await erase_to_the_end(platform, "alice")
    assert (await alice.get(before["media_id"])).status_code == 404
    assert (await alice.confirm(before["media_id"])).status_code == 404
    after = await alice.upload(PICTURES[0])
    assert after["media_id"] != before["media_id"]
    assert (await alice.download(after["url"])).content == PICTURES[0].content


async def test_the_receipt_does_not_name_the_user(platform: Platform) -> None:
    await platform.user("somebody in particular").upload(PICTURES[0])
    await erase_to_the_end(platform, "somebody in particular")
    for table in ("erasures", "rate_limits", "media_files", "media_references", "webhook_deliveries"):
        rows = await platform.database.fetch_all(f"SELECT t::text AS row FROM {table} t", {})
        assert [row for row in rows if "particular" in row["row"]] == []


async def test_the_allowance_of_calls_is_forgotten(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"limits": {"requestsPerMinute": 30}}) as platform:
        await platform.user("alice").upload(PICTURES[0])
        await erase_to_the_end(platform, "alice")
        query = "SELECT user_id FROM rate_limits WHERE bucket = %(bucket)s"
        found = await platform.database.fetch_all(query, {"bucket": platform.connection.bucket})
        assert found == [{"user_id": "administrator"}]


async def test_the_same_user_of_another_bucket_is_untouched(platform: Platform) -> None:
    query = "UPDATE media_files SET bucket = 'another' WHERE media_id = %(id)s"
    media = await platform.user().upload(PICTURES[0])
    await platform.database.execute(query, {"id": media["media_id"]})
    assert (await erase_to_the_end(platform, "alice"))["media"] == 0
    assert (await platform.row(media["media_id"]))["status"] == "completed"


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "a/media",
        "media",
        "/a/",
        "100%",
        "100%25",
        "%2F",
        "Zoë 日本語 😀",
        "a b+c&d?e#f",
        "auth0|5f7c8e",
        "a@b.c",
        "a;b",
    ],
)
async def test_any_name_of_a_user_may_stand_in_the_path(platform: Platform, name: str) -> None:
    media = await platform.user(name).upload(PICTURES[0])
    await platform.user("a").upload(PICTURES[0])
    report = await erase_to_the_end(platform, name)
    assert (report["media"], report["objects"]) == (1, 1)
    assert (await platform.user(name).get(media["media_id"])).status_code == 404
    assert len(await rows_of(platform, "a")) == 1


@pytest.mark.parametrize("name", ["", "a\0b", "a\x7f", "x" * 256])
async def test_what_is_no_name_of_a_user_is_refused(platform: Platform, name: str) -> None:
    answer = await erase(platform, name)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:mediabucket:problem:malformed-request"
    assert answer.json()["detail"].startswith("sub must ")


async def test_an_upload_served_from_the_object_of_another_is_counted_once(erasing: Platform) -> None:
    alice = erasing.user()
    original = await alice.upload(PICTURES[0])
    duplicate = await upload_duplicate(erasing, alice, PICTURES[0], original)
    assert (await alice.get(duplicate)).json()["status"] == "completed"
    versions = await Store(erasing).versions_of(await rows_of(erasing, "alice"))
    report = await erase_to_the_end(erasing, "alice")
    sizes = [version.size for version in versions if not version.is_delete_marker]
    assert (report["media"], report["objects"], report["bytes"]) == (2, len(sizes), sum(sizes))
    assert await Store(erasing).all_versions() == []
