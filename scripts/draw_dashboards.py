"""Draws what a dashboard shows, without Grafana: `python scripts/draw_dashboards.py PROMETHEUS_URL [MINUTES]`.

Writes docs/images/<dashboard>.png from the last minutes of a Prometheus. Tests that watch real programs draw as well
when DRAW_DASHBOARDS is set in the environment.
"""

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

mpl.use("agg")

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ROOT / "charts" / "mediabucket" / "dashboards"
IMAGES = ROOT / "docs" / "images"
COLUMNS: Final = 24
# Inches for each column and row of the grid; and how many pixels an inch has.
SCALE: Final = (0.62, 0.26)
DOTS: Final = 80
GRAFANA: Final = {"$namespace": ".*", "$bucket": ".*", "$__rate_interval": "15s"}
COLORS: Final = {"red": "#c4162a", "orange": "#e0912f", "green": "#37872d", "blue": "#3274d9"}
UNITS: Final = {"s": "s", "bytes": "B", "Bps": "B/s", "ops": "/s", "reqps": "/s"}
# Longer names would push the numbers out of sight.
NAME_LENGTH: Final = 28
LEGEND_LENGTH: Final = 8
# Times the highest value: room for the legend.
HEADROOM: Final = 1.6
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


def drawing_is_asked() -> bool:
    return bool(os.environ.get("DRAW_DASHBOARDS"))


def draw(board: str, query: Query, seconds: float, directory: Path = IMAGES) -> None:
    """Every panel at its place, with the data of the last seconds, as <directory>/<board>.png."""
    panels = json.loads((BOARDS / f"{board}.json").read_text())["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = Figure(figsize=(COLUMNS * SCALE[0], height * SCALE[1]), dpi=DOTS)
    for panel in panels:
        if panel["type"] == "row":
            top = 1 - (panel["gridPos"]["y"] + 0.8) / height
            figure.text(0.005, top, panel["title"], fontsize=11, fontweight="bold")
        else:
            axes = figure.add_axes(_place(panel, height))
            axes.set_title(panel["title"], fontsize=8, loc="left", pad=3)
            DRAWN[panel["type"]](axes, panel, answers(panel, query, seconds))
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / f"{board}.png")


def _place(panel: Panel, height: int) -> tuple[float, float, float, float]:
    """Left, bottom, width, height as shares of the picture; numbers need no room for axes."""
    place = panel["gridPos"]
    beside, below = {"stat": (0.008, 0.4), "bargauge": (0.05, 1.8)}.get(panel["type"], (0.034, 1.8))
    return (
        place["x"] / COLUMNS + beside,
        1 - (place["y"] + place["h"] - below) / height,
        place["w"] / COLUMNS - beside - 0.008,
        (place["h"] - below - 1.3) / height,
    )


def answers(panel: Panel, query: Query, seconds: float) -> list[Drawn]:
    """The name of each series, its labels, its points without those that are no number."""
    found = []
    for target in panel["targets"]:
        text = target["expr"].replace("$__range", f"{seconds:.0f}s")
        for name, value in GRAFANA.items():
            text = text.replace(name, value)
        for series in query(text, seconds):
            points = [(float(at), float(value)) for at, value in series["values"]]
            real = [(at, value) for at, value in points if math.isfinite(value)]
            found.append(Drawn(named(target.get("legendFormat", ""), series["metric"]), series["metric"], real))
    return [series for series in found if series.points]


def named(legend: str, labels: Mapping[str, str]) -> str:
    """The legend with the values of the labels that it mentions."""
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    return legend if len(legend) <= NAME_LENGTH else f"…{legend[1 - NAME_LENGTH :]}"


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
    if not series:
        _nothing(axes)
        return
    value = series[0].points[-1][1]
    steps = defaults["thresholds"]["steps"]
    color = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    axes.set_facecolor(COLORS[color])
    text = readable(value, defaults["unit"])
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=17, color="white", transform=axes.transAxes)


def _lines(axes: Axes, panel: Panel, series: list[Drawn]) -> None:
    axes.tick_params(labelsize=6)
    if not series:
        _nothing(axes)
        return
    now = time.time()
    for name, _, points in series:
        axes.plot([at - now for at, _ in points], [value for _, value in points], linewidth=1, label=name)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.yaxis.set_major_formatter(lambda value, _: readable(value, unit))
    highest = [max(value for _, value in points) for _, _, points in series]
    axes.set_ylim(0, HEADROOM * max(highest) or 1)
    axes.grid(alpha=0.25)
    lines = sorted(zip(highest, axes.get_lines(), strict=True), key=lambda line: -line[0])
    axes.legend(
        handles=[line for _, line in lines[:LEGEND_LENGTH]], fontsize=5.5, loc="upper left", framealpha=0.6, ncols=2
    )


def _bars(axes: Axes, panel: Panel, series: list[Drawn]) -> None:
    names = [target["legendFormat"] for target in panel["targets"]]
    values = {name: points[-1][1] for name, _, points in series}
    axes.barh(names[::-1], [values.get(name, 0) for name in names[::-1]], color=COLORS["blue"])
    axes.tick_params(labelsize=6)
    for place, name in enumerate(names[::-1]):
        text = f"{values[name]:.0f}" if name in values else "no data yet"
        axes.text(0, place, f" {text}", va="center", fontsize=7)


def _table(axes: Axes, panel: Panel, series: list[Drawn]) -> None:
    axes.set_axis_off()
    columns = panel["transformations"][0]["options"]["include"]["names"]
    rows = [[labels.get(column, "") for column in columns] for _, labels, _ in series][:TABLE_LENGTH]
    if not rows:
        _nothing(axes)
        return
    table = axes.table(cellText=rows, colLabels=columns, loc="upper left", cellLoc="left")
    table.auto_set_font_size(False)
    table.set_fontsize(6)


def _nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no data yet", ha="center", va="center", fontsize=9, color="gray", transform=axes.transAxes)


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
        draw(file.stem, query_of(url), 60 * float(minutes))


if __name__ == "__main__":
    main(*sys.argv[1:])
