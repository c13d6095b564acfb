"""Field values: what may stand in one, what is taken off it, what it must never be taken for (RFC 9110 section 5.5).

A value is opaque unless its field has a meaning: nothing in it is decoded, folded in case or split into lines.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Family, Level, Outcome, answers, is_known, keeps
from pooled_httpd.attack.catalogue.building import GOT, SMUGGLED, length, request


def _taken(
    id: str,
    line: bytes,
    why: str,
    *,
    section: str = "RFC 9110 section 5.5",
    level: Level = Level.MUST,
    accept: tuple[Outcome, ...] = (answers(200),),
) -> Case:
    """A plain GET with one more line, which changes nothing."""
    return Case(
        id=f"field_value_{id}",
        data=request(line),
        section=section,
        level=level,
        strict=keeps(200),
        accept=accept,
        checks=(is_known(),) if accept == (answers(200),) else (),
        why=why,
    )


FAMILY = Family(
    "field_value",
    "Field values",
    (
        Case(
            id="field_value_needs_no_white_space",
            data=b"GET {known} HTTP/1.1\r\nHost:{host}\r\n\r\n",
            section="RFC 9112 section 5",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200),),
            checks=(is_known(),),
            why="White space behind the colon is optional; who splits at colon and space finds no Host.",
        ),
        Case(
            id="field_value_loses_white_space_around_it",
            data=b"GET {known} HTTP/1.1\r\nHost: \t {host}\t \t\r\n\r\n",
            section="RFC 9112 section 5.1",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200),),
            checks=(is_known(),),
            why="Spaces and tabs around a value are no part of it; a host with a space behind it selects no site.",
        ),
        Case(
            id="field_value_of_content_length_loses_white_space_around_it",
            data=request(b"Content-Length:\t  %d \t " % len(SMUGGLED), content=SMUGGLED),
            section="RFC 9112 section 5.1",
            level=Level.MUST,
            strict=keeps(200),
            accept=GOT,
            why="A length that is dropped for the white space around it leaves its content to run as a request.",
        ),
        _taken(
            "may_be_empty",
            b"X-Empty:",
            "An empty value is legal; a parser that goes on to the next line for it swallows that line.",
        ),
        _taken(
            "may_be_white_space_alone",
            b"X-Blank: \t \t ",
            "Trimming from both ends meets in the middle; who does not stop there runs out of the line.",
        ),
        _taken(
            "may_have_a_tab_inside",
            b"X-Tab: a\tb",
            "A tab is white space like any other inside a value; only other control bytes are refused.",
        ),
        _taken(
            "takes_every_visible_byte",
            b"X-Visible: !\"#$%&'()*+,-./:;<=>?@[\\]^_`|~ 09 AZ az",
            "Values are opaque; who takes a colon, a quote or a backslash for syntax reads another value.",
        ),
        _taken(
            "takes_bytes_above_ascii",
            b"X-Bytes: \x80\xa0\xe9\xff",
            "These bytes are obs-text and opaque data; decoding them as UTF-8 fails and has brought servers down.",
        ),
        _taken(
            "keeps_unbalanced_quotes",
            b'X-Quote: "never closed',
            "A parser that looks for the closing quote goes on over the line's end into the next field.",
        ),
        _taken(
            "keeps_unbalanced_parentheses",
            b"User-Agent: Mozilla (never (closed",
            "A recursive parser of comments runs out of stack or of the line.",
        ),
        _taken(
            "may_be_long",
            b"X-Long: " + b"v" * 4000,
            "Tokens and cookies are this long today; a line buffer of 1 or 2 kB cuts them or breaks the head in two.",
            section="RFC 9110 section 5.4",
            level=Level.MAY,
            accept=(answers(200), answers(400, 431)),
        ),
        _taken(
            "is_not_percent_decoded",
            b"X-Encoded: a%0d%0aX-Injected: yes%0d%0aContent-Length: 42",
            "Decoding a value before it is used makes lines of its own out of what was data.",
        ),
        _taken(
            "is_not_cut_to_bytes_of_its_characters",
            b"X-Wide: a" + "\u010d\u010a".encode() + b"Content-Length: 42" + "\u010d\u010a\u010d\u010a".encode(),
            "The low bytes of U+010D and U+010A are CR and LF: who writes one byte a character splits the head.",
        ),
        _taken(
            "is_not_split_at_next_line_0x85",
            b"X-Next: a\x85Content-Length: 42",
            "In Latin-1, 0x85 is NEXT LINE, and a split at Unicode's line ends finds a length in a value.",
        ),
        _taken(
            "is_not_split_at_line_separator_u2028",
            "X-Separator: a\u2028Content-Length: 42\u2029".encode(),
            "A split at Unicode's line ends finds framing in a value, and the next request becomes its content.",
        ),
        _taken(
            "of_connection_keeps_a_no_break_space",
            b"Connection: \xa0close",
            "Only SP and HTAB are white space here: with 0xA0 before it, close is no connection option.",
            section="RFC 9110 section 5.6.3",
            accept=(answers(200), answers(400)),
        ),
        _taken(
            "of_an_unknown_field_may_come_twice",
            b"X-Twice: a\r\nX-Twice: b",
            "Lines with one name are a list; a table that holds one line a name loses or refuses the others.",
            section="RFC 9110 section 5.2",
        ),
        _taken(
            "of_accept_may_be_nonsense",
            b'Accept: ;;;q="\\, */*;q=2',
            "What cannot be used of a preference is ignored; a fault here must not cost the answer.",
            section="RFC 9110 section 12.5.1",
            level=Level.MAY,
            accept=(answers(200), answers(400, 406)),
        ),
        _taken(
            "of_content_type_without_content_means_nothing",
            b"Content-Type: multipart/form-data; boundary=",
            "A parser of forms that starts without a content waits for one.",
            section="RFC 9110 section 8.3",
            level=Level.MAY,
            accept=(answers(200), answers(400, 415)),
        ),
        Case(
            id="field_value_of_content_length_is_not_taken_from_a_quoted_string",
            data=request(b'X-Quoted: "a, Content-Length: 0, b"', length(SMUGGLED), content=SMUGGLED),
            section="RFC 9110 section 5.5",
            level=Level.MUST,
            strict=keeps(200),
            accept=GOT,
            why="A search for the last or first 'Content-Length:' in the head finds one in a value.",
        ),
    ),
)
