"""The tables that a person reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benches.loads import LOADS
from benches.measuring import CPU, RATE, LoadSamples, Measure, Sample, Samples, best_peer, median, ratio
from benches.results import Results
from benches.servers import CONNECTIONS, KINDS, NULL, NULL_GATHERED, OURS, STORY

#: Servers by the heads of their columns, where the name is too long for one.
HEADS = {"nginx nopush": "nopush", "nginx copy": "copy"}
#: Servers that have no column but a row of their own, in the column of the other: that one in another manner.
MANNERS = {STORY: (OURS, "  its story log on"), NULL_GATHERED: (NULL, "  answers gathered")}

P99 = Measure("99 % of the answers within", lambda sample: sample.p99_ms or 0.0)
BUSY = Measure("share of the core", lambda sample: sample.busy * 100)


def shown(value: float) -> str:
    """A number with three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows with their columns aligned: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip() for first, *others in rows
    )


Cell = Callable[[list[Sample]], str]
#: What follows the cells of a row: of a server's, in another manner or not.
More = Callable[[LoadSamples, str], list[str]]


def load_table(samples: Samples, unit: str, cell: Cell, heads: Sequence[str] = (), more: More | None = None) -> str:
    """A row for each load, a column for each server."""
    columns = [
        name for name in KINDS if name not in MANNERS and any(name in by_server for by_server in samples.values())
    ]
    rows = [[unit, *(HEADS.get(name, name) for name in columns), *heads]]
    for load, by_server in samples.items():
        cells = [cell(by_server[name]) if name in by_server else "" for name in columns]
        rows.append([LOADS[load].title, *cells, *(more(by_server, OURS) if more else [])])
        for manner, (column, title) in MANNERS.items():
            if manner in by_server:
                cells = [cell(by_server[manner]) if name == column else "" for name in columns]
                rows.append([title, *cells, *(more(by_server, manner) if more else [])])
    return aligned(rows)


def cpu_table(samples: Samples) -> str:
    """CPU time per answer by server, and ours by the null server's and by the best peer's."""

    def ratios(by_server: LoadSamples, name: str) -> list[str]:
        if name != OURS:
            by = f"{ratio(by_server, OURS, name, CPU).median:.2f}" if name == NULL_GATHERED else ""
            return [by, "", ""]
        by_null = f"{ratio(by_server, OURS, NULL, CPU).median:.2f}" if NULL in by_server else ""
        best = ratio(by_server, OURS, best_peer(by_server, CPU), CPU)
        return [by_null, str(best), HEADS.get(best.to, best.to)]

    heads = ["by null", "by best peer", ""]
    return load_table(samples, "µs", lambda each: shown(median(each, CPU)), heads, ratios)


def latency(each: list[Sample]) -> str:
    """The 99th percentile, where the client tells it."""
    return "" if each[0].p99_ms is None else shown(median(each, P99))


def memory_table(results: Results) -> str:
    """What each server takes."""
    rows = [["", "at start, kB", "for each idle connection, bytes", "of it heap"]]
    for name, memory in results.memory.items():
        heap = "" if memory.heap_bytes is None else f"{memory.heap_bytes / memory.connections:.0f}"
        rows.append([name, f"{memory.start_bytes / 1024:,.0f}", f"{memory.bytes_per_connection:,.0f}", heap])
    return aligned(rows)


def bounds_table(results: Results) -> str:
    """Every bound beside what was measured."""
    rows = [["load", "what", "by", "bound", "measured", ""]]
    for verdict in results.verdicts():
        rows.append([verdict.title, verdict.what, verdict.to, verdict.limit, verdict.measured, verdict.word])
    return aligned(rows)


def report(results: Results) -> str:
    """All of it."""
    samples = results.samples
    parts = [
        "\n".join(f"{name}: {text}" for name, text in results.facts.items()),
        f"Server CPU per answer: medians, and ratios round by round (least to most)\n{cpu_table(samples)}",
        f"Answers per second\n{load_table(samples, '1/s', lambda each: shown(median(each, RATE)))}",
        f"99 % of the answers within\n{load_table(samples, 'ms', latency)}",
        f"The server's share of its core\n{load_table(samples, '%', lambda each: f'{median(each, BUSY):.0f}')}",
    ]
    if results.memory:
        parts.append(f"Resident memory, of servers that may have {CONNECTIONS:,} connections\n{memory_table(results)}")
    parts.append(f"Bounds\n{bounds_table(results)}")
    return "\n\n".join(parts)
