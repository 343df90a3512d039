"""The chart on a real API server: installed, upgraded, uninstalled, and what survives."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube_cluster import KubeCluster
from kube_platform import helm
from operator_process import OPERATOR_NAMESPACE, media_bucket, namespace

CHART = Path(__file__).resolve().parents[2] / "charts" / "mediabucket"
DEPLOYMENT = "mediabucket-operator"
# As chart-testing finds them: https://github.com/helm/chart-testing
VARIANTS = sorted((CHART / "ci").glob("*-values.yaml"))
MONITORING_KINDS = (
    ("PodMonitor", "podmonitors"),
    ("ServiceMonitor", "servicemonitors"),
    ("PrometheusRule", "prometheusrules"),
)


@pytest.fixture(scope="module")
def kube(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeCluster]:
    cluster = KubeCluster.start(tmp_path_factory.mktemp("chart"), assets)
    try:
        restricted = {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        }
        cluster.apply(namespace(OPERATOR_NAMESPACE, **restricted))
        yield cluster
    finally:
        cluster.stop()


def release(kube: KubeCluster, command: str, *options: str) -> str:
    return helm(kube, command, "mediabucket", *options, "-n", OPERATOR_NAMESPACE)


def test_install_upgrade_uninstall_and_install_again(kube: KubeCluster) -> None:
    told = release(kube, "install", str(CHART))
    assert "kubectl" in told
    operator = kube.get("deployment", DEPLOYMENT, OPERATOR_NAMESPACE)
    assert operator["spec"]["replicas"] == 1
    assert operator["spec"]["strategy"]["type"] == "Recreate"
    kube.kubectl("wait", "--for=condition=Established", "crd/mediabuckets.mediabucket.dev", "--timeout=30s")
    kube.apply(namespace("team"), media_bucket("media", "team", "store"))

    release(kube, "upgrade", str(CHART), "--set", "operator.workers=3", "--set", "operator.logLevel=DEBUG")
    environment = kube.get("deployment", DEPLOYMENT, OPERATOR_NAMESPACE)["spec"]["template"]["spec"]["containers"][0][
        "env"
    ]
    assert {"name": "MEDIABUCKET_OPERATOR_WORKERS", "value": "3"} in environment

    release(kube, "uninstall")
    assert kube.find("deployment", DEPLOYMENT, OPERATOR_NAMESPACE) is None
    assert kube.get("mb", "media", "team")["spec"]["storeRef"] == {"name": "store"}
    left = kube.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    assert "mediabucket" not in left

    release(kube, "install", str(CHART))
    assert kube.get("mb", "media", "team")


def test_a_value_that_nobody_knows_is_refused(kube: KubeCluster) -> None:
    with pytest.raises(AssertionError, match="additional properties 'replicas' not allowed"):
        helm(kube, "install", "other", str(CHART), "-n", OPERATOR_NAMESPACE, "--set", "replicas=2")


@pytest.fixture(scope="module")
def prepared(kube: KubeCluster) -> KubeCluster:
    """With the namespaces that values name, and kinds of the Prometheus operator that take any spec."""
    kube.apply(namespace("chat"), namespace("shop"), *(any_kind(*names) for names in MONITORING_KINDS))
    for _, plural in MONITORING_KINDS:
        kube.kubectl("wait", "--for=condition=Established", f"crd/{plural}.monitoring.coreos.com", "--timeout=30s")
    return kube


def any_kind(kind: str, plural: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.mark.parametrize("values", VARIANTS, ids=lambda file: str(file.stem))
def test_the_api_server_accepts_every_variant(prepared: KubeCluster, values: Path, tmp_path: Path) -> None:
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(release(prepared, "template", str(CHART), f"--values={values}"))
    told = prepared.kubectl("apply", "--dry-run=server", "-f", str(rendered))
    documents = [document for document in yaml.safe_load_all(rendered.read_text()) if document]
    assert told.count("(server dry run)") == len(documents) >= 3


def test_helms_test_notices_an_operator_that_does_not_answer(prepared: KubeCluster, closed_port: int) -> None:
    """There is no kubelet here: its Pod is accepted where Pods are restricted, and its command runs as a process."""
    shown = "--show-only=templates/tests/pod-operator-answers.yaml"
    pod = yaml.safe_load(release(prepared, "template", str(CHART), shown))
    prepared.apply(pod)
    program, *arguments, address = pod["spec"]["containers"][0]["command"]
    assert (program, address) == ("python", f"http://{DEPLOYMENT}:8080/healthz")
    for status, stated in ((200, 0), (503, 1)):
        with answering(status) as url:
            assert asked(arguments, url).returncode == stated
    assert "does not answer" in asked(arguments, f"http://127.0.0.1:{closed_port}/healthz").stderr


def asked(arguments: list[str], url: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments, url], capture_output=True, text=True, check=False, timeout=30)


@contextmanager
def answering(status: int) -> Iterator[str]:
    """An operator's port that says only this."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Not into the output of the tests."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/healthz"
        finally:
            server.shutdown()
            thread.join()
