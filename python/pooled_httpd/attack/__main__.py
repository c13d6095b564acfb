"""The commands of the kit: ``python -m pooled_httpd.attack catalogue|fuzz|swarm|merge`` and ``pooled-httpd-fuzz``.

Exit status: 0 where all is well, 1 where something deviates (or the target cannot be reached), 2 for wrong usage, 3
where something hangs, 4 where something is dangerous or the server died.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pooled_httpd.attack.campaign import now, parse_part, report_of, run_catalogue
from pooled_httpd.attack.catalogue import FAMILIES
from pooled_httpd.attack.client import NoResponse
from pooled_httpd.attack.databases import open_database
from pooled_httpd.attack.findings import write
from pooled_httpd.attack.fuzzer import Finding, Fuzzer, ServerDied
from pooled_httpd.attack.judge import Delivery, Judge
from pooled_httpd.attack.options import add_target_options, count, target_of
from pooled_httpd.attack.report import Report, merge, read
from pooled_httpd.attack.swarm_command import add_swarm, run_swarm_command
from pooled_httpd.attack.terminal import escape, progress_of, show_catalogue, show_fuzzer, show_tally, show_totals
from pooled_httpd.attack.witness import PathWitness

#: A known file of fewer bytes is too small for the cases about ranges.
_SMALL = 100


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pooled_httpd.attack", description="Attacks an HTTP/1.1 server of yours and says what it did."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    catalogue = commands.add_parser("catalogue", help="send every case of the catalogue and print a table of verdicts")
    add_target_options(catalogue.add_argument)
    catalogue.add_argument(
        "--family", action="append", choices=[family.id for family in FAMILIES], help="only this one; repeatable"
    )
    catalogue.add_argument(
        "--delivery",
        action="append",
        choices=list(Delivery),
        type=Delivery,
        help="how the bytes are sent (default: whole); repeatable",
    )
    catalogue.add_argument("-v", "--verbose", action="store_true", help="show every case, with its source and why")
    _add_campaign(catalogue)
    _add_reports(catalogue)
    _add_fuzz_options(
        commands.add_parser("fuzz", help="send malformed requests by seed; the same as pooled-httpd-fuzz")
    )
    add_swarm(commands)
    commands.add_parser("list", help="list the cases of the catalogue, with their sources")
    merging = commands.add_parser("merge", help="make one report of the parts of a campaign")
    merging.add_argument("files", nargs="+", type=Path, help="JSON lines, JSON or JUnit XML that the parts wrote")
    _add_reports(merging)
    return parser


def _add_campaign(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="the campaign's number (default: %(default)s)")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="only this part of it, such as 3/8")


def _add_reports(parser: argparse.ArgumentParser) -> None:
    for name, text in {
        "json": "JSON",
        "json-lines": "JSON lines",
        "junit": "JUnit XML",
        "html": "an HTML page",
    }.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write the report as {text}")


def _add_fuzz_options(parser: argparse.ArgumentParser) -> None:
    add_target_options(parser.add_argument)
    parser.add_argument(
        "--malformed-requests",
        type=count(0, 10**12),
        default=1000,
        metavar="COUNT",
        help="how many, in all parts together (default: %(default)s)",
    )
    parser.add_argument(
        "--status-path", metavar="PATH", help="where a pooled_httpd shows its statistics: they are checked"
    )
    parser.add_argument(
        "--findings",
        type=Path,
        default=Path("findings"),
        metavar="DIRECTORY",
        help="where findings are written (default: %(default)s)",
    )
    parser.add_argument(
        "--database", metavar="WHERE", help="a directory or redis://host that keeps findings and replays them first"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    _add_campaign(parser)
    _add_reports(parser)


def _write(report: Report, arguments: argparse.Namespace) -> None:
    report.write(json_file=arguments.json, json_lines=arguments.json_lines, junit=arguments.junit, html=arguments.html)


def _catalogue(arguments: argparse.Namespace, console: Console) -> int:
    part, parts = parse_part(arguments.part)
    judge = Judge(target_of(arguments), seed=arguments.seed)
    size = len(judge.known.content)
    if size < _SMALL:
        console.print(f"[yellow]The known file has {size} bytes: cases about ranges want {_SMALL} and more.[/]")
    with console.status("sending the cases; those that wait for a timeout come last") as status:
        report = run_catalogue(
            judge,
            deliveries=arguments.delivery or [Delivery.WHOLE],
            families=arguments.family,
            part=part,
            parts=parts,
            on_entry=lambda entry: status.update(escape(f"{entry.family}: {entry.name}")),
        )
    show_catalogue(console, report, verbose=arguments.verbose)
    left_out = report.counts["left out"]
    if left_out:
        console.print(f"[bold red]It ended early: {left_out} cases were not sent.[/]", highlight=False)
    show_totals(console, report)
    _write(report, arguments)
    return report.exit_status


def _fuzz(arguments: argparse.Namespace, console: Console) -> int:
    part, parts = parse_part(arguments.part)
    target = target_of(arguments)
    witness = PathWitness(target, arguments.status_path) if arguments.status_path else None
    fuzzer = Fuzzer(
        target,
        requests=arguments.malformed_requests,
        seed=arguments.seed,
        part=part,
        parts=parts,
        database=open_database(arguments.database) if arguments.database else None,
        witness=witness,
    )

    def keep(finding: Finding) -> None:
        files = {finding.name: finding.data}
        if finding.minimal != finding.data:
            files[f"{finding.name}-minimal"] = finding.minimal
        for name, data in files.items():
            text = f"{finding.verdict}: {finding.reason}"
            write(arguments.findings, name, data, text=text, target=target.authority, patience=target.patience)

    fuzzer.on_finding = keep
    begun, started = time.monotonic(), now()
    ended = ""
    total = len(range(part - 1, arguments.malformed_requests, parts))
    with progress_of(console if not arguments.quiet else Console(quiet=True), total, "fuzzing") as progress:
        fuzzer.on_progress = lambda tally: show_tally(progress, tally)
        try:
            fuzzer.run()
        except ServerDied as error:
            ended = str(error)
        except KeyboardInterrupt:
            ended = "interrupted"
    seconds = time.monotonic() - begun
    show_fuzzer(console, fuzzer, seconds, str(arguments.findings))
    report = report_of(fuzzer, started=started, seconds=seconds)
    if ended:
        console.print(f"[bold red]{escape(ended)}[/]", highlight=False)
    _write(report, arguments)
    return report.exit_status


def _merge(arguments: argparse.Namespace, console: Console) -> int:
    report = merge([read(path) for path in arguments.files])
    show_catalogue(console, report)
    for name, number in report.counts.items():
        console.print(f"{name}: {number:,}", highlight=False)
    _write(report, arguments)
    return report.exit_status


def _list(console: Console) -> int:
    for family in FAMILIES:
        console.print(f"[bold]{family.title}[/] ({len(family.cases)})")
        for case in family.cases:
            console.print(f"  {case.id} — {case.section} {case.level}: {case.why}", highlight=False, markup=False)
    return 0


def _run(arguments: argparse.Namespace, command: str) -> int:
    console = Console()
    try:
        if command == "catalogue":
            return _catalogue(arguments, console)
        if command == "list":
            return _list(console)
        if command == "fuzz":
            return _fuzz(arguments, console)
        if command == "swarm":
            return run_swarm_command(arguments, target_of(arguments), console)
        return _merge(arguments, console)
    except ConnectionRefusedError:
        print(
            f"nobody listens on {arguments.target}: start the server first, such as httpserver 8080 www",
            file=sys.stderr,
        )
        return 1
    except (ValueError, OSError, NoResponse, RuntimeError) as error:
        print(f"{error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        return 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parsed = _parser().parse_args(arguments)
    return _run(parsed, parsed.command)


def fuzz_main(arguments: Sequence[str] | None = None) -> int:
    """The console script ``pooled-httpd-fuzz``."""
    parser = argparse.ArgumentParser(
        prog="pooled-httpd-fuzz",
        description="Sends malformed HTTP/1.1 requests to a server of yours and says what it did.",
    )
    _add_fuzz_options(parser)
    return _run(parser.parse_args(arguments), "fuzz")


if __name__ == "__main__":
    sys.exit(main())
