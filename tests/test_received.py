"""What a server tells of what it received: requests, waits, statistics, the story, a new beginning; asyncio."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd.asynchronous import AsyncServer
from pooled_httpd.errors import ForkError, OptionError, WaitTimeoutError
from pooled_httpd.faults import Dribble, Reset, Stall
from pooled_httpd.received import Fields
from support import PATIENCE, Raw, exchange, get, open_descriptors, threads_left

Server = pooled_httpd.Server


@pytest.fixture
def httpd(pooled_httpd: Server) -> Iterator[Server]:
    """The fixture's server, which must not have taken memory for anything."""
    yield pooled_httpd
    stats = pooled_httpd.stats()
    assert (stats.malloc_calls, stats.free_calls, stats.heap_bytes, stats.invariant_violations) == (0, 0, 0, 0)


# Requests.


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
    assert httpd.requests(path="/a?1") == []


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


# Waits.


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
    httpd.respond("/slow", content=b"x" * 50, fault=Dribble(20, 0.02))
    with Raw(httpd.port) as raw:
        raw.send(get("/slow"))
        httpd.expect_stats(total_requests=1, states=lambda states: states["SENDING_RESPONSE"] == 1)
        with pytest.raises(pooled_httpd.WaitTimeoutError, match="waited 0 s for 1 requests; 0 came"):
            httpd.wait_for(1, timeout=0)
        assert [got.bytes_sent for got in httpd.wait_for(1)] == [50]


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


def test_ctrl_c_ends_a_wait(httpd: Server) -> None:
    """KeyboardInterrupt within the wait."""
    timer = threading.Timer(0.05, os.kill, (os.getpid(), 2))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        httpd.wait_for(1, timeout=PATIENCE)
    timer.join()
    timer = threading.Timer(0.05, os.kill, (os.getpid(), 2))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        httpd.wait_for(1, path="/x", timeout=PATIENCE)
    timer.join()


# Statistics.


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
        uptime=lambda seconds: seconds >= 0,
    )
    assert stats == httpd.stats() or stats.total_requests == 2


def test_expect_stats_tells_each_difference(httpd: Server) -> None:
    """StatsMismatchError, an AssertionError, with the requests that came."""
    exchange(httpd.port, get("/b"))

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


# The story.


def test_the_story_is_kept(httpd: Server) -> None:
    """Every line of a connection up to the call, numbered from 0 after a reset."""
    for _ in range(2):
        httpd.reset()
        assert httpd.story() == ""
        exchange(httpd.port, get("/a"))
        httpd.expect_stats(active_connections=0)
        lines = httpd.story().split("\n")
        assert lines[0].startswith("[CONN 0] New connection from 127.0.0.1:")
        assert "[CONN 0] Parsed: GET /a HTTP/1.1" in lines
        assert lines[-1].startswith("[CONN 0] Total lifetime: ")


def test_the_story_has_a_length(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """The last lines are kept and the others counted; none where none are wanted."""
    server: Server = pooled_httpd_factory()
    server.keep_story(5)
    with Raw(server.port) as raw:
        for _ in range(20):
            raw.send(get("/a"))
            raw.response()
    server.expect_stats(active_connections=0)
    first, *lines = server.story().split("\n")
    assert first.endswith(" lines before these have given way)")
    assert len(lines) == 5
    assert lines[-1].startswith("[CONN 0] Total lifetime: ")
    server.keep_story(0)
    exchange(server.port, get("/a"))
    assert server.story() == ""


# A new beginning.


class SlowHandler(logging.Handler):
    """Keeps lines, but takes none while it may not go on."""

    def __init__(self) -> None:
        """Go on at first."""
        super().__init__()
        self.is_held = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, sooner or later."""
        if not self.goes_on.is_set():
            self.is_held.set()
            self.goes_on.wait(PATIENCE)
        self.lines.append(record.getMessage())


@pytest.fixture
def slow_handler() -> Iterator[SlowHandler]:
    """Let a test hold up the log."""
    handler, logger = SlowHandler(), logging.getLogger("pooled_httpd")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_reset_does_not_wait_for_a_handler_and_forgets_what_it_holds_up(
    tmp_path: Path, slow_handler: SlowHandler
) -> None:
    """What is in the log's ring by then is told to the handler later, and is no part of the story any more."""
    with Server(tmp_path) as server:
        server.keep_story()
        slow_handler.goes_on.clear()
        try:
            for _ in range(20):
                assert exchange(server.port, get("/before")).status == 404
            assert slow_handler.is_held.wait(PATIENCE)
            begun = time.monotonic()
            server.reset()
            assert time.monotonic() - begun < 0.5
            assert server.story() == ""
            assert exchange(server.port, get("/after")).status == 404
        finally:
            slow_handler.goes_on.set()
        deadline = time.monotonic() + PATIENCE
        while "Total lifetime" not in (story := server.story()):
            assert time.monotonic() < deadline, story
        assert story.startswith("[CONN 0] New connection from 127.0.0.1:")
        assert (story.count("GET /after"), story.count("GET /before"), story.count("[INFO]")) == (1, 0, 0)
    assert sum("GET /before" in line for line in slow_handler.lines) == 20


def test_reset_begins_anew(httpd: Server) -> None:
    """Answers, connections, statistics, requests and story; the port and the files stay."""
    httpd.write("file", "file")
    httpd.respond("/a", content=b"x")
    httpd.respond("/stall", content=b"x" * 10, fault=Stall("middle"))
    port = httpd.port
    with Raw(port) as idle, Raw(port) as stalled, Raw(port) as half:
        assert idle.send(get("/a")).response().content == b"x"
        stalled.send(get("/stall"))
        half.send(b"GET /half")
        httpd.expect_stats(total_connections=3, total_requests=2)
        assert httpd.open_connections == 3
        assert httpd.reset() == 3
        assert (idle.closed(), half.closed()) == (True, True)
        stats = httpd.stats()
        assert (stats.total_requests, stats.total_connections, stats.bytes_received, stats.responses) == (0, 0, 0, {})
        assert (httpd.requests(), httpd.story(), httpd.open_connections) == ([], "", 0)
    assert httpd.port == port
    assert exchange(port, get("/a")).status == 404
    assert exchange(port, get("/file")).content == b"file"
    assert [(got.connection, got.path) for got in httpd.requests()] == [(0, "/a"), (1, "/file")]


def test_reset_from_many_threads(httpd: Server) -> None:
    """While others ask: nothing hangs, and the last reset leaves nothing."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", httpd.port), timeout=PATIENCE) as client:
                    client.sendall(get("/a"))
                    client.recv(1000)
            except ConnectionError:
                pass

    def reset() -> None:
        for _ in range(50):
            httpd.reset()

    askers = [threading.Thread(target=ask) for _ in range(3)]
    resetters = [threading.Thread(target=reset) for _ in range(3)]
    for thread in askers + resetters:
        thread.start()
    for thread in resetters:
        thread.join()
    stop.set()
    for thread in askers:
        thread.join()
    httpd.reset()
    assert (httpd.stats().total_requests, httpd.requests()) == (0, [])


# Files.


def test_write_writes_beneath_the_root(httpd: Server) -> None:
    """Text as UTF-8, bytes as they are, with directories; another time it is replaced, and never seen in part."""
    path = httpd.write("/deep/er/ü.txt", "ü")
    assert path == Path(httpd.docroot).resolve() / "deep/er/ü.txt"
    assert path.stat().st_mode & 0o777 == 0o644
    assert exchange(httpd.port, get("/deep/er/%C3%BC.txt")).content == "ü".encode()
    for content in (b"\x00\xff", b"", b"x" * 300_000):
        httpd.write(Path("deep/er/ü.txt"), content)
        assert exchange(httpd.port, get("/deep/er/%C3%BC.txt")).content == content
    assert [entry.name for entry in path.parent.iterdir()] == ["ü.txt"]


@pytest.mark.parametrize("path", ["", "/", "../x", "a/../../x", "."])
def test_write_stays_beneath_the_root(httpd: Server, path: str) -> None:
    """OptionError, and nothing is written."""
    with pytest.raises(pooled_httpd.OptionError, match="is not the name of a file beneath the document root"):
        httpd.write(path, "x")
    assert list(Path(httpd.docroot).iterdir()) == []


# asyncio.


def test_an_event_loop_goes_on_meanwhile(httpd: Server) -> None:
    """A task that ticks goes on while others wait for requests, statistics and a reset."""
    server = httpd.asynchronous()

    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with pytest.raises(pooled_httpd.WaitTimeoutError):
            await server.wait_for(1, timeout=0.2)
        with pytest.raises(pooled_httpd.StatsMismatchError):
            await server.expect_stats(total_requests=1, timeout=0.2)
        await server.reset()
        ticking.cancel()
        return ticks

    assert asyncio.run(main()) > 40


def test_a_cancelled_wait_leaves_no_thread_waiting(httpd: Server) -> None:
    """Cancelled long before its timeout: the executor's thread is free at once, and so is the end of the loop."""
    server = httpd.asynchronous()

    async def main() -> None:
        tasks = [asyncio.create_task(server.wait_for(1, timeout=600)) for _ in range(5)]
        tasks.append(asyncio.create_task(server.wait_for(1, path="/x", timeout=600)))
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )

    threads = len(os.listdir("/proc/self/task"))
    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < PATIENCE
    assert threads_left(threads) <= threads


def test_a_cancelled_expect_stats_ends_too(httpd: Server) -> None:
    """With an hour to wait."""
    server = httpd.asynchronous()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.expect_stats(total_requests=1, timeout=3600), 0.05)

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < PATIENCE


def test_an_async_server_is_the_same_server(tmp_path: Path) -> None:
    """Started, run until it is cancelled or stopped, and used meanwhile; nothing of it is left."""
    descriptors = open_descriptors()
    server = Server(tmp_path)
    server.record_requests()
    awaited = server.asynchronous()
    assert isinstance(awaited, AsyncServer)
    assert (awaited.url, awaited.port, awaited.host) == (server.url, server.port, server.host)

    async def main() -> None:
        running = asyncio.create_task(awaited.run())
        while not awaited.is_running:
            await asyncio.sleep(0.001)
        awaited.respond("/a", content=b"a")
        awaited.write("b", "b")
        contents = [await asyncio.to_thread(exchange, server.port, get(path)) for path in ("/a", "/b")]
        assert [response.content for response in contents] == [b"a", b"b"]
        assert [got.path for got in await awaited.wait_for(2)] == ["/a", "/b"]
        assert (await awaited.expect_stats(total_requests=2)).total_requests == 2
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert not server.is_running
    server.destroy()
    assert open_descriptors() <= descriptors


def test_a_reset_that_was_registered_is_told_of(httpd: Server) -> None:
    """The story says what was registered and what came of it."""
    httpd.respond("/a", content=b"x" * 10, fault=[Stall(2, seconds=0.01), Reset(5)])
    with Raw(httpd.port) as raw:
        assert raw.send(get("/a")).closed() is False
    httpd.expect_stats(active_connections=0)
    lines = httpd.story().split("\n")
    for line in (
        "Answering as registered: 200 (5 bytes)",
        "Waiting as registered: 10 ms",
        "Ended as registered: reset",
    ):
        assert f"[CONN 0] {line}" in lines


# What a reviewer found.


def test_waits_for_asyncio_need_no_thread_of_the_loop(httpd: Server) -> None:
    """Clients that have taken all of them are waited for, and the stop that would free them is not kept waiting."""
    httpd.respond("/stalls", fault=Stall("start"))
    httpd.respond("/quick")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        taken = threading.Event()
        blocked = [loop.run_in_executor(None, taken.wait, PATIENCE) for _ in range((os.cpu_count() or 1) + 8)]
        server = httpd.asynchronous()
        with pytest.raises(WaitTimeoutError):
            await asyncio.wait_for(server.wait_for(1, path="/nothing", timeout=0.05), PATIENCE / 2)
        await asyncio.wait_for(server.reset(), PATIENCE / 2)
        taken.set()
        await asyncio.gather(*blocked)

    asyncio.run(run())


def test_a_start_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    """Neither by ``run`` nor by ``async with``."""

    async def run(enter: Callable[[Server], Coroutine[Any, Any, None]]) -> None:
        server = Server(tmp_path)
        task = asyncio.create_task(enter(server))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_running
        server.destroy()

    async def by_run(server: Server) -> None:
        await server.asynchronous().run()

    async def by_with(server: Server) -> None:
        async with server:
            await asyncio.sleep(PATIENCE)

    for enter in (by_run, by_with):
        asyncio.run(run(enter))


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


@pytest.mark.parametrize("timeout", [float("nan"), -1, None, "1", True])
def test_a_timeout_is_a_number_of_seconds(httpd: Server, timeout: Any) -> None:  # noqa: ANN401
    """Anything else is told, and nothing is waited for."""
    for wait in (
        functools.partial(httpd.wait_for, 9, path="/x"),
        functools.partial(httpd.wait_for, 9),
        functools.partial(httpd.expect_stats, total_requests=9),
    ):
        with pytest.raises(OptionError, match=r"timeout: .* is not allowed"):
            wait(timeout=timeout)


def test_write_keeps_to_the_root_that_the_server_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the current directory is by then."""
    (tmp_path / "www").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with Server("www") as server:
        monkeypatch.chdir(tmp_path / "other")
        assert server.write("a", "x") == tmp_path / "www" / "a"


def test_used_up_answers_make_room(httpd: Server) -> None:
    """More than can be registered at a time, one after the other."""
    with Raw(httpd.port) as raw:
        for _ in range(1100):
            httpd.respond("/u", times=1)
            raw.send(get("/u"))
            assert raw.response().status == 200
