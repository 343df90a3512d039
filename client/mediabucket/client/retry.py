"""What is tried again, when, and for how long: pure functions of what was answered."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

_WORTH_A_RETRY_BELOW_500: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True)
class Retry:
    """How stubborn a client is, for each request. Waits are chosen with full jitter: anywhere between zero and a bound
    that doubles each time, so that clients that failed together do not come back together.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    `attempts`: how often a request is sent at most. `first_seconds`, `longest_seconds`: the bound of the first wait and
    of any. `patience_seconds`: all waits together; a longer `Retry-After` is not waited for. `random`: uniform in
    [0, 1).
    """

    attempts: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 20.0
    patience_seconds: float = 120.0
    random: Callable[[], float] = random.random

    def wait(self, failures: int, waited: float, retry_after: float | None) -> float | None:
        """Seconds until the next attempt after so many failures and so many seconds of waiting; None: give up."""
        if failures >= self.attempts:
            return None
        jitter = self.random() * min(self.longest_seconds, self.first_seconds * 2 ** (failures - 1))
        seconds = jitter + (retry_after or 0.0)
        return None if waited + seconds > self.patience_seconds else seconds


def is_worth_a_retry(status: int) -> bool:
    """Whether the same request may be answered better later."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _WORTH_A_RETRY_BELOW_500


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """What `Retry-After` asks for, as seconds or as a date (RFC 9110 section 10.2.3); None without a readable one."""
    told = headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit():
        return float(told)
    try:
        moment = parsedate_to_datetime(told)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
