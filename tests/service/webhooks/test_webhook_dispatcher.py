"""Replicas and crashes: dispatchers of several processes over one table, a batch at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from service_platform import MakePlatform, Platform, spec_with
from upload_client import File
from webhook_receiver import SECRET, Receiver, hanging, hook, running_receiver, statuses

from mediabucket_api.connection import webhook_secret_variable
from mediabucket_service.metrics import WebhookMetrics
from mediabucket_service.webhooks import dispatcher as dispatcher_module
from mediabucket_service.webhooks.dispatcher import PARALLEL_REQUESTS, Dispatcher
from mediabucket_service.webhooks.models import WebhookDelivery
from mediabucket_service.webhooks.repository import WebhookRepository
from mediabucket_service.webhooks.retries import RETRY_DELAYS
from mediabucket_service.webhooks.sender import Sender
from mediabucket_service.webhooks.signing import Endpoint, signing_endpoints

# The application itself looks once, at its start, when there is nothing to deliver yet.
NEVER = {"webhook_interval_seconds": 3600}
SECRETS = {webhook_secret_variable(name): SECRET for name in ("chat", "archive")}


class DyingRepository(WebhookRepository):
    """Stands for a process that is killed after the POST: what it would have written never is."""

    async def remove(self, _: WebhookDelivery) -> None:
        raise psycopg.OperationalError("the process is gone")


def endpoints_of(*hooks: dict[str, Any]) -> Sequence[Endpoint]:
    return signing_endpoints(spec_with(uploads={"webhooks": list(hooks)}).uploads.webhooks, SECRETS)


@asynccontextmanager
async def replica(
    platform: Platform,
    *hooks: dict[str, Any],
    repository: type[WebhookRepository] = WebhookRepository,
    interval_seconds: float = 0.05,
) -> AsyncIterator[tuple[Dispatcher, Sequence[Endpoint]]]:
    """A dispatcher as another process would have it."""
    endpoints = endpoints_of(*hooks)
    async with Sender() as sender:
        yield (
            Dispatcher(
                repository(platform.database, platform.connection.bucket),
                sender,
                endpoints,
                WebhookMetrics(CollectorRegistry()),
                interval_seconds=interval_seconds,
            ),
            endpoints,
        )


async def rows(platform: Platform, table: str = "webhook_deliveries") -> list[dict[str, Any]]:
    return await platform.database.fetch_all(
        f"SELECT * FROM {table} WHERE bucket = %(bucket)s", {"bucket": platform.connection.bucket}
    )


async def let_time_pass(platform: Platform) -> None:
    await platform.database.execute(
        "UPDATE webhook_deliveries SET next_attempt_at = now() WHERE bucket = %(bucket)s",
        {"bucket": platform.connection.bucket},
    )


async def uploads(platform: Platform, count: int) -> None:
    alice = platform.user()
    await asyncio.gather(*(alice.upload(File(b"picture %d" % number)) for number in range(count)))


async def test_two_replicas_send_every_event_once(make_platform: MakePlatform) -> None:
    count = 3 * PARALLEL_REQUESTS
    async with running_receiver() as receiver:
        hooks = [hook("chat", receiver.url)]
        async with (
            make_platform(uploads={"webhooks": hooks}, settings_changes=NEVER) as platform,
            replica(platform, *hooks) as (first, [endpoint]),
            replica(platform, *hooks) as (second, _),
        ):
            await uploads(platform, count)
            assert len(await rows(platform)) == count
            taken: Counter[Dispatcher] = Counter()
            while await rows(platform):
                batches = await asyncio.gather(first.deliver_due(endpoint), second.deliver_due(endpoint))
                taken.update(dict(zip((first, second), batches, strict=True)))
        assert len(receiver.received) == count
        assert len({item.webhook_id for item in receiver.received}) == count
        assert min(taken[first], taken[second]) > 0, "both had something to do"


class CountingRepository(WebhookRepository):
    taken: ClassVar[list[int]] = []

    async def take_due(self, webhook: str, limit: int, lease: timedelta) -> Sequence[WebhookDelivery]:
        found = await super().take_due(webhook, limit, lease)
        self.taken.append(len(found))
        return found


async def test_after_a_full_batch_the_next_follows_at_once_and_none_after_the_last(
    make_platform: MakePlatform,
) -> None:
    async with running_receiver() as receiver:
        hooks = [hook("chat", receiver.url)]
        async with (
            make_platform(uploads={"webhooks": hooks}, settings_changes=NEVER) as platform,
            replica(platform, *hooks, repository=CountingRepository, interval_seconds=3600) as (dispatcher, _),
        ):
            await uploads(platform, 2 * PARALLEL_REQUESTS + 3)
            CountingRepository.taken.clear()
            loops = [asyncio.create_task(loop) for loop in dispatcher.loops()]
            async with asyncio.timeout(20):
                while await rows(platform):
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
        assert CountingRepository.taken == [PARALLEL_REQUESTS, PARALLEL_REQUESTS, 3]


async def test_a_replica_killed_after_the_post_sends_the_same_id_again(make_platform: MakePlatform) -> None:
    async with running_receiver() as receiver:
        hooks = [hook("chat", receiver.url)]
        async with make_platform(uploads={"webhooks": hooks}, settings_changes=NEVER) as platform:
            await uploads(platform, 1)
            async with replica(platform, *hooks, repository=DyingRepository) as (dying, [endpoint]):
                with pytest.raises(psycopg.OperationalError):
                    await dying.deliver_due(endpoint)
            [row] = await rows(platform)
            async with replica(platform, *hooks) as (other, _):
                assert await other.deliver_due(endpoint) == 0, "the lease of the dead one has not passed"
                await let_time_pass(platform)
                assert await other.deliver_due(endpoint) == 1
            assert await rows(platform) == []
        assert [item.webhook_id for item in receiver.received] == [str(row["delivery_id"])] * 2
        assert len({item.body for item in receiver.received}) == 1


async def test_a_replica_stopped_while_it_waits_for_an_answer_loses_nothing(make_platform: MakePlatform) -> None:
    async with running_receiver(hanging) as receiver:
        hooks = [hook("chat", receiver.url)]
        async with make_platform(uploads={"webhooks": hooks}, settings_changes=NEVER) as platform:
            await uploads(platform, 1)
            async with replica(platform, *hooks) as (stopped, [endpoint]):
                waiting = asyncio.create_task(stopped.deliver_due(endpoint))
                await receiver.wait_for(1)
                waiting.cancel()
                await asyncio.wait({waiting}, timeout=10)
                assert waiting.cancelled()
            [row] = await rows(platform)
            assert row["attempts"] == 0, "an attempt that was cut short costs none of those that there are"


async def test_the_loop_of_a_webhook_outlives_a_database_that_fails(make_platform: MakePlatform) -> None:
    async with running_receiver() as receiver:
        hooks = [hook("chat", receiver.url)]
        async with (
            make_platform(uploads={"webhooks": hooks}, settings_changes=NEVER) as platform,
            replica(platform, *hooks, repository=DyingRepository) as (dispatcher, _),
        ):
            loops = [asyncio.create_task(loop) for loop in dispatcher.loops()]
            for count in (1, 2, 3):
                await platform.user().upload(File(b"picture %d" % count))
                await receiver.wait_for(count)
            assert sum(not loop.done() for loop in loops) == 2, "all but the one that registers"
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
            assert len(await rows(platform)) == 3


async def test_the_last_failure_drops_the_event_and_says_so(
    make_platform: MakePlatform, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_receiver(statuses(503)) as receiver:
        hooks = [hook("chat", receiver.url)]
        async with (
            make_platform(uploads={"webhooks": hooks}, settings_changes=NEVER) as platform,
            replica(platform, *hooks) as (dispatcher, [endpoint]),
        ):
            await uploads(platform, 1)
            for failures in range(len(RETRY_DELAYS)):
                assert await dispatcher.deliver_due(endpoint) == 1
                [row] = await rows(platform)
                assert row["attempts"] == failures + 1
                assert await dispatcher.deliver_due(endpoint) == 0, "not before its time"
                await let_time_pass(platform)
            assert not [record for record in caplog.records if record.levelname == "ERROR"]
            assert await dispatcher.deliver_due(endpoint) == 1
            assert await rows(platform) == []
        assert len(receiver.received) == 1 + len(RETRY_DELAYS)
        assert len({item.webhook_id for item in receiver.received}) == 1
    [told] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert told.startswith("never told media.completed of ")
    assert told.endswith("answered 503")


async def test_an_answer_after_the_lease_does_not_undo_what_another_did(
    make_platform: MakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stands still between its failure and its settling, while another fails too and postpones."""
    async with running_receiver(statuses(500)) as receiver:
        hooks = [hook("chat", receiver.url)]
        async with make_platform(uploads={"webhooks": hooks}, settings_changes=NEVER) as platform:
            await uploads(platform, 1)
            repository = WebhookRepository(platform.database, platform.connection.bucket)
            monkeypatch.setattr(dispatcher_module, "LEASE", timedelta(0))
            [slow] = await repository.take_due("chat", 1, timedelta(0))
            async with replica(platform, *hooks) as (other, [endpoint]):
                await other.deliver_due(endpoint)
            [row] = await rows(platform)
            assert not await repository.postpone(slow, timedelta(0), "too late")
            assert await rows(platform) == [row]
            assert row["attempts"] == 1


async def test_a_manifest_without_a_webhook_removes_it(make_platform: MakePlatform) -> None:
    async with running_receiver() as receiver:
        both = [hook("chat", receiver.url), hook("archive", receiver.url, "media.deleted", "media.completed")]
        async with make_platform(uploads={"webhooks": both}, settings_changes=NEVER) as platform:
            await uploads(platform, 1)
            assert {(row["name"], len(row["events"])) for row in await rows(platform, "webhooks")} == {
                ("chat", 4),
                ("archive", 2),
            }
            assert len(await rows(platform)) == 2
        async with make_platform(
            uploads={"webhooks": [hook("archive", receiver.url, "media.failed")]}, settings_changes=NEVER
        ) as platform:
            [left] = await rows(platform, "webhooks")
            assert (left["name"], left["events"]) == ("archive", ["media.failed"])
            assert {row["webhook"] for row in await rows(platform)} <= {"archive"}
        async with make_platform(settings_changes={"webhook_interval_seconds": 0.05}) as platform:
            async with asyncio.timeout(20):
                while await rows(platform, "webhooks"):
                    await asyncio.sleep(0.02)
            assert await rows(platform) == []


async def test_replicas_that_start_together_with_other_manifests_do_not_lock_each_other_out(
    make_platform: MakePlatform,
) -> None:
    receiver = Receiver(port=1)
    old = endpoints_of(hook("chat", receiver.url), hook("archive", receiver.url))
    new = endpoints_of(hook("archive", receiver.url))
    async with make_platform() as platform:
        repository = WebhookRepository(platform.database, platform.connection.bucket)
        for _ in range(10):
            await asyncio.gather(*(repository.register(endpoints) for endpoints in (old, new, old, new, new[::-1])))
        await asyncio.gather(*(repository.register(new) for _ in range(5)))
        assert [row["name"] for row in await rows(platform, "webhooks")] == ["archive"]


async def test_other_buckets_keep_their_webhooks(make_platform: MakePlatform) -> None:
    async with make_platform(uploads={"webhooks": [hook("chat", "http://127.0.0.1:1/")]}) as platform:
        await WebhookRepository(platform.database, "another").register(())
        assert len(await rows(platform, "webhooks")) == 1


async def test_it_starts_without_its_database_and_registers_later(make_platform: MakePlatform) -> None:
    class Awakening(WebhookRepository):
        """A database that does not answer the first two times."""

        asked = 0

        async def register(self, endpoints: Any) -> None:
            self.asked += 1
            if self.asked < 3:
                raise psycopg.OperationalError("no answer")
            await super().register(endpoints)

    hooks = [hook("chat", "http://127.0.0.1:1/")]
    async with make_platform() as platform, replica(platform, *hooks, repository=Awakening) as (dispatcher, _):
        await dispatcher.register()
        assert await rows(platform, "webhooks") == []
        loops = [asyncio.create_task(loop) for loop in dispatcher.loops()]
        async with asyncio.timeout(20):
            while not await rows(platform, "webhooks"):
                await asyncio.sleep(0.01)
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)
