"""What Prometheus is told.

Labels have few values by construction: a route's template instead of its path, known methods, known outcomes.
"""

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from mediabucket_service.metrics.clean_up import BacklogMetrics, CleanUpMetrics
from mediabucket_service.metrics.exposition import Exposition
from mediabucket_service.metrics.pool import PoolMetrics
from mediabucket_service.metrics.requests import KNOWN_METHODS, NO_ROUTE, RequestMetrics
from mediabucket_service.metrics.store import StoreMetrics
from mediabucket_service.metrics.uploads import UploadMetrics
from mediabucket_service.metrics.webhooks import WebhookMetrics

__all__ = [
    "KNOWN_METHODS",
    "NO_ROUTE",
    "BacklogMetrics",
    "CleanUpMetrics",
    "Metrics",
    "PoolMetrics",
    "RequestMetrics",
    "StoreMetrics",
    "UploadMetrics",
    "WebhookMetrics",
]


class Metrics:
    """All metrics of one application."""

    def __init__(self) -> None:
        self._exposition = Exposition()
        registry = self._exposition.registry
        self.requests = RequestMetrics(registry)
        self.uploads = UploadMetrics(registry)
        self.webhooks = WebhookMetrics(registry)
        self.store = StoreMetrics(registry)
        self.clean_up = CleanUpMetrics(registry)
        self.backlog = BacklogMetrics(registry)
        self.pool = PoolMetrics(registry)

    def install(self, app: FastAPI) -> None:
        """Answer `/metrics`."""

        @app.get("/metrics", tags=["operations"], response_class=Response)
        async def metrics() -> Response:
            """Prometheus' text format."""
            self.pool.refresh()
            return Response(self._exposition.text(), media_type=CONTENT_TYPE_LATEST)
