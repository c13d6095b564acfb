"""Time: requests that never become complete, that come slowly, or end in the middle (RFC 9112 section 8, RFC 9110
section 15.5.9).

Only the server's own timeouts end the first two kinds, counted from a beginning that the peer cannot move. A request
that ends before it is complete is none and is never answered as if it were.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Danger,
    Ends,
    Family,
    HalfClose,
    Level,
    Outcome,
    Send,
    Step,
    Trickle,
    answers,
    closes,
    series,
    silent,
)
from pooled_httpd.attack.catalogue.building import CHUNKED, POST_STATUSES, known_if_ok, request

_TIMEOUT = "RFC 9110 section 15.5.9"
_INCOMPLETE = "RFC 9112 section 8"
#: A head whose last line is missing.
_HEAD = b"GET {known} HTTP/1.1\r\nHost: {host}\r\n"
_SENDING = request(b"Content-Length: 1000", method=b"POST")
_IN_CHUNKS = request(CHUNKED, method=b"POST")
#: Besides 408: the close alone, or an early answer that leaves the rest unread.
_GIVEN_UP = (silent(), answers(408))
_POST_GIVEN_UP = (silent(), answers(*POST_STATUSES, 408))


def _stalls(
    id: str,
    *steps: Step,
    why: str,
    strict: Outcome | None = None,
    accept: tuple[Outcome, ...] = _GIVEN_UP,
    forbid: tuple[Danger, ...] = (Danger.SERVED,),
) -> Case:
    """Nothing, or too little, comes behind these steps."""
    return Case(
        id=f"time_{id}",
        data=steps,
        section=_TIMEOUT,
        level=Level.MAY,
        strict=strict or closes(408),
        accept=accept,
        forbid=forbid,
        waits=True,
        why=why,
    )


def _ends(
    id: str,
    data: bytes,
    why: str,
    *,
    strict: Outcome | None = None,
    accept: tuple[Outcome, ...] = (closes(400, 408),),
    forbid: tuple[Danger, ...] = (Danger.SERVED,),
    level: Level = Level.SHOULD,
) -> Case:
    """The peer closes its sending side behind these bytes."""
    return Case(
        id=f"half_close_{id}",
        data=(Send(data), HalfClose()) if data else (HalfClose(),),
        section=_INCOMPLETE,
        level=level,
        strict=strict or silent(),
        accept=accept,
        forbid=forbid,
        checks=(known_if_ok(),),
        why=why,
    )


FAMILY = Family(
    "time",
    "Time",
    (
        _stalls(
            "nothing_is_sent",
            strict=silent(),
            accept=(answers(408),),
            why="Connections cost nothing to open: each that is kept for nothing is one less for others.",
        ),
        _stalls(
            "an_empty_line_alone_is_sent",
            Send(b"\r\n"),
            strict=silent(),
            accept=(answers(400, 408),),
            why="An empty line begins no request, and must not prolong the time for one.",
        ),
        _stalls(
            "the_method_alone_is_sent",
            Send(b"GET"),
            why="A request that has begun has a time in which to end, wherever it stops.",
        ),
        _stalls(
            "the_request_line_is_not_ended",
            Send(b"GET {known} HTTP/1.1\r"),
            why="Between CR and LF a parser looks one byte ahead, and waits for it without a time limit.",
        ),
        _stalls(
            "the_head_is_not_ended",
            Send(_HEAD),
            why="One CRLF is missing: to serve the request is to guess, to wait for ever is to lose a connection.",
        ),
        _stalls(
            "the_content_does_not_begin",
            Send(_SENDING),
            accept=_POST_GIVEN_UP,
            forbid=(),
            why="The head is complete, so that its time has ended; the content needs one of its own.",
        ),
        _stalls(
            "the_content_stops",
            Send(_SENDING + b"hello"),
            accept=_POST_GIVEN_UP,
            forbid=(),
            why="A worker that waits for the rest of a content waits with all it holds.",
        ),
        _stalls(
            "a_chunk_size_is_not_ended",
            Send(_IN_CHUNKS + b"5"),
            accept=_POST_GIVEN_UP,
            forbid=(),
            why="The size may have more digits: nothing but time ends it.",
        ),
        _stalls(
            "the_data_of_a_chunk_stops",
            Send(_IN_CHUNKS + b"5\r\nhel"),
            accept=_POST_GIVEN_UP,
            forbid=(),
            why="Chunks have no sum, and a content of them no time that follows from it.",
        ),
        _stalls(
            "the_last_chunk_does_not_come",
            Send(_IN_CHUNKS + b"5\r\nhello\r\n"),
            accept=_POST_GIVEN_UP,
            forbid=(),
            why="All data is there; that it is all only the last chunk says.",
        ),
        _stalls(
            "the_trailers_are_not_ended",
            Send(_IN_CHUNKS + b"0\r\nX-Sum: 1\r\n"),
            accept=_POST_GIVEN_UP,
            forbid=(),
            why="The trailers are part of the request: without their end the next one has no beginning.",
        ),
        _stalls(
            "field_lines_trickle",
            Send(_HEAD),
            Trickle(b"X-a: b\r\n"),
            accept=(*_GIVEN_UP, answers(400, 431)),
            why="Each line is progress, so that a time between bytes never runs out (slowloris).",
        ),
        _stalls(
            "one_field_value_trickles",
            Send(_HEAD + b"X-Slow: "),
            Trickle(b"v"),
            accept=(*_GIVEN_UP, answers(400, 431)),
            why="A time for each line begins anew with each byte in some servers (slowloris).",
        ),
        _stalls(
            "the_target_trickles",
            Send(b"GET {known}?"),
            Trickle(b"q"),
            accept=(*_GIVEN_UP, answers(400, 414)),
            why="The time counts from the first byte, not from the end of the request line (slowloris).",
        ),
        _stalls(
            "empty_lines_trickle",
            Trickle(b"\r\n"),
            strict=closes(400),
            why="Empty lines before a request are skipped, and each of them looks like the beginning of one.",
        ),
        _stalls(
            "the_content_trickles",
            Send(_SENDING),
            Trickle(b"x"),
            accept=_POST_GIVEN_UP,
            forbid=(),
            why="A thousand bytes at this rate take most of a minute, a megabyte most of a day (slow POST).",
        ),
        _stalls(
            "chunks_trickle",
            Send(_IN_CHUNKS),
            Trickle(b"1\r\nx\r\n"),
            accept=_POST_GIVEN_UP,
            forbid=(),
            why="Chunks of one byte come for ever, and each of them is complete (slow POST).",
        ),
        _ends("before_anything", b"", "A connection that is opened and closed is no request and no error."),
        _ends("in_the_request_line", b"GET {known} HT", "What is there may name another resource than what was meant."),
        _ends(
            "behind_the_request_line",
            b"GET {known} HTTP/1.1\r\n",
            "Taken for a simple request, it is answered without any of its fields.",
        ),
        _ends(
            "in_the_head",
            _HEAD + b"X-Half: ha",
            "The line that is missing may be the one that forbids the request.",
        ),
        _ends(
            "before_the_last_crlf",
            _HEAD,
            "A head that was cut off must not be served: what was cut off nobody knows.",
        ),
        _ends(
            "in_the_content",
            _SENDING + b"hello",
            "A content that was cut off is not stored as if it were whole.",
            accept=(closes(*POST_STATUSES, 408),),
            forbid=(),
        ),
        _ends(
            "in_a_chunk",
            _IN_CHUNKS + b"5\r\nhel",
            "Without its end a chunk is a part of one, and the content incomplete.",
            accept=(closes(*POST_STATUSES, 408),),
            forbid=(),
        ),
        _ends(
            "before_the_last_chunk",
            _IN_CHUNKS + b"5\r\nhello\r\n",
            "Chunks without the last one are an incomplete content, however whole they look.",
            accept=(closes(*POST_STATUSES, 408),),
            forbid=(),
        ),
        _ends(
            "behind_a_request_is_no_reset",
            request(),
            "A client that has said all it wants still reads: who takes its half-close for a close loses the answer.",
            strict=closes(200),
            accept=(silent(),),
            forbid=(),
            level=Level.MAY,
        ),
        _ends(
            "behind_two_requests_is_no_reset",
            request() + request(),
            "Both were complete when the end came, and both are answered.",
            strict=series(200, 200, ends=Ends.CLOSED),
            accept=(closes(200), silent()),
            forbid=(),
            level=Level.MAY,
        ),
        _ends(
            "in_a_second_request_answers_the_first",
            request() + b"GET {known} HTTP/1.1\r\nHo",
            "The first request is complete: what happens to the second one does not take its answer away.",
            strict=closes(200),
            accept=(series(200, (400, 408), ends=Ends.CLOSED), silent()),
            forbid=(),
        ),
    ),
)
