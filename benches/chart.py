"""The chart that the README shows: each server's CPU time per answer by the best peer's, load by load.

Ours is a bar, the others are marks. Drawn twice, for light and for dark pages, as SVG without a background, its letters
as outlines: it looks the same wherever it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from benches.loads import LOADS
from benches.measuring import CPU, LoadSamples, best_peer, median, ratio
from benches.results import Results
from benches.servers import NULL, NULL_GATHERED, OURS, PEERS

# In inches of 72 points; GitHub shows it at about 850 pixels, which is its size.
WIDTH = 8.85
ROW = 0.36
ABOVE = 0.92
BELOW = 0.88
#: From the left edge to the axis, and from its end to the right edge.
LEFT = 1.95
RIGHT = 1.4


@dataclass(frozen=True)
class Theme:
    """The colours of a page."""

    page: str
    text: str
    faint: str
    ours: str
    #: Told apart without colour too: by their marks.
    peers: dict[str, str]


# Okabe and Ito's colours, lighter on dark pages.
THEMES = {
    "light": Theme(
        page="#ffffff",
        text="#1f2328",
        faint="#d9dee3",
        ours="#7cbde6",
        peers={"nginx": "#00795a", "h2o": "#c24f00", "lighttpd": "#8c2f6b"},
    ),
    "dark": Theme(
        page="#0d1117",
        text="#f0f6fc",
        faint="#30363d",
        ours="#1f6fa8",
        peers={"nginx": "#3ddbaa", "h2o": "#ff9f4a", "lighttpd": "#f0a8d8"},
    ),
}
MARKS = {"nginx": "^", "h2o": "s", "lighttpd": "D"}
MARK_SIZES = {"nginx": 8.6, "h2o": 7.4, "lighttpd": 7.0}
#: Where a mark stands in its row, so that equal ones do not hide each other.
LANES = {"nginx": -0.22, "h2o": 0.0, "lighttpd": 0.22}


def draw(results: Results, directory: Path) -> list[Path]:
    """Draw both; return where they are."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, theme in THEMES.items():
        path = directory / f"speed-{name}.svg"
        # The same results make the same bytes.
        with mpl.rc_context({"svg.hashsalt": "pooled_httpd", "svg.fonttype": "path", "font.family": "DejaVu Sans"}):
            _figure(results, theme).savefig(path, transparent=True, metadata={"Date": None})
        paths.append(path)
    return paths


def points(by_server: LoadSamples) -> dict[str, float]:
    """What is shown of a load besides ours, by the best peer's median: each server in the manner that suits it best."""
    best = median(by_server[best_peer(by_server, CPU)], CPU)
    shown: dict[str, float] = {}
    for name in (*PEERS, NULL, NULL_GATHERED):
        if name in by_server:
            plain = name.partition(" ")[0]
            value = median(by_server[name], CPU) / best
            shown[plain] = min(value, shown.get(plain, value))
    return shown


def told(microseconds: float) -> str:
    """A time as it is written beside a row."""
    if microseconds >= 1000:
        return f"{microseconds / 1000:.1f} ms"
    return f"{microseconds:.0f} µs" if microseconds >= 100 else f"{microseconds:.1f} µs"


def _figure(results: Results, theme: Theme) -> Figure:
    rows = list(results.samples.items())
    height = ABOVE + ROW * len(rows) + BELOW
    figure = Figure(figsize=(WIDTH, height))
    box = (LEFT / WIDTH, BELOW / height, 1 - (LEFT + RIGHT) / WIDTH, ROW * len(rows) / height)
    axes = figure.add_axes(box)
    for row, (_, by_server) in enumerate(rows):
        _row(axes, row, by_server, theme)
    axes.text(
        1.235, -0.85, "pooled_httpd", transform=axes.get_yaxis_transform(), ha="right", color=theme.text, size=8.5
    )
    _axes(axes, [LOADS[load].title for load, _ in rows], theme)
    _legend(figure, theme, height)
    _caption(figure, results.facts, theme, height)
    return figure


def _row(axes: Axes, row: int, by_server: LoadSamples, theme: Theme) -> None:
    ours = ratio(by_server, OURS, best_peer(by_server, CPU), CPU)
    axes.barh(row, ours.median, height=0.66, color=theme.ours, zorder=2)
    axes.plot([min(ours.rounds), max(ours.rounds)], [row, row], color=theme.text, lw=1, zorder=3)
    for name, value in points(by_server).items():
        if name == NULL:
            axes.plot([value, value], [row - 0.42, row + 0.42], color=theme.text, lw=2.6, zorder=4)
        else:
            mark = _mark(name, theme)
            axes.plot(value, row + LANES[name], zorder=5, clip_on=False, **mark)
    beside: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "va": "center",
        "ha": "right",
        "color": theme.text,
        "size": 9.5,
    }
    axes.text(1.105, row, f"{ours.median:.2f} ×", weight="bold", **beside)
    axes.text(1.235, row, told(median(by_server[OURS], CPU)), **beside)


def _mark(name: str, theme: Theme) -> dict[str, Any]:
    return {
        "marker": MARKS[name],
        "ms": MARK_SIZES[name],
        "mew": 0.8,
        "mec": theme.page,
        "mfc": theme.peers[name],
        "ls": "",
    }


def _axes(axes: Axes, titles: list[str], theme: Theme) -> None:
    axes.set_xlim(left=0)
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MultipleLocator(0.5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.set_yticks(range(len(titles)), titles)
    axes.tick_params(length=0, labelsize=9.5, labelcolor=theme.text, pad=6)
    axes.grid(axis="x", color=theme.faint, lw=0.8)
    axes.set_axisbelow(True)
    axes.axvline(1, color=theme.text, lw=1, ls=(0, (4, 3)), zorder=1)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _legend(figure: Figure, theme: Theme, height: float) -> None:
    title = "Server CPU time per answer, relative to the best of nginx, h2o and lighttpd"
    figure.text(0.1 / WIDTH, 1 - 0.2 / height, title, size=12.5, weight="bold", color=theme.text, va="center")
    handles = [
        Line2D([], [], marker="s", ms=10, color=theme.ours, ls="", label="pooled_httpd (shorter is better)"),
        *(
            Line2D([], [], label="nginx, the best of 3 settings" if name == "nginx" else name, **_mark(name, theme))
            for name in theme.peers
        ),
        Line2D([], [], marker="|", ms=12, mew=2.6, color=theme.text, ls="", label="a server that does nothing"),
    ]
    legend = figure.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(0.02 / WIDTH, 1 - 0.53 / height),
        ncols=len(handles),
        frameon=False,
        fontsize=9,
        handletextpad=0.1,
        columnspacing=1.0,
    )
    for text in legend.get_texts():
        text.set_color(theme.text)


def _caption(figure: Figure, facts: dict[str, str], theme: Theme, height: float) -> None:
    versions = ", ".join(f"{name} {facts[name]}" for name in ("pooled_httpd", "nginx", "h2o", "lighttpd"))
    lines = (
        f"make bench, {facts['date'][:10]}; rounds: {facts['rounds']}; medians, and as a thin line the rounds' spread.",
        f"{versions}; Linux {facts['kernel']}; {facts['processor']}.",
    )
    for number, line in enumerate(lines):
        up = (0.36 - 0.19 * number) / height
        figure.text(0.1 / WIDTH, up, line, size=7.5, color=theme.text, va="center", alpha=0.8)
