"""Registered answers that go wrong as they were told to, byte by byte."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pooled_httpd
import pytest
from faults import Injector, thread_named
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Place, Reset, Stall
from responding import whole
from support import PATIENCE, Raw, Site, exchange, get

Server = pooled_httpd.Server


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 10\r\n\r\n"
TEN = b"0123456789"


@pytest.mark.parametrize("kind", [CutShort, Reset])
@pytest.mark.parametrize(
    ("at", "sent"),
    [
        ("start", b""),
        ("head", HEAD),
        ("middle", HEAD + TEN[:5]),
        (0, HEAD),
        (1, HEAD + b"0"),
        (10, HEAD + TEN),
        (99, HEAD + TEN),
    ],
)
def test_a_response_ends_where_it_was_told(httpd: Server, kind: type[CutShort | Reset], at: Place, sent: bytes) -> None:
    """Every byte before the place, none behind it, then a close or a reset."""
    httpd.respond("/a", content=TEN, fault=kind(at))
    assert whole(httpd) == (sent, "reset" if kind is Reset else "closed")
    assert httpd.stats().responses == {0 if at == "start" else 200: 1}


def test_a_close_without_an_answer(httpd: Server) -> None:
    """The request is taken in and nothing comes."""
    httpd.respond("/a", content=TEN, fault=Close())
    assert whole(httpd) == (b"", "closed")
    (got,) = httpd.wait_for(1)
    assert (got.status, got.bytes_sent, got.method) == (0, 0, "GET")
    assert str(got).startswith("GET /a -> no status line, 0 bytes sent, ")


@pytest.mark.parametrize("data", [b"", b"\x00", b"HTTP/1.1 200 OK\r\n", bytes(range(256)) * 1000])
def test_garbage_is_sent_as_it_is(httpd: Server, data: bytes) -> None:
    """And nothing else, then the connection is closed."""
    httpd.respond("/a", fault=Garbage(data))
    assert whole(httpd) == (data, "closed")


def test_garbage_by_a_seed(httpd: Server) -> None:
    """512 bytes, the same ones for the same seed."""
    for path, seed in (("/a", 1), ("/b", 1), ("/c", 2)):
        httpd.respond(path, fault=Garbage(seed=seed))
    first, again, other = (whole(httpd, path)[0] for path in ("/a", "/b", "/c"))
    assert (len(first), first == again, first == other) == (512, True, False)


def pieces(server: Server, count: int) -> list[tuple[bytes, float]]:
    """Read a response piece by piece up to so many bytes, with the time of each since the request."""
    read: list[tuple[bytes, float]] = []
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        begun = time.monotonic()
        client.sendall(get("/a"))
        while sum(len(piece) for piece, _ in read) < count:
            read.append((client.recv(65536), time.monotonic() - begun))
            assert read[-1][0]
    return read


def test_a_dribble_comes_in_pieces(httpd: Server) -> None:
    """No earlier than told; where the reader is late, several at once, but none is broken."""
    httpd.respond("/a", headers={"Date": "never"}, content=TEN, fault=Dribble(20, 0.02))
    length = len(HEAD) + len("Date: never\r\n") + 10
    read = pieces(httpd, length)
    assert all(len(piece) % 20 == 0 for piece, _ in read[:-1])
    received = 0
    for piece, at in read:
        received += len(piece)
        # The nth piece comes after n - 1 intervals.
        assert at >= 0.02 * ((received - 1) // 20) - 0.002


def test_a_delay_is_never_shorter(site: Site, tmp_path: Path) -> None:
    """It lasts from the request, not from when the loop began its turn, of which accepting takes 60 ms here."""
    with pooled_httpd.Server(site.root) as server:
        server.respond("/a", content=TEN, delay=0.1)
        # Once it has answered, its thread has its name.
        assert exchange(server.port, get("/none")).status == 404
        slow = Injector(thread_named("pooled-loop"), tmp_path / "calls", "accept4:delay_exit=60000")
        with slow, Raw(server.port) as raw:
            time.sleep(0.03)
            begun = time.monotonic()
            assert raw.send(get("/a")).response().content == TEN
            assert time.monotonic() - begun >= 0.1


@pytest.mark.parametrize(("at", "before"), [("head", 0), ("middle", 5), (3, 3)])
def test_a_stall_is_at_its_place(httpd: Server, at: Place, before: int) -> None:
    """All that is before it comes at once, the rest when it is over."""
    httpd.respond("/a", headers={"Date": "never"}, content=TEN, fault=Stall(at, seconds=0.1))
    length = len(HEAD) + len("Date: never\r\n")
    early = b"".join(piece for piece, when in pieces(httpd, length + 10) if when < 0.1)
    assert len(early) in (0, length + before)
    late = pieces(httpd, length + 10)
    assert late[-1][1] >= 0.1
    assert b"".join(piece for piece, _ in late).endswith(TEN)


def test_a_stall_for_ever_lasts_until_the_client_goes(httpd: Server) -> None:
    """The server's timeouts do not end it, the peer's end does."""
    httpd.respond("/a", content=TEN, fault=Stall("middle"))
    with Raw(httpd.port) as raw:
        raw.send(get("/a"))
        while not raw.received.endswith(b"01234"):
            assert raw._more()
        httpd.expect_stats(timeout=PATIENCE, states=lambda states: states["SENDING_RESPONSE"] == 1)
    httpd.expect_stats(timeout=PATIENCE, active_connections=0)
    assert httpd.requests()[0].bytes_sent == 5


def test_faults_together(httpd: Server) -> None:
    """A delay, a dribble, a stall and a cut in one answer."""
    faults: list[Fault] = [Stall("start", seconds=0.05), Dribble(30, 0.005), Stall(4, seconds=0.05), CutShort(8)]
    httpd.respond("/a", content=TEN, fault=faults)
    begun = time.monotonic()
    assert whole(httpd) == (HEAD + TEN[:8], "closed")
    assert time.monotonic() - begun >= 0.1
    httpd.respond("/a", fault=[Garbage(b"garbage"), CutShort(3)])
    assert whole(httpd) == (b"gar", "closed")


def test_a_reset_of_what_has_not_been_read(httpd: Server) -> None:
    """A large content that ends by a reset, the client slow: it sees a reset, never an end."""
    httpd.respond("/a", content=b"x" * 5_000_000, fault=Reset(4_000_000))
    received, end = whole(httpd)
    assert end == "reset"
    assert len(received) < 4_000_200
