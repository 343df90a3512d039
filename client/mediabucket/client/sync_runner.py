"""Carries out the steps of flows with threads and httpx.Client."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, TypeVar, cast

import httpx

from mediabucket.client.files import Piece
from mediabucket.client.steps import Answer, ApiCall, Digest, Flow, Parallel, Pause, Step, StorePut
from mediabucket.client.wire import Api, answer_of, put_arguments, told_connection_failures

T = TypeVar("T")


class Stopped(Exception):
    """Another flow failed, and the work of this one is not needed any more."""


class Stop:
    """Asks flows in other threads to end; those of a child end with its parent."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._children: list[Stop] = []

    def child(self) -> "Stop":
        child = Stop()
        self._children.append(child)
        if self._event.is_set():
            child.set()
        return child

    def set(self) -> None:
        self._event.set()
        for child in self._children:
            child.set()

    def pause(self, seconds: float) -> None:
        """Raises Stopped."""
        if self._event.wait(seconds):
            raise Stopped


class SyncRunner:
    """One for a client; its flows may run in any thread."""

    def __init__(self, http: httpx.Client, api: Api, token: Callable[[], str]) -> None:
        self._http = http
        self._api = api
        self._token = token

    def run(self, flow: Flow[T], stop: Stop | None = None) -> T:
        """The flow's result, or what it raises."""
        stop = stop or Stop()
        proceed: Callable[[], Step] = partial(next, flow)
        try:
            while True:
                step = proceed()
                try:
                    proceed = partial(flow.send, self._done(step, stop))
                except Exception as error:
                    proceed = partial(flow.throw, error)
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            flow.close()

    def _done(self, step: Step, stop: Stop) -> Any:
        stop.pause(0)
        match step:
            case Pause(seconds):
                return stop.pause(seconds)
            case ApiCall():
                return self._called(step)
            case StorePut():
                return self._put(step, stop)
            case Digest(piece, on_bytes):
                return _sha256(_chunks(piece, on_bytes, stop))
            case Parallel(flows, limit):
                return self._all(flows, limit, stop)

    def _called(self, call: ApiCall) -> Answer:
        arguments = self._api.arguments(call, self._token())
        with told_connection_failures("the API"):
            return answer_of(self._http.request(**arguments))

    def _put(self, put: StorePut, stop: Stop) -> Answer:
        with told_connection_failures("the store"):
            return answer_of(self._http.request(**put_arguments(put), content=_chunks(put.piece, put.on_bytes, stop)))

    def _all(self, flows: Sequence[Flow[Any]], limit: int, stop: Stop) -> list[Any]:
        if not flows:
            return []
        mine = stop.child()
        pool = ThreadPoolExecutor(min(limit, len(flows)), thread_name_prefix="mediabucket")
        try:
            futures = [pool.submit(self._run_one_of_many, flow, mine) for flow in flows]
            wait(futures)
        finally:
            # Nothing runs any more, unless Ctrl-C came: then nobody waits for a thread that a dead connection holds.
            mine.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return results_of(futures)

    def _run_one_of_many(self, flow: Flow[Any], stop: Stop) -> Any:
        try:
            return self.run(flow, stop)
        except BaseException:
            # Here, where no other flow can begin in between.
            stop.set()
            raise


def results_of(futures: Sequence[Future[Any]]) -> list[Any]:
    """All results. Raises what made the others stop, and Stopped only when it came from outside."""
    failures = [error for error in (future.exception() for future in futures) if error is not None]
    if failures:
        raise min(failures, key=lambda error: isinstance(error, Stopped))
    return [future.result() for future in futures]


def _chunks(piece: Piece, on_bytes: Callable[[int], None], stop: Stop) -> Iterator[bytes]:
    offset = 0
    while offset < piece.size:
        stop.pause(0)
        chunk = piece.read(offset)
        yield chunk
        offset += len(chunk)
        on_bytes(offset)


def _sha256(chunks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
