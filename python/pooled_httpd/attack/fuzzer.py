"""The fuzzer: malformed requests by seed, each judged, the server's life and statistics watched throughout.

Request number ``i`` of a seed is the same on every machine and belongs to part ``i % parts`` of the campaign, so that
the parts divide it exactly. Every request is malformed, or cut off, by the reading of
:mod:`pooled_httpd.attack.reference`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from hypothesis.database import ExampleDatabase

from pooled_httpd.attack.assess import Assessment, Fate, assess
from pooled_httpd.attack.catalogue import CASES
from pooled_httpd.attack.exchange import Seen, exchange
from pooled_httpd.attack.findings import minimize
from pooled_httpd.attack.generate import RandomChooser, hostile, mutate, nearly_valid
from pooled_httpd.attack.judge import Judge, Verdict, get
from pooled_httpd.attack.reading import Ending
from pooled_httpd.attack.reference import Reading, read
from pooled_httpd.attack.target import Target
from pooled_httpd.attack.witness import Witness

#: So many requests are under way at once.
BATCH = 32
#: Distinct findings that are kept; more of them are counted.
MOST_FINDINGS = 100
#: Names in the bytes of a case that every target has a value for.
_SIMPLE = frozenset({"known", "host"})
#: A good request that fails is tried again so often, with ever more patience, before the server is called dead.
_LAST_TRIES = 4
#: Connections that take longer than this, in seconds, ask for fewer at once: the server's backlog is short.
_SLOW = 0.9
#: Where findings are kept in a Hypothesis example database.
DATABASE_KEY = b"pooled_httpd.attack.fuzzer"
#: A generated request that is well-formed is made again, at most so often; then it is spoilt.
_MOST_ATTEMPTS = 20
#: A server that hangs is asked at most so often for a shorter request on which it hangs too.
_TRIES_WHERE_IT_HANGS = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """Bytes that a server did not treat as it should: where they come from, what was wrong, and their minimal form."""

    name: str
    data: bytes
    minimal: bytes
    verdict: Verdict
    reason: str
    seen: str
    fate: Fate | None


@dataclass(slots=True)
class Tally:
    """What was sent and what came back, so far."""

    sent: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    good_requests: int = 0
    slowest_good: float = 0.0
    replayed: int = 0
    signatures: Counter[tuple[Verdict, str]] = field(default_factory=Counter)

    def as_counts(self) -> dict[str, int]:
        """For a report."""
        fates = {str(fate): self.fates[fate] for fate in Fate}
        return {"sent": self.sent, **fates, "good requests": self.good_requests, "replayed": self.replayed}


class ServerDied(Exception):
    """A good request is not answered any more."""


class Fuzzer:
    """A campaign, or one part of it, against one target.

    ``requests`` is the size of the whole campaign; this part sends those whose number is ``part - 1`` modulo ``parts``.
    ``database`` has the findings of earlier runs and other machines, which are replayed first, and takes new ones.
    ``witness`` says that the target is a pooled_httpd: its statistics must fit what was received, and its limits hold.
    """

    def __init__(
        self,
        target: Target,
        *,
        requests: int,
        seed: int = 0,
        part: int = 1,
        parts: int = 1,
        database: ExampleDatabase | None = None,
        witness: Witness | None = None,
        on_progress: Callable[[Tally], None] | None = None,
        on_finding: Callable[[Finding], None] | None = None,
    ) -> None:
        """Prepare it. ValueError where the part is not one of the parts."""
        if not 1 <= part <= parts:
            raise ValueError(f"part {part}/{parts} is none: it counts from 1 to {parts}")
        self.target = target
        self.requests, self.seed, self.part, self.parts = requests, seed, part, parts
        self.tally = Tally()
        self.findings: list[Finding] = []
        self._database = database
        self._witness = witness or Witness()
        self.on_progress = on_progress
        self.on_finding = on_finding
        self._judge = Judge(target)
        self._known_path = target.known_path.encode("ascii")
        self._good = get(target.known_path, target.authority, "Connection: close")
        # Its names in braces are filled in behind the mutation, so that every machine mutates the same bytes.
        plain = (case.data for case in CASES.values() if isinstance(case.data, bytes) and case.placeholders <= _SIMPLE)
        self._templates = [data for data in plain if len(data) < 2000]
        self._has_our_limits = witness is not None
        self._at_once = BATCH

    def request(self, number: int) -> tuple[bytes, Reading]:
        """Request ``number`` of the campaign, and its reading: malformed always."""
        chooser = RandomChooser(f"{self.seed}/{number}")
        for _ in range(_MOST_ATTEMPTS):
            kind = chooser.integer(0, 9)
            if kind < 5:
                data = nearly_valid(chooser, self._known_path)
            elif kind < 8:
                data = self._judge.render(mutate(chooser, chooser.choice(self._templates)))
            else:
                data = hostile(chooser, self._known_path)
            reading = read(data)
            if reading.is_malformed:
                return data, reading
        data = b"\x00" + data
        return data, read(data)

    def run(self) -> None:
        """Send everything. ServerDied where the server stops answering; what is known then is kept."""
        self._witness.begin()
        self._check_life([])
        for batch in _batches(self._replayed(), BATCH):
            self.tally.replayed += len(batch)
            self._send(batch)
        numbers = range(self.part - 1, self.requests, self.parts)
        for batch in _batches(((f"{self.seed}-{number}", *self.request(number)) for number in numbers), BATCH):
            self._send(batch)
        self._witness.end(self._count_finding_of_statistics)

    def _replayed(self) -> Iterator[tuple[str, bytes, Reading]]:
        if self._database is not None:
            for index, data in enumerate(sorted(self._database.fetch(DATABASE_KEY))):
                yield f"replayed-{index}", data, read(data)

    def _send(self, batch: Sequence[tuple[str, bytes, Reading]]) -> None:
        """Send a batch, in as small pieces as the server's backlog calls for."""
        start = 0
        while start < len(batch):
            piece = batch[start : start + self._at_once]
            data = [entry[1] for entry in piece]
            started = time.monotonic()
            try:
                answers = exchange(self.target, data, [entry[2] for entry in piece], self.target.patience)
            except OSError as error:
                if isinstance(error, ConnectionRefusedError) or self._at_once == 1:
                    self._died(data, error)
                self._at_once = max(self._at_once // 2, 1)
                continue
            if time.monotonic() - started > _SLOW and not any(seen.ending is Ending.OPEN for seen in answers):
                self._at_once = max(self._at_once // 2, 1)
            start += len(piece)
            for (name, sent, reading), seen in zip(piece, answers, strict=True):
                self._take(name, sent, reading, seen)
        self._check_life([entry[1] for entry in batch])
        if self.on_progress is not None:
            self.on_progress(self.tally)

    def _take(self, name: str, sent: bytes, reading: Reading, seen: Seen) -> None:
        assessment = assess(reading, seen, self.target.secrets, has_our_limits=self._has_our_limits)
        self.tally.sent += 1
        self.tally.verdicts[assessment.verdict] += 1
        if assessment.fate is not None:
            self.tally.fates[assessment.fate] += 1
        self._witness.saw(len(seen.statuses))
        if assessment.verdict is not Verdict.OK:
            self._found(name, sent, seen, assessment)

    def _check_life(self, before: Sequence[bytes]) -> None:
        """A good request must be answered as ever."""
        why: object = None
        for attempt in range(_LAST_TRIES):
            started = time.monotonic()
            try:
                (seen,) = exchange(self.target, [self._good], [read(self._good)], self.target.patience * (attempt + 1))
            except OSError as error:
                why = error
                continue
            self.tally.slowest_good = max(self.tally.slowest_good, time.monotonic() - started)
            self.tally.good_requests += 1
            self._witness.saw(len(seen.statuses))
            if seen.statuses == (200,) and seen.received.endswith(self._judge.known.content):
                return
            why = f"a good request got {seen.statuses or 'no answer'}, {seen.ending}"
        self._died(before, why)

    def _died(self, before: Sequence[bytes], why: object) -> NoReturn:
        for index, data in enumerate(before):
            self._keep(
                Finding(f"before-the-end-{index}", data, data, Verdict.DANGEROUS, f"the server died: {why}", "", None)
            )
        raise ServerDied(f"{self.target.authority} does not answer a good request any more: {why}")

    def _found(self, name: str, data: bytes, seen: Seen, assessment: Assessment) -> None:
        signature = (assessment.verdict, assessment.reason)
        self.tally.signatures[signature] += 1
        if self.tally.signatures[signature] > 1 or len(self.findings) >= MOST_FINDINGS:
            return
        hangs = assessment.verdict is Verdict.HANGS
        tries = {"tries": _TRIES_WHERE_IT_HANGS} if hangs else {}

        def is_same(shorter: bytes) -> bool:
            again = self._ask(shorter)
            return (again.verdict, again.reason) == signature

        answers = ", ".join(str(status) for status in seen.statuses) or "no answer"
        minimal = data
        try:
            minimal = minimize(data, is_same, **tries)
        finally:
            # Whatever ends the search, what was found is kept.
            self._keep(Finding(name, data, minimal, *signature, seen=f"{answers}, {seen.ending}", fate=assessment.fate))

    def _ask(self, data: bytes) -> Assessment:
        reading = read(data)
        try:
            (seen,) = exchange(self.target, [data], [reading], self.target.patience)
        except OSError as error:
            self._died([data], error)
        self._witness.saw(len(seen.statuses))
        return assess(reading, seen, self.target.secrets, has_our_limits=self._has_our_limits)

    def _keep(self, finding: Finding) -> None:
        self.findings.append(finding)
        if self.on_finding is not None:
            self.on_finding(finding)
        if self._database is not None and finding.minimal:
            self._database.save(DATABASE_KEY, finding.minimal)

    def _count_finding_of_statistics(self, reason: str) -> None:
        self._keep(Finding("statistics", b"", b"", Verdict.DEVIATES, reason, "", None))


def _batches(entries: Iterator[tuple[str, bytes, Reading]], size: int) -> Iterator[list[tuple[str, bytes, Reading]]]:
    batch: list[tuple[str, bytes, Reading]] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
