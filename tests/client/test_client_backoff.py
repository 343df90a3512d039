"""How long the client waits between tries, by a clock of the test's own."""

import json
from typing import Any

import pytest
from js_client import LIBRARY, TESTS, run_node

RETRY = {"retries": 9, "baseMilliseconds": 300, "longestMilliseconds": 20_000, "longestRetryAfterSeconds": 120}
CEILINGS = [300, 600, 1200, 2400, 4800, 9600, 19_200, 20_000, 20_000]


async def told(node: str, *cases: list[Any], failures: list[int | None] | None = None, **asked: Any) -> Any:
    """{delays, answer, waited} of retry.mjs."""
    asked = {"retry": RETRY, "cases": cases, "failures": failures or []} | asked
    return await run_node(node, TESTS / "retry.mjs", (LIBRARY / "retry.js").as_uri(), json.dumps(asked))


async def test_delays_double_up_to_a_ceiling_and_are_anything_below(node: str) -> None:
    shares = (0, 0.25, 1)
    answer = await told(node, *[[attempt, None, share] for share in shares for attempt in range(len(CEILINGS))])
    assert answer["delays"] == [ceiling * share for share in shares for ceiling in CEILINGS]


@pytest.mark.parametrize("attempt", [0, 3, 8])
async def test_what_the_server_asked_for_is_the_least(node: str, attempt: int) -> None:
    """The jitter comes on top: else all that were told the same would come back at once."""
    answer = await told(node, [attempt, 5, 0], [attempt, 5, 1], [attempt, 0, 0])
    assert answer["delays"] == [5000, 5000 + CEILINGS[attempt], 0]


async def test_tries_are_as_far_apart_as_that(node: str) -> None:
    failures = [None, 2, None, None]
    answer = await told(node, failures=failures, random=0.5)
    assert (answer["answer"], answer["waited"]) == (4, [150, 2300, 600, 1200])


async def test_no_two_clients_wait_alike(node: str) -> None:
    """Full jitter by default: over many tries at the ceiling the delays fill all of it."""
    retry = RETRY | {"retries": 400, "baseMilliseconds": 20_000}
    waited = (await told(node, retry=retry, failures=[None] * 400))["waited"]
    assert len(set(waited)) > 390
    assert all(0 <= delay < 20_000 for delay in waited)
    # Each would be missed once in 10^50 runs.
    assert min(waited) < 5_000 < 15_000 < max(waited)


@pytest.mark.parametrize(("failures", "waits"), [([None] * 10, 9), ([121], 0), ([None, 120, 121], 2)])
async def test_patience_has_an_end(node: str, failures: list[int | None], waits: int) -> None:
    answer = await told(node, failures=failures)
    assert (answer["answer"], len(answer["waited"])) == ("gave up", waits)
