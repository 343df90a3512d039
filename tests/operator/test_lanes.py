"""How many workers a store may hold, and that whoever is not on it finds one."""

import asyncio
import threading

import pytest

from mediabucket_operator.cluster import Reference
from mediabucket_operator.dispatcher import Dispatcher
from mediabucket_operator.lanes import LaneExecutor, Lanes


def take_all(lanes: Lanes, lane: str) -> int:
    taken = 0
    while lanes.may_begin(lane):
        lanes.begin(lane)
        taken += 1
    return taken


@pytest.mark.parametrize(
    ("workers", "shares"), [(8, [4, 2, 1, 1, 0]), (1, [1, 0]), (2, [1, 1, 0]), (3, [2, 1, 0]), (16, [8, 4, 2, 1, 1, 0])]
)
def test_the_first_gets_half_of_the_workers_and_the_next_half_of_what_is_left(workers: int, shares: list[int]) -> None:
    lanes = Lanes(workers)
    assert [take_all(lanes, f"store-{number}") for number in range(len(shares))] == shares
    assert sum(shares) == workers


def test_what_a_lane_gives_back_is_anybodys() -> None:
    lanes = Lanes(4)
    assert take_all(lanes, "a") == 2
    assert take_all(lanes, "b") == 1
    for _ in range(2):
        lanes.end("a")
    assert take_all(lanes, "b") == 1
    assert take_all(lanes, "c") == 1
    lanes.end("b")
    assert take_all(lanes, "a") == 1


async def test_a_frozen_store_does_not_hold_up_the_visits_to_another() -> None:
    thawed, visited = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def visit(reference: Reference) -> float | None:
        if reference.namespace == "frozen":
            thawed.wait(30)
        else:
            loop.call_soon_threadsafe(visited.set)
        return None

    dispatcher = Dispatcher(visit, 8, lambda reference: reference.namespace)
    running = asyncio.create_task(dispatcher.run())
    try:
        for number in range(100):
            dispatcher.soon(Reference("MediaBucket", "frozen", f"media-{number}"))
        await asyncio.sleep(0.1)
        dispatcher.soon(Reference("MediaBucket", "healthy", "media"))
        await asyncio.wait_for(visited.wait(), 5)
        assert dispatcher.waiting()["MediaBucket"] == 96
        thawed.set()
        async with asyncio.timeout(5):
            while dispatcher.waiting():
                await asyncio.sleep(0.01)
    finally:
        thawed.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_work_of_a_frozen_lane_does_not_hold_up_another_and_all_of_it_is_done() -> None:
    thawed = threading.Event()
    threads = LaneExecutor(4, "test")
    try:
        frozen = [threads.submit("frozen", lambda: thawed.wait(30)) for _ in range(20)]
        assert await asyncio.wait_for(threads.submit("healthy", lambda: "done"), 5) == "done"
        # Nobody waits for these any more: two of them have begun, and hold their threads to their end.
        for given_up in frozen[:10]:
            given_up.cancel()
        assert await asyncio.wait_for(threads.submit("healthy", lambda: "again"), 5) == "again"
        thawed.set()
        assert await asyncio.wait_for(asyncio.gather(*frozen[10:]), 5) == [True] * 10
        assert await asyncio.wait_for(asyncio.gather(*[threads.submit("one", lambda: 1) for _ in range(9)]), 5)
    finally:
        thawed.set()
        threads.stop()


async def test_an_error_of_the_work_is_told_to_whoever_waits_and_frees_the_thread() -> None:
    def fails() -> None:
        raise ValueError("no")

    threads = LaneExecutor(1, "test")
    try:
        for _ in range(3):
            with pytest.raises(ValueError, match="no"):
                await asyncio.wait_for(threads.submit("lane", fails), 5)
    finally:
        threads.stop()
