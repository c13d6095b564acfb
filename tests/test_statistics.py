"""Statistics: equal to what a script counted itself, and never behind what a client has read."""

from __future__ import annotations

import random
import time
from collections import Counter

import pooled_httpd
import pytest
from support import PATIENCE, Raw, Site, get


def script(seed: int) -> list[tuple[bytes, str]]:
    """Make 200 varied requests, each with the method that its answer depends on."""
    chooser = random.Random(seed)
    kinds: list[tuple[bytes, str]] = [
        (get("/a.txt"), "GET"),
        (get("/large"), "GET"),
        (get("/empty"), "GET"),
        (get("/a.txt", method="HEAD"), "HEAD"),
        (get("/nothing"), "GET"),
        (get("/dir"), "GET"),
        (get("/.hidden"), "GET"),
        (get("/%00"), "GET"),
        (get("/", method="OPTIONS"), "OPTIONS"),
        (get("/", "Content-Length: 5", method="POST") + b"hello", "POST"),
        (get("/", "Transfer-Encoding: chunked", method="PUT") + b"2\r\nhi\r\n0\r\n\r\n", "PUT"),
        (get("/", method="BREW"), "BREW"),
        (get("/a.txt", "Connection: close"), "GET"),
        (get("/a.txt", version="HTTP/1.0"), "GET"),
        (get("/a.txt", "X: \0"), "GET"),
        (get("/a.txt").replace(b"\r\n", b"\n"), "GET"),
        (get("/", "Content-Length: 99999999999", method="POST"), "POST"),
        (get("/" + "p" * 9000), "GET"),
        (get("/a.txt", *["X: y"] * 100), "GET"),
        (b"GET / HTTP/1.1\r\n\r\n", "GET"),
        (b"GET / HTTP/3.0\r\n\r\n", "GET"),
        (get("/" + "p" * 7000), "GET"),
    ]
    return [chooser.choice(kinds) for _ in range(200)]


@pytest.mark.parametrize("seed", range(3))
def test_statistics_equal_what_a_script_counted(server: pooled_httpd.Server, seed: int) -> None:
    """Requests, connections, bytes both ways, statuses, rejects, resets: all equal, to the byte."""
    statuses: Counter[int] = Counter()
    sent = received = connections = 0
    raw: Raw | None = None
    for data, method in script(seed):
        if raw is None:
            raw = Raw(server.port)
            connections += 1
        response = raw.send(data).response(method)
        statuses[response.status] += 1
        if response.fields.get("connection") == "close":
            assert raw.closed()
            sent, received = sent + raw.bytes_sent, received + raw.bytes_received
            raw.socket.close()
            raw = None
    if raw is not None:
        raw.half_close()
        assert raw.closed()
        sent, received = sent + raw.bytes_sent, received + raw.bytes_received
        raw.socket.close()
    stats = server.stats()
    assert stats.responses == dict(sorted(statuses.items()))
    assert stats.total_requests == 200
    assert stats.total_connections == connections
    assert (stats.bytes_received, stats.bytes_sent) == (sent, received)
    assert stats.pool_resets == 200
    rejected = {status: count for status, count in statuses.items() if status not in (200, 204, 301, 404)}
    assert sum(stats.rejects.values()) == sum(rejected.values())
    assert stats.pool_overflows == statuses[507]
    # A refused connection may still wait for its peer's end when the next one comes.
    assert stats.peak_connections <= 2
    assert sum(count for _, _, count in stats.latency) == 200
    assert 0 < stats.peak_pool_usage <= 4096
    assert 0 < stats.pool_usage_total <= 200 * stats.peak_pool_usage


def test_pool_use_is_counted_exactly(site: Site) -> None:
    """One request uses one block of field lines and its decoded name: so much, each time."""
    with pooled_httpd.Server(site.root) as server, Raw(server.port) as raw:
        raw.send(get("/a.txt")).response()
        once = server.stats()
        assert once.pool_usage_total == once.peak_pool_usage == 120 + len("/a.txt") + len("index.html\0")
        for _ in range(9):
            raw.send(get("/a.txt")).response()
        ten = server.stats()
        assert ten.pool_usage_total == 10 * once.pool_usage_total
        assert (ten - once).pool_resets == 9


def test_a_snapshot_includes_every_response_that_was_read(server: pooled_httpd.Server) -> None:
    """Read a response, look at once: it is there, with its bytes and the state that follows it."""
    with Raw(server.port) as raw:
        for count in range(1, 2001):
            raw.send(get("/a.txt")).response()
            stats = server.stats()
            assert stats.total_requests == count
            assert stats.bytes_sent == raw.bytes_received
            assert stats.bytes_received == raw.bytes_sent
            assert stats.states["READING_REQUEST_LINE"] == 1


def test_states_can_be_watched(site: Site) -> None:
    """Each state that lasts is seen while a connection is in it."""
    site.write("big", b"x" * 30_000_000)

    def state(server: pooled_httpd.Server) -> dict[str, int]:
        return {name: count for name, count in server.stats().states.items() if count}

    with pooled_httpd.Server(site.root) as server:
        expected = {
            b"GET /a": "READING_REQUEST_LINE",
            b"GET /a.txt HTTP/1.1\r\nHost": "READING_HEADERS",
            get("/", "Content-Length: 9", method="POST"): "READING_CONTENT",
            get("/big"): "SENDING_RESPONSE",
            b"BAD\r\n": "CLOSING",
        }
        for data, name in expected.items():
            with Raw(server.port, receive_buffer=4096) as raw:
                raw.send(data)
                deadline = time.monotonic() + PATIENCE
                while state(server) != {name: 1} and time.monotonic() < deadline:
                    pass
                assert state(server) == {name: 1}
            while server.stats().active_connections:
                pass


def test_stats_are_a_value(server: pooled_httpd.Server) -> None:
    """Frozen, comparable, subtractable, and shown as text and HTML."""
    with Raw(server.port) as raw:
        before = server.stats()
        raw.send(get("/a.txt")).response()
        after = server.stats()
    delta = after - before
    assert (delta.total_requests, delta.responses) == (1, {200: 1})
    assert delta.active_connections == after.active_connections == 1
    assert before != after
    assert after == after - (before - before)
    with pytest.raises(AttributeError):
        after.total_requests = 5  # type: ignore[misc]
    as_dict = after.as_dict()
    assert as_dict["total_requests"] == 1
    assert as_dict["states"]["READING_REQUEST_LINE"] == 1
    assert repr(after).startswith("ServerStats(total_requests=1, ")
    assert str(after).startswith("========== Memory Statistics ==========\nTotal requests served: 1\n")
    assert "total_requests</th>" in after._repr_html_()
    assert {name for name in dir(after) if not name.startswith("_")} == {"as_dict", *as_dict}
    for name in as_dict:
        assert getattr(pooled_httpd.ServerStats, name).__doc__
