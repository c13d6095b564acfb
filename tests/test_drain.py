"""Draining: the server serves on, and every connection ends with its next response."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import time

import pooled_httpd
import pytest
from support import PATIENCE, PROGRAM, Program, Raw, Site, exchange, get


def draining_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages that tell of a drain."""
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("Draining")]


def test_every_connection_ends_with_its_next_response_and_no_sooner(site: Site) -> None:
    """SIGUSR2: idle connections stay, newcomers are served, each response says close, and the stop comes as ever."""
    with Program.start(site.root) as program, Raw(program.port) as idle, Raw(program.port) as other:
        for raw in (idle, other):
            response = raw.send(get("/a.txt")).response()
            assert (response.status, response.fields.get("connection")) == (200, None)
        program.process.send_signal(signal.SIGUSR2)
        line = program.wait_for("Draining")
        assert line == "[INFO] Draining: 2 connections open; health answers 503"
        program.process.send_signal(signal.SIGUSR2)
        for path, status in (("/a.txt", 200), ("/nothing", 404), ("/large", 200), ("/dir", 301)):
            response = exchange(program.port, get(path))
            assert (response.status, response.fields["connection"]) == (status, "close")
        # What was idle is there all the time, and its next response is its last.
        response = idle.send(get("/large") + get("/a.txt")).response()
        assert (len(response.content), response.fields["connection"]) == (320_000, "close")
        assert idle.closed()
        old = exchange(program.port, get("/a.txt", "Connection: keep-alive", version="HTTP/1.0"))
        assert old.fields["connection"] == "close"
        assert program.finish() == 0
        assert other.closed()
    assert sum("Draining" in line for line in program.lines) == 1
    assert any(re.fullmatch(r"\[INFO\] Stopping: \d connections open", line) for line in program.lines)


def test_a_server_that_nobody_talks_to_takes_it_up_at_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The loop is woken for it: the line comes though no peer does anything. It is told once, as INFO."""
    caplog.set_level(logging.DEBUG, logger="pooled_httpd")
    with pooled_httpd.Server(site.root) as server:
        pooled_httpd.server_drain(server)
        deadline = time.monotonic() + PATIENCE
        while not draining_lines(caplog):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        for _ in range(3):
            server.drain()
        assert exchange(server.port, get("/a.txt")).fields["connection"] == "close"
        assert server.is_running
    assert draining_lines(caplog) == ["Draining: 0 connections open; health answers 503"]
    record = next(record for record in caplog.records if record.getMessage().startswith("Draining"))
    assert (record.name, record.levelname) == ("pooled_httpd", "INFO")
    stats = server.stats()
    assert (stats.malloc_calls, stats.free_calls, stats.invariant_violations) == (0, 0, 0)


def test_a_drain_before_the_start_is_remembered(site: Site) -> None:
    """The first response already ends its connection, also that of a peer who came before the start."""
    server = pooled_httpd.server_create(0, site.root)
    server.drain()
    with Raw(server.port) as early:
        early.send(get("/a.txt"))
        server.start()
        assert early.response().fields["connection"] == "close"
        assert early.closed()
    server.stop()
    server.drain()
    assert not server.is_running
    server.destroy()
    with pytest.raises(pooled_httpd.StateError, match="the server has been destroyed"):
        server.drain()


def test_a_drain_while_the_server_starts_is_not_lost(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A handler of the start lines drains, when there is a loop already, but not yet a running server."""
    logger = logging.getLogger("pooled_httpd")
    server = pooled_httpd.Server(site.root)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Listening" in record.getMessage():
                server.drain()

    handler = Handler()
    logger.addHandler(handler)
    caplog.set_level(logging.INFO, logger="pooled_httpd")
    try:
        with server:
            assert exchange(server.port, get("/a.txt")).fields["connection"] == "close"
    finally:
        logger.removeHandler(handler)


def test_a_drain_and_a_stop_at_once_are_a_stop(site: Site) -> None:
    """Idle clients see the end, whether or not the loop came to drain first."""
    for _ in range(20):
        with pooled_httpd.Server(site.root) as server, Raw(server.port) as raw:
            assert raw.send(get("/a.txt")).response().status == 200
            server.drain()
            server.stop()
            assert raw.closed()


def test_a_handler_of_a_signal_may_drain_the_server() -> None:
    """In Python a signal is the caller's: a handler of the main thread drains while that thread is in ``run``."""
    code = """
import os, signal, socket, sys, threading, pooled_httpd
server = pooled_httpd.Server(".")
signal.signal(signal.SIGUSR2, lambda *_: server.drain())
def ask():
    os.kill(os.getpid(), signal.SIGUSR2)
    while True:
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"HEAD /nothing HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
            if b"Connection: close\\r\\n" in raw.recv(65536):
                break
    server.stop()
threading.Timer(0.05, ask).start()
server.run()
print("stopped", flush=True)
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE * 2, check=False)
    assert (done.stdout, done.returncode) == ("stopped\n", 0), done.stderr


def test_the_help_says_how() -> None:
    """``--help`` names the signal."""
    if not PROGRAM.exists():
        pytest.skip("the program is not built: run it by `make test`")
    told = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "SIGUSR2 drains" in " ".join(told.split())
