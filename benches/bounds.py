"""The bounds that the project set itself, and whether a run met them. They never fail a run: machines differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benches.loads import LOADS
from benches.measuring import CPU, RATE, Measure, Samples, best_peer, ratio
from benches.memory import Memory
from benches.servers import NULL, OURS, STORY

#: Stands for the peer that is best at the load, by its CPU time per answer.
BEST = "best peer"

#: Of resident memory for an idle connection: under so many bytes. Of the heap nothing.
IDLE_BYTES = 200.0


@dataclass(frozen=True)
class Bound:
    """One server's number by another's, and what it may come to: at most, or at least where more is better."""

    load: str
    to: str
    limit: float
    of: str = OURS
    measure: Measure = CPU


#: In CPU time per answer, but for the rates.
BOUNDS = (
    Bound("small", NULL, 1.10),
    Bound("small", BEST, 0.90),
    Bound("1000", BEST, 0.90),
    Bound("pipelined", NULL, 0.35),
    Bound("closing", BEST, 0.90),
    *(Bound(load, BEST, 0.90) for load in ("files", "range", "304", "404", "10k")),
    Bound("100k", BEST, 1.00),
    Bound("100k", BEST, 1.00, measure=RATE),
    Bound("64M", BEST, 1.00),
    Bound("64M", BEST, 1.00, measure=RATE),
    Bound("small", OURS, 2.00, of=STORY),
)


@dataclass(frozen=True)
class Verdict:
    """A bound beside what a run measured."""

    title: str
    #: What was measured, and what it is held against.
    what: str
    to: str
    limit: str
    measured: str
    value: float
    met: bool

    @property
    def word(self) -> str:
        """As the table tells it."""
        return "met" if self.met else "over"


def judge(samples: Samples, memory: Mapping[str, Memory]) -> list[Verdict]:
    """Every bound of what was measured."""
    verdicts = [_judge_load(bound, samples) for bound in BOUNDS if bound.load in samples]
    if OURS in memory:
        verdicts += _judge_memory(memory[OURS])
    return verdicts


def _judge_load(bound: Bound, samples: Samples) -> Verdict:
    by_server, measure = samples[bound.load], bound.measure
    to = best_peer(by_server, CPU) if bound.to == BEST else bound.to
    found = ratio(by_server, bound.of, to, measure)
    more = measure.more_is_better
    return Verdict(
        title=LOADS[bound.load].title,
        what=measure.title if bound.of == OURS else f"{measure.title}, {bound.of}",
        to=f"{BEST}: {to}" if bound.to == BEST else to,
        limit=f"{'at least' if more else 'at most'} {bound.limit:.2f}",
        measured=str(found),
        value=found.median,
        met=found.median >= bound.limit if more else found.median <= bound.limit,
    )


def _judge_memory(ours: Memory) -> list[Verdict]:
    title = f"{ours.connections:,} idle connections"
    resident = ours.bytes_per_connection
    verdicts = [
        Verdict(
            title,
            "resident bytes for each",
            "",
            f"under {IDLE_BYTES:.0f}",
            f"{resident:.0f}",
            resident,
            resident < IDLE_BYTES,
        )
    ]
    if ours.heap_bytes is not None and ours.heap_calls is not None:
        met = ours.heap_bytes == 0 and ours.heap_calls == 0
        verdicts.append(Verdict(title, "heap bytes", "", "0", f"{ours.heap_bytes}", ours.heap_bytes, met))
    return verdicts
