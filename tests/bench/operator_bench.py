"""`make bench-operator`: how long until all MediaBuckets are Ready, and what they cost at rest.

A real API server, a real store, one operator, on the same cores: what each of them used tells which was the limit.
Applications use the store's key (iam.mode Shared): the embedded SeaweedFS takes longer for each IAM user the more there
are, which would measure SeaweedFS.
"""

import argparse
import http.client
import json
import os
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import kube_assets
from go_tools import AssetsMissing
from kube_cluster import ADMIN, KubeCluster, KubectlFailed
from operator_calls import operator_calls
from operator_process import (
    OPERATOR_ACCOUNT,
    OPERATOR_NAMESPACE,
    OperatorProcess,
    eventually,
    media_bucket,
    namespace,
    store_documents,
)
from progress import progress
from recording_proxy import RecordingProxy
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from mediabucket_cli.embedded.processes import Child, ServerFailed
from mediabucket_cli.embedded.seaweedfs import SeaweedFS

ROOT = Path(__file__).resolve().parents[2]
SIZES = (10, 100, 1000)
RESULTS = ROOT / ".bench"
RESYNC_SECONDS, REST_SECONDS = 60, 70
# MALLOC_ARENA_MAX as in operator/Dockerfile.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}
GOAL_PER_SECOND, GOAL_MEBIBYTES = 40, 250

# What is done, how much of it, and of how much.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Row:
    """One size: the cold start until all were Ready, and what happened at rest, for each MediaBucket and minute.

    Seconds of processor time are those of the cold start, the start of the operator's process included.
    """

    count: int
    ready_seconds: float
    per_second: float
    memory_mebibytes: float
    operator_seconds: float
    store_seconds: float
    api_server_seconds: float
    writes_at_rest: int
    api_calls_at_rest: float
    store_calls_at_rest: float


@dataclass(frozen=True)
class Platform:
    """All that runs. The store is reached directly, or through the proxy, which counts."""

    kube: KubeCluster
    store: SeaweedFS
    operator: OperatorProcess
    proxy: RecordingProxy

    def processor_seconds(self) -> dict[str, float]:
        """Of each part so far. The API server's are those of etcd and the controllers as well."""
        parts: dict[str, list[Child | None]] = {
            "operator": [self.operator.child],
            "store": [self.store.child],
            "api_server": list(self.kube.children.values()),
        }
        return {
            part: sum(processor_seconds(child.process.pid) for child in children if child is not None)
            for part, children in parts.items()
        }

    def point_store_at(self, endpoint: str) -> None:
        connection = self.store.connection.model_copy(update={"endpoint": endpoint})
        self.kube.apply(*store_documents("store", connection, iam={"mode": "Shared"}))


def main() -> None:
    sizes = arguments().sizes or SIZES
    try:
        show(measured_all(sizes))
    except (AssetsMissing, KubectlFailed, ServerFailed, TimeoutError) as failure:
        sys.exit(f"the benchmark of the operator failed: {failure}")
    except KeyboardInterrupt:
        sys.exit("stopped; everything that was started is stopped too")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-operator", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "sizes",
        nargs="*",
        type=size,
        metavar="N",
        help=f"so many MediaBuckets each time; {', '.join(map(str, SIZES))} if none is given, in about seven minutes",
    )
    return parser.parse_args()


def size(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MediaBuckets: 1 or more")
    return int(text)


def measured_all(sizes: Sequence[int]) -> list[Row]:
    RESULTS.mkdir(exist_ok=True)
    rows: list[Row] = []
    with progress(Console(stderr=True)) as (bar, task):
        for count in sizes:
            rows.append(measured(count, teller(bar, task, count)))
            # After each: the largest takes long, and may not end.
            (RESULTS / "operator.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
            plot(rows, RESULTS / "operator.png")
    return rows


def teller(bar: Progress, task: TaskID, count: int) -> Tell:
    def tell(what: str, done: int, total: int) -> None:
        bar.update(task, description=f"{count} MediaBuckets, {what}", completed=done, total=total)

    return tell


def measured(count: int, tell: Tell) -> Row:
    with platform() as platform_, platform_.operator as operator:
        kube = platform_.kube
        eventually(lambda: operator.health()[0] == 200)
        kube.kubectl("wait", "--for=condition=Ready", "ostore/store", "--timeout=60s")
        operator.stop()
        spec = {"resyncIntervalSeconds": RESYNC_SECONDS, "cors": {"allowedOrigins": ["https://app.example.com"]}}
        documents = [media_bucket(f"media-{number:04}", "crowd", "store", **spec) for number in range(count)]
        tell("applying", 0, count)
        kube.apply(*documents)
        seconds, used = cold_start(platform_, count, tell)
        memory = peak_memory(operator)
        writes, api_calls, store_calls = at_rest(platform_, count, tell)
    per_minute = count * REST_SECONDS / 60
    return Row(
        count=count,
        ready_seconds=round(seconds, 1),
        per_second=round(count / seconds, 1),
        memory_mebibytes=memory,
        operator_seconds=round(used["operator"], 1),
        store_seconds=round(used["store"], 1),
        api_server_seconds=round(used["api_server"], 1),
        writes_at_rest=writes,
        api_calls_at_rest=round(api_calls / per_minute, 1),
        store_calls_at_rest=round(store_calls / per_minute, 1),
    )


def cold_start(platform_: Platform, count: int, tell: Tell) -> tuple[float, Mapping[str, float]]:
    """Everything is there already but the operator. Seconds until all are Ready, and of processor time by part."""
    before, started = platform_.processor_seconds(), time.monotonic()
    platform_.operator.start()
    wait_until_ready(platform_.kube, count, platform_.store.connection.endpoint, tell)
    seconds = time.monotonic() - started
    return seconds, {part: used - before[part] for part, used in platform_.processor_seconds().items()}


def at_rest(platform_: Platform, count: int, tell: Tell) -> tuple[int, int, int]:
    """All writes, the operator's calls to the API server, and its calls to the store, while nothing happens."""
    kube, proxy = platform_.kube, platform_.proxy
    # Only now: a proxy in the way of a cold start would use the processor that is measured.
    platform_.point_store_at(proxy.endpoint)
    wait_until_ready(kube, count, proxy.endpoint, tell)
    time.sleep(5)
    lines = len(kube.audit_log.read_text().splitlines())
    proxy.requests.clear()
    for second in range(REST_SECONDS):
        tell("at rest", second, REST_SECONDS)
        time.sleep(1)
    api_calls = of_operator(kube, lines)
    writes = sum(calls for verb, calls in api_calls.items() if verb not in ("get", "list", "watch"))
    return writes + sum(proxy.writes().values()), sum(api_calls.values()), sum(proxy.requests.values())


@contextmanager
def platform() -> Iterator[Platform]:
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
                kube.apply(everything_allowed(), namespace(OPERATOR_NAMESPACE), namespace("crowd"))
                operator = OperatorProcess(kube, directory / "operator", ENVIRONMENT)
                made = Platform(kube, store, operator, proxy)
                made.point_store_at(store.connection.endpoint)
                yield made
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


def wait_until_ready(kube: KubeCluster, count: int, endpoint: str, tell: Tell) -> None:
    """Until all are Ready at this endpoint. One is asked for at a time, over one connection: looking must not cost more
    than what is looked at.
    """
    deadline = time.monotonic() + 120 + count
    context = ssl._create_unverified_context()  # its own machine
    with closing(
        http.client.HTTPSConnection("127.0.0.1", kube.ports["api"], timeout=60, context=context)
    ) as connection:
        for number in range(count):
            tell("until Ready", number, count)
            while not is_ready(kube, connection, f"media-{number:04}", endpoint):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{number} of {count} were Ready in time")
                time.sleep(0.2)


def is_ready(kube: KubeCluster, connection: http.client.HTTPSConnection, name: str, endpoint: str) -> bool:
    path = f"/apis/mediabucket.dev/v1alpha1/namespaces/crowd/mediabuckets/{name}"
    connection.request("GET", path, headers={"Authorization": f"Bearer {kube.tokens[ADMIN]}"})
    status = json.loads(connection.getresponse().read()).get("status", {})
    ready = any(found["type"] == "Ready" and found["status"] == "True" for found in status.get("conditions", []))
    return ready and status.get("endpoint") == endpoint


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(operator: OperatorProcess) -> float:
    """MiB, the most there ever were."""
    assert operator.child is not None
    lines = Path(f"/proc/{operator.child.process.pid}/status").read_text().splitlines()
    resident = next(line for line in lines if line.startswith("VmHWM"))
    return round(int(resident.split()[1]) / 1024)


def of_operator(kube: KubeCluster, after_line: int) -> Counter[str]:
    """Its calls to the API server, by verb."""
    entries = operator_calls(kube, after_line)
    return Counter(entry["verb"] for entry in entries if entry["stage"] == "ResponseComplete")


def show(rows: list[Row]) -> None:
    title = "MediaBuckets: cold start until all are Ready, and one minute at rest"
    # It fits into 80 columns, which is what a file or a pipe is given.
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    headings = (
        "number",
        "Ready after s",
        "per s",
        "MiB",
        "operator CPU s",
        "store CPU s",
        "API server CPU s",
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
    left.plot(counts, [row.operator_seconds for row in rows], "s--", label="processor time of the operator")
    left.plot(counts, [row.store_seconds for row in rows], "^--", label="of SeaweedFS")
    left.plot(counts, [row.api_server_seconds for row in rows], "v--", label="of the API server and etcd")
    left.set(xlabel="MediaBuckets", ylabel="seconds")
    left.legend()
    memory = [row.memory_mebibytes for row in rows]
    right.plot(counts, memory, "o-")
    right.axhline(GOAL_MEBIBYTES, linestyle=":", color="grey")
    right.set(xlabel="MediaBuckets", ylabel="MiB, peak", ylim=(0, 1.1 * max(GOAL_MEBIBYTES, *memory)))
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
