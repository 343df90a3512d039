"""Draws what a dashboard shows, without Grafana: `python scripts/draw_dashboards.py PROMETHEUS_URL [MINUTES]`.

Writes docs/images/<dashboard>.png from the last minutes of a Prometheus. Tests that watch real programs draw as well
when DRAW_DASHBOARDS is set in the environment:

    DRAW_DASHBOARDS=1 .venv/bin/pytest tests/service/test_uploads_on_prometheus.py
    DRAW_DASHBOARDS=1 .venv/bin/pytest -m kube tests/kube/test_operator_on_prometheus.py

A picture holds the fingerprint of the dashboard that was drawn: a test tells when it is no longer the one there is.
"""

import hashlib
import json
import math
import os
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

mpl.use("agg")

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ROOT / "charts" / "mediabucket" / "dashboards"
IMAGES = ROOT / "docs" / "images"
COLUMNS: Final = 24
# Inches for each column and row of the grid; and how many pixels an inch has.
SCALE: Final = (0.64, 0.3)
DOTS: Final = 90
# Rows of the grid that numbers, and all others, leave free below: for the legend, and for the axis above it.
BELOW_NUMBERS: Final = 0.4
BELOW: Final = 2.8
# What a change of needs no new picture.
NOT_DRAWN: Final = frozenset({"description", "links", "id"})
# The text of a PNG in which the fingerprint is.
FINGERPRINT: Final = "Dashboard"
GRAFANA: Final = {"$namespace": ".*", "$bucket": ".*", "$__rate_interval": "15s"}
COLORS: Final = {"red": "#c4162a", "orange": "#e0912f", "green": "#37872d", "blue": "#3274d9"}
UNITS: Final = {"s": "s", "bytes": "B", "Bps": "B/s", "ops": "/s", "reqps": "/s"}
# Times the highest value: no line at the edge, and room for the number of a bar.
HEADROOM: Final = 1.12
LEGEND_LINES: Final = 3
# Columns of the grid that a name in a legend needs.
LEGEND_WIDTH: Final = 4.0
# How many of its characters have room in one.
LETTERS: Final = 8
TABLE_LENGTH: Final = 8

Series: TypeAlias = list[dict[str, Any]]
Panel: TypeAlias = dict[str, Any]
# An expression and for how many seconds, to series as Prometheus' query_range answers them.
Query: TypeAlias = Callable[[str, float], Series]


class Drawn(NamedTuple):
    """A series: what it is called, its labels, its points (Unix time in seconds, value)."""

    name: str
    labels: dict[str, str]
    points: list[tuple[float, float]]


class NothingToDraw(Exception):
    """Panels have no data. The message says which, and what to do."""


def drawing_is_asked() -> bool:
    return bool(os.environ.get("DRAW_DASHBOARDS"))


def panels_of(board: str) -> list[Panel]:
    found: list[Panel] = json.loads((BOARDS / f"{board}.json").read_text())["panels"]
    return found


def fingerprint(board: str) -> str:
    """SHA-256 of all that is drawn of a dashboard."""
    drawn = [{name: value for name, value in panel.items() if name not in NOT_DRAWN} for panel in panels_of(board)]
    return hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()


def draw(board: str, query: Query, seconds: float, directory: Path = IMAGES) -> None:
    """Every panel at its place, with the data of the last seconds, as <directory>/<board>.png.

    Raises NothingToDraw, and writes nothing, when an expression yields no number.
    """
    panels = panels_of(board)
    data = {panel["title"]: answers(panel, query, seconds) for panel in panels if panel["type"] != "row"}
    _require_data(board, data)
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = Figure(figsize=(COLUMNS * SCALE[0], height * SCALE[1]), dpi=DOTS)
    for panel in panels:
        if panel["type"] == "row":
            top = 1 - (panel["gridPos"]["y"] + 0.8) / height
            figure.text(0.005, top, panel["title"], fontsize=11, fontweight="bold")
        else:
            axes = figure.add_axes(_place(panel, height))
            axes.set_title(panel["title"], fontsize=8, loc="left", pad=3)
            DRAWN[panel["type"]](axes, panel, [series for found in data[panel["title"]].values() for series in found])
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / f"{board}.png", metadata={FINGERPRINT: fingerprint(board)})


def _require_data(board: str, data: Mapping[str, Mapping[str, list[Drawn]]]) -> None:
    empty = [f"{title}: {text}" for title, found in data.items() for text, series in found.items() if not series]
    if empty:
        raise NothingToDraw(
            f"{board}.png is left as it is: these yield no number in the time that was asked for. Let what they"
            " measure happen within it.\n" + "\n".join(empty)
        )


def _place(panel: Panel, height: int) -> tuple[float, float, float, float]:
    """Left, bottom, width, height as shares of the picture; numbers need no room for axes."""
    place = panel["gridPos"]
    beside = {"stat": 0.008, "bargauge": 0.05, "table": 0.008}.get(panel["type"], 0.034)
    below = {"stat": BELOW_NUMBERS, "bargauge": 1.2, "table": 0.2}.get(panel["type"], BELOW)
    return (
        place["x"] / COLUMNS + beside,
        1 - (place["y"] + place["h"] - below) / height,
        place["w"] / COLUMNS - beside - 0.008,
        (place["h"] - below - 1.3) / height,
    )


def answers(panel: Panel, query: Query, seconds: float) -> dict[str, list[Drawn]]:
    """Each expression with its series, of which points that are no number are left out."""
    return {target["expr"]: _series(target, query, seconds) for target in panel["targets"]}


def _series(target: dict[str, Any], query: Query, seconds: float) -> list[Drawn]:
    text = target["expr"].replace("$__range", f"{seconds:.0f}s")
    for name, value in GRAFANA.items():
        text = text.replace(name, value)
    found = []
    for series in query(text, seconds):
        points = [(float(at), float(value)) for at, value in series["values"]]
        real = [(at, value) for at, value in points if math.isfinite(value)]
        found.append(Drawn(named(target.get("legendFormat", ""), series["metric"]), series["metric"], real))
    return [series for series in found if series.points]


def named(legend: str, labels: Mapping[str, str]) -> str:
    """The legend with the values of the labels that it mentions."""
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    return legend


def shortened(name: str, length: int) -> str:
    """The end of a name tells more than its beginning."""
    return name if len(name) <= length else f"…{name[1 - length :]}"


def readable(value: float, unit: str) -> str:
    """As short as Grafana writes it."""
    if unit == "percentunit":
        return f"{value:.1%}"
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{UNITS.get(unit, '')}"
    return f"{value:.3g} {UNITS.get(unit, '')}".strip()


def _number(axes: Axes, panel: Panel, series: list[Drawn]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    axes.set_xticks([])
    axes.set_yticks([])
    value = series[0].points[-1][1]
    steps = defaults["thresholds"]["steps"]
    color = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    axes.set_facecolor(COLORS[color])
    text = readable(value, defaults["unit"])
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=17, color="white", transform=axes.transAxes)


def _lines(axes: Axes, panel: Panel, series: list[Drawn]) -> None:
    now = time.time()
    for name, _, points in series:
        # A single point has no line.
        marker = "." if len(points) == 1 else ""
        axes.plot([at - now for at, _ in points], [value for _, value in points], marker=marker, lw=1, label=name)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.yaxis.set_major_formatter(lambda value, _: readable(value, unit))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")
    axes.tick_params(labelsize=6)
    highest = [max(value for _, value in points) for _, _, points in series]
    top = HEADROOM * max(highest) or 1
    # What is zero all the time shall be seen, too.
    axes.set_ylim(-0.03 * top, top)
    axes.grid(alpha=0.25)
    lines = sorted(zip(highest, axes.get_lines(), strict=True), key=lambda line: -line[0])
    _legend(axes, [line for _, line in lines], panel["gridPos"]["w"])


def _legend(axes: Axes, lines: list[Line2D], width: int) -> None:
    """Below, as Grafana has it: no line is hidden. Of many the highest ones are named."""
    columns = max(1, round(width / LEGEND_WIDTH))
    room = columns * LEGEND_LINES
    shown = lines if len(lines) <= room else lines[: room - 1]
    if len(shown) < len(lines):
        shown = [*shown, Line2D([], [], ls="", label=f"… and {len(lines) - len(shown)} more")]
    for line in shown:
        line.set_label(shortened(str(line.get_label()), width * LETTERS // columns))
    axes.legend(
        handles=shown,
        fontsize=6,
        loc="upper left",
        bbox_to_anchor=(0, -0.2),
        ncols=columns,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        labelspacing=0.25,
        columnspacing=1,
        handlelength=1.2,
    )


def _bars(axes: Axes, panel: Panel, series: list[Drawn]) -> None:
    values = {name: points[-1][1] for name, _, points in series}
    names = [target["legendFormat"] for target in panel["targets"]][::-1]
    bars = axes.barh(names, [values[name] for name in names], color=COLORS["blue"])
    axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=2)
    axes.set_xlim(0, HEADROOM * max(values.values()) or 1)
    axes.tick_params(labelsize=6)


def _table(axes: Axes, panel: Panel, series: list[Drawn]) -> None:
    axes.set_axis_off()
    columns = panel["transformations"][0]["options"]["include"]["names"]
    rows = sorted([labels.get(column, "") for column in columns] for _, labels, _ in series)
    if len(rows) > TABLE_LENGTH:
        more = f"… and {len(rows) - TABLE_LENGTH + 1} more"
        rows = [*rows[: TABLE_LENGTH - 1], [more, *[""] * (len(columns) - 1)]]
    line = 1 / (TABLE_LENGTH + 1)
    share = line * (len(rows) + 1)
    table = axes.table(
        cellText=rows,
        colLabels=columns,
        bbox=Bbox.from_bounds(0, 1 - share, 1, share),
        cellLoc="left",
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(7)


DRAWN: Final = {"stat": _number, "timeseries": _lines, "bargauge": _bars, "table": _table}


def query_of(url: str) -> Query:
    def query(expression: str, seconds: float) -> Series:
        now = time.time()
        step = max(1, round(seconds / 120))
        parameters = {"query": expression, "start": now - seconds, "end": now, "step": step}
        address = f"{url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            found: Series = json.load(answer)["data"]["result"]
        return found

    return query


def main(url: str, minutes: str = "60") -> None:
    for file in sorted(BOARDS.glob("*.json")):
        try:
            draw(file.stem, query_of(url), 60 * float(minutes))
        except NothingToDraw as problem:
            sys.exit(str(problem))


if __name__ == "__main__":
    main(*sys.argv[1:])
