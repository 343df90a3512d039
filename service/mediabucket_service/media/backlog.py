"""Keeps telling how much is pending, in every replica: a clean-up that hangs is then seen by what it leaves."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from mediabucket_service.media.backlog_repository import BacklogRepository
from mediabucket_service.metrics import BacklogMetrics

logger = logging.getLogger(__name__)

# As often as Prometheus usually asks.
WATCH_SECONDS: Final = 15.0


class BacklogWatch:
    """Looks at the pending uploads of one bucket for as long as the service lives."""

    def __init__(
        self,
        repository: BacklogRepository,
        metrics: BacklogMetrics,
        *,
        interval_seconds: float = WATCH_SECONDS,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """`also`: what is to be looked at as often."""
        self._repository = repository
        self._metrics = metrics
        self._interval_seconds = min(interval_seconds, WATCH_SECONDS)
        self._also = also

    async def run(self) -> None:
        """Look until cancelled. What cannot be looked at is logged, and stays as it was told."""
        while True:
            self._also()
            try:
                await self.look()
            except Exception as error:
                # The loop must outlive every outage.
                logger.warning("could not look at the pending uploads, will try again: %s", error)
            await asyncio.sleep(self._interval_seconds)

    async def look(self) -> None:
        """Raises what the database raises."""
        found = await self._repository.look()
        self._metrics.looked(
            uploads=found.uploads, size=found.bytes, oldest_seconds=found.oldest_seconds, overdue=found.overdue
        )
