"""What becomes of uploads: announced, arrived in the store, and then completed, failed or expired."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Histogram

from mediabucket_service.metrics.children import Children

OUTCOMES: Final = ("initiated", "deduplicated", "arrived", "completed", "failed", "expired", "deleted")
# From a thumbnail to a film over a slow line, until the day on which it expires by default.
UPLOAD_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
# Uploads that have arrived and are not settled, which one process remembers.
MOST_REMEMBERED: Final = 10_000


class UploadMetrics:
    """The funnel. `media_type`, of few values: the family that a front end shows a media as, such as image."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._uploads = Children(
            Counter(
                "mediabucket_uploads", "Uploads by what became of them", ("outcome", "media_type"), registry=registry
            ).labels
        )
        self._failures = Children(
            Counter(
                "mediabucket_upload_failures",
                "Confirms that did not complete an upload, by why: checksum, size and type are final",
                ("reason", "media_type"),
                registry=registry,
            ).labels
        )
        self._bytes = Children(
            Counter(
                "mediabucket_upload_completed_bytes", "Bytes of completed uploads", ("media_type",), registry=registry
            ).labels
        )
        self._seconds = Children(
            Histogram(
                "mediabucket_upload_duration_seconds",
                "Time from the first initiate of an upload until it was completed",
                ("media_type",),
                buckets=UPLOAD_BUCKETS,
                registry=registry,
            ).labels
        )
        self._arrived: OrderedDict[UUID, None] = OrderedDict()

    def expect(self, media_types: Iterable[str], reasons: Iterable[str]) -> None:
        """Begin with zeros: `increase()` sees nothing of a counter that begins with one."""
        for media_type in media_types:
            self._bytes[media_type,].inc(0)
            for outcome in OUTCOMES:
                self._uploads[outcome, media_type].inc(0)
            for reason in reasons:
                self._failures[reason, media_type].inc(0)

    def initiated(self, media_type: str) -> None:
        self._uploads["initiated", media_type].inc()

    def deduplicated(self, media_type: str) -> None:
        self._uploads["deduplicated", media_type].inc()

    def arrived(self, media_type: str, media_id: UUID) -> None:
        """The store has the bytes. Counted once, however often a confirm is repeated at this process."""
        if media_id in self._arrived:
            return
        self._arrived[media_id] = None
        if len(self._arrived) > MOST_REMEMBERED:
            self._arrived.popitem(last=False)
        self._uploads["arrived", media_type].inc()

    def completed(self, media_type: str, media_id: UUID, *, size: int, seconds: float | None) -> None:
        """`size` in bytes; `seconds` since it was announced, None when nobody knows."""
        self._arrived.pop(media_id, None)
        self._uploads["completed", media_type].inc()
        self._bytes[media_type,].inc(size)
        if seconds is not None:
            self._seconds[media_type,].observe(seconds)

    def failed(self, media_type: str, media_id: UUID, reason: str) -> None:
        """The bytes are not what was announced."""
        self._arrived.pop(media_id, None)
        self._uploads["failed", media_type].inc()
        self._failures[reason, media_type].inc()

    def not_confirmed(self, media_type: str, reason: str) -> None:
        """A confirm ended, and the upload is pending still."""
        self._failures[reason, media_type].inc()

    def expired(self, media_type: str) -> None:
        self._uploads["expired", media_type].inc()

    def deleted(self, media_type: str) -> None:
        self._uploads["deleted", media_type].inc()
