"""What Prometheus is told. Every application has its own registry: nothing is counted at import.

Labels have few values by construction: a route's template instead of its path, known methods, known outcomes.
"""

import time
from typing import Final

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Callers may invent methods; labels must not follow.
KNOWN_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
NO_ROUTE: Final = "none"
LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class UploadMetrics:
    """What becomes of uploads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._uploads = Counter(
            "mediabucket_uploads", "Uploads by what became of them", ("outcome", "media_type"), registry=registry
        )

    def initiated(self, media_type: str) -> None:
        self._uploads.labels("initiated", media_type).inc()

    def deduplicated(self, media_type: str) -> None:
        self._uploads.labels("deduplicated", media_type).inc()

    def completed(self, media_type: str) -> None:
        self._uploads.labels("completed", media_type).inc()

    def failed(self, media_type: str) -> None:
        self._uploads.labels("failed", media_type).inc()

    def expired(self, media_type: str) -> None:
        self._uploads.labels("expired", media_type).inc()

    def deleted(self, media_type: str) -> None:
        self._uploads.labels("deleted", media_type).inc()


class WebhookMetrics:
    """What becomes of events that webhooks want."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._deliveries = Counter(
            "mediabucket_webhook_deliveries",
            "Attempts to deliver an event by what became of them",
            ("webhook", "outcome"),
            registry=registry,
        )
        self._oldest = Gauge(
            "mediabucket_webhook_oldest_seconds",
            "Age of the oldest event that is not delivered, 0 without one; the same in every replica",
            ("webhook",),
            registry=registry,
        )

    def attempted(self, webhook: str, outcome: str) -> None:
        self._deliveries.labels(webhook, outcome).inc()

    def oldest(self, webhook: str, seconds: float) -> None:
        self._oldest.labels(webhook).set(seconds)


class Metrics:
    """All metrics of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.uploads = UploadMetrics(self._registry)
        self.webhooks = WebhookMetrics(self._registry)
        self._requests = Counter(
            "http_requests", "Requests answered", ("route", "method", "status"), registry=self._registry
        )
        self._request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request",
            ("route", "method"),
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )

    def install(self, app: FastAPI) -> None:
        """Count the application's requests and answer `/metrics`."""
        app.add_middleware(RequestMetrics, metrics=self)

        @app.get("/metrics", tags=["operations"], response_class=Response)
        async def metrics() -> Response:
            """Prometheus' text format."""
            return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def answered(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        method = method if method in KNOWN_METHODS else "OTHER"
        self._requests.labels(route, method, str(status)).inc()
        self._request_seconds.labels(route, method).observe(seconds)


class RequestMetrics:
    """Middleware that counts requests by the template of the route that answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # What a client gets when the application fails before it answers.
        status = 500

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_noting_status)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.answered(route=route, method=scope["method"], status=status, seconds=seconds)
