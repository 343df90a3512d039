"""Delivers events to webhooks, at least once, in every replica.

Every webhook has a loop of its own with a bounded number of requests, so that a dead endpoint delays nothing but
itself. Steps of a delivery: take (a lease), POST, settle. A process that dies between any two of them leaves a row
that is due again when the lease has passed; what was sent already is sent once more with the same `webhook-id`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Final

from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.metrics import WebhookMetrics
from mediabucket_service.webhooks.models import WebhookDelivery
from mediabucket_service.webhooks.repository import WebhookRepository
from mediabucket_service.webhooks.retries import Outcome, outcome_of, retry_delay
from mediabucket_service.webhooks.sender import Sender
from mediabucket_service.webhooks.signing import Endpoint, signed_request

logger = logging.getLogger(__name__)

# Requests to one endpoint at the same time, by one replica.
PARALLEL_REQUESTS: Final = 8
# Deliveries that one replica settles at the same time: requests of users need the pool more.
PARALLEL_STATEMENTS: Final = 2
# Longer than a request may take and its settling may wait for the database.
LEASE: Final = timedelta(seconds=60)
# How often the age of the oldest event is looked at: the query reads every waiting row.
WATCH_SECONDS: Final = 15


class Dispatcher:
    """The deliveries of one bucket."""

    def __init__(
        self,
        repository: WebhookRepository,
        sender: Sender,
        endpoints: Sequence[Endpoint],
        metrics: WebhookMetrics,
        *,
        interval_seconds: float,
        now: Clock = utc_now,
    ) -> None:
        self._repository = repository
        self._sender = sender
        self._endpoints = endpoints
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._now = now
        self._statements = asyncio.Semaphore(PARALLEL_STATEMENTS)
        self._registered = asyncio.Event()

    async def register(self) -> None:
        """Tell the database which events are wanted. Without an answer it is tried again by the loops."""
        if await self._attempt("register the webhooks", self._register):
            self._registered.set()

    def loops(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What must run for as long as the service lives, each on its own, until cancelled."""
        if not self._endpoints:
            return (self._keep_registering(),)
        return (self._keep_registering(), self._watch(), *map(self._deliver, self._endpoints))

    async def deliver_due(self, endpoint: Endpoint) -> int:
        """Send one batch of what is due; answers how many were taken. Raises what the database raises."""
        taken = await self._repository.take_due(endpoint.name, PARALLEL_REQUESTS, LEASE)
        outcomes = await asyncio.gather(
            *(self._deliver_one(endpoint, delivery) for delivery in taken), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return len(taken)

    async def _register(self) -> None:
        await self._repository.register(self._endpoints)

    async def _keep_registering(self) -> None:
        while not self._registered.is_set():
            await self.register()
            await asyncio.sleep(self._interval_seconds)

    async def _deliver(self, endpoint: Endpoint) -> None:
        async def deliver_all() -> None:
            while await self.deliver_due(endpoint) == PARALLEL_REQUESTS:
                pass

        while True:
            await self._attempt(f"deliver to webhook {endpoint.name}", deliver_all)
            await asyncio.sleep(self._interval_seconds)

    async def _deliver_one(self, endpoint: Endpoint, delivery: WebhookDelivery) -> None:
        answer = await self._sender.post(endpoint.url, signed_request(endpoint, delivery, self._now()))
        outcome = outcome_of(answer, delivery.attempts)
        async with self._statements:
            await self._settle(delivery, outcome, answer if isinstance(answer, str) else f"answered {answer}")
        self._metrics.attempted(endpoint.name, outcome)

    async def _settle(self, delivery: WebhookDelivery, outcome: Outcome, answer: str) -> None:
        told = (delivery.event, delivery.media_id, delivery.webhook, delivery.delivery_id, answer)
        match outcome:
            case Outcome.RETRIED:
                logger.info("could not tell %s of %s to webhook %s (%s), will try again: %s", *told)
                await self._repository.postpone(delivery, retry_delay(delivery.attempts), answer)
            case Outcome.GONE | Outcome.DROPPED:
                logger.error("never told %s of %s to webhook %s (%s): %s", *told)
                await self._repository.remove(delivery)
            case Outcome.DELIVERED:
                await self._repository.remove(delivery)

    async def _watch(self) -> None:
        async def look() -> None:
            ages = await self._repository.oldest_ages()
            for endpoint in self._endpoints:
                self._metrics.oldest(endpoint.name, ages.get(endpoint.name, 0))

        while True:
            await self._attempt("look for the oldest event", look)
            await asyncio.sleep(max(WATCH_SECONDS, self._interval_seconds))

    async def _attempt(self, what: str, step: Callable[[], Awaitable[object]]) -> bool:
        try:
            await step()
        except Exception as error:
            # The loop must outlive every outage: nothing else would ever deliver.
            logger.warning("could not %s, will try again: %s", what, error)
            return False
        return True
