"""Campaigns as reports: the catalogue run against a target, and what a fuzzer found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from pooled_httpd.attack.case import Case, Send
from pooled_httpd.attack.catalogue import CASES
from pooled_httpd.attack.fuzzer import Fuzzer
from pooled_httpd.attack.judge import Delivery, Judge, Result, Verdict, can_deliver
from pooled_httpd.attack.report import Entry, Part, Report

#: How many bytes of a case a report shows.
_SHOWN_BYTES = 2000


def parse_part(text: str) -> tuple[int, int]:
    """``3/8`` as (3, 8). ValueError where it is no part of a whole."""
    part, separator, parts = text.partition("/")
    are_numbers = all(number.isascii() and number.isdigit() and len(number) < 7 for number in (part, parts))
    if not separator or not are_numbers or not 1 <= int(part) <= int(parts):
        raise ValueError(f"{text!r} is no part such as 3/8, from 1/8 to 8/8")
    return int(part), int(parts)


def now() -> str:
    """The date and time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def entry_of(result: Result, judge: Judge) -> Entry:
    """What a report says of a result."""
    case = result.case
    delivery = "" if result.delivery is Delivery.WHOLE else f" ({result.delivery})"
    return Entry(
        family=case.family,
        name=case.id + delivery,
        verdict=result.verdict,
        seen=result.seen,
        faults=result.faults,
        section=case.section,
        level=str(case.level),
        why=case.why,
        seconds=result.seconds,
        data=describe(case, judge),
    )


def describe(case: Case, judge: Judge) -> str:
    """The steps of a case as a person reads them, long ones cut."""
    steps = []
    for step in case.steps:
        text = repr(judge.render(step.data)) if isinstance(step, Send) else repr(step)
        steps.append(text if len(text) <= _SHOWN_BYTES else f"{text[:_SHOWN_BYTES]}… ({len(text)} characters)")
    return "\n".join(steps)


def run_catalogue(
    judge: Judge,
    *,
    deliveries: Sequence[Delivery] = (Delivery.WHOLE,),
    families: Iterable[str] | None = None,
    part: int = 1,
    parts: int = 1,
    on_entry: Callable[[Entry], None] | None = None,
) -> Report:
    """Send every case that applies, or every ``parts``-th from number ``part`` on, and report what came back.

    Ctrl+C, and a server that is not there any more, end it early: the report has what was found and how much is left
    out.
    """
    wanted = None if families is None else set(families)
    begun, started = time.monotonic(), now()
    chosen = [case for case in CASES.values() if wanted is None or case.family in wanted]
    runs = [(case, delivery) for case in chosen for delivery in deliveries if can_deliver(case, delivery)]
    entries: list[Entry] = []
    counts = {"cases": 0, "not applicable": 0}
    with suppress(KeyboardInterrupt):
        for case, delivery in runs[part - 1 :: parts]:
            if not judge.applies(case, delivery):
                counts["not applicable"] += 1
                continue
            entry, goes_on = _run(judge, case, delivery)
            entries.append(entry)
            counts["cases"] += 1
            if on_entry is not None:
                on_entry(entry)
            if not goes_on:
                break
    counts["left out"] = len(runs[part - 1 :: parts]) - sum(counts.values())
    scope = f"{', '.join(sorted(wanted)) if wanted else 'all families'}; {', '.join(deliveries)}"
    header = Part(
        campaign="catalogue",
        target=judge.target.authority,
        seed=judge.seed,
        part=part,
        parts=parts,
        scope=scope,
        started=started,
        seconds=time.monotonic() - begun,
        counts=counts,
    )
    return Report((header,), tuple(entries))


def _run(judge: Judge, case: Case, delivery: Delivery) -> tuple[Entry, bool]:
    """Run a case. Returns what a report says of it, and whether the server is there to go on with."""
    try:
        return entry_of(judge.run(case, delivery), judge), True
    except OSError as error:
        lives = judge.is_alive()
        # Who was waiting to be accepted when the server died is reset.
        died = isinstance(error, ConnectionRefusedError) or (isinstance(error, ConnectionResetError) and not lives)
        fault = f"the server died: {error}" if died else f"the server takes no connection or no bytes: {error}"
        result = Result(case, delivery, Verdict.DANGEROUS if died else Verdict.HANGS, False, str(error), (fault,), 0.0)
        return entry_of(result, judge), lives


def report_of(fuzzer: Fuzzer, *, started: str, seconds: float) -> Report:
    """What a fuzzer found, as a report: an entry for each distinct finding."""
    entries = tuple(
        Entry(
            family="fuzzer",
            name=finding.name,
            verdict=finding.verdict,
            seen=finding.seen,
            faults=(finding.reason,),
            why=f"a request like this came {fuzzer.tally.signatures[finding.verdict, finding.reason]} times",
            data=repr(finding.minimal),
        )
        for finding in fuzzer.findings
    )
    part = Part(
        campaign="fuzzer",
        target=fuzzer.target.authority,
        seed=fuzzer.seed,
        part=fuzzer.part,
        parts=fuzzer.parts,
        scope=f"{fuzzer.requests} requests",
        started=started,
        seconds=seconds,
        counts=fuzzer.tally.as_counts(),
    )
    return Report((part,), entries)
