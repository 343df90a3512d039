"""The upload service with one more route that does nothing: what is left is the framework and the middleware."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

EMPTY_PATH = "/bench/empty"


async def empty(_: Request) -> Response:
    return JSONResponse({})


def create() -> FastAPI:
    """For `uvicorn --factory`; configured by the environment like the service itself."""
    # Reads the environment, which only the process of this application has.
    from mediabucket_service.main import app

    # Starlette's own kind of route: nothing of FastAPI's work on parameters and answers.
    app.add_route(EMPTY_PATH, empty)
    return app
