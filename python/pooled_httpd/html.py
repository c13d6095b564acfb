"""What a notebook shows of servers, statistics and recorders: HTML without anything from outside.

It takes the page's own colour for its text and lines and so reads in light and dark; every name and path is escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pooled_httpd._checks import server_itself
from pooled_httpd.errors import PooledHttpdError
from pooled_httpd.latency import latency_percentile
from pooled_httpd.recorder import by_class, change, has_ended, windows

if TYPE_CHECKING:
    from pooled_httpd._native import ServerStats
    from pooled_httpd.asynchronous import AsyncServer
    from pooled_httpd.recorder import StatsRecorder
    from pooled_httpd.server import Server

__all__ = ["recorder_html", "server_html", "statistics_html"]

#: How a value of a curve is written.
_Shown: TypeAlias = Callable[[float], str]
#: Told from white and from black pages alike, and from each other by any eye.
BLUE, ORANGE, GREEN, PURPLE, RED = "#3b8fd4", "#d9822b", "#1f9e77", "#b4689f", "#d9534f"
_SPARK_WIDTH, _SPARK_HEIGHT = 260, 34
_MOST_POINTS = 130
#: A table of the statistics is no longer.
_MOST_ROWS = 14
#: The fields of the statistics by what they are about; what comes to be known later is put behind them.
_GROUPS: dict[str, tuple[str, ...]] = {
    "Answers": ("total_requests", "responses", "rejects", "timeouts"),
    "Connections": (
        "total_connections",
        "active_connections",
        "peak_connections",
        "connections_refused",
        "connections_reclaimed",
        "states",
    ),
    "Bytes and files": (
        "bytes_received",
        "bytes_sent",
        "file_cache_hits",
        "file_cache_misses",
        "files_truncated",
        "log_records_dropped",
    ),
    "Pools and heap": (
        "pool_resets",
        "pool_usage_total",
        "peak_pool_usage",
        "pool_overflows",
        "malloc_calls",
        "free_calls",
        "heap_bytes",
    ),
    "Invariants and time": ("invariant_checks_passed", "invariant_violations", "uptime", "latency"),
}
_BYTES = frozenset(
    {"bytes_received", "bytes_sent", "pool_usage_total", "peak_pool_usage", "heap_bytes", "pool_size", "buffer_size"}
)
#: What should be 0, and is loud where it is not.
_FAULTS = frozenset(
    {"invariant_violations", "malloc_calls", "free_calls", "heap_bytes", "pool_overflows", "connections_refused"}
    | {"log_records_dropped", "files_truncated"}
)
_CELL = "padding:1px 8px 1px 0;border:0;text-align:left;background:none;vertical-align:top;font-weight:normal"
_NUMBER = _CELL.replace("text-align:left", "text-align:right") + ";font-variant-numeric:tabular-nums;white-space:nowrap"

_NAME = _CELL.replace("vertical-align:top", "vertical-align:middle") + ";white-space:nowrap"


def statistics_html(stats: ServerStats) -> str:
    """All fields by their names, in groups."""
    told = stats.as_dict()
    known = {name for names in _GROUPS.values() for name in names}
    groups = {**_GROUPS, "More": tuple(name for name in told if name not in known)}
    blocks = []
    for title, names in groups.items():
        rows = [row for name in names if name in told for row in _rows(stats, name, told[name])]
        if rows:
            # A long table goes on beside itself: there may be fifty reasons to refuse a request.
            tables = (
                _table("".join(rows[first : first + _MOST_ROWS]), title) for first in range(0, len(rows), _MOST_ROWS)
            )
            beside = f'<div style="display:flex;flex-wrap:wrap;gap:0 24px">{"".join(tables)}</div>'
            blocks.append(f'<div style="flex:0 1 auto"><div style="{_TITLE}">{title}</div>{beside}</div>')
    return _box(
        "pooled_httpd statistics", f'<div style="display:flex;flex-wrap:wrap;gap:4px 36px">{"".join(blocks)}</div>'
    )


def server_html(server: Server | AsyncServer) -> str:
    """Where it listens, how it lives, its limits, and how much of them is used."""
    server = server_itself("server", server)
    try:
        # In this order: one that ends meanwhile is still called running, and never not started.
        is_running, is_over = server.is_running, has_ended(server)
        stats, limits, memory = server.stats(), server.limits, server.memory
    except PooledHttpdError as gone:
        facts = [("document root", html.escape(str(server._root))), ("state", html.escape(str(gone)))]
        return _box("pooled_httpd.Server", _facts(facts), server._url)
    life, colour = ("running", GREEN) if is_running else ("stopped" if is_over else "not started", ORANGE)
    time = f", {_duration(stats.uptime)}" if stats.uptime else ""
    url = html.escape(server.url)
    linked = f'<a href="{url}" style="color:inherit">{url}</a>' if server.url.startswith("http://") else url
    average = stats.pool_usage_total / stats.pool_resets if stats.pool_resets else 0.0
    facts = [
        ("address", linked),
        ("document root", html.escape(server.docroot)),
        ("state", f'<span style="color:{colour}">●</span> {life}{time}'),
        ("connections", _meter(stats.active_connections, limits["max_connections"], stats.peak_connections)),
        (
            "pool of a request",
            _meter(round(average), limits["pool_size"], stats.peak_pool_usage, " B", now="on average"),
        ),
        ("answers", f"{stats.total_requests:,}{_by_class(stats.responses)}"),
        ("memory", f"{memory['total'] / 2**20:,.1f} MiB, taken at the start"),
        ("invariants", _invariants(stats)),
    ]
    return _box("pooled_httpd.Server", _facts(facts))


def recorder_html(recorder: StatsRecorder) -> str:
    """Small curves of what matters, with the last value and the highest."""
    samples = recorder.samples
    life = "recording" if recorder.is_recording else "not recording"
    if not samples:
        return _box("pooled_httpd.StatsRecorder", f"no samples yet, {life}", recorder.url)
    pairs = windows(samples, _MOST_POINTS)
    spans = [later.monotonic - earlier.monotonic for earlier, later in pairs]
    changes = [change(earlier.stats, later.stats) for earlier, later in pairs]
    limits = recorder.limits
    active = [sample.stats.active_connections for sample in samples]
    stride = max(len(active) // _MOST_POINTS, 1)
    # A peak between two points is not lost: each point is the highest of its stretch.
    active = [max(active[index : index + stride]) for index in range(0, len(active), stride)]
    percentiles = [latency_percentile(step.latency, 99) for step in changes]
    average = [step.pool_usage_total / step.pool_resets if step.pool_resets else None for step in changes]
    last = samples[-1].stats
    curves: list[tuple[str, Sequence[float | None], str, _Shown, str]] = [
        ("connections", active, BLUE, _count, f"of {limits['max_connections']:,}"),
        (
            "answers a second",
            _rates(changes, spans, "total_requests"),
            GREEN,
            _count,
            f"{last.total_requests:,} in all",
        ),
        (
            "bytes sent a second",
            _rates(changes, spans, "bytes_sent"),
            ORANGE,
            _size,
            f"{_size(last.bytes_sent)} in all",
        ),
        (
            "pool of a request",
            average,
            PURPLE,
            _size,
            f"on average, of {_size(limits['pool_size'])}; the most was {_size(last.peak_pool_usage)}",
        ),
        ("latency", percentiles, RED, _duration, "99 % came within; a logarithmic scale"),
    ]
    rows = "".join(_curve(*curve, by_logarithm=curve[0] == "latency") for curve in curves)
    header = "".join(
        f'<th scope="col" style="{style};opacity:.7">{name}</th>'
        for name, style in (("", _CELL), ("", _CELL), ("last", _NUMBER), ("highest", _NUMBER), ("", _CELL))
    )
    span = samples[-1].monotonic - samples[0].monotonic
    told = f"{len(samples):,} samples over {_duration(span)}, {life}"
    return _box(
        "pooled_httpd.StatsRecorder",
        f"<div>{told}</div>" + _table(f"<tr>{header}</tr>{rows}", "Statistics over time"),
        recorder.url,
    )


_TITLE = "font-weight:600;margin-top:6px;border-bottom:1px solid currentColor;padding-bottom:1px"


def _box(title: str, content: str, detail: str = "") -> str:
    named = f' <span style="opacity:.7">{html.escape(detail)}</span>' if detail else ""
    return (
        '<div style="font:13px/1.5 system-ui,sans-serif;color:inherit;max-width:70em;padding:2px 0">'
        f'<div style="font-weight:600">{html.escape(title)}{named}</div>{content}</div>'
    )


def _table(rows: str, label: str) -> str:
    style = "border-collapse:collapse;border:0;margin:2px 0;font-size:inherit;color:inherit"
    return f'<table aria-label="{html.escape(label)}" style="{style}"><tbody>{rows}</tbody></table>'


def _rows(stats: ServerStats, name: str, value: object) -> list[str]:
    """A row for a number, or one for each member of a group."""
    if name == "latency":
        percentiles = ((percent, latency_percentile(stats.latency, percent)) for percent in (50, 90, 99))
        return [
            _row(f"{name}, {percent} %", "–" if seconds is None else _duration(seconds))
            for percent, seconds in percentiles
        ]
    if name == "uptime":
        return [_row(name, _duration(stats.uptime))]
    if isinstance(value, dict):
        if not value:
            return [_row(name, "none", faint=True)]
        return [_row(f"{name}: {key}", f"{count:,}", faint=not count) for key, count in value.items()]
    unit = " B" if name in _BYTES else ""
    return [_row(name, f"{value:,}{unit}", faint=not value, loud=bool(value) and name in _FAULTS)]


def _row(name: str, value: str, *, faint: bool = False, loud: bool = False) -> str:
    name, value = html.escape(name), html.escape(value)
    if loud:
        value = f'<strong style="color:{RED}">{value}</strong>'
    opacity = ";opacity:.62" if faint else ""
    return (
        f'<tr style="background:none"><th scope="row" style="{_CELL}{opacity}">{name}</th>'
        f'<td style="{_NUMBER}{opacity}">{value}</td></tr>'
    )


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    """Rows of a name and HTML."""
    rows = "".join(
        f'<tr style="background:none"><th scope="row" style="{_CELL};opacity:.7">{name}</th>'
        f'<td style="{_CELL}">{value}</td></tr>'
        for name, value in facts
    )
    return _table(rows, "A server")


def _meter(value: int, limit: int, peak: int, unit: str = "", now: str = "now") -> str:
    """A bar of how much of a limit is used, with a line where the most was, and the same in words."""
    width, height = 120, 10
    used, most = (min(part / limit, 1) * (width - 2) for part in (value, peak))
    words = f"{value:,}{unit} {now}, {peak:,}{unit} at most, of {limit:,}{unit}"
    colour = RED if peak >= limit else BLUE
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="{words}" style="vertical-align:middle">'
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="2" fill="none" stroke="currentColor" '
        f'stroke-opacity=".45"/><rect x="1" y="1" width="{used:.1f}" height="{height - 2}" rx="1.5" fill="{colour}"/>'
        f'<rect x="{most:.1f}" y="0" width="2" height="{height}" fill="{colour}"/></svg> {words}'
    )


def _by_class(responses: dict[int, int]) -> str:
    told = ", ".join(f"{name}: {count:,}" for name, count in by_class(responses).items())
    return f" ({told})" if told else ""


def _invariants(stats: ServerStats) -> str:
    if stats.invariant_violations:
        return f'<strong style="color:{RED}">{stats.invariant_violations:,} violated</strong>'
    return f"{stats.invariant_checks_passed:,} checks held, none was violated"


def _rates(changes: Sequence[ServerStats], spans: Sequence[float], name: str) -> list[float]:
    return [getattr(step, name) / span if span else 0.0 for step, span in zip(changes, spans, strict=True)]


def _curve(
    name: str, values: Sequence[float | None], colour: str, shown: _Shown, detail: str, *, by_logarithm: bool
) -> str:
    there = [value for value in values if value is not None]
    last, highest = (shown(there[-1]), shown(max(there))) if there else ("–", "–")
    label = f"{name}: last {last}, highest {highest}"
    if by_logarithm and there:
        # From a microsecond on, the shortest that is told apart.
        values = [None if value is None else math.log10(max(value, 1e-6)) + 6 for value in values]
    return (
        f'<tr style="background:none"><th scope="row" style="{_NAME}">{html.escape(name)}</th>'
        f'<td style="{_CELL}">{_spark(values, colour, label)}</td>'
        f'<td style="{_NUMBER};vertical-align:middle">{html.escape(last)}</td>'
        f'<td style="{_NUMBER};vertical-align:middle">{html.escape(highest)}</td>'
        f'<td style="{_CELL};vertical-align:middle;opacity:.7">{html.escape(detail)}</td></tr>'
    )


def _spark(values: Sequence[float | None], colour: str, label: str) -> str:
    """A curve from 0 to the highest value; where there is none it is interrupted."""
    width, height = _SPARK_WIDTH, _SPARK_HEIGHT
    highest = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (width - 4) / max(len(values) - 1, 1)
    stretches: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append(f"{2 + index * step:.1f},{height - 3 - value / highest * (height - 6):.1f}")
    drawn = []
    for points in filter(None, stretches):
        if len(points) == 1:
            x, y = points[0].split(",")
            drawn.append(f'<circle cx="{x}" cy="{y}" r="1.6" fill="{colour}"/>')
            continue
        first, last = points[0].split(",")[0], points[-1].split(",")[0]
        area = f"{first},{height - 2} {' '.join(points)} {last},{height - 2}"
        drawn.append(
            f'<polygon points="{area}" fill="{colour}" fill-opacity=".22"/><polyline points="{" ".join(points)}" '
            f'fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>'
        )
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{html.escape(label)}"><path d="M2 {height - 1.5}H{width - 2}" stroke="currentColor" '
        f'stroke-opacity=".35"/>{"".join(drawn)}</svg>'
    )


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _size(value: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e4)):
        if value >= factor:
            factor = 1e3 if unit == "kB" else factor
            return f"{value / factor:,.1f} {unit}"
    return f"{value:,.0f} B"


def _duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:,.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:,.1f} ms"
    # From here on as the live page has it.
    if seconds < 10:
        return f"{math.floor(seconds * 10) / 10:.1f} s"
    minutes, whole = divmod(int(seconds), 60)
    if minutes == 0:
        return f"{whole} s"
    hours, minutes_left = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes} min {whole} s"
    return f"{hours} h {minutes_left} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
