"""The raw client: what it sends arrives so, what it reads is parsed and kept, and nothing it does waits for ever."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pooled_httpd
import pytest
from bad_server import CONTENT, BadServer, response
from pooled_httpd.attack import Crowd, Ending, NoResponse, RawClient, Reset, Schedule, Target, TargetError
from pooled_httpd.attack.case import Send, Stall
from support import PATIENCE, Site, get


@contextmanager
def peer(act: Callable[[socket.socket], object], patience: float = PATIENCE) -> Iterator[Target]:
    """Somebody who accepts one connection and does something with it, and how long the client is to wait for that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                act(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield Target.parse(f"127.0.0.1:{listener.getsockname()[1]}").with_options(patience=patience)
        thread.join()


def collect(into: list[bytes | str]) -> Callable[[socket.socket], None]:
    """Receive until the end or a reset, and note what came."""

    def act(connection: socket.socket) -> None:
        try:
            while data := connection.recv(65536):
                into.append(data)
            into.append("end")
        except ConnectionResetError:
            into.append("reset")

    return act


def test_bytes_arrive_in_the_parts_that_were_asked_for() -> None:
    """Each part is a segment of its own, and the byte count is exact."""
    seen: list[bytes | str] = []
    with peer(collect(seen)) as target, RawClient(target) as client:
        client.send_split(b"abcdef", at=[2, 4, 4, 0, 6, 99], pause=0.2).half_close()
        assert client.bytes_sent == 6
        assert client.read_all().ending is Ending.CLOSED
    assert seen == [b"ab", b"cd", b"ef", "end"]


def test_a_byte_at_a_time_is_a_byte_at_a_time() -> None:
    """With a pause between, the other side receives single bytes."""
    seen: list[bytes | str] = []
    with peer(collect(seen)) as target, RawClient(target) as client:
        client.send_bytewise(b"GET", pause=0.2).half_close().read_all()
    assert seen == [b"G", b"E", b"T", "end"]


def test_a_reset_is_a_reset() -> None:
    """SO_LINGER with a time of 0: the other side sees no orderly end."""
    seen: list[bytes | str] = []
    ready = threading.Event()

    def act(connection: socket.socket) -> None:
        seen.append(connection.recv(10))
        ready.set()
        collect(seen)(connection)

    with peer(act) as target:
        client = RawClient(target).send(b"half")
        assert ready.wait(5)
        client.reset()
    assert seen == [b"half", "reset"]


def test_responses_are_parsed_and_their_bytes_kept(site: Site) -> None:
    """Pipelined answers, one to HEAD among them, an interim one before another."""
    with pooled_httpd.Server(site.root) as server:
        with RawClient(Target.of(server), methods=("HEAD", "GET", "POST")) as client:
            client.send(get("/a.txt", method="HEAD") + get("/a.txt"))
            client.send(get("/", "Expect: 100-continue", "Content-Length: 2", method="POST"))
            head, found = client.read_response(), client.read_response()
            assert client.read_interim(1).statuses == (200, 200)
            refused = client.send(b"hi").read_response()
            assert (head.status, head.content, head.field("Content-Length")) == (200, b"", "6")
            assert (found.status, found.content, found.version, found.interim) == (200, b"hello\n", "1.1", ())
            assert found.raw.endswith(b"\r\n\r\nhello\n")
            assert head.raw.endswith(b"\r\n\r\n")
            assert (refused.status, refused.interim) == (405, (100,))
            assert refused.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 405 ")
            assert client.bytes_received == len(head.raw + found.raw + refused.raw)
        assert server.stats().bytes_sent == client.bytes_received


@pytest.mark.parametrize(
    ("sent", "content", "ending"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc", Ending.CLOSED),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end", Ending.CLOSED),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", Ending.CLOSED),
    ],
)
def test_every_framing_is_read(sent: bytes, content: bytes, ending: Ending) -> None:
    """Chunked, until the close, and without content."""
    with peer(lambda connection: connection.sendall(sent)) as target, RawClient(target) as client:
        transcript = client.read_all()
        assert [answer.content for answer in transcript.responses] == [content]
        assert (transcript.ending, transcript.rest) == (ending, b"")
        assert transcript.responses[0].raw == sent


@pytest.mark.parametrize(
    "sent", [b"<!doctype html>", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"SSH-2.0-x\r\n\r\n"]
)
def test_what_is_no_response_is_said_to_be_none(sent: bytes) -> None:
    """Content without a head, cut short, of another protocol: malformed, the bytes kept, and the exception says so."""
    with peer(lambda connection: connection.sendall(sent)) as target, RawClient(target) as client:
        with pytest.raises(NoResponse) as raised:
            client.read_response()
        assert raised.value.transcript.ending is Ending.MALFORMED
        assert raised.value.transcript.rest == sent
        assert raised.value.transcript.fault in str(raised.value)


def test_nothing_waits_for_ever() -> None:
    """Whoever does not answer is given up on after patience, and so is whoever does not take what is sent."""
    over = threading.Event()
    with peer(lambda _: bool(over.wait(5)), patience=0.3) as target, RawClient(target) as client:
        started = time.monotonic()
        assert client.read_all().ending is Ending.OPEN
        with pytest.raises(NoResponse, match="open"):
            client.read_response()
        with pytest.raises(TimeoutError):
            client.send(bytes(64 << 20))
        assert 0.6 < time.monotonic() - started < 5
        over.set()


def test_what_is_read_is_bounded() -> None:
    """A server that sends without end is left after so many bytes."""

    def act(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(bytes(65536))
        except ConnectionError:
            pass

    with peer(act) as target, RawClient(target, most_bytes=1 << 20) as client:
        client.read_all()
        assert 1 << 20 <= client.bytes_received < (1 << 20) + 65536


def test_a_peer_that_closes_early_is_still_heard() -> None:
    """What it said before it closed can be read, though sending fails."""

    def react(received: bytes, _: int) -> tuple[bytes, bool]:
        return response(413, b"too much\n", close=True) if received else b"", True

    with BadServer(react) as server, RawClient(server.target, patience=5) as client:
        for _ in range(50):
            client.send(bytes(1000))
        assert client.read_response().status == 413


def test_a_crowd_acts_together(site: Site) -> None:
    """Many connections at once, all of them answered, each a client of its own; one bound of time for all."""
    with pooled_httpd.Server(site.root, max_connections=40) as server, Crowd(Target.of(server), 40) as crowd:
        assert [transcript.statuses for transcript in crowd.send(get("/a.txt")).read_responses(1)] == [(200,)] * 40
        assert server.stats().active_connections == len(crowd) == 40
        crowd[0].send(get("/nothing"))
        assert crowd[0].read_responses(2).statuses == (200, 404)
        assert {transcript.ending for transcript in crowd.half_close().read_all()} == {Ending.CLOSED}
    silent = threading.Event()
    with peer(lambda _: bool(silent.wait(5)), patience=0.3) as target, Crowd(target, 1) as crowd:
        started = time.monotonic()
        assert crowd.read_all()[0].ending is Ending.OPEN
        assert 0.2 < time.monotonic() - started < 5
        silent.set()


def test_a_crowd_that_cannot_connect_leaves_nothing() -> None:
    """No connection stays open behind the error; the fixture of every test counts them."""
    with socket.socket() as bound:
        # It does not listen, and nobody else can.
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            Crowd(f"127.0.0.1:{bound.getsockname()[1]}", 3)


def test_a_schedule_is_played_step_by_step() -> None:
    """Sends in their parts, a stall between them, a reset at the end."""
    seen: list[bytes | str] = []
    with peer(collect(seen)) as target:
        RawClient(target).play(Schedule((Send(b"ab"), Stall(0.2), Send(b"c"), Stall(0.2), Reset())))
    assert seen == [b"ab", b"c", "reset"]


def test_a_target_is_this_machine_unless_its_host_is_named_twice() -> None:
    """Remote names are refused before anything is sent; the host named again lets them pass, another name does not."""
    for text in ("192.0.2.1:80", "[2001:db8::1]:80"):
        with pytest.raises(TargetError, match="not this machine"):
            Target.parse(text)
        with pytest.raises(TargetError, match="not this machine, and 'other' is not"):
            Target.parse(text, allow_remote="other")
    assert Target.parse("192.0.2.1:80", allow_remote="192.0.2.1").address == "192.0.2.1"
    assert Target.parse("[2001:db8::1]:80", allow_remote="2001:db8::1").authority == "[2001:db8::1]:80"
    assert Target.parse("127.9.9.9:8080").address == "127.9.9.9"
    assert Target.parse("[::1]:8080").address == "::1"


@pytest.mark.parametrize(
    "text", ["", "localhost", "localhost:", ":80", "localhost:0", "localhost:65536", "localhost:x", "a b:1"]
)
def test_a_target_is_host_and_port(text: str) -> None:
    """Anything else is an error that says what would be right."""
    with pytest.raises(TargetError, match=r"is not host:port|cannot be resolved"):
        Target.parse(text)


def test_a_client_takes_host_and_port_as_text() -> None:
    """In a script no more is needed."""
    with BadServer() as server, RawClient(f"localhost:{server.port}") as client:
        assert client.send(get("/index.html")).read_response().content == CONTENT
