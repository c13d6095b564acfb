"""Requests whose length two parsers could see differently, each with a request where they would differ (RFC 9112
sections 6.3 and 11.2).

The short names say who counts what: in CL.TE the first parser of two goes by Content-Length and the second by
Transfer-Encoding, a 0 is a parser that sees no content at all. Each case works against both kinds: whoever reads the
other length answers twice.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Danger, Ends, Family, Level, Outcome, answers, closes, keeps, series, silent
from pooled_httpd.attack.catalogue.building import (
    CHUNKED,
    ENDS_EARLY,
    GOT,
    POST_STATUSES,
    REFUSED,
    SMUGGLED,
    chunks,
    length,
    request,
)

#: Chunks that hide a request from who decodes them: by a length of 4 only their first line is content.
_ENDS_LATE = chunks(SMUGGLED)
_FOUR = b"Content-Length: 4"
#: Both framings: refused, or by the coding alone, and closed either way.
_BOTH = (closes(200, 400, 405, 411, 413, 501),)


def _both(
    id: str,
    *lines: bytes,
    content: bytes,
    why: str,
    version: bytes = b"HTTP/1.1",
    accept: tuple[Outcome, ...] = _BOTH,
    level: Level = Level.MUST,
    forbid: tuple[Danger, ...] = (),
) -> Case:
    """Two framings in one request."""
    return Case(
        id=f"smuggling_{id}",
        data=request(*lines, version=version, content=content),
        section="RFC 9112 section 6.3",
        level=level,
        strict=closes(400),
        accept=accept,
        forbid=forbid,
        why=why,
    )


def _unread(
    id: str,
    strict: Outcome,
    why: str,
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"{known}",
    version: bytes = b"HTTP/1.1",
    accept: tuple[Outcome, ...],
    section: str = "RFC 9112 section 9.3",
    coding: bool = False,
) -> Case:
    """A content that the answer has no need of, and that is easily left unread (CL.0, or TE.0 with a coding)."""
    frame = CHUNKED if coding else length(SMUGGLED)
    content = chunks(SMUGGLED) if coding else SMUGGLED
    return Case(
        id=f"smuggling_content_{id}_is_no_request",
        data=request(*lines, frame, method=method, target=target, version=version, content=content),
        section=section,
        level=Level.MUST,
        strict=strict,
        accept=accept,
        methods=(method.decode(),) if method == b"HEAD" else (),
        why=why,
    )


def _any(*codes: int) -> tuple[Outcome, ...]:
    """These or a refusal of the content."""
    return (answers(*codes, 400, 405, 411, 413, 501),)


FAMILY = Family(
    "smuggling",
    "Request smuggling",
    (
        _both(
            "cl_te_length_first",
            length(ENDS_EARLY),
            CHUNKED,
            content=ENDS_EARLY,
            why="A proxy passes on all of it by its length; a server that decodes chunks runs the rest (CL.TE).",
        ),
        _both(
            "cl_te_coding_first",
            CHUNKED,
            length(ENDS_EARLY),
            content=ENDS_EARLY,
            why="Who keeps the first framing that it meets reads another content than with the lines turned around.",
        ),
        _both(
            "te_cl_length_first",
            _FOUR,
            CHUNKED,
            content=_ENDS_LATE,
            why="A proxy passes on all chunks; a server that counts four bytes runs what is in them (TE.CL).",
        ),
        _both(
            "te_cl_coding_first",
            CHUNKED,
            _FOUR,
            content=_ENDS_LATE,
            why="Who lets the last framing win counts four bytes, and the chunks are requests (TE.CL).",
        ),
        _both(
            "te_with_length_zero",
            CHUNKED,
            b"Content-Length: 0",
            content=_ENDS_LATE,
            why="A length of zero is no length to some, so that the check for both finds one (TE.0).",
        ),
        _both(
            "te_with_invalid_length",
            CHUNKED,
            b"Content-Length: x",
            content=_ENDS_LATE,
            why="The coding overrides the length, but that there is one, and such a one, shows an attack.",
        ),
        _both(
            "te_with_two_lengths",
            CHUNKED,
            b"Content-Length: 0",
            length(ENDS_EARLY),
            content=ENDS_EARLY,
            why="Three framings: who drops one of two that contradict each other keeps another (CL.TE).",
        ),
        _both(
            "te_in_http10",
            CHUNKED,
            b"Connection: keep-alive",
            content=_ENDS_LATE,
            version=b"HTTP/1.0",
            why="An HTTP/1.0 proxy passes the field on without reading it: the framing is faulty, the connection ends.",
        ),
        _both(
            "cl_te_in_http10",
            CHUNKED,
            length(ENDS_EARLY),
            b"Connection: keep-alive",
            content=ENDS_EARLY,
            version=b"HTTP/1.0",
            why="A peer of HTTP/1.0 counts the length, whatever codings came later; a decoder of chunks runs the rest.",
        ),
        _both(
            "te_te_with_unknown_coding_behind",
            CHUNKED,
            b"Transfer-Encoding: cow",
            length(ENDS_EARLY),
            content=ENDS_EARLY,
            forbid=(Danger.SERVED,),
            accept=(closes(501),),
            why="One parser sees chunked and the other a cow, and falls back on the length (TE.TE).",
        ),
        _both(
            "te_te_with_identity_before",
            b"Transfer-Encoding: identity",
            CHUNKED,
            _FOUR,
            content=_ENDS_LATE,
            accept=(*_BOTH, closes(501)),
            why="Who keeps the first line alone has no coding and counts four bytes (TE.TE).",
        ),
        _both(
            "te_te_with_another_case",
            CHUNKED,
            b"transfer-encoding: identity",
            length(ENDS_EARLY),
            content=ENDS_EARLY,
            forbid=(Danger.SERVED,),
            accept=(closes(501),),
            why="In a table by bytes these are two fields, of which one counts (TE.TE).",
        ),
        _both(
            "te_with_a_tab_and_length",
            b"Transfer-Encoding:\tchunked",
            length(ENDS_EARLY),
            content=ENDS_EARLY,
            why="A tab is white space like the space: who finds no coding behind it goes by the length (TE.TE).",
        ),
        _both(
            "te_with_no_space_and_length",
            b"Transfer-Encoding:chunked",
            length(ENDS_EARLY),
            content=ENDS_EARLY,
            why="Who splits at colon and space finds no such field and goes by the length (TE.TE).",
        ),
        _both(
            "te_with_an_empty_element_and_length",
            b"Transfer-Encoding: chunked, ",
            length(ENDS_EARLY),
            content=ENDS_EARLY,
            accept=(*_BOTH, closes(501)),
            why="With the empty element chunked is last or not, and the length counts or not (TE.TE).",
        ),
        _unread(
            "of_an_absolute_target",
            keeps(200),
            "Another form of target, another way through the parser, and content is read on one of them alone (CL.0).",
            target=b"http://{host}{known}",
            accept=GOT,
        ),
        _unread(
            "of_a_head_in_chunks",
            keeps(200),
            "A server that reads lengths and no codings for HEAD answers the chunks (TE.0).",
            method=b"HEAD",
            accept=GOT,
            coding=True,
        ),
        _unread(
            "of_a_head",
            keeps(200),
            "HEAD has no content in its answer; its own is easily forgotten with it (CL.0).",
            method=b"HEAD",
            accept=GOT,
        ),
        _unread(
            "of_options_in_chunks",
            keeps(204),
            "Balancers have passed OPTIONS on with chunks that the server behind did not read (TE.0).",
            method=b"OPTIONS",
            accept=_any(200, 204, 403, 404),
            coding=True,
        ),
        _unread(
            "of_a_delete",
            keeps(405),
            "A method that is refused at the first line still has a content (CL.0).",
            method=b"DELETE",
            accept=_any(200, 202, 204, 403, 404),
        ),
        _unread(
            "of_a_trace",
            keeps(405),
            "A client must not send content with TRACE; a server that relies on it runs the content (CL.0).",
            method=b"TRACE",
            accept=_any(200, 403, 404),
            section="RFC 9110 section 9.3.8",
        ),
        _unread(
            "of_an_unknown_method",
            keeps(501),
            "501 is given before anything else is looked at, the content included (CL.0).",
            method=b"BREW",
            accept=_any(403, 404),
        ),
        _unread(
            "of_a_get_for_nothing",
            keeps(404),
            "An error page is sent by other code than a file, and that code does not read content (CL.0).",
            target=b"/smuggling-finds-nothing-here",
            accept=_any(404),
        ),
        _unread(
            "of_a_redirect",
            keeps(301),
            "Redirects answer before the content is read in most servers where CL.0 was found.",
            target=b"{directory}",
            accept=_any(200, 301, 302, 307, 308),
        ),
        _unread(
            "of_a_bad_target",
            keeps(400),
            "A 400 that keeps the connection has to take in the content; one that closes need not.",
            target=b"/%zz",
            accept=_any(200, 404),
        ),
        _unread(
            "of_a_304",
            keeps(304),
            "A condition that fails ends the request early, in front of its content (CL.0).",
            b"If-None-Match: {etag}",
            accept=_any(200, 304),
        ),
        _unread(
            "of_a_416",
            keeps(416),
            "A range that cannot be satisfied is an error like any other, and its content is forgotten too (CL.0).",
            b"Range: bytes={beyond}-",
            accept=_any(200, 416),
        ),
        _unread(
            "of_a_412",
            keeps(412),
            "Preconditions are looked at when the head is complete, and their failure skips the rest (CL.0).",
            b'If-Match: "no-such-entity-tag"',
            accept=_any(200, 412),
        ),
        _unread(
            "of_an_unmet_expectation",
            closes(417),
            "Whether the client sends its content after a 417 nobody knows: only the close is safe.",
            b"Expect: y 100-continue",
            accept=_any(200, 417),
            section="RFC 9110 section 10.1.1",
        ),
        _unread(
            "of_an_expectation_that_did_not_wait",
            keeps(200),
            "A server that answers in place of 100 and does not read on runs the content (Expect-based CL.0).",
            b"Expect: 100-continue",
            accept=_any(200, 417),
            section="RFC 9110 section 10.1.1",
        ),
        _unread(
            "of_a_length_that_connection_names",
            keeps(200),
            "A proxy that removes what Connection names removes the length, and the content runs behind it.",
            b"Connection: keep-alive, Content-Length",
            accept=GOT,
            section="RFC 9110 section 7.6.1",
        ),
        _unread(
            "of_a_coding_that_connection_names",
            keeps(200),
            "Named as a connection option, the coding is dropped by who removes such fields before framing.",
            b"Connection: Transfer-Encoding",
            accept=GOT,
            coding=True,
            section="RFC 9110 section 7.6.1",
        ),
        _unread(
            "of_an_upgrade_to_an_unknown_protocol",
            keeps(200),
            "A proxy that tunnels after an upgrade no longer looks at requests; the server must not have changed.",
            b"Connection: Upgrade",
            b"Upgrade: x-tunnel/1",
            accept=GOT,
            section="RFC 9110 section 7.8",
        ),
        Case(
            id="smuggling_behind_another_major_version_is_no_request",
            data=request(method=b"PRI", target=b"*", version=b"HTTP/2.0") + b"SM\r\n\r\n" + SMUGGLED,
            section="RFC 9110 section 15.6.6",
            level=Level.SHOULD,
            strict=closes(505),
            accept=(*REFUSED, closes(501)),
            why="A server that answers 505 and reads on takes frames of another version for requests.",
        ),
        Case(
            id="smuggling_in_a_body_without_length_is_a_request",
            data=request(method=b"POST") + SMUGGLED,
            section="RFC 9112 section 6.3",
            level=Level.MUST,
            strict=series(405, 404),
            accept=(
                series(POST_STATUSES, (400, 404, 421), ends=Ends.EITHER),
                closes(*POST_STATUSES),
                silent(),
            ),
            why="Without framing there is no content: who guesses one from the method waits for the close (0.CL).",
        ),
    ),
)
