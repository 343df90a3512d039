"""What becomes of events that webhooks want."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from mediabucket_service.metrics.children import Children


class WebhookMetrics:
    """Attempts to deliver, and how far each webhook is behind. Webhooks are named by the manifest."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._deliveries = Children(
            Counter(
                "mediabucket_webhook_deliveries",
                "Attempts to deliver an event by what became of them",
                ("webhook", "outcome"),
                registry=registry,
            ).labels
        )
        self._oldest = Children(
            Gauge(
                "mediabucket_webhook_oldest_seconds",
                "Age of the oldest event that is not delivered, 0 without one; the same in every replica",
                ("webhook",),
                registry=registry,
                multiprocess_mode="mostrecent",
            ).labels
        )

    def attempted(self, webhook: str, outcome: str) -> None:
        self._deliveries[webhook, outcome].inc()

    def oldest(self, webhook: str, seconds: float) -> None:
        self._oldest[webhook,].set(seconds)
