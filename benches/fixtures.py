"""Servers for tests, beside each other: this one, ``http.server`` and pytest-httpserver.

``make bench-fixtures`` runs it. Each is used as a test's author uses it: in the process of the test, on threads, with
its own defaults. The peers serve in Python and so share the interpreter's lock with the client that is measured; that
is how their users have them. The client is ``http.client`` for all, on a connection that it keeps where the server
does, and the content is the same 1 kB. Neither peer is slower than it need be: http.server speaks HTTP/1.1 and has
TCP_NODELAY, and nobody logs.

Every round takes each server in turn, in an order that changes, behind a first round that does not count; the median of
the rounds does.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import json
import logging
import random
import re
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooled_httpd
import pytest_httpserver

from benches.report import aligned, shown

CONTENT = b"0123456789abcdef" * 64
NAME = "/content.bin"
THREADS = 8
#: How long a server has nothing to do before it is stopped, in seconds.
REST = 0.05
#: How often each is started in a round: the starts are close, and one takes half as long again as another.
STARTS_IN_ROUND = 8
#: How long a client waits for anything, in seconds.
PATIENCE = 30.0

OURS_FILE = "pooled_httpd, a file"
OURS_ANSWER = "pooled_httpd, respond()"
HTTP_SERVER = "http.server"
HTTPSERVER = "pytest-httpserver"
OURS = (OURS_FILE, OURS_ANSWER)
PEERS = (HTTP_SERVER, HTTPSERVER)
SERVERS = (*OURS, *PEERS)

#: What a test may cost more that uses the function's fixture, in milliseconds.
MOST_FIXTURE_MS = 1.0


@dataclass(frozen=True)
class Running:
    """A server that has been started."""

    port: int
    stop: Callable[[], None]


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _start_ours(root: Path, *, registers: bool) -> Running:
    server = pooled_httpd.Server(root)
    if registers:
        server.respond(NAME, content=CONTENT)
    server.start()
    return Running(server.port, server.destroy)


def _start_http_server(root: Path) -> Running:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return Running(server.server_address[1], stop)


def _start_httpserver(root: Path) -> Running:
    del root
    server = pytest_httpserver.HTTPServer(host="127.0.0.1", port=0)
    server.expect_request(NAME).respond_with_data(CONTENT, content_type="application/octet-stream")
    server.start()
    return Running(server.port, server.stop)


STARTS: Mapping[str, Callable[[Path], Running]] = {
    OURS_FILE: functools.partial(_start_ours, registers=False),
    OURS_ANSWER: functools.partial(_start_ours, registers=True),
    HTTP_SERVER: _start_http_server,
    HTTPSERVER: _start_httpserver,
}


@contextlib.contextmanager
def client(port: int) -> Iterator[Callable[[], None]]:
    """A client: a function that asks once and checks the answer, on one connection where the server keeps it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask() -> None:
        connection.request("GET", NAME)
        response = connection.getresponse()
        content = response.read()
        if (response.status, content) != (200, CONTENT):
            raise RuntimeError(f"port {port} answered {response.status} with {len(content)} bytes")

    try:
        yield ask
    finally:
        connection.close()


def start_ms(name: str, root: Path) -> tuple[float, Running]:
    """From nothing to a response that has been read; by a process that has had a rest, whatever came before."""
    time.sleep(REST)
    begun = time.perf_counter()
    running = STARTS[name](root)
    with client(running.port) as ask:
        ask()
    return (time.perf_counter() - begun) * 1e3, running


def stop_ms(running: Running) -> float:
    """Until everything has been given back; by a server that has had a rest, as at the end of a session."""
    time.sleep(REST)
    begun = time.perf_counter()
    running.stop()
    return (time.perf_counter() - begun) * 1e3


def rate(port: int, seconds: float, threads: int = 1) -> float:
    """Answers a second, each thread with a client of its own."""
    counts: list[int] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(threads + 1)
    end = threading.Event()

    def work() -> None:
        count = 0
        try:
            with client(port) as ask:
                ask()
                barrier.wait(PATIENCE)
                while True:
                    ask()
                    count += 1
                    if end.is_set():
                        break
        except BaseException as error:
            errors.append(error)
            barrier.abort()
        counts.append(count)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait(PATIENCE)
    begun = time.perf_counter()
    time.sleep(seconds)
    end.set()
    passed = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    if errors:
        raise RuntimeError(f"a client failed: {errors[0]!r}") from errors[0]
    return sum(counts) / passed


#: The fixture of each plugin that has one for every test.
FIXTURES = {"pooled_httpd": "pooled_httpd", HTTPSERVER: "httpserver"}


def pytest_seconds(directory: Path, tests: int, fixture: str | None) -> float:
    """What pytest says that a run took, in a process of its own, on so many tests that do nothing."""
    module = directory / f"test_{fixture or 'nothing'}.py"
    module.write_text(
        "import pytest\n\n"
        f'@pytest.mark.parametrize("number", range({tests}))\n'
        f"def test_it({fixture + ', ' if fixture else ''}number):\n    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(directory), str(module)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    told = re.search(rf"^{tests} passed in ([\d.]+)s", done.stdout, re.M)
    if done.returncode or told is None:
        raise RuntimeError(f"pytest failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return float(told[1])


@dataclass(frozen=True)
class Measure:
    """Something that is measured of every server."""

    name: str
    unit: str
    less_is_better: bool


START = Measure("start to first response", "ms", True)
STOP = Measure("stop", "ms", True)
STOP_IDLE = Measure("stop with an idle client", "ms", True)
RATE = Measure("requests a second", "1/s", False)
RATE_THREADS = Measure(f"requests a second, {THREADS} threads", "1/s", False)
MEASURES = (START, STOP, STOP_IDLE, RATE, RATE_THREADS)


@dataclass
class Figures:
    """What was measured, round by round."""

    #: By measure and server.
    samples: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: {measure.name: {name: [] for name in SERVERS} for measure in MEASURES}
    )
    #: What a test costs more that uses the fixture, in milliseconds, by plugin.
    fixture_ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in FIXTURES})

    def add(self, measure: Measure, server: str, value: float) -> None:
        """Take a sample."""
        self.samples[measure.name][server].append(value)

    def median(self, measure: Measure, server: str) -> float:
        """The median of the rounds."""
        return statistics.median(self.samples[measure.name][server])

    def advantage(self, measure: Measure) -> float:
        """How many times better the worse of ours is than the better of the peers."""
        values = [[self.median(measure, name) for name in names] for names in (OURS, PEERS)]
        if measure.less_is_better:
            return min(values[1]) / max(values[0])
        return min(values[0]) / max(values[1])

    def fixture_cost(self, plugin: str) -> float:
        """The median of the rounds, in milliseconds for each test."""
        return statistics.median(self.fixture_ms[plugin])

    def verdicts(self) -> dict[str, bool]:
        """Whether each bound holds."""
        bounds = {f"ahead: {measure.name}": self.advantage(measure) > 1 for measure in MEASURES}
        bounds[f"a test with the fixture under {MOST_FIXTURE_MS:g} ms"] = self.fixture_cost("pooled_httpd") < (
            MOST_FIXTURE_MS
        )
        return bounds


def measure(rounds: int, seconds: float, tests: int, progress: Callable[[str], None]) -> Figures:
    """Measure everything in so many rounds."""
    figures, orders = Figures(), random.Random(1)
    with tempfile.TemporaryDirectory(prefix="pooled-fixtures-") as directory:
        root = Path(directory) / "www"
        root.mkdir()
        (root / NAME.lstrip("/")).write_bytes(CONTENT)
        for turn in range(-1, rounds):
            if turn == 0:
                # What is done for the first time takes longer: imports, caches, the kernel's own.
                figures = Figures()
            for _ in range(0 if turn < 0 else STARTS_IN_ROUND - 1):
                # In any order: who comes after one that takes long to stop finds the processor asleep.
                for name in orders.sample(SERVERS, len(SERVERS)):
                    passed, running = start_ms(name, root)
                    running.stop()
                    figures.add(START, name, passed)
            for name in (*SERVERS[turn % len(SERVERS) :], *SERVERS[: turn % len(SERVERS)]):
                progress(f"round {turn + 1} of {rounds}: {name}")
                passed, running = start_ms(name, root)
                figures.add(START, name, passed)
                if turn < 0:
                    running.stop()
                    continue
                figures.add(RATE, name, rate(running.port, seconds))
                figures.add(RATE_THREADS, name, rate(running.port, seconds, THREADS))
                figures.add(STOP, name, stop_ms(running))
                running = STARTS[name](root)
                with client(running.port) as ask:
                    ask()
                    figures.add(STOP_IDLE, name, stop_ms(running))
            if turn < 0:
                continue
            plugins = list(FIXTURES.items())
            for plugin, fixture in plugins[:: 1 if turn % 2 else -1]:
                progress(f"round {turn + 1} of {rounds}: {tests} tests with the fixture {fixture}")
                without = pytest_seconds(Path(directory), tests, None)
                with_it = pytest_seconds(Path(directory), tests, fixture)
                figures.fixture_ms[plugin].append((with_it - without) / tests * 1e3)
    return figures


def tell(figures: Figures) -> str:
    """The tables that a person reads."""
    rows = [["median of the rounds", *SERVERS, "ours over the best peer"]]
    for what in MEASURES:
        values = [f"{shown(figures.median(what, name))} {what.unit}" for name in SERVERS]
        rows.append([what.name, *values, f"{shown(figures.advantage(what))} times"])
    costs = [f"{plugin} {figures.fixture_cost(plugin):.3f} ms" for plugin in FIXTURES]
    bounds = [f"{name}: {'yes' if holds else 'NO'}" for name, holds in figures.verdicts().items()]
    return "\n".join([aligned(rows), "", f"a test with the function's fixture: {', '.join(costs)}", "", *bounds])


def as_json(figures: Figures, rounds: int) -> dict[str, object]:
    """Everything, for a file."""
    return {
        "rounds": rounds,
        "samples": figures.samples,
        "fixture_ms": figures.fixture_ms,
        "advantage": {what.name: figures.advantage(what) for what in MEASURES},
        "verdicts": figures.verdicts(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, tell, and return 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benches.fixtures", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each server has its turn (5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each rate is measured (1)")
    parser.add_argument("--tests", type=int, default=1000, help="how many tests a run of pytest has (1000)")
    parser.add_argument("--json", type=Path, help="where to write every sample")
    told = parser.parse_args(arguments)
    if told.rounds < 1 or told.seconds <= 0 or told.tests < 1:
        parser.error("--rounds and --tests take at least 1, --seconds more than 0")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Its queue of five is too short for eight clients that connect at once, and then waits a second.
    socketserver.TCPServer.request_queue_size = 128

    def progress(text: str) -> None:
        print(f"fixtures: {text}", file=sys.stderr)

    figures = measure(told.rounds, told.seconds, told.tests, progress)
    print(tell(figures))
    if told.json:
        told.json.parent.mkdir(parents=True, exist_ok=True)
        told.json.write_text(json.dumps(as_json(figures, told.rounds), indent=2) + "\n")
    return 0 if all(figures.verdicts().values()) else 1


if __name__ == "__main__":
    sys.exit(main())
