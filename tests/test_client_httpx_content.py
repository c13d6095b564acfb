"""httpx and what is in a message: codings, streams, uploads, heads, cookies, proxies."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator
from importlib import metadata
from typing import Any

import brotli
import httpx
import pytest
import zstandard
from httpx_clients import client_of_the_fixture  # noqa: F401 - a fixture
from pooled_httpd import Server
from pooled_httpd.faults import CutShort, Dribble
from responding import assert_was_asked_as_a_proxy

# Content.


TEXT = "the same line again, ünï\n" * 1000


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        ("gzip", gzip.compress(TEXT.encode())),
        ("deflate", zlib.compress(TEXT.encode())),
        ("br", brotli.compress(TEXT.encode())),
        ("zstd", zstandard.compress(TEXT.encode())),
        ("gzip, br", brotli.compress(gzip.compress(TEXT.encode()))),
    ],
    ids=["gzip", "deflate", "br", "zstd", "gzip and br"],
)
def test_content_codings(pooled_httpd: Server, client: httpx.Client, coding: str, encoded: bytes) -> None:
    """Decoded at once or as it comes; raw on request; told where it is broken."""
    fields = {"Content-Encoding": coding, "Content-Type": "text/plain; charset=utf-8"}
    pooled_httpd.respond("/coded", headers=fields, content=encoded)
    pooled_httpd.respond("/broken", headers=fields, content=b"\x00\x01 not coded at all")
    assert client.get("/coded").text == TEXT
    with client.stream("GET", "/coded") as response:
        assert "".join(response.iter_text(100)) == TEXT
    with client.stream("GET", "/coded") as response:
        assert b"".join(response.iter_raw(7)) == encoded
    with pytest.raises(httpx.DecodingError):
        client.get("/broken")


def test_streams(pooled_httpd: Server, client: httpx.Client) -> None:
    """By pieces of a size and by lines; the bytes are counted; one left early costs its connection."""
    lines = [f"line {number:04}" for number in range(40_000)]
    pooled_httpd.write("lines.txt", "\n".join(lines))
    with client.stream("GET", "/lines.txt") as response:
        assert list(response.iter_lines()) == lines
        assert response.num_bytes_downloaded == int(response.headers["content-length"])
    with client.stream("GET", "/lines.txt") as response:
        assert next(response.iter_bytes(11)) == b"line 0000\nl"
    client.get("/none")
    assert pooled_httpd.stats().total_connections == 2
    with client.stream("GET", "/lines.txt") as response, pytest.raises(httpx.ResponseNotRead):
        _ = response.content


def test_chunks(pooled_httpd: Server, client: httpx.Client) -> None:
    """Decoded with extensions and trailers, byte by byte; broken ones are told."""
    fields = {"Transfer-Encoding": "chunked"}
    content = b'5;a="b"\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n'
    pooled_httpd.respond("/whole", headers=fields, content=content, fault=Dribble(1, 0.0))
    assert [client.get("/whole").content for _ in range(2)] == [b"hello world"] * 2
    assert pooled_httpd.stats().total_connections == 1
    for path, broken, fault in (
        ("/size", b"x\r\nhello\r\n0\r\n\r\n", None),
        ("/end", b"5\r\nhelloX\r\n0\r\n\r\n", None),
        ("/cut", content, CutShort(12)),
    ):
        pooled_httpd.respond(path, headers=fields | {"Connection": "close"}, content=broken, fault=fault)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(path)


def test_uploads(pooled_httpd: Server, client: httpx.Client) -> None:
    """Form, JSON, files, bytes and a generator."""
    pooled_httpd.respond("/up", status=201)
    client.post("/up", data={"a": ["1", "ü"]})
    client.put("/up", json={"k": "ü"})
    client.post("/up", files={"f": ("n.txt", b"file content", "text/plain")})
    client.patch("/up", content=b"x" * 200_000)
    client.post("/up", content=(piece for piece in (b"one", b"two")))
    form, told, files, long, generated = pooled_httpd.requests(status=201)
    assert (form.content, told.json()) == (b"a=1&a=%C3%BC", {"k": "ü"})
    assert b'filename="n.txt"\r\nContent-Type: text/plain\r\n\r\nfile content\r\n' in files.content
    assert (long.content_length, long.fields["content-length"]) == (200_000, "200000")
    assert (generated.content, generated.fields["transfer-encoding"]) == (b"onetwo", "chunked")


def test_what_is_too_much_is_refused_while_it_is_sent(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """A length over the limit gets its 413, whatever the client has sent of it by then."""
    server: Server = pooled_httpd_factory(max_content=1000)
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        assert client.post("/", content=b"x" * 1000).status_code == 405
        response = client.post("/", content=b"x" * 1001)
    assert (response.status_code, response.headers["connection"]) == (413, "close")
    assert server.requests(status=413)[0].is_valid is False


def test_answers_without_content(pooled_httpd: Server, client: httpx.Client) -> None:
    """204, 304 and HEAD, in step on one connection."""
    pooled_httpd.respond("/204", status=204)
    pooled_httpd.respond("/304", status=304)
    pooled_httpd.write("file", "x" * 1000)
    for _ in range(2):
        assert [client.get(path).content for path in ("/204", "/304")] == [b"", b""]
        assert client.head("/file").headers["content-length"] == "1000"
    pooled_httpd.expect_stats(total_connections=1, total_requests=6)


# Heads.


@pytest.mark.parametrize("status", [200, 226, 299, 404, 418, 499, 599, 600, 999])
def test_status_codes(pooled_httpd: Server, client: httpx.Client, status: int) -> None:
    """With the registered phrase, a usual one, or none."""
    pooled_httpd.respond("/usual", status=status)
    pooled_httpd.respond("/told", status=status, reason="Because of it")
    response = client.get("/told")
    assert (response.status_code, response.reason_phrase) == (status, "Because of it")
    response = client.get("/usual")
    assert response.is_success is (200 <= status < 300)
    usual = {200: "OK", 226: "IM Used", 404: "Not Found", 418: "I'm a teapot"}
    assert response.extensions["reason_phrase"].decode() == usual.get(status, "")


def test_fields_as_they_are(pooled_httpd: Server, client: httpx.Client) -> None:
    """In both directions: order, case, repeated names, bytes beyond ASCII."""
    pairs = [("X-Third", "3"), ("x-first", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Word", "wörd")]
    pooled_httpd.respond("/", headers=pairs)
    response = client.get("/", headers=[("X-B", "1"), ("x-a", "2"), ("X-B", "3")])
    there = [(name.decode(), value.decode()) for name, value in response.headers.raw]
    assert [pair for pair in there if pair in pairs] == pairs
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    (got,) = pooled_httpd.requests()
    assert [pair for pair in got.fields if pair[0].lower().startswith("x-")] == [
        ("X-B", "1"),
        ("x-a", "2"),
        ("X-B", "3"),
    ]
    assert got.fields["user-agent"] == f"python-httpx/{metadata.version('httpx')}"
    assert client.cookies["b"] == "2"


def test_many_and_long_fields(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """What a large send buffer has room for; more than the client takes is a protocol error."""
    server: Server = pooled_httpd_factory(buffer_size=262_144)
    server.respond("/many", headers={f"X-{number}": "x" * 50 for number in range(1000)})
    server.respond("/long", headers={"X-Long": "x" * 200_000})
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        assert len(client.get("/many").headers) == 1002
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/long")


@pytest.mark.parametrize(
    ("url", "params", "target"),
    [
        ("/a b", None, "/a%20b"),
        ("/ünï", {"q": "☃ &"}, "/%C3%BCn%C3%AF?q=%E2%98%83+%26"),
        ("/p?z=1", None, "/p?z=1"),
        ("/p;a=b,c", [("a", "1"), ("a", "2")], "/p;a=b,c?a=1&a=2"),
        ("/%E2%98%83", None, "/%E2%98%83"),
    ],
)
def test_targets_as_they_are_received(
    pooled_httpd: Server,
    client: httpx.Client,
    url: str,
    params: Any,  # noqa: ANN401 - as httpx has it
    target: str,
) -> None:
    """What became of a URL and its parameters."""
    client.get(url, params=params)
    assert [got.target for got in pooled_httpd.requests()] == [target]


def test_cookies_come_back(pooled_httpd: Server, client: httpx.Client) -> None:
    """Until they are unset."""
    pooled_httpd.respond("/set", headers=[("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/deep")])
    pooled_httpd.respond("/unset", headers={"Set-Cookie": "a=; Max-Age=0; Path=/"})
    for path in ("/set", "/x", "/deep/x", "/unset", "/x"):
        client.get(path)
    sent = [got.fields.get("cookie") for got in pooled_httpd.requests()]
    assert (sent[:2], sent[3:]) == ([None, "a=1"], ["a=1", None])
    assert set((sent[2] or "").split("; ")) == {"a=1", "b=2"}


def test_a_challenge_is_answered(pooled_httpd: Server, client: httpx.Client) -> None:
    """Digest at the first 401; a flow of one's own that renews a token."""
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
    pooled_httpd.respond("/me", status=401, headers=challenge, times=1)
    pooled_httpd.respond("/me", content=b"you")
    assert client.get("/me", auth=httpx.DigestAuth("name", "word")).content == b"you"
    assert pooled_httpd.requests()[1].fields["authorization"].startswith('Digest username="name", realm="r", nonce="n"')

    class Renewing(httpx.Auth):
        requires_response_body = True

        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            response = yield request
            if response.status_code == 401:
                token = yield httpx.Request("POST", pooled_httpd.url_for("/token"))
                request.headers["Authorization"] = f"Bearer {token.json()['token']}"
                yield request

    pooled_httpd.respond("/data", status=401, times=1)
    pooled_httpd.respond("/data", content=b"data")
    pooled_httpd.respond("/token", method="POST", json={"token": "t1"})
    assert client.get("/data", auth=Renewing()).content == b"data"
    assert pooled_httpd.requests(path="/data")[1].fields["authorization"] == "Bearer t1"
    assert pooled_httpd.stats().total_connections == 1


def test_the_server_stands_for_a_proxy(pooled_httpd: Server) -> None:
    """The absolute form with the proxy's credentials; CONNECT is refused."""
    pooled_httpd.write("page", "by proxy")
    proxy = httpx.Proxy(pooled_httpd.url, auth=("u", "p"))
    with httpx.Client(proxy=proxy, trust_env=False) as client:
        assert client.get("http://example.invalid/page?q").text == "by proxy"
        with pytest.raises(httpx.ProxyError, match="405"):
            client.get("https://example.invalid/page")
    assert_was_asked_as_a_proxy(pooled_httpd)
