"""Which methods an address answers: what RFC 9110 section 15.5.6 wants to be said with every 405."""

from typing import Final

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.routing import Match

METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
STATIC_METHODS: Final = ("GET", "HEAD")


def allowed_methods(request: Request, refusal: HTTPException) -> str:
    """The value of `Allow`: the methods of all routes of this path, of which the framework tells only the first's."""
    # Only static files refuse a method without telling others.
    answered = [method for method in METHODS if _answers(request, method)] if refusal.headers else STATIC_METHODS
    return ", ".join(answered)


def _answers(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(dict(scope))[0] == Match.FULL for route in request.app.router.routes)
