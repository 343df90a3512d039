"""Group commit for requests: what arrives while a statement is under way goes out together in the next one."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextvars import Context
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Key, Item, Result]):
    """Calls `run` with many items at once, by key, and gives every submitter its own result.

    An item is never made to wait for others while a slot is free. Of items with one key only one is in a batch: the
    others follow in later ones. When `run` raises, all submitters of that batch get the exception.
    """

    def __init__(
        self, run: Callable[[Mapping[Key, Item]], Awaitable[Mapping[Key, Result]]], *, slots: int, size: int
    ) -> None:
        """At most `slots` calls of `run` at once, each with at most `size` items."""
        self._run = run
        self._slots = slots
        self._size = size
        self._waiting: OrderedDict[int, tuple[Key, Item, asyncio.Future[Result | None]]] = OrderedDict()
        self._submitted = 0
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, key: Key, item: Item) -> Result | None:
        """What `run` answered for this key; None when it answered nothing. Raises what `run` raises."""
        future: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        ticket = self._submitted = self._submitted + 1
        self._waiting[ticket] = (key, item, future)
        self._start()
        try:
            return await future
        finally:
            # A submitter that was cancelled, before its turn came.
            self._waiting.pop(ticket, None)

    def _start(self) -> None:
        if self._waiting and len(self._running) < self._slots:
            # In a context of its own: a batch belongs to none of the requests in it.
            task = asyncio.create_task(self._flush(), context=Context())
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _flush(self) -> None:
        # Requests that are being read in this turn of the loop join.
        await asyncio.sleep(0)
        batch = self._take()
        if not batch:
            return
        try:
            results = await self._run({key: item for key, (item, _) in batch.items()})
        except BaseException as error:
            for _, future in batch.values():
                _fail(future, error)
            if not isinstance(error, Exception):
                raise
            return
        for key, (_, future) in batch.items():
            if not future.done():
                future.set_result(results.get(key))

    def _take(self) -> dict[Key, tuple[Item, "asyncio.Future[Result | None]"]]:
        batch: dict[Key, tuple[Item, asyncio.Future[Result | None]]] = {}
        for ticket, (key, item, future) in list(self._waiting.items()):
            if len(batch) == self._size:
                break
            if key not in batch:
                batch[key] = (item, future)
                del self._waiting[ticket]
        return batch


def _fail(future: "asyncio.Future[Result | None]", error: BaseException) -> None:
    if future.done():
        return
    if isinstance(error, Exception):
        future.set_exception(error)
    else:
        future.cancel()
