"""The application on a loopback port, for what only a real HTTP server shows."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from service_platform import Platform

STOPPED_WITHIN_SECONDS = 10


class _Server(uvicorn.Server):
    """Leaves the signals to pytest."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)


@asynccontextmanager
async def served(platform: Platform) -> AsyncIterator[tuple[str, int]]:
    """Serve a running platform on this event loop; answers host and port."""
    listener = socket.create_server(("127.0.0.1", 0))
    # The platform has started the application already.
    server = _Server(uvicorn.Config(platform.app, lifespan="off", log_level="critical"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait_for(task, STOPPED_WITHIN_SECONDS)
        listener.close()
