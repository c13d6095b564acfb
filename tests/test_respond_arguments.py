"""Registered answers: what is wrong with an argument, or would never show, is told before anything is registered."""

from __future__ import annotations

from typing import Any

import pooled_httpd
import pytest
from pooled_httpd.faults import Close, CutShort, Dribble, Fault, Garbage, Reset, Stall
from support import Raw, exchange, get

Server = pooled_httpd.Server


def assert_refused(server: Server, arguments: dict[str, Any], message: str) -> None:
    """Assert that registering an answer is an error that begins so, and that nothing is registered."""
    with pytest.raises(pooled_httpd.OptionError) as caught:
        server.respond(**{"path": "/a", **arguments})
    assert str(caught.value).startswith(message), str(caught.value)
    assert exchange(server.port, get("/a")).status == 404


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "a"}, 'path: "a" is no path: it begins with a slash and has no fragment'),
        ({"path": ""}, 'path: "" is no path: it begins with a slash and has no fragment'),
        ({"path": "http://x/a"}, 'path: "http://x/a" is no path'),
        ({"path": "/a#b"}, 'path: "/a#b" is no path'),
        ({"path": "/a?b#c"}, 'path: "/a?b#c" is no path'),
        ({"path": "*"}, 'path: "*" is for OPTIONS alone, and answered by the server itself; "/*" is every path'),
        (
            {"method": "CONNECT"},
            "method: CONNECT asks for a host and a port, never for a path (RFC 9110 section 9.3.6)",
        ),
        ({"path": "/%zz"}, 'path: "/%zz" is refused before any answer is looked for'),
        ({"path": "/../a"}, 'path: "/../a" is refused before any answer is looked for'),
        ({"path": "/a%00"}, 'path: "/a%00" is refused before any answer is looked for'),
        ({"method": ""}, 'method: "" is no token (RFC 9110 section 9.1)'),
        ({"method": "GET POST"}, 'method: "GET POST" is no token (RFC 9110 section 9.1)'),
        ({"status": 199}, "status: 199 is not within 200 to 999; what else is to be sent goes as raw bytes"),
        ({"status": 1000}, "status: 1000 is not within 200 to 999"),
        ({"reason": "a\r\nb"}, 'reason: "a\\r\\nb" has a control character'),
        ({"headers": {"a b": "c"}}, 'headers: "a b" is no field name (RFC 9110 section 5.1)'),
        ({"headers": {"": "c"}}, 'headers: "" is no field name (RFC 9110 section 5.1)'),
        ({"headers": {"a": "b\r\nc: d"}}, 'headers: the value "b\\r\\nc: d" of a has a control character'),
        ({"headers": {"a": " b"}}, 'headers: the value " b" of a has a control character, or white space around it'),
        ({"headers": {"a": "x" * 20_000}}, "headers: 20041 bytes; the send buffer has room for "),
        ({"status": 204, "content": b"x"}, "content: a 204 has none (RFC 9110 section 6.4.1)"),
        ({"status": 304, "content": b"x"}, "content: a 304 has none (RFC 9110 section 6.4.1)"),
        ({"content": b"x", "json": 1}, "json: there is content as well; it is one or the other"),
        ({"times": 0}, "times: 0 is not within 1 to 18,446,744,073,709,551,614; None is for as many as are asked for"),
        ({"delay": -0.1}, "delay: -0.1 is no number of seconds from 0 to 86,400"),
        ({"delay": 86_401}, "delay: 86401 is no number of seconds from 0 to 86,400"),
        ({"delay": float("nan")}, "delay: nan is no number of seconds from 0 to 86,400"),
        (
            {"fault": CutShort("end")},  # type: ignore[arg-type]
            "fault: CutShort(at='end') has no such place; it is 'start', 'head', 'middle' or a",
        ),
        (
            {"fault": Reset(-1)},
            "fault: Reset(at=-1) has no such place; it is 'start', 'head', 'middle' or a number from 0",
        ),
        ({"fault": Stall(True)}, "fault: Stall(at=True, seconds=None) has no such place"),
        (
            {"fault": Stall(seconds=-1)},
            "fault: Stall(at='head', seconds=-1): -1 is no number of seconds from 0 to 86,400",
        ),
        (
            {"fault": Dribble(0)},
            "fault: Dribble(size=0, interval=0.01): the size of a piece is a whole number, at least",
        ),
        ({"fault": Dribble(1, -1)}, "fault: Dribble(size=1, interval=-1): -1 is no number of seconds from 0 to 86,400"),
        (
            {"fault": [Close(), Reset()]},
            "fault: Reset(at='middle') does not go together with what is before it in [Close()",
        ),
        ({"fault": [Dribble(), Dribble()]}, "fault: Dribble(size=1, interval=0.01) does not go together"),
        (
            {"fault": [Garbage(), Garbage()]},
            "fault: [Garbage(data=None, seed=0), Garbage(data=None, seed=0)] has garbage",
        ),
        (
            {"fault": Garbage(), "content": b"x"},
            "fault: garbage comes in place of a response, so there can be no content",
        ),
        ({"fault": Garbage(), "headers": {"a": "b"}}, "fault: garbage comes in place of a response"),
        ({"fault": ["reset"]}, "fault: 'reset' is none; they are Dribble, CutShort, Reset, Close, Garbage, Stall"),
        ({"fault": [Reset]}, "fault: <class 'pooled_httpd.faults.Reset'> is none; they are Dribble"),
    ],
)
def test_a_wrong_argument_is_named_with_what_would_be_right(
    httpd: Server, arguments: dict[str, Any], message: str
) -> None:
    """OptionError, and nothing is registered."""
    assert_refused(httpd, arguments, message)


NO_CONTENT = "there is no content; give some, or at='start'"


@pytest.mark.parametrize(
    ("fault", "arguments", "message"),
    [
        (CutShort(), {}, f"CutShort(at='middle') leaves nothing out: {NO_CONTENT}"),
        (CutShort("head"), {"headers": {"Content-Length": "0"}}, "CutShort(at='head') leaves nothing out: "),
        (CutShort(), {"content": "x", "method": "HEAD"}, "CutShort(at='middle') leaves nothing out: "),
        (CutShort(), {"status": 304, "headers": {"Content-Length": "5"}}, "CutShort(at='middle') leaves nothing out: "),
        (Reset(), {}, f"Reset(at='middle') leaves nothing out: {NO_CONTENT}"),
        (Stall(), {}, f"Stall(at='head', seconds=None) holds nothing back: {NO_CONTENT}"),
        (Stall("middle", 1), {"status": 204}, "Stall(at='middle', seconds=1) holds nothing back: "),
        (Stall(4), {"content": b"123"}, "Stall(at=4, seconds=None) is never come to: the content has 3 bytes"),
        (
            [CutShort(2), Stall(3)],
            {"content": b"1234"},
            "Stall(at=3, seconds=None) is never come to: the response ends before it",
        ),
        ([Dribble(), Close()], {"content": b"1"}, "Dribble(size=1, interval=0.01): nothing is sent that could dribble"),
        ([Garbage(b""), Dribble()], {}, "Dribble(size=1, interval=0.01): nothing is sent that could dribble"),
        ([Garbage(b"1"), Dribble(), CutShort("head")], {}, "Dribble(size=1, interval=0.01): nothing is sent that"),
        ([Garbage(b""), CutShort("head")], {}, "CutShort(at='head') leaves nothing out: "),
    ],
    ids=repr,
)
def test_a_fault_that_could_never_show_is_refused(
    httpd: Server, fault: Fault | list[Fault], arguments: dict[str, Any], message: str
) -> None:
    """With what would be right."""
    with pytest.raises(pooled_httpd.OptionError) as caught:
        httpd.respond("/a", fault=fault, **arguments)
    assert str(caught.value).startswith(f"fault: {message}"), str(caught.value)
    assert exchange(httpd.port, get("/a")).status == 404


@pytest.mark.parametrize(
    ("fault", "arguments", "body", "end"),
    [
        (Dribble(40, 0.0), {}, b"", "open"),
        (CutShort(), {"headers": {"Content-Length": "5"}}, b"", "closed"),
        (Reset("head"), {"headers": {"Transfer-Encoding": "chunked"}}, b"", "reset"),
        (Stall("head", 0.05), {"headers": {"Content-Length": "5"}}, b"", "open"),
        (CutShort(0), {}, b"", "closed"),
        (Reset(0), {}, b"", "reset"),
        (CutShort(9), {"content": b"12"}, b"12", "closed"),
        ([CutShort(2), Stall(2, 0.05)], {"content": b"1234"}, b"12", "closed"),
        ([Close(), Stall("start", 0.05)], {}, None, "closed"),
        ([Garbage(b""), Stall("head", 0.05)], {}, None, "closed"),
    ],
    ids=repr,
)
def test_a_fault_that_shows_without_content_is_not_refused(
    httpd: Server, fault: Fault | list[Fault], arguments: dict[str, Any], body: bytes | None, end: str
) -> None:
    """In the head, behind a head that promises more, and behind a whole response, where a number asks for that."""
    httpd.respond("/a", fault=fault, **arguments)
    with Raw(httpd.port) as raw:
        # Where the connection goes on, the second one ends it.
        raw.send(get("/a") + get("/none", "Connection: close"))
        received, how = b"", "closed"
        try:
            while data := raw.socket.recv(65536):
                received += data
        except ConnectionResetError:
            how = "reset"
    head, _, rest = received.partition(b"\r\n\r\n")
    if body is None:
        assert received == b""
    else:
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert rest.startswith(body + b"HTTP/1.1 404 ") if end == "open" else rest == body
    assert how == ("closed" if end == "open" else end)


HUGE = 10**5000
SURROGATE = "half a surrogate pair, which is no character (at 1)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 1}, "path: 1 is not allowed; it takes text"),
        ({"path": None}, "path: None is not allowed; it takes text"),
        ({"path": b"/a"}, "path: b'/a' is not allowed; it takes text"),
        ({"path": "/\ud800"}, f"path: '/\\ud800' has {SURROGATE}"),
        ({"path": "/" + "a" * 5000 + "\udcff"}, f"path: '/{'a' * 198}... has half a surrogate pair"),
        ({"method": 1}, "method: 1 is not allowed; it takes text"),
        ({"method": True}, "method: True is not allowed; it takes text"),
        ({"method": "G\ud800"}, f"method: 'G\\ud800' has {SURROGATE}"),
        ({"method": "GÉT"}, 'method: "GÉT" is no token'),
        (
            {"status": "200"},
            "status: '200' is no whole number from 200 to 999; what else is to be sent goes as raw bytes",
        ),
        ({"status": None}, "status: None is no whole number from 200 to 999"),
        ({"status": 200.0}, "status: 200.0 is no whole number from 200 to 999"),
        ({"status": True}, "status: True is no whole number from 200 to 999"),
        ({"status": -5}, "status: -5 is not within 200 to 999"),
        ({"status": HUGE}, "status: <int too long to be shown> is not within 200 to 999"),
        ({"reason": 5}, "reason: 5 is not allowed; it takes text"),
        ({"reason": "x\ud800"}, f"reason: 'x\\ud800' has {SURROGATE}"),
        ({"reason": "x" * 20_000}, "reason: 20034 bytes; the send buffer has room for "),
        ({"headers": 5}, "headers: 5 is neither a mapping nor pairs of name and value"),
        ({"headers": "ab"}, "headers: 'ab' is neither a mapping nor pairs of name and value"),
        ({"headers": b"ab"}, "headers: b'ab' is neither a mapping nor pairs of name and value"),
        ({"headers": ["ab"]}, "headers: 'ab' is not a name and a value, both of them text"),
        ({"headers": [1]}, "headers: 1 is not a name and a value, both of them text"),
        ({"headers": [("a",)]}, "headers: ('a',) is not a name and a value, both of them text"),
        ({"headers": {"a": 1}}, "headers: ('a', 1) is not a name and a value, both of them text"),
        ({"headers": {"a": b"x"}}, "headers: ('a', b'x') is not a name and a value, both of them text"),
        ({"headers": {"a": "x\ud800"}}, f"headers: 'x\\ud800' has {SURROGATE}"),
        ({"headers": {"x\ud800": "a"}}, f"headers: 'x\\ud800' has {SURROGATE}"),
        ({"headers": {"é": "x"}}, 'headers: "é" is no field name (RFC 9110 section 5.1)'),
        ({"content": 5}, "content: 5 is neither text nor bytes"),
        ({"content": None}, "content: None is neither text nor bytes"),
        ({"content": "x\ud800"}, f"content: 'x\\ud800' has {SURROGATE}"),
        ({"content": "x", "json": None}, "json: there is content as well; it is one or the other"),
        ({"json": float("nan")}, "json: nan cannot be sent as JSON: Out of range float values are not JSON compliant"),
        ({"json": {"a": float("inf")}}, "json: {'a': inf} cannot be sent as JSON: Out of range float values"),
        ({"json": {1, 2}}, "json: {1, 2} cannot be sent as JSON: Object of type set is not JSON serializable"),
        ({"json": b"x"}, "json: b'x' cannot be sent as JSON: Object of type bytes is not JSON serializable"),
        ({"json": {(1, 2): 3}}, "json: {(1, 2): 3} cannot be sent as JSON: keys must be str, int, float, bool or None"),
        ({"delay": None}, "delay: None is no number of seconds from 0 to 86,400"),
        ({"delay": True}, "delay: True is no number of seconds from 0 to 86,400"),
        ({"delay": "1"}, "delay: '1' is no number of seconds from 0 to 86,400"),
        ({"delay": 1j}, "delay: 1j is no number of seconds from 0 to 86,400"),
        ({"delay": float("inf")}, "delay: inf is no number of seconds from 0 to 86,400"),
        ({"delay": HUGE}, "delay: <int too long to be shown> is no number of seconds from 0 to 86,400"),
        ({"times": -1}, "times: -1 is not within 1 to 18,446,744,073,709,551,614"),
        ({"times": 1 << 70}, "times: 1180591620717411303424 is not within 1 to 18,446,744,073,709,551,614"),
        ({"times": HUGE}, "times: <int too long to be shown> is not within 1 to"),
        ({"times": True}, "times: True is no whole number from 1 to 18,446,744,073,709,551,614; None is for as many"),
        ({"times": 1.5}, "times: 1.5 is no whole number from 1 to"),
        ({"times": "2"}, "times: '2' is no whole number from 1 to"),
        ({"fault": 5}, "fault: 5 is none; they are Dribble"),
        ({"fault": "reset"}, "fault: 'reset' is none; they are Dribble"),
        ({"fault": Reset}, "fault: <class 'pooled_httpd.faults.Reset'> is none; they are Dribble"),
        ({"fault": Dribble("1")}, "fault: Dribble(size='1', interval=0.01): the size of a piece is a whole number"),  # type: ignore[arg-type]
        ({"fault": Dribble(True)}, "fault: Dribble(size=True, interval=0.01): the size of a piece is a whole number"),
        ({"fault": Dribble(1, None)}, "fault: Dribble(size=1, interval=None): None is no number of seconds from 0"),  # type: ignore[arg-type]
        ({"fault": Dribble(1, True)}, "fault: Dribble(size=1, interval=True): True is no number of seconds from 0"),
        (
            {"fault": Dribble(1, HUGE)},
            "fault: <Dribble too long to be shown>: <int too long to be shown> is",
        ),
        ({"fault": Garbage("text")}, "fault: Garbage(data='text', seed=0): the data are bytes"),  # type: ignore[arg-type]
        ({"fault": Garbage(seed=None)}, "fault: Garbage(data=None, seed=None): the seed is a whole number"),  # type: ignore[arg-type]
        ({"fault": Stall(seconds="1")}, "fault: Stall(at='head', seconds='1'): '1' is no number of seconds from 0"),  # type: ignore[arg-type]
        ({"fault": Stall(seconds=True)}, "fault: Stall(at='head', seconds=True): True is no number of seconds from 0"),
        ({"fault": Stall("nowhere")}, "fault: Stall(at='nowhere', seconds=None) has no such place"),  # type: ignore[arg-type]
        ({"fault": Garbage(), "status": 500}, "fault: garbage comes in place of a response, so there can be no status"),
        ({"fault": Garbage(), "reason": "x"}, "fault: garbage comes in place of a response, so there can be no reason"),
        ({"fault": Garbage(), "json": None}, "fault: garbage comes in place of a response, so there can be no json"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, str) else "",
)
def test_a_value_of_the_wrong_kind_is_named_with_what_would_be_right(
    httpd: Server, arguments: dict[str, Any], message: str
) -> None:
    """OptionError as well, whatever is given, and nothing is registered."""
    assert_refused(httpd, arguments, message)
