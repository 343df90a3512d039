"""Watches that fall silent make the process unhealthy; a store that is down does not."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_cluster import KubeCluster
from kube_platform import Platform, cluster_with_chart
from operator_process import (
    OPERATOR_ACCOUNT,
    OperatorProcess,
    condition,
    eventually,
    media_bucket,
    namespace,
    store_documents,
)
from tcp_proxy import TcpProxy

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

pytestmark = pytest.mark.takes_minutes(4)

TEAM = "apart"
# What the issue allows, and a little for the test itself.
FAILS_WITHIN_SECONDS = 92


@pytest.fixture(scope="module")
def alone(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeCluster]:
    """No other operator does here what one with dead watches has missed."""
    with cluster_with_chart(tmp_path_factory.mktemp("alone"), assets) as cluster:
        cluster.apply(namespace(TEAM))
        yield cluster


@pytest.fixture
def between(alone: KubeCluster) -> Iterator[TcpProxy]:
    with TcpProxy(alone.ports["api"]) as proxy:
        yield proxy


@pytest.fixture
def apart(alone: KubeCluster, seaweedfs: SeaweedFS, between: TcpProxy, tmp_path: Path) -> Iterator[Platform]:
    """An operator that talks to the API server through the proxy."""
    alone.apply(*store_documents("store", seaweedfs.connection))
    kubeconfig = alone.write_kubeconfig(OPERATOR_ACCOUNT, url=f"https://127.0.0.1:{between.port}")
    with OperatorProcess(alone, tmp_path, kubeconfig=kubeconfig) as operator:
        eventually(lambda: operator.health()[0] == 200)
        yield Platform(alone, seaweedfs, operator)
        between.thaw()


def test_silent_watches_fail_the_probe_within_90_seconds(apart: Platform, between: TcpProxy) -> None:
    eventually(lambda: condition(apart.kube.get("ostore", "store"), "Ready").get("status") == "True")
    assert apart.operator.health()[0] == 200
    between.freeze()
    started = time.monotonic()
    eventually(lambda: apart.operator.health()[0] == 503, seconds=FAILS_WITHIN_SECONDS, every=1)
    # Not at once either: a quiet minute is no silence.
    assert time.monotonic() - started > 10
    # All of them are silent; which is named first depends on their last bookmark.
    assert "nothing came from the watch /apis/" in apart.operator.health()[1]


def test_watches_that_died_are_opened_anew_and_nothing_is_missed(apart: Platform, between: TcpProxy) -> None:
    """Only the connections that are open fall silent. kopf gives a silent watch up before it makes the process
    unhealthy: no restart is needed.
    """
    assert apart.operator.child is not None
    process = apart.operator.child.process.pid
    apart.kube.apply(media_bucket("before", TEAM, "store"))
    apart.wait("before", TEAM)
    between.freeze_existing()
    apart.kube.apply(media_bucket("after", TEAM, "store"))
    time.sleep(5)
    assert condition(apart.get("after", TEAM), "Ready") == {}, "it was seen: the watches had not died"
    eventually(
        lambda: condition(apart.get("after", TEAM), "Ready").get("status") == "True",
        seconds=FAILS_WITHIN_SECONDS,
        every=1,
    )
    eventually(lambda: apart.operator.health() == (200, "ok\n"), every=1)
    assert apart.operator.child.process.pid == process
    assert apart.operator.child.running


def test_a_store_that_is_down_does_not_fail_the_probe(platform: Platform, team: str) -> None:
    endpoint = platform.store.connection.endpoint
    with TcpProxy(int(endpoint.rpartition(":")[2])) as store:
        through = platform.store.connection.model_copy(update={"endpoint": f"http://127.0.0.1:{store.port}"})
        platform.kube.apply(*store_documents(f"failing-{team}", through))
        platform.kube.apply(media_bucket("media", team, f"failing-{team}"))
        platform.wait("media", team)
        # Accepted and never answered: the worst that a store can do.
        store.freeze()
        platform.kube.kubectl("annotate", "mb/media", "-n", team, "example.com/look=1")
        started = time.monotonic()
        while time.monotonic() - started < 80:
            assert platform.operator.health() == (200, "ok\n"), platform.operator.health()[1]
            time.sleep(1)
        assert condition(platform.get("media", team), "StoreReachable")["status"] == "False"
        store.thaw()
        platform.wait("media", team)
