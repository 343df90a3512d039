"""A server that is far away: what it says arrives later, however much of it there is. Counts round trips by time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mediabucket_cli.embedded.ports import LOOPBACK


@asynccontextmanager
async def distant(port: int, seconds: float) -> AsyncIterator[int]:
    """The port that leads to a server on this machine, every answer of which is on its way for so long."""
    serving: set[asyncio.Task[None]] = set()

    async def there(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65_536):
            target.write(chunk)

    async def back(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65_536):
            # Those that follow are on their way at the same time.
            asyncio.get_running_loop().call_later(seconds, target.write, chunk)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_upstream = await asyncio.open_connection(LOOPBACK, port)
        relays = [asyncio.create_task(there(reader, to_upstream)), asyncio.create_task(back(upstream, writer))]
        try:
            await asyncio.wait(relays, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for relay in relays:
                relay.cancel()
            for end in (writer, to_upstream):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(begin, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
