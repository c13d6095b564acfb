"""Everything at once: swarms, the fuzzer, and good clients whose every byte is checked, until the server is stopped.

``make soak`` lets it go on for ten minutes; SOAK_SECONDS says otherwise.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pooled_httpd.attack.swarms import Kind
from support import PATIENCE, Lateness, Program, Raw, Site, exchange, get

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
#: No good request waits longer, in seconds.
LONGEST_WAIT = 1.0
GOOD_CLIENTS = 3
#: More slots than all clients together take, so that no good one is turned away.
SLOTS = 1024
CLIENTS_PER_SWARM = 60
#: The server's timeout, in seconds: what a swarm holds is freed many times.
TIMEOUT = 2.0
LARGE = 600_000


@dataclass
class Good:
    """What good clients saw."""

    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


def ask_for_ever(port: int, site: Site, over: threading.Event, good: Good, seed: int) -> None:
    """Ask for whole files, parts, heads, several at once, on connections that last for a while; compare every byte."""
    chooser = random.Random(seed)
    files = {name: (site.root / name).read_bytes() for name in ("index.html", "a.txt", "large", "huge")}
    while not over.is_set():
        with Raw(port) as raw:
            for _ in range(chooser.randint(1, 40)):
                if over.is_set():
                    break
                name = chooser.choice(sorted(files))
                content = files[name]
                kind = chooser.choice(["whole", "part", "head", "several"])
                started = time.monotonic()
                try:
                    if kind == "whole":
                        right = raw.send(get(f"/{name}")).response().content == content
                    elif kind == "part":
                        first = chooser.randrange(len(content))
                        answer = raw.send(get(f"/{name}", f"Range: bytes={first}-{first + 999}")).response()
                        right = (answer.status, answer.content) == (206, content[first : first + 1000])
                    elif kind == "head":
                        answer = raw.send(get(f"/{name}", method="HEAD")).response("HEAD")
                        right = answer.fields["content-length"] == str(len(content))
                    else:
                        raw.send(get("/a.txt") * 5)
                        right = all(raw.response().content == files["a.txt"] for _ in range(5))
                except (AssertionError, OSError) as error:
                    good.failures.append(f"{kind} of {name}: {error!r}")
                    break
                good.slowest = max(good.slowest, time.monotonic() - started)
                good.answers[kind] += 1
                if not right:
                    good.failures.append(f"{kind} of {name}: wrong bytes")
                time.sleep(0.003)


def wait_until_alone(port: int) -> None:
    """Wait until there is no connection but the one that asks: what vanished peers hold is freed by the timeout."""
    deadline = time.monotonic() + TIMEOUT + PATIENCE
    while (active := json.loads(exchange(port, get("/status")).content)["active_connections"]) > 1:
        assert time.monotonic() < deadline, f"{active} connections are left"
        time.sleep(0.01)


@contextmanager
def attackers(port: int) -> Iterator[list[subprocess.Popen[str]]]:
    """A process for each swarm, and one for the fuzzer; they yield to whoever else wants the processor."""
    kit = ["nice", "-n", "10", sys.executable, "-m", "pooled_httpd.attack"]
    target = ["--target", f"127.0.0.1:{port}", "--patience", "10"]
    swarm = ["--clients", str(CLIENTS_PER_SWARM), "--seconds", str(SECONDS), "--every", "0.2"]
    commands = [[*kit, "swarm", *target, *swarm, "--kind", str(kind)] for kind in Kind]
    # More than it can send: it is stopped with the others.
    commands.append([*kit, "fuzz", *target, "--malformed-requests", "100000000", "--quiet"])
    with ExitStack() as stack:
        processes = []
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            processes.append(process)
        yield processes


@pytest.mark.timeout(SECONDS + 120)
def test_good_clients_are_served_amid_everything_at_once(tmp_path: Path) -> None:
    """Every byte right, no violation or heap call, every connection given back, a clean stop.

    No wait is longer than a second and than the machine kept this process waiting at worst.
    """
    site = Site(tmp_path / "site")
    site.write("index.html", b"<!doctype html><title>known</title>\n" * 100)
    site.write("huge", bytes(range(256)) * (LARGE // 256))
    good, over = Good(), threading.Event()
    limits = ("--max-connections", str(SLOTS), "--timeout", str(TIMEOUT))
    options = (*limits, "--log-level", "info", "--status-path", "/status")
    with Program.start(*options, site.root) as program, Lateness() as lateness:
        clients = [
            threading.Thread(target=ask_for_ever, args=(program.port, site, over, good, seed))
            for seed in range(GOOD_CLIENTS)
        ]
        try:
            with attackers(program.port) as processes:
                for client in clients:
                    client.start()
                *swarms, fuzzer = processes
                shown = [swarm.communicate(timeout=SECONDS + 60)[0] for swarm in swarms]
                assert [swarm.returncode for swarm in swarms] == [0] * len(swarms), "\n".join(shown)
                assert fuzzer.poll() is None, "the fuzzer gave up"
        finally:
            over.set()
            for client in clients:
                client.join()
        wait_until_alone(program.port)
        assert program.finish(signal.SIGINT) == 0
    numbers = dict(re.findall(r"^ *([A-Za-z][^:\n]+): ([\d,]+)", "\n".join(program.lines), re.MULTILINE))
    assert good.failures == []
    assert good.slowest < LONGEST_WAIT + lateness.worst
    assert min(good.answers[kind] for kind in ("whole", "part", "head", "several")) >= SECONDS
    assert numbers["Invariant Violations"] == "0"
    assert numbers["malloc() calls during runtime"] == numbers["free() calls during runtime"] == "0"
    assert numbers["Active connections"] == "0"
    times = f"slowest {good.slowest * 1000:.0f} ms, lateness {lateness.worst * 1000:.0f} ms"
    print(f"{SECONDS:.0f} s, good answers {dict(good.answers)}, {times}, {numbers}")
