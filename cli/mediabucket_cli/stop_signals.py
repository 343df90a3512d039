"""Ctrl-C and the signals that ask a program to end, as an exception that unwinds it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Raised in the main thread, wherever it is; not an Exception, so that nobody takes it for a failure."""


class StopRequests:
    """Whether a signal came. Who runs a long loop calls `check` in it: Python drops an exception that a signal raises
    inside a finaliser or a callback.
    """

    def __init__(self) -> None:
        self._requested = False

    def check(self) -> None:
        """Raises StopRequested once a signal came."""
        if self._requested:
            raise StopRequested

    def note(self, _: int, __: FrameType | None) -> None:
        """The signal handler: the first signal unwinds the program, further ones change nothing."""
        if not self._requested:
            self._requested = True
            raise StopRequested


@contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Within the block the first signal raises StopRequested."""
    requests = StopRequests()
    previous = {number: signal.signal(number, requests.note) for number in _SIGNALS}
    try:
        yield requests
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def ignore_stop_requests() -> None:
    """From now on, so that nothing interrupts the cleaning up."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
