"""aiohttp against the fixture, its server awaited: redirects, timeouts, connectors, streams, what breaks, proxies."""

from __future__ import annotations

import asyncio
import gzip
import io
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import brotli
import pytest
import pytest_asyncio
from pooled_httpd import Server
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Place, Reset, Stall
from support import PATIENCE

pytestmark = pytest.mark.asyncio

#: A timeout that is meant to pass, in seconds.
SHORT = 0.1


def session(server: Server, **options: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - as ClientSession's
    """Make a session whose URLs begin with the server's."""
    options.setdefault("timeout", aiohttp.ClientTimeout(total=PATIENCE))
    return aiohttp.ClientSession(server.url, **options)


@pytest_asyncio.fixture
async def client(pooled_httpd: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """Such a session, closed behind the test."""
    async with session(pooled_httpd) as client:
        yield client


async def content(client: aiohttp.ClientSession, path: str, **options: Any) -> bytes:  # noqa: ANN401
    """GET a path and read it whole."""
    async with client.get(path, **options) as response:
        return await response.read()


async def status(client: aiohttp.ClientSession, path: str, method: str = "GET", **options: Any) -> int:  # noqa: ANN401
    """Ask for a path, read the answer and return its status."""
    async with client.request(method, path, **options) as response:
        await response.read()
        return response.status


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
            timeout = aiohttp.ClientTimeout(sock_read=SHORT)
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


# Content.

TEXT = b"the same line again and again\n" * 1000


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("br", brotli.compress(TEXT)),
    ],
    ids=["gzip", "deflate", "br"],
)
async def test_content_codings(
    pooled_httpd: Server, client: aiohttp.ClientSession, coding: str, encoded: bytes
) -> None:
    """Decoded, also from chunks; told where it is broken."""
    fields = {"Content-Encoding": coding}
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (encoded[:9], encoded[9:])) + b"0\r\n\r\n"
    pooled_httpd.respond("/coded", headers=fields, content=encoded)
    pooled_httpd.respond("/chunks", headers=fields | {"Transfer-Encoding": "chunked"}, content=chunks)
    pooled_httpd.respond("/broken", headers=fields, content=b"\x00\x01 not coded at all")
    assert await content(client, "/coded") == TEXT
    assert await content(client, "/chunks") == TEXT
    with pytest.raises(aiohttp.ClientPayloadError):
        await content(client, "/broken")


async def test_streams(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """By pieces, by lines and by chunks."""
    lines = b"".join(b"line %04d\n" % number for number in range(40_000))
    pooled_httpd.write("lines", lines)
    async with client.get("/lines") as response:
        assert b"".join([piece async for piece in response.content.iter_chunked(1000)]) == lines
    async with client.get("/lines") as response:
        assert await response.content.readline() == b"line 0000\n"
        assert await response.content.readexactly(10) == b"line 0001\n"
    pooled_httpd.respond("/chunks", headers={"Transfer-Encoding": "chunked"}, content=b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")
    async with client.get("/chunks") as response:
        assert [piece async for piece, ends in response.content.iter_chunks() if ends] == [b"a", b"bc"]


async def test_events_are_read_as_they_come(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """A stream that stands still for good: what came before is there, what is to come times out."""
    pooled_httpd.respond("/events", content=b"data: 1\n\ndata: 2\n\ndata: 3\n\n", fault=Stall(18))
    async with client.get("/events", timeout=aiohttp.ClientTimeout(sock_read=SHORT)) as response:
        assert [await response.content.readline() for _ in range(4)] == [b"data: 1\n", b"\n", b"data: 2\n", b"\n"]
        with pytest.raises(TimeoutError):
            await response.content.readline()


@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        (b"x\r\nhello\r\n0\r\n\r\n", None),
        (b"5\r\nhelloX\r\n0\r\n\r\n", None),
        (b"5\r\nhello\r\n0\r\n\r\n", CutShort(9)),
    ],
)
async def test_broken_chunks_are_told(
    pooled_httpd: Server, client: aiohttp.ClientSession, chunks: bytes, fault: Fault | None
) -> None:
    """Sizes that are none, ends that are none, and no end."""
    fields = {"Transfer-Encoding": "chunked", "Connection": "close"}
    pooled_httpd.respond("/", headers=fields, content=chunks, fault=fault)
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientResponseError)):
        await content(client, "/")


async def test_a_dribbled_response_is_put_together(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """Byte by byte, with chunks; the connection goes on."""
    pooled_httpd.respond(
        "/", headers={"Transfer-Encoding": "chunked"}, content=b"5\r\nhello\r\n0\r\n\r\n", fault=Dribble(1, 0.0)
    )
    assert [await content(client, "/") for _ in range(2)] == [b"hello"] * 2
    assert pooled_httpd.stats().total_connections == 1


async def test_uploads(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """Form, JSON, a file, bytes and an asynchronous generator."""
    pooled_httpd.respond("/up", status=201)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one", b"two"):
            await asyncio.sleep(0.001)
            yield piece

    form = aiohttp.FormData({"a": "ü"})
    form.add_field("f", io.BytesIO(b"file content"), filename="n.txt", content_type="text/plain")
    for method, options in (
        ("POST", {"data": {"a": "1", "b": "ü"}}),
        ("PUT", {"json": {"k": "ü"}}),
        ("POST", {"data": form}),
        ("PATCH", {"data": b"x" * 200_000}),
        ("POST", {"data": pieces()}),
    ):
        assert await status(client, "/up", method, **options) == 201
    plain, told, files, long, generated = pooled_httpd.requests()
    assert (plain.content, told.json()) == (b"a=1&b=%C3%BC", {"k": "ü"})
    assert b'filename="n.txt"' in files.content
    assert b"\r\n\r\nfile content\r\n" in files.content
    assert (long.content_length, long.fields["content-length"]) == (200_000, "200000")
    assert (generated.content, generated.fields["transfer-encoding"]) == (b"onetwo", "chunked")


async def test_expect_100_continue(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """The server says that it goes on, and the content comes; a length that is too much is refused without it."""
    pooled_httpd.respond("/up", method="POST", status=201)
    assert await status(client, "/up", "POST", data=b"content", expect100=True) == 201
    (got,) = pooled_httpd.requests()
    assert (got.fields["expect"].lower(), got.content) == ("100-continue", b"content")
    assert await status(client, "/up", "POST", data=b"x" * 2_000_000, expect100=True) == 413
    assert pooled_httpd.requests()[1].content_length == 0


async def test_answers_without_content(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """204, 304 and HEAD, in step on one connection, whatever they say of a length or a coding."""
    pooled_httpd.respond("/204", status=204, headers={"Content-Encoding": "gzip"})
    pooled_httpd.respond("/304", status=304, headers={"Content-Length": "1000"})
    pooled_httpd.respond("/chunked", headers={"Transfer-Encoding": "chunked"})
    for _ in range(2):
        assert [await content(client, path) for path in ("/204", "/304")] == [b"", b""]
        assert await status(client, "/chunked", "HEAD") == 200
    pooled_httpd.expect_stats(total_connections=1, total_requests=6)


# Heads.


@pytest.mark.parametrize("code", [200, 226, 299, 404, 418, 599, 799, 999])
async def test_status_codes(pooled_httpd: Server, client: aiohttp.ClientSession, code: int) -> None:
    """With a phrase; errors raise where that is wanted."""
    pooled_httpd.respond("/", status=code, reason="Because of it")
    async with client.get("/") as response:
        assert (response.status, response.reason, response.ok) == (code, "Because of it", code < 400)
    if code >= 400:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await client.get("/", raise_for_status=True)
        assert (caught.value.status, caught.value.message) == (code, "Because of it")


async def test_fields_as_they_are(pooled_httpd: Server, client: aiohttp.ClientSession) -> None:
    """In both directions: order, case, repeated names, empty values."""
    pairs = [("X-Third", "3"), ("x-first", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Empty", "")]
    pooled_httpd.respond("/", headers=pairs)
    async with client.get("/", headers=[("X-B", "1"), ("x-a", "2"), ("X-B", "3")]) as response:
        there = [(name.decode(), value.decode()) for name, value in response.raw_headers]
        assert [pair for pair in there if pair in pairs] == pairs
        assert response.headers.getall("set-cookie") == ["a=1", "b=2"]
    (got,) = pooled_httpd.requests()
    assert next(iter(got.fields))[0] == "Host"
    assert [pair for pair in got.fields if pair[0].lower().startswith("x-")] == [
        ("X-B", "1"),
        ("x-a", "2"),
        ("X-B", "3"),
    ]


async def test_fields_that_are_too_long_or_too_many(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """More than the client takes is an error; more than its default may be allowed."""
    server: Server = pooled_httpd_factory(buffer_size=65_536)
    server.respond("/long", headers={"X-Long": "x" * 20_000})
    async with session(server) as client:
        with pytest.raises(aiohttp.ClientResponseError):
            await status(client, "/long")
        assert await status(client, "/long", max_field_size=30_000) == 200


@pytest.mark.parametrize(
    ("url", "params", "target"),
    [
        ("/a b", None, "/a%20b"),
        ("/ünï", {"q": "☃ &"}, "/%C3%BCn%C3%AF?q=%E2%98%83+%26"),
        ("/p?z=1", [("a", "1"), ("a", "2")], "/p?z=1&a=1&a=2"),
        ("/a/../b/./c", None, "/b/c"),
    ],
)
async def test_targets_as_they_are_received(
    pooled_httpd: Server,
    client: aiohttp.ClientSession,
    url: str,
    params: dict[str, str] | list[tuple[str, str]] | None,
    target: str,
) -> None:
    """What became of a URL and its parameters."""
    await status(client, url, params=params)
    assert [got.target for got in pooled_httpd.requests()] == [target]


async def test_cookies_come_back(pooled_httpd: Server) -> None:
    """From a jar that takes them from addresses; of a redirect at once."""
    pooled_httpd.respond("/login", status=302, headers=[("Location", "/home"), ("Set-Cookie", "session=s1; Path=/")])
    pooled_httpd.respond("/logout", headers={"Set-Cookie": "session=; Max-Age=0; Path=/"})
    async with session(pooled_httpd, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        for path in ("/login", "/any", "/logout", "/any"):
            await status(client, path)
    sent = [(got.path, got.fields.get("cookie")) for got in pooled_httpd.requests()]
    assert sent == [
        ("/login", None),
        ("/home", "session=s1"),
        ("/any", "session=s1"),
        ("/logout", "session=s1"),
        ("/any", None),
    ]


async def test_a_challenge_is_answered(pooled_httpd: Server) -> None:
    """Basic at once; digest at the first 401, by the middleware."""
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
    pooled_httpd.respond("/me", status=401, headers=challenge, times=1)
    pooled_httpd.respond("/me", content=b"you")
    digest = aiohttp.DigestAuthMiddleware(login="name", password="word")
    async with session(pooled_httpd, middlewares=(digest,)) as client:
        assert await content(client, "/me") == b"you"
    async with session(pooled_httpd) as client:
        assert (
            await status(client, "/none", headers={"Authorization": aiohttp.encode_basic_auth("name", "word")}) == 404
        )
    _, second, basic = pooled_httpd.requests()
    assert second.fields["authorization"].startswith('Digest username="name", realm="r", nonce="n"')
    assert basic.fields["authorization"] == "Basic bmFtZTp3b3Jk"


async def test_the_server_stands_for_a_proxy(pooled_httpd: Server) -> None:
    """The absolute form with the proxy's credentials; CONNECT is refused."""
    pooled_httpd.write("page", "by proxy")
    proxy = pooled_httpd.url.replace("http://", "http://u:p@")
    async with aiohttp.ClientSession() as client:
        assert await content(client, "http://example.invalid/page?q", proxy=proxy) == (b"by proxy")
        with pytest.raises(aiohttp.ClientHttpProxyError) as caught:
            await client.get("https://example.invalid/page", proxy=pooled_httpd.url)
    assert caught.value.status == 405
    page, tunnel = pooled_httpd.requests()
    assert (page.target, page.path, page.fields["host"]) == (
        "http://example.invalid/page?q",
        "/page",
        "example.invalid",
    )
    assert page.fields["proxy-authorization"] == "Basic dTpw"
    assert (tunnel.method, tunnel.target) == ("CONNECT", "example.invalid:443")


async def test_a_server_of_the_tests_own(tmp_path: Any) -> None:  # noqa: ANN401
    """``async with Server(...)``, used and waited for while requests are under way, then stopped."""
    async with Server(tmp_path) as server:
        server.record_requests()
        server.respond("/late", delay=0.05, content=b"late")
        async with session(server.server) as client:
            tasks = [asyncio.create_task(content(client, "/late")) for _ in range(5)]
            requests = await server.wait_for(5, path="/late")
            assert [await task for task in tasks] == [b"late"] * 5
        assert len(requests) == 5
        await server.expect_stats(total_connections=5, active_connections=0)
    assert not server.server.is_running
