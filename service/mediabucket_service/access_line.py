"""The line of one answered request, without a record of logging: making one took a third of an empty request.

So nothing looks these lines through on their way out: all that a caller has chosen is escaped and redacted here.
"""

import json
import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from mediabucket_service.redaction import without_secrets

ACCESS_LOGGER: Final = "mediabucket_service.access"
_LEVEL: Final = logging.getLevelName(logging.INFO)
# Routes are few; a caller who invents methods pushes them out, which costs him and us a little time.
_HEADS: Final = 1024


class Answered(NamedTuple):
    """A request that has its answer. `route` is a template; ids are as this program made or checked them."""

    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    media_id: str | None
    trace_id: str | None
    user: str | None


def rfc3339(seconds: float) -> str:
    """Seconds since 1970 as a timestamp of RFC 3339 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def json_line(answered: Answered, now: float) -> str:
    """One JSON object. All but ASCII is escaped: no user can end the line."""
    line = (
        f'{{"time": "{rfc3339(now)}", {_json_head(answered.method, answered.route, answered.status)},'
        f' "duration_ms": {round(answered.seconds * 1000, 1)}'
    )
    return line + "".join(f', "{name}": {json.dumps(value)}' for name, value in _identities(answered)) + "}"


def text_line(answered: Answered, now: float) -> str:
    """A line for a person at a terminal; what could command the terminal is for the caller to escape."""
    head = f"{rfc3339(now)[11:]} {_LEVEL} {ACCESS_LOGGER}: {_message(answered.method, answered.route, answered.status)}"
    members = "".join(f" {name}={value}" for name, value in _identities(answered))
    return f"{head} duration_ms={round(answered.seconds * 1000, 1)}{members}"


def _identities(answered: Answered) -> list[tuple[str, str]]:
    """What is known about whose request it was."""
    known = [("request_id", answered.request_id)]
    if answered.media_id is not None:
        known.append(("media_id", answered.media_id))
    if answered.trace_id is not None:
        known.append(("trace_id", answered.trace_id))
    if answered.user is not None:
        known.append(("user", without_secrets(answered.user)))
    return known


@lru_cache(maxsize=_HEADS)
def _json_head(method: str, route: str, status: int) -> str:
    """The members that many lines have in common."""
    members = {
        "level": _LEVEL,
        "logger": ACCESS_LOGGER,
        "message": _message(method, route, status),
        "method": without_secrets(method),
        "route": route,
        "status": status,
    }
    return json.dumps(members)[1:-1]


def _message(method: str, route: str, status: int) -> str:
    return without_secrets(f"{method} {route} {status}")
