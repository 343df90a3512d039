"""Reading from an API server without kubectl, of which each process takes a tenth of a second of a core.

Tests look again and again until something has happened: that must not be what the machine is busy with.
"""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import urllib3
from kubernetes import client, config

READ_SECONDS: Final = 30
# https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
# Of the names that several groups have, kubectl means the first of these.
ROOTS: Final = ("/api", "/apis")


class ReadFailed(Exception):
    """The API server did not answer, or said no."""


class KubeReader:
    """The objects of a cluster as whoever a kubeconfig names; kinds by any name that kubectl knows them by."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        configuration.retries = urllib3.Retry(total=0, redirect=0)
        self._api = client.ApiClient(configuration)
        self._kinds: dict[str, dict[str, Any]] = {}

    def find(self, kind: str, name: str, namespace: str | None) -> dict[str, Any] | None:
        """The object; None when there is none. Raises ReadFailed."""
        return self._read(f"{self._collection(kind, namespace or 'default')}/{quote(name)}")

    def list(self, kind: str, namespace: str | None) -> list[dict[str, Any]]:
        """All objects of a kind, of all namespaces unless one is named. Raises ReadFailed."""
        found = self._read(self._collection(kind, namespace)) or {"items": []}
        known = self._kind(kind)
        identity = {"apiVersion": known["api_version"], "kind": known["responseKind"]["kind"]}
        return [identity | item for item in found["items"]]

    def _collection(self, kind: str, namespace: str | None) -> str:
        known = self._kind(kind)
        scope = f"/namespaces/{namespace}" if namespace is not None and known["scope"] == "Namespaced" else ""
        return f"{known['root']}{scope}/{known['resource']}"

    def _kind(self, kind: str) -> dict[str, Any]:
        name = kind.lower()
        if name not in self._kinds:
            # Kinds come with the chart.
            self._kinds = self._discover()
        if name not in self._kinds:
            raise ReadFailed(f"the server has no kind {kind}")
        return self._kinds[name]

    def _discover(self) -> dict[str, dict[str, Any]]:
        kinds: dict[str, dict[str, Any]] = {}
        for root in ROOTS:
            for group in (self._read(root, DISCOVERY) or {})["items"]:
                name = group["metadata"].get("name")
                version = group["versions"][0]
                api_version = f"{name}/{version['version']}" if name else version["version"]
                for resource in version.get("resources", ()):
                    known = resource | {"root": f"{root}/{api_version}", "api_version": api_version}
                    names = (resource["resource"], resource["singularResource"], *resource.get("shortNames", ()))
                    for alias in names:
                        kinds.setdefault(alias, known)
        return kinds

    def _read(self, path: str, accept: str = "application/json") -> dict[str, Any] | None:
        settings: dict[str, Any] = self._api.configuration.auth_settings()
        headers = {entry["key"]: entry["value"] for entry in settings.values() if entry.get("value")}
        try:
            response = self._api.rest_client.pool_manager.request(
                "GET", self._api.configuration.host + path, headers=headers | {"Accept": accept}, timeout=READ_SECONDS
            )
        except urllib3.exceptions.HTTPError as error:
            raise ReadFailed(f"{path}: {error}") from error
        if response.status == 404:
            return None
        if response.status != 200:
            raise ReadFailed(f"{path}: {response.status} {response.data[:500]!r}")
        document: dict[str, Any] = json.loads(response.data)
        return document
