"""`/healthz`: the process answers. `/readyz`: so do its database and its store."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from mediabucket_s3.errors import S3Error

router = APIRouter(tags=["operations"])

Check = Callable[[], Awaitable[object]]
CHECK_TIMEOUT_SECONDS = 3


@router.get("/healthz")
async def live() -> dict[str, str]:
    """The process is alive. Says nothing about what it depends on: a restart would not mend that."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "a dependency does not answer, or the process is about to end"}})
async def ready(request: Request) -> JSONResponse:
    """Whether requests can be served: each dependency, and what is wrong with it."""
    if request.app.state.drain.started:
        return JSONResponse({"status": "draining", "dependencies": {}}, 503)
    checks: Mapping[str, Check] = request.app.state.checks
    names = list(checks)
    answers = await asyncio.gather(*(_answer(checks[name]) for name in names))
    dependencies: dict[str, Any] = dict(zip(names, answers, strict=True))
    healthy = all(answer == "ok" for answer in answers)
    return JSONResponse(
        {"status": "ok" if healthy else "unavailable", "dependencies": dependencies}, 200 if healthy else 503
    )


async def _answer(check: Check) -> str:
    checking = asyncio.ensure_future(check())
    # Not wait_for: a driver that is told to stop may take its time to do so.
    done, _ = await asyncio.wait({checking}, timeout=CHECK_TIMEOUT_SECONDS)
    if not done:
        checking.add_done_callback(_forget)
        checking.cancel()
        return f"no answer within {CHECK_TIMEOUT_SECONDS} seconds"
    try:
        checking.result()
    except S3Error as error:
        return str(error)
    except Exception as error:
        # The class only: a driver's message may hold a connection string.
        return type(error).__name__
    return "ok"


def _forget(checking: asyncio.Future[object]) -> None:
    """Its exception comes too late to be told."""
    if not checking.cancelled():
        checking.exception()
