"""The tables that a person reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benches.bounds import judge
from benches.loads import LOADS
from benches.measuring import CPU, RATE, LoadSamples, Measure, Sample, Samples, best_peer, median, ratio
from benches.results import Results
from benches.servers import KINDS, NULL, OURS

#: Servers by the heads of their columns, where the name is too long for one.
HEADS = {"null gathered": "gathered", "nginx nopush": "nopush"}
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


def servers_in(samples: Samples) -> list[str]:
    """The servers that were measured, in the order of their columns."""
    return [name for name in KINDS if any(name in by_server for by_server in samples.values())]


def _table(
    samples: Samples, title: str, cell: Callable[[list[Sample]], str], more: Sequence[str] = ()
) -> list[list[str]]:
    names = servers_in(samples)
    rows = [[title, *(HEADS.get(name, name) for name in names), *more]]
    for load, by_server in samples.items():
        rows.append([LOADS[load].title, *(cell(by_server[name]) if name in by_server else "" for name in names)])
    return rows


def cpu_table(samples: Samples) -> str:
    """CPU time per answer by server, and ours by the null server's and by the best peer's."""
    more = ["by null", "by the best peer", ""]
    rows = _table(samples, "µs", lambda each: shown(median(each, CPU)), more)
    for row, by_server in zip(rows[1:], samples.values(), strict=True):
        row += _ratios(by_server)
    return aligned(rows)


def _ratios(by_server: LoadSamples) -> list[str]:
    to_null = f"{ratio(by_server, OURS, NULL, CPU).median:.2f}" if NULL in by_server else ""
    best = ratio(by_server, OURS, best_peer(by_server, CPU), CPU)
    return [to_null, str(best), HEADS.get(best.to, best.to)]


def other_tables(samples: Samples) -> list[str]:
    """Rates, latencies and how busy the servers were."""

    def latency(each: list[Sample]) -> str:
        return "" if each[0].p99_ms is None else shown(median(each, P99))

    def busy(each: list[Sample]) -> str:
        return f"{median(each, BUSY):.0f}"

    return [
        f"Answers per second\n{aligned(_table(samples, '1/s', lambda each: shown(median(each, RATE))))}",
        f"99 % of the answers within\n{aligned(_table(samples, 'ms', latency))}",
        f"Share of its core that the server used\n{aligned(_table(samples, '%', busy))}",
    ]


def bounds_table(samples: Samples) -> str:
    """Every bound beside what was measured."""
    rows = [["load", "what", "by", "bound", "measured", ""]]
    for verdict in judge(samples):
        bound = verdict.bound
        sign = "at least" if bound.measure.more_is_better else "at most"
        of = "" if bound.of == OURS else f", {bound.of}"
        to = bound.to if bound.to == verdict.ratio.to else f"{bound.to}: {verdict.ratio.to}"
        limit = f"{sign} {bound.limit:.2f}"
        word = "met" if verdict.met else "over" if not bound.measure.more_is_better else "under"
        rows.append([LOADS[bound.load].title, f"{bound.measure.title}{of}", to, limit, str(verdict.ratio), word])
    return aligned(rows)


def report(results: Results) -> str:
    """All of it."""
    facts = "\n".join(f"{name}: {text}" for name, text in results.facts.items())
    cpu = f"Server CPU per answer: medians, and ratios round by round (least to most)\n{cpu_table(results.samples)}"
    bounds = f"Bounds\n{bounds_table(results.samples)}"
    return "\n\n".join([facts, cpu, *other_tables(results.samples), bounds])
