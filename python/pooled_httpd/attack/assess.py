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


def assess(reading: Reading, seen: Seen, secrets: Iterable[bytes] = (), *, has_our_limits: bool = True) -> Assessment:
    """Judge an exchange that the client ended: ``reading`` is what was sent, ``seen`` what came back.

    Where to stop is a server's own matter: without ``has_our_limits`` it may serve what is only too large or too long.
    """
    wanted = len(reading.messages)
    given = len(seen.statuses)
    fate = _fate(reading, seen)
    if any(secret in seen.received for secret in secrets):
        return Assessment(fate, Verdict.DANGEROUS, "an answer has content from outside the document root")
    if b"\nx-injected:" in seen.received.lower():
        return Assessment(fate, Verdict.DANGEROUS, "an answer has a field line of the peer's")
    if reading.fault is not None and reading.fault.is_of_a_limit and not has_our_limits and fate is not Fate.HUNG:
        return Assessment(fate, Verdict.OK)
    if given > wanted + reading.is_malformed:
        if reading.fault is None or reading.fault.is_about_framing:
            return Assessment(fate, Verdict.DANGEROUS, f"{given} answers to {wanted} requests: one ran that is none")
        return Assessment(fate, Verdict.DEVIATES, f"went on behind this: {reading.fault.rule}")
    if seen.ending is Ending.OPEN:
        return Assessment(fate, Verdict.HANGS, "neither answered to the end nor closed after the client's end")
    if fate is Fate.SERVED:
        rule = reading.fault.rule if reading.fault else "the request is incomplete"
        return Assessment(fate, Verdict.DEVIATES, f"served: {rule}")
    if seen.fault:
        return Assessment(fate, Verdict.DEVIATES, f"no HTTP response: {seen.fault.partition(' (')[0]}")
    if given < wanted and not _may_end(seen):
        return Assessment(fate, Verdict.DEVIATES, f"{given} answers to {wanted} requests")
    if 500 in seen.statuses:
        return Assessment(fate, Verdict.DEVIATES, "500 (Internal Server Error)")
    return Assessment(fate, Verdict.OK)


def _may_end(seen: Seen) -> bool:
    """Whether the last answer says that it is the last, or refuses so that nothing could be read behind."""
    if not seen.statuses:
        return False
    last = seen.received[seen.received.rfind(b"HTTP/1.") :].partition(b"\r\n\r\n")[0].lower()
    return seen.statuses[-1] in CLOSING_STATUSES or b"\nconnection: close" in last or last.startswith(b"http/1.0")


def _fate(reading: Reading, seen: Seen) -> Fate | None:
    if not reading.is_malformed:
        return None
    answered = len(reading.messages)
    if len(seen.statuses) > answered:
        return Fate.REFUSED if seen.statuses[answered] >= 400 else Fate.SERVED
    return Fate.HUNG if seen.ending is Ending.OPEN else Fate.CLOSED
