"""Writes what is generated of the Helm chart: values.yaml, values.schema.json and the CRDs as templates.

`python scripts/chart.py [DIRECTORY]`, by default into charts/mediabucket. The models below are the one source of the
values: their types become the schema, their docstrings its descriptions and the comments of values.yaml.
"""

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from monitoring.alert import RUNBOOKS_URL
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "mediabucket"
CRDS = ROOT / "crds"

# Helm 3 before 3.18 knows nothing newer.
DRAFT = "http://json-schema.org/draft-07/schema#"
WIDTH = 118
INDENT = "  "
# Helm itself sets them when this chart is a dependency of another: `global`, and the usual name of its condition.
SET_BY_PARENT_CHARTS = {
    "global": {"type": "object", "description": "Values that a parent chart shares with all its charts; not used."},
    "enabled": {"type": "boolean", "description": "For the condition of a parent chart; not used."},
}

Text = Annotated[str, StringConstraints(max_length=253)]
Repository = Annotated[
    str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$")
]
Tag = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$")]
Digest = Annotated[str, StringConstraints(pattern=r"^(sha256:[a-f0-9]{64})?$")]
# As Kubernetes writes amounts: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?([eE][0-9]+|[mkMGTPE]|[KMGTPE]i)?$")] | float
Name = Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
Labels = dict[str, str]


class Values(BaseModel):
    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class Image(Values):
    repository: Repository
    """Where the image is, without tag."""
    tag: Tag = ""
    """Its tag; empty: the appVersion of the chart."""
    digest: Digest = ""
    """Its digest, sha256:...; what is run is then this, whatever the tag says."""


class OperatorImage(Image):
    repository: Repository = "mediabucket-operator"
    """Where the image is, without tag."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the image is fetched."""


class Reference(Values):
    name: Name
    """Name of a Secret in the namespace of the release."""


class ServiceImage(Image):
    repository: Repository = "mediabucket-service"
    """Where the image is, without tag."""
    pull_secrets: list[Name] = []
    """Names of Secrets with which it is fetched, in the namespace of each MediaBucket; a manifest may name others."""


class Crds(Values):
    enabled: bool = True
    """Install and upgrade the CustomResourceDefinitions with the release."""
    keep: bool = True
    """Leave them, and with them every MediaBucket, in the cluster when the release is uninstalled. If not, delete all
    MediaBuckets and ObjectStores first: when the operator is gone, nobody ends their deletion.
    """


class Operator(Values):
    cluster_id: Annotated[str, StringConstraints(max_length=63)] = ""
    """Marks the buckets of this cluster; empty: the UID of the namespace kube-system. Name one that outlives a rebuild
    of the cluster, and a new cluster takes over the buckets of the old one.
    """
    workers: Annotated[int, Field(ge=1, le=64)] = 16
    """How many MediaBuckets are visited at the same time; of one store at most half as many."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much is logged."""
    ingress_class: Text = ""
    """The class of Ingresses for MediaBuckets with exposure.type Ingress; empty: the cluster's default."""
    gateway: Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]+/[a-z0-9.-]+)?$")] = ""
    """The Gateway, as namespace/name, that HTTPRoutes of MediaBuckets with exposure.type HTTPRoute attach to."""


class Variable(Values):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: str
    """Its value; it can be read by all who may read Deployments, so no secret."""


class ServiceAccount(Values):
    create: bool = True
    """Make a ServiceAccount for the operator."""
    name: Text = ""
    """Its name; empty: the name of the Deployment, or default where none is made."""
    annotations: Labels = {}
    """Annotations of the ServiceAccount."""


class Rbac(Values):
    create: bool = True
    """Grant the operator what it needs."""
    namespaces: list[Name] = []
    """The namespaces in which the operator may touch Secrets and workloads; empty: all, also those that are made later.
    In the release's own namespace, unless it is among them, it may then only read Secrets: those of ObjectStores.
    """
    aggregate: bool = True
    """Let the cluster's roles view, edit and admin include MediaBuckets."""


class MetricsService(Values):
    enabled: bool = True
    """Make a Service for the port that answers /metrics and /healthz."""
    annotations: Labels = {}
    """Annotations of the Service, such as those that a scraper looks for."""


class Monitor(Values):
    enabled: bool = False
    """Make it; its kind, of monitoring.coreos.com, must be in the cluster."""
    interval: Annotated[str, StringConstraints(pattern=r"^[0-9]+(ms|s|m)$")] = "30s"
    """How often is asked."""
    labels: Labels = {}
    """More labels, such as those that your Prometheus chooses monitors by."""


class Metrics(Values):
    service: MetricsService = MetricsService()
    """The Service that Prometheus finds the operator by."""
    pod_monitor: Monitor = Monitor()
    """The PodMonitor of the operator. Dashboards and alerts expect its job to be mediabucket-operator."""
    service_monitor: Monitor = Monitor()
    """The ServiceMonitor of all upload services, in every namespace. Dashboards and alerts expect their job to be
    mediabucket, and a label mediabucket with the name of the MediaBucket (shortened where it is no DNS label).
    """


class Dashboards(Values):
    enabled: bool = False
    """Make a ConfigMap for each dashboard, with the label grafana_dashboard that Grafana's sidecar looks for."""
    labels: Labels = {}
    """More labels of them."""
    annotations: Labels = {}
    """Annotations of them, such as the folder that the sidecar shall use."""


class Alerts(Values):
    enabled: bool = False
    """Make a PrometheusRule; its kind, of monitoring.coreos.com, must be in the cluster."""
    labels: Labels = {}
    """More labels, such as those that your Prometheus chooses rules by."""


class Runbooks(Values):
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s'\"]+[^\s'\"/]$")] = RUNBOOKS_URL
    """Where docs/runbooks of this version can be read; alerts and dashboards link to it."""


class Resources(Values):
    requests: dict[str, Quantity] = {"cpu": "100m", "memory": "192Mi"}
    """What the Pod is promised."""
    limits: dict[str, Quantity] = {"memory": "512Mi"}
    """What the Pod may use at most. No limit of cpu: it would slow down a start with many MediaBuckets."""


class Toleration(Values):
    key: Text | None = None
    """The taint's key; unset: any."""
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    """How the value is compared."""
    value: Text | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; unset: any."""
    toleration_seconds: int | None = None
    """For how long NoExecute is tolerated."""


class Affinity(Values):
    """As in a Pod's spec; what is below is checked by the API server."""

    node_affinity: dict[str, Any] | None = None
    """Rules about nodes."""
    pod_affinity: dict[str, Any] | None = None
    """Rules about Pods to be near to."""
    pod_anti_affinity: dict[str, Any] | None = None
    """Rules about Pods to be far from."""


class ChartValues(Values):
    """Values of the chart mediabucket."""

    fullname_override: Annotated[
        str, StringConstraints(max_length=54, pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$")
    ] = ""
    """What the objects' names start with; empty: the release's name, with mediabucket in it."""
    image: OperatorImage = OperatorImage()
    """The operator's image."""
    service_image: ServiceImage = ServiceImage()
    """The upload service's image, for MediaBuckets that name none. Released together with the operator's."""
    image_pull_secrets: list[Reference] = []
    """Secrets with which the operator's image is fetched: a list of name: ..."""
    crds: Crds = Crds()
    """The CustomResourceDefinitions MediaBucket and ObjectStore."""
    operator: Operator = Operator()
    """What the operator is told. There is always one replica: see docs/adr/0001-one-operator-replica.md."""
    extra_env: list[Variable] = []
    """More environment variables of the operator, such as HTTPS_PROXY: a list of name: ..., value: ..."""
    service_account: ServiceAccount = ServiceAccount()
    """Who the operator is to the API server."""
    rbac: Rbac = Rbac()
    """What the operator and people may do."""
    metrics: Metrics = Metrics()
    """How the operator and the upload services are watched."""
    dashboards: Dashboards = Dashboards()
    """Dashboards for Grafana: of uploads, and of the operator and its stores."""
    alerts: Alerts = Alerts()
    """Alerts for Prometheus."""
    runbooks: Runbooks = Runbooks()
    """What to do when an alert fires."""
    resources: Resources = Resources()
    """Processor time and memory of the operator."""
    labels: Labels = {}
    """Labels of every object."""
    pod_labels: Labels = {}
    """Labels of the Pod."""
    pod_annotations: Labels = {}
    """Annotations of the Pod."""
    priority_class_name: Text = ""
    """PriorityClass of the Pod."""
    node_selector: Labels = {}
    """Labels of the nodes on which the Pod may run."""
    tolerations: list[Toleration] = []
    """Taints of nodes on which the Pod may run nevertheless."""
    affinity: Affinity = Affinity()
    """Where the Pod would rather run, as in a Pod's spec."""


def files() -> dict[str, str]:
    """Path within the chart to content, of everything that is generated."""
    templates = {f"templates/crd-{file.name}": crd_template(file.name, file.read_text()) for file in crd_files()}
    return {"values.yaml": values_yaml(), "values.schema.json": values_schema(), **templates}


def crd_files() -> list[Path]:
    return sorted(CRDS.glob("*.yaml"))


def values_yaml() -> str:
    header = "# Generated by scripts/chart.py together with values.schema.json: change them there.\n"
    return header + "".join(f"\n{block}" for block in _blocks(ChartValues(), ""))


def values_schema() -> str:
    """Definitions are written out where they are used, and keys that nobody knows are refused at every level."""
    schema = ChartValues.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    plain = _plain(schema, definitions)
    plain["properties"] |= SET_BY_PARENT_CHARTS
    return json.dumps({"$schema": DRAFT, "title": "mediabucket", **plain}, indent=2) + "\n"


def crd_template(name: str, text: str) -> str:
    """The CRD with the release's labels, behind `crds.enabled`, and kept at uninstallation by `crds.keep`."""
    start, metadata, rest = re.split(r"(^metadata:\n  name: \S+\n)", escaped(text), maxsplit=1, flags=re.MULTILINE)
    return f"""{{{{- /* Generated by scripts/chart.py from crds/{name}; do not edit. */ -}}}}
{{{{- if .Values.crds.enabled }}}}
{start}{metadata}  labels:
    {{{{- include "mediabucket.labels" . | nindent 4 }}}}
  {{{{- if .Values.crds.keep }}}}
  annotations:
    helm.sh/resource-policy: keep
  {{{{- end }}}}
{rest}{{{{- end }}}}
"""


def escaped(text: str) -> str:
    """Text that Helm writes out as it is, braces and all."""
    return re.sub(r"\{\{|\}\}", lambda braces: f'{{{{ "{braces[0]}" }}}}', text)


def _blocks(values: Values, indent: str) -> Iterator[str]:
    """Each field that has a value, with its comment."""
    for name, field in type(values).model_fields.items():
        if getattr(values, name) is None:
            continue
        assert field.description, f"{type(values).__name__}.{name} lacks a docstring"
        comment = textwrap.wrap(
            _one_line(field.description), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        entry = _entry(field.alias or name, getattr(values, name), indent)
        yield "\n".join([*comment, entry]) + "\n"


def _entry(name: str, value: Any, indent: str) -> str:
    if isinstance(value, Values):
        blocks = "".join(_blocks(value, indent + INDENT)).rstrip("\n")
        return f"{indent}{name}:\n{blocks}" if blocks else f"{indent}{name}: {{}}"
    if isinstance(value, dict) and value:
        lines = [_entry(key, item, indent + INDENT) for key, item in value.items()]
        return "\n".join([f"{indent}{name}:", *lines])
    plain = isinstance(value, str) and value and yaml.safe_load(value) == value
    return f"{indent}{name}: {value if plain else json.dumps(value)}"


def _plain(schema: Any, definitions: dict[str, Any]) -> Any:
    """Without references, titles and defaults: those are in values.yaml."""
    if isinstance(schema, list):
        return [_plain(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return _plain(definitions[reference.rpartition("/")[2]] | _without(schema, "$ref"), definitions)
    kept = _without(schema, "title", "default")
    properties = {name: _plain(item, definitions) for name, item in kept.pop("properties", {}).items()}
    plain = {name: _plain(item, definitions) for name, item in kept.items()}
    if description := plain.get("description"):
        plain["description"] = _one_line(description)
    return plain | ({"properties": properties} if properties else {})


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _without(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: item for name, item in schema.items() if name not in names}


def main(arguments: list[str]) -> None:
    chart = Path(arguments[0]) if arguments else CHART
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    generated = files()
    for path, content in generated.items():
        (chart / path).write_text(content, encoding="utf-8")
    for stale in {f"templates/{file.name}" for file in (chart / "templates").glob("crd-*.yaml")} - generated.keys():
        (chart / stale).unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
