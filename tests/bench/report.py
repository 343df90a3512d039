"""What a person reads: a table, a picture, and the same numbers as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rounds import Row

_OURS: Final = "#1f77b4"
_PEERS: Final = "#b0b7bf"
_DECIMALS_BELOW: Final = 10


def save(rows: Sequence[Row], file: Path) -> None:
    """All rows as one JSON list."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")


def show(groups: Mapping[str, Sequence[Row]], console: Console) -> None:
    """A block for each case: the service first, then its peers with what the service does compared with each."""
    table = Table(box=None, pad_edge=False)
    for heading in ("case", "rate/s", "p50 ms", "p99 ms", "CPU µs", "ratio", "of rounds"):
        table.add_column(heading, justify="left" if heading == "case" else "right", no_wrap=True)
    for rows in groups.values():
        subject, *peers = rows
        table.add_row(*_numbers(subject), style="bold")
        for peer in peers:
            low, high = subject.ratio_range[peer.case]
            table.add_row(*_numbers(peer), f"{subject.ratio_to[peer.case]:.2f}x", f"{low:.2f}-{high:.2f}")
        table.add_row()
    console.print(table)
    shares = [row.generator_share for rows in groups.values() for row in rows if row.generator_share is not None]
    console.print(
        "ratio: how many times the peer's rate the case in bold reaches: the median of paired rounds, beside the\n"
        "lowest and the highest of them. CPU: processor time of the server for one request.\n"
        f"The load generator used at most {max(shares, default=0):.0%} of one core."
    )


# What issue 4 asks of an initiate, by the name of the peer.
GOALS: Final = {"initiate, naive": 6.0, "Companion, no database": 3.0}
_P99_GOAL_MS: Final = 40.0
_P99_OF_EMPTY_MS: Final = 10.0


def markdown(groups: Mapping[str, Sequence[Row]]) -> str:
    """The table for README.md. A peer that does the same as its case is told there, any other in a row of its own."""
    lines = ["| call | a second | p50 | p99 | beside |", "| --- | --- | --- | --- | --- |"]
    told: set[str] = set()
    for subject, *peers in groups.values():
        same = [peer for peer in peers if peer.case.startswith(f"{subject.case}, ")]
        others = [peer for peer in peers if peer not in same and peer.case not in told]
        told |= {row.case for row in (subject, *peers)}
        remarks = [f"{peer.case.partition(', ')[2]} {peer.value:,.0f}: {_beside(subject, peer)}" for peer in same]
        lines.append(_markdown_row(subject, "; ".join(filter(None, [*remarks, _p99_goal(subject, peers)]))))
        lines += [_markdown_row(peer, f"{subject.case}: {_beside(subject, peer)}") for peer in others]
    return "\n".join(lines) + "\n"


def _markdown_row(row: Row, remark: str) -> str:
    return f"| {row.case} | {row.value:,.0f} | {_short(row.p50_ms)} ms | {_short(row.p99_ms)} ms | {remark} |"


def _beside(subject: Row, peer: Row) -> str:
    ratio, (low, high) = subject.ratio_to[peer.case], subject.ratio_range[peer.case]
    told = f"{ratio:.2g} x ({low:.2g} to {high:.2g})"
    wanted = GOALS.get(peer.case)
    return told if wanted is None else f"{told}, goal {wanted:g} x {_verdict(ratio >= wanted)}"


def _p99_goal(subject: Row, peers: Sequence[Row]) -> str:
    """Only of the initiate: its slowest answers, on a machine on which an empty route has none."""
    empty = next((peer for peer in peers if peer.case == "empty route"), None)
    if subject.case != "initiate" or empty is None:
        return ""
    goal = f"goal p99 under {_P99_GOAL_MS:g} ms when an empty route's is under {_P99_OF_EMPTY_MS:g}"
    busy = "" if empty.p99_ms < _P99_OF_EMPTY_MS else ", on a machine too busy for the question"
    return f"{goal} {_verdict(subject.p99_ms < _P99_GOAL_MS)}{busy}"


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


def _numbers(row: Row) -> list[str]:
    cpu = f"{row.server_cpu_us:,.0f}" if row.server_cpu_us is not None else ""
    return [row.case, f"{row.value:,.0f}", _short(row.p50_ms), _short(row.p99_ms), cpu]


def _short(value: float) -> str:
    return f"{value:.2f}" if value < _DECIMALS_BELOW else f"{value:.0f}"


def plot(groups: Mapping[str, Sequence[Row]], file: Path) -> None:
    """A panel for each case: rates as bars, with the latencies written beside them."""
    pyplot = _pyplot()
    heights = [len(rows) + 1 for rows in groups.values()]
    figure, panels = pyplot.subplots(
        len(groups), 1, figsize=(10, 0.42 * sum(heights) + 0.6), gridspec_kw={"height_ratios": heights}, squeeze=False
    )
    for panel, (case, rows) in zip(panels[:, 0], groups.items(), strict=True):
        values = [row.value for row in rows]
        panel.barh([row.case for row in rows], values, color=[_OURS, *[_PEERS] * (len(rows) - 1)])
        for place, row in enumerate(rows):
            panel.annotate(_label(rows[0], row), (row.value, place), (4, 0), textcoords="offset points", va="center")
        panel.invert_yaxis()
        panel.set_xlim(0, max(values) * 2.3)
        panel.set_title(f"{case} ({rows[0].unit})", loc="left", fontsize=10, fontweight="bold")
        panel.spines[["top", "right", "bottom"]].set_visible(False)
        panel.tick_params(bottom=False, labelbottom=False)
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def plot_series(series: Sequence[Mapping[str, Any]], file: Path, *, x: str, y: str) -> None:
    """One line: `series` has an x and a y in each entry."""
    pyplot = _pyplot()
    figure, panel = pyplot.subplots(figsize=(8, 3.5))
    panel.plot([one[x] for one in series], [one[y] for one in series], color=_OURS)
    panel.set(xlabel=x, ylabel=y)
    panel.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def _label(subject: Row, row: Row) -> str:
    ratio = f"   (service: {subject.ratio_to[row.case]:.2g}x of this)" if row.case in subject.ratio_to else ""
    return f"{row.value:,.0f}   p50 {_short(row.p50_ms)} ms, p99 {_short(row.p99_ms)} ms{ratio}"


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
