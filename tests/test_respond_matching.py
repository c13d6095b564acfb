"""Registered answers: what requests they are for, which of several goes first, and how they come and go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pooled_httpd
import pytest
from pooled_httpd.faults import Stall
from responding import content
from support import Raw, exchange, get

Server = pooled_httpd.Server


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
    httpd.respond("/a", content=b"0123456789", fault=Stall(5, seconds=1))
    httpd.respond("/b", content=b"late", delay=1)
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
