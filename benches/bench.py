"""Compares the server with nginx: server CPU time per answer and answers per second, one core for each side.

Both servers run throughout, on one core; the client runs on another. Each round gives each load to each server in turn,
and the order changes from round to round, so that what else the machine does meets both alike. CPU time is the
scheduler's own, in nanoseconds (/proc/PID/task/*/schedstat), summed over the server's threads: it depends less on how
fast the client is than rates do. A server that is less busy does less at once, though, and pays more for each answer.

The answers of both servers are checked before anything is timed, and a load that meets a single error fails the run.
Times never do. Needs nginx, wrk and ab; everything that is started is stopped, and everything that is written goes into
a temporary directory, the JSON aside.

    python benches/bench.py --server target/release/httpserver --json bench-results/bench.json
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import random
import re
import select
import shlex
import shutil
import signal
import socket
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

HERE = Path(__file__).resolve().parent
# nginx twice, by its tcp_nopush: on, it makes one packet of a head and a small content; off, it does not hold the last
# of several pipelined answers back for 40 ms. Large files tell the two apart by the congestion control. Each load
# compares us with whichever is better.
NGINX = {"nginx": "off", "nginx nopush": "on"}
SERVERS = ("ours", *NGINX)
HOST = "127.0.0.1"

# Content by name, in bytes.
FILES = {"small.html": 1_200, "100k.bin": 100_000, "64M.bin": 64 << 20}
# A closed connection holds its port for a minute (TIME_WAIT): so many at a time stay within the ephemeral ports.
MOST_CLOSING_REQUESTS = 20_000
CLOSING_REQUESTS_PER_SECOND = 10_000

START_SECONDS = 10.0
STOP_SECONDS = 5.0
CHECK_SECONDS = 20.0
# What a client may take beyond the time it was given.
GRACE_SECONDS = 60.0
PORT_ATTEMPTS = 5


class BenchError(Exception):
    """Something that makes the numbers worthless: a wrong answer, an error of a client, a server that does not run."""


@dataclass(frozen=True)
class Load:
    """One way to ask: which file, how many clients, how many requests in one write."""

    file: str
    clients: int
    depth: int = 1
    closing: bool = False


# `closing` is ab's: it makes a fixed number of connections and reads each to its end. wrk makes as many as fit into the
# time, more than there are ephemeral ports, and closes first, so that the ports are held on its own side.
LOADS = {
    "small": Load("small.html", clients=64),
    "pipelined": Load("small.html", clients=64, depth=16),
    "closing": Load("small.html", clients=64, closing=True),
    "100k": Load("100k.bin", clients=64),
    "64M": Load("64M.bin", clients=4),
}


@dataclass(frozen=True)
class Sample:
    """What one load made of one server in one round."""

    answers: float
    wall_seconds: float
    cpu_seconds: float

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


@dataclass
class Server:
    """A server that runs, and the bytes of one answer (head and content) by file name."""

    process: subprocess.Popen[bytes]
    port: int
    answer_bytes: dict[str, int] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """The CPU time of all its threads so far. None of them ends while the server serves."""
        if self.process.poll() is not None:
            raise BenchError(f"a server ended with status {self.process.returncode} while it was measured")
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Whatever is started inside runs on `core` and nowhere else."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def stopping(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Ends the process on the way out, whatever the way."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except BaseException as error:
            process.kill()
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise


def make_docroot(docroot: Path) -> None:
    """Writes the files. Their content is the same in every run, and differs from place to place."""
    docroot.mkdir()
    block = random.Random(1).randbytes(1 << 20)
    for name, size in FILES.items():
        with (docroot / name).open("wb") as file:
            for start in range(0, size, len(block)):
                file.write(block[: size - start])


def read_until(stream: IO[bytes], pattern: bytes, deadline: float) -> re.Match[bytes] | None:
    """Reads until `pattern` was seen; none where the stream ends or the time is over before."""
    seen = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([stream], [], [], left)[0]:
            break
        chunk = os.read(stream.fileno(), 65536)
        seen += chunk
        if match := re.search(pattern, seen):
            return match
        if not chunk:
            break
    return None


@contextlib.contextmanager
def our_server(program: Path, run: Path, core: int) -> Iterator[Server]:
    """Starts our server on a free port, which it names itself."""
    # At `info` it tells its start and its stop, and nothing in between.
    options = ["--log-level", "info", "--host", HOST, "--port", "0", "--max-connections", "256"]
    with (run / "ours-error.log").open("wb") as errors:
        with pinned(core):
            process = subprocess.Popen([program, *options, run / "www"], stdout=subprocess.PIPE, stderr=errors)
        with stopping(process):
            assert process.stdout is not None  # It is a pipe.
            found = read_until(process.stdout, rb"Listening on \S+:(\d+)\n", time.monotonic() + START_SECONDS)
            if found is None:
                raise BenchError(f"{program} did not start: {(run / 'ours-error.log').read_text().strip()}")
            yield Server(process, int(found[1]))


def start_nginx(run: Path, docroot: Path, nopush: str, core: int) -> tuple[subprocess.Popen[bytes], int]:
    """Starts nginx and returns once it listens. It cannot choose its port, so a port that was just free is tried."""
    template = string.Template((HERE / "nginx.conf").read_text())
    log = run / "nginx-error.log"
    for _ in range(PORT_ATTEMPTS):
        with socket.create_server((HOST, 0)) as probe:
            port = probe.getsockname()[1]
        (run / "nginx.conf").write_text(template.substitute(run=run, docroot=docroot, nopush=nopush, port=port))
        with pinned(core):
            process = subprocess.Popen(["nginx", "-e", log, "-p", run, "-c", run / "nginx.conf"])
        try:
            if answers_soon(process, port):
                return process, port
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.kill()
        process.wait()
    raise BenchError(f"nginx did not start: {log.read_text().strip()}")


def answers_soon(process: subprocess.Popen[bytes], port: int) -> bool:
    """Waits until the process takes connections; false where it ends before."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return True
    return False


@contextlib.contextmanager
def nginx_server(run: Path, docroot: Path, nopush: str, core: int) -> Iterator[Server]:
    """Starts nginx. All it writes goes into `run`."""
    run.mkdir()
    process, port = start_nginx(run, docroot, nopush, core)
    with stopping(process):
        yield Server(process, port)


def check_answers(name: str, server: Server, docroot: Path) -> None:
    """Asks for every file in every way that a load will, and compares what comes to the byte."""
    for file in FILES:
        expected = (docroot / file).read_bytes()
        answer = exchange(server.port, request_bytes(file, "close"))
        head_bytes = check_answer(f"{name}: {file}", answer, expected)
        if head_bytes + len(expected) != len(answer):
            raise BenchError(f"{name}: {file}: bytes follow the answer")
        connection = http.client.HTTPConnection(HOST, server.port, timeout=CHECK_SECONDS)
        with contextlib.closing(connection):
            for _ in range(2):
                connection.request("GET", f"/{file}")
                response = connection.getresponse()
                if response.status != 200 or response.will_close or response.read() != expected:
                    raise BenchError(f"{name}: {file}: a wrong answer on a kept-alive connection: {response.status}")
    check_pipelined(name, server, docroot)
    for file, size in FILES.items():
        server.answer_bytes[file] = size + kept_alive_head_bytes(server.port, file)


def check_pipelined(name: str, server: Server, docroot: Path) -> None:
    """Sends as many requests in one write as the load does; the last one closes."""
    load = LOADS["pipelined"]
    expected = (docroot / load.file).read_bytes()
    requests = request_bytes(load.file, "keep-alive") * (load.depth - 1) + request_bytes(load.file, "close")
    rest = exchange(server.port, requests)
    for number in range(load.depth):
        rest = rest[check_answer(f"{name}: pipelined request {number}", rest, expected) + len(expected) :]
    if rest:
        raise BenchError(f"{name}: bytes follow the last pipelined answer")


def request_bytes(file: str, connection: str) -> bytes:
    """A request as it goes out."""
    return f"GET /{file} HTTP/1.1\r\nHost: {HOST}\r\nConnection: {connection}\r\n\r\n".encode()


def exchange(port: int, request: bytes) -> bytes:
    """Sends a request and returns everything up to the server's close."""
    chunks = []
    with socket.create_connection((HOST, port), timeout=CHECK_SECONDS) as connection:
        connection.sendall(request)
        while chunk := connection.recv(1 << 20):
            chunks.append(chunk)
    return b"".join(chunks)


def check_answer(what: str, answer: bytes, expected: bytes) -> int:
    """Checks the first answer in `answer` and returns the bytes of its head."""
    head, separator, content = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)(?=\r\n|$)", head)
    if not head.startswith(b"HTTP/1.1 200 ") or length is None or int(length[1]) != len(expected):
        raise BenchError(f"{what}: a wrong head: {head[:400]!r}")
    if content[: len(expected)] != expected:
        raise BenchError(f"{what}: wrong content")
    return len(head) + len(separator)


def kept_alive_head_bytes(port: int, file: str) -> int:
    """The bytes of the head that a kept-alive GET gets."""
    # The same request head as wrk's.
    request = f"GET /{file} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
    with socket.create_connection((HOST, port), timeout=CHECK_SECONDS) as connection:
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(4096)
            if not chunk:
                raise BenchError(f"{file}: the answer ended in its head")
            received += chunk
    return received.index(b"\r\n\r\n") + 4


def run_client(command: list[str], limit: float, core: int) -> str:
    """Runs a client on its core and returns what it printed."""
    with pinned(core):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, check=False, text=True
        )
    if done.returncode != 0:
        raise BenchError(f"{shlex.join(command)} ended with status {done.returncode}: {done.stdout[-500:]}")
    return done.stdout


def run_wrk(load: Load, server: Server, seconds: int, core: int) -> tuple[float, float]:
    """Runs wrk; returns answers and seconds.

    Answers are counted by their bytes, so that those under way at the end count in part.
    """
    url = f"http://{HOST}:{server.port}/{load.file}"
    command = [
        "wrk",
        "-t1",
        f"-c{load.clients}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "-s",
        str(HERE / "load.lua"),
        url,
    ]
    printed = run_client([*command, "--", str(load.depth)], seconds + GRACE_SECONDS, core)
    found = re.search(r"^BENCH (.*)$", printed, re.MULTILINE)
    if found is None:
        raise BenchError(f"wrk told no numbers: {printed[-500:]}")
    told: dict[str, int] = json.loads(found[1])
    errors = {kind: told[kind] for kind in ("connect", "read", "write", "status", "timeout") if told[kind]}
    if errors:
        raise BenchError(f"wrk met errors: {errors}")
    size = server.answer_bytes[load.file]
    under_way = load.clients * load.depth * size
    if not 0 <= told["bytes"] - told["requests"] * size <= under_way or told["bytes"] == 0:
        raise BenchError(f"wrk received {told['bytes']} bytes for {told['requests']} answers of {size}")
    return told["bytes"] / size, told["duration_us"] / 1e6


def run_ab(load: Load, server: Server, seconds: int, core: int) -> tuple[float, float]:
    """Runs ab; returns answers and seconds."""
    count = min(MOST_CLOSING_REQUESTS, CLOSING_REQUESTS_PER_SECOND * seconds)
    url = f"http://{HOST}:{server.port}/{load.file}"
    command = ["ab", "-q", "-n", str(count), "-c", str(load.clients), "-s", "30", "-H", "Connection: close", url]
    printed = run_client(command, count / 100 + GRACE_SECONDS, core)

    def number(label: str) -> float:
        found = re.search(rf"^{label}:\s+([0-9.]+)", printed, re.MULTILINE)
        return float(found[1]) if found else 0.0

    bad = number("Failed requests") + number("Non-2xx responses") + number("Write errors")
    if bad or number("Complete requests") != count or number("HTML transferred") != count * FILES[load.file]:
        raise BenchError(f"ab met errors: {printed[-1000:]}")
    return float(count), number("Time taken for tests")


def measure(load: Load, server: Server, seconds: int, core: int) -> Sample:
    """One load on one server."""
    before = server.cpu_seconds()
    answers, wall = (run_ab if load.closing else run_wrk)(load, server, seconds, core)
    return Sample(answers, wall, server.cpu_seconds() - before)


Samples = dict[str, dict[str, list[Sample]]]
Number = Callable[[Sample], float]
# What is told of a sample besides what was measured.
NUMBERS: dict[str, Number] = {
    "cpu_us": lambda sample: sample.cpu_us,
    "rate": lambda sample: sample.rate,
    "busy": lambda sample: sample.busy,
}
# Which of several is the better one.
BEST: dict[str, Callable[..., str]] = {"cpu_us": min, "rate": max}


def show_progress(text: str) -> None:
    """Tells a person who watches what is being done."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def measure_all(servers: dict[str, Server], loads: list[str], arguments: argparse.Namespace, core: int) -> Samples:
    """Every round, load and server, in turn."""
    samples: Samples = {load: {name: [] for name in SERVERS} for load in loads}
    for turn in range(arguments.rounds):
        for load in loads:
            for name in SERVERS if turn % 2 == 0 else SERVERS[::-1]:
                show_progress(f"round {turn + 1} of {arguments.rounds}: {load}, {name} ...")
                samples[load][name].append(measure(LOADS[load], servers[name], arguments.seconds, core))
    show_progress("")
    return samples


def median(samples: list[Sample], key: str) -> float:
    """The median of one of the samples' numbers."""
    return statistics.median(map(NUMBERS[key], samples))


def best_nginx(samples: dict[str, list[Sample]], key: str) -> str:
    """The nginx whose median is the better."""
    return BEST[key](NGINX, key=lambda name: median(samples[name], key))


def ratios(samples: dict[str, list[Sample]], key: str) -> list[float]:
    """Ours to the better nginx's, round by round."""
    number, other = NUMBERS[key], best_nginx(samples, key)
    return [number(ours) / number(nginx) for ours, nginx in zip(samples["ours"], samples[other], strict=True)]


def shown(value: float) -> str:
    """A number with about four digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def table(samples: Samples) -> str:
    """The table as it is printed."""
    names = [name.replace("nginx ", "") for name in SERVERS]
    ratio = "ours/best (min-max)"
    rows = [
        ["", "CPU µs", *[""] * 3, "answers/s", *[""] * 3, "busy", "", ""],
        ["load", *names, ratio, *names, ratio, *names],
    ]
    for load, by_server in samples.items():
        row = [load]
        for key in ("cpu_us", "rate"):
            row += [shown(median(by_server[name], key)) for name in SERVERS]
            each = ratios(by_server, key)
            row.append(f"{statistics.median(each):.2f} ({min(each):.2f}-{max(each):.2f})")
        row += [f"{median(by_server[name], 'busy'):.0%}" for name in SERVERS]
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def told_version(command: list[str | Path]) -> str:
    """What a program says of itself, on whichever stream."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, check=False, text=True)
    return done.stdout.strip().split("\n")[0]


def describe(arguments: argparse.Namespace, server_core: int, client_core: int) -> dict[str, str]:
    """Where, when and with what it was measured."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    return {
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": told_version([arguments.server, "--version"]),
        "nginx": told_version(["nginx", "-v"]),
        "wrk": told_version(["wrk", "-v"]),
        "ab": told_version(["ab", "-V"]),
        "kernel": platform.release(),
        # Decides what large files cost: bbr arms a timer for each packet.
        "congestion control": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "load average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "cores": f"servers on {server_core}, clients on {client_core}",
        "rounds": f"{arguments.rounds} of {arguments.seconds} s for each load and server",
    }


def write_json(path: Path, facts: dict[str, str], samples: Samples) -> None:
    """Writes every sample and what the table shows."""
    loads = {}
    for load, by_server in samples.items():
        each = {
            name: [asdict(one) | {key: number(one) for key, number in NUMBERS.items()} for one in by_server[name]]
            for name in SERVERS
        }
        medians = {name: {key: median(by_server[name], key) for key in NUMBERS} for name in SERVERS}
        rounds = {key: {"to": best_nginx(by_server, key), "rounds": ratios(by_server, key)} for key in BEST}
        loads[load] = {"load": asdict(LOADS[load]), "samples": each, "medians": medians, "ratios": rounds}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"facts": facts, "loads": loads}, indent=2) + "\n")


def bench(arguments: argparse.Namespace) -> None:
    """Starts, checks, measures, stops and tells."""
    for tool in ("nginx", "wrk", "ab"):
        if shutil.which(tool) is None:
            raise BenchError(f"{tool} is not installed")
    cores = sorted(os.sched_getaffinity(0))
    server_core, client_core = cores[0], cores[-1]
    if server_core == client_core:
        print("bench: only one core: clients and servers share it, and rates mean little", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        run = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pooled-bench-")))
        make_docroot(run / "www")
        servers = {
            "ours": stack.enter_context(our_server(arguments.server, run, server_core)),
            **{
                name: stack.enter_context(nginx_server(run / f"nginx-{nopush}", run / "www", nopush, server_core))
                for name, nopush in NGINX.items()
            },
        }
        for name, server in servers.items():
            check_answers(name, server, run / "www")
        facts = describe(arguments, server_core, client_core)
        samples = measure_all(servers, arguments.loads, arguments, client_core)
    for name, text in facts.items():
        print(f"{name}: {text}")
    print(f"\n{table(samples)}")
    if arguments.json is not None:
        write_json(arguments.json, facts, samples)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""

    def count(most: int) -> Callable[[str], int]:
        def read(text: str) -> int:
            value = int(text)
            if not 1 <= value <= most:
                raise argparse.ArgumentTypeError(f"{value} is not allowed; it takes a whole number from 1 to {most}")
            return value

        return read

    def chosen(text: str) -> list[str]:
        loads = text.split(",")
        if unknown := [load for load in loads if load not in LOADS]:
            raise argparse.ArgumentTypeError(f"no such load: {', '.join(unknown)}; there are {', '.join(LOADS)}")
        return list(dict.fromkeys(loads))

    parser = argparse.ArgumentParser(description="Compares the server with nginx.")
    parser.add_argument("--server", type=Path, default=Path("target/release/httpserver"), help="the program")
    parser.add_argument("--rounds", type=count(100), default=5, help="how often each is measured")
    parser.add_argument("--seconds", type=count(60), default=2, help="how long each time")
    parser.add_argument("--json", type=Path, help="where the numbers go as JSON")
    parser.add_argument("--loads", type=chosen, default=list(LOADS), help=f"some of {','.join(LOADS)}")
    return parser.parse_args()


def main() -> int:
    """Runs the benchmark; 1 where a server answered wrongly or an error occurred, 130 where it was interrupted."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    arguments = parse_arguments()
    try:
        bench(arguments)
    except (BenchError, OSError, http.client.HTTPException, subprocess.TimeoutExpired) as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
