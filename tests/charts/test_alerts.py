"""Every alert: fires when it must, stays silent when it must, says a whole sentence, and has a runbook that exists."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import dashboards
import pytest
import yaml
from monitoring.alert import RUNBOOKS_URL, Alert, Severity
from monitoring.rule_files import alerts, groups
from prometheus_programs import prometheus_program

from mediabucket_api import constants

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
CHART = ROOT / "charts" / "mediabucket"
RULES = CHART / "alerts" / "rules.yaml"
CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
# What a runbook answers.
CHAPTERS = ["## Symptom", "## What it means", "## What to check", "## What to do"]


def promtool(*arguments: str | Path) -> str:
    """What it says; the test fails when it finds something wrong."""
    result = subprocess.run(
        [prometheus_program("promtool"), *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def checks() -> list[dict[str, Any]]:
    """Each expectation about an alert at a time."""
    documents = [yaml.safe_load(file.read_text()) for file in CASES]
    return [check for document in documents for test in document["tests"] for check in test["alert_rule_test"]]


def test_rules_are_what_the_script_writes() -> None:
    assert dashboards.files()["alerts/rules.yaml"] == RULES.read_text(), "run `make dashboards`"


def test_rules_are_valid() -> None:
    count = sum(len(group.rules) for group in groups())
    assert f"SUCCESS: {count} rules found" in promtool("check", "rules", RULES)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_alerts_fire_when_they_must_and_only_then(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", file)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
class TestAlert:
    def test_is_tried_both_ways(self, alert: Alert) -> None:
        tried = [check["exp_alerts"] for check in checks() if check["alertname"] == alert.name]
        assert [found for found in tried if found], "no case in which it fires"
        assert [found for found in tried if not found], "no case in which it stays silent"

    def test_waits_as_long_as_it_says(self, alert: Alert) -> None:
        """In one of the cases in which it fires it has been silent before."""
        tests = [test for file in CASES for test in yaml.safe_load(file.read_text())["tests"]]
        tried = [
            [bool(check["exp_alerts"]) for check in test["alert_rule_test"] if check["alertname"] == alert.name]
            for test in tests
        ]
        assert [False, True] in tried

    def test_says_a_whole_sentence(self, alert: Alert) -> None:
        said = [
            found["exp_annotations"]["summary"]
            for check in checks()
            for found in check["exp_alerts"]
            if check["alertname"] == alert.name
        ]
        for summary in said:
            assert re.fullmatch(r"[^{}<>\n]{20,200}\.", summary), summary

    def test_wakes_somebody_or_waits(self, alert: Alert) -> None:
        assert alert.severity in Severity
        # A critical one is known within minutes, no other wakes anybody.
        assert re.fullmatch(r"[0-9]+[mh]", alert.lasting)
        if alert.severity is Severity.CRITICAL:
            assert alert.lasting in {"2m", "5m", "10m"}

    def test_has_a_runbook(self, alert: Alert) -> None:
        text = (RUNBOOKS / f"{alert.runbook}.md").read_text()
        assert [line for line in text.splitlines() if line.startswith("## ")] == CHAPTERS
        assert f"`{alert.name}`" in text
        assert alert.runbook_url == f"{RUNBOOKS_URL}/{alert.runbook}.md"

    def test_measures_what_it_compares(self, alert: Alert) -> None:
        assert alert.condition.measured
        for measured in alert.condition.measured:
            assert measured in alert.condition.text


def schema_of(kind: str) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "crds" / f"{kind}.yaml").read_text())
    found: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def is_field(schema: dict[str, Any], path: list[str]) -> bool:
    """Whether a resource can have this field; items of lists are looked into."""
    for name in path:
        schema = schema.get("items", schema).get("properties", {}).get(name)
        if schema is None:
            return False
    return True


@pytest.mark.parametrize("file", sorted(RUNBOOKS.glob("*.md")), ids=lambda file: file.stem)
class TestRunbook:
    def test_names_fields_that_exist(self, file: Path) -> None:
        paths = set(re.findall(r"\bspec\.[\w.\[\]]*\w", file.read_text()))
        kinds = [schema_of(kind) for kind in ("mediabuckets", "objectstores")]
        for path in paths:
            names = path.replace("[]", "").split(".")
            assert any(is_field(kind, names) for kind in kinds), path

    def test_names_annotations_that_exist(self, file: Path) -> None:
        known = {value for name, value in vars(constants).items() if name.endswith("_ANNOTATION")}
        assert set(re.findall(r"mediabucket\.dev/[a-z-]+", file.read_text())) <= known

    def test_names_panels_that_exist(self, file: Path) -> None:
        boards = (CHART / "dashboards").glob("*.json")
        titles = {panel["title"] for board in boards for panel in json.loads(board.read_text())["panels"]}
        text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
        named = re.findall(r"(?<!\*)\*([^*`]+)\*(?!\*)", " ".join(text.split()))
        assert set(named) <= titles


def test_names_are_unique() -> None:
    names = [alert.name for alert in alerts()]
    assert len(names) == len(set(names))
    assert {check["alertname"] for check in checks()} == set(names)


def test_each_runbook_has_an_alert_and_is_listed() -> None:
    listed = (RUNBOOKS / "README.md").read_text()
    found = {file.stem for file in RUNBOOKS.glob("*.md")} - {"README"}
    assert found == {alert.runbook for alert in alerts()}
    assert {name for name in found if f"({name}.md)" in listed} == found
