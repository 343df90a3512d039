"""The monitors find the Pods and Services that there are, and give them the labels that dashboards expect."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring.promql import BUCKET_LABEL, OPERATOR_JOB, UPLOADS_JOB

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.resources import MediaBucket
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.workload import manifests

CHART = Path(__file__).resolve().parents[2] / "charts" / "mediabucket"


@pytest.fixture(scope="module")
def rendered(helm_program: Path) -> dict[str, dict[str, Any]]:
    """By kind, of a release with another name."""
    switches = "--set=metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true,podLabels.zone=inner"
    command = [str(helm_program), "template", "other", str(CHART), "--kube-version=1.31.0", switches]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return {item["kind"]: item for item in yaml.safe_load_all(printed) if item}


def upload_service(name: str) -> dict[str, Any]:
    """The Service that the operator makes for a MediaBucket."""
    resource = MediaBucket.model_validate(
        {
            "apiVersion": "mediabucket.dev/v1alpha1",
            "kind": "MediaBucket",
            "metadata": {"name": name, "namespace": "chat", "uid": "1"},
            "spec": {"storeRef": {"name": "main"}, "service": {"database": {"secretRef": {"name": "postgres"}}}},
        }
    )
    keys = {"region": "eu", "access_key_id": "a", "secret_access_key": "b"}
    where = {"endpoint": "http://store:8333", "public_endpoint": "https://s3.example.com"}
    store = StoreConnection.model_validate(keys | where)
    connection = BucketConnection(store=store, bucket="chat", spec=resource.spec)
    settings = OperatorSettings(namespace="mediabucket-system", service_image="service:1")
    return manifests(resource, connection, settings, "checksum")["Service"]


def test_the_pod_monitor_finds_the_operator(rendered: dict[str, dict[str, Any]]) -> None:
    monitor, pod = rendered["PodMonitor"]["spec"], rendered["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["jobLabel"]] == OPERATOR_JOB
    [endpoint] = monitor["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in pod["spec"]["containers"][0]["ports"]]
    # Else Prometheus renames the namespace of conditions to exported_namespace.
    assert endpoint["honorLabels"] is True


def test_the_service_monitor_finds_all_upload_services(rendered: dict[str, dict[str, Any]]) -> None:
    monitor, service = rendered["ServiceMonitor"]["spec"], upload_service("avatars")
    labels = service["metadata"]["labels"]
    assert monitor["namespaceSelector"] == {"any": True}
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["jobLabel"]] == UPLOADS_JOB
    [endpoint] = monitor["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_the_service_monitor_does_not_find_the_operator(rendered: dict[str, dict[str, Any]]) -> None:
    wanted = rendered["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
    assert not wanted.items() <= rendered["Service"]["metadata"]["labels"].items()


@pytest.mark.parametrize("name", ["avatars", "a-media"])
def test_the_name_of_the_media_bucket_becomes_a_label(rendered: dict[str, dict[str, Any]], name: str) -> None:
    """A relabeling's regular expression is anchored, its replacement $1:
    https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config
    """
    [relabeling] = rendered["ServiceMonitor"]["spec"]["endpoints"][0]["relabelings"]
    assert relabeling["sourceLabels"] == ["__meta_kubernetes_service_name"]
    assert relabeling["targetLabel"] == BUCKET_LABEL
    found = re.fullmatch(relabeling["regex"], upload_service(name)["metadata"]["name"])
    assert found is not None
    assert found[1] == name
