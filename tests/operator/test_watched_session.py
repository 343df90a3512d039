"""kopf's connections to the API server: few of them, however many objects are new at once."""

import asyncio

import aiohttp
import kopf
from aiohttp import web

from mediabucket_cli.embedded.ports import LOOPBACK
from mediabucket_operator.liveness import Pulse
from mediabucket_operator.watched_session import CONNECTIONS, heard_session

REQUESTS = 5 * CONNECTIONS


class CountingServer:
    """Answers slowly, and remembers which connections there were."""

    def __init__(self) -> None:
        self.peers: set[object] = set()

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        await asyncio.sleep(0.02)
        return web.Response(text="done")


async def test_many_requests_at_once_share_a_few_connections() -> None:
    counting, application = CountingServer(), web.Application()
    application.router.add_get("/", counting.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    [address] = runner.addresses
    url = f"http://{LOOPBACK}:{address[1]}"
    context = heard_session(kopf.ConnectionInfo(server=url), Pulse())
    session = context.aiohttp_session
    try:
        answers = await asyncio.gather(*(_text(session, url) for _ in range(REQUESTS)))
    finally:
        await session.close()
        await runner.cleanup()
    assert answers == ["done"] * REQUESTS
    assert 0 < len(counting.peers) <= CONNECTIONS


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()
