"""OpenTelemetry traces over OTLP/HTTP, where OTEL_EXPORTER_OTLP_ENDPOINT is set; elsewhere the SDK is not imported.

A span for each request, with spans below it for statements and for calls of the store. Names and attributes follow
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and hold nothing that a user has chosen: no addresses,
no keys, no texts of errors.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp

if TYPE_CHECKING:
    from mediabucket_service.otlp import Tracing

ENDPOINT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_STATEMENT: Final = re.compile(r"(?i)\b(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)")
_SELECT: Final = re.compile(r"(?i)\bFROM\s+(\w+)")

SpanMaker = Callable[[str], AbstractContextManager[object]]
# Set while a traced request is answered: what a process does for itself has no spans.
CURRENT_SPANS: Final[ContextVar[SpanMaker | None]] = ContextVar("spans", default=None)


def child_span(name: str) -> AbstractContextManager[object]:
    """A span below the request's for what is inside; none without tracing or outside of a request."""
    make = CURRENT_SPANS.get()
    return nullcontext() if make is None else make(name)


def store_span(operation: str) -> AbstractContextManager[object]:
    """The span of one call of the store, by S3's name for it."""
    return child_span(f"s3.{operation}")


@lru_cache(maxsize=512)
def statement_name(query: str) -> str:
    """What a statement does, and to which table: `db.UPDATE media_files`. Never its text."""
    if (found := _STATEMENT.search(query)) is not None:
        return f"db.{found[1].split()[0].upper()} {found[2].lower()}"
    found = _SELECT.search(query)
    return "db.SELECT" if found is None else f"db.SELECT {found[1].lower()}"


def is_wanted(environment: Mapping[str, str]) -> bool:
    return any(environment.get(name) for name in ENDPOINT_VARIABLES)


@asynccontextmanager
async def opened(tracing: "Tracing | None") -> AsyncIterator[None]:
    """Sends what is left at the end, for a bounded time."""
    try:
        yield
    finally:
        if tracing is not None:
            await tracing.close()


def configured(environment: Mapping[str, str]) -> "Tracing | None":
    """Tracing as OpenTelemetry's own variables say; None unless they name an endpoint."""
    if not is_wanted(environment):
        return None
    from mediabucket_service.otlp import Tracing

    return Tracing(environment.get("OTEL_SERVICE_NAME") or "mediabucket")


def traced(app: ASGIApp, tracing: "Tracing") -> ASGIApp:
    """The application with a span around each request."""
    from mediabucket_service.otlp import ServerSpans

    return ServerSpans(app, tracing)
