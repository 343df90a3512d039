"""The chart on a real API server: installed, upgraded, uninstalled, and what survives."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import monitoring_kinds
import pytest
import yaml
from go_tools import AssetsMissing
from kube_cluster import KubeCluster
from kube_platform import helm
from operator_process import OPERATOR_NAMESPACE, eventually, media_bucket, namespace

CHART = Path(__file__).resolve().parents[2] / "charts" / "mediabucket"
DEPLOYMENT = "mediabucket-operator"
# As chart-testing finds them: https://github.com/helm/chart-testing
VARIANTS = sorted((CHART / "ci").glob("*-values.yaml"))


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


def test_an_upgrade_brings_what_older_kinds_lack_and_keeps_media_buckets(kube: KubeCluster, tmp_path: Path) -> None:
    older = Path(shutil.copytree(CHART, tmp_path / "older"))
    without_drift_policy(older / "templates" / "crd-mediabuckets.yaml")
    release(kube, "upgrade", str(older), "--install")
    kube.apply(namespace("shop"))
    # The API server takes a moment until it serves a kind as it was last written.
    eventually(lambda: not knows_drift_policy(kube))
    kube.apply(media_bucket("photos", "shop", "store"))
    before = kube.get("mb", "photos", "shop")
    assert "driftPolicy" not in before["spec"]

    release(kube, "upgrade", str(CHART), "--install")
    eventually(lambda: knows_drift_policy(kube))
    kube.kubectl("patch", "mb", "photos", "-n", "shop", "--type=merge", "-p", '{"spec": {"driftPolicy": "Warn"}}')
    after = kube.get("mb", "photos", "shop")
    assert after["spec"]["driftPolicy"] == "Warn"
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def knows_drift_policy(kube: KubeCluster) -> bool:
    """Whether the API server fills in the default."""
    example = media_bucket("example", "shop", "store")
    told = kube.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=example)
    return "driftPolicy" in json.loads(told)["spec"]


def without_drift_policy(template: Path) -> None:
    """Takes the field out of the kind, with all that belongs to it."""
    text = template.read_text()
    shortened, times = re.subn(r"^( +)driftPolicy:\n(?:\1 .*\n)+", "", text, flags=re.MULTILINE)
    assert times == 1
    template.write_text(shortened)


def test_a_value_that_nobody_knows_is_refused(kube: KubeCluster) -> None:
    with pytest.raises(AssertionError, match="additional properties 'replicas' not allowed"):
        helm(kube, "install", "other", str(CHART), "-n", OPERATOR_NAMESPACE, "--set", "replicas=2")


@pytest.fixture(scope="module")
def prepared(kube: KubeCluster) -> KubeCluster:
    """With the namespaces that values name, and the kinds of the Prometheus operator."""
    try:
        files = [monitoring_kinds.find() / name for name in monitoring_kinds.FILES]
    except AssetsMissing as missing:
        pytest.skip(str(missing))
    kube.apply(namespace("chat"), namespace("shop"))
    for file in files:
        applied = kube.kubectl("apply", "--server-side", "-f", str(file), "-o", "name").strip()
        kube.kubectl("wait", "--for=condition=Established", applied, "--timeout=30s")
    return kube


@pytest.mark.parametrize("values", VARIANTS, ids=lambda file: str(file.stem))
def test_the_api_server_accepts_every_variant(prepared: KubeCluster, values: Path, tmp_path: Path) -> None:
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(release(prepared, "template", str(CHART), f"--values={values}"))
    told = prepared.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(rendered))
    documents = [document for document in yaml.safe_load_all(rendered.read_text()) if document]
    assert told.count("(server dry run)") == len(documents) >= 3


@pytest.mark.parametrize(
    ("right", "wrong", "path"),
    [
        ("honorLabels:", "honourLabels:", "spec.podMetricsEndpoints[0].honourLabels"),
        ("targetLabel:", "targetLable:", "spec.endpoints[0].relabelings[0].targetLable"),
        ("expr:", "exrp:", "spec.groups[0].rules[0].exrp"),
    ],
    ids=["PodMonitor", "ServiceMonitor", "PrometheusRule"],
)
def test_a_slip_in_a_monitor_would_be_refused(prepared: KubeCluster, right: str, wrong: str, path: str) -> None:
    values = CHART / "ci" / "monitored-values.yaml"
    text = release(prepared, "template", str(CHART), f"--values={values}")
    assert right in text
    told = prepared.try_kubectl(
        "apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text.replace(right, wrong)
    )
    assert told.returncode != 0
    assert path in told.stderr


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
