"""Work on many items: some at a time, and one that fails keeps back no other."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import psycopg
import pytest

from mediabucket_s3.errors import AccessDenied, StoreUnavailable, Throttled
from mediabucket_service.bounded import PARALLEL, count_done, for_each, together

DENIED = AccessDenied("DeleteObject", "AccessDenied", 403)
OUTAGES = [
    StoreUnavailable("DeleteObject", "ServiceUnavailable", 503),
    Throttled("DeleteObject", "SlowDown", 503),
    psycopg.OperationalError("the database is away"),
]


class Work:
    """Doubles numbers; what is in `failing` is raised instead."""

    def __init__(self, failing: dict[int, Exception]) -> None:
        self.failing = failing
        self.asked: list[int] = []
        self.under_way, self.most = 0, 0

    async def double(self, number: int) -> int:
        self.asked.append(number)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        if number in self.failing:
            raise self.failing[number]
        return 2 * number

    async def is_even(self, number: int) -> bool:
        return (await self.double(number)) % 4 == 0


async def batches(*sizes: int) -> AsyncIterator[Sequence[int]]:
    first = 0
    for size in sizes:
        yield range(first, first + size)
        first += size


async def test_some_at_a_time() -> None:
    work = Work({})
    done, failures = await for_each(range(50), work.double)
    assert (sorted(done), failures) == ([(number, 2 * number) for number in range(50)], [])
    assert work.most == PARALLEL


async def test_what_fails_for_itself_keeps_back_no_other() -> None:
    work = Work(dict.fromkeys(range(20), DENIED))
    done, failures = await for_each(range(50), work.double)
    assert sorted(number for number, _ in done) == list(range(20, 50))
    assert failures == [DENIED] * 20


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
async def test_what_does_not_answer_is_not_asked_for_every_item(outage: Exception) -> None:
    work = Work(dict.fromkeys(range(1000), outage))
    done, failures = await for_each(range(1000), work.double)
    assert (done, len(failures), len(work.asked)) == ([], PARALLEL, PARALLEL)


async def test_one_outage_that_passes_ends_one_worker_only() -> None:
    work = Work({3: OUTAGES[0]})
    done, failures = await for_each(range(50), work.double)
    assert (len(done), failures) == (49, OUTAGES[:1])


async def test_all_batches_are_done_before_a_failure_is_raised() -> None:
    work = Work({1: DENIED})
    with pytest.raises(AccessDenied):
        await count_done(batches(10, 10, 10), work.is_even)
    assert sorted(work.asked) == list(range(30))
    assert await count_done(batches(10, 10), Work({}).is_even) == 10


async def test_no_batch_is_begun_after_an_outage() -> None:
    work = Work({1: OUTAGES[0]})
    with pytest.raises(StoreUnavailable):
        await count_done(batches(10, 10, 10), work.is_even)
    assert sorted(work.asked) == list(range(10))


async def test_each_of_several_works_comes_to_its_end() -> None:
    work = Work({1: DENIED})
    with pytest.raises(AccessDenied):
        await together(work.double(1), work.double(2))
    assert sorted(work.asked) == [1, 2]
    assert work.under_way == 0
    assert await together(work.double(2), work.double(3)) == [4, 6]
