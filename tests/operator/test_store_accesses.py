"""Many visits at once read their store once; none that was asked for by a change of the store sees the old one."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from memory_world import Faults, MemoryCluster, MemoryStore

from mediabucket_api.constants import API_VERSION
from mediabucket_operator.cluster import Manifest, Reference
from mediabucket_operator.guard import StoreRefused
from mediabucket_operator.liveness import Pulse
from mediabucket_operator.operator_core import Operator
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.store_accesses import StoreAccesses
from mediabucket_operator.visit import Environment

NAMESPACE = "mediabucket-system"
KEPT_SECONDS = 1.0


class CountingCluster(MemoryCluster):
    """Counts what is read; `while_reading` happens after the answer is made and before it arrives."""

    reads = 0
    while_reading: Callable[[], None] = staticmethod(lambda: None)

    def get(self, reference: Reference) -> Manifest | None:
        self.reads += 1
        found = super().get(reference)
        self.while_reading()
        return found


@dataclass
class World:
    now: float = 100.0
    cluster: CountingCluster = field(default_factory=lambda: CountingCluster(Faults()))

    def __post_init__(self) -> None:
        self.accesses = StoreAccesses(KEPT_SECONDS, lambda: self.now)
        keys = {name: base64.b64encode(b"x").decode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        metadata = {"name": "keys", "namespace": NAMESPACE}
        self.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": keys})

    def apply_store(self, endpoint: str) -> None:
        credentials = {"namespace": NAMESPACE, "name": "keys"}
        spec = {"endpoint": endpoint, "credentialsSecretRef": credentials}
        store = {"apiVersion": API_VERSION, "kind": "ObjectStore", "metadata": {"name": "store"}, "spec": spec}
        self.cluster.put(store)

    def endpoint(self) -> str:
        return self.accesses.get("store", self.cluster, NAMESPACE).connection.endpoint


@pytest.fixture
def world() -> World:
    made = World()
    made.apply_store("https://old")
    return made


def test_many_visits_at_once_read_the_store_once(world: World) -> None:
    assert {world.endpoint() for _ in range(100)} == {"https://old"}
    assert world.cluster.reads == 2  # the ObjectStore and its Secret


def test_a_change_is_seen_after_a_moment(world: World) -> None:
    world.endpoint()
    world.apply_store("https://new")
    world.now += KEPT_SECONDS
    assert world.endpoint() == "https://new"


def test_who_is_visited_because_the_store_changed_sees_the_change(world: World) -> None:
    settings, store = OperatorSettings(namespace=NAMESPACE), MemoryStore(Faults())
    environment = Environment(world.cluster, store, settings, "cluster-1", accesses=world.accesses)
    operator = Operator(environment, lambda _reference, _delay: None, Pulse())
    world.endpoint()
    world.apply_store("https://new")
    operator.store_gone("store")
    assert world.endpoint() == "https://new"


def test_what_was_read_before_the_change_is_not_kept_after_it(world: World) -> None:
    def change() -> None:
        world.cluster.while_reading = lambda: None
        world.apply_store("https://new")
        world.accesses.forget("store")

    world.cluster.while_reading = change
    assert world.endpoint() == "https://old"
    assert world.endpoint() == "https://new"


def test_a_store_that_is_missing_is_looked_for_again(world: World) -> None:
    world.cluster.remove(Reference("ObjectStore", "", "store"))
    with pytest.raises(StoreRefused):
        world.endpoint()
    world.apply_store("https://new")
    assert world.endpoint() == "https://new"
