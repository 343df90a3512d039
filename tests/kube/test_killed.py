"""kill -9 of the operator, again and again, while there is a lot to do."""

import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from crowd import COUNT, CROWD, Actor, Crowd, require_exactly
from kube_platform import Platform, cluster_with_chart
from operator_process import (
    OperatorProcess,
    condition,
    eventually,
    media_bucket,
    namespace,
    store_documents,
)
from tcp_proxy import TcpProxy

from mediabucket_api.constants import CONFIRM_DESTROY_ANNOTATION
from mediabucket_cli.embedded.seaweedfs import SeaweedFS

pytestmark = pytest.mark.takes_minutes(3)

logger = logging.getLogger(__name__)

LIMITS = {"allowDestroy": "Allowed", "allowAdoption": "Allowed"}
CONVERGED_SECONDS = 60.0
SEED = 20_250_607
KILLS = 20


@pytest.fixture
def doomed(assets: Path, tmp_path: Path) -> Iterator[Platform]:
    """A store of its own, so that all that is in it is known; the operator does not run yet."""
    with (
        cluster_with_chart(tmp_path / "kube", assets) as cluster,
        SeaweedFS.start(tmp_path / "store", durable=False) as store,
    ):
        operator = OperatorProcess(cluster, tmp_path / "operator")
        cluster.apply(*store_documents("store", store.connection, limits=LIMITS), namespace(CROWD))
        try:
            yield Platform(cluster, store, operator)
        finally:
            operator.stop()


def test_killed_twenty_times_while_a_hundred_are_created_edited_and_deleted(doomed: Platform) -> None:
    dice = random.Random(SEED)
    crowd = Crowd(doomed.kube, doomed.store, random.Random(SEED + 1))
    started = time.monotonic()
    with Actor(crowd) as actor:
        for _ in range(KILLS):
            actor.let_create(COUNT // KILLS)
            doomed.operator.start()
            # From the middle of its start to the middle of its work.
            time.sleep(dice.uniform(0.5, 4.0))
            eventually(actor.has_created, seconds=120)
            doomed.operator.kill()
    assert actor.has_created()
    logger.info("%s kills, %s: %.1f s", KILLS, dict(crowd.done), time.monotonic() - started)
    started = time.monotonic()
    doomed.operator.start()

    def converged() -> bool:
        assert crowd.not_converged() == []
        return True

    eventually(converged, seconds=CONVERGED_SECONDS, every=1)
    logger.info("%s converged: %.1f s", len(crowd.living), time.monotonic() - started)
    require_exactly(doomed, crowd)


@pytest.fixture(scope="module")
def between(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, TcpProxy]]:
    """The operator reaches its store through the proxy."""
    directory = tmp_path_factory.mktemp("between")
    with (
        cluster_with_chart(directory / "kube", assets) as cluster,
        SeaweedFS.start(directory / "store", durable=False) as store,
        TcpProxy(urlsplit(store.connection.endpoint).port or 80) as proxy,
    ):
        through = store.connection.model_copy(update={"endpoint": f"http://127.0.0.1:{proxy.port}"})
        cluster.apply(*store_documents("store", through, limits=LIMITS))
        operator = OperatorProcess(cluster, directory / "operator")
        with operator:
            # The probe makes buckets too.
            eventually(lambda: condition(cluster.get("ostore", "store"), "Ready").get("status") == "True")
            yield Platform(cluster, store, operator), proxy


@pytest.mark.parametrize("policy", ["DeleteIfEmpty", "Destroy"])
@pytest.mark.parametrize(
    ("team", "request_line", "body_only"),
    [
        pytest.param("creating", "^PUT /{bucket}/? HTTP", False, id="CreateBucket"),
        # The store has seen that there is a bucket, and waits for the bytes.
        pytest.param("uploading", r"^PUT /{bucket}/pending/\.mediabucket-canary\?", True, id="upload of the canary"),
    ],
)
def test_what_a_killed_process_had_asked_for_makes_no_bucket_that_is_nobodys(
    between: tuple[Platform, TcpProxy], team: str, request_line: str, body_only: bool, policy: str
) -> None:
    platform, proxy = between
    team = f"{team}-{policy.lower()}"
    bucket, held = f"{team}-media", proxy.held
    proxy.hold_back(request_line.format(bucket=bucket).encode(), body_only=body_only)
    document = media_bucket("media", team, "store", deletionPolicy=policy)
    document["metadata"]["annotations"] = {CONFIRM_DESTROY_ANNOTATION: bucket}
    platform.kube.apply(namespace(team), document)
    eventually(lambda: proxy.held > held)
    platform.operator.kill()
    platform.kube.kubectl("delete", "mb/media", "-n", team, "--wait=false")
    platform.operator.start()
    # The successor has seen that there is no bucket, or has deleted it.
    eventually(lambda: "looked for again" in platform.operator.log.read_text() or is_gone(platform, team))
    assert not platform.admin(bucket).exists()
    proxy.let_pass()
    eventually(platform.admin(bucket).exists)
    eventually(lambda: is_gone(platform, team))
    assert not platform.admin(bucket).exists()


def is_gone(platform: Platform, team: str) -> bool:
    return platform.kube.find("mb", "media", team) is None
