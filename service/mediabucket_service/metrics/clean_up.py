"""What waits for the clean-up, and how the clean-up fares."""

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from mediabucket_service.metrics.children import Children

SUCCESS: Final = "success"
FAILURE: Final = "failure"
# Bytes of media that are gone, copies that no media names, and what was under pending/ without an upload.
MEDIA: Final = "media"
COPY: Final = "copy"
ORPHAN: Final = "orphan"
MULTIPART_UPLOAD: Final = "multipart_upload"


class CleanUpMetrics:
    """Passes of the reaper."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._passes = Children(
            Counter(
                "mediabucket_reaper_passes", "Passes of the clean-up by result", ("result",), registry=registry
            ).labels
        )
        self._last_success = Gauge(
            "mediabucket_reaper_last_success_timestamp_seconds",
            "When a pass of the clean-up last succeeded in all its steps, 0 before the first",
            registry=registry,
            multiprocess_mode="max",
        )
        self._removed = Children(
            Counter("mediabucket_reaper_removed", "What the clean-up has removed", ("kind",), registry=registry).labels
        )
        self._orphans = Gauge(
            "mediabucket_orphan_bytes",
            "Bytes under pending/ that no upload expected, as the last sweep found them before it removed them",
            registry=registry,
            multiprocess_mode="livemax",
        )
        for result in (SUCCESS, FAILURE):
            self._passes[result,].inc(0)
        for kind in (MEDIA, COPY, ORPHAN, MULTIPART_UPLOAD):
            self._removed[kind,].inc(0)

    def passed(self, *, succeeded: bool) -> None:
        self._passes[SUCCESS if succeeded else FAILURE,].inc()
        if succeeded:
            self._last_success.set(time.time())

    def removed(self, kind: str) -> None:
        self._removed[kind,].inc()

    def orphans(self, found_bytes: int) -> None:
        self._orphans.set(found_bytes)


class BacklogMetrics:
    """Uploads that are pending; the same in every replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str) -> Gauge:
            told = f"{meaning}; the same in every replica"
            return Gauge(name, told, registry=registry, multiprocess_mode="mostrecent")

        self._uploads = gauge("mediabucket_pending_uploads", "Uploads that are announced and not settled")
        self._bytes = gauge("mediabucket_pending_bytes", "Announced bytes of uploads that are not settled")
        self._oldest = gauge("mediabucket_pending_oldest_seconds", "Age of the oldest pending upload, 0 without one")
        self._overdue = gauge("mediabucket_reaper_backlog", "Pending uploads past their time, which are to expire")

    def looked(self, *, uploads: int, size: int, oldest_seconds: float, overdue: int) -> None:
        """`size`: all announced bytes."""
        self._uploads.set(uploads)
        self._bytes.set(size)
        self._oldest.set(oldest_seconds)
        self._overdue.set(overdue)
