"""The pictures of dashboards, without a Prometheus."""

import json
import time
from pathlib import Path
from typing import Any

import draw_dashboards
import pytest
from draw_dashboards import BOARDS as BOARD_FILES
from draw_dashboards import (
    FINGERPRINT,
    IMAGES,
    NothingToDraw,
    answers,
    draw,
    fingerprint,
    named,
    panels_of,
    readable,
    shortened,
)
from matplotlib.image import imread
from PIL import Image

BOARDS = ("uploads", "operator")

LABELS = {"outcome": "completed", "namespace": "chat", "name": "avatars", "type": "Ready", "status": "False"}


def rising(_: str, seconds: float) -> list[dict[str, Any]]:
    """A series for every expression; Prometheus writes values as text, and NaN among them."""
    start = time.time() - seconds
    return [{"metric": LABELS, "values": [[start + second, str(second)] for second in range(60)] + [[0, "NaN"]]}]


def standing(_: str, seconds: float) -> list[dict[str, Any]]:
    return [{"metric": LABELS, "values": [[time.time() - seconds, "1"]]}]


def told_fingerprint(picture: Path) -> str:
    with Image.open(picture) as image:
        return str(image.info.get(FINGERPRINT))


@pytest.mark.parametrize("board", BOARDS)
def test_data_are_drawn(board: str, tmp_path: Path) -> None:
    pictures = {}
    for query in (rising, standing):
        draw(board, query, 60, tmp_path / query.__name__)
        file = tmp_path / query.__name__ / f"{board}.png"
        assert file.stat().st_size < 400_000
        pictures[query.__name__] = imread(file)
    assert pictures["rising"].shape == pictures["standing"].shape
    assert (pictures["rising"] != pictures["standing"]).any()


@pytest.mark.parametrize("board", BOARDS)
def test_a_panel_without_data_is_no_picture(board: str, tmp_path: Path) -> None:
    """Not a single expression may be silent, beside others of its panel neither."""
    [*_, missing] = [target["expr"] for panel in panels_of(board) for target in panel.get("targets", [])]
    asked = missing.replace("$__rate_interval", "15s").replace("$namespace", ".*").replace("$bucket", ".*")

    def all_but_one(expression: str, seconds: float) -> list[dict[str, Any]]:
        return [] if expression == asked else rising(expression, seconds)

    with pytest.raises(NothingToDraw, match="yield no number") as problem:
        draw(board, all_but_one, 60, tmp_path)
    assert missing in str(problem.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("board", BOARDS)
def test_the_pictures_are_of_the_dashboards_that_there_are(board: str, tmp_path: Path) -> None:
    draw(board, rising, 60, tmp_path)
    assert told_fingerprint(tmp_path / f"{board}.png") == fingerprint(board)
    assert told_fingerprint(IMAGES / f"{board}.png") == fingerprint(board), (
        f"docs/images/{board}.png shows an older dashboard: scripts/draw_dashboards.py says how to draw it again"
    )


def test_a_panel_that_changes_changes_the_fingerprint_and_a_description_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_changed(**changes: Any) -> str:
        changed = json.loads((BOARD_FILES / "uploads.json").read_text())
        changed["panels"][-1] |= changes
        (tmp_path / "uploads.json").write_text(json.dumps(changed))
        return fingerprint("uploads")

    now = fingerprint("uploads")
    monkeypatch.setattr(draw_dashboards, "BOARDS", tmp_path)
    assert of_changed() == of_changed(description="In other words.", id=99) == now
    assert of_changed(title="Another") != now
    assert of_changed(targets=[{"expr": "up"}]) != now


def test_a_value_that_is_no_number_is_left_out() -> None:
    [[found]] = answers({"targets": [{"expr": "up", "legendFormat": "{{name}}"}]}, rising, 60).values()
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
    assert named("{{path}} {{verb}}", {"path": path}) == f"{path} {{{{verb}}}}"
    assert shortened(path, len(path)) == path
    found = shortened(path, 20)
    assert len(found) == 20
    assert path.endswith(found.removeprefix("…"))
