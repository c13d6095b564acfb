"""Persistence: when a connection goes on and when it ends (RFC 9112 sections 9.3 and 9.6).

Connection is a list of tokens, all its lines together, compared whole and without regard to case. A wrong word costs
the peer its connection, and a close that is overlooked leaves it waiting or answers what was not meant.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Check,
    Family,
    Level,
    Outcome,
    answers,
    closes,
    has_field,
    is_known,
    keeps,
)
from pooled_httpd.attack.catalogue.building import POST_STATUSES, POSTED, SMUGGLED, known_if_ok, request

_SECTION = "RFC 9112 section 9.3"


def _persists(
    id: str,
    data: bytes,
    why: str,
    *,
    strict: int = 200,
    besides: tuple[Outcome, ...] = (),
    checks: tuple[Check, ...] = (),
    section: str = _SECTION,
) -> Case:
    """The connection goes on, where the server is one that lets it."""
    return Case(
        id=f"persistence_{id}",
        data=data,
        section=section,
        level=Level.SHOULD,
        strict=keeps(strict),
        accept=(answers(strict), *besides),
        checks=(known_if_ok(), *checks),
        why=why,
    )


def _ends(
    id: str,
    data: bytes,
    why: str,
    *,
    strict: int = 200,
    besides: tuple[Outcome, ...] = (),
    checks: tuple[Check, ...] = (),
    methods: tuple[str, ...] = (),
    level: Level = Level.MUST,
) -> Case:
    """The peer asks for the close."""
    return Case(
        id=f"persistence_{id}",
        data=data,
        section="RFC 9112 section 9.6",
        level=level,
        strict=closes(strict),
        accept=besides,
        checks=checks,
        methods=methods,
        why=why,
    )


FAMILY = Family(
    "persistence",
    "Persistence",
    (
        _persists(
            "is_the_default",
            request(),
            "A connection for each request costs a round trip and a slow start every time.",
            checks=(is_known(),),
        ),
        _persists(
            "goes_on_after_a_404",
            request(target=b"/persistence-finds-nothing-here"),
            "What is not there is no fault in the framing: the connection is as good as before.",
            strict=404,
        ),
        _persists(
            "goes_on_after_a_405",
            request(b"Content-Length: 5", method=b"PUT", content=b"hello"),
            "A method that is refused leaves the connection in step, once its content is read.",
            strict=405,
            besides=(*POSTED, answers(409)),
        ),
        _persists(
            "goes_on_after_a_304",
            request(b"If-None-Match: {etag}"),
            "A 304 has no content, whatever its fields say: the next answer begins behind its head.",
            strict=304,
            besides=(answers(200),),
        ),
        _persists(
            "goes_on_after_a_redirect",
            request(target=b"{directory}"),
            "The client comes back at once, on this connection if it may.",
            strict=301,
            besides=(answers(200, 302, 307, 308),),
        ),
        _persists(
            "is_not_ended_by_a_part_of_a_word",
            request(b"Connection: closed, x-close, close-notify"),
            "A search for 'close' in the value finds it in other options.",
            section="RFC 9110 section 7.6.1",
        ),
        _persists(
            "is_not_ended_by_another_field",
            request(b"X-Connection: close\r\nProxy-Connection: close\r\nKeep-Alive: timeout=0"),
            "Only Connection says what becomes of the connection.",
        ),
        _persists(
            "is_not_ended_by_a_quoted_close",
            request(b'Connection: "close"'),
            "Options are tokens: a quoted string is none, and taking quotes off makes one of it.",
            section="RFC 9110 section 7.6.1",
            besides=(answers(400),),
        ),
        _persists(
            "is_not_ended_by_a_parameter_of_something",
            request(b"Connection: x;close=1"),
            "Options have no parameters; a split at every delimiter finds a close.",
            section="RFC 9110 section 7.6.1",
            besides=(answers(400),),
        ),
        _persists(
            "is_not_ended_by_an_empty_list",
            request(b"Connection: , ,"),
            "Empty elements mean nothing; an index past the last one is a fault of its own.",
            section="RFC 9110 section 5.6.1.2",
            besides=(answers(400),),
        ),
        _persists(
            "goes_on_with_an_upgrade_that_is_not_known",
            request(b"Connection: upgrade\r\nUpgrade: x-unknown/1"),
            "A server that cannot change the protocol goes on in the one it has.",
            section="RFC 9110 section 7.8",
        ),
        _persists(
            "goes_on_when_connection_names_host",
            request(b"Connection: Host"),
            "Options name fields for the next hop alone; a server that removes them first has no Host.",
            section="RFC 9110 section 7.6.1",
            besides=(answers(400),),
        ),
        _persists(
            "goes_on_with_keep_alive",
            request(b"Connection: keep-alive\r\nKeep-Alive: timeout=5, max=100"),
            "Old clients say so to everybody; in HTTP/1.1 it changes nothing.",
        ),
        _ends(
            "ends_at_close",
            request(b"Connection: close") + SMUGGLED,
            "What comes behind the close is not to be answered: whoever asked for it does not read on.",
            checks=(is_known(),),
        ),
        _ends(
            "says_so_when_it_ends",
            request(b"Connection: close"),
            "Without the close in the answer, a pool puts the connection back and loses the next request on it.",
            checks=(has_field("connection", r"(?:.*,\s*)?close(?:\s*,.*)?"),),
            level=Level.SHOULD,
        ),
        _ends(
            "ends_at_close_in_any_case",
            request(b"Connection: CLOSE"),
            "Options ignore case: a comparison of bytes leaves the peer waiting.",
        ),
        _ends(
            "ends_at_close_behind_keep_alive",
            request(b"Connection: keep-alive, close"),
            "Close wins: a proxy that adds keep-alive must not undo it.",
        ),
        _ends(
            "ends_at_close_before_keep_alive",
            request(b"Connection: close, keep-alive"),
            "Close wins wherever it stands: the last option is no better than the first.",
        ),
        _ends(
            "ends_at_close_on_a_second_line",
            request(b"Connection: x-unknown", b"Connection: close"),
            "Several lines are one list; who keeps the first alone does not see the close.",
        ),
        _ends(
            "ends_at_close_on_a_first_line",
            request(b"Connection: close", b"Connection: keep-alive"),
            "Several lines are one list; who keeps the last alone does not see the close.",
        ),
        _ends(
            "ends_at_close_among_empty_elements",
            request(b"Connection: ,,\tclose ,"),
            "Empty elements and tabs are legal in lists; a split at comma and space alone finds no close.",
        ),
        _ends(
            "ends_after_head_too",
            request(b"Connection: close", method=b"HEAD"),
            "An answer without content ends at its head, and the connection with it.",
            methods=("HEAD",),
        ),
        _ends(
            "ends_after_a_404_too",
            request(b"Connection: close", target=b"/persistence-finds-nothing-here"),
            "Errors are sent by other code, which may forget what was asked of the connection.",
            strict=404,
        ),
        _ends(
            "ends_after_a_content_too",
            request(b"Connection: close", b"Content-Length: 5", method=b"POST", content=b"hello"),
            "The content belongs to the request, and nothing behind it does.",
            strict=405,
            besides=(closes(*POST_STATUSES),),
        ),
    ),
)
