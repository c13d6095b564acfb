"""urllib3 against the fixture: retries, timeouts, framing, redirects, pools: what its own suite asks of a server."""

from __future__ import annotations

import email.utils
import threading
import time
from typing import Any

import pytest
import urllib3
from pooled_httpd import Server
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Reset, Stall
from support import PATIENCE
from urllib3.exceptions import (
    EmptyPoolError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    ResponseError,
)
from urllib3.util import Retry, Timeout
from urllib3_pools import SHORT, connections

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
