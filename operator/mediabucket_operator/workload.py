"""The upload service as Kubernetes objects: what a MediaBucket's manifest asks for, as plain documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mediabucket_api.connection import SPEC_FILE_VARIABLE, SPEC_KEY, BucketConnection, webhook_secret_variable
from mediabucket_api.constants import GROUP
from mediabucket_api.resources import MediaBucket
from mediabucket_api.workload import ExposureType, Replicas, ResourceAmounts, SecretReference, ServiceState
from mediabucket_operator.children import child, child_name, labels
from mediabucket_operator.cluster import Manifest
from mediabucket_operator.settings import OperatorSettings

PORT: Final = 8000
USER_ID: Final = 10001
# The service goes on serving after SIGTERM, then finishes what it does: no preStop hook has to wait for it.
GRACE_PERIOD_SECONDS: Final = 60
CHECKSUM_ANNOTATION: Final = f"{GROUP}/checksum"
# In the order in which they are applied: the Deployment last, so that all it needs is there.
KINDS: Final = (
    "ServiceAccount",
    "Service",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "Ingress",
    "HTTPRoute",
    "Deployment",
)
_SPEC_DIRECTORY: Final = "/etc/mediabucket"
_CPU_TARGET_PERCENT: Final = 70
_DATABASE_KEY, _SECRET_KEY = "url", "secret"


class WorkloadIncomplete(Exception):
    """The manifest, or the operator's settings, lack what the service needs: a one-word reason, and what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class SecretVariable:
    """An environment variable whose value is in a Secret of the MediaBucket's namespace."""

    variable: str
    secret: str
    key: str


def secret_variables(resource: MediaBucket) -> tuple[SecretVariable, ...]:
    """The Secrets that the manifest names. Raises WorkloadIncomplete without a database."""
    service = resource.spec.service
    if service.database.secret_ref is None:
        raise WorkloadIncomplete(
            "DatabaseNotConfigured",
            "service.database.secretRef is not set: name a Secret whose key url is PostgreSQL's URL, or set"
            " service.state: Disabled to provision the bucket only",
        )
    wanted = [
        _variable("MEDIABUCKET_DATABASE_URL", service.database.secret_ref, _DATABASE_KEY),
        _variable("MEDIABUCKET_MONGODB_URL", service.messages.secret_ref, _DATABASE_KEY),
        _variable("MEDIABUCKET_JWT_SECRET", service.auth.secret_ref, _SECRET_KEY),
        _variable("MEDIABUCKET_EVENTS_SECRET", service.events.secret_ref, _SECRET_KEY),
        *(
            _variable(webhook_secret_variable(webhook.name), webhook.secret_ref, _SECRET_KEY)
            for webhook in resource.spec.uploads.webhooks
        ),
    ]
    return tuple(variable for variable in wanted if variable is not None)


def service_url(resource: MediaBucket) -> str | None:
    """Where the upload API is reached: from outside if it is exposed, else within the cluster."""
    service = resource.spec.service
    if service.state == ServiceState.DISABLED:
        return None
    if service.exposure.host is not None:
        return f"https://{service.exposure.host}"
    return f"http://{child_name(resource)}.{resource.metadata.namespace}.svc"


def manifests(
    resource: MediaBucket, connection: BucketConnection, settings: OperatorSettings, checksum: str
) -> dict[str, Manifest]:
    """The wanted objects by kind; those of KINDS that are missing are not wanted. `checksum` is of all that the Pods
    read at their start: another one rolls them. Raises WorkloadIncomplete.
    """
    exposure, replicas = resource.spec.service.exposure, resource.spec.service.replicas
    wanted = {
        "ServiceAccount": child(resource, "ServiceAccount", {"automountServiceAccountToken": False}),
        "Service": child(resource, "Service", {"spec": _service(resource)}),
        "NetworkPolicy": child(resource, "NetworkPolicy", {"spec": _network_policy(resource)}),
        "Deployment": child(resource, "Deployment", {"spec": _deployment(resource, connection, settings, checksum)}),
    }
    if replicas.min > 1:
        wanted["PodDisruptionBudget"] = child(resource, "PodDisruptionBudget", {"spec": _disruption_budget(resource)})
    if replicas.max > replicas.min:
        wanted["HorizontalPodAutoscaler"] = child(
            resource, "HorizontalPodAutoscaler", {"spec": _autoscaler(child_name(resource), replicas)}
        )
    if exposure.type == ExposureType.INGRESS:
        wanted["Ingress"] = child(resource, "Ingress", {"spec": _ingress(resource, settings)})
    if exposure.type == ExposureType.HTTP_ROUTE:
        wanted["HTTPRoute"] = child(resource, "HTTPRoute", {"spec": _http_route(resource, settings)})
    return wanted


def is_rolled_out(deployment: Manifest | None, checksum: str) -> bool:
    """Whether every Pod runs what was last applied, and none that runs anything else is left."""
    if deployment is None or _template_checksum(deployment) != checksum:
        return False
    status = deployment.get("status") or {}
    wanted = (deployment.get("spec") or {}).get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        and status.get("updatedReplicas", 0) >= wanted
        and status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and status.get("availableReplicas", 0) >= wanted
    )


def _variable(name: str, reference: SecretReference | None, default_key: str) -> SecretVariable | None:
    return None if reference is None else SecretVariable(name, reference.name, reference.key or default_key)


def _template_checksum(deployment: Manifest) -> str | None:
    template = (deployment.get("spec") or {}).get("template") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    found: str | None = annotations.get(CHECKSUM_ANNOTATION)
    return found


def _selector(resource: MediaBucket) -> dict[str, str]:
    # Never to be changed: a Deployment's selector is immutable.
    return {name: value for name, value in labels(resource).items() if not name.endswith("managed-by")}


def _deployment(
    resource: MediaBucket, connection: BucketConnection, settings: OperatorSettings, checksum: str
) -> dict[str, Any]:
    replicas = resource.spec.service.replicas
    # With an autoscaler the number is not ours.
    fixed = {"replicas": replicas.min} if replicas.max == replicas.min else {}
    return {
        **fixed,
        "selector": {"matchLabels": _selector(resource)},
        # New Pods are there before old ones go: uploads never stop for a rollout.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {"labels": labels(resource), "annotations": {CHECKSUM_ANNOTATION: checksum}},
            "spec": _pod(resource, connection, settings),
        },
    }


def _pod(resource: MediaBucket, connection: BucketConnection, settings: OperatorSettings) -> dict[str, Any]:
    image = resource.spec.service.image or settings.service_image
    if not image:
        raise WorkloadIncomplete(
            "ImageNotConfigured", "service.image is not set, and the operator was not given a default image"
        )
    name = child_name(resource)
    return {
        **_pull_secrets(resource, settings),
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_PERIOD_SECONDS,
        # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _selector(resource)},
            }
        ],
        "initContainers": [_migrations(resource, image)],
        "containers": [_server(resource, connection, image)],
        "volumes": [
            {"name": "spec", "configMap": {"name": name, "items": [{"key": SPEC_KEY, "path": SPEC_KEY}]}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }


def _pull_secrets(resource: MediaBucket, settings: OperatorSettings) -> dict[str, Any]:
    names = [secret.name for secret in resource.spec.service.image_pull_secrets] or settings.service_image_pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in names]} if names else {}


def _migrations(resource: MediaBucket, image: str) -> dict[str, Any]:
    return {
        "name": "migrations",
        "image": image,
        "command": ["python", "-m", "mediabucket_service.migrations"],
        "env": [_from_secret(v) for v in secret_variables(resource) if v.variable == "MEDIABUCKET_DATABASE_URL"],
        "resources": _resources(resource),
        "securityContext": _container_security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _server(resource: MediaBucket, connection: BucketConnection, image: str) -> dict[str, Any]:
    return {
        "name": "service",
        "image": image,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": _environment(resource, connection),
        "resources": _resources(resource),
        "securityContext": _container_security(),
        "startupProbe": _probe(period_seconds=2, failure_threshold=30),
        "livenessProbe": _probe(period_seconds=10, failure_threshold=3),
        # Not /readyz: with the store or the database down, a 503 that says so is better than no answer at all. Nor has
        # it to tell that the Pod ends: Kubernetes takes one that is being deleted out of its Services by itself.
        "readinessProbe": _probe(period_seconds=5, failure_threshold=2),
        "volumeMounts": [
            {"name": "spec", "mountPath": _SPEC_DIRECTORY, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _environment(resource: MediaBucket, connection: BucketConnection) -> list[dict[str, Any]]:
    name = child_name(resource)
    # One by one: the ConfigMap has a key that is a file and no variable.
    places = sorted(key for key in connection.to_config_map() if key != SPEC_KEY)
    return [
        {"name": SPEC_FILE_VARIABLE, "value": f"{_SPEC_DIRECTORY}/{SPEC_KEY}"},
        *({"name": key, "valueFrom": {"configMapKeyRef": {"name": name, "key": key}}} for key in places),
        *(_from_secret(SecretVariable(key, name, key)) for key in sorted(connection.to_secret())),
        *(_from_secret(variable) for variable in secret_variables(resource)),
    ]


def _from_secret(variable: SecretVariable) -> dict[str, Any]:
    reference = {"name": variable.secret, "key": variable.key}
    return {"name": variable.variable, "valueFrom": {"secretKeyRef": reference}}


def _probe(*, period_seconds: int, failure_threshold: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/healthz", "port": "http"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 3,
        "failureThreshold": failure_threshold,
    }


def _resources(resource: MediaBucket) -> dict[str, Any]:
    resources = resource.spec.service.resources
    amounts = {"requests": _amounts(resources.requests), "limits": _amounts(resources.limits)}
    return {name: amount for name, amount in amounts.items() if amount}


def _amounts(amounts: ResourceAmounts) -> dict[str, str]:
    return amounts.model_dump(exclude_none=True)


def _container_security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _service(resource: MediaBucket) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return {"selector": _selector(resource), "ports": ports}


def _network_policy(resource: MediaBucket) -> dict[str, Any]:
    return {
        "podSelector": {"matchLabels": _selector(resource)},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": PORT, "protocol": "TCP"}]}],
    }


def _disruption_budget(resource: MediaBucket) -> dict[str, Any]:
    return {"maxUnavailable": 1, "selector": {"matchLabels": _selector(resource)}}


def _autoscaler(name: str, replicas: Replicas) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": _CPU_TARGET_PERCENT}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": replicas.min,
        "maxReplicas": replicas.max,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }


def _ingress(resource: MediaBucket, settings: OperatorSettings) -> dict[str, Any]:
    host = resource.spec.service.exposure.host
    name = child_name(resource)
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    route = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    chosen = {"ingressClassName": settings.ingress_class} if settings.ingress_class else {}
    return {**chosen, "rules": [route], "tls": [{"hosts": [host], "secretName": f"{name}-tls"}]}


def _http_route(resource: MediaBucket, settings: OperatorSettings) -> dict[str, Any]:
    if settings.gateway is None:
        raise WorkloadIncomplete(
            "GatewayNotConfigured",
            "exposure.type HTTPRoute needs the Gateway to attach to: set MEDIABUCKET_OPERATOR_GATEWAY"
            " <namespace>/<name> of the operator, or use type Ingress",
        )
    namespace, _, name = settings.gateway.partition("/")
    backend: Mapping[str, Any] = {"name": child_name(resource), "port": 80}
    return {
        "parentRefs": [{"namespace": namespace, "name": name}],
        "hostnames": [resource.spec.service.exposure.host],
        "rules": [{"backendRefs": [backend]}],
    }
