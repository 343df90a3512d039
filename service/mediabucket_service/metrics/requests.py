"""Requests by the template of the route that answered."""

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediabucket_service.metrics.children import LATENCY_BUCKETS

# Callers may invent methods; labels must not follow.
KNOWN_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
NO_ROUTE: Final = "none"


class RequestMetrics:
    """How many requests were answered, with what, and how fast."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter("http_requests", "Requests answered", ("route", "method", "status"), registry=registry)
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request",
            ("route", "method"),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request. `route`: a template, never a path."""
        key = (route, method if method in KNOWN_METHODS else "OTHER", status)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = self._made(*key)
        found[0].inc()
        found[1].observe(seconds)

    def _made(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(route, method, str(status)), self._seconds.labels(route, method)


class CountedRequests:
    """Middleware that counts requests."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
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
