"""The pictures of dashboards, without a Prometheus."""

import time
from pathlib import Path
from typing import Any

import pytest
from draw_dashboards import NAME_LENGTH, answers, draw, named, readable
from matplotlib.image import imread

LABELS = {"outcome": "completed", "namespace": "chat", "name": "avatars", "type": "Ready", "status": "False"}


def rising(_: str, seconds: float) -> list[dict[str, Any]]:
    """A series for every expression; Prometheus writes values as text, and NaN among them."""
    start = time.time() - seconds
    return [{"metric": LABELS, "values": [[start + second, str(second)] for second in range(60)] + [[0, "NaN"]]}]


def nothing(_: str, __: float) -> list[dict[str, Any]]:
    return []


@pytest.mark.parametrize("board", ["uploads", "operator"])
def test_data_and_missing_data_are_drawn(board: str, tmp_path: Path) -> None:
    pictures = {}
    for query in (rising, nothing):
        draw(board, query, 60, tmp_path / query.__name__)
        file = tmp_path / query.__name__ / f"{board}.png"
        assert file.stat().st_size < 400_000
        pictures[query.__name__] = imread(file)
    assert pictures["rising"].shape == pictures["nothing"].shape
    assert (pictures["rising"] != pictures["nothing"]).any()


def test_a_value_that_is_no_number_is_left_out() -> None:
    [found] = answers({"targets": [{"expr": "up", "legendFormat": "{{name}}"}]}, rising, 60)
    assert found.name == "avatars"
    assert len(found.points) == 60


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.9987, "percentunit", "99.9%"), (2_500_000, "bytes", "2.5 MB"), (3, "short", "3"), (0.25, "s", "0.25 s")],
)
def test_values_are_short(value: float, unit: str, text: str) -> None:
    assert readable(value, unit) == text


def test_names_are_cut_at_the_front() -> None:
    path = "/apis/mediabucket.dev/v1alpha1/mediabuckets"
    found = named("{{path}}", {"path": path})
    assert len(found) == NAME_LENGTH
    assert path.endswith(found.removeprefix("…"))
