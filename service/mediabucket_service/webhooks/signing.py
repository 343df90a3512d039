"""What a webhook is signed with: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import standardwebhooks

from mediabucket_api.connection import webhook_secret_variable
from mediabucket_api.spec import Webhook
from mediabucket_service.webhooks.models import WebhookDelivery

SECRET_PREFIX: Final = "whsec_"
# The specification: between 192 and 512 bits.
SECRET_BYTES: Final = range(24, 65)


class WebhookUnsignable(ValueError):
    """A webhook of the manifest has no secret, or none that is safe; the service must not start."""


@dataclass(frozen=True)
class Endpoint:
    """One webhook of the manifest, and what signs for it."""

    name: str
    url: str
    events: tuple[str, ...]
    signer: standardwebhooks.Webhook


@dataclass(frozen=True)
class SignedRequest:
    """What is POSTed: the body, and headers that sign exactly these bytes."""

    body: bytes
    headers: Mapping[str, str]


def signing_endpoints(webhooks: Iterable[Webhook], environment: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """The webhooks with their secrets. Raises WebhookUnsignable naming the variable that is missing or wrong."""
    return tuple(
        Endpoint(
            name=webhook.name,
            url=webhook.url,
            events=tuple(event.value for event in webhook.events),
            signer=standardwebhooks.Webhook(_signing_key(webhook.name, environment)),
        )
        for webhook in webhooks
    )


def signed_request(endpoint: Endpoint, delivery: WebhookDelivery, now: datetime) -> SignedRequest:
    """The request of one attempt. `now` is in UTC: the library reads any other time zone as if it were UTC.

    The body is the same in every attempt; its `timestamp` is when the event happened, the header's is now.
    """
    body = json.dumps(
        {
            "type": delivery.event,
            "timestamp": delivery.created_at.astimezone(UTC).isoformat(),
            "data": delivery.payload,
        },
        separators=(",", ":"),
    )
    delivery_id = str(delivery.delivery_id)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "MediaBucket",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": endpoint.signer.sign(delivery_id, now, body),
    }
    return SignedRequest(body.encode(), headers)


def _signing_key(name: str, environment: Mapping[str, str]) -> bytes:
    """The library itself would take any text, and skip what is not base64 in it."""
    variable = webhook_secret_variable(name)
    secret = environment.get(variable, "").strip()
    if not secret:
        raise WebhookUnsignable(f"webhook {name} needs its signing secret in {variable}, but that is not set")
    encoded = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise WebhookUnsignable(
            f"the signing secret of webhook {name} in {variable} must be {SECRET_PREFIX} followed by the base64 of"
            f" {SECRET_BYTES[0]} to {SECRET_BYTES[-1]} bytes"
        )
    return key
