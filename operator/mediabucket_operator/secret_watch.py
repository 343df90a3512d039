"""Notices that the credentials of an ObjectStore were replaced, by name and without watching any Secrets."""

import threading

from mediabucket_api.constants import OBJECT_STORE_KIND
from mediabucket_operator.cluster import Cluster, Manifest, Reference


class SecretVersions:
    """Safe to share between threads."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._lock = threading.Lock()
        self._versions: dict[str, str | None] = {}

    def follow(self, store: str) -> None:
        with self._lock:
            self._versions.setdefault(store, None)

    def forget(self, store: str) -> None:
        with self._lock:
            self._versions.pop(store, None)

    def changed(self) -> list[str]:
        """The ObjectStores whose Secret is another one than when last asked. Raises ClusterError."""
        with self._lock:
            known = dict(self._versions)
        changed = []
        for store, last in known.items():
            manifest = self._cluster.get(Reference(OBJECT_STORE_KIND, "", store)) or {}
            version = self._version(manifest)
            # At first what the store was probed with counts: the Secret may have changed while nobody looked.
            before = last if last is not None else (manifest.get("status") or {}).get("credentialsVersion")
            if before not in (None, version):
                changed.append(store)
            with self._lock:
                if store in self._versions:
                    self._versions[store] = version
        return changed

    def _version(self, store: Manifest) -> str:
        """Of the Secret that the ObjectStore names now; "" when there is none."""
        reference = (store.get("spec") or {}).get("credentialsSecretRef") or {}
        if reference.get("namespace") != self._namespace:
            return ""
        secret = self._cluster.get(Reference("Secret", self._namespace, reference["name"]))
        return "" if secret is None else f"{secret['metadata']['uid']}/{secret['metadata']['resourceVersion']}"
