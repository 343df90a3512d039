"""How files are cut into parts: every byte in exactly one part, within the limits of AWS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediabucket_service.media.part_plan import MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES, PartPlan, plan_parts

LARGEST = MAX_PARTS * MAX_PART_BYTES
FILE_SIZES = st.integers(1, LARGEST)
PART_SIZES = st.integers(MIN_PART_BYTES, MAX_PART_BYTES)
SMALL_PLANS = st.builds(PartPlan, st.integers(1, 500), st.integers(1, 50))


@given(FILE_SIZES, PART_SIZES)
def test_every_plan_is_within_the_limits_of_aws(file_size: int, preferred: int) -> None:
    plan = plan_parts(file_size, preferred)
    assert 1 <= plan.count <= MAX_PARTS
    assert preferred <= plan.part_size <= MAX_PART_BYTES
    assert plan.count <= 1_000 or plan.part_size == MAX_PART_BYTES
    assert 1 <= plan.size(plan.count) <= plan.part_size
    if plan.count > 1:
        assert plan.size(1) == plan.size(plan.count - 1) == plan.part_size


@given(FILE_SIZES, PART_SIZES)
def test_parts_are_larger_than_preferred_only_when_there_would_be_too_many(file_size: int, preferred: int) -> None:
    grown = plan_parts(file_size, preferred).part_size > preferred
    assert grown == (file_size > preferred * 1_000 and preferred < MAX_PART_BYTES)


@given(SMALL_PLANS)
def test_the_parts_are_the_whole_file(plan: PartPlan) -> None:
    assert sum(plan.size(number) for number in plan.numbers) == plan.file_size
    assert all(1 <= plan.size(number) <= plan.part_size for number in plan.numbers)


@given(SMALL_PLANS, st.data())
def test_a_part_that_has_arrived_whole_is_neither_missing_nor_wrong(plan: PartPlan, data: st.DataObject) -> None:
    whole = data.draw(st.sets(st.sampled_from(plan.numbers)))
    cut = data.draw(st.sets(st.sampled_from(plan.numbers))) - whole
    arrived = {number: plan.size(number) for number in whole} | {number: plan.size(number) - 1 for number in cut}
    assert plan.missing(arrived) == [number for number in plan.numbers if number not in whole | cut]
    assert plan.wrong(arrived) == sorted(cut)


@pytest.mark.parametrize(
    ("file_size", "preferred", "part_size", "count", "last"),
    [
        pytest.param(1, MIN_PART_BYTES, MIN_PART_BYTES, 1, 1, id="one byte"),
        pytest.param(MIN_PART_BYTES, MIN_PART_BYTES, MIN_PART_BYTES, 1, MIN_PART_BYTES, id="exactly one part"),
        pytest.param(MIN_PART_BYTES + 1, MIN_PART_BYTES, MIN_PART_BYTES, 2, 1, id="one byte more"),
        pytest.param(5 * 1024**4, MIN_PART_BYTES, MAX_PART_BYTES, 1024, MAX_PART_BYTES, id="5 TiB"),
        pytest.param(LARGEST, MIN_PART_BYTES, MAX_PART_BYTES, MAX_PARTS, MAX_PART_BYTES, id="the largest"),
        pytest.param(10, 1, MIN_PART_BYTES, 1, 10, id="a part smaller than AWS takes"),
    ],
)
def test_plans(file_size: int, preferred: int, part_size: int, count: int, last: int) -> None:
    plan = plan_parts(file_size, preferred)
    assert (plan.part_size, plan.count, plan.size(count)) == (part_size, count, last)


@pytest.mark.parametrize("file_size", [0, -1, LARGEST + 1])
def test_what_cannot_be_cut_is_refused(file_size: int) -> None:
    with pytest.raises(ValueError, match=f"{file_size} bytes cannot be uploaded in parts"):
        plan_parts(file_size, MIN_PART_BYTES)


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_part_beyond_the_plan_has_no_size(number: int) -> None:
    with pytest.raises(ValueError, match="there are parts 1 to 3"):
        PartPlan(11, 5).size(number)
