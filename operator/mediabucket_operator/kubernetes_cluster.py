"""The API server through the official client: plain documents in and out, without its 700 generated models."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

from mediabucket_operator.cluster import (
    FIELD_MANAGER,
    RESOURCE_TYPES,
    ClusterUnavailable,
    Conflict,
    Manifest,
    Reference,
    Refused,
    ResourceType,
)

CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 30
LIST_PAGE: Final = 500

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_CONFLICT, _NOT_FOUND, _TOO_MANY = 409, 404, 429


class KubernetesCluster:
    """Implements `Cluster`. `progress` is called after each answer: the process is not stuck."""

    def __init__(self, api: client.ApiClient, progress: Callable[[], None] = lambda: None) -> None:
        self._api = api
        self._progress = progress

    @classmethod
    def connect(cls, connections: int, progress: Callable[[], None] = lambda: None) -> "KubernetesCluster":
        """As the Pod's ServiceAccount, else as the current context of the kubeconfig.

        `connections` is how many threads call at once. Raises kubernetes.config.ConfigException.
        """
        configuration = client.Configuration()
        try:
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except config.ConfigException:
            config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        configuration.connection_pool_maxsize = connections
        # A call that fails is told at once: who called knows whether and when to try again.
        configuration.retries = urllib3.Retry(total=0, redirect=0)
        return cls(client.ApiClient(configuration), progress)

    def get(self, reference: Reference) -> Manifest | None:
        status, answer = self._request("GET", _path(reference), f"read {reference}")
        return None if status == _NOT_FOUND else answer

    def list(self, kind: str) -> list[Manifest]:
        resource_type = RESOURCE_TYPES[kind]
        found: list[Manifest] = []
        after = None
        while after != "":
            query = urlencode({"limit": LIST_PAGE} | ({"continue": after} if after else {}))
            path = f"{resource_type.root}/{resource_type.plural}?{query}"
            _, answer = self._request("GET", path, f"list {resource_type.plural}")
            # Items of a list do not say what they are.
            identity = {"apiVersion": resource_type.api_version, "kind": kind}
            found += [{**identity, **item} for item in answer.get("items", [])]
            after = answer.get("metadata", {}).get("continue", "")
        return found

    def apply(self, manifest: Manifest) -> Manifest:
        reference = Reference.of(manifest)
        path = f"{_path(reference)}?{urlencode({'fieldManager': FIELD_MANAGER, 'force': 'true'})}"
        return self._must("PATCH", path, f"apply {reference}", manifest, _APPLY)

    def delete(self, reference: Reference) -> None:
        self._request("DELETE", _path(reference), f"delete {reference}", {"propagationPolicy": "Background"})

    def update_status(self, manifest: Manifest) -> Manifest:
        reference = Reference.of(manifest)
        return self._must("PUT", f"{_path(reference)}/status", f"write the status of {reference}", manifest)

    def annotate(self, reference: Reference, annotations: Mapping[str, str | None]) -> None:
        patch = {"metadata": {"annotations": dict(annotations)}}
        self._request("PATCH", _path(reference), f"annotate {reference}", patch, _MERGE)

    def create_event(self, event: Manifest) -> None:
        path = f"{_collection(RESOURCE_TYPES['Event'], event['metadata']['namespace'])}"
        self._request("POST", path, "post an Event", event)

    def _must(
        self, method: str, path: str, what: str, body: Manifest, content_type: str = "application/json"
    ) -> Manifest:
        status, answer = self._request(method, path, what, body, content_type)
        if status == _NOT_FOUND:
            raise Refused(what, status, answer.get("message", "there is no such object or kind"))
        return answer

    def _request(
        self, method: str, path: str, what: str, body: Manifest | None = None, content_type: str = "application/json"
    ) -> tuple[int, Manifest]:
        """The status (2xx or 404) and the document of the answer."""
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER} | self._authorization()
        content = None
        if body is not None:
            headers["Content-Type"] = content_type
            content = json.dumps(body).encode()
        try:
            response = self._api.rest_client.pool_manager.request(
                method,
                self._api.configuration.host + path,
                body=content,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS),
            )
        except urllib3.exceptions.HTTPError as error:
            raise ClusterUnavailable(what, None, type(error).__name__) from error
        self._progress()
        return response.status, _understood(what, response.status, response.data)

    def _authorization(self) -> dict[str, str]:
        # Asked for every time: a ServiceAccount's token is replaced while the process runs.
        settings: dict[str, Any] = self._api.configuration.auth_settings()
        return {entry["key"]: entry["value"] for entry in settings.values() if entry.get("value")}


def _understood(what: str, status: int, content: bytes) -> Manifest:
    try:
        answer: Manifest = json.loads(content)
    except ValueError:
        answer = {}
    message = str(answer.get("message") or answer.get("reason") or "no reason given")
    if status < 300 or status == _NOT_FOUND:
        return answer
    if status == _CONFLICT:
        raise Conflict(what, status, message)
    if status == _TOO_MANY or status >= 500:
        raise ClusterUnavailable(what, status, message)
    raise Refused(what, status, message)


def _path(reference: Reference) -> str:
    return f"{_collection(RESOURCE_TYPES[reference.kind], reference.namespace)}/{reference.name}"


def _collection(resource_type: ResourceType, namespace: str) -> str:
    scope = f"/namespaces/{namespace}" if resource_type.namespaced else ""
    return f"{resource_type.root}{scope}/{resource_type.plural}"
