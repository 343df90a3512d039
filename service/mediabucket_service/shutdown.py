"""How a process ends without losing a request.

On SIGTERM it goes on serving for a while (draining): those who send requests hear of its end no sooner than it does.
Then it stops listening, finishes what it is doing, closes what it has open, and exits with status 0.

The Pod needs no preStop hook for this, and no readiness probe that fails: Kubernetes takes a Pod that is being deleted
out of its Services by itself. /readyz fails for load balancers and persons that look at nothing else.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-flow
"""

import gc
import logging
import signal
import socket
import time
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from typing_extensions import override

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mediabucket_service.settings import Settings

logger = logging.getLogger(__name__)

# Longer than the 60 s for which nginx and the load balancers of AWS keep a connection that they do not use: whoever
# closes first must be the one that also sends the next request.
KEEP_ALIVE_SECONDS = 75


class Drain:
    """Whether this process has been told to end."""

    def __init__(self) -> None:
        self.started = False


class DrainingServer(uvicorn.Server):
    """uvicorn, which on SIGTERM drains first. SIGINT, and a second SIGTERM, skip the draining."""

    def __init__(
        self, app: "FastAPI", settings: "Settings", *, host: str, port: int, descriptor: int | None = None
    ) -> None:
        """`descriptor` is of a socket that listens already; `host` and `port` are ignored then."""
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                fd=descriptor,
                log_config=None,
                access_log=False,
                # Nothing here is built from an address, a scheme or a host that a proxy could tell.
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(settings.shutdown_seconds),
            )
        )
        self._drain: Drain = app.state.drain
        self._drain_seconds = settings.drain_seconds
        self._listen_until: float | None = None

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What was imported and made so far stays for good. Looking through it for garbage stopped every request for
        # 0.12 s about once a second under load. https://docs.python.org/3/library/gc.html#gc.freeze
        gc.collect()
        gc.freeze()

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        again = self._drain.started
        self._drain.started = True
        if sig == signal.SIGTERM and not again and self._drain_seconds > 0:
            self._listen_until = time.monotonic() + self._drain_seconds
        else:
            super().handle_exit(sig, frame)

    @override
    async def on_tick(self, counter: int) -> bool:
        if self._listen_until is not None and time.monotonic() >= self._listen_until:
            self._listen_until = None
            logger.info("drained for %g s; finishing the last requests", self._drain_seconds)
            self.should_exit = True
        return await super().on_tick(counter)

    def run_until_told(self) -> None:
        """Serve until a signal ends it, and return; uvicorn itself would die of that signal in the end."""
        # uvicorn puts these back when it is done, and raises the signal once more.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        self.run()
