"""httpx against the fixture: redirects, timeouts, pools, what breaks; its client for asyncio has a file of its own."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from httpx_clients import SHORT, client_of_the_fixture  # noqa: F401 - a fixture
from pooled_httpd import Server
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Place, Reset, Stall
from support import PATIENCE

# Redirects.


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (303, "HEAD", "HEAD"),
        (302, "HEAD", "HEAD"),
    ],
)
def test_what_becomes_of_a_method(
    pooled_httpd: Server, client: httpx.Client, status: int, method: str, becomes: str
) -> None:
    """Content goes along where the method stays."""
    pooled_httpd.respond("/old", status=status, headers={"Location": "/new"})
    pooled_httpd.respond("/new", content=b"there")
    content = None if method == "HEAD" else b"content"
    response = client.request(method, "/old", content=content, follow_redirects=True)
    assert (response.status_code, str(response.url)) == (200, pooled_httpd.url_for("/new"))
    assert [before.status_code for before in response.history] == [status]
    first, second = pooled_httpd.requests()
    assert (first.method, second.method) == (method, becomes)
    assert second.content == (b"" if becomes != method or content is None else content)
    assert first.connection == second.connection


def test_redirects_are_not_followed_without_being_told(pooled_httpd: Server, client: httpx.Client) -> None:
    """The next request is there to be sent."""
    pooled_httpd.respond("/old", status=302, headers={"Location": "new?a=b#c"})
    pooled_httpd.respond("/new", content=b"there")
    response = client.get("/old")
    assert (response.has_redirect_location, response.history) == (True, [])
    assert response.next_request is not None
    assert client.send(response.next_request).content == b"there"
    assert pooled_httpd.requests()[1].target == "/new?a=b"


def test_redirects_are_as_many_as_allowed(pooled_httpd: Server) -> None:
    """A loop of two, then TooManyRedirects."""
    pooled_httpd.respond("/a", status=302, headers={"Location": "/b"})
    pooled_httpd.respond("/b", status=302, headers={"Location": "/a"})
    with (
        httpx.Client(max_redirects=5, follow_redirects=True, trust_env=False) as client,
        pytest.raises(httpx.TooManyRedirects),
    ):
        client.get(pooled_httpd.url_for("/a"))
    assert pooled_httpd.stats().responses == {302: 6}


def test_authorization_does_not_go_to_another_host(pooled_httpd: Server, client: httpx.Client) -> None:
    """It stays where the host does."""
    pooled_httpd.respond("/same", status=302, headers={"Location": "/end"})
    pooled_httpd.respond("/other", status=302, headers={"Location": f"http://localhost:{pooled_httpd.port}/end"})
    for path in ("/same", "/other"):
        client.get(path, headers={"Authorization": "Bearer x"}, follow_redirects=True)
    same, other = pooled_httpd.requests(path="/end")
    assert (same.fields.get("authorization"), other.fields.get("authorization")) == ("Bearer x", None)
    assert other.fields["host"] == f"localhost:{pooled_httpd.port}"


def test_a_stream_cannot_be_sent_again(pooled_httpd: Server, client: httpx.Client) -> None:
    """A generator's content is spent by the time of the redirect."""
    pooled_httpd.respond("/old", status=307, headers={"Location": "/new"})
    with pytest.raises(httpx.StreamConsumed):
        client.post("/old", content=(piece for piece in [b"one"]), follow_redirects=True)
    # The second request's head had gone by then.
    (second,) = pooled_httpd.wait_for(1, path="/new")
    assert (second.content, second.status) == (b"", None)


# What breaks.


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        (Close(), httpx.RemoteProtocolError, "without sending a response"),
        (Reset("start"), httpx.ReadError, "reset by peer"),
        (Reset("head"), httpx.ReadError, "reset by peer"),
        (Reset("middle"), httpx.ReadError, "reset by peer"),
        (CutShort("start"), httpx.RemoteProtocolError, "without sending a response"),
        (CutShort("head"), httpx.RemoteProtocolError, r"received 0 bytes, expected 10"),
        (CutShort("middle"), httpx.RemoteProtocolError, r"received 5 bytes, expected 10"),
        (Garbage(), httpx.RemoteProtocolError, "without sending a response"),
        (Garbage(b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n"), httpx.RemoteProtocolError, "illegal header line"),
        (Garbage(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), httpx.RemoteProtocolError, "Content-Length"),
        (Garbage(b"HTTP/1.1 20 OK\r\n\r\n"), httpx.RemoteProtocolError, "illegal status line"),
        (Garbage(b"HTTP/1.1 200 OK\r\nA: b"), httpx.RemoteProtocolError, "without sending a response|incomplete"),
    ],
    ids=repr,
)
def test_what_breaks_is_told_and_the_client_goes_on(
    pooled_httpd: Server, client: httpx.Client, fault: Fault, error: type[Exception], told: str
) -> None:
    """Each fault is one of the client's own errors."""
    content = b"" if isinstance(fault, Garbage) else b"0123456789"
    pooled_httpd.respond("/broken", content=content, fault=fault, times=1)
    pooled_httpd.write("broken", "whole")
    with pytest.raises(error, match=told):
        client.get("/broken")
    assert client.get("/broken").text == "whole"
    assert pooled_httpd.stats().total_connections == 2


def test_transport_retries_are_for_connecting_only(pooled_httpd: Server) -> None:
    """A broken answer is not asked for again."""
    broken = pooled_httpd.respond("/", fault=Close())
    with httpx.Client(transport=httpx.HTTPTransport(retries=3)) as client, pytest.raises(httpx.RemoteProtocolError):
        client.get(pooled_httpd.url)
    assert broken.served == 1


def test_retries_of_ones_own(pooled_httpd: Server, client: httpx.Client) -> None:
    """As an application writes them: every failure in its turn, then the answer."""
    faults: list[Fault] = [Close(), Reset("start"), Reset("middle"), CutShort(3), Garbage(b"\x00"), Stall("start")]
    for fault in faults:
        content = b"" if isinstance(fault, Garbage) else b"content"
        pooled_httpd.respond("/api", content=content, fault=fault, times=1)
    pooled_httpd.respond("/api", status=503, times=2)
    pooled_httpd.respond("/api", json={"done": True})
    tries: list[str] = []
    while True:
        try:
            is_to_stall = len(tries) == faults.index(Stall("start"))
            response = client.get("/api", timeout=SHORT if is_to_stall else PATIENCE)
            response.raise_for_status()
            break
        except httpx.HTTPError as error:
            tries.append(type(error).__name__)
    assert response.json() == {"done": True}
    assert tries == [
        "RemoteProtocolError",
        "ReadError",
        "ReadError",
        "RemoteProtocolError",
        "RemoteProtocolError",
        "ReadTimeout",
        "HTTPStatusError",
        "HTTPStatusError",
    ]


def test_a_server_that_has_gone(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """ConnectError, which is another thing than a timeout."""
    server: Server = pooled_httpd_factory()
    with httpx.Client(trust_env=False) as client:
        assert client.get(server.url).status_code == 404
        server.stop()
        with pytest.raises(httpx.ConnectError):
            client.get(server.url)


# Timeouts.


@pytest.mark.parametrize("at", ["start", "head", "middle", 9])
def test_a_read_timeout_wherever_it_stalls(pooled_httpd: Server, client: httpx.Client, at: Place) -> None:
    """No earlier than told, and the client goes on."""
    pooled_httpd.respond("/stall", content=b"0123456789", fault=Stall(at))
    begun = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        client.get("/stall", timeout=httpx.Timeout(PATIENCE, read=SHORT))
    assert time.monotonic() - begun >= SHORT
    assert client.get("/none").status_code == 404


def test_what_is_late_but_in_time(pooled_httpd: Server, client: httpx.Client) -> None:
    """A delay, and a stall that ends."""
    pooled_httpd.respond("/late", delay=0.1, content=b"0123456789", fault=Stall("middle", seconds=0.1))
    response = client.get("/late")
    assert response.content == b"0123456789"
    assert response.elapsed.total_seconds() >= 0.2


def test_a_read_timeout_is_of_each_read(pooled_httpd: Server, client: httpx.Client) -> None:
    """A slow response that never stands still for long is read whole."""
    pooled_httpd.respond("/slow", content=b"x" * 20, fault=Dribble(10, 0.03))
    begun = time.monotonic()
    assert client.get("/slow", timeout=2.0).content == b"x" * 20
    assert time.monotonic() - begun >= 0.3


def test_a_full_pool_times_out(pooled_httpd: Server) -> None:
    """PoolTimeout while the only connection is being read from."""
    pooled_httpd.write("large", b"x" * 300_000)
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(base_url=pooled_httpd.url, limits=limits, trust_env=False) as client:
        with client.stream("GET", "/large"):
            begun = time.monotonic()
            with pytest.raises(httpx.PoolTimeout):
                client.get("/none", timeout=httpx.Timeout(PATIENCE, pool=SHORT))
            assert time.monotonic() - begun >= SHORT
        assert client.get("/none").status_code == 404


# Connections.


def test_a_client_keeps_its_connection(pooled_httpd: Server, client: httpx.Client) -> None:
    """Whatever the answers; unless it or the server says that it closes."""
    for _ in range(5):
        client.get("/none")
        client.head("/none")
    assert pooled_httpd.stats().total_connections == 1
    client.get("/none", headers={"Connection": "close"})
    pooled_httpd.respond("/close", headers={"Connection": "close"}, content=b"x")
    assert [client.get("/close").content for _ in range(2)] == [b"x", b"x"]
    # The first was asked to close; each answer after it had a connection of its own.
    assert pooled_httpd.stats().total_connections == 3


@pytest.mark.parametrize("ends", ["timeout", "reset"])
def test_a_stale_connection_is_replaced(pooled_httpd_factory: Any, ends: str) -> None:  # noqa: ANN401
    """The server's timeout and its reset, between two requests."""
    server: Server = pooled_httpd_factory(**({"keepalive_timeout": 0.02} if ends == "timeout" else {}))
    statuses = []
    with httpx.Client(trust_env=False) as client:
        for _ in range(3):
            statuses.append(client.get(server.url).status_code)
            if ends == "reset":
                assert server.reset() == 1
            server.expect_stats(active_connections=0, timeout=PATIENCE)
    assert statuses == [404] * 3
    if ends == "timeout":
        assert server.stats().total_connections == 3


def test_an_idle_connection_expires_at_the_client(pooled_httpd: Server) -> None:
    """``keepalive_expiry=0``: the server sees the end of each."""
    limits = httpx.Limits(keepalive_expiry=0.0)
    with httpx.Client(base_url=pooled_httpd.url, limits=limits, trust_env=False) as client:
        for _ in range(3):
            client.get("/none")
    pooled_httpd.expect_stats(timeout=PATIENCE, total_connections=3, active_connections=0)
