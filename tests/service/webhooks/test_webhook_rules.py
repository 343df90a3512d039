"""Secrets that are refused at start, outcomes, and when the next attempt is."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import standardwebhooks
from aiohttp import web
from service_platform import spec_with
from webhook_receiver import SECRET, hanging, hook, running_receiver

from mediabucket_api.connection import BucketConnection, webhook_secret_variable
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_service.app import create_app
from mediabucket_service.settings import Settings
from mediabucket_service.webhooks.dispatcher import LEASE
from mediabucket_service.webhooks.models import WebhookDelivery
from mediabucket_service.webhooks.retries import RETRY_DELAYS, Outcome, outcome_of, retry_delay
from mediabucket_service.webhooks.sender import TIMEOUT_SECONDS, Sender
from mediabucket_service.webhooks.signing import Endpoint, SignedRequest, WebhookUnsignable, signed_request
from mediabucket_service.webhooks.signing import signing_endpoints as signing

VARIABLE = "MEDIABUCKET_WEBHOOK_SECRET_AUDIT_LOG"
HOOKS = spec_with(uploads={"webhooks": [hook("audit-log", "https://audit.example/hooks")]}).uploads.webhooks
KEY = bytes(range(32))


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


@pytest.mark.parametrize("secret", [None, "", "  "])
def test_a_missing_secret_is_named(secret: str | None) -> None:
    with pytest.raises(WebhookUnsignable) as refused:
        signing(HOOKS, {} if secret is None else {VARIABLE: secret})
    assert str(refused.value) == f"webhook audit-log needs its signing secret in {VARIABLE}, but that is not set"


@pytest.mark.parametrize(
    "secret",
    [
        base64.b64encode(KEY).decode(),
        "whsec_",
        "whsec_not base64 at all, and long enough",
        whsec(KEY)[:-2] + "!=",
        whsec(KEY[:23]),
        whsec(bytes(65)),
        "WHSEC_" + base64.b64encode(KEY).decode(),
        "whsec_schlüssel" + "A" * 40,
    ],
)
def test_a_secret_of_another_form_is_refused_and_never_quoted(secret: str) -> None:
    with pytest.raises(WebhookUnsignable) as refused:
        signing(HOOKS, {VARIABLE: secret})
    told = str(refused.value)
    assert told == (
        f"the signing secret of webhook audit-log in {VARIABLE} must be whsec_ followed by the base64 of 24 to 64 bytes"
    )


@pytest.mark.parametrize("secret", [whsec(KEY), whsec(KEY).rstrip("="), f"{whsec(KEY)}\n", whsec(KEY[:24])])
def test_a_good_secret_signs_as_the_library_does(secret: str) -> None:
    [endpoint] = signing(HOOKS, {VARIABLE: secret})
    now = datetime.now(UTC)
    request = signed_request(endpoint, delivery(), now)
    event = standardwebhooks.Webhook(secret.strip()).verify(request.body, dict(request.headers))
    assert event["type"] == "media.completed"
    assert event["timestamp"] == "2026-05-01T10:00:00.250000+00:00"
    assert request.headers["webhook-id"] == str(UUID(int=7))
    assert request.headers["webhook-timestamp"] == str(int(now.timestamp()))


def delivery() -> WebhookDelivery:
    happened = datetime.fromisoformat("2026-05-01T12:00:00.250+02:00")
    return WebhookDelivery(
        delivery_id=UUID(int=7),
        bucket="media",
        webhook="audit-log",
        event="media.completed",
        media_id=UUID(int=1),
        payload={"file_name": "bücher.png"},
        created_at=happened,
        next_attempt_at=happened,
    )


def test_the_application_does_not_start_without_a_secret(
    settings: Settings, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_with(uploads={"webhooks": [hook("chat", "https://chat.example/hooks")]})
    connection = BucketConnection(store=seaweedfs.connection, bucket="media", spec=spec)
    create_app(settings, connection)
    monkeypatch.delenv(webhook_secret_variable("chat"))
    with pytest.raises(ValueError, match="MEDIABUCKET_WEBHOOK_SECRET_CHAT"):
        create_app(settings, connection)


@pytest.mark.parametrize(
    ("answer", "failures", "outcome"),
    [
        *((status, 0, Outcome.DELIVERED) for status in (200, 201, 202, 204, 299)),
        *((status, 0, Outcome.RETRIED) for status in (199, 300, 301, 304, 400, 401, 404, 409, 429, 500, 503, 599)),
        ("no answer within 10 seconds", 8, Outcome.RETRIED),
        ("no answer within 10 seconds", 9, Outcome.DROPPED),
        (500, 9, Outcome.DROPPED),
        (204, 9, Outcome.DELIVERED),
        (410, 0, Outcome.GONE),
        (410, 9, Outcome.GONE),
    ],
)
def test_what_an_answer_means(answer: int | str, failures: int, outcome: Outcome) -> None:
    assert outcome_of(answer, failures) == outcome


def test_the_next_attempt_is_never_early_and_at_most_a_tenth_late() -> None:
    hours = [delay.total_seconds() / 3600 for delay in RETRY_DELAYS]
    assert hours == [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    for failures, delay in enumerate(RETRY_DELAYS):
        drawn = {retry_delay(failures) for _ in range(100)}
        assert delay <= min(drawn)
        assert max(drawn) <= delay * 1.1
        assert len(drawn) > 50, "what failed together does not come back together"


@pytest.mark.parametrize(
    "url", ["http://[/hooks?token=geheim", "http://example.com:99999999/?token=geheim", "http://a..b/?token=geheim"]
)
async def test_a_url_that_cannot_be_used_is_a_failure_that_quotes_no_query(url: str) -> None:
    async with Sender() as sender:
        answer = await sender.post(url, SignedRequest(b"{}", {}))
    assert isinstance(answer, str)
    assert "geheim" not in answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    async with running_receiver() as elsewhere:

        async def redirect(_: web.Request, __: int) -> web.StreamResponse:
            return web.Response(status=status, headers={"Location": elsewhere.url})

        async with running_receiver(redirect) as receiver, Sender() as sender:
            endpoint = Endpoint("chat", receiver.url, (), standardwebhooks.Webhook(SECRET))
            assert await sender.post(receiver.url, signed_request(endpoint, delivery(), datetime.now(UTC))) == status
            assert len(receiver.received) == 1
        assert elsewhere.received == []


async def test_no_answer_in_time_is_a_failure() -> None:
    async with running_receiver(hanging) as receiver, Sender(timeout_seconds=1.5) as sender:
        endpoint = Endpoint("chat", receiver.url, (), standardwebhooks.Webhook(SECRET))
        answer = await sender.post(receiver.url, signed_request(endpoint, delivery(), datetime.now(UTC)))
        assert answer == "no answer within 1.5 seconds"
        assert len(receiver.received) == 1


def test_the_lease_outlives_an_attempt() -> None:
    # A request, and the wait for the database before and after it.
    assert timedelta(seconds=3 * TIMEOUT_SECONDS) < LEASE
