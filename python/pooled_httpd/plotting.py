"""The plot of a recording: what happened to a server, in five charts over one time.

No pyplot, so no display and no state that outlives the figure. Colours are Okabe and Ito's, lighter or darker by the
page; where two lines share a chart they differ in their dashes too.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator
from PIL import Image

from pooled_httpd.errors import OptionError
from pooled_httpd.latency import latency_percentile
from pooled_httpd.recorder import Mark, Sample, by_class, change, windows

if TYPE_CHECKING:
    from pooled_httpd._native import ServerStats
    from pooled_httpd.recorder import StatsRecorder

__all__ = ["draw"]

#: In inches; a notebook shows it with 72 pixels to each, and twice as fine.
SIZE = (11.0, 8.2)
_PIXELS = 72
_FINENESS = 2
#: What rates and percentiles are taken over is a window of so many: with more of them they hop, with fewer they blur.
MOST_WINDOWS = 90
#: More points than this in the chart of states cannot be told apart.
MOST_STATES = 300
#: The width of a letter of a mark by that of the whole chart, about.
_LETTER = 0.0075
#: A limit is drawn where a good part of it was used; else it is told in words, and what was used is not squeezed.
_NEAR = 0.4


@dataclass(frozen=True)
class Theme:
    """The colours of a page."""

    page: str
    text: str
    #: For grids and edges.
    faint: str
    blue: str
    green: str
    orange: str
    purple: str
    #: For what fills an area, by state in the order of a request.
    states: tuple[str, ...]


_STATES = ("#56b4e9", "#0072b2", "#009e73", "#f0e442", "#e69f00", "#cc79a7")
THEMES = {
    "light": Theme("#ffffff", "#1f2328", "#d0d7de", "#0072b2", "#00795a", "#b84a00", "#66205c", _STATES),
    "dark": Theme("#0d1117", "#e6edf3", "#3d444d", "#56b4e9", "#3ddbaa", "#ff9f4a", "#dd5f92", _STATES),
}


class RecorderFigure(Figure):
    """A figure that a notebook shows by itself, pyplot or not."""

    def set(self, **kwargs: Any) -> Any:  # noqa: ANN401
        """As ever; here because matplotlib would give each class one of its own, which no checker can follow."""
        return super().set(**kwargs)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        drawn, output = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=_PIXELS * _FINENESS)
        # A notebook keeps it: 256 colours are as many as anybody sees in it, at a third of the size.
        with Image.open(drawn) as picture:
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(output, format="png", optimize=True)
        width, height = (round(inches * _PIXELS) for inches in self.get_size_inches())
        return output.getvalue(), {"width": width, "height": height}


def draw(recorder: StatsRecorder, theme: Literal["light", "dark"] | None) -> Figure:
    """Draw a recording; see :meth:`StatsRecorder.plot`."""
    if theme is not None and theme not in THEMES:
        raise OptionError(f"theme: {theme!r} is not allowed; it takes 'light', 'dark' or None")
    colours = THEMES[theme] if theme is not None else _theme_of_style()
    style: Any = _style(colours)
    with mpl.rc_context(style):
        return _Drawing(recorder, colours).figure


def _theme_of_style() -> Theme:
    """The theme that fits matplotlib's present style, with the page and the text that the style has."""
    page, text = (to_hex(mpl.rcParams[name]) for name in ("figure.facecolor", "text.color"))
    red, green, blue = to_rgb(page)
    fitting = THEMES["dark" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5 else "light"]
    rest = {name: getattr(fitting, name) for name in ("faint", "blue", "green", "orange", "purple", "states")}
    return Theme(page=page, text=text, **rest)


def _style(theme: Theme) -> dict[str, Any]:
    return {
        "axes.edgecolor": theme.faint,
        "axes.facecolor": theme.page,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.labelcolor": theme.text,
        "axes.labelsize": 9,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "figure.facecolor": theme.page,
        "font.family": "sans-serif",
        "font.size": 9,
        "grid.color": theme.faint,
        "grid.linewidth": 0.6,
        "legend.fontsize": 8.5,
        "legend.frameon": False,
        "savefig.facecolor": theme.page,
        "text.color": theme.text,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
    }


class _Drawing:
    """One figure while it is drawn."""

    def __init__(self, recorder: StatsRecorder, theme: Theme) -> None:
        self.theme = theme
        self.limits = recorder.limits
        self.samples = recorder.samples
        self.windows = windows(self.samples, MOST_WINDOWS)
        self.start = self.samples[0].monotonic if self.samples else 0.0
        self.end = self.samples[-1].monotonic - self.start if self.samples else 0.0
        self.changes: list[ServerStats] = [change(earlier.stats, later.stats) for earlier, later in self.windows]
        self.spans = [max(later.monotonic - earlier.monotonic, 1e-9) for earlier, later in self.windows]
        engine = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.1)
        self.figure = RecorderFigure(figsize=SIZE, layout=engine)
        axes = self.figure.subplot_mosaic(
            [["states", "states"], ["answers", "bytes"], ["pool", "latency"]], height_ratios=[1.25, 1, 1], sharex=True
        )
        draws = {
            "states": self._states,
            "answers": self._answers,
            "bytes": self._bytes,
            "pool": self._pool,
            "latency": self._latency,
        }
        for name, draw_one in draws.items():
            axis = axes[name]
            axis.set_axisbelow(True)
            axis.tick_params(length=0, labelbottom=True)
            if self.windows:
                draw_one(axis)
                self._marks(axis, recorder.marks, named=name == "states")
            else:
                axis.text(0.5, 0.5, "no samples", transform=axis.transAxes, ha="center", color=theme.text)
            axis.set_xlim(0, self.end or 1)
            axis.set_xlabel("time (s)")

    def _edges(self) -> list[float]:
        """Where windows begin, and where the last ends."""
        return [earlier.monotonic - self.start for earlier, _ in self.windows] + [self.end]

    def _times(self) -> list[float]:
        """The middle of each window."""
        return [(first + last) / 2 for first, last in pairwise(self._edges())]

    def _states(self, axis: Axes) -> None:
        chosen = _highest(self.samples, MOST_STATES)
        times = [sample.monotonic - self.start for sample in chosen]
        names = list(self.samples[0].stats.states)
        rows = [[sample.stats.states[name] for sample in chosen] for name in names]
        # What never occurred needs no place in the legend.
        occurred = [index for index, row in enumerate(rows) if any(row)] or [0]
        axis.stackplot(
            times,
            *(rows[index] for index in occurred),
            labels=[names[index] for index in occurred],
            colors=[self.theme.states[index % len(self.theme.states)] for index in occurred],
            edgecolor=self.theme.page,
            linewidth=0.3,
            step="post",
        )
        most = max(sample.stats.active_connections for sample in self.samples)
        self._limit(axis, most, self.limits["max_connections"], "max_connections")
        _whole_numbers(axis)
        self._dress(axis, "Connections by state", "connections")

    def _answers(self, axis: Axes) -> None:
        theme = self.theme
        colours = {
            "2xx": theme.blue,
            "3xx": theme.green,
            "4xx": theme.orange,
            "5xx": theme.purple,
            "other": theme.text,
        }
        classes = [by_class(step.responses) for step in self.changes]
        bottom = [0.0] * len(self.windows)
        for label, colour in colours.items():
            counts = [found.get(label, 0) for found in classes]
            if not any(counts):
                continue
            top = [low + count / span for low, count, span in zip(bottom, counts, self.spans, strict=True)]
            axis.stairs(top, self._edges(), baseline=bottom, fill=True, color=colour, alpha=0.85, label=label)
            bottom = top
        axis.set_ylim(0, max(max(bottom) * 1.12, 1))
        axis.yaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
        self._dress(axis, "Answers by class", "answers per second")

    def _bytes(self, axis: Axes) -> None:
        theme = self.theme
        highest = 0.0
        for name, label, colour, dashes in (
            ("bytes_sent", "sent", theme.orange, "-"),
            ("bytes_received", "received", theme.blue, (0, (4, 1.5))),
        ):
            rates = [getattr(step, name) / span for step, span in zip(self.changes, self.spans, strict=True)]
            axis.plot(self._times(), rates, color=colour, linestyle=dashes, linewidth=1.6, label=label)
            highest = max(highest, *rates)
        axis.set_ylim(0, max(highest * 1.12, 1))
        axis.yaxis.set_major_formatter(EngFormatter(unit="B/s", sep="\N{THIN SPACE}"))
        self._dress(axis, "Throughput", "bytes per second")

    def _pool(self, axis: Axes) -> None:
        theme = self.theme
        average = [c.pool_usage_total / c.pool_resets if c.pool_resets else float("nan") for c in self.changes]
        times = [sample.monotonic - self.start for _, sample in self.windows]
        peaks = [sample.stats.peak_pool_usage for _, sample in self.windows]
        axis.plot(times, peaks, color=theme.purple, linewidth=1.6, drawstyle="steps-post", label="highest")
        axis.plot(self._times(), average, color=theme.green, linestyle=(0, (4, 1.5)), linewidth=1.6, label="average")
        _single_points(axis, self._times(), average, theme.green)
        over = [time for time, step in zip(self._times(), self.changes, strict=True) if step.pool_overflows]
        size = self.limits["pool_size"]
        if over:
            axis.plot(
                over,
                [size] * len(over),
                "X",
                color=theme.orange,
                markersize=7,
                label="overflow (507)",
                clip_on=False,
                zorder=5,
            )
        axis.axhline(size, color=theme.text, linewidth=1, linestyle=":")
        axis.text(
            0.995,
            size,
            f"pool_size {size:,} ",
            transform=axis.get_yaxis_transform(),
            ha="right",
            va="bottom",
            fontsize=8,
        )
        axis.set_ylim(0, size * 1.18)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        self._dress(axis, "Pool of a request", "bytes")

    def _latency(self, axis: Axes) -> None:
        theme = self.theme
        there = False
        for percent, colour, dashes in (
            (50, theme.blue, "-"),
            (90, theme.green, (0, (4, 1.5))),
            (99, theme.orange, (0, (1.2, 1.2))),
        ):
            values = [_or_nan(latency_percentile(step.latency, percent)) for step in self.changes]
            axis.plot(self._times(), values, color=colour, linestyle=dashes, linewidth=1.6, label=f"{percent} %")
            _single_points(axis, self._times(), values, colour)
            there = there or any(value == value for value in values)
        if there:
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(EngFormatter(unit="s", sep="\N{THIN SPACE}"))
            axis.minorticks_off()
            low, high = axis.get_ylim()
            # At least one line of the grid, however steady it was.
            middle = (low * high) ** 0.5
            axis.set_ylim(min(low, middle / 5), max(high, middle * 5))
        self._dress(axis, "Latency percentiles", "seconds")

    def _limit(self, axis: Axes, used: float, limit: int, name: str) -> None:
        if used >= _NEAR * limit:
            axis.axhline(limit, color=self.theme.text, linewidth=1, linestyle=":")
            place = axis.get_yaxis_transform()
            axis.text(0.998, limit, f"{name} {limit:,} ", transform=place, ha="right", va="bottom", fontsize=8)
            axis.set_ylim(0, limit * 1.32)
        else:
            axis.set_ylim(0, max(used * 1.32, 1))
            told = f"at most {used:,} of {name} {limit:,} "
            axis.text(0.998, 0.83, told, transform=axis.transAxes, ha="right", va="top", fontsize=8)

    def _marks(self, axis: Axes, marks: Sequence[Mark], *, named: bool) -> None:
        taken = [float("-inf")] * 2
        for mark in marks:
            time = mark.monotonic - self.start
            if not 0 <= time <= self.end:
                continue
            axis.axvline(time, color=self.theme.text, linewidth=0.9, alpha=0.55)
            if named:
                # Beside the line, on the side where there is room.
                width = _LETTER * len(mark.text) * self.end
                side, shift = ("right", -3) if time + width > self.end else ("left", 3)
                begin = time - width if side == "right" else time
                # In the upper row, unless the text before it is in the way.
                row = 1 if taken[0] > begin >= taken[1] else 0
                taken[row] = begin + width
                behind = {"facecolor": self.theme.page, "edgecolor": "none", "pad": 1.2, "alpha": 0.8}
                axis.annotate(
                    mark.text,
                    (time, (0.94, 0.86)[row]),
                    xycoords=axis.get_xaxis_transform(),
                    xytext=(shift, 0),
                    textcoords="offset points",
                    ha=side,
                    va="center",
                    fontsize=8.5,
                    bbox=behind,
                    # It is somebody's text, and no formula: a dollar stands for itself.
                    parse_math=False,
                    usetex=False,
                )

    def _dress(self, axis: Axes, title: str, unit: str) -> None:
        axis.set_title(title)
        axis.set_ylabel(unit)
        # Beside the title, where no curve is.
        handles, labels = axis.get_legend_handles_labels()
        if handles:
            axis.legend(
                handles,
                labels,
                loc="lower right",
                bbox_to_anchor=(1.0, 0.99),
                ncols=len(handles),
                borderaxespad=0.1,
                handlelength=1.6,
                columnspacing=1.1,
                handletextpad=0.5,
            )


def _highest(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many samples, of each stretch the one with most connections: short peaks stay. The last always."""
    stride = -(-len(samples) // most)
    stretches = (samples[index : index + stride] for index in range(0, len(samples), stride))
    chosen = [max(stretch, key=lambda sample: sample.stats.active_connections) for stretch in stretches]
    return chosen if chosen[-1] is samples[-1] else [*chosen, samples[-1]]


def _single_points(axis: Axes, times: Sequence[float], values: Sequence[float], colour: str) -> None:
    """Mark values that have no neighbour: a line would not show them."""
    padded = [float("nan"), *values, float("nan")]
    alone = [
        index
        for index, (left, value, right) in enumerate(zip(padded, padded[1:], padded[2:], strict=False))
        if value == value and left != left and right != right
    ]
    axis.plot([times[index] for index in alone], [values[index] for index in alone], ".", color=colour, markersize=5)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _whole_numbers(axis: Axes) -> None:
    axis.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
