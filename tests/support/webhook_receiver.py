"""A real HTTP server that is told what became of media."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import standardwebhooks
from aiohttp import web

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes or so"[:32]).decode()
DEADLINE_SECONDS = 20


@dataclass(frozen=True)
class Received:
    """One request; `event` is what the library read after it had verified the signature."""

    webhook_id: str
    event: dict[str, Any]
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def media_id(self) -> str:
        return str(self.event["data"]["media_id"])


Answer = Callable[[web.Request, int], Awaitable[web.StreamResponse]]


async def fine(_: web.Request, __: int) -> web.StreamResponse:
    return web.Response(status=204)


def statuses(*answers: int) -> Answer:
    """These statuses in turn, the last one for ever."""

    async def answer(_: web.Request, count: int) -> web.StreamResponse:
        return web.Response(status=answers[min(count, len(answers)) - 1])

    return answer


async def hanging(_: web.Request, __: int) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


@dataclass
class Receiver:
    """What has arrived so far, and how it is answered. A request that is not signed well is a failed test."""

    answer: Answer = fine
    received: list[Received] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?for=media"

    @property
    def types(self) -> list[str]:
        return [item.type for item in self.received]

    async def wait_for(self, count: int) -> Sequence[Received]:
        """Until that many requests have arrived."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(self.received) < count:
            assert time.monotonic() < deadline, f"{len(self.received)} of {count} arrived: {self.types}"
            await asyncio.sleep(0.01)
        return self.received

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = dict(request.headers)
        event = standardwebhooks.Webhook(SECRET).verify(body, headers)
        assert event == json.loads(body)
        self.received.append(Received(request.headers["webhook-id"], event, headers, body, time.monotonic()))
        return await self.answer(request, len(self.received))


@asynccontextmanager
async def running_receiver(answer: Answer = fine) -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback interface."""
    receiver = Receiver(answer)
    application = web.Application()
    application.router.add_post("/hooks", receiver.handle)
    runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        await runner.cleanup()


def hook(name: str, url: str, *events: str) -> dict[str, Any]:
    """An item of `uploads.webhooks`; all events unless some are named."""
    return {"name": name, "url": url, "secretRef": {"name": "hooks"}} | ({"events": list(events)} if events else {})
