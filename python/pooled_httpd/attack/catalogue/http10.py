"""HTTP/1.0: no persistence unless asked for, no chunks in either direction, a Host that may be missing (RFC 9112).

Old clients, health checks and some proxies still speak it. What HTTP/1.1 added must not be sent to them, and not be
believed from them.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Check,
    Danger,
    Ends,
    Family,
    Level,
    Outcome,
    answers,
    closes,
    continued,
    is_known,
    keeps,
    lacks_field,
    series,
)
from pooled_httpd.attack.catalogue.building import (
    CHUNKED,
    GOT,
    POST_STATUSES,
    SMUGGLED,
    chunks,
    known_if_ok,
    length,
    request,
)

_10 = b"HTTP/1.0"
_KEEP_ALIVE = b"Connection: keep-alive"
_PERSISTENCE = "RFC 9112 section 9.3"


def _case(
    id: str,
    data: bytes,
    why: str,
    strict: Outcome,
    *,
    accept: tuple[Outcome, ...] = (),
    checks: tuple[Check, ...] = (known_if_ok(),),
    section: str = _PERSISTENCE,
    level: Level = Level.MUST,
    methods: tuple[str, ...] = (),
    forbid: tuple[Danger, ...] = (),
) -> Case:
    return Case(
        id=f"http10_{id}",
        data=data,
        section=section,
        level=level,
        strict=strict,
        accept=accept,
        forbid=forbid,
        checks=checks,
        methods=methods,
        why=why,
    )


FAMILY = Family(
    "http10",
    "HTTP/1.0",
    (
        _case(
            "is_answered_and_closed",
            request(version=_10),
            "The close is how an HTTP/1.0 client learns that the answer is complete; without it it waits.",
            closes(200),
            checks=(is_known(),),
        ),
        _case(
            "needs_no_host",
            b"GET {known} HTTP/1.0\r\n\r\n",
            "Host came with HTTP/1.1: health checks that send none must not be told that they are wrong.",
            closes(200),
            section="RFC 9112 section 3.2",
            checks=(is_known(),),
        ),
        _case(
            "rejects_an_invalid_host",
            b"GET {known} HTTP/1.0\r\nHost: a b\r\n\r\n",
            "A Host may be missing; one that is there selects the site and is checked in every version.",
            closes(400),
            accept=(answers(400),),
            section="RFC 9112 section 3.2",
        ),
        _case(
            "rejects_two_hosts",
            b"GET {known} HTTP/1.0\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
            "Which of two hosts counts differs, and an older version is no way around the check.",
            closes(400),
            accept=(answers(400),),
            section="RFC 9112 section 3.2",
        ),
        _case(
            "persists_where_asked",
            request(b"Connection: Keep-Alive", version=_10),
            "An answer that promises keep-alive and closes costs the client its next request.",
            keeps(200),
            accept=(closes(200),),
            level=Level.MAY,
            checks=(is_known(),),
        ),
        _case(
            "ends_at_close_and_keep_alive",
            request(b"Connection: keep-alive, close", version=_10),
            "Close wins, in this version too.",
            closes(200),
        ),
        _case(
            "ends_without_the_option",
            request(b"Keep-Alive: timeout=5, max=100", version=_10),
            "Keep-Alive has the parameters; only Connection asks for persistence.",
            closes(200),
        ),
        _case(
            "answers_one_request_of_two",
            request(version=_10) + SMUGGLED,
            "What comes behind a request that ends the connection is a mistake, or content that nobody announced.",
            closes(200),
            checks=(is_known(),),
        ),
        _case(
            "answers_pipelined_requests_where_asked",
            request(_KEEP_ALIVE, version=_10) + request(version=_10),
            "A connection that persists is read on, and the next request ends it.",
            series(200, 200, ends=Ends.CLOSED),
            accept=(closes(200),),
            level=Level.MAY,
        ),
        _case(
            "content_is_taken_in_where_it_persists",
            request(_KEEP_ALIVE, length(SMUGGLED), version=_10, content=SMUGGLED),
            "Content by its length is older than HTTP/1.1, and left unread it is a request here as well (CL.0).",
            keeps(200),
            accept=GOT,
        ),
        _case(
            "post_without_length_ends_the_connection",
            request(method=b"POST", version=_10) + SMUGGLED,
            "Without a length the content of an HTTP/1.0 request cannot be told from a next one.",
            closes(405),
            accept=(closes(*POST_STATUSES),),
            section="RFC 9112 section 6.3",
        ),
        _case(
            "transfer_encoding_is_a_fault",
            request(CHUNKED, version=_10, content=chunks(SMUGGLED)),
            "A proxy of HTTP/1.0 passes the field on without knowing it: who decodes must at least close.",
            closes(400),
            accept=(closes(200, 411, 413, 501),),
            section="RFC 9112 section 6.1",
        ),
        _case(
            "gets_no_chunks",
            request(target=b"/http10-finds-nothing-here", version=_10),
            "Error pages of unknown length are sent in chunks, which an HTTP/1.0 client shows to its user.",
            closes(404),
            section="RFC 9112 section 6.1",
            checks=(lacks_field("transfer-encoding"),),
        ),
        _case(
            "gets_no_100",
            request(b"Expect: 100-continue", length(b"hello"), version=_10, method=b"POST", content=b"hello"),
            "An HTTP/1.0 client takes an interim response for the answer.",
            closes(405),
            accept=(closes(*POST_STATUSES, 417),),
            section="RFC 9110 section 10.1.1",
            checks=(continued(0),),
        ),
        _case(
            "ignores_an_upgrade",
            request(b"Connection: upgrade, keep-alive", b"Upgrade: websocket, h2c", version=_10),
            "An upgrade in HTTP/1.0 came through a proxy that did not understand it.",
            keeps(200),
            accept=(closes(200),),
            section="RFC 9110 section 7.8",
        ),
        _case(
            "head_has_no_content",
            request(method=b"HEAD", version=_10),
            "With the close as the end, content behind the answer to HEAD is read as an answer.",
            closes(200),
            section="RFC 9110 section 9.3.2",
            checks=(),
            methods=("HEAD",),
        ),
    ),
)
