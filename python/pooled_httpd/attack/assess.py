"""Holds what a server answered to arbitrary bytes against what the reference reads in them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from pooled_httpd.attack.exchange import Seen
from pooled_httpd.attack.judge import Verdict
from pooled_httpd.attack.reading import Ending
from pooled_httpd.attack.reference import Reading

#: Refusals of well-formed requests after which a server may close: it could not, or would not, read on.
CLOSING_STATUSES = frozenset({400, 408, 413, 414, 417, 431, 500, 501, 503, 505, 507})


class Fate(enum.StrEnum):
    """What became of bytes that are no request."""

    REFUSED = "refused"
    """Answered with a 4xx or 5xx."""
    SERVED = "served"
    """Answered with something else."""
    CLOSED = "closed"
    """The connection was closed without an answer to them."""
    HUNG = "hung"
    """Neither."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What became of the malformed part, if there is one, the verdict, and why it is not ok."""

    fate: Fate | None
    verdict: Verdict
    reason: str = ""


def assess(reading: Reading, seen: Seen, secrets: Iterable[bytes] = ()) -> Assessment:
    """Judge an exchange that the client ended: ``reading`` is what was sent, ``seen`` what came back."""
    wanted = len(reading.messages)
    given = len(seen.statuses)
    fate = _fate(reading, seen)
    if any(secret in seen.received for secret in secrets):
        return Assessment(fate, Verdict.DANGEROUS, "an answer has content from outside the document root")
    if given > wanted + reading.is_malformed:
        if reading.fault is None or reading.fault.is_about_framing:
            return Assessment(fate, Verdict.DANGEROUS, f"{given} answers to {wanted} requests: one ran that is none")
        return Assessment(fate, Verdict.DEVIATES, f"went on behind this: {reading.fault.rule}")
    if seen.ending is Ending.OPEN:
        return Assessment(fate, Verdict.HANGS, "neither answered nor closed after the client's end")
    if fate is Fate.SERVED:
        rule = reading.fault.rule if reading.fault else "the request is incomplete"
        is_dangerous = reading.fault is not None and reading.fault.is_about_framing
        verdict = Verdict.DANGEROUS if is_dangerous else Verdict.DEVIATES
        return Assessment(fate, verdict, f"served: {rule}")
    if seen.fault:
        return Assessment(fate, Verdict.DEVIATES, f"no HTTP response: {seen.fault.partition(' (')[0]}")
    if given < wanted and not (given and seen.statuses[-1] in CLOSING_STATUSES):
        return Assessment(fate, Verdict.DEVIATES, f"{given} answers to {wanted} requests")
    if 500 in seen.statuses:
        return Assessment(fate, Verdict.DEVIATES, "500 (Internal Server Error)")
    return Assessment(fate, Verdict.OK)


def _fate(reading: Reading, seen: Seen) -> Fate | None:
    if not reading.is_malformed:
        return None
    answered = len(reading.messages)
    if len(seen.statuses) > answered:
        return Fate.REFUSED if seen.statuses[answered] >= 400 else Fate.SERVED
    return Fate.HUNG if seen.ending is Ending.OPEN else Fate.CLOSED
