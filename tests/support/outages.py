"""Servers that go away, and callers who never stop asking."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from mediabucket_cli.embedded.server import EmbeddedServer

SETTLE_SECONDS = 5.0


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
