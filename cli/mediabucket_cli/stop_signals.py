"""Ctrl-C and the signals that ask a program to end, as an exception that unwinds it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Raised in the main thread, wherever it is; not an Exception, so that nobody takes it for a failure."""


@contextmanager
def stop_requests() -> Iterator[None]:
    """Within the block the first signal raises StopRequested, and further ones are ignored."""

    def request_stop(_: int, __: FrameType | None) -> None:
        ignore_stop_requests()
        raise StopRequested

    previous = {number: signal.signal(number, request_stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def ignore_stop_requests() -> None:
    """From now on, so that nothing interrupts the cleaning up."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
