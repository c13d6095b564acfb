"""requests against the fixture: redirects, cookies, authentication, retries, what breaks, connections."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import time
from typing import Any

import pytest
import requests
from pooled_httpd import Server
from pooled_httpd.faults import Close, CutShort, Fault, Garbage, Reset, Stall
from requests.auth import HTTPBasicAuth, HTTPDigestAuth
from requests_sessions import SHORT, retrying, session_of_the_fixture  # noqa: F401 - a fixture
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
        (307, "PATCH", "PATCH"),
        (302, "HEAD", "HEAD"),
        (303, "HEAD", "HEAD"),
    ],
)
def test_what_becomes_of_a_method(
    pooled_httpd: Server, session: requests.Session, status: int, method: str, becomes: str
) -> None:
    """Where a request becomes a GET it loses its content and the fields that tell of it."""
    pooled_httpd.respond("/old", status=status, headers={"Location": "/new"})
    pooled_httpd.respond("/new", content=b"there")
    data = None if method == "HEAD" else b"content"
    fields = {"Content-Type": "x/y"}
    response = session.request(method, pooled_httpd.url_for("/old"), data=data, headers=fields, allow_redirects=True)
    assert response.content == (b"" if method == "HEAD" else b"there")
    assert response.url == pooled_httpd.url_for("/new")
    assert [before.status_code for before in response.history] == [status]
    first, second = pooled_httpd.requests()
    assert (first.method, second.method) == (method, becomes)
    keeps = status in (307, 308)
    assert second.content == (b"content" if keeps else b"")
    assert (second.fields.get("content-length", "0") != "0", "content-type" in second.fields) == (keeps, keeps)
    assert second.connection == first.connection


def test_redirects_are_as_many_as_allowed(pooled_httpd: Server, session: requests.Session) -> None:
    """Thirty, unless told otherwise, then TooManyRedirects with the last response."""
    loop = pooled_httpd.respond("/loop", status=302, headers={"Location": "/loop"})
    with pytest.raises(requests.TooManyRedirects, match="Exceeded 30 redirects"):
        session.get(pooled_httpd.url_for("/loop"))
    assert loop.served == 31
    session.max_redirects = 5
    with pytest.raises(requests.TooManyRedirects) as caught:
        session.get(pooled_httpd.url_for("/loop"))
    assert caught.value.response is not None
    assert len(caught.value.response.history) == 5


def test_a_chain_of_redirects_is_its_history(pooled_httpd: Server, session: requests.Session) -> None:
    """Relative, absolute and through the server's own redirect of a directory, in the order of their coming."""
    pooled_httpd.write("dir/index.html", "index")
    pooled_httpd.respond("/1", status=302, headers={"Location": "2?a=b"})
    pooled_httpd.respond("/2", status=307, headers={"Location": pooled_httpd.url_for("/dir")})
    response = session.get(pooled_httpd.url_for("/1"))
    assert response.text == "index"
    assert [(before.status_code, before.headers["location"]) for before in response.history] == [
        (302, "2?a=b"),
        (307, pooled_httpd.url_for("/dir")),
        (301, "/dir/"),
    ]
    pooled_httpd.expect_stats(total_requests=4, total_connections=1)


def test_a_fragment_stays_with_the_client(pooled_httpd: Server, session: requests.Session) -> None:
    """It is never sent, and is kept over a redirect that has none."""
    pooled_httpd.respond("/old", status=301, headers={"Location": "/new"})
    pooled_httpd.respond("/new", content=b"x")
    response = session.get(pooled_httpd.url_for("/old#view"))
    assert response.url == pooled_httpd.url_for("/new#view")
    assert [got.target for got in pooled_httpd.requests()] == ["/old", "/new"]


def test_a_location_in_utf8(pooled_httpd: Server, session: requests.Session) -> None:
    """Bytes that are not ASCII in a Location are followed."""
    pooled_httpd.write("šikta.txt", "found")
    pooled_httpd.respond("/old", status=301, headers={"Location": "/šikta.txt"})
    assert session.get(pooled_httpd.url_for("/old")).text == "found"
    assert pooled_httpd.requests()[1].target == "/%C5%A1ikta.txt"


def test_a_redirect_can_be_left_alone(pooled_httpd: Server, session: requests.Session) -> None:
    """And followed later."""
    pooled_httpd.respond("/old", status=303, headers={"Location": "/new"})
    pooled_httpd.respond("/new", content=b"there")
    response = session.get(pooled_httpd.url_for("/old"), allow_redirects=False)
    assert (response.status_code, response.is_redirect, response.history) == (303, True, [])
    assert response.next is not None
    assert session.send(response.next).content == b"there"


def test_authorization_does_not_go_to_another_host(pooled_httpd: Server, session: requests.Session) -> None:
    """It stays where the host does."""
    pooled_httpd.respond("/same", status=302, headers={"Location": "/end"})
    pooled_httpd.respond("/other", status=302, headers={"Location": f"http://localhost:{pooled_httpd.port}/end"})
    pooled_httpd.respond("/end", content=b"x")
    for path in ("/same", "/other"):
        session.get(pooled_httpd.url_for(path), auth=("name", "word"))
    given = [got.fields.get("authorization") for got in pooled_httpd.requests(path="/end")]
    assert given == ["Basic bmFtZTp3b3Jk", None]


def test_content_from_a_file_is_rewound_for_a_redirect(pooled_httpd: Server, session: requests.Session) -> None:
    """From where it was, not from its beginning."""
    pooled_httpd.respond("/old", status=307, headers={"Location": "/new"})
    pooled_httpd.respond("/new", status=201)
    content = io.BytesIO(b"0123456789")
    content.seek(4)
    assert session.post(pooled_httpd.url_for("/old"), data=content).status_code == 201
    assert [got.content for got in pooled_httpd.requests()] == [b"456789"] * 2


# Cookies.


def test_cookies_come_back(pooled_httpd: Server, session: requests.Session) -> None:
    """Set by an answer, sent with what follows; by their paths, and until they expire."""
    lines = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", 'b="2 3"; Path=/deep'), ("Set-Cookie", "c=4; Path=/")]
    pooled_httpd.respond("/set", headers=lines)
    pooled_httpd.respond("/unset", headers={"Set-Cookie": "c=; Path=/; Max-Age=0"})
    for path in ("/set", "/any", "/deep/er", "/unset", "/any"):
        session.get(pooled_httpd.url_for(path))
    sent = [got.fields.get("cookie", "") or "" for got in pooled_httpd.requests()]
    assert [set(filter(None, line.split("; "))) for line in sent] == [
        set(),
        {"a=1", "c=4"},
        {"a=1", 'b="2 3"', "c=4"},
        {"a=1", "c=4"},
        {"a=1"},
    ]


def test_cookies_of_a_redirect_are_sent_at_once(pooled_httpd: Server, session: requests.Session) -> None:
    """Set by the 302, there at its Location."""
    pooled_httpd.respond("/login", status=302, headers={"Location": "/home", "Set-Cookie": "session=s1"})
    pooled_httpd.respond("/home", content=b"x")
    session.post(pooled_httpd.url_for("/login"), data={"name": "me"})
    assert pooled_httpd.requests()[1].fields["cookie"] == "session=s1"
    assert session.cookies["session"] == "s1"


def test_cookies_of_one_request_are_not_kept(pooled_httpd: Server, session: requests.Session) -> None:
    """And win over those of the session."""
    session.cookies["a"] = "session"
    session.get(pooled_httpd.url_for("/"), cookies={"a": "request"})
    session.get(pooled_httpd.url_for("/"))
    assert [got.fields["cookie"] for got in pooled_httpd.requests()] == ["a=request", "a=session"]


# Authentication.


def test_basic_authentication(pooled_httpd: Server, session: requests.Session) -> None:
    """Name and word as they are encoded; from the URL too."""
    for auth in (("name", "wörd"), HTTPBasicAuth("name", "wörd")):
        session.get(pooled_httpd.url_for("/"), auth=auth)
    session.get(f"http://u:p%40@127.0.0.1:{pooled_httpd.port}/")
    given = [base64.b64decode(got.fields["authorization"].split(" ")[1]) for got in pooled_httpd.requests()]
    assert given == [b"name:w\xf6rd", b"name:w\xf6rd", b"u:p@"]


def test_digest_authentication(pooled_httpd: Server, session: requests.Session) -> None:
    """The challenge's nonce comes back with a response that can be checked; the second request needs no challenge."""
    challenge = 'Digest realm="here", nonce="n0nce", qop="auth", algorithm=SHA-256, opaque="o"'
    pooled_httpd.respond("/me", status=401, headers={"WWW-Authenticate": challenge}, content=b"no", times=1)
    pooled_httpd.respond("/me", content=b"you")
    session.auth = HTTPDigestAuth("name", "word")
    assert [session.get(pooled_httpd.url_for("/me")).text for _ in range(2)] == ["you", "you"]
    first, *later = pooled_httpd.requests()
    assert "authorization" not in first.fields
    for count, got in enumerate(later, 1):
        told = dict(re.findall(r'(\w+)="?([^",]*)"?', got.fields["authorization"].removeprefix("Digest ")))

        def digest(text: str) -> str:
            return hashlib.sha256(text.encode()).hexdigest()

        secret, what = digest("name:here:word"), digest("GET:/me")
        expected = digest(f"{secret}:n0nce:{told['nc']}:{told['cnonce']}:auth:{what}")
        assert (told["response"], told["opaque"], int(told["nc"], 16)) == (expected, "o", count)
    pooled_httpd.expect_stats(total_connections=1, responses={401: 1, 200: 2})


def test_digest_authentication_gives_up(pooled_httpd: Server, session: requests.Session) -> None:
    """Wrong credentials are sent once."""
    fields = {"WWW-Authenticate": 'Digest realm="here", nonce="n", qop="auth"'}
    refused = pooled_httpd.respond("/me", status=401, headers=fields)
    response = session.get(pooled_httpd.url_for("/me"), auth=HTTPDigestAuth("name", "wrong"))
    assert (response.status_code, refused.served) == (401, 2)


# Retries of the adapter.


def test_no_retry_without_being_told(pooled_httpd: Server, session: requests.Session) -> None:
    """A 503 is an answer, a reset a ConnectionError."""
    unavailable = pooled_httpd.respond("/503", status=503)
    reset = pooled_httpd.respond("/reset", fault=Reset("start"))
    assert session.get(pooled_httpd.url_for("/503")).status_code == 503
    with pytest.raises(requests.ConnectionError):
        session.get(pooled_httpd.url_for("/reset"))
    assert (unavailable.served, reset.served) == (1, 1)


def test_the_adapter_retries(pooled_httpd: Server, session: requests.Session) -> None:
    """Statuses and broken answers in one run, until the file is there."""
    retrying(session, total=5, status_forcelist=[502, 503])
    pooled_httpd.write("api", "done")
    pooled_httpd.respond("/api", status=503, times=2)
    pooled_httpd.respond("/api", fault=Close(), times=1)
    pooled_httpd.respond("/api", fault=Reset("start"), times=1)
    assert session.get(pooled_httpd.url_for("/api")).text == "done"
    pooled_httpd.expect_stats(responses={503: 2, 0: 2, 200: 1}, total_connections=3)


def test_the_adapters_retries_come_to_an_end(pooled_httpd: Server, session: requests.Session) -> None:
    """RetryError for statuses, ConnectionError for what is broken."""
    retrying(session, total=2, status_forcelist=[500])
    answers = [
        (pooled_httpd.respond("/500", status=500), requests.exceptions.RetryError),
        (pooled_httpd.respond("/close", fault=Close()), requests.ConnectionError),
    ]
    for answer, error in answers:
        with pytest.raises(error, match="Max retries exceeded"):
            session.get(pooled_httpd.url_for(answer.path))
        assert answer.served == 3


def test_the_adapter_waits_as_told(pooled_httpd: Server, session: requests.Session) -> None:
    """Retry-After of a 429, in seconds."""
    retrying(session, total=1, status_forcelist=[429])
    pooled_httpd.respond("/api", status=429, headers={"Retry-After": "1"}, times=1)
    pooled_httpd.respond("/api", content=b"now")
    begun = time.monotonic()
    assert session.get(pooled_httpd.url_for("/api")).content == b"now"
    assert time.monotonic() - begun >= 1


# Timeouts and what breaks.


#: A timeout that is meant to pass where a server stalls, and not before its head comes, in seconds.
LATE = 1.0


def test_timeouts(pooled_httpd: Server, session: requests.Session) -> None:
    """ReadTimeout before the head, ConnectionError inside content; both are no earlier than they were told."""
    pooled_httpd.respond("/late", delay=60)
    pooled_httpd.respond("/stall", content=b"0123456789", fault=Stall("middle"))
    begun = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        session.get(pooled_httpd.url_for("/late"), timeout=(PATIENCE, SHORT))
    middle = time.monotonic()
    with pytest.raises(requests.ConnectionError, match="timed out"):
        session.get(pooled_httpd.url_for("/stall"), timeout=LATE)
    assert (middle - begun >= SHORT, time.monotonic() - middle >= LATE) == (True, True)


def test_a_delay_within_the_timeout(pooled_httpd: Server, session: requests.Session) -> None:
    """``elapsed`` tells of it."""
    pooled_httpd.respond("/late", delay=0.2, content=b"late")
    response = session.get(pooled_httpd.url_for("/late"), timeout=PATIENCE)
    assert response.content == b"late"
    assert response.elapsed.total_seconds() >= 0.2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Close(), requests.ConnectionError),
        (Reset("start"), requests.ConnectionError),
        (Reset("middle"), requests.exceptions.ChunkedEncodingError),
        (CutShort("start"), requests.ConnectionError),
        (CutShort("head"), requests.exceptions.ChunkedEncodingError),
        (CutShort("middle"), requests.exceptions.ChunkedEncodingError),
        (Garbage(), requests.ConnectionError),
        (Garbage(b"220 mail.example ESMTP\r\n"), requests.ConnectionError),
    ],
    ids=repr,
)
def test_what_breaks_is_told_and_the_session_goes_on(
    pooled_httpd: Server, session: requests.Session, fault: Fault, error: type[Exception]
) -> None:
    """Each fault is one of the client's own errors."""
    content = b"" if isinstance(fault, Garbage) else b"0123456789"
    pooled_httpd.respond("/broken", content=content, fault=fault)
    pooled_httpd.write("whole", "whole")
    with pytest.raises(error):
        session.get(pooled_httpd.url_for("/broken"))
    assert session.get(pooled_httpd.url_for("/whole")).text == "whole"
    assert pooled_httpd.stats().total_connections == 2


def test_conflicting_lengths_are_told(pooled_httpd: Server, session: requests.Session) -> None:
    """Two Content-Length fields that differ."""
    pooled_httpd.respond("/", headers=[("Content-Length", "10"), ("Content-Length", "11")], content=b"x" * 11)
    with pytest.raises(requests.exceptions.InvalidHeader):
        session.get(pooled_httpd.url_for("/"))


def test_broken_chunks_are_told(pooled_httpd: Server, session: requests.Session) -> None:
    """A size that is none."""
    fields = {"Transfer-Encoding": "chunked", "Connection": "close"}
    pooled_httpd.respond("/", headers=fields, content=b"x\r\nhello\r\n0\r\n\r\n")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        session.get(pooled_httpd.url_for("/"))


def test_a_broken_coding_is_told(pooled_httpd: Server, session: requests.Session) -> None:
    """Content-Encoding: gzip, and no gzip."""
    pooled_httpd.respond("/", headers={"Content-Encoding": "gzip"}, content=b"plain")
    with pytest.raises(requests.exceptions.ContentDecodingError):
        session.get(pooled_httpd.url_for("/"))


# Connections.


def test_a_session_keeps_its_connection(pooled_httpd: Server, session: requests.Session) -> None:
    """Without a session each request has its own."""
    for _ in range(5):
        session.get(pooled_httpd.url_for("/"))
    assert pooled_httpd.stats().total_connections == 1
    for _ in range(2):
        requests.get(pooled_httpd.url_for("/"), timeout=PATIENCE, proxies={"http": ""})
    assert pooled_httpd.stats().total_connections == 3


@pytest.mark.parametrize("ends", ["timeout", "reset", "field"])
def test_a_connection_that_has_ended_is_replaced(pooled_httpd_factory: Any, ends: str) -> None:  # noqa: ANN401
    """The server's timeout, its reset and its ``Connection: close``: the next request works without a retry."""
    server: Server = pooled_httpd_factory(**({"keepalive_timeout": 0.02} if ends == "timeout" else {}))
    server.respond("/", headers={"Connection": "close"} if ends == "field" else {}, content=b"x")
    answered = 0
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(3):
            answered += session.get(server.url).content == b"x"
            if ends == "reset":
                server.reset()
                server.respond("/", content=b"x")
            server.expect_stats(active_connections=0, timeout=PATIENCE)
    assert answered == 3
    assert server.stats().total_connections == (0 if ends == "reset" else 3)


def test_a_server_that_has_gone(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """ConnectionError, and ConnectTimeout is another thing."""
    server: Server = pooled_httpd_factory()
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(server.url).status_code == 404
        server.stop()
        with pytest.raises(requests.ConnectionError) as caught:
            session.get(server.url)
    assert not isinstance(caught.value, requests.ConnectTimeout)
