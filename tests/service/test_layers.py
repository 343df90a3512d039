"""The layers around routes, each by itself: what makes them cheap must change no answer."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from mediabucket_api.spec import Cors
from mediabucket_service.body_limit import MAX_BODY_BYTES, BodyLimit
from mediabucket_service.cors import CrossOrigin, origin_pattern
from mediabucket_service.direct_route import DirectRoute, DirectRoutes
from mediabucket_service.media.endpoints import router as media_router
from mediabucket_service.problems import MediaInUse, install_problem_handlers

ALLOWED = ["https://chat.example", "http://*.local"]


async def asked(app: ASGIApp, method: str, path: str = "/", *, root_path: str = "", **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
        return await http.request(method, path, **options)


async def echo(request: Request) -> Response:
    return JSONResponse({"bytes": len(await request.body())}, headers={"X-Route": request.url.path})


def echoing() -> Starlette:
    app = Starlette()
    app.add_route("/", echo, methods=["GET", "POST", "DELETE", "OPTIONS"])
    return app


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PUT"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        *(
            {"Origin": origin}
            for origin in ("https://chat.example", "http://a.local", "https://evil.example", "null", "")
        ),
        {"Origin": "https://chat.example", "Access-Control-Request-Method": "POST"},
        {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    ],
    ids=str,
)
async def test_cross_origin_answers_are_those_of_starlette(method: str, headers: Mapping[str, str]) -> None:
    cors = Cors(allowed_origins=ALLOWED)
    reference = CORSMiddleware(
        echoing(),
        allow_origin_regex=origin_pattern(ALLOWED),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
        max_age=cors.max_age_seconds,
    )
    ours = await asked(CrossOrigin(echoing(), cors), method, headers=headers)
    theirs = await asked(reference, method, headers=headers)
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    assert sorted(ours.headers.multi_items()) == sorted(theirs.headers.multi_items())


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("announced", [True, False])
async def test_no_method_takes_a_body_over_the_limit(method: str, announced: bool) -> None:
    async def chunks() -> Any:
        yield b"x" * MAX_BODY_BYTES
        yield b"x"

    app = FastAPI()
    install_problem_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_api_route("/", echo, methods=["GET", "HEAD", "POST", "DELETE"])
    content = b"x" * (MAX_BODY_BYTES + 1) if announced else chunks()
    assert (await asked(app, method, content=content)).status_code == 413
    assert (await asked(app, method, content=b"x" * MAX_BODY_BYTES)).status_code == 200
    assert (await asked(app, method)).status_code == 200


def direct_app(endpoint: Any) -> tuple[FastAPI, DirectRoutes]:
    """An application behind DirectRoutes, which answers POST /direct by `endpoint`."""
    app = FastAPI()
    install_problem_handlers(app)
    route = next(route for route in media_router.routes if isinstance(route, DirectRoute) and route.direct)
    app.add_api_route("/{path:path}", echo, methods=["GET", "POST"])
    return app, DirectRoutes(app, {("POST", "/direct"): (route, endpoint)}, app.exception_handlers)


async def answering(_: Request) -> Response:
    return Response(b"direct")


async def test_a_direct_route_answers_its_method_and_path_and_no_other() -> None:
    _, app = direct_app(answering)
    assert (await asked(app, "POST", "/direct")).content == b"direct"
    for method, path in [("GET", "/direct"), ("POST", "/direct/"), ("POST", "/Direct"), ("POST", "/direct%0A")]:
        assert "x-route" in (await asked(app, method, path)).headers, (method, path)
    assert "x-route" in (await asked(app, "POST", "/direct", root_path="/base")).headers
    assert (await asked(app, "PUT", "/direct")).status_code == 405


@pytest.mark.parametrize(
    ("error", "status"), [(MediaInUse("it is"), 409), (TimeoutError(), 503), (asyncio.QueueEmpty(), 500)]
)
async def test_what_a_direct_route_raises_is_answered_as_anywhere_else(error: Exception, status: int) -> None:
    async def raising(_: Request) -> Response:
        raise error

    app, direct = direct_app(raising)
    if status == 500:
        # The answer to bugs is made further out.
        with pytest.raises(asyncio.QueueEmpty):
            await direct({"type": "http", "method": "POST", "path": "/direct"}, _nothing, _nothing)
        return
    app.add_api_route("/raising", raising, methods=["PUT"])
    answers = [await asked(direct, "POST", "/direct"), await asked(app, "PUT", "/raising")]
    assert [answer.status_code for answer in answers] == [status, status]
    assert answers[0].json() == answers[1].json()


async def _nothing(*_: object) -> Any:
    raise AssertionError("neither read nor answered")
