"""The dashboards: generated, complete, and in the chart as they are."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dashboards
import pytest
import yaml
from monitoring.alert import RUNBOOKS_URL
from watched_expressions import of_dashboard, series_of_choice

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "mediabucket"
BOARDS = ("uploads", "operator")
ELSEWHERE = "https://docs.example.com/runbooks"
EVERYTHING = (
    "--set=dashboards.enabled=true,alerts.enabled=true,dashboards.annotations.folder=media,labels.team=platform",
    "--set=metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true",
    f"--set=runbooks.url={ELSEWHERE}",
)


def board(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "dashboards" / f"{name}.json").read_text())
    return found


def panels(name: str) -> list[dict[str, Any]]:
    """All but the rows."""
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def rendered(helm_program: Path) -> list[dict[str, Any]]:
    command = [str(helm_program), "template", "media", str(CHART), "--kube-version=1.31.0", *EVERYTHING]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return list(filter(None, yaml.safe_load_all(printed)))


def of_kind(objects: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (item for item in objects if item["kind"] == kind)


@pytest.mark.parametrize("name", BOARDS)
def test_dashboards_are_what_the_script_writes(name: str) -> None:
    text = (CHART / "dashboards" / f"{name}.json").read_bytes()
    assert text == dashboards.files()[f"dashboards/{name}.json"].encode(), "run `make dashboards`"


def test_the_script_writes_the_same_every_time(tmp_path: Path) -> None:
    dashboards.main([str(tmp_path)])
    for path in dashboards.files():
        assert (tmp_path / path).read_bytes() == (CHART / path).read_bytes()


@pytest.mark.parametrize("name", BOARDS)
def test_the_viewer_chooses_source_namespace_and_bucket(name: str) -> None:
    variables = {item["name"]: item for item in board(name)["templating"]["list"]}
    assert list(variables) == ["datasource", "namespace", "bucket"]
    assert variables["datasource"]["type"] == "datasource"
    for panel in panels(name):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    used = set(re.findall(r"\$(\w+)", json.dumps(panels(name))))
    assert {"namespace", "bucket"} <= used
    assert used <= {"namespace", "bucket", "__rate_interval", "__range"}


def test_choices_of_the_viewer_are_asked_for_as_panels_are() -> None:
    """Tests with a real Prometheus find an empty list of choices by that."""
    assert 'up{job="mediabucket",namespace=~".*",mediabucket!=""}' in of_dashboard("uploads")
    choices = [expression for expression in of_dashboard("operator") if expression.endswith('!=""}')]
    assert len(choices) == 2
    assert choices[-1].endswith('type="Ready",namespace=~".*",name!=""}')
    with pytest.raises(AssertionError, match="is not label_values"):
        series_of_choice("label_values(namespace)")


@pytest.mark.parametrize("name", BOARDS)
def test_panels_can_be_read(name: str) -> None:
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        if panel["type"] != "table":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        if panel["type"] == "stat":
            assert len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) == 3


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap_and_fill_their_rows(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in board(name)["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    assert {x for x, _ in taken} == set(range(24))
    bottom = max(y for _, y in taken) + 1
    assert len(taken) == 24 * bottom


@pytest.mark.parametrize("name", BOARDS)
def test_links_lead_to_runbooks_that_exist(name: str) -> None:
    urls = set(re.findall(rf"{re.escape(RUNBOOKS_URL)}/([\w-]+\.md)", json.dumps(board(name))))
    assert len(urls) > 4
    assert [url for url in urls if not (ROOT / "docs" / "runbooks" / url).exists()] == []


def test_config_maps_hold_the_dashboards(rendered: list[dict[str, Any]]) -> None:
    found: dict[str, str] = {}
    for item in of_kind(rendered, "ConfigMap"):
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert item["metadata"]["labels"]["team"] == "platform"
        assert item["metadata"]["annotations"] == {"folder": "media"}
        found |= item["data"]
    assert found.keys() == {f"mediabucket-{name}.json" for name in BOARDS}
    for name in BOARDS:
        text = json.dumps(board(name)).replace(RUNBOOKS_URL, ELSEWHERE)
        assert json.loads(found[f"mediabucket-{name}.json"]) == json.loads(text)


def test_the_rule_holds_the_alerts(rendered: list[dict[str, Any]]) -> None:
    [rule] = of_kind(rendered, "PrometheusRule")
    text = (CHART / "alerts" / "rules.yaml").read_text().replace(RUNBOOKS_URL, ELSEWHERE)
    assert rule["spec"] == yaml.safe_load(text)


def test_no_object_is_too_large_for_the_cluster(rendered: list[dict[str, Any]]) -> None:
    """https://kubernetes.io/docs/concepts/configuration/configmap/#motivation: 1 MiB; kubectl apply keeps 256 KiB."""
    for item in (*of_kind(rendered, "ConfigMap"), *of_kind(rendered, "PrometheusRule")):
        assert len(json.dumps(item)) < 200_000
