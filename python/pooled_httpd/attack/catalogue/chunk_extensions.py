"""Chunk extensions and trailers: what may stand behind a size and the last chunk (RFC 9112 sections 7.1.1 and 7.1.2).

Nobody uses extensions, so that parsers skip them to the line's end, and each has its own idea of that end. Trailers are
fields that come too late: they must not change how a message is framed, routed or kept.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Family, Level, Outcome, closes, keeps
from pooled_httpd.attack.catalogue.building import CHUNKED, GOT, GOT_MALFORMED, SMUGGLED, known_if_ok, request

#: A chunk's data and the end of the content.
_REST = b"\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"
#: A content up to the trailer section.
_BEFORE = b"5\r\nhello\r\n0\r\n"


def _case(
    id: str,
    content: bytes,
    why: str,
    section: str,
    *,
    strict: Outcome,
    accept: tuple[Outcome, ...],
    level: Level = Level.SHOULD,
) -> Case:
    return Case(
        id=id,
        data=request(CHUNKED, content=content),
        section=section,
        level=level,
        strict=strict,
        accept=accept,
        checks=(known_if_ok(),),
        why=why,
    )


def _ignored(id: str, extension: bytes, why: str) -> Case:
    """A valid extension: it is to be ignored."""
    return _case(
        f"chunk_extension_{id}",
        b"2a" + extension + _REST,
        why,
        "RFC 9112 section 7.1.1",
        level=Level.MUST,
        strict=keeps(200),
        accept=GOT,
    )


def _refused(
    id: str,
    content: bytes,
    why: str,
    *,
    accept: tuple[Outcome, ...] = GOT_MALFORMED,
    level: Level = Level.SHOULD,
) -> Case:
    """An extension that is none, or too much of one."""
    return _case(
        f"chunk_extension_rejects_{id}",
        content,
        why,
        "RFC 9112 section 7.1.1",
        strict=closes(400),
        accept=accept,
        level=level,
    )


def _discarded(id: str, trailers: bytes, why: str, *, section: str = "RFC 9110 section 6.5.1") -> Case:
    """Valid trailers, which change nothing."""
    return _case(
        f"trailer_{id}",
        _BEFORE + trailers + b"\r\n",
        why,
        section,
        level=Level.MUST,
        strict=keeps(200),
        accept=GOT,
    )


def _bad_trailer(
    id: str,
    trailers: bytes,
    why: str,
    *,
    accept: tuple[Outcome, ...] = GOT_MALFORMED,
    level: Level = Level.SHOULD,
    section: str = "RFC 9112 section 7.1.2",
) -> Case:
    return _case(
        f"trailer_rejects_{id}",
        _BEFORE + trailers + b"\r\n",
        why,
        section,
        strict=closes(400),
        accept=accept,
        level=level,
    )


FAMILY = Family(
    "chunk_extensions",
    "Chunked: extensions and trailers",
    (
        _ignored("name_is_ignored", b";a", "An extension that is not known must not cost the request its answer."),
        _ignored("value_is_ignored", b";a=b;c=d", "Who reads the size as a whole line finds no number in it."),
        _ignored(
            "quoted_value_is_ignored",
            b';a="b;\\"c\\" d";e',
            "Quotes hide semicolons and other quotes: who does not know them finds an extension without a name.",
        ),
        _ignored(
            "bad_white_space_is_ignored",
            b" ; a\t= b ;c",
            "White space here is bad, and must be parsed and taken off nevertheless.",
        ),
        _ignored(
            "value_of_a_size_is_no_size",
            b";size=0;length=5",
            "A search for digits in the line finds another size.",
        ),
        _case(
            "chunk_extension_of_the_last_chunk_is_ignored",
            b"5\r\nhello\r\n0;a=b\r\n\r\n",
            "A last chunk that is compared with '0' and CRLF is not recognised, and the content has no end.",
            "RFC 9112 section 7.1.1",
            level=Level.MUST,
            strict=keeps(200),
            accept=GOT,
        ),
        _refused(
            "bare_lf_in_it",
            b"2;x\nxx\r\n0\r\n\r\n" + SMUGGLED,
            "To who ends the line at the LF the chunk is 'xx'; to who looks for CRLF the line goes on (TERM.EXT).",
        ),
        _refused(
            "bare_lf_that_hides_a_request",
            b"2;x\nxx\r\n2f\r\n0\r\n\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
            "Skipped to CRLF, 'xx' is extension and '2f' is data: the next line is the last chunk, and then a request.",
        ),
        _refused(
            "bare_cr_in_it",
            b"2a;a\rb" + _REST + SMUGGLED,
            "Who ends the line at CR and one byte more has another first byte of the data (EXT.TERM).",
        ),
        _refused(
            "nul_in_it",
            b"2a;a=\0" + _REST,
            "As a C string the line ends here, and with it the search for what ends the line.",
        ),
        _refused("missing_name", b"2a;" + _REST, "A semicolon promises a name; who does not look skips what comes."),
        _refused("missing_value", b"2a;a=" + _REST, "An equals sign promises a value, and CRLF is none."),
        _refused("semicolon_alone_before_a_name", b"2a;;a" + _REST, "An empty extension is not by the grammar."),
        _refused("space_in_a_value", b"2a;a=b c" + _REST, "A token has no space: another parser ends the value there."),
        _refused(
            "byte_above_ascii_in_a_token",
            b"2a;a=\xff" + _REST,
            "Extensions that are decoded as text fail, and a connection that fails in its middle is out of step.",
        ),
        _refused(
            "quote_that_is_never_closed",
            b'2a;a="b' + _REST,
            "Who looks for the closing quote reads over the end of the line into the data.",
        ),
        _refused(
            "another_separator",
            b"2a,a" + _REST,
            "Whatever stands behind the digits is skipped by parsers that look for the line's end alone.",
        ),
        _refused(
            "5000_bytes_of_it",
            b"2a;" + b"a" * 5000 + _REST,
            "Extensions cost the sender nothing and count for no limit on content.",
            accept=(*GOT, closes(431), *GOT_MALFORMED),
            level=Level.MAY,
        ),
        _refused(
            "5000_bytes_of_it_over_many_chunks",
            b"".join([b"1;aaaaaaaa\r\nx\r\n"] * 600) + b"0\r\n\r\n",
            "A limit on each line is none on all of them.",
            accept=(*GOT, closes(431), *GOT_MALFORMED),
            level=Level.MAY,
        ),
        _discarded(
            "is_taken_in", b"X-Sum: 1\r\nX-Empty:\r\n", "Trailers left unread are the next request's first line."
        ),
        _discarded(
            "content_length_does_not_count",
            b"Content-Length: 42\r\n",
            "Merged into the head, the length makes a content of the next request.",
        ),
        _discarded(
            "transfer_encoding_does_not_count",
            b"Transfer-Encoding: chunked\r\n",
            "Merged into the head, the coding is looked for in the next request.",
        ),
        _discarded(
            "host_does_not_count",
            b"Host: evil.example\r\n",
            "A second host that comes behind the checks selects a site, or is logged for the first one.",
        ),
        _discarded(
            "connection_does_not_count",
            b"Connection: close\r\n",
            "What the peer says of the connection stands in the head; a proxy may have passed trailers on.",
        ),
        _discarded(
            "range_does_not_count",
            b"Range: bytes=0-0\r\nIf-None-Match: *\r\n",
            "Conditions are part of the head: a trailer that changes the answer changes what a cache stores.",
        ),
        _bad_trailer(
            "line_without_colon",
            b"Just-Some-Words\r\n",
            "Who skips lines that are no fields skips a smuggled request line as well.",
        ),
        _bad_trailer(
            "space_before_colon",
            b"X-Sum : 1\r\n",
            "The rules for names hold in trailers, which some check less.",
            section="RFC 9112 section 5.1",
            level=Level.MUST,
        ),
        _bad_trailer("empty_name", b": x\r\n", "A name of no bytes ends the section for some parsers."),
        _bad_trailer(
            "folding",
            b"X-Sum: a\r\n b\r\n",
            "A line that begins with white space is refused, or joined to the one before; never skipped.",
            section="RFC 9112 section 5.2",
            level=Level.MUST,
            accept=(*GOT_MALFORMED, *GOT),
        ),
        _bad_trailer(
            "nul_in_a_value",
            b"X-Sum: a\0b\r\n",
            "Trailers that are merged into the head bring in bytes that were refused there.",
            section="RFC 9110 section 5.5",
            level=Level.MUST,
            accept=(*GOT_MALFORMED, *GOT),
        ),
        _bad_trailer(
            "bare_cr_in_a_value",
            b"X-Sum: a\rb\r\n",
            "A bare CR ends the line for some, and the section sooner.",
            section="RFC 9112 section 2.2",
            level=Level.MUST,
            accept=(*GOT_MALFORMED, *GOT),
        ),
        _bad_trailer(
            "bare_lf_behind_a_line",
            b"X-Sum: a\n",
            "LF CRLF ends the section for who takes LF for a line end; for others the value goes on.",
            section="RFC 9112 section 2.2",
            level=Level.MAY,
            accept=(*GOT_MALFORMED, *GOT),
        ),
        _bad_trailer(
            "10000_bytes_of_them",
            b"X-Sum: " + b"a" * 10_000 + b"\r\n",
            "Trailers are fields without the limits of fields in more than one server.",
            accept=(*GOT, closes(431), *GOT_MALFORMED),
            level=Level.MAY,
        ),
        _bad_trailer(
            "500_lines_of_them",
            b"a:\r\n" * 500,
            "Each line may cost an entry in a table that the head's limit does not guard.",
            accept=(*GOT, closes(431), *GOT_MALFORMED),
            level=Level.MAY,
        ),
    ),
)
