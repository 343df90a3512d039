"""A process that has really stalled says so itself, in time."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import stalling_operator
from stalling_operator import BLOCKED_LOOP, HANGING_VISIT, SHORT_SECONDS, WELL

from mediabucket_cli.embedded.ports import free_ports

# The loop is blocked after two seconds; the rest is for a busy machine.
NOTICED_WITHIN_SECONDS = SHORT_SECONDS + 6


@contextmanager
def stalling(how: str) -> Iterator[int]:
    """The port of /healthz, which has answered that all is well."""
    port = free_ports(["health"])["health"]
    process = subprocess.Popen([sys.executable, str(Path(stalling_operator.__file__)), str(port), how])
    try:
        deadline = time.monotonic() + 60
        while health(port)[0] != 200:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()


def health(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (BLOCKED_LOOP, "the event loop has stalled for "),
        (HANGING_VISIT, "the visit to ObjectStore store has made no progress for "),
    ],
)
def test_a_process_that_stalls_is_unhealthy_in_time(how: str, told: str) -> None:
    with stalling(how) as port:
        deadline = time.monotonic() + NOTICED_WITHIN_SECONDS
        while health(port)[0] == 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        status, text = health(port)
        assert status == 503
        assert text.startswith(told)
        assert len(text.splitlines()) == 1


def test_a_process_that_does_not_stall_stays_healthy() -> None:
    with stalling(WELL) as port:
        deadline = time.monotonic() + 2 * SHORT_SECONDS
        while time.monotonic() < deadline:
            assert health(port) == (200, "ok\n")
            time.sleep(0.2)
