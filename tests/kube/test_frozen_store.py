"""A store that accepts every call and answers none: whoever is not on it does not notice."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kube_platform import Platform, cluster_with_chart
from operator_process import OperatorProcess, condition, eventually, media_bucket, namespace, store_documents
from tcp_proxy import TcpProxy

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

pytestmark = pytest.mark.takes_minutes(3)

TEAM = "team"
NAMES = [f"media-{number:02}" for number in range(12)]
LOOKED_AT, DELETED = NAMES[:5], NAMES[5:]


@pytest.fixture(scope="module")
def freezing(seaweedfs: SeaweedFS) -> Iterator[TcpProxy]:
    with TcpProxy(urlsplit(seaweedfs.connection.endpoint).port or 80) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def platform(
    assets: Path, seaweedfs: SeaweedFS, freezing: TcpProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A cluster of its own, so that no other test's MediaBuckets wait; two ways to the same store."""
    through = seaweedfs.connection.model_copy(update={"endpoint": f"http://127.0.0.1:{freezing.port}"})
    with cluster_with_chart(tmp_path_factory.mktemp("kube"), assets) as cluster:
        cluster.apply(*store_documents("freezing", through), *store_documents("healthy", seaweedfs.connection))
        cluster.apply(namespace(TEAM))
        # Fewer than are visited at once, and fewer than are deleted.
        workers = {"MEDIABUCKET_OPERATOR_WORKERS": "4"}
        with OperatorProcess(cluster, tmp_path_factory.mktemp("operator"), workers) as operator:
            yield Platform(cluster, seaweedfs, operator)
            freezing.thaw()


def is_ready(platform: Platform, name: str) -> bool:
    return condition(platform.get(name, TEAM), "Ready").get("status") == "True"


def is_gone(platform: Platform, name: str) -> bool:
    return platform.kube.find("mb", name, TEAM) is None


def patch(platform: Platform, name: str, what: str) -> None:
    platform.kube.kubectl("patch", f"mb/{name}", "-n", TEAM, "--type=merge", "-p", what)


def test_a_frozen_store_holds_up_nothing_but_its_own(platform: Platform, freezing: TcpProxy) -> None:
    documents = [media_bucket(name, TEAM, "freezing", deletionPolicy="DeleteIfEmpty") for name in NAMES]
    platform.kube.apply(*documents, media_bucket("on-healthy", TEAM, "healthy", deletionPolicy="DeleteIfEmpty"))
    for name in [*NAMES, "on-healthy"]:
        eventually(lambda name=name: is_ready(platform, name), seconds=60)  # type: ignore[misc]
    freezing.freeze()
    platform.kube.kubectl("annotate", "mb", *LOOKED_AT, "-n", TEAM, "example.com/look=1")
    platform.kube.kubectl("delete", "mb", *DELETED, "-n", TEAM, "--wait=false")
    # All of them are now visited and being deleted, and no call has been given up yet.
    time.sleep(2)
    started = time.monotonic()
    platform.kube.apply(media_bucket("new", TEAM, "healthy"))
    eventually(lambda: is_ready(platform, "new"), seconds=15)
    assert time.monotonic() - started < 15

    started = time.monotonic()
    platform.kube.kubectl("delete", "mb/on-healthy", "-n", TEAM, "--timeout=15s")
    patch(platform, DELETED[0], '{"spec":{"deletionPolicy":"Retain"}}')
    started = time.monotonic()
    eventually(lambda: is_gone(platform, DELETED[0]), seconds=8)
    assert time.monotonic() - started < 8
    # Nor does one that is retained from the beginning wait for the visit that it interrupts.
    patch(platform, LOOKED_AT[0], '{"spec":{"deletionPolicy":"Retain"}}')
    platform.kube.kubectl("delete", f"mb/{LOOKED_AT[0]}", "-n", TEAM, "--timeout=8s")
    # No call is given up before 30 s: till then nobody on the store knows.
    left = LOOKED_AT[1:]
    for name in left:
        eventually(
            lambda name=name: condition(platform.get(name, TEAM), "StoreReachable")["status"] == "False",  # type: ignore[misc]
            seconds=60,
        )
    assert platform.operator.health() == (200, "ok\n")
    freezing.thaw()
    for name in left:
        eventually(lambda name=name: is_ready(platform, name), seconds=60)  # type: ignore[misc]
    for name in DELETED:
        eventually(lambda name=name: is_gone(platform, name), seconds=90)  # type: ignore[misc]
    for name in DELETED[1:]:
        assert not platform.admin(f"{TEAM}-{name}").exists()
    # Released under Retain with a deletion under way: that went no further.
    assert platform.admin(f"{TEAM}-{DELETED[0]}").exists()
