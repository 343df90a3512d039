"""Which request is being answered: its id, and what its log line will say. Follows the request through all awaits."""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from mediabucket_service.identifiers import new_identifier

REQUEST_ID_HEADER: Final = "X-Request-ID"
# Short enough for an index, and nothing that could end a line, a header or a quotation.
_ACCEPTABLE: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True)
class RequestContext:
    """One request. `user` and `media_id` are known later than the rest, or never; `trace_id` only with tracing."""

    request_id: str
    user: str | None = None
    media_id: str | None = None
    trace_id: str | None = None


_CURRENT: Final[ContextVar[RequestContext | None]] = ContextVar("request", default=None)


def begin_request(offered_id: bytes | None) -> RequestContext:
    """Start answering a request: under the caller's id if it is one, else under a new UUIDv7."""
    if offered_id is not None and _ACCEPTABLE.fullmatch(offered_id):
        request_id = offered_id.decode("ascii")
    else:
        request_id = str(new_identifier())
    context = RequestContext(request_id)
    _CURRENT.set(context)
    return context


def end_request() -> None:
    """What this task does from here on is no part of the request."""
    _CURRENT.set(None)


def current_request() -> RequestContext | None:
    """The request that is being answered, None outside of one."""
    return _CURRENT.get()


def note_user(user_id: str) -> None:
    """Remember for the log who is asking."""
    if (context := _CURRENT.get()) is not None:
        context.user = user_id


def note_media(media_id: object) -> None:
    """Remember for the log which media it is about, where the address does not say so."""
    if (context := _CURRENT.get()) is not None:
        context.media_id = str(media_id)
