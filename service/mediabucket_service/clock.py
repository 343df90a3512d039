"""The clock that is passed in, so that tests need not patch one."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Now, with a time zone."""
    return datetime.now(UTC)
