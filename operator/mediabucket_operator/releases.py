"""MediaBuckets on their way out: each is waited for until it may go, and what people change meanwhile is noticed."""

import asyncio
import contextlib
import logging
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from mediabucket_operator.cluster import Cluster, ClusterError, Manifest, Reference
from mediabucket_operator.deletion import Blocked, asks_nothing_of_the_store
from mediabucket_operator.lanes import LaneExecutor
from mediabucket_operator.operator_core import Later, Operator

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 60.0
# How soon a deletion that is under way notices that somebody has changed the object.
_NOTICE_SECONDS: Final = 2.0
# Each blocked deletion looks for changes less often when there are many: so many looks a second at most.
_LOOKS_A_SECOND: Final = 50
_FAILED: Final = Blocked("Failed", "")


@dataclass(frozen=True)
class Wish:
    """What people can change about a deletion that is under way."""

    said: Any
    leaves_everything: bool

    @classmethod
    def of(cls, manifest: Manifest | None) -> "Wish":
        if manifest is None:
            return cls(None, leaves_everything=True)
        annotations = {
            name: value
            for name, value in (manifest["metadata"].get("annotations") or {}).items()
            if not name.startswith("kopf.")
        }
        return cls((manifest.get("spec"), annotations), asks_nothing_of_the_store(manifest))


class Releases:
    """Call from the event loop only. Threads of its own: a store that does not answer must not hold up anything else,
    and deletions on one store must not hold up those on another.
    """

    def __init__(self, operator: Operator, cluster: Cluster, workers: int) -> None:
        self._operator = operator
        self._cluster = cluster
        self._threads = LaneExecutor(workers, "release")
        self._under_way = 0

    async def until_released(self, reference: Reference) -> None:
        """Until the object may go. Blocked or not: no write is repeated, and a change is noticed within seconds."""
        self._under_way += 1
        try:
            before = await self._wish(reference)
            if before is None or not before.leaves_everything:
                await self._carried_out_or_withdrawn(reference, before)
            self._operator.released(reference)
        finally:
            self._under_way -= 1

    def stop(self) -> None:
        self._threads.stop()

    async def _carried_out_or_withdrawn(self, reference: Reference, before: Wish | None) -> None:
        withdrawn, changed = threading.Event(), asyncio.Event()
        tasks = [
            asyncio.create_task(self._carry_out(reference, withdrawn, changed)),
            asyncio.create_task(self._until_withdrawn(reference, before, changed)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # An attempt that waits for the store is not waited for, and makes no further call.
            withdrawn.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, reference: Reference, withdrawn: threading.Event, changed: asyncio.Event) -> None:
        wait = _FIRST_WAIT_SECONDS
        while (outcome := await self._attempt(reference, withdrawn, changed)) is not None:
            pause = outcome.seconds if isinstance(outcome, Later) else wait
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await changed.wait()

    async def _attempt(
        self, reference: Reference, withdrawn: threading.Event, changed: asyncio.Event
    ) -> Blocked | Later | None:
        changed.clear()
        lane = self._operator.lane(reference)
        try:
            work = partial(self._operator.release, reference, withdrawn.is_set)
            outcome: Blocked | Later | None = await self._threads.submit(lane, work)
        except ClusterError as error:
            logger.warning("%s", error)
            return _FAILED
        except Exception:
            # Whatever it was: an error that leaves a handler of kopf's may let the object go.
            logger.exception("the deletion of %s ended in an error that nobody expected", reference)
            return _FAILED
        if isinstance(outcome, Later):
            logger.info("the bucket of %s is deleted, and looked for again in %.0f s", reference, outcome.seconds)
        elif outcome is not None:
            logger.info("the deletion of %s is blocked: %s", reference, outcome.reason)
        return outcome

    async def _until_withdrawn(self, reference: Reference, known: Wish | None, changed: asyncio.Event) -> None:
        """Reads only. Until people want everything left as it is."""
        while True:
            await asyncio.sleep(max(_NOTICE_SECONDS, self._under_way / _LOOKS_A_SECOND))
            wish = await self._wish(reference)
            if wish is not None and wish.leaves_everything:
                return
            if wish is not None and wish != known:
                known = wish
                changed.set()

    async def _wish(self, reference: Reference) -> Wish | None:
        """None when the API server cannot be asked."""
        try:
            return Wish.of(await asyncio.to_thread(self._cluster.get, reference))
        except ClusterError:
            return None
        except Exception:
            logger.exception("%s could not be read", reference)
            return None
