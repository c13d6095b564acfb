"""httpx against the fixture, its asynchronous client too: redirects, timeouts, pools, streams, what breaks, proxies."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Generator, Iterator
from importlib import metadata
from typing import Any

import brotli
import httpx
import pytest
import zstandard
from pooled_httpd import Server
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Place, Reset, Stall
from support import PATIENCE

#: A timeout that is meant to pass, in seconds.
SHORT = 0.1


@pytest.fixture
def client(pooled_httpd: Server) -> Iterator[httpx.Client]:
    """A client whose URLs begin with the server's."""
    with httpx.Client(base_url=pooled_httpd.url, timeout=PATIENCE, trust_env=False) as client:
        yield client


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
            response = client.get("/api", timeout=SHORT)
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
    pooled_httpd.expect_stats(total_connections=3, active_connections=0)


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
    page, tunnel = pooled_httpd.requests()
    assert (page.target, page.path, page.fields["host"]) == (
        "http://example.invalid/page?q",
        "/page",
        "example.invalid",
    )
    assert page.fields["proxy-authorization"] == "Basic dTpw"
    assert (tunnel.method, tunnel.target) == ("CONNECT", "example.invalid:443")
