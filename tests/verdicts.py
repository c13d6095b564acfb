"""Runs the catalogue on this server and others and prints the table of the README: ``make verdicts``."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from peers import SERVERS, target_of, version
from pooled_httpd.attack import Judge, Verdict
from pooled_httpd.attack.catalogue import CASES, FAMILIES
from pooled_httpd.attack.judge import Result
from pooled_httpd.attack.known_site import make_site


def run(name: str, directory: Path) -> dict[str, Result]:
    """The verdict on each case that applies, by its id."""
    root = directory / name / "root"
    make_site(root)
    with SERVERS[name](root, directory / name / "work") as port:
        judge = Judge(target_of(port))
        cases = [case for case in CASES.values() if judge.applies(case)]
        # Those that wait for a timeout wait together; all others have the server for themselves.
        results = [judge.run(case) for case in cases if not case.waits]
        with ThreadPoolExecutor(32) as pool:
            results += pool.map(judge.run, [case for case in cases if case.waits])
    return {result.case.id: result for result in results}


def cell(results: list[Result]) -> str:
    """Numbers as in ``20 ok, 3 deviate, 1 dangerous``, short: a table has room for little."""
    words = {Verdict.OK: "ok", Verdict.DEVIATES: "dev", Verdict.HANGS: "hang", Verdict.DANGEROUS: "**dangerous**"}
    counts = {verdict: sum(result.verdict is verdict for result in results) for verdict in words}
    return ", ".join(f"{count} {words[verdict]}" for verdict, count in counts.items() if count) or "–"


def table(results: dict[str, dict[str, Result]]) -> str:
    """The table in Markdown."""
    heads = [f"{name} {version(name)}" for name in results]
    lines = ["| family | cases | " + " | ".join(heads) + " |", "|---|---|" + "---|" * len(heads)]
    for family in FAMILIES:
        cells = [
            cell([result for result in found.values() if result.case.family == family.id]) for found in results.values()
        ]
        lines.append(f"| {family.title} | {len(family.cases)} | " + " | ".join(cells) + " |")
    totals = [cell(list(found.values())) for found in results.values()]
    lines.append(f"| **all** | {len(CASES)} | " + " | ".join(totals) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table and the date."""
    with tempfile.TemporaryDirectory() as directory:
        results = {name: run(name, Path(directory)) for name in SERVERS}
    print(table(results))
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, every server with its defaults and timeouts of a second")


if __name__ == "__main__":
    main()
