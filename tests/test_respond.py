"""Registered answers: what is sent, and how much there may be of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from responding import content, whole, without_date
from support import Raw, exchange, get

Server = pooled_httpd.Server


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
