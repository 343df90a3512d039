"""An operator without kopf on a store in memory that does not answer when a test says so, and a clock of the test's."""

import base64
import threading
from typing import Any

from memory_world import Faults, MemoryBucket, MemoryCluster, MemoryStore

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.constants import (
    API_VERSION,
    CONFIRM_DESTROY_ANNOTATION,
    FINALIZER,
    MEDIA_BUCKET_KIND,
    OBJECT_STORE_KIND,
)
from mediabucket_operator.cluster import Reference
from mediabucket_operator.liveness import Pulse
from mediabucket_operator.operator_core import Operator
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.visit import Environment
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import StoreUnavailable
from mediabucket_s3.identities import IdentityAdmin

NAMESPACE = "mediabucket-system"
STORE = Reference(OBJECT_STORE_KIND, "", "store")


class SilentStore(MemoryStore):
    """`asked` is what it was asked for. `silent` gives no answer; `thawed` is waited for before every answer."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self.asked: list[str] = []
        self.silent: set[str] = set()
        self.thawed = threading.Event()
        self.thawed.set()

    def ask(self, what: str) -> None:
        self.asked.append(what)
        assert self.thawed.wait(30)
        if what in self.silent:
            raise StoreUnavailable(what, "ReadTimeoutError", detail=f"call {len(self.asked)}")

    def admin(self, connection: StoreConnection, bucket: str) -> BucketAdmin:
        del connection
        return _SilentBucket(self, bucket)

    def identities(self, connection: StoreConnection, endpoint: str | None) -> IdentityAdmin:
        self.ask("identities")
        return super().identities(connection, endpoint)

    def walk_upload_path(self, connection: BucketConnection) -> None:
        self.ask("canary")
        super().walk_upload_path(connection)


class _SilentBucket(MemoryBucket):
    def __init__(self, store: SilentStore, bucket: str) -> None:
        super().__init__(store, bucket)
        self._silent = store

    def exists(self) -> bool:
        self._silent.ask("bucket")
        return super().exists()


class OperatorWorld:
    """Its `operator` was started when the clock was 0, until `start_again`; `soon` is whom it asked to visit."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.cluster, self.store = MemoryCluster(self.faults), SilentStore(self.faults)
        self.now = 0.0
        self.soon: list[Reference] = []
        keys = {"AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": "secret"}
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in keys.items()}
        secret = {"namespace": NAMESPACE, "name": "keys"}
        self.cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": secret, "data": encoded})
        spec = {"endpoint": "https://store", "credentialsSecretRef": secret, "limits": {"allowDestroy": "Allowed"}}
        metadata = {"name": STORE.name}
        self.cluster.put({"apiVersion": API_VERSION, "kind": OBJECT_STORE_KIND, "metadata": metadata, "spec": spec})
        self.start_again()

    def start_again(self) -> None:
        """The process was killed, and the next one has seen all that there is."""
        settings = OperatorSettings(namespace=NAMESPACE)
        environment = Environment(self.cluster, self.store, settings, "cluster-1")
        self.operator = Operator(environment, lambda found, _: self.soon.append(found), Pulse(), lambda: self.now)
        for manifest in self.cluster.list(MEDIA_BUCKET_KIND):
            self.operator.fleet.note(manifest)

    def apply(self, name: str, policy: str = "Destroy", **spec: Any) -> Reference:
        """Its bucket has the same name."""
        annotations = {CONFIRM_DESTROY_ANNOTATION: name}
        metadata = {"name": name, "namespace": "team", "finalizers": [FINALIZER], "annotations": annotations}
        wanted = {"storeRef": {"name": STORE.name}, "bucketName": name, "deletionPolicy": policy, **spec}
        wanted.setdefault("service", {"state": "Disabled"})
        manifest = {"apiVersion": API_VERSION, "kind": MEDIA_BUCKET_KIND, "metadata": metadata, "spec": wanted}
        self.operator.fleet.note(self.cluster.put(manifest))
        return Reference(MEDIA_BUCKET_KIND, "team", name)

    def make(self, name: str, policy: str = "Destroy") -> Reference:
        """One that is ready."""
        reference = self.apply(name, policy)
        self.operator.visit(reference)
        assert self.condition(reference, "Ready")["status"] == "True"
        return reference

    def delete(self, reference: Reference) -> None:
        self.cluster.objects[reference]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    def condition(self, reference: Reference, kind: str) -> dict[str, Any]:
        conditions = self.cluster.objects[reference].get("status", {}).get("conditions", [])
        return next((found for found in conditions if found["type"] == kind), {})
