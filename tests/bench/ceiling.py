"""The upload service with one more route that does nothing: what is left is the framework and the middleware."""

import os

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediabucket_api.connection import BucketConnection
from mediabucket_service.app import create_app
from mediabucket_service.settings import Settings

EMPTY_PATH = "/bench/empty"


async def empty(_: Request) -> Response:
    return JSONResponse({})


def create() -> FastAPI:
    """For `uvicorn --factory`; configured by the environment like the service itself."""
    app = create_app(Settings(), BucketConnection.from_environment(os.environ))
    # Starlette's own kind of route: nothing of FastAPI's work on parameters and answers.
    app.add_route(EMPTY_PATH, empty)
    return app
