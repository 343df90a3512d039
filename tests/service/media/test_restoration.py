"""Rows that are gone while their objects are there."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from audits import audited
from hypothesis import given
from hypothesis import strategies as st
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient, make_token

from mediabucket_service.identifiers import made_at, new_identifier
from mediabucket_service.media.audit import FindingKind
from mediabucket_service.media.keys import (
    PublishedName,
    content_disposition,
    file_name_of,
    published_key,
    published_name_of,
    user_digest,
    user_segment,
)

PICTURE = File(b"a picture" * 100, name="Größe 10%; 'zehn'.png")
TIMED = "01a20ac4-1b24-708f-a5b2-731e234be936"
RANDOM = "8dac49fb-67da-4e1b-a766-15beca6bf96a"
# What no client sends again, and what the object does not tell.
FORGOTTEN = {"url", "url_expires_at", "confirmed_at", "uploaded_at", "expires_at", "metadata"}


def lasting(media: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in media.items() if name not in FORGOTTEN}


@given(user=st.text(min_size=1, max_size=80), name=st.text(min_size=1, max_size=60))
def test_keys_and_headers_tell_what_was_put_into_them(user: str, name: str) -> None:
    media_id = new_identifier()
    found = published_name_of(published_key(media_id, user, name, datetime.now(UTC)))
    assert found == PublishedName(media_id, user_segment(user))
    assert found.user_digest == user_digest(user)
    assert found.user_id in (user, None)
    assert file_name_of(content_disposition(name, "image/png")) == name
    assert abs(made_at(media_id) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "key",
    [
        "uploads/2026/01/alice/orphan.png",
        "uploads/2026/01/alice",
        f"pending/{TIMED}",
        f"uploads/2026/01/al ice/{TIMED}.png",
        f"uploads/2026/01/alice/{TIMED}.png.bak",
        f"uploads/2026/01/alice/{TIMED}/more.png",
        # A UUID without a time, and what only looks like one.
        f"uploads/2026/01/alice/{RANDOM}.png",
        f"uploads/2026/01/alice/{'-' * 36}.png",
    ],
)
def test_other_keys_tell_nothing(key: str) -> None:
    assert published_name_of(key) is None


@pytest.mark.parametrize("disposition", [None, "", "inline", 'attachment; filename="plain.png"'])
def test_other_headers_tell_no_name(disposition: str | None) -> None:
    assert file_name_of(disposition) is None


async def test_a_row_comes_back_as_it_was(alice: UploadClient, platform: Platform) -> None:
    await alice.upload(File(b"another"))
    media = await alice.upload(PICTURE)
    await platform.forget(media["media_id"])
    assert (await alice.get(media["media_id"])).status_code == 404

    [told] = (await audited(platform)).findings
    assert (told.kind, told.repaired) == (FindingKind.ROW_LOST, False)
    assert (await alice.get(media["media_id"])).status_code == 404

    [mended] = (await audited(platform, repair=True)).findings
    assert mended.repaired
    again = (await alice.get(media["media_id"])).json()
    assert lasting(again) == lasting(media)
    assert (await alice.download(again["url"])).content == PICTURE.content
    assert (await alice.initiate(PICTURE)).json()["exists"] is True
    assert (await audited(platform)).findings == ()


async def test_measures_come_back(make_platform: MakePlatform) -> None:
    from mediabucket_cli.demo_story.files import png

    async with make_platform() as platform:
        alice = platform.user()
        media = await alice.upload(File(png(17, 5), as_is=True))
        assert (media["width"], media["height"]) == (17, 5)
        await platform.forget(media["media_id"])
        await audited(platform, repair=True)
        assert lasting((await alice.get(media["media_id"])).json()) == lasting(media)


async def test_a_user_whose_id_no_key_can_hold(platform: Platform) -> None:
    """The key has a digest of the id: the id has to be named."""
    erin = platform.user("auth0|erin@example.com")
    media = await erin.upload(PICTURE)
    await platform.user().upload(PICTURE)
    await platform.forget(media["media_id"])

    [told] = (await audited(platform, repair=True, users=["somebody else"])).findings
    assert not told.repaired
    assert "--users" in told.detail
    assert user_digest(erin.user).hex() in told.detail
    [mended] = (await audited(platform, repair=True, users=["somebody else", erin.user])).findings
    assert mended.repaired
    assert lasting((await erin.get(media["media_id"])).json()) == lasting(media)


async def test_who_uploaded_the_same_bytes_again_has_both(alice: UploadClient, platform: Platform) -> None:
    """The client has initiated anew meanwhile. Messages may refer to either."""
    first = await alice.upload(PICTURE)
    await platform.forget(first["media_id"])
    second = await alice.upload(PICTURE)
    assert second["media_id"] != first["media_id"]
    assert [finding.repaired for finding in (await audited(platform, repair=True)).findings] == [True]
    for media in (first, second):
        again = (await alice.get(media["media_id"])).json()
        assert (await alice.download(again["url"])).content == PICTURE.content
    # The first one's own object is no longer needed, and goes as that of any other duplicate does.
    await platform.reaper.clean_up()
    assert len(await platform.keys("uploads/")) == 1
    assert (await audited(platform)).findings == ()


async def test_what_was_erased_does_not_come_back(alice: UploadClient, platform: Platform) -> None:
    """A confirm that was stopped in the middle left a copy behind, and its user has been erased since."""
    await platform.user("bob").upload(PICTURE)
    media = await alice.upload(PICTURE)
    row = await platform.row(media["media_id"])
    headers = {"Authorization": f"Bearer {make_token('admin', scope='media:admin')}"}
    erased = await platform.http.delete("/api/users/alice/media", headers=headers)
    assert erased.status_code == 200, erased.text
    await platform.objects.put(row["file_path"], PICTURE.content, "image/png")

    [found] = (await audited(platform, repair=True)).findings
    assert (found.kind, found.repaired) == (FindingKind.OBJECT_WITHOUT_ROW, True)
    assert row["file_path"] not in await platform.keys()
    assert (await alice.get(media["media_id"])).status_code == 404

    # What she uploads after her erasure is hers again.
    anew = await alice.upload(PICTURE)
    await platform.forget(anew["media_id"])
    [found] = (await audited(platform, repair=True)).findings
    assert (found.kind, found.media_id) == (FindingKind.ROW_LOST, UUID(anew["media_id"]))
    assert (await alice.get(anew["media_id"])).status_code == 200


async def test_a_deleted_media_stays_deleted(alice: UploadClient, platform: Platform) -> None:
    """Its row is there and says so: an object that came back, from a backup for example, is removed."""
    await alice.upload(File(b"another"))
    media = await alice.upload(PICTURE)
    path = (await platform.row(media["media_id"]))["file_path"]
    assert (await alice.delete(media["media_id"])).status_code == 204
    await platform.reaper.clean_up()
    await platform.objects.put(path, PICTURE.content, "image/png")
    [found] = (await audited(platform, repair=True)).findings
    assert (found.kind, found.repaired) == (FindingKind.OBJECT_WITHOUT_ROW, True)
    assert path not in await platform.keys()
