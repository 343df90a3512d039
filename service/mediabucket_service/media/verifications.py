"""Verifications: work on leased uploads that may take longer than a request should.

Each runs in a task of this process, its lease renewed beside it, and outlives the request that began it. When the
process stops they are cancelled and give their leases back; when it is killed the leases run out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Self

from mediabucket_service.media.models import MediaFile, MediaStatus
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.problems import ConfirmInProgress

logger = logging.getLogger(__name__)

_TAKEN_AWAY = (MediaStatus.PENDING, MediaStatus.EXPIRED)
RETRY_SECONDS = 2
# A verification that is told to stop needs as long as the database to give its lease back.
_STOP_SECONDS = 5


class Verifications:
    """The verifications of this process. As a context manager: stops them at the end."""

    def __init__(self, repository: MediaRepository, *, lease_seconds: float) -> None:
        self._repository = repository
        self._lease_seconds = lease_seconds
        self._running: set[asyncio.Task[MediaFile]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Python 3.11's asyncio.wait_for, inside the drivers, may swallow a cancellation: ask until it is heard.
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=_STOP_SECONDS)

    async def answer(
        self, file: MediaFile, work: Callable[[], Awaitable[MediaFile]], *, within_seconds: float
    ) -> MediaFile:
        """What `work` on a leased upload comes to. Work that takes longer goes on.

        Raises ConfirmInProgress then, and when the lease was lost or the process stops; and what `work` raises.
        """
        task = asyncio.create_task(self._under_lease(file, work), name=f"verify {file.media_id}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=within_seconds)
        if task.done() and not task.cancelled():
            return task.result()
        task.add_done_callback(_log_failure)
        raise ConfirmInProgress("the bytes are still being verified; ask again", retry_after=RETRY_SECONDS)

    async def _under_lease(self, file: MediaFile, work: Callable[[], Awaitable[MediaFile]]) -> MediaFile:
        keeper = asyncio.create_task(self._keep_lease(file, asyncio.current_task()))
        try:
            return await work()
        finally:
            keeper.cancel()

    async def _keep_lease(self, file: MediaFile, working: asyncio.Task[MediaFile] | None) -> None:
        """Renew the lease until cancelled, or cancel the work that is no longer ours to do."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            try:
                if await self._repository.renew_lease(file, self._lease_seconds):
                    continue
                current = await self._repository.find(file.media_id, file.uploaded_by)
            except Exception as error:
                # Whoever works will meet the same failure when it matters.
                logger.warning("could not renew the lease of %s, will try again: %s", file.media_id, error)
                continue
            # Completed or failed: most likely by this very work, which has its clean-up to do.
            if working is not None and current is not None and current.status in _TAKEN_AWAY:
                logger.info("stopped verifying %s: it is %s in other hands", file.media_id, current.status)
                working.cancel()
            return

    def _ended(self, task: asyncio.Task[MediaFile]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Looked at, or asyncio would report it when the request that began it is gone.
            task.exception()


def _log_failure(task: asyncio.Task[MediaFile]) -> None:
    """No request is there to be told: the next one starts again, or finds the upload settled."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("%s ended after its request was answered: %s", task.get_name(), error)
