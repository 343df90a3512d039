"""Routes of the hot path: FastAPI's in the documentation, without its general machinery for each request.

FastAPI parses JSON, walks a graph of dependencies, validates, and copies the answer before it is written: half of the
time of an initiate. Here the bytes of the body are validated at once and the answer is written as it is, and such a
route is found by its exact method and path, without the routers and exit stacks before it. A route that takes anything
else than what is listed in `_SOURCES` (a path or query parameter) is FastAPI's as ever.
"""

import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from mediabucket_service.auth import User
from mediabucket_service.dependencies import current_user, initiation, message_flows
from mediabucket_service.flows import Flows
from mediabucket_service.media.initiate import Initiation

Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]
Source: TypeAlias = Callable[[Request, Response], Awaitable[Any]]

_JSON: Final = "application/json"
_NOT_AN_OBJECT: Final = {"type": "model_attributes_type", "loc": ("body",), "msg": "", "input": None}


async def _user(request: Request, _: Response) -> User:
    return await current_user(request)


async def _initiation(request: Request, _: Response) -> Initiation:
    return await initiation(request)


async def _flows(request: Request, _: Response) -> Flows:
    return await message_flows(request)


async def _response(_: Request, response: Response) -> Response:
    return response


# Where the parameter of each type comes from.
_SOURCES: Final[dict[type, Source]] = {
    User: _user,
    Initiation: _initiation,
    Flows: _flows,
    Response: _response,
}


class DirectRoute(APIRoute):
    """A route that answers directly where it can; use it as the `route_class` of a router."""

    direct: Handler | None = None

    @override
    def get_route_handler(self) -> Handler:
        parameters = {name: _plain(hint) for name, hint in get_type_hints(self.endpoint, include_extras=True).items()}
        answer = parameters.pop("return", None)
        bodies = [name for name, kind in parameters.items() if _is_model(kind)]
        others = {name: _SOURCES[kind] for name, kind in parameters.items() if kind in _SOURCES}
        if len(bodies) != 1 or len(others) != len(parameters) - 1 or answer is None:
            return super().get_route_handler()
        body = bodies[0]
        self.direct = _handler(self.endpoint, body, TypeAdapter(parameters[body]), TypeAdapter(answer), others)
        return self.direct


Routes: TypeAlias = Mapping[tuple[str, str], tuple[DirectRoute, Handler]]


def direct_routes(routers: Iterable[APIRouter]) -> Routes:
    """The routes that answer directly, by method and path."""
    return {
        (method, route.path): (route, route.direct)
        for router in routers
        for route in router.routes
        if isinstance(route, DirectRoute) and route.direct is not None
        for method in route.methods or ()
    }


class DirectRoutes:
    """ASGI middleware: answers these routes, and leaves all else to FastAPI: other methods, too, for their 405."""

    def __init__(self, app: ASGIApp, routes: Routes, handlers: Mapping[Any, Any]) -> None:
        """`handlers`: the application's, by exception; Exception itself is for the answer to bugs, further out."""
        self._app = app
        self._routes = routes
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Below a root path the path is not the template.
        found = self._routes.get((scope["method"], scope["path"])) if _is_plain(scope) else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"], handle = found
        request = Request(scope, receive)
        try:
            response = await handle(request)
        except Exception as error:
            handler = self._handler_of(type(error))
            if handler is None:
                raise
            response = await handler(request, error)
        await response(scope, receive, send)

    def _handler_of(self, error: type[Exception]) -> Any:
        causes = (cause for cause in error.__mro__ if cause is not Exception)
        return next((self._handlers[cause] for cause in causes if cause in self._handlers), None)


def _is_plain(scope: Scope) -> bool:
    """HTTP, and not below a path that belongs to a proxy in front."""
    return scope["type"] == "http" and not scope.get("root_path")


def _handler(
    endpoint: Callable[..., Any],
    body: str,
    model: TypeAdapter[Any],
    answer: TypeAdapter[Any],
    others: dict[str, Source],
) -> Handler:
    async def handle(request: Request) -> Response:
        response = Response()
        # Whoever is not known is not told what is wrong with the body.
        arguments = {name: await source(request, response) for name, source in others.items()}
        arguments[body] = await _read(request, model)
        return _filled(response, answer.dump_json(await endpoint(**arguments)))

    return handle


def _filled(response: Response, content: bytes) -> Response:
    """The response that the endpoint has set headers of, with its body."""
    response.body = content
    set_before = (header for header in response.raw_headers if header[0] != b"content-length")
    length = (b"content-length", str(len(content)).encode())
    response.raw_headers = [*set_before, length, (b"content-type", _JSON.encode())]
    return response


def answered(model: BaseModel) -> Response:
    """A model that is valid because it was just made, written as it is and not to be stored; for FastAPI's routes."""
    return Response(model.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type=_JSON)


async def _read(request: Request, model: TypeAdapter[Any]) -> Any:
    """The body as a model. Raises RequestValidationError."""
    content = await request.body()
    if not content:
        raise RequestValidationError([{**_NOT_AN_OBJECT, "type": "missing"}])
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _JSON and not (media_type.startswith("application/") and media_type.endswith("+json")):
        raise RequestValidationError([_NOT_AN_OBJECT])
    try:
        return model.validate_json(content)
    except ValidationError:
        return _read_slowly(content, model)


def _read_slowly(content: bytes, model: TypeAdapter[Any]) -> Any:
    """The same once more in two steps, which tell better what is wrong. Raises RequestValidationError."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": ""}]) from error
    try:
        return model.validate_python(parsed)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from error


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_model(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)
