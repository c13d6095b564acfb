"""urllib3 and what is in a message: framing, heads, codings."""

from __future__ import annotations

import gzip
import zlib
from importlib import metadata
from typing import Any

import brotli
import pytest
import urllib3
from pooled_httpd import Server
from pooled_httpd.faults import CutShort, Dribble, Garbage, Place, Reset, Stall
from support import PATIENCE
from urllib3.exceptions import (
    DecodeError,
    MaxRetryError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.util import Retry, make_headers
from urllib3_pools import SHORT, connections

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
    late = Stall(3, seconds=0.5)
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
