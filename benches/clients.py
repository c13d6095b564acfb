"""The clients: each runs one load on one server and tells how many answers it got in which time.

`wrk` makes as many requests as fit into the time. For `Connection: close` it would make more connections than there are
ephemeral ports, and close first, so that the ports are held on its side; `ab` makes a fixed number and reads each to
its end. Neither can send a head byte by byte; that client is ours.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from benches import BenchError, bytewise
from benches.checks import Prepared
from benches.loads import Client, Load
from benches.processes import pinned, run_client
from benches.servers import HOST

HERE = Path(__file__).resolve().parent

# A closed connection holds its port for a minute (TIME_WAIT): so many at a time stay within the ephemeral ports.
MOST_CLOSING_REQUESTS = 20_000
CLOSING_REQUESTS_PER_SECOND = 10_000
# What a client may take beyond the time it was given.
GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Told:
    """What a client tells."""

    #: Answers under way at the end count in part.
    answers: float
    seconds: float
    #: The time within which 99 of 100 answers came, in milliseconds; none where the client does not tell.
    p99_ms: float | None


def run(load: Load, prepared: Prepared, port: int, seconds: int, core: int, scratch: Path) -> Told:
    """Run the load; an error of the client, or of an answer, is one of the run."""
    match load.client:
        case Client.WRK:
            paths = scratch / "paths"
            paths.write_text("".join(f"/{name}\n" for name in load.names))
            return told_by_wrk(
                run_client(wrk(load, prepared, port, seconds, paths), seconds + GRACE_SECONDS, core), load, prepared
            )
        case Client.AB:
            count = min(MOST_CLOSING_REQUESTS, CLOSING_REQUESTS_PER_SECOND * seconds)
            return told_by_ab(run_client(ab(load, port, count), count / 100 + GRACE_SECONDS, core), load, count)
        case Client.BYTEWISE:
            with pinned(core):
                done = bytewise.run(port, load, prepared, seconds)
            return Told(done.answers, done.seconds, None)


def wrk(load: Load, prepared: Prepared, port: int, seconds: int, paths: Path) -> list[str]:
    """The command of wrk."""
    options = ["-t1", f"-c{load.clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(HERE / "load.lua")]
    fields = [word for line in prepared.fields for word in ("-H", line)]
    return ["wrk", *options, *fields, f"http://{HOST}:{port}/", "--", str(load.depth), str(paths)]


def told_by_wrk(printed: str, load: Load, prepared: Prepared) -> Told:
    """Read what wrk printed. Answers are counted by their bytes, so that those under way at the end count in part."""
    found = re.search(r"^BENCH (.*)$", printed, re.MULTILINE)
    if found is None:
        raise BenchError(f"wrk told no numbers: {printed[-500:]}")
    told: dict[str, int] = json.loads(found[1])
    # wrk takes every status from 400 on for an error.
    due = {"status": told["requests"] if load.status >= 400 else 0}
    kinds = ("connect", "read", "write", "status", "timeout")
    if errors := {kind: told[kind] for kind in kinds if told[kind] != due.get(kind, 0)}:
        raise BenchError(f"wrk met errors: {errors}")
    least = told["requests"] * prepared.least_bytes
    most = (told["requests"] + load.clients * load.depth) * prepared.most_bytes
    if not least <= told["bytes"] <= most or told["bytes"] == 0:
        raise BenchError(f"wrk received {told['bytes']} bytes for {told['requests']} answers, not {least} to {most}")
    # It makes up for waits between requests by the mean time of one, which pipelined ones make nonsense of.
    p99_ms = told["p99_us"] / 1e3 if load.depth == 1 else None
    return Told(told["bytes"] / prepared.mean_bytes, told["duration_us"] / 1e6, p99_ms)


def ab(load: Load, port: int, count: int) -> list[str]:
    """The command of ab."""
    url = f"http://{HOST}:{port}/{load.names[0]}"
    return ["ab", "-q", "-n", str(count), "-c", str(load.clients), "-s", "30", "-H", "Connection: close", url]


def told_by_ab(printed: str, load: Load, count: int) -> Told:
    """Read what ab printed."""

    def number(label: str) -> float:
        found = re.search(rf"^ *{label}\s+([0-9.]+)", printed, re.MULTILINE)
        return float(found[1]) if found else 0.0

    bad = number("Failed requests:") + number("Non-2xx responses:") + number("Write errors:")
    content = count * (load.content_length or 0)
    if bad or number("Complete requests:") != count or number("HTML transferred:") != content:
        raise BenchError(f"ab met errors: {printed[-1000:]}")
    return Told(float(count), number("Time taken for tests:"), number("99%"))
