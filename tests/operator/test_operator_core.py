"""When the next visit is due: what began together does not stay together."""

from collections import Counter

from memory_environment import MEDIA, memory_cluster, put_store

from mediabucket_operator.liveness import Pulse
from mediabucket_operator.operator_core import STORE_SECONDS, Operator, jittered
from mediabucket_operator.visit import Environment


def test_jitter_spreads_evenly_over_a_tenth_more_or_less() -> None:
    found = [jittered(STORE_SECONDS) for _ in range(1000)]
    assert all(0.9 * STORE_SECONDS <= seconds <= 1.1 * STORE_SECONDS for seconds in found)
    tenths = Counter(min(int((seconds / STORE_SECONDS - 0.9) / 0.02), 9) for seconds in found)
    # A hundred are expected in each; fewer than fifty are five standard deviations away.
    assert {tenth for tenth, count in tenths.items() if count >= 50} == set(range(10))


def test_the_next_visit_of_a_bucket_that_is_well_is_spread(environment: Environment) -> None:
    put_store(environment)
    operator = Operator(environment, lambda _reference, _delay: None, Pulse())
    operator.fleet.note(memory_cluster(environment).objects[MEDIA])
    found = [operator.visit(MEDIA) for _ in range(20)]
    assert all(seconds is not None and 270 <= seconds <= 330 for seconds in found)
    assert len(set(found)) == 20
