"""Obsolete line folding, and white space where a field line begins (RFC 9112 sections 2.2 and 5.2).

A server refuses a folded line or reads it as one value. Whoever takes the second half for a line of its own, or drops
it, reads other fields than the peer before it.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Danger, Family, Level, Outcome, answers, closes, silent
from pooled_httpd.attack.catalogue.building import CHUNKED, ENDS_EARLY, GOT, REFUSED, SMUGGLED, chunks, length, request

#: The fold may be replaced by SP.
_UNFOLDED = (answers(200), *REFUSED)


def _fold(
    id: str,
    data: bytes,
    why: str,
    *,
    accept: tuple[Outcome, ...] = _UNFOLDED,
    section: str = "RFC 9112 section 5.2",
    forbid: tuple[Danger, ...] = (),
) -> Case:
    return Case(
        id=f"folding_{id}",
        data=data,
        section=section,
        level=Level.MUST,
        strict=closes(400),
        accept=accept,
        forbid=forbid,
        why=why,
    )


FAMILY = Family(
    "folding",
    "Line folding",
    (
        _fold(
            "with_space_is_rejected",
            request(b"X: a\r\n b"),
            "Some read one value, some two lines, some one line and an error: a filter sees one of the three.",
        ),
        _fold(
            "with_tab_is_rejected",
            request(b"X: a\r\n\tb"),
            "A parser that knows folding by the space alone takes the tab for a name.",
        ),
        _fold(
            "of_an_empty_value_is_rejected",
            request(b"X:\r\n b"),
            "The value is empty for whoever stops at the line's end and b for whoever goes on.",
        ),
        _fold(
            "over_many_lines_is_rejected",
            request(b"X: a" + b"\r\n " * 40 + b"b"),
            "Each fold moves the rest of the head in some parsers, which is quadratic work for whoever sends it.",
            accept=(*_UNFOLDED, answers(431)),
        ),
        _fold(
            "of_host_is_rejected",
            b"GET {known} HTTP/1.1\r\nHost:\r\n {host}\r\n\r\n",
            "A proxy that routes by the line and a server that routes by the value serve different sites.",
        ),
        _fold(
            "of_transfer_encoding_is_rejected",
            request(b"Transfer-Encoding:\r\n chunked", content=chunks(SMUGGLED)),
            "Whoever reads an empty value on the first line sees no coding and runs the chunks as requests.",
            accept=(*GOT, silent()),
        ),
        _fold(
            "of_content_length_is_rejected",
            request(b"Content-Length:\r\n %d" % len(SMUGGLED), content=SMUGGLED),
            "An empty length is none to some parsers, and the content runs as a request.",
            accept=(*GOT, silent()),
        ),
        _fold(
            "between_digits_of_content_length_is_rejected",
            request(b"Content-Length: 4\r\n 2", content=SMUGGLED),
            "It is '4 2' and no length; who joins the digits reads 42, and who stops at the line reads 4.",
            section="RFC 9112 section 6.3",
            accept=(),
            forbid=(Danger.SERVED,),
        ),
        _fold(
            "of_connection_is_rejected",
            request(b"Connection:\r\n close"),
            "One side closes and the other waits, or takes what comes next for another request.",
            accept=(closes(200), *REFUSED),
        ),
        _fold(
            "does_not_begin_a_field",
            request(b"X: a\r\n " + CHUNKED, length(ENDS_EARLY), content=ENDS_EARLY),
            "Who trims the line finds chunked in the second half of a value, and the content ends early.",
            accept=(*GOT, silent()),
        ),
        _fold(
            "before_the_first_field_line_is_rejected",
            b"GET {known} HTTP/1.1\r\n X: a\r\nHost: {host}\r\n\r\n",
            "It may be ignored or refused; who folds it into the request line makes another version of it.",
            section="RFC 9112 section 2.2",
        ),
        _fold(
            "before_the_first_field_line_is_no_framing",
            b"GET {known} HTTP/1.1\r\n " + CHUNKED + b"\r\nHost: {host}\r\n"
            b"Content-Length: %d\r\n\r\n" % len(ENDS_EARLY) + ENDS_EARLY,
            "The line is to be ignored with all its white space; who trims it decodes chunks that nobody sent.",
            section="RFC 9112 section 2.2",
            accept=(*GOT, silent()),
        ),
        _fold(
            "by_a_line_of_white_space_does_not_end_the_head",
            b"GET {known} HTTP/1.1\r\nHost: {host}\r\n \r\n" + length(SMUGGLED) + b"\r\n\r\n" + SMUGGLED,
            "Who trims lines before looking for the empty one ends the head here and runs what comes after it.",
            accept=(*GOT, silent()),
        ),
        Case(
            id="folding_before_the_colon_is_rejected",
            data=request(b"Content-Length\r\n : 42"),
            section="RFC 9112 section 5",
            level=Level.SHOULD,
            strict=closes(400),
            accept=REFUSED,
            why="The name stands on one line and its colon on the next: joined they are a length, apart nothing.",
        ),
    ),
)
