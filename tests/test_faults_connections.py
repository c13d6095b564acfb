"""Connections that are dropped: in each state and way, by the thousands, and by peers that vanish without a word."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pooled_httpd
import pytest
from conftest import assert_sound
from faults import assert_serves, connections, descriptors, settled
from support import PATIENCE, Raw, Site, eventually, get, threads, threads_left

#: linux/tcp.h. In repair mode a close sends nothing: the peer's kernel is gone, as after a loss of power.
TCP_REPAIR = 19
POST = get("/a.txt", "Content-Length: 1000", method="POST")

#: What is sent before the drop, and the state in which that leaves a connection.
STATES: dict[str, bytes] = {
    "silent": b"",
    "READING_REQUEST_LINE": b"GET /a.t",
    "READING_HEADERS": b"GET /a.txt HTTP/1.1\r\nHost: h\r\n",
    "READING_CONTENT": POST + b"x" * 10,
    "SENDING_RESPONSE": get("/huge"),
    "CLOSING": b"nonsense\r\n\r\n",
    "idle": get("/a.txt"),
}


def close(raw: Raw) -> None:
    """Close in order, though perhaps with bytes unread."""
    raw.socket.close()


def reset(raw: Raw) -> None:
    """Reset."""
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.socket.close()


def half_close(raw: Raw) -> None:
    """End the sending side, take what comes at once, and close."""
    raw.half_close()
    raw.socket.settimeout(0)
    with suppress(OSError):
        raw.socket.recv(100)
    raw.socket.close()


def vanish(raw: Raw) -> None:
    """Go without a word; whatever the server sends from now on is answered with a reset, or not at all."""
    # The peer must have acknowledged it all: an acknowledgement that comes later is answered with a reset as well.
    eventually(lambda: fcntl.ioctl(raw.socket, termios.TIOCOUTQ, bytes(4)) == bytes(4))
    try:
        raw.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except PermissionError:
        raw.socket.close()
        pytest.skip("this user may not make a connection vanish")
    raw.socket.close()


@pytest.fixture
def huge(site: Site) -> Site:
    """A document root with a file that no socket buffer takes."""
    with (site.root / "huge").open("wb") as file:
        file.truncate(64 << 20)
    return site


def drop(server: pooled_httpd.Server, state: str, count: int, how: Callable[[Raw], None]) -> int:
    """Drop so many connections; return how many bytes were sent."""
    sent = 0
    for _ in range(count):
        with Raw(server.port) as raw:
            sent += raw.send(STATES[state]).bytes_sent
            how(raw)
    return sent


@pytest.mark.parametrize("how", [close, reset, half_close], ids=lambda how: how.__name__)
def test_connections_dropped_in_every_state_leave_nothing(huge: Site, how: Callable[[Raw], None]) -> None:
    """7,000 connections for each way: all are counted, none is left, and descriptors and threads are as before."""
    with pooled_httpd.Server(huge.root, max_connections=64) as server:
        assert_serves(server.port)
        before, held, running = settled(server), descriptors(), len(threads())
        connections_before = connections(server)
        sent = sum(drop(server, state, 1000, how) for state in STATES)
        # The last of them may still wait to be accepted.
        eventually(lambda: connections(server) == connections_before + 1000 * len(STATES))
        stats = settled(server) - before
        # What a reset overtakes is never received.
        assert stats.bytes_received <= sent
        if how is half_close:
            refused = stats.connections_refused
            assert stats.responses.get(400, 0) + stats.responses.get(503, 0) >= 1000 - refused
        assert sum(stats.responses.values()) == stats.total_requests
        assert sum(stats.timeouts.values()) == 0
        assert_serves(server.port)
        settled(server)
        # Refused newcomers are drained for half a second.
        eventually(lambda: descriptors() == held)
        assert len(threads_left(running)) <= running
    assert_sound(server)


def test_peers_that_vanish_cost_a_slot_until_their_timeout_and_no_longer(huge: Site) -> None:
    """20 in each state: the timeouts that end them are counted exactly; who is sent something is found out by that."""
    count = 20
    timeouts: dict[str, Any] = {
        "header_timeout": 2.0,
        "keepalive_timeout": 2.0,
        "content_timeout": 2.0,
        "send_timeout": 30.0,
    }
    with pooled_httpd.Server(huge.root, max_connections=count * len(STATES), **timeouts) as server:
        assert_serves(server.port)
        before, held, running = settled(server), descriptors(), len(threads())
        begun = time.monotonic()
        for state, data in STATES.items():
            for _ in range(count):
                with Raw(server.port) as raw:
                    raw.send(data)
                    if state in ("idle", "SENDING_RESPONSE", "CLOSING"):
                        # The server has begun its answer, so that it has the request.
                        assert raw.socket.recv(1)
                    vanish(raw)
        stats = settled(server) - before
        assert time.monotonic() - begun < PATIENCE
        assert stats.total_connections == count * len(STATES)
        assert stats.timeouts == {
            "header": 3 * count,
            "keepalive": count,
            "content": count,
            # What it sends is answered by a kernel that knows of no such connection.
            "send": 0,
        }
        # Half a head gets its 408 though nobody is there to read it; and so does content that does not come.
        assert stats.responses == {200: 2 * count, 400: count, 408: 3 * count}
        assert_serves(server.port)
        settled(server)
        assert descriptors() == held
        assert len(threads_left(running)) <= running
    assert_sound(server)


def test_newcomers_that_are_gone_before_they_are_accepted(site: Site) -> None:
    """They reset while they wait in the kernel's queue: each is found out as it is accepted, and keeps no slot."""
    server = pooled_httpd.server_create(0, site.root, max_connections=16)
    held = descriptors()
    for _ in range(500):
        with Raw(server.port) as raw:
            reset(raw)
    with server:
        # There are more of them than slots.
        assert_serves(server.port)
        stats = settled(server)
        assert (stats.total_connections, stats.connections_refused) == (500 + 2, 0)
        assert stats.total_requests == 4
    assert_sound(server)
    assert len(descriptors()) <= len(held)
    server.destroy()
