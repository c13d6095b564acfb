"""Measuring: every round, load and server in turn, and what the samples of a load come to."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benches import BenchError, clients
from benches.checks import Prepared
from benches.loads import LOADS
from benches.servers import NGINX_COPY, NULL, NULL_GATHERED, OURS, PEERS, STORY, Server

#: Content that somebody would have nginx read into its memory.
COPIED_BYTES = 16_384


@dataclass(frozen=True)
class Sample:
    """What one load made of one server in one round."""

    answers: float
    wall_seconds: float
    cpu_seconds: float
    p99_ms: float | None

    @property
    def cpu_us(self) -> float:
        """Server CPU time per answer, in microseconds."""
        return self.cpu_seconds / self.answers * 1e6

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.wall_seconds

    @property
    def busy(self) -> float:
        """The part of the time that the server used its core."""
        return self.cpu_seconds / self.wall_seconds


#: The samples of a load, by server, in the order of the rounds.
LoadSamples = dict[str, list[Sample]]
Samples = dict[str, LoadSamples]


def servers_of(load: str) -> list[str]:
    """The servers that a load is given to."""
    names = [OURS, *PEERS]
    if not 0 < (LOADS[load].content_length or 0) <= COPIED_BYTES:
        names.remove(NGINX_COPY)
    if LOADS[load].null:
        names.append(NULL)
    if LOADS[load].depth > 1:
        names.append(NULL_GATHERED)
    if load == "small":
        names.append(STORY)
    return names


def in_turn(names: list[str], turn: int) -> list[str]:
    """The order of the servers in a round: each begins once, and every other round goes backwards."""
    start = turn // 2 % len(names)
    order = names[start:] + names[:start]
    return order if turn % 2 == 0 else order[::-1]


def run_all(
    servers: dict[str, Server],
    prepared: dict[tuple[str, str], Prepared],
    loads: Iterable[str],
    rounds: int,
    seconds: int,
    core: int,
    scratch: Path,
) -> Samples:
    """Every round, load and server, in turn."""
    samples: Samples = {load: {name: [] for name in servers_of(load)} for load in loads}
    for turn in range(rounds):
        for load, by_server in samples.items():
            for name in in_turn(list(by_server), turn):
                show_progress(f"round {turn + 1} of {rounds}: {LOADS[load].title}, {name} ...")
                server = servers[name]
                before = server.cpu_seconds()
                with about(load, name):
                    told = clients.run(LOADS[load], prepared[load, name], server.port, seconds, core, scratch)
                cpu = server.cpu_seconds() - before
                by_server[name].append(Sample(told.answers, told.seconds, cpu, told.p99_ms))
    show_progress("")
    return samples


@contextlib.contextmanager
def about(load: str, server: str) -> Iterator[None]:
    """What fails inside is told with the load and the server."""
    try:
        yield
    except (BenchError, OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{LOADS[load].title}, {server}: {error}") from error


def show_progress(text: str) -> None:
    """Tell a person who watches what is being done."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Measure:
    """A number that a sample has, and which of two is the better one."""

    title: str
    of: Callable[[Sample], float]
    more_is_better: bool = False


CPU = Measure("server CPU per answer", lambda sample: sample.cpu_us)
RATE = Measure("answers per second", lambda sample: sample.rate, more_is_better=True)


def median(samples: list[Sample], measure: Measure) -> float:
    """The median of one of the samples' numbers."""
    return statistics.median(map(measure.of, samples))


def best_peer(samples: LoadSamples, measure: Measure) -> str:
    """The peer with the best median."""
    choose = max if measure.more_is_better else min
    return choose((name for name in PEERS if name in samples), key=lambda name: median(samples[name], measure))


@dataclass(frozen=True)
class Ratio:
    """Ours to another's, round by round."""

    to: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """What counts."""
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        """The median, exact enough to be held against a bound of two digits, and the spread."""
        return f"{self.median:.3f} ({min(self.rounds):.2f}-{max(self.rounds):.2f})"


def ratio(samples: LoadSamples, of: str, to: str, measure: Measure) -> Ratio:
    """One server's numbers by another's, round by round."""
    pairs = zip(samples[of], samples[to], strict=True)
    return Ratio(to, tuple(measure.of(one) / measure.of(other) for one, other in pairs))
