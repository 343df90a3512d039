"""`make bench-operator`: how long until all MediaBuckets are Ready, and what they cost at rest.

A real API server, a real store, one operator, on the same cores. Applications use the store's key (iam.mode Shared):
the embedded SeaweedFS takes longer for each IAM user the more there are, which would measure SeaweedFS.
"""

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]

import kube_assets  # noqa: E402
from kube_cluster import KubeCluster  # noqa: E402
from operator_process import (  # noqa: E402
    OPERATOR_ACCOUNT,
    OPERATOR_NAMESPACE,
    OperatorProcess,
    eventually,
    media_bucket,
    namespace,
    store_documents,
)
from recording_proxy import RecordingProxy  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from mediabucket_cli.embedded.seaweedfs import SeaweedFS  # noqa: E402

SIZES = (10, 100, 1000)
RESULTS = ROOT / ".bench"
RESYNC_SECONDS, REST_SECONDS = 60, 70
GOAL_PER_SECOND, GOAL_MEBIBYTES = 40, 250
CREATIONS = 'controller_runtime_reconcile_total{controller="MediaBucket",result="success"}'


@dataclass(frozen=True)
class Row:
    """One size: seconds until all were Ready, and what happened at rest, for each MediaBucket and minute."""

    count: int
    ready_seconds: float
    per_second: float
    memory_mebibytes: float
    cpu_seconds: float
    writes_at_rest: int
    api_calls_at_rest: float
    store_calls_at_rest: float


def main() -> None:
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    rows = [measured(size) for size in sizes]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "operator.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    show(rows)
    plot(rows, RESULTS / "operator.png")


def measured(count: int) -> Row:
    with platform() as (kube, operator, proxy), operator:
        eventually(lambda: operator.health()[0] == 200)
        kube.kubectl("wait", "--for=condition=Ready", "ostore/store", "--timeout=60s")
        operator.stop()
        spec = {"resyncIntervalSeconds": RESYNC_SECONDS, "cors": {"allowedOrigins": ["https://app.example.com"]}}
        documents = [media_bucket(f"media-{number:04}", "crowd", "store", **spec) for number in range(count)]
        kube.apply(*documents)
        # A cold start, with everything there already.
        started = time.monotonic()
        operator.start()
        eventually(lambda: ready(kube) >= count, seconds=60 + count / 2, every=0.5)
        seconds = time.monotonic() - started
        cpu, memory = process(operator)
        time.sleep(5)
        lines = len(kube.audit_log.read_text().splitlines())
        proxy.requests.clear()
        time.sleep(REST_SECONDS)
        api_calls = of_operator(kube, lines)
        writes = sum(n for verb, n in api_calls.items() if verb not in ("get", "list", "watch"))
        minutes = REST_SECONDS / 60
        return Row(
            count,
            round(seconds, 1),
            round(count / seconds, 1),
            memory,
            cpu,
            writes + sum(proxy.writes().values()),
            round(sum(api_calls.values()) / count / minutes, 1),
            round(sum(proxy.requests.values()) / count / minutes, 1),
        )


@contextmanager
def platform() -> Iterator[tuple[KubeCluster, OperatorProcess, RecordingProxy]]:
    with tempfile.TemporaryDirectory(prefix="mediabucket-bench-") as name:
        directory = Path(name)
        kube = KubeCluster.start(directory / "kube", kube_assets.find_or_build(), (OPERATOR_ACCOUNT,))
        try:
            with (
                SeaweedFS.start(directory / "store", durable=False) as store,
                RecordingProxy(store.connection.endpoint) as proxy,
            ):
                for file in sorted((ROOT / "crds").glob("*.yaml")):
                    kube.kubectl("apply", "--server-side", "-f", str(file))
                through = store.connection.model_copy(update={"endpoint": proxy.endpoint})
                kube.apply(everything_allowed(), namespace(OPERATOR_NAMESPACE), namespace("crowd"))
                kube.apply(*store_documents("store", through, iam={"mode": "Shared"}))
                operator = OperatorProcess(kube, directory / "operator", {"MEDIABUCKET_OPERATOR_WORKERS": "16"})
                yield kube, operator, proxy
        finally:
            kube.stop()


def everything_allowed() -> dict[str, Any]:
    """What is measured are not the permissions."""
    account, _, name = OPERATOR_ACCOUNT.partition(":")
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "bench"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": account}],
    }


def ready(kube: KubeCluster) -> int:
    """Without the documents: looking must not cost more than what is looked at."""
    path = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    return kube.kubectl("get", "mb", "-n", "crowd", "-o", f"jsonpath={path}").count("True")


def process(operator: OperatorProcess) -> tuple[float, float]:
    """Seconds of processor time, and MiB of memory."""
    assert operator.child is not None
    place = Path("/proc") / str(operator.child.process.pid)
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    resident = next(line for line in (place / "status").read_text().splitlines() if line.startswith("VmRSS"))
    return round(cpu, 1), round(int(resident.split()[1]) / 1024)


def of_operator(kube: KubeCluster, after_line: int) -> Counter[str]:
    """Its calls to the API server, by verb."""
    lines = kube.audit_log.read_text().splitlines()[after_line:]
    account = f"system:serviceaccount:{OPERATOR_ACCOUNT}"
    entries = [entry for entry in map(json.loads, lines) if entry["user"]["username"] == account]
    return Counter(entry["verb"] for entry in entries if entry["stage"] == "ResponseComplete")


def show(rows: list[Row]) -> None:
    table = Table(title="Cold start until all are Ready, and one minute at rest", title_justify="left", box=None)
    headings = (
        "MediaBuckets",
        "Ready after s",
        "per s",
        "MiB",
        "CPU s",
        "writes",
        "API reads each",
        "store reads each",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    console = Console()
    console.print(table)
    console.print(f"goals: {GOAL_PER_SECOND} per s on 2 cores, under {GOAL_MEBIBYTES} MiB, no write at rest")


def plot(rows: list[Row], path: Path) -> None:
    """Linear growth is a straight line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5))
    counts = [row.count for row in rows]
    left.plot(counts, [row.ready_seconds for row in rows], "o-", label="until all are Ready")
    left.plot(counts, [row.cpu_seconds for row in rows], "s--", label="processor time")
    left.set(xlabel="MediaBuckets", ylabel="seconds")
    left.legend()
    right.plot(counts, [row.memory_mebibytes for row in rows], "o-")
    right.axhline(GOAL_MEBIBYTES, linestyle=":", color="grey")
    right.set(xlabel="MediaBuckets", ylabel="MiB", ylim=(0, GOAL_MEBIBYTES * 1.1))
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
