"""The dashboard and the alerts of the operator on a real Prometheus, which watches a real operator: one MediaBucket is
well and is changed behind its back, one has no store, one store has no answer.
"""

import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from draw_dashboards import draw, drawing_is_asked
from kube_platform import Platform
from monitoring import operator_alerts
from operator_process import OPERATOR_NAMESPACE, condition, eventually, media_bucket, store_documents
from prometheus_server import PrometheusServer, Target, prometheus
from watched_expressions import RULES, of_dashboard, of_rules, silent, with_selectors

from mediabucket_cli.embedded.ports import LOOPBACK

SECONDS = 45
DRAWN_SECONDS = 90
DRAWN_BUCKETS = 6
COUNTER = 'mediabucket_operator_drift_repaired_total{aspect="cors"}'
ORIGINS = {"allowedOrigins": ["https://app.example.com"]}


@pytest.fixture
def watched(platform: Platform, tmp_path: Path) -> Iterator[PrometheusServer]:
    labels = {"job": "mediabucket-operator", "namespace": OPERATOR_NAMESPACE, "pod": "operator"}
    target = Target(f"{LOOPBACK}:{platform.operator.port}", labels)
    with prometheus(tmp_path / "prometheus", RULES, [target]) as server:
        yield server


def repairs(platform: Platform) -> Counter[str]:
    """What the operator says that it has written back, by aspect."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{platform.operator.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    counted = re.findall(r'^mediabucket_operator_drift_repaired_total\{aspect="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return Counter({aspect: int(float(value)) for aspect, value in counted})


@pytest.fixture
def busy(platform: Platform, team: str, watched: PrometheusServer) -> Iterator[PrometheusServer]:
    """Watched while all this happens."""
    kube = platform.kube
    before = repairs(platform)
    # A rise shows only when the value before it was seen.
    eventually(lambda: watched.query(COUNTER))
    nowhere = platform.store.connection.model_copy(update={"endpoint": f"http://{LOOPBACK}:9"})
    kube.apply(*store_documents("nowhere", nowhere))
    kube.apply(media_bucket("avatars", team, "store", cors=ORIGINS), media_bucket("lost", team, "nowhere"))
    platform.wait("avatars", team)
    eventually(lambda: condition(platform.get("lost", team), "Ready").get("status") == "False")
    assert repairs(platform) == before, "a new bucket was counted as repaired"
    admin = platform.admin(f"{team}-avatars")
    admin.delete_cors()
    kube.kubectl("annotate", "mb/avatars", "-n", team, "example.com/touched=once", "--overwrite")
    eventually(lambda: repairs(platform) == before + Counter(cors=1))
    yield watched
    kube.kubectl("delete", "mb/lost", "-n", team)
    kube.kubectl("delete", "ostore/nowhere")


def live_on(platform: Platform, team: str) -> None:
    """What a picture shows: MediaBuckets come one by one, and one is set right again and again."""
    for number in range(DRAWN_BUCKETS):
        platform.kube.apply(media_bucket(f"films-{number}", team, "store", cors=ORIGINS))
        time.sleep(DRAWN_SECONDS / DRAWN_BUCKETS)
        platform.admin(f"{team}-avatars").delete_cors()
        touched = f"example.com/touched=drawn-{number}"
        platform.kube.kubectl("annotate", "mb/avatars", "-n", team, touched, "--overwrite")


def test_every_panel_and_alert_shows_something(busy: PrometheusServer, platform: Platform, team: str) -> None:
    expressions = with_selectors([*of_dashboard("operator"), *of_rules(operator_alerts.groups())])
    assert len(expressions) > 40
    assert silent(expressions, busy.query, SECONDS) == []
    # The very first repair shows: its counter had begun with zero.
    eventually(lambda: busy.query(f"increase({COUNTER}[1h]) > 0"))
    if drawing_is_asked():
        live_on(platform, team)
        draw("operator", busy.query_range, DRAWN_SECONDS)


def test_an_operator_that_is_gone_is_noticed(platform: Platform, watched: PrometheusServer) -> None:
    """The alert itself waits for five minutes; that it would fire is seen at once."""
    eventually(lambda: watched.query('up{job="mediabucket-operator"} == 1'))
    [alert] = [
        rule for group in operator_alerts.groups() for rule in group.alerts if rule.name == "MediaBucketOperatorDown"
    ]
    assert watched.query(alert.condition.text) == []
    platform.operator.stop()
    try:
        eventually(lambda: watched.query(alert.condition.text))
    finally:
        platform.operator.start()
        eventually(lambda: platform.operator.health()[0] == 200)
