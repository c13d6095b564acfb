"""The command ``swarm``: lets swarms loose, one after the other, and shows what became of a good client."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from pooled_httpd.attack.judge import Verdict, learn
from pooled_httpd.attack.options import add_target_options, count, seconds
from pooled_httpd.attack.report import EXIT_STATUS
from pooled_httpd.attack.swarms import MOST_CLIENTS, MOST_SECONDS, Kind, Swarm, SwarmReport
from pooled_httpd.attack.target import Target
from pooled_httpd.attack.terminal import escape
from pooled_httpd.attack.witness import PathWitness, Witness


def add_swarm(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("swarm", help="hold many connections in a way that costs, and watch a good client")
    add_target_options(parser.add_argument)
    parser.add_argument(
        "--kind", action="append", choices=list(Kind), type=Kind, help="default: all, in turn; repeatable"
    )
    parser.add_argument("--clients", type=count(1, MOST_CLIENTS), default=200, help="at a time (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=seconds(0.01, MOST_SECONDS), default=5.0, help="for each (default: %(default)s)"
    )
    parser.add_argument(
        "--every",
        type=seconds(0.001),
        default=0.1,
        metavar="SECONDS",
        help="between two bytes of a client (default: %(default)s)",
    )
    parser.add_argument("--status-path", metavar="PATH", help="where a pooled_httpd shows its statistics")


def run_swarm_command(arguments: argparse.Namespace, target: Target, console: Console) -> int:
    """Run it and return the exit status: 3 where the good client was not answered, 1 where it got something wrong."""
    witness = PathWitness(target, arguments.status_path) if arguments.status_path else Witness()
    known = learn(target)
    worst = 0
    for kind in arguments.kind or list(Kind):
        swarm = Swarm(
            target, kind, clients=arguments.clients, seconds=arguments.seconds, every=arguments.every, known=known
        )
        report = swarm.run(witness)
        show(console, report)
        worst = max(worst, EXIT_STATUS[verdict_of(report)])
    return worst


def verdict_of(report: SwarmReport) -> Verdict:
    """Ok where every good request got its file or an honest 503, and the server recovered in its time."""
    if any("TimeoutError" in text or "NoResponse" in text for text in report.good.failures):
        return Verdict.HANGS
    if report.good.failures or (report.recovered is None and report.must_recover):
        return Verdict.DEVIATES
    return Verdict.OK


def show(console: Console, report: SwarmReport) -> None:
    """A table of what happened."""
    good = report.good
    half, most, slowest = (f"{good.percentile(percent) * 1000:.1f} ms" for percent in (50, 99, 100))
    opened = f"{report.opened:,} opened, {report.most_open:,} at most at a time"
    recovered = report.recovered
    again = (
        "not yet: give --wait its longest timeout" if recovered is None else f"{recovered * 1000:.1f} ms after the end"
    )
    rows = {
        "connections": f"{opened}, {report.could_not_open:,} not to be had",
        "ended by the server": f"{report.closed:,} closed, {report.reset:,} reset",
        "answers": _counts(report.answers) or "none",
        "bytes": f"{report.bytes_sent:,} sent, {report.bytes_received:,} received",
        "good client": f"{_counts(good.statuses) or 'nothing'}; half within {half}, 99 % {most}, all {slowest}",
        "not as it should be": "; ".join(sorted(set(good.failures))[:3]) or "nothing",
        "served again": again,
    }
    if report.statistics is not None:
        rows["its statistics"] = ", ".join(f"{name} {value}" for name, value in report.statistics.items() if value)
    table = Table(
        title=f"{report.kind}: {report.clients:,} clients for {report.seconds:g} s",
        title_justify="left",
        show_header=False,
    )
    table.add_column()
    table.add_column()
    for name, text in rows.items():
        table.add_row(name, escape(text))
    console.print(table)


def _counts(statuses: dict[int, int]) -> str:
    return ", ".join(f"{count:,} times {status}" for status, count in sorted(statuses.items()))
