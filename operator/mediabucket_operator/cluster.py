"""What the operator asks of a Kubernetes API server, as an interface, and what can go wrong there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from mediabucket_api.constants import FINALIZER, GROUP, MEDIA_BUCKET_KIND, OBJECT_STORE_KIND, VERSION

Manifest = dict[str, Any]

# Server-side apply: https://kubernetes.io/docs/reference/using-api/server-side-apply/
FIELD_MANAGER: Final = "mediabucket-operator"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"


class ClusterError(Exception):
    """The API server refused, failed or could not be reached. `status` is None without an answer."""

    def __init__(self, what: str, status: int | None, message: str) -> None:
        super().__init__(what, status, message)
        self.what = what
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return f"{self.what}: {self.message}" + (f" (HTTP {self.status})" if self.status else "")


class Conflict(ClusterError):
    """The object has changed since it was read, or exists already."""


class Refused(ClusterError):
    """The API server will not do this: forbidden, invalid, or a kind that it does not have."""


class ClusterUnavailable(ClusterError):
    """No answer, an answer of failure, or a request to come back later: worth trying again."""


@dataclass(frozen=True)
class ResourceType:
    """Where the API server keeps a kind."""

    api_version: str
    plural: str
    namespaced: bool = True

    @property
    def root(self) -> str:
        return f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"


RESOURCE_TYPES: Final[Mapping[str, ResourceType]] = {
    MEDIA_BUCKET_KIND: ResourceType(f"{GROUP}/{VERSION}", "mediabuckets"),
    OBJECT_STORE_KIND: ResourceType(f"{GROUP}/{VERSION}", "objectstores", namespaced=False),
    "Namespace": ResourceType("v1", "namespaces", namespaced=False),
    "ConfigMap": ResourceType("v1", "configmaps"),
    "Secret": ResourceType("v1", "secrets"),
    "Service": ResourceType("v1", "services"),
    "ServiceAccount": ResourceType("v1", "serviceaccounts"),
    "Event": ResourceType("v1", "events"),
    "Deployment": ResourceType("apps/v1", "deployments"),
    "PodDisruptionBudget": ResourceType("policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": ResourceType("autoscaling/v2", "horizontalpodautoscalers"),
    "NetworkPolicy": ResourceType("networking.k8s.io/v1", "networkpolicies"),
    "Ingress": ResourceType("networking.k8s.io/v1", "ingresses"),
    "HTTPRoute": ResourceType("gateway.networking.k8s.io/v1", "httproutes"),
}


@dataclass(frozen=True)
class Reference:
    """One object. `namespace` is empty for kinds that have none."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Reference":
        metadata = manifest["metadata"]
        return cls(manifest["kind"], metadata.get("namespace", ""), metadata["name"])

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class Cluster(Protocol):
    """Synchronous; safe to share between threads. Every method raises ClusterUnavailable and Refused."""

    def get(self, reference: Reference) -> Manifest | None:
        """The object as it is, or None."""

    def list(self, kind: str) -> list[Manifest]:
        """All objects of a kind, in every namespace."""

    def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply under FIELD_MANAGER, by force: fields that others took are taken back."""

    def delete(self, reference: Reference) -> None:
        """Ask for the object's deletion; one that is gone already is no error."""

    def update_status(self, manifest: Manifest) -> Manifest:
        """Replace the status. Raises Conflict when the object is no longer the one that was read."""

    def annotate(self, reference: Reference, annotations: Mapping[str, str | None]) -> None:
        """Set annotations, and remove those that are None. An object that is gone is no error."""

    def create_event(self, event: Manifest) -> None:
        """Post one Event."""


def is_protected(manifest: Manifest) -> bool:
    """Whether the object stays, once it is deleted, until we let it go."""
    return FINALIZER in manifest["metadata"].get("finalizers", [])


def is_terminating(manifest: Manifest) -> bool:
    """Whether somebody asked for the object's deletion."""
    return bool(manifest["metadata"].get("deletionTimestamp"))
