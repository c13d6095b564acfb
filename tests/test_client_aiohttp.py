"""aiohttp against the fixture, its server awaited: redirects, timeouts, connectors, what breaks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from aiohttp_sessions import SHORT, client_of_the_fixture, content, session, status  # noqa: F401 - a fixture
from pooled_httpd import Server
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Place, Reset, Stall
from support import PATIENCE

pytestmark = pytest.mark.asyncio

# Redirects.


@pytest.mark.parametrize(
    ("code", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (303, "DELETE", "GET"),
        (302, "HEAD", "HEAD"),
    ],
)
async def test_what_becomes_of_a_method(
    pooled_httpd: Server, client: aiohttp.ClientSession, code: int, method: str, becomes: str
) -> None:
    """Content goes along where the method stays."""
    pooled_httpd.respond("/old", status=code, headers={"Location": "/new"})
    pooled_httpd.respond("/new", content=b"there")
    data = None if method == "HEAD" else b"content"
    async with client.request(method, "/old", data=data, allow_redirects=True) as response:
        assert str(response.url) == pooled_httpd.url_for("/new")
        assert [before.status for before in response.history] == [code]
        assert await response.read() == (b"" if method == "HEAD" else b"there")
    first, second = pooled_httpd.requests()
    assert (first.method, second.method) == (method, becomes)
    assert second.content == (data if becomes == method and data else b"")


async def test_redirects_are_as_many_as_allowed(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """TooManyRedirects with what came before."""
    loop = pooled_httpd.respond("/loop", status=302, headers={"Location": "/loop?again"})
    with pytest.raises(aiohttp.TooManyRedirects) as caught:
        await client.get("/loop", max_redirects=4)
    assert (len(caught.value.history), loop.served) == (4, 4)


async def test_a_redirect_can_be_left_alone(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """The directory's own redirect of the server, too."""
    pooled_httpd.write("dir/index.html", "index")
    async with client.get("/dir", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (301, "/dir/")
    assert await content(client, "/dir#fragment") == b"index"
    assert [got.target for got in pooled_httpd.requests()] == ["/dir", "/dir", "/dir/"]


@pytest.mark.parametrize(
    ("location", "error"),
    [("http://", aiohttp.InvalidUrlRedirectClientError), ("mailto:me", aiohttp.NonHttpUrlRedirectClientError)],
)
async def test_a_location_that_leads_nowhere(
    pooled_httpd: Server, client: aiohttp.ClientSession, location: str, error: type[Exception]
) -> None:
    """An error of its own for each."""
    pooled_httpd.respond("/old", status=302, headers={"Location": location})
    with pytest.raises(error):
        await client.get("/old")
    assert pooled_httpd.stats().responses == {302: 1}


async def test_authorization_does_not_go_to_another_host(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """It stays where the host does."""
    pooled_httpd.respond("/same", status=302, headers={"Location": "/end"})
    pooled_httpd.respond("/other", status=302, headers={"Location": f"http://localhost:{pooled_httpd.port}/end"})
    for path in ("/same", "/other"):
        assert await status(client, path, headers={"Authorization": "Bearer x"}) == 404
    same, other = pooled_httpd.requests(path="/end")
    assert (same.fields.get("authorization"), other.fields.get("authorization")) == ("Bearer x", None)


# What breaks.


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Close(), aiohttp.ServerDisconnectedError),
        (Reset("start"), aiohttp.ClientOSError),
        (Reset("head"), (aiohttp.ClientOSError, aiohttp.ClientPayloadError)),
        (Reset("middle"), (aiohttp.ClientOSError, aiohttp.ClientPayloadError)),
        (CutShort("start"), aiohttp.ServerDisconnectedError),
        (CutShort("head"), aiohttp.ClientPayloadError),
        (CutShort("middle"), aiohttp.ClientPayloadError),
        (Garbage(), aiohttp.ClientResponseError),
        (Garbage(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), aiohttp.ClientResponseError),
        (Garbage(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), aiohttp.ClientResponseError),
        (Garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), aiohttp.ClientError),
    ],
    ids=repr,
)
async def test_what_breaks_is_told_and_the_session_goes_on(
    pooled_httpd: Server,
    client: aiohttp.ClientSession,
    fault: Fault,
    error: type[Exception] | tuple[type[Exception], ...],
) -> None:
    """Each fault is one of the client's own errors; POST, because aiohttp repeats a GET by itself."""
    text = b"" if isinstance(fault, Garbage) else b"0123456789"
    broken = pooled_httpd.respond("/broken", content=text, fault=fault)
    with pytest.raises(error):
        await status(client, "/broken", "POST")
    assert broken.served == 1
    assert await status(client, "/none") == 404
    assert pooled_httpd.stats().total_connections == 2


async def test_an_idempotent_request_is_repeated_on_a_kept_connection(
    pooled_httpd: Server, client: aiohttp.ClientSession
) -> None:
    """Where a kept connection ends instead of an answer, aiohttp tries once more; not for a POST."""
    pooled_httpd.respond("/", method="GET", fault=Close(), times=1)
    pooled_httpd.respond("/", method="POST", fault=Close(), times=1)
    pooled_httpd.respond("/", content=b"x")
    assert await status(client, "/none") == 404
    assert await content(client, "/") == b"x"
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await status(client, "/", "POST")
    assert [(got.method, got.status) for got in pooled_httpd.requests(path="/")] == [
        ("GET", 0),
        ("GET", 200),
        ("POST", 0),
    ]


#: A timeout that is meant to pass where a server stalls, and nowhere else, in seconds.
LATE = 1.0


async def test_retries_of_ones_own(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """As an application writes them: every failure in its turn, then the answer."""
    faults: list[Fault] = [Reset("start"), CutShort(3), Garbage(b"\x00\r\n"), Stall("start"), Stall("middle")]
    for fault in faults:
        text = b"" if isinstance(fault, Garbage) else b"content"
        pooled_httpd.respond("/api", content=text, fault=fault, times=1)
    pooled_httpd.respond("/api", status=503, times=2)
    pooled_httpd.respond("/api", json={"done": True})
    tries = []
    while True:
        try:
            timeout = aiohttp.ClientTimeout(sock_read=LATE)
            async with client.post("/api", raise_for_status=True, timeout=timeout) as response:
                told = await response.json()
            break
        except (aiohttp.ClientError, TimeoutError) as error:
            tries.append(type(error).__name__)
    assert told == {"done": True}
    assert tries == [
        "ClientOSError",
        "ClientPayloadError",
        "ClientResponseError",
        "SocketTimeoutError",
        "SocketTimeoutError",
        "ClientResponseError",
        "ClientResponseError",
    ]


async def test_a_server_that_has_gone(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """ClientConnectorError."""
    server = pooled_httpd_factory().asynchronous()
    async with session(server.server) as client:
        assert await status(client, "/") == 404
        await server.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await status(client, "/")


# Timeouts.


@pytest.mark.parametrize("at", ["start", "head", "middle", 9])
@pytest.mark.parametrize("kind", ["total", "sock_read"])
async def test_timeouts_wherever_it_stalls(
    pooled_httpd: Server, client: aiohttp.ClientSession, at: Place, kind: str
) -> None:
    """No earlier than told; the session goes on with a new connection."""
    pooled_httpd.respond("/stall", content=b"0123456789", fault=Stall(at))
    # The connection is there already, so that the time is for the answer alone.
    assert await status(client, "/none") == 404
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        await content(client, "/stall", timeout=aiohttp.ClientTimeout(**{kind: SHORT}))
    assert time.monotonic() - begun >= SHORT - 0.01
    assert await status(client, "/none") == 404
    assert pooled_httpd.stats().total_connections == 2


async def test_what_is_late_but_in_time(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """A delay, a stall that ends, and a dribble, each read whole."""
    pooled_httpd.respond("/late", delay=0.1, content=b"0123456789", fault=[Stall(5, seconds=0.1), Dribble(60, 0.02)])
    begun = time.monotonic()
    assert await content(client, "/late") == b"0123456789"
    assert time.monotonic() - begun >= 0.2


async def test_a_socket_timeout_is_of_each_read(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """A slow response that never stands still for long is no timeout; of its whole it is one."""
    pooled_httpd.respond("/slow", content=b"x" * 20, fault=Dribble(10, 0.03))
    assert await content(client, "/slow", timeout=aiohttp.ClientTimeout(sock_read=2)) == b"x" * 20
    with pytest.raises(TimeoutError):
        await content(client, "/slow", timeout=aiohttp.ClientTimeout(total=SHORT))


# Connectors.


async def test_a_session_keeps_its_connection(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """Whatever the answers; not where one says that it closes."""
    for _ in range(5):
        await status(client, "/none")
        await status(client, "/none", "HEAD")
    assert pooled_httpd.stats().total_connections == 1
    pooled_httpd.respond("/close", headers={"Connection": "close"}, content=b"x")
    assert [await content(client, "/close") for _ in range(3)] == [b"x"] * 3
    assert pooled_httpd.stats().total_connections == 3


async def test_force_close(pooled_httpd: Server) -> None:
    """A connector that keeps none."""
    async with session(pooled_httpd, connector=aiohttp.TCPConnector(force_close=True)) as client:
        for _ in range(3):
            await status(client, "/none")
    assert [got.fields.get("connection") for got in pooled_httpd.requests()] == ["close"] * 3
    pooled_httpd.expect_stats(total_connections=3, active_connections=0)


@pytest.mark.parametrize("ends", ["timeout", "reset"])
async def test_a_stale_connection_is_replaced(pooled_httpd_factory: Any, ends: str) -> None:  # noqa: ANN401
    """The server's timeout and its reset between two POSTs, which aiohttp would not repeat."""
    server: Server = pooled_httpd_factory(**({"keepalive_timeout": 0.02} if ends == "timeout" else {}))
    awaited = server.asynchronous()
    codes = []
    async with session(server) as client:
        for _ in range(3):
            codes.append(await status(client, "/", "POST"))
            if ends == "reset":
                assert await awaited.reset() == 1
            await awaited.expect_stats(active_connections=0, timeout=PATIENCE)
            # The end has arrived; the loop looks at it when it is next its turn.
            await asyncio.sleep(0.01)
    assert codes == [405] * 3


@pytest.mark.parametrize("limit", [1, 3])
async def test_the_limit_of_a_connector(pooled_httpd: Server, limit: int) -> None:
    """Twelve requests at once through so many connections."""
    pooled_httpd.respond("/slow*", delay=0.02, content=b"x")
    async with session(pooled_httpd, connector=aiohttp.TCPConnector(limit=limit)) as client:
        codes = await asyncio.gather(*(status(client, f"/slow/{number}") for number in range(12)))
    assert codes == [200] * 12
    stats = pooled_httpd.stats()
    assert (stats.peak_connections, stats.total_connections) == (limit, limit)


async def test_a_response_released_early_costs_its_connection(
    pooled_httpd: Server, client: aiohttp.ClientSession
) -> None:
    """What was not read cannot be skipped; the server sees the end."""
    pooled_httpd.write("large", b"x" * 3_000_000)
    async with client.get("/large") as response:
        assert len(await response.content.readexactly(1000)) == 1000
    assert await status(client, "/none") == 404
    await pooled_httpd.asynchronous().expect_stats(total_connections=2, active_connections=1)


@pytest.mark.parametrize("at", ["start", "head", "middle"])
async def test_a_cancelled_request_gives_its_connection_up(
    pooled_httpd: Server, client: aiohttp.ClientSession, at: Place
) -> None:
    """Cancelled once the server has it: it sees the end."""
    pooled_httpd.respond("/stall", content=b"0123456789", fault=Stall(at))
    task = asyncio.create_task(content(client, "/stall"))
    state = "PROCESSING" if at == "start" else "SENDING_RESPONSE"
    await pooled_httpd.asynchronous().expect_stats(states=lambda states: states[state] == 1, timeout=PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await pooled_httpd.asynchronous().expect_stats(active_connections=0, timeout=PATIENCE)
