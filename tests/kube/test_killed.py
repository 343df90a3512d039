"""kill -9 of the operator, again and again, while there is a lot to do."""

import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crowd import COUNT, CROWD, Actor, Crowd, require_exactly
from kube_platform import Platform, cluster_with_chart
from operator_process import OperatorProcess, eventually, namespace, store_documents

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

pytestmark = pytest.mark.takes_minutes(2)

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
