"""Which methods an address answers: what RFC 9110 section 15.5.6 wants to be said with every 405."""

from typing import Final

from fastapi import Request
from starlette.routing import Match, Mount

METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
STATIC_METHODS: Final = ("GET", "HEAD")


def allowed_methods(request: Request) -> str:
    """The value of `Allow`: the methods of all routes of this path, where a router knows only the first one's."""
    if isinstance(request.scope.get("route"), Mount) or _is_mounted(request):
        return ", ".join(STATIC_METHODS)
    return ", ".join(method for method in METHODS if _answers(request, method))


def _is_mounted(request: Request) -> bool:
    scope = dict(request.scope)
    return any(isinstance(route, Mount) and route.matches(scope)[0] != Match.NONE for route in request.app.router.routes)


def _answers(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(dict(scope))[0] == Match.FULL for route in request.app.router.routes)
