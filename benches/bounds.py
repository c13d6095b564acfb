"""The bounds that the project set itself, and whether a run met them. They never fail a run: machines differ."""

from __future__ import annotations

from dataclasses import dataclass

from benches.measuring import CPU, RATE, Measure, Ratio, Samples, best_peer, ratio
from benches.servers import NULL, OURS, STORY

#: Stands for the peer that is best at the load.
BEST = "best peer"


@dataclass(frozen=True)
class Bound:
    """One server's number by another's, and what it may come to: at most, or at least where more is better."""

    load: str
    to: str
    limit: float
    of: str = OURS
    measure: Measure = CPU

    def allows(self, value: float) -> bool:
        """Whether a value is within the limit."""
        return value >= self.limit if self.measure.more_is_better else value <= self.limit


#: In CPU time per answer, but for the rates.
BOUNDS = (
    Bound("small", NULL, 1.10),
    Bound("small", BEST, 0.90),
    Bound("pipelined", NULL, 0.35),
    Bound("closing", BEST, 0.90),
    *(Bound(load, BEST, 0.90) for load in ("10k", "404", "range", "304", "files", "1000")),
    Bound("100k", BEST, 1.00),
    Bound("100k", BEST, 1.00, measure=RATE),
    Bound("64M", BEST, 1.00),
    Bound("64M", BEST, 1.00, measure=RATE),
    Bound("small", OURS, 2.00, of=STORY),
)


@dataclass(frozen=True)
class Verdict:
    """What a run made of a bound."""

    bound: Bound
    ratio: Ratio

    @property
    def met(self) -> bool:
        """Whether the median is within the bound."""
        return self.bound.allows(self.ratio.median)


def judge(samples: Samples) -> list[Verdict]:
    """Every bound of the loads that were run."""
    verdicts = []
    for bound in BOUNDS:
        if bound.load in samples:
            by_server = samples[bound.load]
            to = best_peer(by_server, bound.measure) if bound.to == BEST else bound.to
            verdicts.append(Verdict(bound, ratio(by_server, bound.of, to, bound.measure)))
    return verdicts
