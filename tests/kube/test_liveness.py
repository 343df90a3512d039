"""Watches that fall silent make the process unhealthy; a store that is down does not."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_cluster import KubeCluster
from kube_platform import Platform
from operator_process import (
    OPERATOR_ACCOUNT,
    OperatorProcess,
    condition,
    eventually,
    media_bucket,
    store_documents,
)
from tcp_proxy import TcpProxy

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

pytestmark = pytest.mark.takes_minutes(3)

# What the issue allows, and a little for the test itself.
FAILS_WITHIN_SECONDS = 92


@pytest.fixture
def between(installed: KubeCluster) -> Iterator[TcpProxy]:
    with TcpProxy(installed.ports["api"]) as proxy:
        yield proxy


@pytest.fixture
def apart(installed: KubeCluster, seaweedfs: SeaweedFS, between: TcpProxy, tmp_path: Path) -> Iterator[Platform]:
    """An operator that talks to the API server through the proxy."""
    installed.apply(*store_documents("store", seaweedfs.connection))
    kubeconfig = installed.write_kubeconfig(OPERATOR_ACCOUNT, url=f"https://127.0.0.1:{between.port}")
    with OperatorProcess(installed, tmp_path, kubeconfig=kubeconfig) as operator:
        eventually(lambda: operator.health()[0] == 200)
        yield Platform(installed, seaweedfs, operator)
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


def test_watches_that_died_are_opened_anew_and_nothing_is_missed(apart: Platform, between: TcpProxy, team: str) -> None:
    """Only the connections that are open fall silent: a kubelet that restarts the Pod would be as good, but later."""
    apart.kube.apply(media_bucket("before", team, "store"))
    apart.wait("before", team)
    between.freeze_existing()
    apart.kube.apply(media_bucket("after", team, "store"))
    eventually(
        lambda: (
            condition(apart.get("after", team), "Ready").get("status") == "True" or apart.operator.health()[0] == 503
        ),
        seconds=FAILS_WITHIN_SECONDS,
        every=1,
    )


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
