"""Which methods an address answers: what RFC 9110 section 15.5.6 wants to be said with every 405."""

from typing import Final

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.routing import Match

METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def allowed_methods(request: Request, refusal: HTTPException) -> str:
    """The value of `Allow`: the methods of all routes of this path, where the framework tells only the first's."""
    answered = [method for method in METHODS if _answers(request, method)]
    # Of static files, which are no routes, the framework tells all.
    return ", ".join(answered) or (refusal.headers or {}).get("Allow", "")


def _answers(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(dict(scope))[0] == Match.FULL for route in request.app.router.routes)
