"""Events reach a real receiver while the application runs."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from service_platform import MakePlatform, Platform
from upload_client import File, UploadClient
from webhook_receiver import Received, Receiver, hanging, hook, running_receiver, statuses

OFTEN = {"webhook_interval_seconds": 0.05}
PICTURE = File(b"a picture" * 100)


async def deliveries(platform: Platform) -> list[dict[str, Any]]:
    return await platform.database.fetch_all(
        "SELECT * FROM webhook_deliveries WHERE bucket = %(bucket)s ORDER BY created_at",
        {"bucket": platform.connection.bucket},
    )


async def until_delivered(platform: Platform) -> None:
    deadline = time.monotonic() + 20
    while await deliveries(platform):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def until_postponed(platform: Platform, attempts: int) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while not (rows := await deliveries(platform)) or rows[0]["attempts"] < attempts:
        assert time.monotonic() < deadline, rows
        await asyncio.sleep(0.02)
    return rows[0]


async def make_due(platform: Platform) -> None:
    """Stands for the time until the next attempt."""
    await platform.database.execute(
        "UPDATE webhook_deliveries SET next_attempt_at = now() WHERE bucket = %(bucket)s",
        {"bucket": platform.connection.bucket},
    )


async def every_event(user: UploadClient) -> dict[str, str]:
    """Uploads that end in every way there is: the event to the media's id."""
    completed = await user.upload(PICTURE)
    failed = (await user.initiate(File(b"announced"))).json()
    await user.put(failed, b"ANNOUNCED")
    assert (await user.confirm(failed["media_id"])).status_code == 422
    expired = (await user.initiate(File(b"never uploaded"))).json()
    assert (await user.delete(expired["media_id"])).status_code == 204
    deleted = await user.upload(File(b"not for long"))
    assert (await user.delete(deleted["media_id"])).status_code == 204
    endings = {"completed": completed, "failed": failed, "expired": expired, "deleted": deleted}
    return {f"media.{status}": media["media_id"] for status, media in endings.items()}


async def test_every_event_arrives_once_and_signed(make_platform: MakePlatform) -> None:
    async with running_receiver() as receiver:
        async with make_platform(
            uploads={"webhooks": [hook("chat", receiver.url)]}, settings_changes=OFTEN
        ) as platform:
            endings = await every_event(platform.user())
            # The media that is deleted was completed first.
            await receiver.wait_for(5)
            await until_delivered(platform)
            await asyncio.sleep(0.2)
        received = receiver.received
        assert len(received) == 5, "once, and nothing after that"
        assert len({item.webhook_id for item in received}) == 5
        assert {(item.type, item.media_id) for item in received} == {
            *endings.items(),
            ("media.completed", endings["media.deleted"]),
        }
        first = next(item for item in received if item.media_id == endings["media.completed"])
        assert_well_formed(first)
        assert first.event["data"] == {
            "media_id": endings["media.completed"],
            "status": "completed",
            "uploaded_by": "alice",
            "file_name": PICTURE.name,
            "file_size": len(PICTURE.content),
            "mime_type": PICTURE.mime_type,
            "media_type": "image",
            "checksum": PICTURE.sha256,
            "failure": None,
            "metadata": {},
        }


def assert_well_formed(item: Received) -> None:
    """The members and headers of the Standard Webhooks specification; the signature was verified on arrival."""
    assert set(item.event) == {"type", "timestamp", "data"}
    happened = datetime.fromisoformat(item.event["timestamp"])
    assert happened.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - happened) < timedelta(minutes=1)
    assert uuid.UUID(item.webhook_id).version == 4
    assert item.headers["Content-Type"] == "application/json"
    assert item.headers["webhook-timestamp"].isdecimal()


async def test_only_events_that_were_subscribed_to_are_sent(make_platform: MakePlatform) -> None:
    async with running_receiver() as chosen, running_receiver() as everything:
        hooks = [hook("chat", chosen.url, "media.deleted", "media.failed"), hook("archive", everything.url)]
        async with make_platform(uploads={"webhooks": hooks}, settings_changes=OFTEN) as platform:
            await every_event(platform.user())
            await everything.wait_for(5)
            await until_delivered(platform)
        assert sorted(chosen.types) == ["media.deleted", "media.failed"]


async def test_a_receiver_that_fails_twice_gets_the_same_event_again(make_platform: MakePlatform) -> None:
    async with running_receiver(statuses(500, 302, 200)) as receiver:
        async with make_platform(
            uploads={"webhooks": [hook("chat", receiver.url)]}, settings_changes=OFTEN
        ) as platform:
            await platform.user().upload(PICTURE)
            waits = []
            for attempt, answered in ((1, "answered 500"), (2, "answered 302")):
                row = await until_postponed(platform, attempt)
                assert row["last_error"] == answered
                waits.append((row["next_attempt_at"] - datetime.now(UTC)).total_seconds())
                await make_due(platform)
            await until_delivered(platform)
            counted = await samples(platform)
        assert len(receiver.received) == 3
        assert len({(item.webhook_id, item.body) for item in receiver.received}) == 1
        assert 0 < waits[0] < 6
        assert 290 < waits[1] < 331
        assert counted["mediabucket_webhook_deliveries_total", "chat", "retried"] == 2
        assert counted["mediabucket_webhook_deliveries_total", "chat", "delivered"] == 1


async def samples(platform: Platform) -> dict[tuple[str, ...], float]:
    text = (await platform.http.get("/metrics")).text
    return {
        (sample.name, *(sample.labels[name] for name in ("webhook", "outcome") if name in sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("count", [20])
async def test_a_receiver_that_hangs_delays_neither_uploads_nor_the_other(
    make_platform: MakePlatform, count: int
) -> None:
    async with running_receiver(hanging) as stuck, running_receiver() as lively:
        hooks = [hook("chat", stuck.url), hook("archive", lively.url)]
        async with make_platform(uploads={"webhooks": hooks}, settings_changes=OFTEN) as platform:
            alice = platform.user()
            await alice.upload(File(b"the first"))
            await stuck.wait_for(1)
            started = time.monotonic()
            await asyncio.gather(*(alice.upload(File(b"picture %d" % number)) for number in range(count)))
            await lively.wait_for(count + 1)
            assert time.monotonic() - started < 8, "less than the time-out of one request"
            assert len(stuck.received) <= 8, "at most eight requests at a time"
        assert len({item.webhook_id for item in lively.received}) == len(lively.received) == count + 1


async def test_after_410_the_event_is_never_sent_again(
    make_platform: MakePlatform, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_receiver(statuses(410)) as receiver:
        async with make_platform(
            uploads={"webhooks": [hook("chat", receiver.url)]}, settings_changes=OFTEN
        ) as platform:
            media = await platform.user().upload(PICTURE)
            await receiver.wait_for(1)
            await until_delivered(platform)
            assert (await samples(platform))["mediabucket_webhook_deliveries_total", "chat", "gone"] == 1
        assert len(receiver.received) == 1
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert media["media_id"] in told.getMessage()
    assert "answered 410" in told.getMessage()


async def endless(request: web.Request, _: int) -> web.StreamResponse:
    """200, and then a body without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def test_a_success_with_an_endless_body_is_a_success(make_platform: MakePlatform) -> None:
    async with running_receiver(endless) as receiver:
        async with make_platform(
            uploads={"webhooks": [hook("chat", receiver.url)]}, settings_changes=OFTEN
        ) as platform:
            await platform.user().upload(PICTURE)
            await receiver.wait_for(1)
            started = time.monotonic()
            await until_delivered(platform)
            assert time.monotonic() - started < 5, "the body was not waited for"
        assert len(receiver.received) == 1


async def test_a_change_that_is_rolled_back_is_no_event(make_platform: MakePlatform) -> None:
    async with running_receiver() as receiver:
        async with make_platform(
            uploads={"webhooks": [hook("chat", receiver.url)]}, settings_changes=OFTEN
        ) as platform:
            ticket = await platform.user().begin(PICTURE)

            async def change_and_fail() -> None:
                async with platform.database.transaction() as connection:
                    await connection.execute(
                        "UPDATE media_files SET status = 'failed' WHERE media_id = %(id)s", {"id": ticket["media_id"]}
                    )
                    cursor = await connection.execute(
                        "SELECT event FROM webhook_deliveries WHERE media_id = %(id)s", {"id": ticket["media_id"]}
                    )
                    assert await cursor.fetchall() == [{"event": "media.failed"}]
                    raise InterruptedError

            with pytest.raises(InterruptedError):
                await change_and_fail()
            assert (await platform.user().confirm(ticket["media_id"])).status_code == 200
            await receiver.wait_for(1)
            await until_delivered(platform)
        assert receiver.types == ["media.completed"]


async def test_the_age_of_the_oldest_event_is_told(make_platform: MakePlatform) -> None:
    async with running_receiver(statuses(500)) as receiver:
        hooks = {"webhooks": [hook("chat", receiver.url)]}
        async with make_platform(uploads=hooks, settings_changes=OFTEN) as platform:
            await platform.user().upload(PICTURE)
            await until_postponed(platform, 1)
            await platform.database.execute(
                "UPDATE webhook_deliveries SET created_at = now() - interval '1 h' WHERE bucket = %(bucket)s",
                {"bucket": platform.connection.bucket},
            )
        # A replica that starts looks at once.
        async with make_platform(uploads=hooks, settings_changes=OFTEN) as platform:
            deadline = time.monotonic() + 10
            while (await samples(platform)).get(("mediabucket_webhook_oldest_seconds", "chat"), 0) < 3600:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)


async def test_without_a_receiver_nothing_is_lost(make_platform: MakePlatform) -> None:
    receiver = Receiver(port=1)
    async with make_platform(uploads={"webhooks": [hook("chat", receiver.url)]}, settings_changes=OFTEN) as platform:
        await platform.user().upload(PICTURE)
        row = await until_postponed(platform, 1)
        assert row["last_error"].startswith("ClientConnectorError: Cannot connect to host 127.0.0.1:1")
