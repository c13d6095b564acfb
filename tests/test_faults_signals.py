"""Signals: storms of them, a stop of the whole process for a while, and handlers that run Python code meanwhile."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pooled_httpd
import pytest
from faults import descriptors
from program_output import listening_port
from support import PATIENCE, PROGRAM, Program, Raw, Site, eventually, exchange, get
from test_lifecycle import python

#: What means nothing to the server, and ends no program.
NOTHING = [signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG, signal.SIGCONT, signal.SIGPIPE]
#: What the system ends a program for that has not asked for it.
FATAL = [signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGQUIT]
STORM = """
import os, sys
process, numbers = int(sys.argv[1]), [int(number) for number in sys.argv[2].split(",")]
print("ready", flush=True)
try:
    while True:
        for number in numbers:
            os.kill(process, number)
except ProcessLookupError:
    pass
"""


@contextmanager
def storm(process: int, *numbers: int) -> Iterator[None]:
    """Send these signals, one after the other, as fast as a process of its own can, until the context ends."""
    command = [sys.executable, "-c", STORM, str(process), ",".join(str(int(number)) for number in numbers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            sender.kill()


def silent(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start the program where nobody has to read what it says."""
    command = [str(PROGRAM), "--log-level", "error", "--host", "127.0.0.1", "--port", "0", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def threads(process: int) -> int:
    """Count the threads of a process."""
    return len(os.listdir(f"/proc/{process}/task"))


def test_a_storm_of_signals_costs_no_request_and_no_line(site: Site, tmp_path: Path) -> None:
    """Statistics printed, the log opened anew and a drain begun, thousands of times, and signals that mean nothing."""
    log = tmp_path / "log"
    options = ["--log-level", "info", "--status-path", "/status", "--access-log", "json", "--access-log-file", log]
    with Program.start(*map(str, options), site.root) as program:
        with Raw(program.port) as raw:
            raw.send(get("/a.txt")).response()
            before, held = threads(program.process.pid), descriptors(program.process.pid)
            asked = 1
            output = program.process.stdout
            assert output is not None
            os.set_blocking(output.fileno(), False)
            printed = b""
            with storm(program.process.pid, *NOTHING, signal.SIGUSR1, signal.SIGHUP):
                for _ in range(1500):
                    assert raw.send(get("/a.txt")).response().content == b"hello\n"
                    asked += 1
                    printed += output.read() or b""
            # The last block is out and nothing more comes.
            os.set_blocking(output.fileno(), True)
            program.process.send_signal(signal.SIGUSR1)
            while f"Total requests served: {asked:,}".encode() not in printed:
                printed += os.read(output.fileno(), 1 << 16)
            assert len(re.findall(rb"Total requests served: ", printed)) > 1
            eventually(lambda: threads(program.process.pid) == before)
            eventually(lambda: descriptors(program.process.pid) == held)
        with storm(program.process.pid, signal.SIGUSR2):
            drains = 0
            while drains < 100:
                response = exchange(program.port, get("/a.txt"))
                asked += 1
                is_draining = response.fields.get("connection") == "close"
                # Once begun it does not end.
                assert is_draining or drains == 0
                drains += is_draining
        assert exchange(program.port, get("/status/health")).status == 503
        assert program.finish() == 0
        lines = log.read_text().splitlines()
        assert len([json.loads(line) for line in lines]) == asked + 1
        assert f"Total requests served: {asked + 1:,}" in program.lines
        assert "Invariant Violations: 0" in program.lines
        assert "  malloc() calls during runtime: 0" in program.lines


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP], ids=lambda number: number.name)
def test_a_storm_of_one_signal_does_not_hide_the_stop(site: Site, tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM has a higher number than they have, and signalfd gives out the lowest first."""
    with silent("--access-log-file", tmp_path / "log", site.root) as process:
        port = listening_port(process)
        with storm(process.pid, number):
            assert exchange(port, get("/a.txt")).status == 200
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            assert time.monotonic() - begun < PATIENCE / 2


@pytest.mark.parametrize("number", FATAL, ids=lambda number: number.name)
def test_what_is_not_ours_is_left_to_the_system(site: Site, number: signal.Signals) -> None:
    """The program neither ignores nor handles what nobody sends to a server: it ends by it, as any program does."""
    with silent(site.root) as process:
        port = listening_port(process)
        assert exchange(port, get("/a.txt")).status == 200
        process.send_signal(number)
        assert process.wait(PATIENCE) == -number


def test_a_process_that_is_stopped_for_a_while_goes_on(site: Site) -> None:
    """Deadlines that passed meanwhile fire; who sent in time is answered, though it is seen after its deadline."""
    options = ["--header-timeout", "1.5", "--keepalive-timeout", "1.5", "--send-timeout", "30"]
    with Program.start("--log-level", "info", *options, site.root) as program:
        site.write("big", bytes(8_000_000))
        process, port = program.process, program.port
        for _ in range(2):
            with Raw(port) as idle, Raw(port) as half, Raw(port) as late, Raw(port, receive_buffer=65536) as reader:
                idle.send(get("/a.txt")).response()
                reader.send(get("/big"))
                while b"\r\n\r\n" not in reader.received:
                    reader._more()
                half.send(b"GET /a.txt HTTP/1.1\r\n")
                late.send(b"GET /a.txt HTTP/1.1\r\n")
                time.sleep(0.01)
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED)
                late.send(b"Host: h\r\n\r\n")
                with Raw(port) as newcomer:
                    newcomer.send(get("/dir/"))
                    time.sleep(1.7)
                    process.send_signal(signal.SIGCONT)
                    assert newcomer.response().status == 200
                assert late.response().content == b"hello\n"
                assert half.response().status == 408
                assert idle.closed()
                assert len(reader.response().content) == 8_000_000
        for _ in range(200):
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGCONT)
            assert exchange(port, get("/a.txt")).status == 200
        assert program.finish() == 0
        assert "Invariant Violations: 0" in program.lines


# From Python.


def test_handlers_run_while_the_server_runs(site: Site) -> None:
    """A timer of 1 ms and signals from outside: handlers run Python code in ``run``, and no request is disturbed."""
    code = """
import signal, sys, threading, urllib.request, pooled_httpd
server = pooled_httpd.server_create(0, sys.argv[1], max_connections=4)
calls, seen = [], set()
def handle(number, frame):
    calls.append(server.stats().total_requests)
    seen.add(signal.Signals(number).name)
for number in (signal.SIGALRM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGWINCH, signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
def ask():
    for _ in range(300):
        assert urllib.request.urlopen(server.url_for("a.txt")).read() == b"hello\\n"
    sys.stdin.readline()
    pooled_httpd.server_stop(server)
client = threading.Thread(target=ask)
client.start()
print("ready", flush=True)
pooled_httpd.server_run(server)
signal.setitimer(signal.ITIMER_REAL, 0)
client.join()
stats = server.stats()
assert (stats.total_requests, stats.invariant_violations, stats.malloc_calls) == (300, 0, 0), stats
assert max(calls) <= 300
print(len(calls), *sorted(seen), flush=True)
server.destroy()
"""
    with python(code, str(site.root)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        numbers = (signal.SIGUSR1, signal.SIGCHLD, signal.SIGWINCH, signal.SIGHUP, signal.SIGTERM)
        with storm(process.pid, *numbers):
            time.sleep(0.3)
        output, errors = process.communicate("\n", timeout=PATIENCE * 2)
        assert process.returncode == 0, errors
    count, *seen = output.split()
    assert int(count) > 5
    assert seen == sorted(["SIGALRM", *(number.name for number in numbers)])


def test_a_handler_that_raises_ends_run_with_its_exception(site: Site) -> None:
    """Whatever it is, the server is stopped and may be destroyed."""
    code = """
import signal, sys, pooled_httpd
class Enough(Exception):
    pass
def handle(*_):
    raise Enough("now")
signal.signal(signal.SIGUSR1, handle)
server = pooled_httpd.Server(sys.argv[1])
print(server.port, flush=True)
try:
    server.run()
except Enough as error:
    print(error, server.is_running, server.stats().active_connections, flush=True)
server.destroy()
"""
    with python(code, str(site.root)) as process:
        assert process.stdout is not None
        # Answered: it runs.
        assert exchange(int(process.stdout.readline()), get("/a.txt")).status == 200
        process.send_signal(signal.SIGUSR1)
        output, errors = process.communicate(timeout=PATIENCE * 2)
        assert (output, process.returncode) == ("now False 0\n", 0), errors


def test_what_is_raised_while_the_server_starts_is_not_lost(site: Site) -> None:
    """The start is told to handlers on the thread that starts it, where Ctrl+C may come too: it stops the server."""
    logger = logging.getLogger("pooled_httpd")

    class Interrupting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Listening" in record.getMessage():
                signal.raise_signal(signal.SIGINT)

    handler = Interrupting()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        for act in ("run", "start", "__enter__"):
            server = pooled_httpd.Server(site.root)
            with pytest.raises(KeyboardInterrupt):
                getattr(server, act)()
            assert not server.is_running
            with pytest.raises(ConnectionRefusedError):
                Raw(server.port)
            server.destroy()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
