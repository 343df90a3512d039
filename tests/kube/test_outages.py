"""The store and the API server limp or are gone: conditions tell the truth, and everything converges afterwards."""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kube_platform import Platform, cluster_with_chart
from operator_process import OperatorProcess, condition, eventually, media_bucket, store_documents
from tcp_proxy import TcpProxy

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

pytestmark = pytest.mark.takes_minutes(2)

logger = logging.getLogger(__name__)

LONG = os.environ.get("MEDIABUCKET_TEST_LONG") == "1"
STORE_DOWN_SECONDS = 120 if LONG else 20
CONVERGED_SECONDS = 60.0


def report(what: str, started: float) -> None:
    """To be seen with --log-cli-level=INFO."""
    logger.info("%s: %.1f s", what, time.monotonic() - started)


def status_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document.get("status", {})
    return found


@dataclass
class Few:
    """Some MediaBuckets of one namespace, and the last edit that was made to them."""

    platform: Platform
    team: str
    names: tuple[str, ...] = tuple(f"media-{number}" for number in range(5))
    edits: int = 0

    def edit(self) -> None:
        self.edits += 1
        cors = {"allowedOrigins": [f"https://{self.edits}.example.com"]}
        self.platform.kube.apply(*(media_bucket(name, self.team, "store", cors=cors) for name in self.names))

    def poke(self, look: str) -> None:
        self.platform.kube.kubectl("annotate", "mb", "--all", "-n", self.team, f"example.com/look={look}")

    def conditions(self, kind: str) -> list[dict[str, Any]]:
        return [condition(self.platform.get(name, self.team), kind) for name in self.names]

    def converged(self) -> bool:
        for name in self.names:
            found = self.platform.get(name, self.team)
            assert status_of(found).get("observedGeneration") == found["metadata"]["generation"], name
            assert condition(found, "Ready")["status"] == "True", condition(found, "Ready")
            origins = self.platform.admin(f"{self.team}-{name}").get_cors()[0]["AllowedOrigins"]
            assert origins == [f"https://{self.edits}.example.com"]
        return True

    def converge(self, what: str) -> None:
        started = time.monotonic()
        eventually(self.converged, seconds=CONVERGED_SECONDS, every=0.5)
        report(f"{what}: converged", started)


@pytest.fixture(scope="module")
def weak_store(seaweedfs: SeaweedFS) -> Iterator[TcpProxy]:
    with TcpProxy(urlsplit(seaweedfs.connection.endpoint).port or 80) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def platform(
    assets: Path, seaweedfs: SeaweedFS, weak_store: TcpProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A cluster of its own, because its parts are restarted; the operator reaches the store through `weak_store`."""
    through = seaweedfs.connection.model_copy(update={"endpoint": f"http://127.0.0.1:{weak_store.port}"})
    with cluster_with_chart(tmp_path_factory.mktemp("kube"), assets, may_be_forbidden=True) as cluster:
        cluster.apply(*store_documents("store", through))
        with OperatorProcess(cluster, tmp_path_factory.mktemp("operator")) as operator:
            eventually(lambda: condition(cluster.get("ostore", "store"), "Ready").get("status") == "True")
            yield Platform(cluster, seaweedfs, operator)


@pytest.fixture
def few(platform: Platform, team: str) -> Few:
    """Ready ones."""
    few = Few(platform, team)
    few.edit()
    few.converge("from nothing")
    return few


def are(conditions: list[dict[str, Any]], status: str) -> bool:
    assert [found["status"] for found in conditions] == [status] * len(conditions), conditions
    return True


def test_a_store_that_is_down_for_a_while(platform: Platform, weak_store: TcpProxy, few: Few) -> None:
    before = {name: status_of(platform.get(name, few.team)) for name in few.names}
    weak_store.refuse()
    try:
        started = time.monotonic()
        few.poke("down")
        eventually(lambda: are(few.conditions("StoreReachable"), "False"), seconds=30)
        are(few.conditions("Ready"), "False")
        eventually(lambda: are([condition(platform.kube.get("ostore", "store"), "Ready")], "False"), seconds=30)
        report("every condition says that the store is down", started)
        few.edit()
        for name in few.names:
            now = status_of(platform.get(name, few.team))
            for fact in ("bucketName", "ownership", "credentials", "capabilities", "endpoint"):
                assert now[fact] == before[name][fact]
            # What was true of the bucket is not known to be false now.
            assert condition({"status": now}, "BucketOwned")["status"] != "False"
        while time.monotonic() - started < STORE_DOWN_SECONDS:
            assert platform.operator.health()[0] == 200
            are(few.conditions("Ready"), "False")
            time.sleep(1)
    finally:
        weak_store.accept()
    few.converge("the store is back")
    eventually(lambda: are([condition(platform.kube.get("ostore", "store"), "Ready")], "True"))


@pytest.mark.parametrize("parts", [("api",), ("etcd",), ("api", "etcd")], ids="+".join)
def test_the_cluster_itself_is_restarted(platform: Platform, few: Few, parts: tuple[str, ...]) -> None:
    assert platform.operator.child is not None
    process = platform.operator.child.process.pid
    for part in parts:
        platform.kube.stop_part(part)
    time.sleep(5)
    if "etcd" in parts:
        platform.kube.start_etcd()
    if "api" in parts:
        platform.kube.start_api_server()
    eventually(lambda: platform.kube.try_kubectl("get", "ns").returncode == 0)
    few.edit()
    few.converge(f"{' and '.join(parts)} restarted")
    assert platform.operator.child.running
    assert platform.operator.child.process.pid == process
    assert platform.operator.health() == (200, "ok\n")


def test_a_store_that_answers_503_to_every_second_request(platform: Platform, weak_store: TcpProxy, few: Few) -> None:
    new = Few(platform, few.team, names=("new-0", "new-1", "new-2"))
    weak_store.fails_every_second = True
    try:
        few.edit()
        new.edit()
        started = time.monotonic()
        eventually(lambda: all(map(is_honest, new.conditions("Ready"))), seconds=60)
        report("every new one says how it is", started)
        while time.monotonic() - started < 20:
            assert platform.operator.health()[0] == 200
            for found in reachability(platform, few):
                assert is_honest(found), found
            for name in few.names:
                require_truth(platform, few, name)
        ready = [found for found in new.conditions("Ready") if found["status"] == "True"]
        report(f"{len(ready)} of {len(new.names)} are Ready, {weak_store.failed} requests failed", started)
    finally:
        weak_store.fails_every_second = False
    few.converge("the store answers again")
    new.converge("and the new ones")
    eventually(lambda: are(reachability(platform, few), "True"))


def is_honest(told: dict[str, Any]) -> bool:
    """All is well, or it says what the store has said."""
    return told.get("status") == "True" or "503" in told.get("message", "")


def reachability(platform: Platform, few: Few) -> list[dict[str, Any]]:
    """Whether the store answers, as each MediaBucket tells it, and the ObjectStore itself."""
    return [*few.conditions("StoreReachable"), condition(platform.kube.get("ostore", "store"), "Reachable")]


def test_a_store_with_five_seconds_for_each_answer(platform: Platform, weak_store: TcpProxy, few: Few) -> None:
    weak_store.delay_seconds = 5
    try:
        few.edit()
        started = time.monotonic()
        while time.monotonic() - started < 25:
            assert platform.operator.health()[0] == 200
            # It takes long, and answers every time.
            are(reachability(platform, few), "True")
            for name in few.names:
                require_truth(platform, few, name)
            time.sleep(0.5)
    finally:
        weak_store.delay_seconds = 0
    few.converge("the store is quick again")


def require_truth(platform: Platform, few: Few, name: str) -> None:
    """A condition of this generation is true only when the store has what the generation says."""
    found = platform.get(name, few.team)
    told = condition(found, "CorsSynced")
    if told["status"] == "True" and told["observedGeneration"] == found["metadata"]["generation"]:
        origins = platform.admin(f"{few.team}-{name}").get_cors()[0]["AllowedOrigins"]
        assert origins == [f"https://{few.edits}.example.com"], told
