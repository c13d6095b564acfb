"""aiohttp and what is in a message: codings, streams, uploads, heads, cookies, proxies."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import brotli
import pytest
from aiohttp_sessions import SHORT, client_of_the_fixture, content, session, status  # noqa: F401 - a fixture
from pooled_httpd import Server
from pooled_httpd.faults import CutShort, Dribble, Fault, Stall
from responding import assert_was_asked_as_a_proxy

pytestmark = pytest.mark.asyncio

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
    assert_was_asked_as_a_proxy(pooled_httpd)


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
