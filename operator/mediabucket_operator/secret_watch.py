"""Notices that the credentials of an ObjectStore were replaced, by name and without watching any Secrets."""

import threading
from dataclasses import dataclass

from mediabucket_api.constants import OBJECT_STORE_KIND
from mediabucket_operator.cluster import Cluster, Manifest, Reference
from mediabucket_operator.guard import OWN_IDENTITY


@dataclass(frozen=True)
class SecretSeen:
    """The version of the Secret that is there, and of the one that the store was probed with; "" for none."""

    present: str
    probed: str


class SecretVersions:
    """Safe to share between threads."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._lock = threading.Lock()
        self._stores: dict[str, SecretSeen | None] = {}

    def follow(self, store: str) -> None:
        with self._lock:
            self._stores.setdefault(store, None)

    def forget(self, store: str) -> None:
        with self._lock:
            self._stores.pop(store, None)

    def changed(self) -> list[str]:
        """The ObjectStores whose Secret is another one than when last asked, or than they were probed with meanwhile.

        Raises ClusterError.
        """
        with self._lock:
            known = dict(self._stores)
        changed = []
        for store, last in known.items():
            seen = self._look(store)
            if is_news(last, seen):
                changed.append(store)
            with self._lock:
                if store in self._stores:
                    self._stores[store] = seen
        return changed

    def _look(self, store: str) -> SecretSeen:
        manifest = self._cluster.get(Reference(OBJECT_STORE_KIND, "", store)) or {}
        probed = (manifest.get("status") or {}).get("credentialsVersion") or ""
        return SecretSeen(self._version(manifest), probed)

    def _version(self, store: Manifest) -> str:
        """Of the Secret that the ObjectStore names now; "" when there is none."""
        reference = (store.get("spec") or {}).get("credentialsSecretRef")
        if reference is None:
            return OWN_IDENTITY
        if reference.get("namespace") != self._namespace:
            return ""
        secret = self._cluster.get(Reference("Secret", self._namespace, reference["name"]))
        return "" if secret is None else f"{secret['metadata']['uid']}/{secret['metadata']['resourceVersion']}"


def is_news(last: SecretSeen | None, seen: SecretSeen) -> bool:
    """Whether the store should be visited. A visit that was under way when the Secret was replaced writes down the old
    version afterwards; and one that finds bad keys writes down none, which must not lead to a visit at every look.
    """
    if seen == last:
        return False
    replaced = last is not None and last.present != seen.present
    return replaced or seen.probed not in ("", seen.present)
