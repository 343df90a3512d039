"""A store and an API server in memory, whole enough for the operator, that fail at any call a test names."""

import itertools
import pickle
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from pydantic import SecretStr

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.constants import OWNER_MARKER_KEY
from mediabucket_api.status import Capability
from mediabucket_operator.cluster import ClusterUnavailable, Conflict, Manifest, Reference
from mediabucket_s3.admin import BucketAdmin, Document
from mediabucket_s3.errors import BucketMissing, BucketNotEmpty, BucketTaken, IdentityMissing, StoreUnavailable
from mediabucket_s3.identities import AccessKeyInfo, IdentityAdmin, NewAccessKey

# What every key that the store issues begins with.
ISSUED_SECRET = "canary-of-an-issued-key"

Result = TypeVar("Result")


def copied(document: Result) -> Result:
    """A copy that shares nothing; copy.deepcopy takes eight times as long, which was half of the fault sweep."""
    copy: Result = pickle.loads(pickle.dumps(document, pickle.HIGHEST_PROTOCOL))
    return copy


class Fault(Enum):
    """How a call fails. A lost response: what was asked for was done, and nobody was told."""

    REFUSED = "refused"
    LOST = "response lost"
    CONFLICT = "conflict"


@dataclass
class Faults:
    """Numbers all writes, of the store and of the API server, and lets some of them fail."""

    plan: dict[int, Fault] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    def store_write(self, what: str, act: Callable[[], Result]) -> Result:
        fault = self._next(f"store {what}")
        if fault in (Fault.REFUSED, Fault.CONFLICT):
            raise StoreUnavailable(what, "ServiceUnavailable", 503)
        result = act()
        if fault == Fault.LOST:
            raise StoreUnavailable(what, "ReadTimeoutError")
        return result

    def cluster_write(self, what: str, act: Callable[[], Result]) -> Result:
        fault = self._next(f"cluster {what}")
        if fault == Fault.CONFLICT:
            raise Conflict(what, 409, "the object has been modified")
        if fault == Fault.REFUSED:
            raise ClusterUnavailable(what, 500, "etcdserver: request timed out")
        result = act()
        if fault == Fault.LOST:
            raise ClusterUnavailable(what, None, "ReadTimeoutError")
        return result

    def _next(self, what: str) -> Fault | None:
        self.writes.append(what)
        return self.plan.get(len(self.writes) - 1)


@dataclass
class Bucket:
    objects: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class User:
    policies: dict[str, Document] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)


@dataclass
class MemoryStore:
    """Implements the operator's `Stores`."""

    faults: Faults
    buckets: dict[str, Bucket] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def admin(self, connection: StoreConnection, bucket: str) -> BucketAdmin:
        del connection
        return MemoryBucket(self, bucket)

    def identities(self, connection: StoreConnection, endpoint: str | None) -> IdentityAdmin:
        del connection, endpoint
        return MemoryIdentities(self)

    def probe(
        self, connection: StoreConnection, bucket: str, iam_endpoint: str | None, now: datetime
    ) -> tuple[Capability, ...]:
        raise AssertionError(f"no test in memory probes a store: {connection.endpoint} {bucket} {iam_endpoint} {now}")

    def walk_upload_path(self, connection: BucketConnection) -> None:
        """The key must be one that works."""
        if not any(connection.store.access_key_id in user.keys for user in self.users.values()):
            raise AssertionError("the upload path was walked with a key that does not exist")


class MemoryBucket(BucketAdmin):
    """Every method of the real one, on a dictionary."""

    def __init__(self, store: MemoryStore, bucket: str) -> None:
        super().__init__(None, bucket)
        self._store = store

    def _found(self) -> Bucket:
        if self.bucket not in self._store.buckets:
            raise BucketMissing("HeadBucket", "NoSuchBucket", 404, resource=self.bucket)
        return self._store.buckets[self.bucket]

    def _write(self, what: str, act: Callable[[], None]) -> None:
        self._store.faults.store_write(f"{what} {self.bucket}", act)

    def _set(self, name: str, value: Any) -> None:
        self._write(f"put {name}", lambda: self._found().settings.update({name: copied(value)}))

    def _unset(self, name: str) -> None:
        self._write(f"delete {name}", lambda: void(self._found().settings.pop(name, None)))

    def _get(self, name: str) -> Any:
        return copied(self._found().settings.get(name))

    def exists(self) -> bool:
        return self.bucket in self._store.buckets

    def create(self, region: str, tags: dict[str, str]) -> None:
        del region, tags  # as stores do that ignore the tags of CreateBucket

        def act() -> None:
            if self.bucket in self._store.buckets:
                raise BucketTaken("CreateBucket", "BucketAlreadyExists", 409, resource=self.bucket)
            self._store.buckets[self.bucket] = Bucket()

        self._write("create", act)

    def delete(self) -> None:
        if set(self._found().objects) - {OWNER_MARKER_KEY}:
            raise BucketNotEmpty("DeleteBucket", "BucketNotEmpty", 409, resource=self.bucket)
        self._write("delete", lambda: void(self._store.buckets.pop(self.bucket)))

    def delete_everything(self, go_on: Callable[[], None] = lambda: None) -> None:
        for key in sorted(self._found().objects):
            go_on()
            self._write(f"delete object {key} of", lambda key=key: void(self._found().objects.pop(key, None)))  # type: ignore[misc]

    def delete_every_version(self, key: str) -> None:
        if key in self._found().objects:
            self._write(f"delete object {key} of", lambda: void(self._found().objects.pop(key, None)))

    def is_empty(self) -> bool:
        return not self._found().objects

    def first_keys(self) -> list[str]:
        return sorted(self._found().objects)

    def get_tags(self) -> dict[str, str]:
        return dict(self._found().tags)

    def put_tags(self, tags: dict[str, str]) -> None:
        self._write("put tags", lambda: setattr(self._found(), "tags", dict(tags)))

    def get_policy(self) -> Document | None:
        found: Document | None = self._get("policy")
        return found

    def put_policy(self, policy: Document) -> None:
        self._set("policy", policy)

    def delete_policy(self) -> None:
        self._unset("policy")

    def get_cors(self) -> list[Document]:
        return self._get("cors") or []

    def put_cors(self, rules: list[Document]) -> None:
        self._set("cors", rules)

    def delete_cors(self) -> None:
        self._unset("cors")

    def get_lifecycle(self) -> list[Document]:
        return self._get("lifecycle") or []

    def put_lifecycle(self, rules: list[Document]) -> None:
        self._set("lifecycle", rules)

    def delete_lifecycle(self) -> None:
        self._unset("lifecycle")

    def get_encryption(self) -> Document | None:
        found: Document | None = self._get("encryption")
        return found

    def put_encryption(self, configuration: Document) -> None:
        self._set("encryption", configuration)

    def delete_encryption(self) -> None:
        self._unset("encryption")

    def get_versioning(self) -> str:
        return self._get("versioning") or "Disabled"

    def put_versioning(self, status: str) -> None:
        self._set("versioning", status)

    def get_public_access_block(self) -> Document | None:
        found: Document | None = self._get("public_access_block")
        return found

    def put_public_access_block(self, configuration: Document) -> None:
        self._set("public_access_block", configuration)

    def delete_public_access_block(self) -> None:
        self._unset("public_access_block")

    def read_object(self, key: str) -> bytes | None:
        return self._found().objects.get(key)

    def write_object(self, key: str, content: bytes, content_type: str) -> None:
        del content_type
        self._write(f"write object {key} of", lambda: self._found().objects.update({key: content}))


class MemoryIdentities(IdentityAdmin):
    """Every method of the real one, on a dictionary. Two keys a user, as AWS has it."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(None)
        self._store = store

    def _user(self, user: str) -> User:
        if user not in self._store.users:
            raise IdentityMissing("GetUser", "NoSuchEntity", 404, resource=user)
        return self._store.users[user]

    def _write(self, what: str, act: Callable[[], Result]) -> Result:
        return self._store.faults.store_write(what, act)

    def user_exists(self, user: str) -> bool:
        return user in self._store.users

    def create_user(self, user: str, tags: dict[str, str]) -> None:
        del tags
        self._write("create user", lambda: void(self._store.users.setdefault(user, User())))

    def delete_user(self, user: str) -> None:
        """Key by key and policy by policy, as the real one."""
        if user not in self._store.users:
            return
        for key in list(self._store.users[user].keys):
            self.delete_access_key(user, key)
        for name in list(self._store.users[user].policies):
            self.delete_policy(user, name)
        self._write("delete user", lambda: void(self._store.users.pop(user)))

    def list_users(self, prefix: str) -> list[str]:
        return sorted(user for user in self._store.users if user.startswith(prefix))

    def get_policy(self, user: str, name: str) -> Document | None:
        return copied(self._user(user).policies.get(name))

    def put_policy(self, user: str, name: str, document: Document) -> None:
        self._write("put user policy", lambda: self._user(user).policies.update({name: copied(document)}))

    def delete_policy(self, user: str, name: str) -> None:
        self._write("delete user policy", lambda: void(self._user(user).policies.pop(name, None)))

    def list_access_keys(self, user: str) -> list[AccessKeyInfo]:
        return [AccessKeyInfo(key) for key in self._user(user).keys]

    def create_access_key(self, user: str) -> NewAccessKey:
        def act() -> NewAccessKey:
            number = next(self._store.numbers)
            assert len(self._user(user).keys) < 2, "AWS allows two keys a user"
            self._user(user).keys.append(f"AKIA{number:04}")
            return NewAccessKey(f"AKIA{number:04}", SecretStr(f"{ISSUED_SECRET}-{number}"))

        return self._write("create access key", act)

    def delete_access_key(self, user: str, access_key_id: str) -> None:
        def act() -> None:
            if access_key_id in self._user(user).keys:
                self._user(user).keys.remove(access_key_id)

        self._write("delete access key", act)


@dataclass
class MemoryCluster:
    """Implements the operator's `Cluster`: optimistic locking, generations, owners that take their children along."""

    faults: Faults
    objects: dict[Reference, Manifest] = field(default_factory=dict)
    events: list[Manifest] = field(default_factory=list)
    versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    lives: Counter[Reference] = field(default_factory=Counter)

    def get(self, reference: Reference) -> Manifest | None:
        return copied(self.objects.get(reference))

    def list(self, kind: str) -> list[Manifest]:
        return [copied(found) for reference, found in self.objects.items() if reference.kind == kind]

    def apply(self, manifest: Manifest) -> Manifest:
        return self.faults.cluster_write(f"apply {Reference.of(manifest)}", lambda: self.put(manifest))

    def delete(self, reference: Reference) -> None:
        self.faults.cluster_write(f"delete {reference}", lambda: void(self.objects.pop(reference, None)))

    def update_status(self, manifest: Manifest) -> Manifest:
        reference = Reference.of(manifest)

        def act() -> Manifest:
            live = self.objects.get(reference)
            version = manifest["metadata"]["resourceVersion"]
            if live is None or live["metadata"]["resourceVersion"] != version:
                raise Conflict(f"update {reference}", 409, "the object has been modified")
            live["status"] = copied(manifest["status"])
            live["metadata"]["resourceVersion"] = str(next(self.versions))
            return copied(live)

        return self.faults.cluster_write(f"write the status of {reference}", act)

    def annotate(self, reference: Reference, annotations: Mapping[str, str | None]) -> None:
        self.faults.cluster_write(f"annotate {reference}", lambda: self.change_annotations(reference, annotations))

    def create_event(self, event: Manifest) -> None:
        self.faults.cluster_write("post an Event", lambda: self.events.append(event))

    def put(self, manifest: Manifest) -> Manifest:
        """What a user's `kubectl apply` does, and server-side apply without other managers."""
        reference = Reference.of(manifest)
        live = self.objects.get(reference)
        metadata = {
            "uid": self._new_uid(reference) if live is None else live["metadata"]["uid"],
            "generation": 1 if live is None else live["metadata"]["generation"],
            "creationTimestamp": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            **copied(manifest["metadata"]),
        }
        fresh = {**copied(manifest), "metadata": metadata}
        if live is not None:
            fresh["status"] = live.get("status", {})
            if live.get("spec") != fresh.get("spec"):
                metadata["generation"] = live["metadata"]["generation"] + 1
        metadata["resourceVersion"] = str(next(self.versions))
        self.objects[reference] = fresh
        return copied(fresh)

    def _new_uid(self, reference: Reference) -> str:
        """The same in every run, and another one in each life of the object."""
        self.lives[reference] += 1
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{reference} {self.lives[reference]}"))

    def change_annotations(self, reference: Reference, annotations: Mapping[str, str | None]) -> None:
        live = self.objects[reference]
        merged = {**live["metadata"].get("annotations", {}), **annotations}
        live["metadata"]["annotations"] = {name: value for name, value in merged.items() if value is not None}
        live["metadata"]["resourceVersion"] = str(next(self.versions))

    def remove(self, reference: Reference) -> None:
        """The finalizer is gone, and the garbage collector follows."""
        owner = self.objects.pop(reference)["metadata"]["uid"]
        for other, manifest in list(self.objects.items()):
            if any(found["uid"] == owner for found in manifest["metadata"].get("ownerReferences", [])):
                del self.objects[other]


def void(_: object) -> None:
    """For expressions whose value nobody wants."""
