"""A Kubernetes cluster that somebody else runs, such as one of kind or a cloud: named by a kubeconfig."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from kube_cluster import ADMIN, KubeCluster
from kube_platform import CHART, helm
from operator_process import OPERATOR_NAMESPACE
from typing_extensions import override

# An administrator of a cluster in which MediaBucket is not installed.
KUBECONFIG_VARIABLE: Final = "MEDIABUCKET_TEST_KUBECONFIG"
_TOKEN_SECONDS: Final = 7200


class GivenCluster(KubeCluster):
    """Neither started nor stopped here; service accounts get tokens by the API."""

    @override
    def write_kubeconfig(self, user: str, url: str | None = None, namespace: str = "default") -> Path:
        path = self.directory / f"kubeconfig-{user.replace(':', '-')}"
        if not path.exists():
            path.write_text(yaml.safe_dump(self._document(user, namespace)))
        return path

    def _document(self, user: str, namespace: str) -> dict[str, Any]:
        given = Path(os.environ[KUBECONFIG_VARIABLE]).read_text()
        if user == ADMIN:
            return dict(yaml.safe_load(given))
        document: dict[str, Any] = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        account_namespace, _, account = user.partition(":")
        lifetime = f"--duration={_TOKEN_SECONDS}s"
        token = self.kubectl("create", "token", account, "-n", account_namespace, lifetime).strip()
        document["users"] = [{"name": user, "user": {"token": token}}]
        document["contexts"][0]["context"] |= {"user": user, "namespace": namespace}
        return document


def is_given() -> bool:
    return bool(os.environ.get(KUBECONFIG_VARIABLE))


@contextmanager
def given_cluster_with_chart(directory: Path) -> Iterator[GivenCluster]:
    """The chart, installed until the end, kinds included; the operator's own Pod does not run beside ours."""
    cluster = GivenCluster(directory, directory)
    if cluster.find("crd", "mediabuckets.mediabucket.dev") is not None:
        pytest.fail(f"the cluster of {KUBECONFIG_VARIABLE} has MediaBuckets already: tests would take them for theirs")
    name = ("mediabucket", "-n", OPERATOR_NAMESPACE)
    before = _namespaces(cluster)
    try:
        helm(cluster, "install", *name, str(CHART), "--create-namespace", "--set", "crds.keep=false")
        cluster.kubectl("scale", "deployment/mediabucket-operator", "-n", OPERATOR_NAMESPACE, "--replicas=0")
        yield cluster
    finally:
        _release_all(cluster)
        helm(cluster, "uninstall", *name)
        cluster.kubectl("delete", "namespace", "--wait=false", *sorted(_namespaces(cluster) - before))


def _namespaces(cluster: KubeCluster) -> set[str]:
    return {found["metadata"]["name"] for found in cluster.list("namespaces")}


def _release_all(cluster: KubeCluster) -> None:
    """The operator of the tests has ended: nobody else takes its finalizers away."""
    for found in cluster.list("mediabuckets"):
        where = (f"mb/{found['metadata']['name']}", "-n", found["metadata"]["namespace"])
        cluster.kubectl("patch", *where, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
