"""Which objects are uploads, and how many confirms one notification may start."""

import asyncio
from typing import cast
from uuid import UUID, uuid4

import pytest

from mediabucket_s3.errors import ObjectMissing, S3Error, StoreUnavailable
from mediabucket_service.arrivals import PARALLEL_CONFIRMS, Arrivals, media_id_arrived
from mediabucket_service.events.shapes import StoredObject
from mediabucket_service.media.keys import pending_key, verified_key
from mediabucket_service.media.service import MediaService

MEDIA_ID = UUID("019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")


def test_the_key_that_a_url_was_signed_for_is_an_upload() -> None:
    assert media_id_arrived(StoredObject("media", pending_key(MEDIA_ID)), "media") == MEDIA_ID


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("another", pending_key(MEDIA_ID)),
        ("media", verified_key(MEDIA_ID)),
        ("media", f"uploads/2026/05/alice/{MEDIA_ID}.png"),
        ("media", str(MEDIA_ID)),
        ("media", f"pending/{MEDIA_ID.hex}"),
        ("media", f"pending/{str(MEDIA_ID).upper()}"),
        ("media", f"pending/urn:uuid:{MEDIA_ID}"),
        ("media", f"/pending/{MEDIA_ID}"),
        ("media", f"pending/pending/{MEDIA_ID}"),
        ("media", "pending/"),
        ("media", ""),
    ],
)
def test_no_other_key_is(bucket: str, key: str) -> None:
    assert media_id_arrived(StoredObject(bucket, key), "media") is None


class Confirming:
    """Stands for the media service, to count what runs at the same time."""

    def __init__(self, error: S3Error | None = None) -> None:
        self.error = error
        self.asked: list[UUID] = []
        self.running = 0
        self.most = 0

    async def confirm_arrived(self, media_id: UUID) -> None:
        self.asked.append(media_id)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.001)
        self.running -= 1
        if self.error is not None:
            raise self.error


def arrivals_of(media: Confirming) -> Arrivals:
    return Arrivals(cast(MediaService, media), "media")


def uploads(count: int) -> list[StoredObject]:
    return [StoredObject("media", pending_key(uuid4())) for _ in range(count)]


async def test_eight_confirms_run_at_a_time_and_every_upload_is_confirmed_once() -> None:
    media = Confirming()
    objects = uploads(100)
    answer = await arrivals_of(media).settle([*objects, *objects])
    assert (answer.confirmed, answer.ignored, answer.failed) == (100, 100, 0)
    assert len(media.asked) == len(set(media.asked)) == 100
    assert media.most == PARALLEL_CONFIRMS


async def test_a_store_that_is_down_is_asked_eight_times_at_most() -> None:
    media = Confirming(StoreUnavailable("HeadObject", "EndpointConnectionError"))
    with pytest.raises(StoreUnavailable):
        await arrivals_of(media).settle(uploads(100))
    assert len(media.asked) == PARALLEL_CONFIRMS


async def test_bytes_that_vanish_meanwhile_are_no_outage() -> None:
    media = Confirming(ObjectMissing("HeadObject", "NoSuchKey"))
    answer = await arrivals_of(media).settle(uploads(3))
    assert (answer.confirmed, answer.ignored, answer.failed) == (0, 3, 0)
