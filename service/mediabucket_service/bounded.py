"""Work on many items, some at a time, so that one that fails keeps back no other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

import psycopg

from mediabucket_s3.errors import StoreUnavailable, Throttled

PARALLEL: Final = 8
# What would be the same, and as long to wait for, with the next item.
_OUTAGES: Final = (StoreUnavailable, Throttled, psycopg.OperationalError)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def for_each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Answer]]
) -> tuple[list[tuple[Item, Answer]], list[Exception]]:
    """Work at PARALLEL items at a time; answers what came of those that went well, and what the others raised.

    Each worker ends with the first outage that it meets: what does not answer is asked eight times, not thousands.
    """
    queue = iter(items)
    failures: list[Exception] = []
    done: list[tuple[Item, Answer]] = []

    async def attempt() -> None:
        for item in queue:
            try:
                done.append((item, await work(item)))
            except Exception as error:
                failures.append(error)
                if isinstance(error, _OUTAGES):
                    return

    await asyncio.gather(*(attempt() for _ in range(PARALLEL)))
    return done, failures


async def together(*works: Awaitable[Answer]) -> list[Answer]:
    """All of these at the same time, each to its end, before the first failure is raised."""
    answers: list[Answer] = []
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        answers.append(outcome)
    return answers


async def count_done(batches: AsyncIterator[Sequence[Item]], work: Callable[[Item], Awaitable[bool]]) -> int:
    """Work at all items; answers for how many `work` answered True.

    What can be done is, before the first failure is raised. Of batches that come after an outage none is begun.
    """
    count, failure = 0, None
    async for batch in batches:
        done, failures = await for_each(batch, work)
        count += sum(answer for _, answer in done)
        failure = failure or next(iter(failures), None)
        if any(isinstance(error, _OUTAGES) for error in failures):
            break
    if failure is not None:
        raise failure
    return count
