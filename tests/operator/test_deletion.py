"""What blocks a deletion, and what releases it: not one write to the store while it is blocked."""

from collections.abc import Callable
from typing import Any

import pytest
from memory_environment import MEDIA, make_environment, memory_cluster, put_store
from memory_world import MemoryStore

from mediabucket_api.constants import ABANDON_ANNOTATION, CONFIRM_DESTROY_ANNOTATION
from mediabucket_operator.cluster import Reference
from mediabucket_operator.deletion import Blocked, release
from mediabucket_operator.visit import visit

STORE = Reference("ObjectStore", "", "store")
BUCKET = "media-bucket"


class World:
    """A MediaBucket that was made, with a medium in its bucket, and that somebody has asked to delete."""

    def __init__(self, **spec: Any) -> None:
        self.environment = make_environment()
        self.cluster = memory_cluster(self.environment)
        assert isinstance(self.environment.stores, MemoryStore)
        self.store = self.environment.stores
        self.faults = self.cluster.faults
        put_store(self.environment, limits={"allowDestroy": "Allowed"})
        self.spec = self.cluster.objects[MEDIA]["spec"]
        self.spec |= spec
        self.cluster.change_annotations(MEDIA, {CONFIRM_DESTROY_ANNOTATION: BUCKET})
        visit(self.environment, MEDIA)
        self.store.buckets[BUCKET].objects["uploads/a"] = b"kept"
        self.cluster.objects[MEDIA]["metadata"]["deletionTimestamp"] = "2026-11-29T12:00:00+00:00"
        self.faults.writes.clear()

    def release(self) -> Blocked | None:
        return release(self.environment, MEDIA)

    def forbid_destroy(self) -> None:
        self.cluster.objects[STORE]["spec"]["limits"] = {"allowDestroy": "Forbidden"}

    def manage(self, policy: str) -> None:
        self.spec["managementPolicy"] = policy

    def written(self) -> list[str]:
        return [write for write in self.faults.writes if write.startswith("store")]

    def condition(self, kind: str) -> dict[str, Any]:
        conditions = self.cluster.objects[MEDIA]["status"]["conditions"]
        [found] = [condition for condition in conditions if condition["type"] == kind]
        return dict(found)


def require_blocked(world: World, reason: str) -> str:
    """Not a write to the store, told once in status and in an Event; the message."""
    blocked = world.release()
    assert blocked is not None
    assert blocked.reason == reason
    told = world.condition("DeletionBlocked")
    assert (told["status"], told["reason"], told["message"]) == ("True", reason, blocked.message)
    assert [event["reason"] for event in world.cluster.events].count(reason) == 1
    before = list(world.faults.writes)
    assert world.release() == blocked
    assert world.faults.writes == before, "what is told already is not written again"
    assert world.written() == []
    return blocked.message


@pytest.mark.parametrize(
    ("policy", "spoil", "reason", "message"),
    [
        ("Destroy", World.forbid_destroy, "DestroyForbidden", "ObjectStore store forbids Destroy"),
        ("DeleteIfEmpty", lambda world: world.manage("Observe"), "NotManaged", "managementPolicy is Observe"),
        ("DeleteIfEmpty", lambda world: world.manage("Pause"), "NotManaged", "managementPolicy is Pause"),
        ("Destroy", lambda world: world.manage("Observe"), "NotManaged", "managementPolicy is Observe"),
        ("Destroy", lambda world: world.manage("Pause"), "NotManaged", "managementPolicy is Pause"),
    ],
)
def test_what_is_no_longer_allowed_blocks_until_retained(
    policy: str, spoil: Callable[[World], None], reason: str, message: str
) -> None:
    world = World(deletionPolicy=policy)
    spoil(world)
    told = require_blocked(world, reason)
    assert message in told
    assert "set deletionPolicy: Retain" in told
    world.spec["deletionPolicy"] = "Retain"
    assert world.release() is None
    assert world.written() == []
    assert world.store.buckets[BUCKET].objects["uploads/a"] == b"kept"


@pytest.mark.parametrize("policy", ["DeleteIfEmpty", "Destroy"])
def test_without_an_obstacle_the_policy_is_carried_out(policy: str) -> None:
    """Else the obstacles of the tests around would prove nothing."""
    world = World(deletionPolicy=policy)
    if policy == "DeleteIfEmpty":
        require_blocked(world, "NotEmpty")
        del world.store.buckets[BUCKET].objects["uploads/a"]
    assert world.release() is None
    assert (world.store.buckets, world.store.users) == ({}, {})


def unreadable(policy: str) -> World:
    world = World(deletionPolicy=policy)
    world.spec["uploads"] = {"maxBytes": "many"}
    return world


@pytest.mark.parametrize("policy", ["DeleteIfEmpty", "Destroy"])
def test_a_spec_that_cannot_be_read_blocks_until_abandoned(policy: str) -> None:
    world = unreadable(policy)
    message = require_blocked(world, "SpecUnreadable")
    assert "uploads.maxBytes" in message
    assert f"annotate {ABANDON_ANNOTATION}=true" in message
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "SpecUnreadable")
    world.cluster.change_annotations(MEDIA, {ABANDON_ANNOTATION: "yes"})
    assert world.release() is not None, "a typo is no yes"
    world.cluster.change_annotations(MEDIA, {ABANDON_ANNOTATION: "true"})
    assert world.release() is None
    assert world.written() == []
    assert world.store.buckets[BUCKET].objects["uploads/a"] == b"kept"


def test_a_spec_that_cannot_be_read_is_released_by_retain() -> None:
    world = unreadable("Destroy")
    require_blocked(world, "SpecUnreadable")
    world.spec["deletionPolicy"] = "Retain"
    assert world.release() is None
    assert world.written() == []
