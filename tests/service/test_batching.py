"""Items that are submitted together are run together, and everybody gets the own result."""

import asyncio
from collections.abc import Mapping

import pytest

from mediabucket_service.batching import Batcher


class Runner:
    """Doubles numbers, when it is let."""

    def __init__(self) -> None:
        self.batches: list[dict[str, int]] = []
        self.at_once = 0
        self.most = 0
        self.gate = asyncio.Event()
        self.error: BaseException | None = None

    async def __call__(self, items: Mapping[str, int]) -> Mapping[str, int]:
        self.batches.append(dict(items))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.gate.wait()
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return {key: 2 * item for key, item in items.items() if item >= 0}


@pytest.fixture
def runner() -> Runner:
    return Runner()


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_what_waits_goes_out_together_and_is_answered_apart(runner: Runner) -> None:
    batcher = Batcher(runner, slots=1, size=100)
    first = asyncio.create_task(batcher.submit("0", 0))
    await turns()
    rest = [asyncio.create_task(batcher.submit(str(number), number)) for number in range(1, 10)]
    await turns()
    runner.gate.set()
    assert await asyncio.gather(first, *rest) == [2 * number for number in range(10)]
    assert [len(batch) for batch in runner.batches] == [1, 9]


async def test_slots_and_size_bound_what_runs_at_once(runner: Runner) -> None:
    batcher = Batcher(runner, slots=2, size=3)
    tasks = [asyncio.create_task(batcher.submit(str(number), number)) for number in range(20)]
    await turns()
    runner.gate.set()
    assert await asyncio.gather(*tasks) == [2 * number for number in range(20)]
    assert runner.most == 2
    assert max(len(batch) for batch in runner.batches) == 3


async def test_of_equal_keys_one_is_in_a_batch(runner: Runner) -> None:
    runner.gate.set()
    batcher = Batcher(runner, slots=1, size=100)
    assert await asyncio.gather(*(batcher.submit("same", number) for number in range(4))) == [0, 2, 4, 6]
    assert runner.batches == [{"same": number} for number in range(4)]


async def test_no_answer_is_none_and_an_error_is_everybodys(runner: Runner) -> None:
    runner.gate.set()
    batcher = Batcher(runner, slots=1, size=100)
    assert await batcher.submit("negative", -1) is None
    runner.error = ConnectionError("gone")
    answers = await asyncio.gather(batcher.submit("a", 1), batcher.submit("b", 2), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["gone", "gone"]
    runner.error = None
    assert await batcher.submit("a", 1) == 2


async def test_whoever_is_cancelled_leaves_the_others_alone(runner: Runner) -> None:
    batcher = Batcher(runner, slots=1, size=100)
    running = asyncio.create_task(batcher.submit("running", 1))
    await turns()
    given_up, waiting = (asyncio.create_task(batcher.submit(name, 2)) for name in ("given up", "waiting"))
    await turns()
    given_up.cancel()
    running.cancel()
    await turns()
    runner.gate.set()
    assert await waiting == 4
    assert runner.batches == [{"running": 1}, {"waiting": 2}]


async def test_a_batch_that_is_cancelled_cancels_its_submitters(runner: Runner) -> None:
    runner.gate.set()
    runner.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await Batcher(runner, slots=1, size=100).submit("a", 1)
