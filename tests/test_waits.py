"""Waits for requests, and statistics that are expected."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd._waiting import Wait, Wanted
from pooled_httpd.errors import StateError, WaitTimeoutError
from support import PATIENCE, Raw, exchange, get

Server = pooled_httpd.Server


def test_wait_for_waits(httpd: Server) -> None:
    """For any requests, for some like these, and returns them."""
    httpd.respond("/late", delay=0.1, content=b"x")

    def ask() -> None:
        for path in ("/a", "/late", "/b"):
            exchange(httpd.port, get(path))

    thread = threading.Thread(target=ask)
    thread.start()
    assert [got.path for got in httpd.wait_for(3)] == ["/a", "/late", "/b"]
    thread.join()
    assert [got.path for got in httpd.wait_for(1, path="/late")] == ["/late"]
    assert [got.path for got in httpd.wait_for(2, status=404, method="GET")] == ["/a", "/b"]
    assert len(httpd.wait_for(0, timeout=0)) == 3


def test_wait_for_waits_for_the_end_of_an_answer(httpd: Server) -> None:
    """One that has begun and goes on is none yet; then it is among what comes back."""
    httpd.respond("/slow", content=b"x" * 10_000_000)
    with Raw(httpd.port, receive_buffer=4096) as raw:
        raw.send(get("/slow"))
        httpd.expect_stats(total_requests=1, states=lambda states: states["SENDING_RESPONSE"] == 1)
        with pytest.raises(pooled_httpd.WaitTimeoutError, match="waited 0 s for 1 requests; 0 came"):
            httpd.wait_for(1, timeout=0)
        raw.response()
        assert [got.bytes_sent for got in httpd.wait_for(1)] == [10_000_000]


def test_wait_for_tells_what_came_instead(httpd: Server) -> None:
    """WaitTimeoutError, a TimeoutError, no earlier than told."""
    begun = time.monotonic()
    with pytest.raises(pooled_httpd.WaitTimeoutError) as caught:
        httpd.wait_for(2, timeout=0.05)
    assert str(caught.value) == "waited 0.05 s for 2 requests; 0 came; no request came"
    assert (isinstance(caught.value, TimeoutError), time.monotonic() - begun >= 0.05) == (True, True)
    for number in range(10):
        exchange(httpd.port, get(f"/{number}"))
    with pytest.raises(pooled_httpd.WaitTimeoutError) as caught:
        httpd.wait_for(1, path="/x", method="PUT", status=200, timeout=0.01)
    first, *lines = str(caught.value).split("\n")
    assert first == (
        "waited 0.01 s for 1 requests with path '/x', method 'PUT', status 200; 0 came; the last requests:"
    )
    assert [line.split(",")[0] for line in lines] == [f"  GET /{number} -> 404" for number in range(2, 10)]


def test_waits_without_records(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """A count is enough for a wait; more of it is a StateError."""
    server: Server = pooled_httpd_factory()
    server.record_requests(0)
    exchange(server.port, get("/a"))
    assert server.wait_for(1) == []
    with pytest.raises(pooled_httpd.WaitTimeoutError, match=r"waited 0\.01 s for 2 requests; 1 came$"):
        server.wait_for(2, timeout=0.01)
    with pytest.raises(pooled_httpd.StateError, match="requests are not recorded"):
        server.wait_for(1, path="/a")


def interrupted(wait: Callable[[], object]) -> None:
    """Wait, and press Ctrl+C meanwhile."""
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        wait()
    finally:
        timer.join()


def test_ctrl_c_ends_a_wait(httpd: Server) -> None:
    """KeyboardInterrupt within the wait."""
    with pytest.raises(KeyboardInterrupt):
        interrupted(lambda: httpd.wait_for(1, timeout=PATIENCE))
    with pytest.raises(KeyboardInterrupt):
        interrupted(lambda: httpd.wait_for(1, path="/x", timeout=PATIENCE))


def test_expect_stats_compares(httpd: Server) -> None:
    """Values, ranges and functions; the statistics come back."""
    httpd.write("a", "x")
    exchange(httpd.port, get("/a"))
    exchange(httpd.port, get("/b"))
    stats = httpd.expect_stats(
        total_requests=2,
        responses={200: 1, 404: 1},
        bytes_sent=range(100, 1000),
        peak_pool_usage=lambda usage: usage > 0,
        uptime=range(1_000_000),
    )
    assert stats.total_requests == 2
    assert 0 < stats.uptime < 1_000_000
    with pytest.raises(
        pooled_httpd.StatsMismatchError, match=r"uptime  is \d+\.\d+, not within range\(1000000, 2000000\)"
    ):
        httpd.expect_stats(timeout=0, uptime=range(1_000_000, 2_000_000))


def test_expect_stats_waits_for_what_a_function_looks_for(httpd: Server) -> None:
    """The count of a status is not there until an answer has had it."""
    thread = threading.Timer(0.02, exchange, (httpd.port, get("/b")))
    thread.start()
    assert httpd.expect_stats(timeout=PATIENCE, responses=lambda responses: responses[404] == 1).total_requests == 1
    thread.join()

    def teapots(responses: dict[int, int]) -> bool:
        return responses[418] == 1

    with pytest.raises(pooled_httpd.StatsMismatchError, match=r"responses  is \{404: 1\}, not as teapots wants it"):
        httpd.expect_stats(timeout=0, responses=teapots)


def test_expect_stats_tells_each_difference(httpd: Server) -> None:
    """StatsMismatchError, an AssertionError, with the requests that came."""
    exchange(httpd.port, get("/b"))
    httpd.expect_stats(active_connections=0)

    def even(number: int) -> bool:
        return number % 2 == 0

    begun = time.monotonic()
    with pytest.raises(pooled_httpd.StatsMismatchError) as caught:
        httpd.expect_stats(
            timeout=0.05,
            total_requests=3,
            responses={200: 3},
            bytes_sent=range(2),
            total_connections=even,
            active_connections=0,
        )
    assert time.monotonic() - begun >= 0.05
    assert isinstance(caught.value, AssertionError)
    told, requests = str(caught.value).split("; the last requests:\n")
    sent = httpd.stats().bytes_sent
    assert told.split("\n") == [
        "the statistics are not as expected:",
        "  total_requests     is 1, not 3",
        "  responses          is {404: 1}, not {200: 3}",
        f"  bytes_sent         is {sent}, not within range(0, 2)",
        "  total_connections  is 1, not as even wants it",
    ]
    assert requests.startswith("  GET /b -> 404, 14 bytes sent, ")


def test_expect_stats_knows_the_names(httpd: Server) -> None:
    """OptionError with the one that was meant, or all of them."""
    with pytest.raises(
        pooled_httpd.OptionError,
        match=r"^total_request: the statistics have no such name; did you mean total_requests\?$",
    ):
        httpd.expect_stats(total_request=1)
    with pytest.raises(
        pooled_httpd.OptionError, match=r"^zzz: the statistics have no such name; they are total_requests, "
    ):
        httpd.expect_stats(zzz=1)


def test_expect_stats_waits_for_what_does_not_hold_yet(httpd: Server) -> None:
    """The end of a connection takes a moment to be seen."""
    with Raw(httpd.port) as raw:
        raw.send(get("/a"))
        raw.response()
        httpd.expect_stats(active_connections=1)
    httpd.expect_stats(active_connections=0)


def test_requests_are_counted_as_they_come(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """However few of them the record has room for: what gives way after it was looked at stays counted."""
    server: Server = pooled_httpd_factory()
    server.record_requests(65_536)
    content = b"x" * 16_000
    wait = Wait(server, 40, Wanted("/a", None, None), PATIENCE)
    with Raw(server.port) as raw:
        for number in range(40):
            assert wait.go_on(0) is None
            for path in ("/a", "/b", "/b", "/b"):
                raw.send(get(path, f"Content-Length: {len(content)}", method="POST") + content)
                assert raw.response().status == 405
                assert (wait.go_on(0) is None) == (number < 39)
    found = wait.go_on(0)
    assert found is not None
    assert [got.number for got in found] == list(range(1, 160, 4))
    assert len(server.requests()) < 10
    assert server.requests_forgotten > 150


def test_what_gave_way_before_a_wait_is_told(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """In the error: how many were not looked at, and what to do."""
    server: Server = pooled_httpd_factory()
    server.record_requests(65_536)
    with Raw(server.port) as raw:
        for _ in range(100):
            raw.send(get("/a", "Content-Length: 16000", method="POST") + b"x" * 16_000)
            raw.response()
    left, forgotten = len(server.requests()), server.requests_forgotten
    with pytest.raises(WaitTimeoutError) as caught:
        server.wait_for(100, path="/a", timeout=0.01)
    assert str(caught.value).startswith(
        f"waited 0.01 s for 100 requests with path '/a'; {left} came, and {forgotten} gave way before they were looked "
        "at: record_requests() with more memory keeps them; the last requests:\n"
    )
    assert (len(server.wait_for(left, path="/a")), left + forgotten) == (left, 100)


def beginning(server: Server, threads: list[threading.Thread], *, count: int, path: str | None) -> list[BaseException]:
    """Begin a wait on a thread, and return where its error will be."""
    errors: list[BaseException] = []
    looked = threading.Event()

    def wait() -> None:
        try:
            looked.set()
            server.wait_for(count, path=path, timeout=20)
        except BaseException as error:
            errors.append(error)

    threads.append(threading.Thread(target=wait))
    threads[-1].start()
    assert looked.wait(PATIENCE)
    return errors


@pytest.mark.parametrize("path", [None, "/a"])
def test_a_reset_during_a_wait_begins_anew(httpd: Server, path: str | None) -> None:
    """What came before it does not count, and what came after it counts once; so does a record that begins anew."""
    wait = Wait(httpd, 3, Wanted(path, None, None), PATIENCE)
    for begin_anew in (httpd.reset, httpd.reset, httpd.reset if path is None else httpd.record_requests):
        exchange(httpd.port, get("/a"))
        assert wait.go_on(0) is None
        begin_anew()
    for number in range(3):
        exchange(httpd.port, get(f"/a?{number}"))
        found = wait.go_on(0)
        assert (found is None) == (number < 2)
    assert [got.query for got in found or []] == ["0", "1", "2"]


@pytest.mark.parametrize("path", [None, "/a"])
@pytest.mark.parametrize("end", ["stop", "destroy"])
def test_the_end_of_a_server_ends_every_wait(pooled_httpd_factory: Any, end: str, path: str | None) -> None:  # noqa: ANN401
    """StateError at once, whether something is filtered or not; and so for a wait that begins afterwards."""
    server: Server = pooled_httpd_factory()
    exchange(server.port, get("/a"))
    threads: list[threading.Thread] = []
    errors = beginning(server, threads, count=2, path=path)
    time.sleep(0.05)
    begun = time.monotonic()
    getattr(server, end)()
    threads[0].join(PATIENCE)
    assert time.monotonic() - begun < PATIENCE / 2
    with pytest.raises(StateError) as caught:
        server.wait_for(2, path=path, timeout=20)
    wanted = " with path '/a'" if path else ""
    told = f"the server has stopped, and nobody is left to wait for: 2 requests{wanted}; 1 came; the last requests:\n"
    assert str(caught.value).startswith(told if end == "stop" else "the server has been destroyed")
    # What is destroyed is stopped first.
    assert str(errors[0]).startswith((told, "the server has been destroyed"))
    assert {type(caught.value), *map(type, errors)} == {StateError}
    if end == "stop":
        assert len(server.wait_for(1, path=path, timeout=0)) == 1


def test_a_wait_may_begin_before_the_server(tmp_path: Path) -> None:
    """It has not ended where it has not begun; one that was stopped before its start has."""
    server = Server(tmp_path)
    server.record_requests()
    threads: list[threading.Thread] = []
    errors = [beginning(server, threads, count=1, path=path) for path in (None, "/a")]
    time.sleep(0.05)
    with server:
        exchange(server.port, get("/a"))
        for thread in threads:
            thread.join(PATIENCE)
    assert errors == [[], []]
    server.destroy()
    stopped = Server(tmp_path)
    stopped.stop()
    with pytest.raises(StateError, match="the server has stopped"):
        stopped.wait_for(1, timeout=20)
    stopped.destroy()
