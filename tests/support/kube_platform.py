"""Everything that an operator works between: an API server with the chart in it, and a store."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import told_secrets
from helm_program import helm_binary
from kube_cluster import KubeCluster
from operator_calls import forbidden_calls
from operator_process import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, OperatorProcess

from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.identities import IdentityAdmin

CHART = Path(__file__).resolve().parents[2] / "charts" / "mediabucket"


@dataclass(frozen=True)
class Platform:
    """An API server with the chart installed, a store, and the operator as a process with the chart's permissions."""

    kube: KubeCluster
    store: SeaweedFS
    operator: OperatorProcess

    def admin(self, bucket: str) -> BucketAdmin:
        """The store's administrator, who sees everything."""
        return BucketAdmin.connect(self.store.connection, bucket)

    def identities(self) -> IdentityAdmin:
        return IdentityAdmin.connect(self.store.connection)

    def get(self, name: str, namespace: str) -> dict[str, Any]:
        return self.kube.get("mb", name, namespace)

    def wait(self, name: str, namespace: str, condition: str = "Ready", timeout: int = 60) -> None:
        self.kube.kubectl(
            "wait", f"--for=condition={condition}", f"mb/{name}", "-n", namespace, f"--timeout={timeout}s"
        )

    def events(self, name: str, namespace: str) -> list[dict[str, Any]]:
        found = self.kube.list("events", namespace)
        return [event for event in found if event["involvedObject"]["name"] == name]


def report(kube: KubeCluster, name: str, namespace: str, *, replicas: int, available: int) -> None:
    """Play the controller of this Deployment, which nobody runs here: so many Pods, all of them of its last version."""
    generation = kube.get("deployment", name, namespace)["metadata"]["generation"]
    counts = dict.fromkeys(("replicas", "updatedReplicas"), replicas)
    seen = {"availableReplicas": available, "readyReplicas": available, "unavailableReplicas": replicas - available}
    patch = json.dumps({"status": {"observedGeneration": generation, **counts, **seen}})
    where = ("-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    kube.kubectl("patch", f"deployment/{name}", *where)


def helm(kube: KubeCluster, *arguments: str) -> str:
    """What helm prints. Skips where there is none."""
    program = helm_binary()
    environment = {"HOME": str(kube.directory), "KUBECONFIG": str(kube.write_kubeconfig("admin")), "PATH": os.defpath}
    result = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@contextlib.contextmanager
def cluster_with_chart(directory: Path, assets: Path, *, may_be_forbidden: bool = False) -> Iterator[KubeCluster]:
    """An API server with what the chart makes: kinds, permissions, the operator's account. At its end, nothing may
    have been forbidden to that account, unless the test changes its roles, or restarts the API server, which forbids
    everything until it has read them.
    """
    cluster = KubeCluster.start(directory, assets, (OPERATOR_ACCOUNT,))
    try:
        helm(cluster, "install", "mediabucket", str(CHART), "-n", OPERATOR_NAMESPACE, "--create-namespace")
        yield cluster
        told_secrets.keep_what_is_readable(cluster)
        assert may_be_forbidden or forbidden_calls(cluster) == []
    finally:
        cluster.stop()
