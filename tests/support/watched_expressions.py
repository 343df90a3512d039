"""Every expression of dashboards and alerts, as a test asks a real Prometheus for it."""

import json
import math
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from monitoring.alert import Group, Recording

CHART = Path(__file__).resolve().parents[2] / "charts" / "mediabucket"
RULES = CHART / "alerts" / "rules.yaml"
# What Grafana would put in; every series has the labels.
GRAFANA = {"$namespace": ".*", "$bucket": ".*", "$__rate_interval": "15s", "$__range": "2m"}
# Braces within a quoted value end no selector.
SELECTOR = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*\{(?:"[^"]*"|[^"}])*\}')
LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+)\}, (?P<label>\w+)\)")
Query = Callable[[str], list[dict[str, Any]]]


def of_dashboard(name: str) -> list[str]:
    """What the panels and the variables of charts/mediabucket/dashboards/<name>.json ask."""
    board = json.loads((CHART / "dashboards" / f"{name}.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    choices = [variable["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    return [substituted(expression) for expression in [*asked, *map(series_of_choice, choices)]]


def series_of_choice(query: str) -> str:
    """The series from which a variable of Grafana's takes its values: those that have the label."""
    found = LABEL_VALUES.fullmatch(query)
    assert found is not None, f"{query} is not label_values(selector{{...}}, label)"
    return f'{found["selector"]},{found["label"]}!=""}}'


def of_rules(groups: Iterable[Group]) -> list[str]:
    """What is recorded, and what alerts compare, without the comparison."""
    found: list[str] = []
    for group in groups:
        for rule in group.rules:
            found += [rule.expression, rule.name] if isinstance(rule, Recording) else rule.condition.measured
    return found


def with_selectors(expressions: Iterable[str]) -> list[str]:
    """The expressions, and each selector within them: `a or b` yields something where one of the two is misspelled."""
    wanted = dict.fromkeys(expressions)
    for expression in tuple(wanted):
        wanted |= dict.fromkeys(SELECTOR.findall(expression))
    return list(wanted)


def substituted(expression: str) -> str:
    for name, value in GRAFANA.items():
        expression = expression.replace(name, value)
    return expression


def silent(expressions: Iterable[str], query: Query, seconds: float) -> list[str]:
    """Those that yield no number, however often they are asked within this time."""
    left = list(expressions)
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        left = [expression for expression in left if not yields(query(expression))]
        if left:
            time.sleep(1)
    return left


def yields(series: list[dict[str, Any]]) -> bool:
    """A share of nothing is NaN, which is no answer."""
    return any(not math.isnan(float(found["value"][1])) for found in series)
