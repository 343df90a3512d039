"""Every statement about webhooks and their deliveries. Times are the database's.

A delivery is taken by pushing its `next_attempt_at` ahead: a replica that dies while it sends loses nothing, the row
is due again when the lease has passed. No transaction is open while something is sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from mediabucket_service.database import Database
from mediabucket_service.webhooks.models import WebhookDelivery
from mediabucket_service.webhooks.signing import Endpoint

_COLUMNS: Final = (
    "delivery_id, bucket, webhook, event, media_id, payload, created_at, attempts, next_attempt_at, last_error"
)
# Materialized, so that the limit is applied once whatever plan is chosen.
_TAKE_DUE: Final = f"""
WITH due AS MATERIALIZED (
    SELECT delivery_id AS due_id FROM webhook_deliveries
    WHERE bucket = %(bucket)s AND webhook = %(webhook)s AND next_attempt_at <= clock_timestamp()
    ORDER BY next_attempt_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries SET next_attempt_at = clock_timestamp() + %(lease)s
FROM due WHERE delivery_id = due_id RETURNING {_COLUMNS}
"""
MAX_ERROR_CHARACTERS: Final = 500


class WebhookRepository:
    """The webhooks of one bucket."""

    def __init__(self, database: Database, bucket: str) -> None:
        self._database = database
        self._bucket = bucket

    async def register(self, endpoints: Iterable[Endpoint]) -> None:
        """Make the table say what the manifest says. What was not delivered yet to webhooks that are gone goes too.

        One transaction, and one at a time: replicas that start together would otherwise wait for each other's rows
        in different orders.
        """
        wanted = {endpoint.name: list(endpoint.events) for endpoint in endpoints}
        parameters = {"bucket": self._bucket, "names": list(wanted)}
        async with self._database.transaction() as connection:
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || %(bucket)s, 0))", parameters
            )
            for name, events in wanted.items():
                await connection.execute(
                    "INSERT INTO webhooks (bucket, name, events) VALUES (%(bucket)s, %(name)s, %(events)s)"
                    " ON CONFLICT (bucket, name) DO UPDATE SET events = excluded.events"
                    " WHERE webhooks.events IS DISTINCT FROM excluded.events",
                    {"bucket": self._bucket, "name": name, "events": events},
                )
            await connection.execute(
                "DELETE FROM webhooks WHERE bucket = %(bucket)s AND name <> ALL(%(names)s)", parameters
            )
            await connection.execute(
                "DELETE FROM webhook_deliveries WHERE bucket = %(bucket)s AND webhook <> ALL(%(names)s)", parameters
            )

    async def take_due(self, webhook: str, limit: int, lease: timedelta) -> Sequence[WebhookDelivery]:
        """Up to `limit` deliveries whose time has come, nobody else's for the length of the lease."""
        rows = await self._database.fetch_all(
            _TAKE_DUE, {"bucket": self._bucket, "webhook": webhook, "limit": limit, "lease": lease}
        )
        return [WebhookDelivery(**row) for row in rows]

    async def remove(self, delivery: WebhookDelivery) -> None:
        """Forget a delivery: it has arrived, or never will."""
        await self._database.execute(
            "DELETE FROM webhook_deliveries WHERE delivery_id = %(delivery_id)s", {"delivery_id": delivery.delivery_id}
        )

    async def postpone(self, delivery: WebhookDelivery, delay: timedelta, error: str) -> bool:
        """Try a taken delivery again after `delay`; False, and nothing written, when its lease had run out."""
        touched = await self._database.execute(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, last_error = %(error)s,"
            " next_attempt_at = clock_timestamp() + %(delay)s"
            " WHERE delivery_id = %(delivery_id)s AND next_attempt_at = %(leased_until)s",
            {
                "delivery_id": delivery.delivery_id,
                "leased_until": delivery.next_attempt_at,
                "delay": delay,
                "error": error.replace("\0", "")[:MAX_ERROR_CHARACTERS],
            },
        )
        return touched == 1

    async def oldest_ages(self) -> Mapping[str, float]:
        """Seconds since the oldest undelivered event, by the names of the webhooks that have any."""
        rows = await self._database.fetch_all(
            "SELECT webhook, extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS age"
            " FROM webhook_deliveries WHERE bucket = %(bucket)s GROUP BY webhook",
            {"bucket": self._bucket},
        )
        return {row["webhook"]: row["age"] for row in rows}
