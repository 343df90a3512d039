"""The upload service as a child that may die at any moment and comes back."""

import http.client
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from mediabucket_cli.embedded.ports import LOOPBACK
from mediabucket_cli.embedded.processes import Child

_START_SECONDS = 60.0
_STOP_SECONDS = 10
_POLL_SECONDS = 0.03
_BACKLOG = 1024
# Nobody else sends it requests: it need not drain. Its log is read by a person.
_IMPATIENT = {
    "MEDIABUCKET_DRAIN_SECONDS": "0",
    "MEDIABUCKET_SHUTDOWN_SECONDS": "5",
    "MEDIABUCKET_LOG_FORMAT": "text",
}
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
# A service that ran this long did not fail at its start.
_HEALTHY_SECONDS = 30.0


class ServiceProcess:
    """Serves on a socket that outlives it: while it restarts, connections wait instead of being refused."""

    def __init__(self, listener: socket.socket, log: Path) -> None:
        self._listener = listener
        self._listener.listen(_BACKLOG)
        self._log = log
        self._environment: Mapping[str, str] = {}
        self._child: Child | None = None
        self._started_at = 0.0
        self._pause = _FIRST_PAUSE_SECONDS
        self._restart_at: float | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    @property
    def process_id(self) -> int:
        return self._running_child.process.pid

    def start(self, environment: Mapping[str, str]) -> None:
        """Serve with these variables; returns once `/readyz` says so. Raises ServerFailed."""
        self._environment = environment
        self._spawn()
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if not self._running_child.running:
                raise self._running_child.failure(self._exit_told())
            if time.monotonic() > deadline:
                raise self._running_child.failure(f"was not ready within {_START_SECONDS:.0f} seconds")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Let it finish its requests, then end it."""
        if self._child is not None:
            self._child.stop(timeout_seconds=_STOP_SECONDS)

    def close(self) -> None:
        """Stop, and give up the socket."""
        self.stop()
        self._listener.close()

    def look_after(self) -> str | None:
        """Bring a dead service back, at growing intervals; what happened, if anything did."""
        if self._running_child.running:
            return None
        now = time.monotonic()
        if self._restart_at is None:
            self._pause = self._next_pause(now)
            self._restart_at = now + self._pause
            return f"{self._running_child.report(self._exit_told())}\nstarting it again in {self._pause:g} s"
        if now < self._restart_at:
            return None
        self._spawn()
        return "the service is started again"

    def _next_pause(self, now: float) -> float:
        if now - self._started_at > _HEALTHY_SECONDS:
            return _FIRST_PAUSE_SECONDS
        return min(self._pause * 2, _LONGEST_PAUSE_SECONDS)

    def _exit_told(self) -> str:
        return f"stopped with exit status {self._running_child.process.returncode}"

    @property
    def _running_child(self) -> Child:
        assert self._child is not None, "the service was never started"
        return self._child

    def _spawn(self) -> None:
        descriptor = self._listener.fileno()
        self._child = Child.start(
            "the upload service",
            [
                *(sys.executable, "-m", "mediabucket_service", "--fd", str(descriptor)),
            ],
            log=self._log,
            environment={**_IMPATIENT, **self._environment},
            directory=Path.cwd(),
            keep_open=[descriptor],
        )
        self._started_at = time.monotonic()
        self._restart_at = None

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self._listener.getsockname()[1], timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
