"""Deletions: what a dead process had asked for, a store that does not answer, and people who change their mind."""

import asyncio
from collections.abc import Callable

import pytest
from memory_world import Bucket
from operator_world import STORE, OperatorWorld

from mediabucket_operator.canary import CANARY_KEYS
from mediabucket_operator.cluster import Reference
from mediabucket_operator.deletion import Blocked, Withdrawn
from mediabucket_operator.operator_core import Later
from mediabucket_operator.releases import Releases
from mediabucket_operator.settling import SETTLE_SECONDS

LATE: list[Bucket] = [
    Bucket(),
    Bucket(objects={CANARY_KEYS[0]: b"late"}),
    Bucket(objects=dict.fromkeys(CANARY_KEYS, b"")),
]


@pytest.mark.parametrize("policy", ["Destroy", "DeleteIfEmpty"])
@pytest.mark.parametrize("late", LATE, ids=["CreateBucket", "upload of the canary", "its copy"])
def test_what_a_dead_process_had_asked_for_is_deleted_too(late: Bucket, policy: str) -> None:
    world = OperatorWorld()
    media = world.make("media", policy)
    world.delete(media)
    world.now = 100.0
    world.start_again()
    world.now += 1
    assert world.operator.release(media) == Later(SETTLE_SECONDS - 1)
    assert world.store.buckets == {}
    # Carried out only now, when its caller is long dead.
    world.store.buckets["media"] = Bucket(objects=dict(late.objects))
    world.now = 100.0 + SETTLE_SECONDS
    assert world.operator.release(media) is None
    assert world.store.buckets == {}


def test_a_deletion_that_waits_for_the_second_look_tells_of_no_problem() -> None:
    world = OperatorWorld()
    media = world.make("media")
    world.delete(media)
    world.start_again()
    writes = len(world.faults.writes)
    assert isinstance(world.operator.release(media), Later)
    assert [write for write in world.faults.writes[writes:] if write.startswith("cluster")] == []
    assert world.condition(media, "DeletionBlocked")["status"] == "False"


def test_a_process_that_has_lived_for_a_while_deletes_at_once() -> None:
    world = OperatorWorld()
    media = world.make("media")
    world.delete(media)
    world.now = SETTLE_SECONDS
    assert world.operator.release(media) is None
    assert world.store.buckets == {}


def test_a_call_that_was_given_up_is_waited_for_like_one_of_a_dead_process() -> None:
    world = OperatorWorld()
    media = world.apply("media")
    world.now = 100.0
    world.store.silent = {"canary"}
    world.operator.visit(media)
    assert world.condition(media, "UploadPathVerified")["reason"] == "StoreUnreachable"
    world.delete(media)
    world.now += 5
    assert world.operator.release(media) == Later(SETTLE_SECONDS - 5)
    world.now += SETTLE_SECONDS
    assert world.operator.release(media) is None


@pytest.mark.parametrize("policy", ["Retain", "Destroy"])
def test_whoever_never_asked_the_store_for_anything_is_not_waited_for(policy: str) -> None:
    world = OperatorWorld()
    media = world.make("media", policy) if policy == "Retain" else world.apply("media", policy)
    world.delete(media)
    world.store.asked.clear()
    assert world.operator.release(media) is None
    assert world.store.asked == []


@pytest.mark.parametrize("policy", ["Destroy", "DeleteIfEmpty"])
def test_a_bucket_that_somebody_else_has_made_in_its_place_stays(policy: str) -> None:
    world = OperatorWorld()
    media = world.make("media", policy)
    world.delete(media)
    world.start_again()
    world.operator.release(media)
    theirs = Bucket(objects={CANARY_KEYS[0]: b"late", "theirs": b"1"})
    world.store.buckets["media"] = Bucket(objects=dict(theirs.objects))
    world.now = SETTLE_SECONDS
    assert world.operator.release(media) is None
    assert world.store.buckets == {"media": theirs}


def test_a_store_at_rest_is_left_alone_and_a_deletion_that_waits_for_it_is_told_once() -> None:
    world = OperatorWorld()
    first, second = world.make("first"), world.make("second")
    world.now = 100.0
    world.store.silent = {"bucket"}
    for reference in (first, second):
        world.delete(reference)
    assert_blocked(world.operator.release(first))
    # Its own visit says so before long, and all that wait for it are told.
    assert {STORE, first, second} <= set(world.soon)
    world.store.asked.clear()
    assert_blocked(world.operator.release(second))
    assert_blocked(world.operator.release(first))
    assert world.store.asked == []
    assert "ReadTimeoutError" in world.condition(second, "DeletionBlocked")["message"]
    writes = len(world.faults.writes)
    world.now += 11
    assert_blocked(world.operator.release(second))
    assert world.store.asked == ["bucket"], "in other words than before"
    assert len(world.faults.writes) == writes
    world.now += 11
    world.store.silent = set()
    world.soon.clear()
    assert world.operator.release(first) is None
    assert second in world.soon
    assert world.operator.release(second) is None


def assert_blocked(outcome: Blocked | Later | None) -> None:
    assert isinstance(outcome, Blocked)
    assert outcome.reason == "StoreUnavailable"
    assert "set deletionPolicy: Retain" in outcome.message


def test_a_deletion_that_is_withdrawn_goes_no_further() -> None:
    world = OperatorWorld()
    media = world.make("media")
    for key in ("a", "b", "c"):
        world.store.buckets["media"].objects[key] = b"1"
    world.delete(media)
    with pytest.raises(Withdrawn):
        world.operator.release(media, after(4))
    assert sorted(world.store.buckets["media"].objects) == ["c"]


def after(questions: int) -> Callable[[], bool]:
    """Says yes from then on."""
    asked: list[None] = []

    def withdrawn() -> bool:
        asked.append(None)
        return len(asked) > questions

    return withdrawn


async def test_retain_is_heard_while_the_store_does_not_answer_and_nothing_is_deleted_afterwards() -> None:
    world = OperatorWorld()
    media = world.make("media")
    world.store.buckets["media"].objects["uploads/a"] = b"1"
    world.delete(media)
    world.store.thawed.clear()
    world.store.asked.clear()
    releases = Releases(world.operator, world.cluster, workers=2)
    try:
        released = asyncio.create_task(releases.until_released(media))
        await until(lambda: world.store.asked == ["bucket"])
        world.cluster.objects[media]["spec"]["deletionPolicy"] = "Retain"
        await asyncio.wait_for(released, 8)
        world.store.thawed.set()
        # Its attempt has the bucket's lock: when another has it, the attempt has ended.
        await asyncio.to_thread(lambda: world.operator.release(media))
        assert world.store.asked == ["bucket"]
        assert world.store.buckets["media"].objects == {"uploads/a": b"1"}
    finally:
        world.store.thawed.set()
        releases.stop()


async def test_one_that_is_retained_waits_for_no_visit_and_its_user_is_swept() -> None:
    world = OperatorWorld()
    media = world.make("media", "Retain")
    world.store.thawed.clear()
    world.store.asked.clear()
    visit = asyncio.create_task(asyncio.to_thread(world.operator.visit, media))
    releases = Releases(world.operator, world.cluster, workers=2)
    try:
        await until(lambda: world.store.asked == ["bucket"])
        world.delete(media)
        # Nor for the next look at what people want.
        await asyncio.wait_for(releases.until_released(media), 1.5)
        assert world.soon == [STORE]
        # What this visit still makes is swept away after it.
        world.operator.fleet.forget(media)
        world.cluster.objects.pop(media)
        world.soon.clear()
        world.store.thawed.set()
        await visit
        assert STORE in world.soon
    finally:
        world.store.thawed.set()
        releases.stop()


async def test_a_change_of_a_blocked_deletion_is_noticed_within_seconds() -> None:
    world = OperatorWorld()
    media = world.make("media", "DeleteIfEmpty")
    world.now = 100.0
    world.store.buckets["media"].objects["uploads/a"] = b"1"
    world.delete(media)
    releases = Releases(world.operator, world.cluster, workers=2)
    try:
        released = asyncio.create_task(releases.until_released(media))
        # The third attempt was after 3 s, the next would be after 7 s.
        await asyncio.sleep(3.5)
        assert world.condition(media, "DeletionBlocked")["reason"] == "NotEmpty"
        world.cluster.objects[media]["spec"]["deletionPolicy"] = "Destroy"
        await asyncio.wait_for(released, 3)
        assert world.store.buckets == {}
    finally:
        releases.stop()


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0.01)


def test_a_visit_asks_a_store_that_does_not_answer_only_once() -> None:
    world = OperatorWorld()
    media = world.make("media")
    before = {kind: world.condition(media, kind) for kind in ("CredentialsReady", "UploadPathVerified")}
    world.apply("media", cors={"allowedOrigins": ["https://new.example.com"]})
    world.store.asked.clear()
    world.store.silent = {"bucket", "identities", "canary"}
    world.operator.visit(media)
    assert world.store.asked == ["bucket"]
    assert world.condition(media, "StoreReachable")["status"] == "False"
    # What was known of the rest stays.
    assert {kind: world.condition(media, kind) for kind in before} == before


def test_the_canary_is_left_out_when_the_store_has_stopped_answering_on_the_way() -> None:
    world = OperatorWorld()
    media = world.apply("media")
    world.store.silent = {"identities", "canary"}
    world.operator.visit(media)
    world.store.silent = set()
    world.operator.visit(media)
    world.apply("media", cors={"allowedOrigins": ["https://new.example.com"]})
    world.store.asked.clear()
    world.store.silent = {"identities", "canary"}
    world.operator.visit(media)
    assert world.store.asked == ["bucket", "identities"]


def test_who_is_told_of_a_rest_does_not_make_it_longer() -> None:
    world = OperatorWorld()
    media, other = world.make("media"), world.make("other")
    world.store.silent = {"bucket"}
    world.operator.visit(media)
    world.store.asked.clear()
    for _ in range(5):
        world.now += 1.9
        world.operator.visit(other)
    assert world.store.asked == []
    world.now += 1
    world.operator.visit(other)
    assert world.store.asked == ["bucket"]


def test_lanes_are_stores_and_an_object_store_does_not_wait_for_its_media_buckets() -> None:
    world = OperatorWorld()
    media, other = world.make("media"), world.make("other")
    assert world.operator.lane(media) == world.operator.lane(other) == "store"
    assert world.operator.lane(STORE) not in ("store", world.operator.lane(Reference("ObjectStore", "", "another")))
