"""Pipelining: several requests in one piece, answered in order, each for itself (RFC 9112 section 9.3.2).

What a request said of itself, its range, its conditions, its method, its host, must be gone when the next one is read.
A server may close behind any answer; what it answers must fit what was asked.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Check, Ends, Family, Level, Outcome, closes, is_known, series
from pooled_httpd.attack.catalogue.building import CHUNKED, POST_STATUSES, chunks, known_if_ok, request

_SECTION = "RFC 9112 section 9.3.2"
_GET = request()
_HEAD = request(method=b"HEAD")
_MISSING = request(target=b"/pipelining-finds-nothing-here")


def _case(
    id: str,
    requests: tuple[bytes, ...],
    strict: Outcome,
    why: str,
    *,
    besides: tuple[tuple[int, ...], ...] = (),
    checks: tuple[Check, ...] = (),
    methods: tuple[str, ...] = (),
    section: str = _SECTION,
) -> Case:
    """Requests in one piece. ``besides`` has the statuses of all right answers; the server may stop at any of them."""
    right = besides or strict.statuses
    stops = tuple(Outcome(right[:count], Ends.CLOSED) for count in range(1, len(right)))
    return Case(
        id=f"pipelining_{id}",
        data=b"".join(requests),
        section=section,
        level=Level.MUST,
        strict=strict,
        accept=(Outcome(right, strict.ends if strict.ends is Ends.CLOSED else Ends.EITHER), *stops),
        checks=checks,
        methods=methods,
        why=why,
    )


FAMILY = Family(
    "pipelining",
    "Pipelining",
    (
        _case(
            "answers_two_requests_in_order",
            (_MISSING, _GET),
            series(404, 200),
            "The client tells answers apart by their order alone: a wrong one gives a page to another request.",
            checks=(is_known(response=1),),
        ),
        _case(
            "answers_twenty_requests",
            (_GET,) * 20,
            series(*[200] * 20),
            "A buffer that is moved, or a wakeup that is lost, shows after some requests and not after two.",
            checks=tuple(is_known(response=number) for number in range(20)),
        ),
        _case(
            "answers_different_methods_in_order",
            (_GET, request(method=b"OPTIONS"), request(method=b"BREW"), _MISSING, _GET),
            series(200, 204, 501, 404, 200),
            "Each kind of answer is made by other code, which may leave the connection in another state.",
            besides=((200,), (200, 204, 403, 405, 501), (400, 403, 405, 501), (404,), (200,)),
            checks=(known_if_ok(response=4),),
        ),
        _case(
            "stops_at_close",
            (_GET, request(b"Connection: close"), _GET),
            series(200, 200, ends=Ends.CLOSED),
            "What comes behind the close was not meant for this connection any more, or not by this peer.",
            section="RFC 9112 section 9.6",
        ),
        _case(
            "stops_at_a_malformed_request",
            (_GET, request(version=b"HTTP/1.1 extra"), _GET),
            series(200, 400, ends=Ends.CLOSED),
            "Behind a fault nobody knows where a request begins: who looks for one finds what an attacker put there.",
            besides=((200,), (400,)),
            section="RFC 9112 section 2.2",
        ),
        _case(
            "stops_at_http10",
            (_GET, request(version=b"HTTP/1.0"), _GET),
            series(200, 200, ends=Ends.CLOSED),
            "A request of HTTP/1.0 ends the connection, whatever the one before it was.",
            section="RFC 9112 section 9.3",
        ),
        _case(
            "forgets_a_range",
            (request(b"Range: bytes=0-0"), _GET),
            series(206, 200),
            "A range that is left over cuts the answer to the next request, and a cache stores it as whole.",
            besides=((200, 206), (200,)),
            checks=(is_known(response=1),),
        ),
        _case(
            "forgets_a_condition",
            (request(b"If-None-Match: {etag}"), _GET),
            series(304, 200),
            "A validator that is left over answers 304 to who has nothing stored.",
            besides=((200, 304), (200,)),
            checks=(is_known(response=1),),
        ),
        _case(
            "forgets_a_precondition",
            (request(b'If-Match: "no-such-entity-tag"'), _GET),
            series(412, 200),
            "A precondition that is left over refuses everything on this connection.",
            besides=((200, 412), (200,)),
            checks=(is_known(response=1),),
        ),
        _case(
            "forgets_head",
            (_HEAD, _GET),
            series(200, 200),
            "Left over, it takes the content from the next answer, and the length promises one.",
            checks=(is_known(response=1),),
            methods=("HEAD", "GET"),
        ),
        _case(
            "forgets_get_before_head",
            (_GET, _HEAD, _GET),
            series(200, 200, 200),
            "Content behind the answer to HEAD is read as the beginning of the next one.",
            checks=(is_known(), is_known(response=2)),
            methods=("GET", "HEAD", "GET"),
        ),
        _case(
            "forgets_a_content",
            (request(b"Content-Length: 5", method=b"POST", content=b"hello"), _GET, _GET),
            series(405, 200, 200),
            "A length that is left over makes a content of the next request.",
            besides=(POST_STATUSES, (200,), (200,)),
            checks=(known_if_ok(response=1), known_if_ok(response=2)),
        ),
        _case(
            "forgets_a_coding",
            (
                request(CHUNKED, method=b"POST", content=chunks(b"hello")),
                request(b"Content-Length: 5", method=b"POST", content=b"hello"),
                _GET,
            ),
            series(405, 405, 200),
            "A decoder that is left over finds no size in the next content, and a stale size skips a request.",
            besides=(POST_STATUSES, POST_STATUSES, (200,)),
            checks=(known_if_ok(response=2),),
        ),
        _case(
            "forgets_an_expectation",
            (request(b"Expect: x-unknown"), _GET),
            series(417, 200),
            "An expectation that is left over refuses the next request, or answers 100 to it.",
            besides=((200, 417), (200,)),
            checks=(is_known(response=1),),
        ),
        _case(
            "forgets_a_host",
            (request(), b"GET {known} HTTP/1.1\r\n\r\n"),
            series(200, 400, ends=Ends.CLOSED),
            "A Host that is left over lets a request without one through, to the site of the request before.",
            besides=((200,), (400,)),
            section="RFC 9112 section 3.2",
        ),
        Case(
            id="pipelining_takes_the_last_bytes_of_a_segment_for_a_request",
            data=b"\r\n".join((_GET, _GET)),
            section="RFC 9112 section 2.2",
            level=Level.SHOULD,
            strict=series(200, 200),
            accept=(series(200, 200, ends=Ends.EITHER), closes(200)),
            why="An empty line between two requests is to be ignored there as well as before the first.",
        ),
    ),
)
