"""kopf's connection to the API server, with an ear on its watches: kopf itself does not tell when one falls silent."""

from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import kopf
from aiohttp import ClientResponse, StreamReader

from mediabucket_operator import metrics
from mediabucket_operator.liveness import Pulse

# With its watches, which hold one each. kopf sets no limit: a thousand new objects would be as many TLS connections at
# once, which cost more than what is asked through them.
CONNECTIONS: Final = 20


class _HeardStream:
    """A stream that tells of each piece that is read from it."""

    def __init__(self, stream: StreamReader, pulse: Pulse, path: str) -> None:
        self._stream = stream
        self._pulse = pulse
        self._path = path

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._stream.iter_chunked(size):
            self._pulse.watch_heard(self._path)
            yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def watch_opened(pulse: Pulse, path: str) -> None:
    """The API server has answered the request for a watch."""
    again = pulse.watch_heard(path)
    metrics.WATCH_RESTARTS.labels(path).inc(1 if again else 0)


def heard_session(info: kopf.ConnectionInfo, pulse: Pulse) -> kopf.AiohttpSession:
    """A session as kopf would make it, whose watches make themselves heard. Call within the event loop."""

    class HeardResponse(ClientResponse):
        async def start(self, connection: Any) -> ClientResponse:
            answer = await super().start(connection)
            if "watch" in self.url.query:
                watch_opened(pulse, self.url.path)
                self.content = _HeardStream(self.content, pulse, self.url.path)  # type: ignore[assignment]
            return answer

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        trust_env=info.trust_env,
        response_class=HeardResponse,
    )
    return kopf.AiohttpSession(server=info.server, default_namespace=info.default_namespace, aiohttp_session=session)
