"""The story that is kept, and a new beginning."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd.faults import Reset, Stall
from support import PATIENCE, Raw, exchange, get

Server = pooled_httpd.Server


def test_the_story_is_kept(httpd: Server) -> None:
    """Every line of a connection up to the call, numbered from 0 after a reset."""
    for _ in range(2):
        httpd.reset()
        assert httpd.story() == ""
        exchange(httpd.port, get("/a"))
        httpd.expect_stats(active_connections=0)
        lines = httpd.story().split("\n")
        assert lines[0].startswith("[CONN 0] New connection from 127.0.0.1:")
        assert "[CONN 0] Parsed: GET /a HTTP/1.1" in lines
        assert lines[-1].startswith("[CONN 0] Total lifetime: ")


def test_the_story_has_a_length(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """The last lines are kept and the others counted; none where none are wanted."""
    server: Server = pooled_httpd_factory()
    server.keep_story(5)
    with Raw(server.port) as raw:
        for _ in range(20):
            raw.send(get("/a"))
            raw.response()
    server.expect_stats(active_connections=0)
    first, *lines = server.story().split("\n")
    assert first.endswith(" lines before these have given way)")
    assert len(lines) == 5
    assert lines[-1].startswith("[CONN 0] Total lifetime: ")
    server.keep_story(0)
    exchange(server.port, get("/a"))
    assert server.story() == ""


class SlowHandler(logging.Handler):
    """Keeps lines, but takes none while it may not go on."""

    def __init__(self) -> None:
        """Go on at first."""
        super().__init__()
        self.is_held = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, sooner or later."""
        if not self.goes_on.is_set():
            self.is_held.set()
            self.goes_on.wait(PATIENCE)
        self.lines.append(record.getMessage())


@pytest.fixture
def slow_handler() -> Iterator[SlowHandler]:
    """Let a test hold up the log."""
    handler, logger = SlowHandler(), logging.getLogger("pooled_httpd")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_reset_does_not_wait_for_a_handler_and_forgets_what_it_holds_up(
    tmp_path: Path, slow_handler: SlowHandler
) -> None:
    """What is in the log's ring by then is told to the handler later, and is no part of the story any more."""
    with Server(tmp_path) as server:
        server.keep_story()
        slow_handler.goes_on.clear()
        try:
            for _ in range(20):
                assert exchange(server.port, get("/before")).status == 404
            assert slow_handler.is_held.wait(PATIENCE)
            begun = time.monotonic()
            server.reset()
            assert time.monotonic() - begun < PATIENCE / 2
            assert server.story() == ""
            assert exchange(server.port, get("/after")).status == 404
        finally:
            slow_handler.goes_on.set()
        deadline = time.monotonic() + PATIENCE
        while "Total lifetime" not in (story := server.story()):
            assert time.monotonic() < deadline, story
        assert story.startswith("[CONN 0] New connection from 127.0.0.1:")
        assert (story.count("GET /after"), story.count("GET /before"), story.count("[INFO]")) == (1, 0, 0)
    assert sum("GET /before" in line for line in slow_handler.lines) == 20


def test_reset_begins_anew(httpd: Server) -> None:
    """Answers, connections, statistics, requests and story; the port and the files stay."""
    httpd.write("file", "file")
    httpd.respond("/a", content=b"x")
    httpd.respond("/stall", content=b"x" * 10, fault=Stall("middle"))
    port = httpd.port
    with Raw(port) as idle, Raw(port) as stalled, Raw(port) as half:
        assert idle.send(get("/a")).response().content == b"x"
        stalled.send(get("/stall"))
        half.send(b"GET /half")
        httpd.expect_stats(total_connections=3, total_requests=2)
        assert httpd.open_connections == 3
        assert httpd.reset() == 3
        assert (idle.closed(), half.closed()) == (True, True)
        stats = httpd.stats()
        assert (stats.total_requests, stats.total_connections, stats.bytes_received, stats.responses) == (0, 0, 0, {})
        assert (httpd.requests(), httpd.story(), httpd.open_connections) == ([], "", 0)
    assert httpd.port == port
    assert exchange(port, get("/a")).status == 404
    assert exchange(port, get("/file")).content == b"file"
    assert [(got.connection, got.path) for got in httpd.requests()] == [(0, "/a"), (1, "/file")]


def test_reset_from_many_threads(httpd: Server) -> None:
    """While others ask: nothing hangs, and the last reset leaves nothing."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", httpd.port), timeout=PATIENCE) as client:
                    client.sendall(get("/a"))
                    client.recv(1000)
            except ConnectionError:
                pass

    def reset() -> None:
        for _ in range(50):
            httpd.reset()

    askers = [threading.Thread(target=ask) for _ in range(3)]
    resetters = [threading.Thread(target=reset) for _ in range(3)]
    for thread in askers + resetters:
        thread.start()
    for thread in resetters:
        thread.join()
    stop.set()
    for thread in askers:
        thread.join()
    httpd.reset()
    assert (httpd.stats().total_requests, httpd.requests()) == (0, [])


def test_a_reset_that_was_registered_is_told_of(httpd: Server) -> None:
    """The story says what was registered and what came of it."""
    httpd.respond("/a", content=b"x" * 10, fault=[Stall(2, seconds=0.01), Reset(5)])
    with Raw(httpd.port) as raw:
        assert raw.send(get("/a")).closed() is False
    httpd.expect_stats(active_connections=0)
    lines = httpd.story().split("\n")
    for line in (
        "Answering as registered: 200 (5 bytes)",
        "Waiting as registered: 10 ms",
        "Ended as registered: reset",
    ):
        assert f"[CONN 0] {line}" in lines
