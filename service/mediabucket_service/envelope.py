"""What surrounds every answer: the request's id, its log line, its count, and the headers that all answers have."""

import asyncio
import logging
import time
from typing import Final
from uuid import UUID

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediabucket_service.access_line import ACCESS_LOGGER, Answered
from mediabucket_service.logs import write_line
from mediabucket_service.metrics import NO_ROUTE, RequestMetrics
from mediabucket_service.problems import DependencyUnavailable, problem_response
from mediabucket_service.request_context import REQUEST_ID_HEADER, RequestContext, begin_request, end_request
from mediabucket_service.shutdown import Drain

logger = logging.getLogger(ACCESS_LOGGER)

_REQUEST_ID: Final = REQUEST_ID_HEADER.lower().encode()
_CLOSE: Final = (b"connection", b"close")
# The Content-Type is meant, whatever is answered. https://fetch.spec.whatwg.org/#x-content-type-options-header
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")


class Envelope:
    """The outermost ASGI layer, around even the answer to a bug. One layer for all: each takes its time of every call.

    While the process drains, every answer asks its client to close the connection and come back on a new one.
    """

    def __init__(self, app: ASGIApp, drain: Drain, metrics: RequestMetrics) -> None:
        self._app = app
        self._drain = drain
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = begin_request(dict(scope["headers"]).get(_REQUEST_ID))
        headers = [_NOSNIFF, (_REQUEST_ID, context.request_id.encode())]
        # What a client gets when the application fails before it answers.
        status, begun = 500, False

        async def send_enveloped(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                closing = (_CLOSE,) if self._drain.started else ()
                message["headers"] = [*message.get("headers", ()), *headers, *closing]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_enveloped)
        except asyncio.CancelledError:
            # The process ends and has waited long enough; the server would answer 500.
            if begun or not self._drain.started:
                raise
            await problem_response(DependencyUnavailable("service"))(scope, receive, send_enveloped)
        finally:
            self._tell(scope, context, status, time.perf_counter() - started)
        # Not after an exception: the server has yet to log it.
        end_request()

    def _tell(self, scope: Scope, context: RequestContext, status: int, seconds: float) -> None:
        method, route = scope["method"], getattr(scope.get("route"), "path", NO_ROUTE)
        self._metrics.answered(route=route, method=method, status=status, seconds=seconds)
        if logger.isEnabledFor(logging.INFO):
            media_id = context.media_id or _identifier(scope.get("path_params", {}).get("media_id"))
            write_line(
                Answered(method, route, status, seconds, context.request_id, media_id, context.trace_id, context.user)
            )


def _identifier(text: str | None) -> str | None:
    """A caller may put anything into an address."""
    try:
        return str(UUID(text)) if text is not None else None
    except ValueError:
        return None
