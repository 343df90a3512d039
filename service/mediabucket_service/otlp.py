"""The part of tracing that knows OpenTelemetry's SDK. Imported only where traces are wanted."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediabucket_service.metrics import KNOWN_METHODS, NO_ROUTE
from mediabucket_service.request_context import current_request
from mediabucket_service.tracing import CURRENT_SPANS

FLUSH_SECONDS: Final = 3.0
# The headers of https://www.w3.org/TR/trace-context/
_CONTEXT_HEADERS: Final = (b"traceparent", b"tracestate")
_PROPAGATOR: Final = TraceContextTextMapPropagator()


class Tracing:
    """A tracer of its own: nothing is registered globally. Spans are sent from a thread, and dropped if they cannot."""

    def __init__(self, service_name: str) -> None:
        """Endpoint, headers, timeout and sampling are read from OpenTelemetry's variables."""
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service_name}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self._provider.get_tracer("mediabucket_service")

    async def close(self) -> None:
        """Send what is left. A receiver that does not answer is given FLUSH_SECONDS."""
        # A daemon: the SDK takes 15 s to give up, and the end of the process would wait for any other thread.
        flushing = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        flushing.start()
        deadline = time.monotonic() + FLUSH_SECONDS
        while flushing.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    @contextmanager
    def child(self, name: str) -> Iterator[None]:
        """A span below the current one; an exception is told by its class only."""
        with self.tracer.start_as_current_span(
            name, kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                _failed(span, type(error).__name__)
                raise


class ServerSpans:
    """ASGI middleware: a span for each request, continuing the caller's trace."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        parent = _PROPAGATOR.extract(
            {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CONTEXT_HEADERS}
        )
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "_OTHER"
        with self._tracing.tracer.start_as_current_span(
            method, context=parent, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            _tell_log(span)
            token = CURRENT_SPANS.set(self._tracing.child)
            try:
                await self._app(scope, receive, send_noting_status)
            finally:
                CURRENT_SPANS.reset(token)
                _describe(span, method, getattr(scope.get("route"), "path", NO_ROUTE), status)


def _tell_log(span: Span) -> None:
    if (context := current_request()) is not None:
        context.trace_id = trace.format_trace_id(span.get_span_context().trace_id)


def _describe(span: Span, method: str, route: str, status: int) -> None:
    span.update_name(f"{'HTTP' if method == '_OTHER' else method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    if status >= 500:
        _failed(span, str(status))


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
