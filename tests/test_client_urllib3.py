"""urllib3 against the fixture: retries, timeouts, framing, redirects, pools: what its own suite asks of a server."""

from __future__ import annotations

import email.utils
import gzip
import threading
import time
import zlib
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import brotli
import pytest
import urllib3
from pooled_httpd import Server
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Place, Reset, Stall
from support import PATIENCE
from urllib3.exceptions import (
    DecodeError,
    EmptyPoolError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    ResponseError,
)
from urllib3.util import Retry, Timeout, make_headers

#: A timeout that is meant to pass, in seconds.
SHORT = 0.1


@pytest.fixture
def pool(pooled_httpd: Server) -> Iterator[urllib3.HTTPConnectionPool]:
    """One kept connection to the fixture's server."""
    with urllib3.HTTPConnectionPool("127.0.0.1", pooled_httpd.port, maxsize=1, timeout=PATIENCE) as pool:
        yield pool


@pytest.fixture
def manager(pooled_httpd: Server) -> Iterator[urllib3.PoolManager]:
    """A pool manager, which follows redirects to other hosts; ``pooled_httpd`` outlives it."""
    assert pooled_httpd.is_running
    with urllib3.PoolManager(timeout=PATIENCE) as manager:
        yield manager


def connections(server: Server) -> int:
    """How many connections it has accepted."""
    return server.stats().total_connections


# Retries.


def test_a_status_is_retried_until_the_answer_is_there(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """``times=2`` is two failures; the third request gets the file, on the same connection."""
    pooled_httpd.write("api", "done")
    failing = pooled_httpd.respond("/api", status=503, content=b"later", times=2)
    response = pool.request("GET", "/api", retries=Retry(5, status_forcelist=[503], backoff_factor=0))
    assert response.data == b"done"
    assert response.retries is not None
    assert [tried.status for tried in response.retries.history] == [503, 503]
    assert failing.served == 2
    pooled_httpd.expect_stats(total_requests=3, total_connections=1, responses={503: 2, 200: 1})


def test_retries_come_to_an_end(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """One request and two more, then MaxRetryError with what was wrong."""
    failing = pooled_httpd.respond("/api", status=502)
    with pytest.raises(MaxRetryError) as caught:
        pool.request("GET", "/api", retries=Retry(2, status_forcelist=[502]))
    assert isinstance(caught.value.reason, ResponseError)
    assert str(caught.value.reason) == "too many 502 error responses"
    assert failing.served == 3


def test_the_last_answer_is_returned_where_that_is_wanted(
    pooled_httpd: Server, pool: urllib3.HTTPConnectionPool
) -> None:
    """``raise_on_status=False``."""
    pooled_httpd.respond("/api", status=500, content=b"broken")
    response = pool.request("GET", "/api", retries=Retry(1, status_forcelist=[500], raise_on_status=False))
    assert (response.status, response.data) == (500, b"broken")
    assert pooled_httpd.stats().responses == {500: 2}


def test_a_status_that_is_not_listed_is_not_retried(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """404 is an answer."""
    assert pool.request("GET", "/none", retries=Retry(5, status_forcelist=[503])).status == 404
    assert pooled_httpd.stats().responses == {404: 1}


def test_only_idempotent_methods_are_retried(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """A POST gets its 503; where every method may be retried, its content comes whole each time."""
    pooled_httpd.respond("/api", status=503, times=2)
    pooled_httpd.respond("/api", status=201)
    retries = Retry(3, status_forcelist=[503])
    assert pool.request("POST", "/api", body=b"content", retries=retries).status == 503
    retries = Retry(3, status_forcelist=[503], allowed_methods=None)
    assert pool.request("POST", "/api", body=b"content", retries=retries).status == 201
    assert [(got.status, got.content) for got in pooled_httpd.requests(method="POST")] == [
        (503, b"content"),
        (503, b"content"),
        (201, b"content"),
    ]


def test_retry_after_in_seconds_is_waited_for(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """``Retry-After: 1`` with a 429."""
    pooled_httpd.respond("/api", status=429, headers={"Retry-After": "1"}, times=1)
    pooled_httpd.respond("/api", content=b"now")
    begun = time.monotonic()
    assert pool.request("GET", "/api", retries=Retry(1)).data == b"now"
    assert time.monotonic() - begun >= 1


def test_retry_after_a_date_is_waited_for(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """``Retry-After`` with a date: nothing is sent before it."""
    date = int(time.time()) + 2
    pooled_httpd.respond(
        "/api", status=503, headers={"Retry-After": email.utils.formatdate(date, usegmt=True)}, times=1
    )
    pooled_httpd.respond("/api", content=b"now")
    assert pool.request("GET", "/api", retries=Retry(1)).data == b"now"
    assert pooled_httpd.requests()[1].time >= date - 0.01


def test_retry_after_can_be_ignored(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """An hour is not waited for where the client does not respect it."""
    pooled_httpd.respond("/api", status=503, headers={"Retry-After": "3600"}, times=1)
    pooled_httpd.respond("/api", content=b"now")
    retries = Retry(1, status_forcelist=[503], respect_retry_after_header=False)
    assert pool.request("GET", "/api", retries=retries).data == b"now"


@pytest.mark.parametrize(
    "fault",
    [
        Close(),
        Reset("start"),
        Reset("head"),
        Reset("middle"),
        CutShort("start"),
        CutShort("head"),
        CutShort(1),
        Garbage(),
    ],
    ids=repr,
)
def test_a_broken_answer_is_retried_on_a_new_connection(
    pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, fault: Fault
) -> None:
    """Whatever breaks the first answer, the second is whole."""
    content = b"" if isinstance(fault, Garbage) else b"content"
    broken = pooled_httpd.respond("/api", content=content, fault=fault, times=1)
    pooled_httpd.respond("/api", content=b"whole")
    response = pool.request("GET", "/api", retries=Retry(1, backoff_factor=0))
    assert response.data == b"whole"
    assert response.retries is not None
    assert [type(tried.error) for tried in response.retries.history] == [ProtocolError]
    assert (broken.served, connections(pooled_httpd)) == (1, 2)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Close(), "RemoteDisconnected"),
        (Reset("start"), "ConnectionResetError"),
        (Garbage(b"\x00\xff\r\n\r\n"), "BadStatusLine"),
        (Garbage(b"SSH-2.0-OpenSSH_9.2\r\n"), "BadStatusLine"),
        (Garbage(b"HTTP/1.1 2OO OK\r\n\r\n"), "BadStatusLine"),
        (Garbage(b"HTTP/3.7 200 OK\r\n\r\n"), "UnknownProtocol"),
    ],
    ids=repr,
)
def test_what_broke_is_told(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, fault: Fault, cause: str) -> None:
    """Without retries it is a ProtocolError with its cause."""
    pooled_httpd.respond("/api", fault=fault)
    with pytest.raises(ProtocolError) as caught:
        pool.request("GET", "/api", retries=False)
    assert type(caught.value.args[1]).__name__ == cause
    assert connections(pooled_httpd) == 1


def test_a_post_is_not_retried_after_a_reset(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """It may have been obeyed; where every method may be, it is."""
    pooled_httpd.respond("/api", fault=Reset("start"), times=2)
    pooled_httpd.respond("/api", status=201)
    with pytest.raises(ProtocolError):
        pool.request("POST", "/api", body=b"x", retries=Retry(3))
    assert pool.request("POST", "/api", body=b"x", retries=Retry(3, allowed_methods=None)).status == 201
    assert [got.status for got in pooled_httpd.requests()] == [0, 0, 201]


def test_read_errors_have_a_limit_of_their_own(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """``Retry(read=1)`` beside a larger total."""
    broken = pooled_httpd.respond("/api", fault=Close())
    with pytest.raises(MaxRetryError) as caught:
        pool.request("GET", "/api", retries=Retry(10, read=1))
    assert isinstance(caught.value.reason, ProtocolError)
    assert broken.served == 2


def test_no_connection_is_an_error_of_its_own(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """A server that has stopped refuses: NewConnectionError, which is not a broken answer."""
    server: Server = pooled_httpd_factory()
    server.stop()
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port) as pool, pytest.raises(MaxRetryError) as caught:
        pool.request("GET", "/", retries=Retry(2, connect=1, backoff_factor=0))
    assert isinstance(caught.value.reason, NewConnectionError)


# Timeouts.


def test_a_read_timeout_is_kept(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """An answer that is late raises no earlier than the timeout; the next request has a new connection."""
    pooled_httpd.respond("/late", delay=60)
    begun = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        pool.request("GET", "/late", timeout=Timeout(read=SHORT), retries=False)
    assert time.monotonic() - begun >= SHORT
    assert pool.request("GET", "/none").status == 404
    assert connections(pooled_httpd) == 2


def test_a_total_timeout_is_kept(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """``Timeout(total=…)`` bounds the wait for the head too."""
    pooled_httpd.respond("/late", fault=Stall("start"))
    begun = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        pool.request("GET", "/late", timeout=Timeout(total=SHORT), retries=False)
    assert time.monotonic() - begun >= SHORT


def test_an_answer_in_time_is_no_timeout(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """A delay is waited for, no less than it was registered."""
    pooled_httpd.respond("/late", delay=0.2, content=b"late")
    begun = time.monotonic()
    assert pool.request("GET", "/late").data == b"late"
    assert time.monotonic() - begun >= 0.2


def test_a_timeout_is_retried(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """Stalled once, then answered."""
    pooled_httpd.respond("/late", fault=Stall("start"), times=1)
    pooled_httpd.respond("/late", content=b"second")
    response = pool.request("GET", "/late", timeout=Timeout(read=SHORT), retries=Retry(1, backoff_factor=0))
    assert response.data == b"second"
    assert response.retries is not None
    assert isinstance(response.retries.history[0].error, ReadTimeoutError)


@pytest.mark.parametrize("preload", [True, False])
def test_content_that_stalls_times_out(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, preload: bool) -> None:
    """After the head, in the middle: at once with the answer, or when it is read."""
    pooled_httpd.respond("/stall", content=b"0123456789", fault=Stall(5))
    timeout = Timeout(read=SHORT)
    if preload:
        with pytest.raises(ReadTimeoutError):
            pool.request("GET", "/stall", timeout=timeout, retries=False)
    else:
        response = pool.request("GET", "/stall", timeout=timeout, retries=False, preload_content=False)
        assert (response.status, response.read(5)) == (200, b"01234")
        with pytest.raises(ReadTimeoutError):
            response.read(1)
    # The connection is worth nothing any more, and so closed.
    assert pool.request("GET", "/none").status == 404
    assert connections(pooled_httpd) == 2


def test_a_stall_that_ends_in_time_is_no_timeout(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """All of it comes, later."""
    pooled_httpd.respond("/stall", content=b"0123456789", fault=Stall("middle", seconds=0.1))
    begun = time.monotonic()
    assert pool.request("GET", "/stall").data == b"0123456789"
    assert time.monotonic() - begun >= 0.1


def test_a_read_timeout_is_of_each_read(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """A response that takes longer altogether, but never stands still for as long, is read whole."""
    pooled_httpd.respond("/slow", content=b"x" * 20, fault=Dribble(10, 0.03))
    begun = time.monotonic()
    assert pool.request("GET", "/slow", timeout=Timeout(read=2.0)).data == b"x" * 20
    assert time.monotonic() - begun >= 0.3


# Framing.


def test_a_dribbled_response_is_put_together(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """Head and content byte by byte; the connection goes on."""
    pooled_httpd.respond("/slow", content=b"content", headers={"X-Name": "value"}, fault=Dribble(1, 0.0))
    for _ in range(2):
        response = pool.request("GET", "/slow")
        assert (response.data, response.headers["x-name"]) == (b"content", "value")
    assert connections(pooled_httpd) == 1


def test_content_that_is_cut_short_is_told(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """IncompleteRead with what came and what is missing; or what came, where the length is not enforced."""
    pooled_httpd.respond("/cut", content=b"0123456789", fault=CutShort(4))
    response = pool.request("GET", "/cut", preload_content=False, retries=False)
    with pytest.raises(ProtocolError, match="4 bytes read, 6 more expected"):
        response.read()
    response = pool.request("GET", "/cut", preload_content=False, enforce_content_length=False)
    assert response.read(100) == b"0123"


@pytest.mark.parametrize("closes", [False, True])
def test_a_length_that_promises_too_much(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, closes: bool) -> None:
    """The client waits for the rest, or learns by the close that none comes."""
    fields = {"Content-Length": "10"} | ({"Connection": "close"} if closes else {})
    pooled_httpd.respond("/short", headers=fields, content=b"01234")
    with pytest.raises(ProtocolError if closes else ReadTimeoutError, match="5 bytes read" if closes else "timed out"):
        pool.request("GET", "/short", retries=False, timeout=PATIENCE if closes else SHORT)


def test_bytes_behind_the_content_spoil_the_connection(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """A length that is too small: what follows later is never read as the next answer."""
    late = Stall(3, seconds=0.05)
    pooled_httpd.respond("/long", headers={"Content-Length": "3"}, content=b"abcdef", fault=late)
    assert pool.request("GET", "/long", retries=False).data == b"abc"
    assert pooled_httpd.wait_for(1)[0].bytes_sent == 6
    assert pool.request("GET", "/none", retries=False).status == 404
    assert connections(pooled_httpd) == 2


def test_chunked_content(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """Decoded, its extensions and trailers passed over; by chunks where it is streamed."""
    content = b"5;name=value\r\nhello\r\n1\r\n \r\nA\r\nlong world\r\n0\r\nX-Trailer: 1\r\n\r\n"
    pooled_httpd.respond("/chunked", headers={"Transfer-Encoding": "chunked"}, content=content)
    assert pool.request("GET", "/chunked").data == b"hello long world"
    response = pool.request("GET", "/chunked", preload_content=False)
    assert list(response.stream()) == [b"hello", b" ", b"long world"]
    assert pool.request("GET", "/chunked").headers["transfer-encoding"] == "chunked"
    assert connections(pooled_httpd) == 1


def test_chunked_content_byte_by_byte(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """Every boundary falls between two reads."""
    content = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    pooled_httpd.respond("/chunked", headers={"Transfer-Encoding": "chunked"}, content=content, fault=Dribble(1, 0.0))
    assert pool.request("GET", "/chunked").data == b"hello world"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"zz\r\nhello\r\n0\r\n\r\n", "InvalidChunkLength"),
        (b"5\r\nhel", "IncompleteRead"),
        (b"5\r\nhello\r\n", "ended prematurely"),
        (b"", "ended prematurely"),
    ],
)
def test_broken_chunks_are_told(
    pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, content: bytes, error: str
) -> None:
    """Sizes that are none, and an end where none may be."""
    fields = {"Transfer-Encoding": "chunked", "Connection": "close"}
    pooled_httpd.respond("/chunked", headers=fields, content=content)
    response = pool.request("GET", "/chunked", preload_content=False, retries=False)
    with pytest.raises(ProtocolError, match=error):
        b"".join(response.stream())


def test_content_until_the_close(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """Neither a length nor chunks: all that comes is content."""
    pooled_httpd.respond("/", fault=Garbage(b"HTTP/1.1 200 OK\r\nServer: old\r\n\r\n" + b"all of it" * 1000))
    response = pool.request("GET", "/")
    assert (response.data, response.headers["server"]) == (b"all of it" * 1000, "old")


def test_a_chunked_upload_arrives(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """A generator's pieces, in chunks, read whole and kept without their framing."""
    pooled_httpd.respond("/upload", method="PUT", status=201)
    pieces = [b"one", b"", b"two", b"x" * 70_000]
    assert pool.request("PUT", "/upload", body=iter(pieces), chunked=True).status == 201
    (got,) = pooled_httpd.requests()
    assert (got.content, got.content_length) == (b"".join(pieces), 70_006)
    assert got.fields["transfer-encoding"] == "chunked"
    assert "content-length" not in got.fields


def test_a_form_upload_arrives(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """multipart/form-data with a file of a name that is not ASCII."""
    pooled_httpd.respond("/upload", method="POST", status=201)
    fields: dict[str, Any] = {"field": "välue", "file": ("lölcat.txt", b"I'm in ur multipart", "text/plain")}
    assert pool.request("POST", "/upload", fields=fields).status == 201
    (got,) = pooled_httpd.requests()
    kind, _, boundary = got.fields["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    assert got.content.endswith(f"\r\n--{boundary}--\r\n".encode())
    assert 'filename="lölcat.txt"' in got.text
    assert int(got.fields["content-length"]) == len(got.content)


# Redirects.


@pytest.mark.parametrize(
    ("status", "method", "content"),
    [(301, "POST", b"x"), (302, "POST", b"x"), (303, "GET", b""), (307, "POST", b"x"), (308, "POST", b"x")],
)
def test_what_becomes_of_a_post(
    pooled_httpd: Server, manager: urllib3.PoolManager, status: int, method: str, content: bytes
) -> None:
    """303 makes it a GET without content; the others leave it as it is."""
    pooled_httpd.respond("/old", status=status, headers={"Location": "/new"})
    pooled_httpd.respond("/new", content=b"there")
    response = manager.request("POST", pooled_httpd.url_for("/old"), body=b"x")
    assert (response.data, response.geturl()) == (b"there", "/new")
    first, second = pooled_httpd.requests()
    assert (first.method, first.content, first.status) == ("POST", b"x", status)
    assert (second.method, second.content, second.target) == (method, content, "/new")
    assert second.connection == first.connection


def test_redirects_come_to_an_end(pooled_httpd: Server, manager: urllib3.PoolManager) -> None:
    """A loop is followed as often as was allowed."""
    loop = pooled_httpd.respond("/loop", status=302, headers={"Location": "/loop"})
    with pytest.raises(MaxRetryError, match="too many redirects"):
        manager.request("GET", pooled_httpd.url_for("/loop"), retries=Retry(redirect=4))
    assert loop.served == 5
    assert connections(pooled_httpd) == 1


def test_a_redirect_can_be_left_alone(pooled_httpd: Server, manager: urllib3.PoolManager) -> None:
    """``redirect=False``: the directory's own redirect of the server is the answer."""
    pooled_httpd.write("dir/index.html", "index")
    response = manager.request("GET", pooled_httpd.url_for("/dir"), redirect=False)
    assert (response.status, response.headers["location"]) == (301, "/dir/")
    response = manager.request("GET", pooled_httpd.url_for("/dir"))
    assert (response.data, response.geturl()) == (b"index", "/dir/")


def test_credentials_do_not_go_to_another_host(pooled_httpd: Server, manager: urllib3.PoolManager) -> None:
    """Authorization and Cookie are dropped where the host changes, and only there."""
    pooled_httpd.respond("/same", status=302, headers={"Location": "/end"})
    pooled_httpd.respond("/other", status=302, headers={"Location": f"http://localhost:{pooled_httpd.port}/end"})
    pooled_httpd.respond("/end", content=b"end")
    fields = {"Authorization": "Basic x", "Cookie": "a=b", "X-Other": "c"}
    for path in ("/same", "/other"):
        assert manager.request("GET", pooled_httpd.url_for(path), headers=fields).data == b"end"
    same, other = pooled_httpd.requests(path="/end")
    assert (same.fields.get("authorization"), same.fields.get("cookie")) == ("Basic x", "a=b")
    assert (other.fields.get("authorization"), other.fields.get("cookie")) == (None, None)
    assert other.fields["host"] == f"localhost:{pooled_httpd.port}"
    assert (same.fields["x-other"], other.fields["x-other"]) == ("c", "c")


# Pools.


def test_a_connection_is_used_again(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """Ten requests, whatever their answers, on one connection."""
    pooled_httpd.write("a", "a")
    for path in ("/a", "/none", "/a", "/none", "/a"):
        pool.request("GET", path)
        pool.request("HEAD", path)
    assert (pool.num_connections, pool.num_requests) == (1, 10)
    pooled_httpd.expect_stats(total_connections=1, total_requests=10)
    assert [got.number for got in pooled_httpd.requests()] == list(range(1, 11))


def test_a_connection_that_is_said_to_close_is_not_used_again(
    pooled_httpd: Server, pool: urllib3.HTTPConnectionPool
) -> None:
    """``Connection: close`` in the answer: each request has a connection of its own."""
    pooled_httpd.respond("/close", headers={"Connection": "close"}, content=b"x")
    for _ in range(3):
        assert pool.request("GET", "/close", retries=False).data == b"x"
    assert connections(pooled_httpd) == 3


def wait_until_closed(server: Server) -> None:
    """Wait until the server holds no connection any more."""
    server.expect_stats(active_connections=0, timeout=PATIENCE)


def test_a_stale_connection_is_replaced(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """The server's keep-alive timeout closes it between two requests: no retry is spent."""
    server: Server = pooled_httpd_factory(keepalive_timeout=0.02)
    server.write("a", "a")
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1) as pool:
        for _ in range(3):
            assert pool.request("GET", "/a", retries=False).data == b"a"
            wait_until_closed(server)
    stats = server.expect_stats(total_requests=3, total_connections=3)
    assert stats.timeouts == {"header": 0, "keepalive": 3, "content": 0, "send": 0}


def test_a_reset_of_the_server_closes_what_the_pool_keeps(
    pooled_httpd: Server, pool: urllib3.HTTPConnectionPool
) -> None:
    """``reset()`` between two requests: the pool opens a new connection, on the same port."""
    assert pool.request("GET", "/none", retries=False).status == 404
    assert pooled_httpd.reset() == 1
    assert pool.request("GET", "/none", retries=False).status == 404
    pooled_httpd.expect_stats(total_connections=1, total_requests=1)


def test_a_server_that_limits_requests_is_followed(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """Two requests for each connection."""
    server: Server = pooled_httpd_factory(max_requests_per_connection=2)
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1) as pool:
        for _ in range(6):
            assert pool.request("GET", "/none", retries=False).status == 404
    assert connections(server) == 3


@pytest.mark.parametrize("block", [True, False])
def test_the_size_of_a_pool_under_concurrency(pooled_httpd: Server, block: bool) -> None:
    """Six threads through a pool of two: never more than two connections where it blocks, more where it does not."""
    pooled_httpd.respond("/slow", delay=0.2, content=b"x")
    statuses: list[int] = []
    with urllib3.HTTPConnectionPool("127.0.0.1", pooled_httpd.port, maxsize=2, block=block) as pool:
        threads = [
            threading.Thread(target=lambda: statuses.append(pool.request("GET", "/slow").status)) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 6
    stats = pooled_httpd.stats()
    assert (stats.peak_connections, stats.total_connections) == (2, 2) if block else stats.peak_connections > 2


def test_an_empty_pool_is_waited_for_only_so_long(pooled_httpd: Server) -> None:
    """A response that is not read keeps its connection; the next request finds none, until it is read."""
    pooled_httpd.write("large", b"x" * 300_000)
    with urllib3.HTTPConnectionPool("127.0.0.1", pooled_httpd.port, maxsize=1, block=True) as pool:
        held = pool.request("GET", "/large", preload_content=False)
        with pytest.raises(EmptyPoolError):
            pool.request("GET", "/none", pool_timeout=0.01)
        assert len(held.read()) == 300_000
        assert pool.request("GET", "/none", pool_timeout=0.01).status == 404
    assert connections(pooled_httpd) == 1


def test_a_response_read_in_part_can_be_drained(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """Drained, its connection is used again; closed, it is not."""
    pooled_httpd.write("large", b"x" * 300_000)
    response = pool.request("GET", "/large", preload_content=False)
    assert len(response.read(1000)) == 1000
    response.drain_conn()
    response.release_conn()
    assert pool.request("GET", "/none").status == 404
    assert connections(pooled_httpd) == 1
    response = pool.request("GET", "/large", preload_content=False)
    assert len(response.read(1000)) == 1000
    response.close()
    assert pool.request("GET", "/none").status == 404
    assert connections(pooled_httpd) == 2


def test_a_large_file_is_streamed(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """In pieces of the size that was asked for."""
    content = bytes(range(256)) * 4000
    pooled_httpd.write("large", content)
    pieces = list(pool.request("GET", "/large", preload_content=False).stream(65_536))
    assert b"".join(pieces) == content
    assert {len(piece) for piece in pieces[:-1]} == {65_536}


# Heads.


@pytest.mark.parametrize(
    ("method", "status", "fields"),
    [
        ("HEAD", 200, {"Content-Length": "1000"}),
        ("HEAD", 200, {"Transfer-Encoding": "chunked"}),
        ("GET", 204, {}),
        ("GET", 304, {"ETag": '"x"'}),
        ("GET", 304, {"Content-Length": "1000"}),
    ],
)
def test_answers_without_content_do_not_hang(
    pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, method: str, status: int, fields: dict[str, str]
) -> None:
    """And leave the connection in step."""
    pooled_httpd.respond("/nothing", status=status, headers=fields)
    for _ in range(2):
        response = pool.request(method, "/nothing", retries=False)
        assert (response.status, response.data) == (status, b"")
        assert fields.items() <= response.headers.items()
    assert connections(pooled_httpd) == 1


@pytest.mark.parametrize("status", [200, 226, 299, 418, 451, 511, 599, 799, 999])
def test_unusual_status_codes(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, status: int) -> None:
    """Each code with its phrase, with none, or with another."""
    pooled_httpd.respond("/code", status=status, content=b"x")
    pooled_httpd.respond("/other", status=status, reason="As Told")
    response = pool.request("GET", "/code")
    known = {200: "OK", 226: "IM Used", 418: "I'm a teapot", 451: "Unavailable For Legal Reasons"}
    known[511] = "Network Authentication Required"
    assert (response.status, response.reason, response.data) == (status, known.get(status, ""), b"x")
    assert pool.request("GET", "/other").reason == "As Told"
    assert pooled_httpd.stats().responses == {status: 2}


def test_fields_keep_their_order_and_case(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """In both directions; a name may stand several times."""
    sent = [("X-Third", "3"), ("x-first", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/"), ("X-Empty", "")]
    pooled_httpd.respond("/", headers=sent)
    request_fields = urllib3.HTTPHeaderDict([("X-Zed", "1"), ("x-ALPHA", "2"), ("X-Zed", "3")])
    response = pool.request("GET", "/", headers=request_fields)
    assert [pair for pair in response.headers.iteritems() if pair in sent] == sent
    assert response.headers.getlist("set-cookie") == ["a=1", "b=2; Path=/"]
    (got,) = pooled_httpd.requests()
    own = [(name, value) for name, value in got.fields if name.lower().startswith("x-")]
    assert own == [("X-Zed", "1"), ("X-Zed", "3"), ("x-ALPHA", "2")]


def test_many_fields(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """As many as the client takes; one more is a protocol error."""
    fields = {f"X-Field-{number}": str(number) for number in range(96)}
    pooled_httpd.respond("/many", headers=fields)
    pooled_httpd.respond("/more", headers=fields | {f"X-More-{number}": "1" for number in range(10)})
    assert fields.items() <= pool.request("GET", "/many").headers.items()
    with pytest.raises(ProtocolError, match="100 headers"):
        pool.request("GET", "/more", retries=False)


def test_a_field_line_longer_than_the_client_takes(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """70,000 bytes in a server that has the room for it."""
    server: Server = pooled_httpd_factory(buffer_size=131_072)
    server.respond("/long", headers={"X-Long": "x" * 70_000})
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port) as pool, pytest.raises(ProtocolError, match="65536"):
        pool.request("GET", "/long", retries=False)


@pytest.mark.parametrize(
    ("url", "target", "path", "query"),
    [
        ("/a b", "/a%20b", "/a b", ""),
        ("/ünï/☃?q=ü&r=%2F", "/%C3%BCn%C3%AF/%E2%98%83?q=%C3%BC&r=%2F", "/ünï/☃", "q=%C3%BC&r=%2F"),
        ("/a/../b/./c", "/a/../b/./c", "/b/c", ""),
        ("/a%2db;c=d?", "/a%2Db;c=d?", "/a-b;c=d", ""),
    ],
)
def test_targets_as_they_are_received(
    pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, url: str, target: str, path: str, query: str
) -> None:
    """What the client made of a URL is there to be checked."""
    pool.request("GET", url)
    (got,) = pooled_httpd.requests()
    assert (got.target, got.path, got.query, got.is_valid) == (target, path, query, True)


def test_a_user_agent_of_its_own(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """The client's, or that which was told."""
    pool.request("GET", "/")
    pool.request("GET", "/", headers={"User-Agent": "mine/1"})
    first, second = pooled_httpd.requests()
    assert first.fields["user-agent"] == f"python-urllib3/{metadata.version('urllib3')}"
    assert second.fields.all("user-agent") == ["mine/1"]


def test_a_challenge_is_answered(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """401 with a challenge once; then the credentials are there to be checked."""
    pooled_httpd.respond("/me", status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}, times=1)
    pooled_httpd.respond("/me", content=b"you")
    assert pool.request("GET", "/me").headers["www-authenticate"] == 'Basic realm="x"'
    assert pool.request("GET", "/me", headers=make_headers(basic_auth="name:word")).data == b"you"
    assert pooled_httpd.requests()[1].fields["authorization"] == "Basic bmFtZTp3b3Jk"


def test_a_proxy_is_asked_by_the_absolute_form(pooled_httpd: Server) -> None:
    """The server stands for a proxy: it gets the whole URL, and serves its path."""
    pooled_httpd.write("a.txt", "through a proxy")
    with urllib3.ProxyManager(pooled_httpd.url, proxy_headers={"X-Proxy": "1"}) as proxy:
        assert proxy.request("GET", "http://example.invalid/a.txt?b=c").data == b"through a proxy"
    (got,) = pooled_httpd.requests()
    assert (got.target, got.path, got.query) == ("http://example.invalid/a.txt?b=c", "/a.txt", "b=c")
    assert (got.fields["host"], got.fields["x-proxy"]) == ("example.invalid", "1")


def test_a_tunnel_is_refused(pooled_httpd: Server) -> None:
    """CONNECT gets no tunnel: the proxy's answer is told."""
    with urllib3.ProxyManager(pooled_httpd.url) as proxy, pytest.raises(MaxRetryError, match="405"):
        proxy.request("GET", "https://example.invalid/", retries=Retry(0))
    assert [got.method for got in pooled_httpd.requests()] == ["CONNECT"]


# Content codings.

TEXT = b"the same line again and again\n" * 1000


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [("gzip", gzip.compress(TEXT)), ("deflate", zlib.compress(TEXT)), ("br", brotli.compress(TEXT))],
    ids=["gzip", "deflate", "br"],
)
def test_content_codings(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, coding: str, encoded: bytes) -> None:
    """Decoded, or left alone; what is broken is told."""
    pooled_httpd.respond("/coded", headers={"Content-Encoding": coding}, content=encoded)
    pooled_httpd.respond("/broken", headers={"Content-Encoding": coding}, content=b"\x00not coded at all")
    assert pool.request("GET", "/coded").data == TEXT
    assert pool.request("GET", "/coded", decode_content=False).data == encoded
    response = pool.request("GET", "/coded", preload_content=False)
    assert b"".join(response.stream(100)) == TEXT
    with pytest.raises(DecodeError):
        pool.request("GET", "/broken", retries=False)


def test_gzip_in_chunks(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool) -> None:
    """A coding inside another."""
    encoded = gzip.compress(TEXT)
    pieces = [encoded[start : start + 10] for start in range(0, len(encoded), 10)]
    content = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    pooled_httpd.respond("/both", headers={"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}, content=content)
    assert pool.request("GET", "/both").data == TEXT


@pytest.mark.parametrize("at", ["start", "head", "middle", 0, 1, 9])
def test_no_place_of_a_reset_hangs(pooled_httpd: Server, pool: urllib3.HTTPConnectionPool, at: Place) -> None:
    """Wherever it is, the client sees a protocol error, and the pool goes on."""
    pooled_httpd.respond("/reset", content=b"0123456789", fault=Reset(at))
    with pytest.raises(ProtocolError):
        pool.request("GET", "/reset", retries=False)
    assert pool.request("GET", "/none").status == 404
