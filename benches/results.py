"""The results of a run: what was measured with what, as JSON and back."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benches import BenchError
from benches.bounds import Verdict, judge
from benches.loads import LOADS
from benches.measuring import CPU, RATE, Sample, Samples, median
from benches.memory import Memory


@dataclass(frozen=True)
class Results:
    """Everything that a run found out."""

    #: Where, when and with what it was measured.
    facts: dict[str, str]
    samples: Samples
    #: By server; none where it was not asked for.
    memory: dict[str, Memory]

    def verdicts(self) -> list[Verdict]:
        """The bounds, and whether they were met."""
        return judge(self.samples, self.memory)


def version_commands(program: Path) -> dict[str, list[str | Path]]:
    """What tells the versions of all that takes part."""
    return {
        "pooled_httpd": [program, "--version"],
        "nginx": ["nginx", "-v"],
        "h2o": ["h2o", "--version"],
        "lighttpd": ["lighttpd", "-v"],
        "wrk": ["wrk", "-v"],
        "ab": ["ab", "-V"],
    }


def told_version(command: list[str | Path]) -> str:
    """What a program says of its version, on whichever stream and with whatever status."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, check=False, text=True)
    found = re.search(r"\d+\.\d+[.\w-]*", done.stdout)
    if found is None:
        raise BenchError(f"{shlex.join(map(str, command))} tells no version: {done.stdout[:200]}")
    return found[0]


def describe(program: Path, server_core: int, client_core: int, rounds: int, seconds: int) -> dict[str, str]:
    """Where, when and with what it is measured."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    return {
        # As it can be typed again, whatever started it.
        "command": shlex.join(["python", "-m", "benches", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: told_version(command) for name, command in version_commands(program).items()},
        "kernel": platform.release(),
        # Decides what large files cost: bbr arms a timer for each packet.
        "congestion control": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "load average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "cores": f"servers on {server_core}, clients on {client_core}",
        "rounds": f"{rounds} of {seconds} s for each load and server",
    }


def write(path: Path, results: Results) -> None:
    """Write every sample, and what they come to."""
    loads: dict[str, Any] = {}
    for load, by_server in results.samples.items():
        loads[load] = {
            "title": LOADS[load].title,
            "samples": {name: [asdict(one) for one in samples] for name, samples in by_server.items()},
            "medians": {
                name: {"cpu_us": median(samples, CPU), "rate": median(samples, RATE)}
                for name, samples in by_server.items()
            },
        }
    told = {
        "facts": results.facts,
        "loads": loads,
        "memory": {name: asdict(memory) for name, memory in results.memory.items()},
        "bounds": [asdict(verdict) for verdict in results.verdicts()],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n")


def read(path: Path) -> Results:
    """Read what an earlier run wrote."""
    try:
        told = json.loads(path.read_text())
        samples = {
            load: {name: [Sample(**one) for one in each] for name, each in of_load["samples"].items()}
            for load, of_load in told["loads"].items()
        }
        memory = {name: Memory(**of_server) for name, of_server in told["memory"].items()}
        found = Results(told["facts"], samples, memory)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path} has no results of this benchmark: {error!r}") from error
    if unknown := [load for load in samples if load not in LOADS]:
        raise BenchError(f"{path} has loads that there are no more: {', '.join(unknown)}")
    return found
