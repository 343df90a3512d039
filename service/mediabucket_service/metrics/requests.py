"""Requests by the template of the route that answered."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

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
