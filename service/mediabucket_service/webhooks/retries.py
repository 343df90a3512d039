"""What an attempt means for a delivery, and when the next one is: pure functions."""

import random
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Final

# After the first attempt, which is at once; about three days in all:
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability
RETRY_DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# Later by up to this part, never earlier, so that what failed together does not come back together.
JITTER: Final = 0.1


class Outcome(StrEnum):
    """What became of an attempt. DROPPED: it was the last."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    GONE = "gone"
    DROPPED = "dropped"


def outcome_of(answer: int | str, failures: int, delays: Sequence[timedelta] = RETRY_DELAYS) -> Outcome:
    """`answer`: a status, or why there was none. `failures`: attempts that failed before this one."""
    if isinstance(answer, int) and HTTPStatus.OK <= answer < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome.DELIVERED
    if answer == HTTPStatus.GONE:
        return Outcome.GONE
    return Outcome.RETRIED if failures < len(delays) else Outcome.DROPPED


def retry_delay(failures: int, delays: Sequence[timedelta] = RETRY_DELAYS) -> timedelta:
    """How long to wait after an attempt that failed; `failures`: attempts that failed before it."""
    return delays[failures] * random.uniform(1, 1 + JITTER)
