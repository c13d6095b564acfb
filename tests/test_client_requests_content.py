"""requests and what is in a message: codings, streams, uploads, heads, proxies."""

from __future__ import annotations

import gzip
from importlib import metadata

import pytest
import requests
from pooled_httpd import Server
from pooled_httpd.faults import Dribble, Stall
from requests_sessions import session_of_the_fixture  # noqa: F401 - a fixture
from support import PATIENCE

# Content.


def test_codings_and_charsets(pooled_httpd: Server, session: requests.Session) -> None:
    """gzip is taken off, text is decoded by its charset, JSON is read."""
    text = "ünï\n" * 100
    pooled_httpd.respond("/gzip", headers={"Content-Encoding": "gzip"}, content=gzip.compress(text.encode()))
    pooled_httpd.respond(
        "/latin", headers={"Content-Type": "text/plain; charset=latin-1"}, content="ünï".encode("latin-1")
    )
    pooled_httpd.respond("/json", json={"a": [1, None, "ü"]})
    gzipped = session.get(pooled_httpd.url_for("/gzip"))
    gzipped.encoding = "utf-8"
    assert gzipped.text == text
    latin = session.get(pooled_httpd.url_for("/latin"))
    assert (latin.encoding, latin.text) == ("latin-1", "ünï")
    told = session.get(pooled_httpd.url_for("/json"))
    assert (told.json(), told.headers["content-type"]) == ({"a": [1, None, "ü"]}, "application/json")


def test_json_that_is_none(pooled_httpd: Server, session: requests.Session) -> None:
    """JSONDecodeError of the client."""
    pooled_httpd.respond("/json", headers={"Content-Type": "application/json"}, content=b"{broken")
    with pytest.raises(requests.JSONDecodeError):
        session.get(pooled_httpd.url_for("/json")).json()


def test_a_stream_is_read_in_part(pooled_httpd: Server, session: requests.Session) -> None:
    """By pieces and by lines; closed before its end, its connection is not used again."""
    lines = [f"line {number:04}" for number in range(40_000)]
    pooled_httpd.write("lines", "\n".join(lines))
    with session.get(pooled_httpd.url_for("/lines"), stream=True) as response:
        assert next(response.iter_content(10)) == b"line 0000\n"
    with session.get(pooled_httpd.url_for("/lines"), stream=True) as response:
        assert list(response.iter_lines(chunk_size=1000, decode_unicode=False)) == [line.encode() for line in lines]
    session.get(pooled_httpd.url_for("/none"))
    pooled_httpd.expect_stats(total_connections=2, total_requests=3)


def test_lines_are_read_as_they_come(pooled_httpd: Server, session: requests.Session) -> None:
    """A stream of events that stands still for good: what came before is there."""
    events = b"data: 1\n\ndata: 2\n\n"
    fields = {"Content-Type": "text/event-stream", "Content-Length": "1000"}
    pooled_httpd.respond("/events", headers=fields, content=events + b"data: 3\n\n", fault=Stall(len(events)))
    with session.get(pooled_httpd.url_for("/events"), stream=True) as response:
        read = response.iter_lines(chunk_size=1)
        assert [next(read) for _ in range(4)] == [b"data: 1", b"", b"data: 2", b""]


def test_chunks_and_dribbles(pooled_httpd: Server, session: requests.Session) -> None:
    """A chunked response that comes by two bytes."""
    content = b"6\r\nabcdef\r\n4\r\nghij\r\n0\r\n\r\n"
    pooled_httpd.respond("/", headers={"Transfer-Encoding": "chunked"}, content=content, fault=Dribble(2, 0.0))
    assert session.get(pooled_httpd.url_for("/")).content == b"abcdefghij"
    with session.get(pooled_httpd.url_for("/"), stream=True) as response:
        assert b"".join(response.iter_content(3)) == b"abcdefghij"
    assert pooled_httpd.stats().total_connections == 1


def test_uploads(pooled_httpd: Server, session: requests.Session) -> None:
    """A form, JSON, files, bytes and a generator: each arrives as it was framed."""
    pooled_httpd.respond("/up", status=201)
    url = pooled_httpd.url_for("/up")
    session.post(url, data={"a": "1", "b": ["2", "ü"]})
    session.post(url, json={"k": "ü"})
    session.post(url, files={"f": ("n.txt", b"file content", "text/plain")}, data={"a": "1"})
    session.put(url, data=b"x" * 200_000)
    session.patch(url, data=iter([b"one", b"two"]))
    form, told, files, long, generated = pooled_httpd.requests()
    assert form.content == b"a=1&b=2&b=%C3%BC"
    assert form.fields["content-type"] == "application/x-www-form-urlencoded"
    assert told.json() == {"k": "ü"}
    assert b'filename="n.txt"\r\nContent-Type: text/plain\r\n\r\nfile content\r\n' in files.content
    assert (long.method, long.content, long.fields["content-length"]) == ("PUT", b"x" * 200_000, "200000")
    assert (generated.content, generated.fields["transfer-encoding"]) == (b"onetwo", "chunked")
    assert "content-length" not in generated.fields


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "BREW"])
def test_methods_and_their_lengths(pooled_httpd: Server, session: requests.Session, method: str) -> None:
    """A length of 0 where content is usual, none where it is not."""
    pooled_httpd.respond("/", content=b"answer")
    response = session.request(method, pooled_httpd.url_for("/"))
    assert response.content == (b"" if method == "HEAD" else b"answer")
    (got,) = pooled_httpd.requests()
    usual = {"POST": "0", "PUT": "0", "PATCH": "0", "DELETE": "0", "OPTIONS": "0", "BREW": "0"}
    assert (got.method, got.fields.get("content-length")) == (method, usual.get(method))


def test_answers_without_content(pooled_httpd: Server, session: requests.Session) -> None:
    """204, 304 and HEAD, in step on one connection."""
    pooled_httpd.respond("/204", status=204)
    pooled_httpd.respond("/304", status=304, headers={"Content-Length": "1000"})
    pooled_httpd.write("file", "x" * 1000)
    for _ in range(2):
        assert session.get(pooled_httpd.url_for("/204")).content == b""
        assert session.get(pooled_httpd.url_for("/304")).content == b""
        assert session.head(pooled_httpd.url_for("/file")).headers["content-length"] == "1000"
    pooled_httpd.expect_stats(total_connections=1, total_requests=6)


@pytest.mark.parametrize("status", [200, 299, 300, 399, 400, 418, 499, 500, 599, 600, 999])
def test_codes_and_raise_for_status(pooled_httpd: Server, session: requests.Session, status: int) -> None:
    """4xx and 5xx raise, whatever else does not."""
    pooled_httpd.respond("/", status=status, reason="Because")
    response = session.get(pooled_httpd.url_for("/"))
    assert (response.status_code, response.reason, response.ok) == (status, "Because", not 400 <= status < 600)
    if response.ok:
        response.raise_for_status()
    else:
        with pytest.raises(requests.HTTPError, match=f"{status} .* Error: Because for url"):
            response.raise_for_status()


# Heads.


def test_fields(pooled_httpd: Server, session: requests.Session) -> None:
    """The session's and the request's, in order; an answer's names have no case."""
    session.headers["X-Session"] = "s"
    pooled_httpd.respond("/", headers=[("X-Twice", "1"), ("x-twice", "2")])
    del session.headers["Accept"]
    response = session.get(pooled_httpd.url_for("/"), headers={"X-B": "1", "X-A": "2"})
    assert response.headers["X-TWICE"] == "1, 2"
    (got,) = pooled_httpd.requests()
    assert [name for name, _ in got.fields if name.startswith("X-")] == ["X-Session", "X-B", "X-A"]
    assert got.fields["user-agent"] == f"python-requests/{metadata.version('requests')}"
    assert "accept" not in got.fields


@pytest.mark.parametrize(
    ("path", "params", "target"),
    [
        ("/a b", None, "/a%20b"),
        ("/ø", {"ø": "ø"}, "/%C3%B8?%C3%B8=%C3%B8"),
        ("/p?z=1", [("a", "1"), ("a", "2"), ("b", None)], "/p?z=1&a=1&a=2"),
        ("/%41%2f", None, None),
        ("/a%20b?q=a+b%2B", None, "/a%20b?q=a+b%2B"),
        ("/p#f", {"a": "b"}, "/p?a=b"),
    ],
)
def test_targets_as_they_are_received(
    pooled_httpd: Server,
    session: requests.Session,
    path: str,
    params: dict[str, str] | list[tuple[str, str | None]] | None,
    target: str | None,
) -> None:
    """What became of a URL and its parameters; an encoded slash is refused by the server."""
    response = session.get(pooled_httpd.url_for("/") + path.lstrip("/"), params=params)
    (got,) = pooled_httpd.requests()
    assert got.target == (target or "/A%2F")
    assert response.status_code == (404 if target else 400)


def test_a_host_of_its_own(pooled_httpd: Server, session: requests.Session) -> None:
    """The Host field can be told, also with chunks."""
    pooled_httpd.respond("/", content=b"x")
    for data in (None, iter([b"a"])):
        session.post(pooled_httpd.url_for("/"), data=data, headers={"Host": "other.example"})
    assert [got.fields.all("host") for got in pooled_httpd.requests()] == [["other.example"]] * 2


def test_the_server_stands_for_a_proxy(pooled_httpd: Server, session: requests.Session) -> None:
    """``proxies=``: the absolute form with the proxy's credentials; another host goes directly."""
    pooled_httpd.write("page", "by proxy")
    proxy = f"http://u:p@127.0.0.1:{pooled_httpd.port}"
    proxies = {"http://example.invalid": proxy}
    assert session.get("http://example.invalid/page?q", proxies=proxies).text == "by proxy"
    assert session.get(pooled_httpd.url_for("/page"), proxies=proxies).text == "by proxy"
    through, direct = pooled_httpd.requests()
    assert (through.target, through.fields["host"]) == ("http://example.invalid/page?q", "example.invalid")
    assert through.fields["proxy-authorization"] == "Basic dTpw"
    assert (direct.target, "proxy-authorization" in direct.fields) == ("/page", False)


def test_proxies_of_the_environment(pooled_httpd: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """``http_proxy`` is believed by a session that trusts the environment."""
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", pooled_httpd.url)
    assert requests.get("http://example.invalid/x", timeout=PATIENCE).status_code == 404
    assert pooled_httpd.requests()[0].target == "http://example.invalid/x"
