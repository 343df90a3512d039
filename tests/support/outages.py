"""Servers that go away, and callers who never stop asking."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from mediabucket_cli.embedded.server import EmbeddedServer

SETTLE_SECONDS = 5.0
# Longer than anybody would wait, on a machine that does other things, too.
MOST_SECONDS = 20


def process_tree(root: int) -> list[int]:
    """A process and all that it started, parents first: PostgreSQL's backends have sessions of their own."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    tree = [root]
    for parent in tree:
        tree.extend(child for child, its in parents.items() if its == parent)
    return tree


def send_all(server: EmbeddedServer, number: signal.Signals) -> None:
    for process_id in process_tree(server.child.process.pid):
        with suppress(ProcessLookupError):
            os.kill(process_id, number)


def restart(server: EmbeddedServer) -> None:
    """The same server on the same data and ports."""
    server.stop()
    server.launch()
    server.wait_until_ready()


@dataclass(frozen=True)
class Answered:
    """When a request was sent, how long it took (seconds), and the answer."""

    at: float
    seconds: float
    answer: httpx.Response


@dataclass
class Load:
    """What became of all requests."""

    answered: list[Answered] = field(default_factory=list)

    def since(self, moment: float) -> list[Answered]:
        return [one for one in self.answered if one.at >= moment]

    def statuses(self, since: float = 0.0) -> set[int]:
        return {one.answer.status_code for one in self.since(since)}

    def longest(self) -> float:
        return max(one.seconds for one in self.answered)

    def refusals(self, since: float = 0.0) -> list[Answered]:
        return [one for one in self.since(since) if one.answer.status_code != 200]


Request = Callable[[], Awaitable[httpx.Response]]


@asynccontextmanager
async def under_load(requests: Sequence[Request], pause_seconds: float = 0.02) -> AsyncIterator[Load]:
    """Send each of these again and again, all at once; at the end the last ones are waited for."""
    load, stopped = Load(), asyncio.Event()

    async def keep_asking(request: Request) -> None:
        while not stopped.is_set():
            at = time.monotonic()
            answer = await request()
            load.answered.append(Answered(at, time.monotonic() - at, answer))
            await asyncio.sleep(pause_seconds)

    callers = [asyncio.create_task(keep_asking(request)) for request in requests]
    try:
        yield load
    finally:
        stopped.set()
        await asyncio.gather(*callers)


async def under_way(load: Load, callers: int) -> None:
    """Until as many requests as there are callers were answered, and well."""
    async with asyncio.timeout(MOST_SECONDS):
        while len(load.answered) < callers:
            await asyncio.sleep(0.05)
    assert load.statuses() == {200}


async def recovered(load: Load, back: float, meanwhile: Collection[int] = (503,)) -> None:
    """Until nothing has been refused for a while; longer than SETTLE_SECONDS after the return is too long."""
    quiet = 1.5
    while (
        time.monotonic() < back + quiet
        or load.refusals(time.monotonic() - quiet)
        # On a busy machine nothing may have been answered at all.
        or 200 not in load.statuses(back)
    ):
        await asyncio.sleep(0.05)
        assert not load.refusals(back + SETTLE_SECONDS)
        assert time.monotonic() < back + MOST_SECONDS
    assert 200 in load.statuses(back)
    assert load.statuses(back) <= {200, *meanwhile}
