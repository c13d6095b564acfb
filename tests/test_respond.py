"""Registered answers: what they match, what they send, every fault byte by byte, and every argument that is wrong."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Place, Reset, Stall
from support import PATIENCE, Raw, exchange, get

Server = pooled_httpd.Server


@pytest.fixture
def httpd(pooled_httpd: Server) -> Iterator[Server]:
    """The fixture's server, which must not have taken memory for anything."""
    yield pooled_httpd
    stats = pooled_httpd.stats()
    assert (stats.malloc_calls, stats.free_calls, stats.heap_bytes, stats.invariant_violations) == (0, 0, 0, 0)


def content(server: Server, path: str, method: str = "GET") -> bytes:
    """Ask for a path and return what comes."""
    return exchange(server.port, get(path, method=method), method).content


def whole(server: Server, path: str = "/a") -> tuple[bytes, str]:
    """Return all that comes until the connection ends, its Date left out, and how it ended."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(get(path))
        while True:
            try:
                piece = client.recv(65536)
            except ConnectionResetError:
                return without_date(received), "reset"
            if not piece:
                return without_date(received), "closed"
            received += piece


def without_date(response: bytes) -> bytes:
    """Take the Date out, which is another each second."""
    return re.sub(rb"Date: [^\r]{29}\r\n", b"", response)


# What is sent.


def test_an_answer_is_sent_as_it_was_registered(httpd: Server) -> None:
    """Status line, fields in their order, and what a response needs beside them."""
    httpd.respond("/a", status=202, reason="Go On", headers={"X-One": "1", "x-two": ""}, content=b"hello")
    with Raw(httpd.port) as raw:
        response = raw.send(get("/a")).response()
        assert without_date(response.head + b"\r\n") == (
            b"HTTP/1.1 202 Go On\r\nX-One: 1\r\nx-two: \r\n"
            b"Content-Type: application/octet-stream\r\nContent-Length: 5\r\n"
        )
        assert response.content == b"hello"
        # The connection goes on.
        assert raw.send(get("/none")).response().status == 404


@pytest.mark.parametrize(
    ("arguments", "kind", "sent"),
    [
        ({"content": b"x"}, "application/octet-stream", b"x"),
        ({"content": "ü"}, "text/plain; charset=utf-8", b"\xc3\xbc"),
        ({"content": bytearray(b"x")}, "application/octet-stream", b"x"),
        ({"content": memoryview(b"x")}, "application/octet-stream", b"x"),
        ({"json": {"a": [1, None, True]}}, "application/json", b'{"a": [1, null, true]}'),
        ({"json": []}, "application/json", b"[]"),
        ({"json": 0}, "application/json", b"0"),
        ({"json": None}, "application/json", b"null"),
        ({"json": {}, "headers": {"content-type": "application/hal+json"}}, "application/hal+json", b"{}"),
        ({"content": "x", "headers": [("Content-Type", "text/css")]}, "text/css", b"x"),
        ({}, None, b""),
    ],
)
def test_content_and_its_type(httpd: Server, arguments: dict[str, Any], kind: str | None, sent: bytes) -> None:
    """Bytes, text and JSON; the type is added where none is told."""
    httpd.respond("/a", **arguments)
    response = exchange(httpd.port, get("/a"))
    assert (response.fields.get("content-type"), response.content) == (kind, sent)


def test_fields_of_ones_own_take_the_place_of_those_that_are_added(httpd: Server) -> None:
    """Date, Content-Length and Connection among them; what is wrong is sent as it is."""
    httpd.respond("/a", headers={"Date": "never", "Content-Length": "3", "Connection": "close"}, content=b"12345")
    head = b"HTTP/1.1 200 OK\r\nDate: never\r\nContent-Length: 3\r\nConnection: close\r\n"
    assert whole(httpd) == (head + b"Content-Type: application/octet-stream\r\n\r\n12345", "closed")


@pytest.mark.parametrize("value", ["close", "Close", "x, close", "close,x"])
def test_connection_close_closes(httpd: Server, value: str) -> None:
    """Wherever it stands in the list."""
    httpd.respond("/a", headers={"Connection": value})
    assert whole(httpd)[1] == "closed"


def test_a_client_that_closes_is_told_so(httpd: Server) -> None:
    """``Connection: close`` of the request is answered by the same, as with a file."""
    httpd.respond("/a", content=b"x")
    with Raw(httpd.port) as raw:
        assert raw.send(get("/a", "Connection: close")).response().fields["connection"] == "close"
        assert raw.closed()


@pytest.mark.parametrize("status", [200, 201, 204, 299, 302, 304, 404, 500, 799, 999])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_status_keeps_the_connection_in_step(httpd: Server, status: int, method: str) -> None:
    """What has no content has none, and the next answer is the next."""
    has_content = status not in (204, 304)
    httpd.respond("/a", status=status, content=b"content" if has_content else b"")
    with Raw(httpd.port) as raw:
        response = raw.send(get("/a", method=method) + get("/none")).response(method)
        assert response.status == status
        assert response.content == (b"content" if has_content and method != "HEAD" else b"")
        assert ("content-length" in response.fields) is has_content
        assert raw.response().status == 404


def test_a_large_answer(httpd: Server) -> None:
    """Ten megabytes, read slowly by the size of a small buffer."""
    large = bytes(range(256)) * 40_000
    httpd.respond("/a", content=large)
    with Raw(httpd.port, receive_buffer=4096) as raw:
        assert raw.send(get("/a")).response().content == large


def test_answers_are_pipelined(httpd: Server) -> None:
    """In order, files between them, a delay holding up what is behind it and not what is before."""
    httpd.write("file", "file")
    httpd.respond("/late", delay=0.1, content=b"late")
    httpd.respond("/now", content=b"now")
    begun = time.monotonic()
    with Raw(httpd.port) as raw:
        raw.send(get("/now") + get("/file") + get("/late") + get("/now"))
        assert [raw.response().content for _ in range(2)] == [b"now", b"file"]
        assert [raw.response().content for _ in range(2)] == [b"late", b"now"]
    assert time.monotonic() - begun >= 0.1


# What is matched.


def test_a_path_is_compared_decoded(httpd: Server) -> None:
    """However it is written, on either side; the query does not matter where none is told."""
    httpd.respond("/ü b", content=b"1")
    httpd.respond("/c%2Dd", content=b"2")
    for path in ("/%C3%BC%20b", "/%c3%bc%20b?q", "/x/../%C3%BC%20b"):
        assert content(httpd, path) == b"1"
    assert content(httpd, "/c-d") == b"2"
    assert exchange(httpd.port, get("/%C3%BC%20b/")).status == 404
    assert content(httpd, "http://localhost/c-d") == b"2"


def test_a_star_stands_for_whatever_follows(httpd: Server) -> None:
    """Nothing among it; and a star elsewhere is a star."""
    httpd.respond("/api/*", content=b"api")
    httpd.respond("/*x", content=b"star")
    assert [content(httpd, path) for path in ("/api/", "/api/a", "/api/a/b?c")] == [b"api"] * 3
    assert exchange(httpd.port, get("/api")).status == 404
    assert (content(httpd, "/*x"), exchange(httpd.port, get("/yx")).status) == (b"star", 404)
    httpd.respond("/*", content=b"all")
    assert [content(httpd, path) for path in ("/", "/yx", "/api/a")] == [b"all", b"all", b"api"]


def test_a_query_must_be_the_same(httpd: Server) -> None:
    """An empty one is another than none."""
    httpd.respond("/a?b=c", content=b"query")
    httpd.respond("/e?", content=b"empty")
    assert content(httpd, "/a?b=c") == b"query"
    assert [exchange(httpd.port, get(path)).status for path in ("/a", "/a?", "/a?b=d", "/a?b=c&", "/e")] == [404] * 5
    assert content(httpd, "/e?") == b"empty"


@pytest.mark.parametrize(
    ("registered", "sent"),
    [
        ("q=é b", ["q=%C3%A9%20b", "q=%c3%a9%20b", "q=%C3%A9+b"]),
        ("q=%c3%a9", ["q=%C3%A9", "q=%c3%a9"]),
        ("t=12:30,'\"{}", ["t=12:30,'%22%7B%7D", "t=12%3A30%2C%27%22%7B%7D", "t=12:30,'%22{}"]),
        ("a=%26&b=100%", ["a=%26&b=100%25", "a=%26&b=100%"]),
    ],
)
def test_a_query_is_written_as_a_person_does(httpd: Server, registered: str, sent: list[str]) -> None:
    """What a client encodes may be as it is, and however a client encodes it; a delimiter that is encoded is none."""
    httpd.respond(f"/a?{registered}", content=b"query")
    assert [content(httpd, f"/a?{query}") for query in sent] == [b"query"] * len(sent)
    assert exchange(httpd.port, get(f"/a?{sent[0].replace('=', '%3D', 1)}")).status == 404
    # It is the same one for replacing it, too.
    httpd.respond(f"/a?{sent[0]}", content=b"other")
    assert content(httpd, f"/a?{sent[-1]}") == b"other"


def test_a_method_must_be_the_same(httpd: Server) -> None:
    """None is any, known to the server or not; names are case-sensitive."""
    httpd.respond("/post", method="POST", content=b"post")
    httpd.respond("/brew", method="BREW", content=b"brew")
    httpd.respond("/any", content=b"any")
    assert (content(httpd, "/post", "POST"), exchange(httpd.port, get("/post")).status) == (b"post", 404)
    assert (content(httpd, "/brew", "BREW"), exchange(httpd.port, get("/brew", method="brew")).status) == (b"brew", 501)
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "BREW"):
        assert content(httpd, "/any", method) == b"any"


def test_what_the_server_refuses_it_refuses(httpd: Server) -> None:
    """A request without Host, with content that is too much, or with a path that climbs."""
    answer = httpd.respond("/*", content=b"any")
    assert exchange(httpd.port, b"GET /a HTTP/1.1\r\n\r\n").status == 400
    assert exchange(httpd.port, get("/a", "Content-Length: 99999999", method="POST")).status == 413
    assert exchange(httpd.port, get("/../a")).status == 400
    assert answer.served == 0


def test_an_answer_goes_before_a_file_and_files_come_back(httpd: Server) -> None:
    """Until it is withdrawn."""
    httpd.write("a", "file")
    assert content(httpd, "/a") == b"file"
    answer = httpd.respond("/a", content=b"answer")
    assert [content(httpd, "/a") for _ in range(2)] == [b"answer"] * 2
    answer.withdraw()
    assert content(httpd, "/a") == b"file"
    answer.withdraw()
    assert (answer.path, answer.served, repr(answer)) == (
        "/a",
        2,
        '<pooled_httpd.CannedAnswer "/a", served 2 times>',
    )


def test_times_are_used_up_in_their_order(httpd: Server) -> None:
    """The first registered goes first; one for ever only has a turn when they are used up."""
    httpd.write("a", "file")
    for number in range(3):
        httpd.respond("/a", content=b"%d" % number, times=number + 1)
    assert [content(httpd, "/a") for _ in range(8)] == [b"0", b"1", b"1", b"2", b"2", b"2", b"file", b"file"]
    httpd.respond("/a", content=b"ever")
    httpd.respond("/a", content=b"once", times=1)
    assert [content(httpd, "/a") for _ in range(3)] == [b"once", b"ever", b"ever"]


def test_of_several_the_most_particular_goes_first(httpd: Server) -> None:
    """Whenever each was registered: a whole path, a longer beginning, a method, a query; but first those with times."""
    for path, method in [
        ("/*", None),
        ("/a/*", None),
        ("/a/b", None),
        ("/a/b", "GET"),
        ("/a/b?c", None),
        ("/a/b?c", "GET"),
        ("/a/*", "GET"),
    ]:
        httpd.respond(path, method=method, content=f"{method} {path}")
    for method, path, expected in [
        ("GET", "/a/b?c", b"GET /a/b?c"),
        ("PUT", "/a/b?c", b"None /a/b?c"),
        ("GET", "/a/b", b"GET /a/b"),
        ("PUT", "/a/b?d", b"None /a/b"),
        ("GET", "/a/c", b"GET /a/*"),
        ("PUT", "/a/c", b"None /a/*"),
        ("GET", "/b", b"None /*"),
    ]:
        assert content(httpd, path, method) == expected
    httpd.respond("/*", status=503, times=1)
    assert [exchange(httpd.port, get("/a/b?c")).status for _ in range(2)] == [503, 200]


def test_one_for_ever_takes_the_place_of_another(httpd: Server) -> None:
    """For the same method, path and query only."""
    first = httpd.respond("/a", content=b"first")
    httpd.respond("/*", content=b"behind")
    httpd.respond("/a", method="POST", content=b"post")
    httpd.respond("/a", content=b"second")
    assert (content(httpd, "/a"), content(httpd, "/a", "POST"), content(httpd, "/b")) == (
        b"second",
        b"post",
        b"behind",
    )
    assert first.served == 0
    first.withdraw()
    assert content(httpd, "/a") == b"second"


def test_clear_responses(httpd: Server) -> None:
    """All of them, more than once, and new ones after it."""
    answers = [httpd.respond(f"/{number}", content=b"x") for number in range(10)]
    httpd.clear_responses()
    httpd.clear_responses()
    assert {exchange(httpd.port, get(answer.path)).status for answer in answers} == {404}
    httpd.respond("/1", content=b"again")
    assert content(httpd, "/1") == b"again"


def test_a_withdrawn_answer_is_sent_to_its_end(httpd: Server) -> None:
    """Where it has begun, or waits for its delay; its memory is given back later."""
    httpd.respond("/a", content=b"0123456789", fault=Stall(5, seconds=0.2))
    httpd.respond("/b", content=b"late", delay=0.2)
    with Raw(httpd.port) as first, Raw(httpd.port) as second:
        first.send(get("/a"))
        second.send(get("/b"))
        httpd.expect_stats(states=lambda states: (states["SENDING_RESPONSE"], states["PROCESSING"]) == (1, 1))
        httpd.clear_responses()
        assert (first.response().content, second.response().content) == (b"0123456789", b"late")


def test_before_it_runs_while_it_runs_and_after(tmp_path: Path) -> None:
    """What was registered before is there from the first request on; destroyed it is an error."""
    server = Server(tmp_path)
    server.respond("/a", content=b"early")
    server.record_requests()
    assert server.requests() == []
    with server:
        assert content(server, "/a") == b"early"
        server.respond("/a", content=b"late")
        assert content(server, "/a") == b"late"
    assert server.reset() == 0
    server.respond("/a", content=b"never")
    server.destroy()
    calls: list[Callable[[], object]] = [
        lambda: server.respond("/a"),
        server.clear_responses,
        server.record_requests,
        server.requests,
        lambda: server.requests_forgotten,
        server.wait_for,
        server.expect_stats,
        server.keep_story,
        server.story,
        lambda: server.open_connections,
        server.reset,
        lambda: server.write("a", "b"),
    ]
    for call in calls:
        with pytest.raises(pooled_httpd.StateError, match="the server has been destroyed"):
            call()


def test_answers_from_many_threads(httpd: Server) -> None:
    """Registered, asked for and withdrawn by eight threads at once, each its own."""
    wrong: list[object] = []

    def work(number: int) -> None:
        path = f"/thread/{number}"
        for turn in range(50):
            expected = b"%d %d" % (number, turn)
            answer = httpd.respond(path, content=expected)
            if (got := content(httpd, path)) != expected:
                wrong.append((number, turn, got))
            answer.withdraw()
            if (code := exchange(httpd.port, get(path)).status) != 404:
                wrong.append((number, turn, code))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert httpd.stats().responses == {200: 400, 404: 400}


# Faults, byte by byte.

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
        httpd.expect_stats(states=lambda states: states["SENDING_RESPONSE"] == 1)
    httpd.expect_stats(active_connections=0)
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


# What is wrong.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "a"}, 'path: "a" is no path: it begins with a slash and has no fragment'),
        ({"path": ""}, 'path: "" is no path: it begins with a slash and has no fragment'),
        ({"path": "http://x/a"}, 'path: "http://x/a" is no path'),
        ({"path": "/a#b"}, 'path: "/a#b" is no path'),
        ({"path": "/a?b#c"}, 'path: "/a?b#c" is no path'),
        ({"path": "*"}, 'path: "*" is for OPTIONS alone, and answered by the server itself; "/*" is every path'),
        (
            {"method": "CONNECT"},
            "method: CONNECT asks for a host and a port, never for a path (RFC 9110 section 9.3.6)",
        ),
        ({"path": "/%zz"}, 'path: "/%zz" is refused before any answer is looked for'),
        ({"path": "/../a"}, 'path: "/../a" is refused before any answer is looked for'),
        ({"path": "/a%00"}, 'path: "/a%00" is refused before any answer is looked for'),
        ({"method": ""}, 'method: "" is no token (RFC 9110 section 9.1)'),
        ({"method": "GET POST"}, 'method: "GET POST" is no token (RFC 9110 section 9.1)'),
        ({"status": 199}, "status: 199 is not within 200 to 999; what else is to be sent goes as raw bytes"),
        ({"status": 1000}, "status: 1000 is not within 200 to 999"),
        ({"reason": "a\r\nb"}, 'reason: "a\\r\\nb" has a control character'),
        ({"headers": {"a b": "c"}}, 'headers: "a b" is no field name (RFC 9110 section 5.1)'),
        ({"headers": {"": "c"}}, 'headers: "" is no field name (RFC 9110 section 5.1)'),
        ({"headers": {"a": "b\r\nc: d"}}, 'headers: the value "b\\r\\nc: d" of a has a control character'),
        ({"headers": {"a": " b"}}, 'headers: the value " b" of a has a control character, or white space around it'),
        ({"headers": {"a": "x" * 20_000}}, "headers: 20041 bytes; the send buffer has room for "),
        ({"status": 204, "content": b"x"}, "content: a 204 has none (RFC 9110 section 6.4.1)"),
        ({"status": 304, "content": b"x"}, "content: a 304 has none (RFC 9110 section 6.4.1)"),
        ({"content": b"x", "json": 1}, "json: there is content as well; it is one or the other"),
        ({"times": 0}, "times: 0 is not within 1 to 18,446,744,073,709,551,615; None is for as many as are asked for"),
        ({"delay": -0.1}, "delay: -0.1 is no number of seconds from 0 to 86,400"),
        ({"delay": 86_401}, "delay: 86401 is no number of seconds from 0 to 86,400"),
        ({"delay": float("nan")}, "delay: nan is no number of seconds from 0 to 86,400"),
        (
            {"fault": CutShort("end")},  # type: ignore[arg-type]
            "fault: CutShort(at='end') has no such place; it is 'start', 'head', 'middle' or a",
        ),
        (
            {"fault": Reset(-1)},
            "fault: Reset(at=-1) has no such place; it is 'start', 'head', 'middle' or a number from 0",
        ),
        ({"fault": Stall(True)}, "fault: Stall(at=True, seconds=None) has no such place"),
        (
            {"fault": Stall(seconds=-1)},
            "fault: Stall(at='head', seconds=-1): -1 is no number of seconds from 0 to 86,400",
        ),
        (
            {"fault": Dribble(0)},
            "fault: Dribble(size=0, interval=0.01): the size of a piece is a whole number, at least",
        ),
        ({"fault": Dribble(1, -1)}, "fault: Dribble(size=1, interval=-1): -1 is no number of seconds from 0 to 86,400"),
        (
            {"fault": [Close(), Reset()]},
            "fault: Reset(at='middle') does not go together with what is before it in [Close()",
        ),
        ({"fault": [Dribble(), Dribble()]}, "fault: Dribble(size=1, interval=0.01) does not go together"),
        (
            {"fault": [Garbage(), Garbage()]},
            "fault: [Garbage(data=None, seed=0), Garbage(data=None, seed=0)] has garbage",
        ),
        (
            {"fault": Garbage(), "content": b"x"},
            "fault: garbage comes in place of a response, so there can be no content",
        ),
        ({"fault": Garbage(), "headers": {"a": "b"}}, "fault: garbage comes in place of a response"),
        ({"fault": ["reset"]}, "fault: 'reset' is none; they are Dribble, CutShort, Reset, Close, Garbage, Stall"),
        ({"fault": [Reset]}, "fault: <class 'pooled_httpd.faults.Reset'> is none; they are Dribble"),
    ],
)
def test_a_wrong_argument_is_named_with_what_would_be_right(
    httpd: Server, arguments: dict[str, Any], message: str
) -> None:
    """OptionError, and nothing is registered."""
    with pytest.raises(pooled_httpd.OptionError) as caught:
        httpd.respond(**{"path": "/a", **arguments})
    assert str(caught.value).startswith(message), str(caught.value)
    assert exchange(httpd.port, get("/a")).status == 404


NO_CONTENT = "there is no content; give some, or at='start'"


@pytest.mark.parametrize(
    ("fault", "arguments", "message"),
    [
        (CutShort(), {}, f"CutShort(at='middle') leaves nothing out: {NO_CONTENT}"),
        (CutShort("head"), {"headers": {"Content-Length": "0"}}, "CutShort(at='head') leaves nothing out: "),
        (CutShort(), {"content": "x", "method": "HEAD"}, "CutShort(at='middle') leaves nothing out: "),
        (CutShort(), {"status": 304, "headers": {"Content-Length": "5"}}, "CutShort(at='middle') leaves nothing out: "),
        (Reset(), {}, f"Reset(at='middle') leaves nothing out: {NO_CONTENT}"),
        (Stall(), {}, f"Stall(at='head', seconds=None) holds nothing back: {NO_CONTENT}"),
        (Stall("middle", 1), {"status": 204}, "Stall(at='middle', seconds=1) holds nothing back: "),
        (Stall(4), {"content": b"123"}, "Stall(at=4, seconds=None) is never come to: the content has 3 bytes"),
        (
            [CutShort(2), Stall(3)],
            {"content": b"1234"},
            "Stall(at=3, seconds=None) is never come to: the response ends before it",
        ),
        ([Dribble(), Close()], {"content": b"1"}, "Dribble(size=1, interval=0.01): nothing is sent that could dribble"),
        ([Garbage(b""), Dribble()], {}, "Dribble(size=1, interval=0.01): nothing is sent that could dribble"),
        ([Garbage(b"1"), Dribble(), CutShort("head")], {}, "Dribble(size=1, interval=0.01): nothing is sent that"),
        ([Garbage(b""), CutShort("head")], {}, "CutShort(at='head') leaves nothing out: "),
    ],
    ids=repr,
)
def test_a_fault_that_could_never_show_is_refused(
    httpd: Server, fault: Fault | list[Fault], arguments: dict[str, Any], message: str
) -> None:
    """With what would be right."""
    with pytest.raises(pooled_httpd.OptionError) as caught:
        httpd.respond("/a", fault=fault, **arguments)
    assert str(caught.value).startswith(f"fault: {message}"), str(caught.value)
    assert exchange(httpd.port, get("/a")).status == 404


@pytest.mark.parametrize(
    ("fault", "arguments", "body", "end"),
    [
        (Dribble(40, 0.0), {}, b"", "open"),
        (CutShort(), {"headers": {"Content-Length": "5"}}, b"", "closed"),
        (Reset("head"), {"headers": {"Transfer-Encoding": "chunked"}}, b"", "reset"),
        (Stall("head", 0.05), {"headers": {"Content-Length": "5"}}, b"", "open"),
        (CutShort(0), {}, b"", "closed"),
        (Reset(0), {}, b"", "reset"),
        (CutShort(9), {"content": b"12"}, b"12", "closed"),
        ([CutShort(2), Stall(2, 0.05)], {"content": b"1234"}, b"12", "closed"),
        ([Close(), Stall("start", 0.05)], {}, None, "closed"),
        ([Garbage(b""), Stall("head", 0.05)], {}, None, "closed"),
    ],
    ids=repr,
)
def test_a_fault_that_shows_without_content_is_not_refused(
    httpd: Server, fault: Fault | list[Fault], arguments: dict[str, Any], body: bytes | None, end: str
) -> None:
    """In the head, behind a head that promises more, and behind a whole response, where a number asks for that."""
    httpd.respond("/a", fault=fault, **arguments)
    with Raw(httpd.port) as raw:
        # Where the connection goes on, the second one ends it.
        raw.send(get("/a") + get("/none", "Connection: close"))
        received, how = b"", "closed"
        try:
            while data := raw.socket.recv(65536):
                received += data
        except ConnectionResetError:
            how = "reset"
    head, _, rest = received.partition(b"\r\n\r\n")
    if body is None:
        assert received == b""
    else:
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert rest.startswith(body + b"HTTP/1.1 404 ") if end == "open" else rest == body
    assert how == ("closed" if end == "open" else end)


HUGE = 10**5000
SURROGATE = "half a surrogate pair, which is no character (at 1)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 1}, "path: 1 is not allowed; it takes text"),
        ({"path": None}, "path: None is not allowed; it takes text"),
        ({"path": b"/a"}, "path: b'/a' is not allowed; it takes text"),
        ({"path": "/\ud800"}, f"path: '/\\ud800' has {SURROGATE}"),
        ({"path": "/" + "a" * 5000 + "\udcff"}, f"path: '/{'a' * 198}... has half a surrogate pair"),
        ({"method": 1}, "method: 1 is not allowed; it takes text"),
        ({"method": True}, "method: True is not allowed; it takes text"),
        ({"method": "G\ud800"}, f"method: 'G\\ud800' has {SURROGATE}"),
        ({"method": "GÉT"}, 'method: "GÉT" is no token'),
        (
            {"status": "200"},
            "status: '200' is no whole number from 200 to 999; what else is to be sent goes as raw bytes",
        ),
        ({"status": None}, "status: None is no whole number from 200 to 999"),
        ({"status": 200.0}, "status: 200.0 is no whole number from 200 to 999"),
        ({"status": True}, "status: True is no whole number from 200 to 999"),
        ({"status": -5}, "status: -5 is not within 200 to 999"),
        ({"status": HUGE}, "status: <int too long to be shown> is not within 200 to 999"),
        ({"reason": 5}, "reason: 5 is not allowed; it takes text"),
        ({"reason": "x\ud800"}, f"reason: 'x\\ud800' has {SURROGATE}"),
        ({"reason": "x" * 20_000}, "reason: 20034 bytes; the send buffer has room for "),
        ({"headers": 5}, "headers: 5 is neither a mapping nor pairs of name and value"),
        ({"headers": "ab"}, "headers: 'ab' is neither a mapping nor pairs of name and value"),
        ({"headers": b"ab"}, "headers: b'ab' is neither a mapping nor pairs of name and value"),
        ({"headers": ["ab"]}, "headers: 'ab' is not a name and a value, both of them text"),
        ({"headers": [1]}, "headers: 1 is not a name and a value, both of them text"),
        ({"headers": [("a",)]}, "headers: ('a',) is not a name and a value, both of them text"),
        ({"headers": {"a": 1}}, "headers: ('a', 1) is not a name and a value, both of them text"),
        ({"headers": {"a": b"x"}}, "headers: ('a', b'x') is not a name and a value, both of them text"),
        ({"headers": {"a": "x\ud800"}}, f"headers: 'x\\ud800' has {SURROGATE}"),
        ({"headers": {"x\ud800": "a"}}, f"headers: 'x\\ud800' has {SURROGATE}"),
        ({"headers": {"é": "x"}}, 'headers: "é" is no field name (RFC 9110 section 5.1)'),
        ({"content": 5}, "content: 5 is neither text nor bytes"),
        ({"content": None}, "content: None is neither text nor bytes"),
        ({"content": "x\ud800"}, f"content: 'x\\ud800' has {SURROGATE}"),
        ({"content": "x", "json": None}, "json: there is content as well; it is one or the other"),
        ({"json": float("nan")}, "json: nan cannot be sent as JSON: Out of range float values are not JSON compliant"),
        ({"json": {"a": float("inf")}}, "json: {'a': inf} cannot be sent as JSON: Out of range float values"),
        ({"json": {1, 2}}, "json: {1, 2} cannot be sent as JSON: Object of type set is not JSON serializable"),
        ({"json": b"x"}, "json: b'x' cannot be sent as JSON: Object of type bytes is not JSON serializable"),
        ({"json": {(1, 2): 3}}, "json: {(1, 2): 3} cannot be sent as JSON: keys must be str, int, float, bool or None"),
        ({"delay": None}, "delay: None is no number of seconds from 0 to 86,400"),
        ({"delay": True}, "delay: True is no number of seconds from 0 to 86,400"),
        ({"delay": "1"}, "delay: '1' is no number of seconds from 0 to 86,400"),
        ({"delay": 1j}, "delay: 1j is no number of seconds from 0 to 86,400"),
        ({"delay": float("inf")}, "delay: inf is no number of seconds from 0 to 86,400"),
        ({"delay": HUGE}, "delay: <int too long to be shown> is no number of seconds from 0 to 86,400"),
        ({"times": -1}, "times: -1 is not within 1 to 18,446,744,073,709,551,615"),
        ({"times": 1 << 70}, "times: 1180591620717411303424 is not within 1 to 18,446,744,073,709,551,615"),
        ({"times": HUGE}, "times: <int too long to be shown> is not within 1 to"),
        ({"times": True}, "times: True is no whole number from 1 to 18,446,744,073,709,551,615; None is for as many"),
        ({"times": 1.5}, "times: 1.5 is no whole number from 1 to"),
        ({"times": "2"}, "times: '2' is no whole number from 1 to"),
        ({"fault": 5}, "fault: 5 is none; they are Dribble"),
        ({"fault": "reset"}, "fault: 'reset' is none; they are Dribble"),
        ({"fault": Reset}, "fault: <class 'pooled_httpd.faults.Reset'> is none; they are Dribble"),
        ({"fault": Dribble("1")}, "fault: Dribble(size='1', interval=0.01): the size of a piece is a whole number"),  # type: ignore[arg-type]
        ({"fault": Dribble(True)}, "fault: Dribble(size=True, interval=0.01): the size of a piece is a whole number"),
        ({"fault": Dribble(1, None)}, "fault: Dribble(size=1, interval=None): None is no number of seconds from 0"),  # type: ignore[arg-type]
        ({"fault": Dribble(1, True)}, "fault: Dribble(size=1, interval=True): True is no number of seconds from 0"),
        (
            {"fault": Dribble(1, HUGE)},
            "fault: <Dribble too long to be shown>: <int too long to be shown> is",
        ),
        ({"fault": Garbage("text")}, "fault: Garbage(data='text', seed=0): the data are bytes"),  # type: ignore[arg-type]
        ({"fault": Garbage(seed=None)}, "fault: Garbage(data=None, seed=None): the seed is a whole number"),  # type: ignore[arg-type]
        ({"fault": Stall(seconds="1")}, "fault: Stall(at='head', seconds='1'): '1' is no number of seconds from 0"),  # type: ignore[arg-type]
        ({"fault": Stall(seconds=True)}, "fault: Stall(at='head', seconds=True): True is no number of seconds from 0"),
        ({"fault": Stall("nowhere")}, "fault: Stall(at='nowhere', seconds=None) has no such place"),  # type: ignore[arg-type]
        ({"fault": Garbage(), "status": 500}, "fault: garbage comes in place of a response, so there can be no status"),
        ({"fault": Garbage(), "reason": "x"}, "fault: garbage comes in place of a response, so there can be no reason"),
        ({"fault": Garbage(), "json": None}, "fault: garbage comes in place of a response, so there can be no json"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, str) else "",
)
def test_a_value_of_the_wrong_kind_is_named_with_what_would_be_right(
    httpd: Server, arguments: dict[str, Any], message: str
) -> None:
    """OptionError as well, whatever is given, and nothing is registered."""
    with pytest.raises(pooled_httpd.OptionError) as caught:
        httpd.respond(**{"path": "/a", **arguments})
    assert str(caught.value).startswith(message), str(caught.value)
    assert exchange(httpd.port, get("/a")).status == 404


def test_there_are_at_most_1024(httpd: Server) -> None:
    """One more is refused until one is withdrawn; another for ever only takes a place that is there."""
    answers = [httpd.respond(f"/{number}", content=b"%d" % number) for number in range(1024)]
    with pytest.raises(
        pooled_httpd.OptionError, match=r"path: 1024 answers are registered, which is the most; withdraw"
    ):
        httpd.respond("/more")
    httpd.respond("/1023", content=b"replaced")
    assert (content(httpd, "/1022"), content(httpd, "/1023")) == (b"1022", b"replaced")
    answers[0].withdraw()
    httpd.respond("/more", content=b"more")
    assert (content(httpd, "/more"), exchange(httpd.port, get("/0")).status) == (b"more", 404)


def test_they_take_at_most_64_mib(httpd: Server) -> None:
    """Those that are being sent are counted until they are gone; all of it is told in the error."""
    large = b"x" * (20 << 20)
    answers = [httpd.respond(f"/{number}", content=large) for number in range(3)]
    with pytest.raises(
        pooled_httpd.OptionError, match=r"content: 20,97\d,\d{3} bytes are too many: .* more than 67,108,864"
    ):
        httpd.respond("/more", content=large)
    with Raw(httpd.port, receive_buffer=4096) as raw:
        raw.send(get("/0"))
        httpd.expect_stats(states=lambda states: states["SENDING_RESPONSE"] == 1)
        answers[0].withdraw()
        with pytest.raises(pooled_httpd.OptionError, match="content: "):
            httpd.respond("/more", content=large)
        assert raw.response().content == large
    httpd.expect_stats(active_connections=0)
    httpd.respond("/more", content=large)
    assert content(httpd, "/more") == large


def test_what_makes_room_is_not_counted(httpd: Server) -> None:
    """What is replaced, used up or cleared, but for what is still being sent: then the error says so."""
    large = b"x" * (40 << 20)
    for turn in range(3):
        httpd.respond("/a", headers={"X-Turn": str(turn)}, content=large)
        assert exchange(httpd.port, get("/a", method="HEAD"), "HEAD").fields["x-turn"] == str(turn)
    httpd.clear_responses()
    for turn in range(3):
        httpd.respond("/a", headers={"X-Turn": str(turn)}, content=large, times=1)
        assert exchange(httpd.port, get("/a", method="HEAD"), "HEAD").fields["x-turn"] == str(turn)
    httpd.respond("/b", content=large)
    httpd.clear_responses()
    httpd.respond("/a", content=large)
    with Raw(httpd.port, receive_buffer=4096) as raw:
        raw.send(get("/a"))
        httpd.expect_stats(states=lambda states: states["SENDING_RESPONSE"] == 1)
        for clears in (False, True):
            if clears:
                httpd.clear_responses()
            with pytest.raises(pooled_httpd.OptionError, match=r"content: .* of those that are registered or still"):
                httpd.respond("/a", content=large)
    httpd.expect_stats(active_connections=0)
    httpd.respond("/a", content=large)


def test_room_is_made_before_it_runs_too(tmp_path: Path) -> None:
    """Where there is no loop that has anything."""
    server = Server(tmp_path)
    large = b"x" * (40 << 20)
    for _ in range(3):
        server.respond("/a", content=large)
    server.clear_responses()
    server.respond("/b", content=large)
    with server:
        server.respond("/b", content=large)
    server.respond("/b", content=large)


def test_json_is_read_back(httpd: Server) -> None:
    """What was given is what is parsed."""
    value = {"ü": [1, 2.5, None, {"a": "b"}], "n": True}
    httpd.respond("/a", json=value)
    assert json.loads(content(httpd, "/a")) == value
