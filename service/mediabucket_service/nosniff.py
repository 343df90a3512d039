"""Every answer of this service says that its Content-Type is meant.

https://fetch.spec.whatwg.org/#x-content-type-options-header

An answer to an unhandled error is made outside of all middleware: `problems.problem_response` says it there.
"""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOSNIFF: Final = {"X-Content-Type-Options": "nosniff"}


class NoSniff:
    """ASGI middleware: NOSNIFF on whatever is answered, redirects and refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(NOSNIFF)
            await send(message)

        await self._app(scope, receive, marked_send if scope["type"] == "http" else send)
