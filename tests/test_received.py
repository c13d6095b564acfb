"""What a server tells of what it received: the record of requests."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd.errors import ForkError, OptionError
from pooled_httpd.received import Fields
from support import PATIENCE, Raw, exchange, get

Server = pooled_httpd.Server


def test_a_request_is_told_as_it_was_received(httpd: Server) -> None:
    """Every byte of its head and content, and what came of it."""
    httpd.write("a b", "hello")
    data = (
        b"POST /a%20b?c=%20d HTTP/1.1\r\nHost: localhost\r\nX-One:  1 \r\nx-ONE: \xfc\r\nContent-Length: 7\r\n\r\n"
        b'{"a":1}'
    )
    before = time.time()
    with Raw(httpd.port) as raw:
        raw.send(get("/a%20b"))
        assert raw.response().content == b"hello"
        raw.send(data)
        assert raw.response().status == 405
        peer = raw.socket.getsockname()
    first, got = httpd.requests()
    assert (first.method, first.status, first.bytes_sent, first.content, first.number) == ("GET", 200, 5, b"", 1)
    assert (got.method, got.target, got.version) == ("POST", "/a%20b?c=%20d", "HTTP/1.1")
    assert (got.path, got.query) == ("/a b", "c=%20d")
    assert (got.head + got.content, got.content_length) == (data, 7)
    assert (got.text, got.json()) == ('{"a":1}', {"a": 1})
    assert (got.connection, got.number, got.peer, got.status, got.is_valid) == (0, 2, peer, 405, True)
    assert before - 0.01 <= got.time <= time.time() + 0.01
    assert 0 <= got.duration < PATIENCE
    assert abs(got.received_at - datetime.now(UTC)).total_seconds() < PATIENCE
    assert str(got).startswith("POST /a%20b?c=%20d -> 405, ")
    fields = got.fields
    assert list(fields) == [("Host", "localhost"), ("X-One", "1"), ("x-ONE", "\xfc"), ("Content-Length", "7")]
    assert (fields["x-one"], fields.all("X-ONE"), fields.get("none"), fields.get("none", "d")) == (
        "1",
        ["1", "\xfc"],
        None,
        "d",
    )
    assert ("HOST" in fields, "none" in fields, 1 in fields, len(fields)) == (True, False, False, 4)
    assert fields == Fields(tuple(fields))
    assert len({fields, Fields(tuple(fields))}) == 1
    assert repr(Fields((("a", "b"),))) == "Fields([('a', 'b')])"
    with pytest.raises(KeyError, match="none"):
        fields["none"]


def test_requests_are_filtered(httpd: Server) -> None:
    """By path, method and status, together."""
    httpd.write("a", "x")
    for path, method in (("/a?1", "GET"), ("/a", "POST"), ("/%61", "HEAD"), ("/b", "GET")):
        exchange(httpd.port, get(path, method=method), method)
    assert [got.target for got in httpd.requests(path="/a")] == ["/a?1", "/a", "/%61"]
    assert [got.target for got in httpd.requests(method="GET")] == ["/a?1", "/b"]
    assert [got.target for got in httpd.requests(path="/a", status=200)] == ["/a?1", "/%61"]
    assert [got.target for got in httpd.requests(path="/a", method="POST", status=405)] == ["/a"]
    assert [got.target for got in httpd.requests(path="/a?1")] == ["/a?1"]
    assert httpd.requests(path="/a?2") == httpd.requests(method="get") == httpd.requests(status=999) == []


#: Targets, with what the server reads of them.
TARGETS = {
    "/a": ("/a", ""),
    "/a?b=%20c?d": ("/a", "b=%20c?d"),
    "/a?": ("/a", ""),
    "/%61": ("/a", ""),
    "//a": ("/a", ""),
    "/x/.././/./a": ("/a", ""),
    "/x/%2e%2E/a": ("/a", ""),
    "http://localhost/a": ("/a", ""),
    "HTTP://localhost:80/x/../a?b": ("/a", "b"),
    "http://localhost?b": ("/", "b"),
    "http://localhost": ("/", ""),
    "/": ("/", ""),
    "/a/": ("/a/", ""),
    "/a/.": ("/a/", ""),
    "/A": ("/A", ""),
    "/%C3%BC%20%3F%25%2A": ("/ü ?%*", ""),
    "/%ff": ("/\ufffd", ""),
    # What is refused.
    "/..": ("", ""),
    "/a%00": ("", ""),
    "/a%2fb": ("", ""),
    "/a%zz?b": ("", ""),
    "/a#b": ("", ""),
    "ftp://localhost/a": ("", ""),
    "*": ("", ""),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_path_is_read_as_it_is_for_registered_answers(httpd: Server, target: str) -> None:
    """Of a request, of what is asked for, and of what is registered: the same, whatever stands in the request line."""
    read = TARGETS[target]
    patterns = ["/a", "/%61", "/x/../a", "//a", "/a?b", "/a?b=%20c?d", "/a/", "/a*", "/", "/*", "/ü ?%*", "/%C3%BC%20*"]
    for pattern in [*patterns, "/%FF", "/%EF%BF%BD"]:
        httpd.reset()
        try:
            answer = httpd.respond(pattern, status=299)
        except OptionError:
            with pytest.raises(OptionError, match=r"^path: "):
                httpd.requests(path=pattern)
            continue
        status = exchange(httpd.port, get(target)).status
        assert status == (299 if answer.served else status)
        assert len(httpd.requests(path=pattern)) == len(httpd.requests(status=299)) == answer.served
        assert [(got.path, got.query, got.target) for got in httpd.requests()] == [(*read, target)]


def test_a_target_without_a_path_has_none(httpd: Server) -> None:
    """An asterisk, and an authority; whatever the version, it is read."""
    exchange(httpd.port, get("*", method="OPTIONS"))
    exchange(httpd.port, get("localhost:80", method="CONNECT"))
    exchange(httpd.port, get("/a?b", version="HTTP/2.0"))
    assert [(got.status, got.path, got.query) for got in httpd.requests()] == [
        (204, "", ""),
        (405, "", ""),
        (505, "/a", "b"),
    ]


def test_what_is_refused_or_never_answered_is_told_too(httpd: Server) -> None:
    """As far as it was received."""
    exchange(httpd.port, b"GET  /two-spaces HTTP/1.1\r\n\r\n")
    exchange(httpd.port, b"GET /a HTTP/1.1\r\n\r\n")
    before = httpd.stats().bytes_received
    with Raw(httpd.port) as raw:
        raw.send(b"GET /half")
        httpd.expect_stats(bytes_received=before + 9)
    httpd.expect_stats(active_connections=0)
    spaces, hostless, half = httpd.requests()
    assert (spaces.is_valid, spaces.status, spaces.method) == (False, 400, "GET")
    assert (hostless.is_valid, hostless.status, hostless.target) == (False, 400, "/a")
    assert (half.is_valid, half.status, half.head, half.method, half.fields.get("host")) == (
        False,
        None,
        b"GET /half",
        "",
        None,
    )
    assert str(half) == f"b'GET /half' -> no answer, 0 bytes sent, {half.duration * 1000:.1f} ms"


def test_the_oldest_requests_give_way(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """In 64 KiB: the last ones are whole, the others are counted."""
    server: Server = pooled_httpd_factory()
    server.record_requests(65_536)
    with Raw(server.port) as raw:
        for number in range(300):
            raw.send(get(f"/{number}", "Content-Length: 1000", method="POST") + b"%04d" % number + b"x" * 996)
            assert raw.response().status == 405
    kept = server.requests()
    assert 30 <= len(kept) < 64
    assert len(kept) + server.requests_forgotten == 300
    assert [got.number for got in kept] == list(range(301 - len(kept), 301))
    assert kept[-1].content == b"0299" + b"x" * 996
    # A content of its own that is larger than a quarter is kept as far as that.
    exchange(server.port, get("/large", "Content-Length: 60000", method="POST") + b"y" * 60_000)
    large = server.requests()[-1]
    assert (large.content_length, large.content) == (60_000, b"y" * 16_384)
    server.record_requests(0)
    with pytest.raises(
        pooled_httpd.StateError, match=r"requests are not recorded: call record_requests\(\) before they"
    ):
        server.requests()
    assert server.requests_forgotten == 0
    server.record_requests()
    assert server.requests() == []


@pytest.mark.parametrize("memory", [-1, 1, 65_535, (1 << 30) + 1, 1 << 70])
def test_the_memory_of_requests_has_limits(httpd: Server, memory: int) -> None:
    """OptionError with the range; what was recorded before stays."""
    exchange(httpd.port, get("/a"))
    with pytest.raises(
        pooled_httpd.OptionError, match=r"max_bytes: .* is not within 65,536 to 1,073,741,824; 0 keeps none"
    ):
        httpd.record_requests(memory)
    assert len(httpd.requests()) == 1


def test_an_answer_is_not_withdrawn_in_a_child(httpd: Server) -> None:
    """ForkError, and no wait for a loop that is not there."""
    answer = httpd.respond("/a")
    child = os.fork()
    if child == 0:
        try:
            answer.withdraw()
        except ForkError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_target_that_is_none_breaks_no_filter(httpd: Server) -> None:
    """It is refused and recorded, and has no path."""
    with Raw(httpd.port) as raw:
        raw.send(b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert raw.response().status == 400
    assert httpd.requests(path="/x") == []
    assert [(request.path, request.query) for request in httpd.requests()] == [("", "")]


def test_used_up_answers_make_room(httpd: Server) -> None:
    """More than can be registered at a time, one after the other."""
    with Raw(httpd.port) as raw:
        for _ in range(1100):
            httpd.respond("/u", times=1)
            raw.send(get("/u"))
            assert raw.response().status == 200
