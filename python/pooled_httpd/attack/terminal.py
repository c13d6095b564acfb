"""What the commands of the kit show in a terminal: tables of verdicts, and a progress bar; escaped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich import markup
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from pooled_httpd.attack.assess import Fate
from pooled_httpd.attack.fuzzer import Fuzzer, Tally
from pooled_httpd.attack.judge import Verdict
from pooled_httpd.attack.report import ORDER, Report

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
STYLES = {Verdict.OK: "green", Verdict.DEVIATES: "yellow", Verdict.HANGS: "magenta", Verdict.DANGEROUS: "bold red"}


def escape(text: str) -> str:
    """Text of others as it is to be shown: no markup, and nothing that a terminal obeys."""
    return markup.escape(text.translate(_CONTROLS))


def show_catalogue(console: Console, report: Report, *, verbose: bool = False) -> None:
    """A table by family; then every case that is not ok, or with ``verbose`` every case."""
    title = f"{report.parts[0].campaign} against {report.parts[0].target}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("family")
    for verdict in ORDER:
        table.add_column(str(verdict), justify="right", style=STYLES[verdict])
    for family, entries in report.families().items():
        counts = [sum(entry.verdict is verdict for entry in entries) for verdict in ORDER]
        table.add_row(escape(family), *(str(count) if count else "·" for count in counts))
    table.add_section()
    table.add_row("all", *(str(report.verdicts[verdict]) for verdict in ORDER))
    console.print(table)
    for entry in report.entries:
        if verbose or entry.verdict is not Verdict.OK:
            style = STYLES[entry.verdict]
            reason = "; ".join(entry.faults) or entry.seen
            console.print(f"[{style}]{entry.verdict:9}[/] {escape(entry.name)}: {escape(reason)}", highlight=False)
            if verbose:
                console.print(
                    f"          {escape(entry.section)} {escape(entry.level)}: {escape(entry.why)}", highlight=False
                )


def show_totals(console: Console, report: Report) -> None:
    """One line with how many of each verdict there are."""
    counts = [f"[{STYLES[verdict]}]{report.verdicts[verdict]} {verdict}[/]" for verdict in ORDER]
    console.print(", ".join(counts), highlight=False)


@contextmanager
def progress_of(console: Console, total: int, name: str) -> Iterator[Progress]:
    """A progress bar over so many requests, with their rate and what came of them."""
    with Progress(
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[fates]}"),
        console=console,
        transient=True,
    ) as progress:
        progress.add_task(name, total=total, rate="", fates="")
        yield progress


def show_tally(progress: Progress, tally: Tally) -> None:
    """Bring a progress bar up to date."""
    task = progress.tasks[0]
    rate = tally.sent / task.elapsed if task.elapsed else 0.0
    fates = " ".join(f"{fate} {tally.fates[fate]:,}" for fate in Fate if tally.fates[fate])
    bad = " ".join(
        f"[{STYLES[verdict]}]{verdict} {tally.verdicts[verdict]:,}[/]"
        for verdict in ORDER[1:]
        if tally.verdicts[verdict]
    )
    progress.update(task.id, completed=tally.sent, rate=f"{rate:,.0f}/s", fates=f"{fates} {bad}")


def show_fuzzer(console: Console, fuzzer: Fuzzer, seconds: float, kept: str | None) -> None:
    """The summary: what was sent, what came back, and each finding."""
    tally = fuzzer.tally
    part = f", part {fuzzer.part}/{fuzzer.parts}" if fuzzer.parts > 1 else ""
    replayed = f" ({tally.replayed:,} of them replayed)" if tally.replayed else ""
    console.print(
        f"Sent {tally.sent:,} malformed requests{replayed} to {escape(fuzzer.target.authority)} in {seconds:.1f} s "
        f"({tally.sent / max(seconds, 1e-9):,.0f}/s), seed {fuzzer.seed}{part}.",
        highlight=False,
    )
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    meanings = {
        Fate.REFUSED: "answered with a 4xx or 5xx",
        Fate.SERVED: "answered with something else",
        Fate.CLOSED: "closed without an answer",
        Fate.HUNG: "neither answered nor closed",
    }
    for fate, meaning in meanings.items():
        table.add_row(str(fate), f"{tally.fates[fate]:,}", meaning)
    console.print(table)
    console.print(
        f"{tally.good_requests:,} good requests between them, the slowest took {tally.slowest_good * 1000:.1f} ms.",
        highlight=False,
    )
    for finding in fuzzer.findings:
        count = tally.signatures[finding.verdict, finding.reason]
        times = f", {count:,} times" if count > 1 else ""
        console.print(
            f"[{STYLES[finding.verdict]}]{finding.verdict}[/] {escape(finding.reason)}{times} "
            f"({escape(finding.seen)}): {escape(repr(finding.minimal)[:300])}",
            highlight=False,
        )
    if not fuzzer.findings:
        console.print("[green]No finding.[/]")
    elif kept:
        console.print(f"Kept in {escape(kept)}: the bytes and a script for each.", highlight=False)
