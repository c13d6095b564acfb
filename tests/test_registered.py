"""Registered answers and their faults as a peer sees them, and what the server kept and counted of them."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pooled_httpd
import pytest
from conftest import assert_sound
from pooled_httpd.faults import Close, CutShort, Dribble, Garbage, Reset, Stall
from support import PATIENCE, Raw, Site, get

CONTENT = b"registered content"
DELAY = 0.05


@pytest.fixture
def server(site: Site) -> Iterator[pooled_httpd.Server]:
    """Serve with a record of requests."""
    with pooled_httpd.Server(site.root, max_connections=40) as server:
        server.record_requests(1 << 20)
        yield server
    assert_sound(server)


def all_of(raw: Raw) -> tuple[bytes, bool]:
    """Return what comes until the end, and whether that was a reset."""
    received = raw.received
    while True:
        try:
            data = raw.socket.recv(65536)
        except ConnectionResetError:
            return received, True
        if not data:
            return received, False
        received += data


def head_of(received: bytes) -> bytes:
    """Return the head of a response with its empty line."""
    return received[: received.index(b"\r\n\r\n") + 4]


def test_a_delay_ends_when_it_should_and_keeps_nothing_before_it_waiting(server: pooled_httpd.Server) -> None:
    """The answer before it comes at once, the one after it behind it."""
    server.respond("/late", content=CONTENT, delay=DELAY)
    with Raw(server.port) as raw:
        started = time.monotonic()
        raw.send(get("/a.txt") + get("/late") + get("/a.txt"))
        assert raw.response().content == b"hello\n"
        assert raw.response().content == CONTENT
        assert DELAY <= time.monotonic() - started < PATIENCE / 2
        assert raw.response().content == b"hello\n"


def test_who_is_kept_waiting_is_processed(server: pooled_httpd.Server) -> None:
    """Until the client goes, for what waits for ever."""
    server.respond("/never", fault=Stall("start"))
    with Raw(server.port) as raw:
        raw.send(get("/a.txt") + get("/never"))
        assert raw.response().content == b"hello\n"
        assert server.expect_stats(states=lambda states: states["PROCESSING"] == 1).total_requests == 1
    server.expect_stats(active_connections=0)


def test_an_answer_is_given_as_often_as_it_was_asked_for(server: pooled_httpd.Server) -> None:
    """Then it is the file's turn again."""
    twice = server.respond("/a.txt", status=503, content=CONTENT, times=2)
    with Raw(server.port) as raw:
        raw.send(get("/a.txt") * 4)
        assert [raw.response().status for _ in range(4)] == [503, 503, 200, 200]
    assert twice.served == 2


@pytest.mark.parametrize("fault", [CutShort(5), Reset(5)], ids=["close", "reset"])
def test_a_cut_comes_at_the_byte_and_in_the_way_that_was_asked_for(
    server: pooled_httpd.Server, fault: CutShort | Reset
) -> None:
    """Exactly so much of the content, then the end or a reset."""
    server.respond("/cut", content=CONTENT, fault=fault)
    with Raw(server.port) as raw:
        raw.send(get("/cut"))
        received, is_reset = all_of(raw)
    assert received == head_of(received) + CONTENT[:5]
    assert is_reset == isinstance(fault, Reset)


def test_no_answer_and_garbage_have_no_status(server: pooled_httpd.Server) -> None:
    """They count as 0, and garbage comes whatever the method."""
    server.respond("/none", fault=Close())
    server.respond("/garbage", fault=Garbage(b"not HTTP"))
    for path, method, expected in [
        ("/none", "GET", b""),
        ("/garbage", "GET", b"not HTTP"),
        ("/garbage", "HEAD", b"not HTTP"),
    ]:
        with Raw(server.port) as raw:
            assert all_of(raw.send(get(path, method=method))) == (expected, False)
    assert [request.status for request in server.requests()] == [0, 0, 0]
    assert server.stats().responses[0] == 3


def test_head_gets_no_content_and_the_connection_stays_in_step(server: pooled_httpd.Server) -> None:
    """The next response begins where it should."""
    server.respond("/a", content=CONTENT)
    server.respond("/slow", content=CONTENT, fault=Dribble(30, 0.001))
    with Raw(server.port) as raw:
        for path in ("/a", "/slow"):
            raw.send(get(path, method="HEAD") + get(path))
            assert raw.response("HEAD").fields["content-length"] == str(len(CONTENT))
            assert raw.response().content == CONTENT


def test_requests_are_kept_each_by_itself(server: pooled_httpd.Server) -> None:
    """Pipelined ones as well, with their content as far as it came."""
    server.respond("/p", status=201)
    post = get("/p", "Content-Length: 3", method="POST")
    with Raw(server.port) as raw:
        raw.send(post + b"abc" + get("/a.txt") + get("/%zz"))
        assert [raw.response().status for _ in range(3)] == [201, 200, 400]
    kept = [(request.head, request.content, request.status, request.is_valid) for request in server.requests()]
    assert kept == [(post, b"abc", 201, True), (get("/a.txt"), b"", 200, True), (get("/%zz"), b"", 400, False)]


def test_a_stall_for_ever_lasts_as_long_as_its_peer(server: pooled_httpd.Server) -> None:
    """Also where the peer has sent more than there is room for, and then closes."""
    server.respond("/stalled", content=CONTENT, fault=Stall("head"))
    for extra in (b"", b"x" * 100_000):
        with Raw(server.port) as raw:
            raw.send(get("/stalled") + extra)
            while b"\r\n\r\n" not in raw.received:
                raw.received += raw.socket.recv(65536)
            assert raw.received == head_of(raw.received)
            assert server.stats().states["SENDING_RESPONSE"] == 1
        deadline = time.monotonic() + PATIENCE
        while server.stats().active_connections:
            assert time.monotonic() < deadline, "the connection outlives its peer"
            time.sleep(0.001)


HELD: dict[str, dict[str, Any]] = {
    "a delay": {"delay": 1000.0},
    "a stall in its content": {"fault": Stall("middle", 1000.0)},
    "a dribble": {"fault": Dribble(10, 1000.0)},
}


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("extra", [0, 100_000], ids=["alone", "its buffer full"])
@pytest.mark.parametrize("half_closes", [False, True], ids=["open", "half-closed"])
def test_who_resets_the_connection_is_gone_at_once(
    server: pooled_httpd.Server, held: str, extra: int, half_closes: bool
) -> None:
    """Long before a wait is over, whatever else was sent and not read."""
    server.respond("/held", content=CONTENT, **HELD[held])
    raw = Raw(server.port)
    raw.send(get("/held") + b"x" * extra)
    if half_closes:
        raw.half_close()
    waits = "PROCESSING" if held == "a delay" else "SENDING_RESPONSE"
    server.expect_stats(states=lambda states: states[waits] == 1, bytes_received=lambda count: count > extra / 10)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.socket.close()
    server.expect_stats(active_connections=0, timeout=PATIENCE)


@pytest.mark.parametrize("arguments", [{"delay": DELAY}, {"fault": Stall("middle", DELAY)}], ids=["delay", "stall"])
def test_who_has_shut_down_its_sending_side_is_answered_all_the_same(
    server: pooled_httpd.Server, arguments: dict[str, Any]
) -> None:
    """After the wait, for it may read on; a close looks the same until it is sent something."""
    server.respond("/late", content=CONTENT, **arguments)
    with Raw(server.port) as raw:
        raw.send(get("/late")).half_close()
        assert raw.response().content == CONTENT
        assert raw.closed()


def test_a_reset_of_the_server_closes_every_connection_and_counts_from_zero(server: pooled_httpd.Server) -> None:
    """Whatever each is doing."""
    server.respond("/stalled", content=CONTENT, fault=Stall("head"))
    server.respond("/late", delay=1000.0)
    requests = [b"", b"GET / HT", get("/stalled"), get("/late"), get("/a.txt")]
    connected = [Raw(server.port).send(request) for request in requests]
    try:
        assert connected[-1].response().content == b"hello\n"
        assert server.reset() == len(requests)
        for raw in connected:
            all_of(raw)
        stats = server.stats()
        assert (stats.total_requests, stats.total_connections, stats.bytes_sent, stats.active_connections) == (
            0,
            0,
            0,
            0,
        )
        assert server.requests() == []
    finally:
        for raw in connected:
            raw.socket.close()
    with Raw(server.port) as raw:
        assert raw.send(get("/stalled")).response().status == 404
    assert [request.connection for request in server.requests()] == [0]


def test_who_has_closed_before_a_reset_is_not_counted_as_open(server: pooled_httpd.Server) -> None:
    """However much it had sent before: the order waits until that is known."""
    for _ in range(5):
        raws = [Raw(server.port) for _ in range(8)]
        for raw in raws:
            raw.send(get("/a.txt", "Content-Length: 200000", method="POST") + b"x" * 200_000)
            raw.half_close()
        assert server.reset() == 0
        for raw in raws:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.socket.close()
