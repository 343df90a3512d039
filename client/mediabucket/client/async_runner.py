"""Carries out the steps of flows with asyncio and httpx.AsyncClient; files are read in threads."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar, cast

import httpx

from mediabucket.client.files import Piece
from mediabucket.client.steps import Answer, ApiCall, Digest, Flow, Parallel, Pause, Step, StorePut
from mediabucket.client.wire import Api, answer_of, put_arguments, told_connection_failures

T = TypeVar("T")


class AsyncRunner:
    """One for a client; its flows run as tasks of one event loop."""

    def __init__(self, http: httpx.AsyncClient, api: Api, token: Callable[[], str | Awaitable[str]]) -> None:
        self._http = http
        self._api = api
        self._token = token

    async def run(self, flow: Flow[T]) -> T:
        """The flow's result, or what it raises."""
        proceed: Callable[[], Step] = partial(next, flow)
        try:
            while True:
                step = proceed()
                try:
                    proceed = partial(flow.send, await self._done(step))
                except Exception as error:
                    proceed = partial(flow.throw, error)
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            flow.close()

    async def _done(self, step: Step) -> Any:
        match step:
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case ApiCall():
                return await self._called(step)
            case StorePut():
                return await self._put(step)
            case Digest(piece, on_bytes):
                return await _sha256(piece, on_bytes)
            case Parallel(flows, limit):
                return await self._all(flows, limit)

    async def _called(self, call: ApiCall) -> Answer:
        token = self._token()
        arguments = self._api.arguments(call, await token if isawaitable(token) else token)
        with told_connection_failures("the API"):
            return answer_of(await self._http.request(**arguments))

    async def _put(self, put: StorePut) -> Answer:
        with told_connection_failures("the store"):
            return answer_of(await self._http.request(**put_arguments(put), content=_chunks(put.piece, put.on_bytes)))

    async def _all(self, flows: Sequence[Flow[Any]], limit: int) -> list[Any]:
        results: list[Any] = [None] * len(flows)
        waiting = iter(enumerate(flows))

        async def lane() -> None:
            for number, flow in waiting:
                results[number] = await self.run(flow)

        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(min(limit, len(flows))):
                    lanes.create_task(lane())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return results


async def _chunks(piece: Piece, on_bytes: Callable[[int], None]) -> AsyncIterator[bytes]:
    offset = 0
    while offset < piece.size:
        chunk = await asyncio.to_thread(piece.read, offset)
        yield chunk
        offset += len(chunk)
        on_bytes(offset)


async def _sha256(piece: Piece, on_bytes: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    offset = 0
    while offset < piece.size:
        offset += await asyncio.to_thread(_digest_next, digest, piece, offset)
        on_bytes(offset)
    return digest.hexdigest()


def _digest_next(digest: "hashlib._Hash", piece: Piece, offset: int) -> int:
    chunk = piece.read(offset)
    digest.update(chunk)
    return len(chunk)
