"""Every write of every scenario fails once, in every way, and once more on the way back: the end is always the same.

A clean run counts the writes. Then one run for each of them, failing that call: refused, refused with a conflict, or
done with the response lost. Whatever happened, the operator must reach the end of the clean run, and then be silent.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from memory_world import ISSUED_SECRET, Bucket, Fault, Faults, MemoryCluster, MemoryStore

from mediabucket_api.constants import API_VERSION, FINALIZER, OWNER_TAG
from mediabucket_operator.cluster import ClusterError, Reference
from mediabucket_operator.deletion import release
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.store_visit import sweep
from mediabucket_operator.visit import Environment, visit

pytestmark = pytest.mark.takes_minutes(4)

NAMESPACE = "mediabucket-system"
ADMINISTRATOR_SECRET = "canary-of-the-administrator"
MEDIA = Reference("MediaBucket", "team-a", "media")
OTHER = Reference("MediaBucket", "team-b", "media")
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PASSES = 30
# What differs from run to run without meaning anything.
VOLATILE = ("resourceVersion", "uid", "generation", "creationTimestamp")


@dataclass
class World:
    faults: Faults = field(default_factory=Faults)
    now: datetime = START
    protects: bool = True

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.faults)
        self.cluster = MemoryCluster(self.faults)
        settings = OperatorSettings(namespace=NAMESPACE, service_image="service:1")
        self.environment = Environment(self.cluster, self.store, settings, "cluster-1", lambda: self.now)
        self.cluster.put(
            _secret(NAMESPACE, "keys", AWS_ACCESS_KEY_ID="admin", AWS_SECRET_ACCESS_KEY=ADMINISTRATOR_SECRET)
        )
        self.cluster.put(_secret("team-a", "database", url="postgresql://"))
        self.cluster.put(
            {
                "apiVersion": API_VERSION,
                "kind": "ObjectStore",
                "metadata": {"name": "store"},
                "spec": {
                    "endpoint": "https://store",
                    "credentialsSecretRef": {"namespace": NAMESPACE, "name": "keys"},
                    "limits": {"allowDestroy": "Allowed", "allowAdoption": "Allowed"},
                },
            }
        )

    def apply(self, reference: Reference = MEDIA, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        metadata = {"name": reference.name, "namespace": reference.namespace, "annotations": annotations or {}}
        metadata["finalizers"] = [FINALIZER] if self.protects else []
        wanted = {"storeRef": {"name": "store"}, "bucketName": "media-bucket", "service": {"state": "Disabled"}, **spec}
        self.cluster.put({"apiVersion": API_VERSION, "kind": "MediaBucket", "metadata": metadata, "spec": wanted})

    def ask_to_delete(self, reference: Reference = MEDIA) -> None:
        self.cluster.objects[reference]["metadata"]["deletionTimestamp"] = START.isoformat()

    def one_pass(self) -> bool:
        """What the operator does when everything is due; whether it went without an error and without a write."""
        before, quiet = len(self.faults.writes), True
        for reference in [reference for reference in self.cluster.objects if reference.kind == "MediaBucket"]:
            try:
                self._attend(reference)
            except ClusterError:
                quiet = False
        sweep(self.environment, "store")
        return quiet and len(self.faults.writes) == before

    def settle(self) -> None:
        """Pass after pass until nothing is left to do."""
        for _ in range(PASSES):
            if self.one_pass():
                return
        raise AssertionError(f"still busy after {PASSES} passes: {self.faults.writes[-10:]}")

    def snapshot(self) -> dict[str, Any]:
        """Both sides, without what differs from run to run."""
        objects = {str(reference): _stable(manifest) for reference, manifest in self.cluster.objects.items()}
        buckets = {name: (bucket.objects, bucket.tags, bucket.settings) for name, bucket in self.store.buckets.items()}
        users = {name: (len(user.keys), user.policies) for name, user in self.store.users.items()}
        return json.loads(json.dumps([objects, buckets, users], sort_keys=True, default=repr))  # type: ignore[no-any-return]

    def keys_in_secret(self) -> set[str]:
        found = self.cluster.get(Reference("Secret", "team-a", "media-media"))
        if found is None:
            return set()
        annotations = found["metadata"]["annotations"]
        keys = {base64.b64decode(found["data"]["AWS_ACCESS_KEY_ID"]).decode()}
        return keys | {annotations[name] for name in annotations if name.endswith("/retiring-key-id")}

    def _attend(self, reference: Reference) -> None:
        manifest = self.cluster.get(reference)
        if manifest is None:
            return
        if not manifest["metadata"].get("deletionTimestamp"):
            visit(self.environment, reference)
        elif release(self.environment, reference) is None:
            self.cluster.remove(reference)


Step = Callable[[World], None]


def edit_every_aspect(world: World) -> None:
    world.apply(
        publicAccess="PublicRead",
        cors={"allowedOrigins": ["https://app.example.com"], "maxAgeSeconds": 60},
        lifecycle={"expirePendingDays": 3, "abortIncompleteMultipartDays": 2, "expireNoncurrentDays": 9},
        encryption={"type": "SSES3"},
        versioning="Enabled",
        tags=[{"key": "team", "value": "a"}],
        uploads={"maxBytes": 1000},
        service={
            "state": "Enabled",
            "replicas": {"min": 2, "max": 4},
            "database": {"secretRef": {"name": "database"}},
            "exposure": {"type": "Ingress", "host": "media.example.com"},
        },
    )


SERVED: dict[str, Any] = {
    "state": "Enabled",
    "replicas": {"min": 1, "max": 1},
    "database": {"secretRef": {"name": "database"}},
}


def serve(world: World) -> None:
    world.apply(service=SERVED)


def rotate(world: World) -> None:
    world.apply(annotations={"mediabucket.dev/rotate-credentials": "1"})


def rotate_while_serving(world: World) -> None:
    world.apply(annotations={"mediabucket.dev/rotate-credentials": "1"}, service=SERVED)


def roll_out(world: World) -> None:
    """Play the Deployment's controller: every Pod runs what was last applied."""
    deployment = world.cluster.objects[Reference("Deployment", "team-a", "media-media")]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), 1)
    deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"], **counts}


def the_database_secret_goes(world: World) -> None:
    world.cluster.remove(Reference("Secret", "team-a", "database"))


def a_day_later(world: World) -> None:
    world.now += timedelta(hours=25)


def somebody_elses_bucket(world: World) -> None:
    world.store.buckets["media-bucket"] = Bucket(objects={"theirs": b"1"}, tags={"team": "b"})


def another_resource(world: World) -> None:
    world.apply(OTHER)


def upload(world: World) -> None:
    world.store.buckets["media-bucket"].objects["uploads/a"] = b"1"


SCENARIOS: dict[str, list[Step]] = {
    "create": [lambda world: world.apply()],
    "create with a service": [edit_every_aspect],
    "edit every aspect": [
        lambda world: world.apply(),
        edit_every_aspect,
        serve,
        lambda world: world.apply(versioning="Suspended"),
    ],
    "rotate": [lambda world: world.apply(), rotate, a_day_later],
    "rotate with a service": [serve, roll_out, rotate_while_serving, a_day_later, roll_out],
    "rotate, then the database Secret goes": [
        serve,
        roll_out,
        rotate_while_serving,
        the_database_secret_goes,
        a_day_later,
    ],
    "rotate by age": [
        lambda world: world.apply(),
        lambda world: setattr(world, "now", world.now + timedelta(days=91)),
        a_day_later,
    ],
    "delete, Retain": [lambda world: world.apply(), upload, World.ask_to_delete],
    "delete, Retain, apply again": [lambda world: world.apply(), World.ask_to_delete, lambda world: world.apply()],
    "delete, DeleteIfEmpty": [lambda world: world.apply(deletionPolicy="DeleteIfEmpty"), World.ask_to_delete],
    "delete, DeleteIfEmpty, not empty": [
        lambda world: world.apply(deletionPolicy="DeleteIfEmpty"),
        upload,
        World.ask_to_delete,
    ],
    "delete, Destroy": [
        lambda world: world.apply(
            annotations={"mediabucket.dev/confirm-destroy": "media-bucket"}, deletionPolicy="Destroy"
        ),
        upload,
        World.ask_to_delete,
    ],
    "delete, Destroy, unconfirmed": [lambda world: world.apply(deletionPolicy="Destroy"), upload, World.ask_to_delete],
    "adopt": [somebody_elses_bucket, lambda world: world.apply(adoptionPolicy="Adopt")],
    "foreign owner": [lambda world: world.apply(), another_resource],
    "a bucket of nobody": [somebody_elses_bucket, lambda world: world.apply()],
}


def play(steps: list[Step], plan: dict[int, Fault]) -> World:
    world = World(Faults(plan))
    for step in steps:
        step(world)
        world.settle()
    return world


def require_silence(world: World) -> None:
    before = len(world.faults.writes)
    for _ in range(3):
        assert world.one_pass()
    assert len(world.faults.writes) == before


@pytest.mark.parametrize("name", SCENARIOS)
def test_one_fault_anywhere_changes_nothing(name: str) -> None:
    steps = SCENARIOS[name]
    clean = play(steps, {})
    require_silence(clean)
    end = clean.snapshot()
    for position, write in enumerate(clean.faults.writes):
        for fault in Fault:
            world = play(steps, {position: fault})
            assert world.snapshot() == end, f"{write} ({position}): {fault.value}"
            require_silence(world)
            require_keys_kept(world)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_second_fault_on_the_way_back_changes_nothing(name: str) -> None:
    steps = SCENARIOS[name]
    clean = play(steps, {})
    end = clean.snapshot()
    for position, write in enumerate(clean.faults.writes):
        for distance in (1, 2, 3):
            for first, second in ((Fault.LOST, Fault.LOST), (Fault.LOST, Fault.REFUSED), (Fault.REFUSED, Fault.LOST)):
                world = play(steps, {position: first, position + distance: second})
                assert world.snapshot() == end, f"{write} ({position}, +{distance}): {first.value}, {second.value}"
                require_silence(world)
                require_keys_kept(world)


def test_a_service_that_is_withdrawn_before_anybody_knew_of_it_goes() -> None:
    """Its objects are made, and the status that tells of it is not written yet."""
    end = kept_objects(play([serve, World.apply], {}))
    assert str(Reference("Deployment", "team-a", "media-media")) not in end
    for position, write in enumerate(play([serve], {}).faults.writes):
        for fault in Fault:
            world = World(Faults({position: fault}))
            serve(world)
            world.one_pass()
            world.apply()
            world.settle()
            assert kept_objects(world) == end, f"{write} ({position}): {fault.value}"


def kept_objects(world: World) -> set[str]:
    """All but Events, which tell how it came to this."""
    return {str(reference) for reference in world.cluster.objects if reference.kind != "Event"}


def test_a_foreign_bucket_gets_no_write() -> None:
    world = play(SCENARIOS["a bucket of nobody"], {})
    assert world.store.buckets["media-bucket"] == Bucket(objects={"theirs": b"1"}, tags={"team": "b"})
    assert not [write for write in world.faults.writes if write.startswith("store")]


def test_a_replaced_key_outlives_the_last_pod_that_runs_with_it() -> None:
    ends = {name: play(SCENARIOS[name], {}) for name in SCENARIOS if name.startswith("rotate")}
    left = {name: len(world.keys_in_secret()) for name, world in ends.items()}
    assert left == {
        "rotate": 1,
        "rotate with a service": 1,
        # Nobody can roll out the new key: the old Pods need theirs for as long as it takes.
        "rotate, then the database Secret goes": 2,
        "rotate by age": 1,
    }
    conditions = ends["rotate, then the database Secret goes"].cluster.objects[MEDIA]["status"]["conditions"]
    told = {condition["type"]: condition["reason"] for condition in conditions}
    assert (told["ServiceAvailable"], told["CredentialsReady"]) == ("SecretMissing", "Rotating")


@pytest.mark.parametrize("service", [{}, {"state": "Enabled"}])
def test_a_rotation_without_a_database_ends_no_visit(service: dict[str, Any]) -> None:
    world = World()
    world.apply(service=service)
    world.settle()
    world.apply(service=service, annotations={"mediabucket.dev/rotate-credentials": "1"})
    world.settle()
    assert len(world.keys_in_secret()) == 2
    require_silence(world)
    # There never was a Pod: nothing runs with the replaced key.
    a_day_later(world)
    world.settle()
    assert len(world.keys_in_secret()) == 1
    require_silence(world)


def test_applied_again_it_is_another_object_that_takes_its_former_bucket() -> None:
    world = play(SCENARIOS["delete, Retain, apply again"], {})
    assert world.cluster.lives[MEDIA] == 2
    uid = world.cluster.objects[MEDIA]["metadata"]["uid"]
    assert world.store.buckets["media-bucket"].tags[OWNER_TAG] == uid
    assert [user.endswith(uid) for user in world.store.users] == [True]


def test_nothing_is_made_for_an_object_that_could_vanish_at_once() -> None:
    """Between its creation and its finalizer a change of its ObjectStore may bring a visit to it."""
    world = World(protects=False)
    world.apply()
    world.settle()
    assert (world.faults.writes, world.store.buckets) == ([], {})
    world.protects = True
    world.apply()
    world.settle()
    assert set(world.store.buckets) == {"media-bucket"}


def require_keys_kept(world: World) -> None:
    """Every key of every user is one that the Secret names: what a crash left behind is gone. None is told."""
    if MEDIA in world.cluster.objects:
        keys = {key for user in world.store.users.values() for key in user.keys}
        assert keys == world.keys_in_secret()
    others = [found for reference, found in world.cluster.objects.items() if reference.kind != "Secret"]
    told = json.dumps([others, world.cluster.events])
    assert not [secret for secret in (ADMINISTRATOR_SECRET, ISSUED_SECRET) if secret in told]


def _secret(namespace: str, name: str, **values: str) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name}, "data": data}


def _stable(value: Any) -> Any:
    """Without versions and times; keys by their role, not by their number; the hash of all that likewise."""
    if isinstance(value, dict):
        return {name: _stable(item) for name, item in value.items() if name not in VOLATILE and not _is_volatile(name)}
    if isinstance(value, list):
        return [_stable(item) for item in value]
    return "KEY" if isinstance(value, str) and "AKIA" in _plain(value) else value


def _is_volatile(name: str) -> bool:
    # A secret's value, hashes over it, and times that depend on how often something had to be tried.
    return name in (
        "AWS_SECRET_ACCESS_KEY",
        "COSI_S3_ACCESS_SECRET_KEY",
        "lastTransitionTime",
        "observedGeneration",
    ) or (name.endswith(("/applied", "/checksum")))


def _plain(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return text
