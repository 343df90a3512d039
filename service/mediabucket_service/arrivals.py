"""Work over events and media: what the store says has arrived is confirmed as its uploader would.

A notification is only a hint (they come twice, late, in any order, and may be forged by whoever knows the secret): all
that is believed is that it is worth asking for a confirm now, which looks at the bytes itself and is idempotent.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import BaseModel

from mediabucket_s3.errors import S3Error
from mediabucket_service.events.shapes import StoredObject
from mediabucket_service.media.keys import media_id_of, pending_key
from mediabucket_service.media.service import MediaService
from mediabucket_service.problems import UNAVAILABLE, DependencyUnavailable, Problem, problem_for_s3

logger = logging.getLogger(__name__)

# Confirms of one notification that run at the same time.
PARALLEL_CONFIRMS: Final = 8
_OUTAGES: Final[tuple[type[Exception], ...]] = (DependencyUnavailable, *UNAVAILABLE)


class ArrivalsSettled(BaseModel):
    """How many of the objects are media that are completed now, are nothing to do, or met a bug."""

    confirmed: int
    ignored: int
    failed: int


class _Fate(StrEnum):
    CONFIRMED = "confirmed"
    FAILED = "failed"
    IGNORED = "ignored"


class Arrivals:
    """Confirms the uploads of one bucket that the store says have arrived."""

    def __init__(self, media: MediaService, bucket: str) -> None:
        self._media = media
        self._bucket = bucket

    async def settle(self, objects: Iterable[StoredObject]) -> ArrivalsSettled:
        """Confirm every upload among the objects; each of the objects is counted once.

        Refused, missing and unknown uploads are ignored: sending the notification again would change nothing. Raises
        what the store or the database raises when it does not answer: sending it again later does all of it.
        """
        named = [media_id_arrived(found, self._bucket) for found in objects]
        waiting = dict.fromkeys(media_id for media_id in named if media_id is not None)
        fates: Counter[_Fate] = Counter()
        queue = iter(waiting)
        # A worker ends with the first outage that it meets, so that a dead store is asked eight times, not thousands.
        workers = [self._work(queue, fates) for _ in range(min(PARALLEL_CONFIRMS, len(waiting)))]
        # Every confirm is let finish: a cancelled one would keep its lease until it runs out.
        for outcome in await asyncio.gather(*workers, return_exceptions=True):
            if outcome is not None:
                raise outcome
        confirmed, failed = fates[_Fate.CONFIRMED], fates[_Fate.FAILED]
        return ArrivalsSettled(confirmed=confirmed, failed=failed, ignored=len(named) - confirmed - failed)

    async def _work(self, queue: Iterator[UUID], fates: Counter[_Fate]) -> None:
        for media_id in queue:
            fates[await self._confirm(media_id)] += 1

    async def _confirm(self, media_id: UUID) -> _Fate:
        try:
            await self._media.confirm_arrived(media_id)
        except _OUTAGES:
            raise
        except (Problem, S3Error) as error:
            if isinstance(error, S3Error) and isinstance(problem_for_s3(error), DependencyUnavailable):
                raise
            logger.info("ignored the arrival of %s: %s", media_id, error)
            return _Fate.IGNORED
        except Exception:
            # Not a 500: the sender would repeat a notification that meets a bug for ever, and all others behind it.
            logger.exception("could not confirm %s, which the store says has arrived", media_id)
            return _Fate.FAILED
        return _Fate.CONFIRMED


def media_id_arrived(found: StoredObject, bucket: str) -> UUID | None:
    """The media whose upload the object is; None for other buckets, copies, and keys that no URL was signed for."""
    media_id = media_id_of(found.key)
    ours = media_id is not None and found.bucket == bucket and found.key == pending_key(media_id)
    return media_id if ours else None
