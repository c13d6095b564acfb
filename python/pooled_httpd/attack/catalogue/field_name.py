"""Field names: tokens, compared without regard to case, the colon at once behind them (RFC 9112 section 5.1).

Nearly every attack on framing begins with a field line that one parser takes for Content-Length or Transfer-Encoding
and another drops. So the wrong names here are those of framing fields, and what they frame is a request.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Danger, Family, Level, answers, closes, is_known, keeps
from pooled_httpd.attack.catalogue.building import REFUSED, SMUGGLED, chunks, request


def _spaced(id: str, line: bytes, content: bytes, why: str) -> Case:
    """White space between name and colon, which must get 400."""
    return Case(
        id=f"field_name_rejects_{id}",
        data=request(line, content=content),
        section="RFC 9112 section 5.1",
        level=Level.MUST,
        strict=closes(400),
        accept=(answers(400),),
        forbid=(Danger.SERVED,) if content else (),
        why=why,
    )


def _no_token(id: str, line: bytes, why: str, *, content: bytes = b"") -> Case:
    """A line that is no field line, because its name is no token."""
    return Case(
        id=f"field_name_rejects_{id}",
        data=request(line, content=content),
        section="RFC 9110 section 5.6.2",
        level=Level.SHOULD,
        strict=closes(400),
        accept=REFUSED,
        forbid=(Danger.SERVED,) if content else (),
        why=why,
    )


def _another(id: str, line: bytes, why: str) -> Case:
    """A name that is near to one with a meaning and has none itself: no content follows."""
    return Case(
        id=f"field_name_{id}",
        data=request(line),
        section="RFC 9110 section 5.1",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200), answers(400)),
        why=why,
    )


FAMILY = Family(
    "field_name",
    "Field names",
    (
        Case(
            id="field_name_ignores_case_of_host",
            data=b"GET {known} HTTP/1.1\r\nhOsT: {host}\r\n\r\n",
            section="RFC 9110 section 5.1",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200),),
            checks=(is_known(),),
            why="Clients write names in every case; who compares bytes refuses them for a Host that is there.",
        ),
        Case(
            id="field_name_ignores_case_of_content_length",
            data=request(b"cONTENT-lENGTH: %d" % len(SMUGGLED), content=SMUGGLED),
            section="RFC 9110 section 5.1",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200), answers(400, 405, 411, 413, 501)),
            why="A length that is not recognised in another case leaves the content to run as a request.",
        ),
        Case(
            id="field_name_takes_every_token_character",
            data=request(b"!#$%&'*+-.^_`|~09azAZ: x"),
            section="RFC 9110 section 5.6.2",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200),),
            checks=(is_known(),),
            why="All of these may stand in a name; a parser with a narrower idea refuses fields that others pass on.",
        ),
        Case(
            id="field_name_may_be_long",
            data=request(b"X-" + b"n" * 250 + b": x"),
            section="RFC 9110 section 5.4",
            level=Level.MAY,
            strict=keeps(200),
            accept=(answers(200), answers(400, 431)),
            why="A name that is put into a fixed buffer overruns it or is cut to one that means something.",
        ),
        _another(
            "with_underscore_is_another",
            b"Content_Length: 42",
            "Who maps underscores to hyphens, as CGI does, waits for a content that nobody else sees.",
        ),
        _another(
            "that_begins_like_a_framing_field_is_another",
            b"Content-Lengthy: 42",
            "A comparison by prefix reads a length out of a field that every other parser ignores.",
        ),
        _another(
            "that_ends_like_a_framing_field_is_another",
            b"X-Transfer-Encoding: chunked",
            "A search for the name anywhere in the line takes an unknown field for the framing.",
        ),
        _another(
            "is_not_looked_for_in_a_value",
            b"X: Transfer-Encoding: chunked",
            "A search over the whole head finds framing in a value, which any client can set.",
        ),
        _spaced(
            "space_before_colon_of_content_length",
            b"Content-Length : %d" % len(SMUGGLED),
            SMUGGLED,
            "A proxy that drops such a line and a server that trims it disagree about where the request ends.",
        ),
        _spaced(
            "space_before_colon_of_transfer_encoding",
            b"Transfer-Encoding : chunked",
            chunks(SMUGGLED),
            "The oldest way to hide chunked from one of two parsers is a space before its colon.",
        ),
        _spaced(
            "tab_before_colon",
            b"Content-Length\t: %d" % len(SMUGGLED),
            SMUGGLED,
            "A parser that looks for a space alone lets the tab pass and trims it later.",
        ),
        _spaced(
            "space_before_colon_of_an_unknown_field",
            b"X-Unknown : x",
            b"",
            "Whether the line is dropped, kept or renamed differs between servers, and filters are blind to it.",
        ),
        _no_token(
            "space_inside",
            b"Content Length: %d" % len(SMUGGLED),
            "Who removes white space from names reads a length where others see an unknown field.",
            content=SMUGGLED,
        ),
        _no_token(
            "nul_at_the_end",
            b"Content-Length\0: %d" % len(SMUGGLED),
            "A name that is compared as a C string ends at the NUL and is Content-Length again.",
            content=SMUGGLED,
        ),
        _no_token(
            "no_break_space_at_the_end",
            b"Content-Length\xa0: %d" % len(SMUGGLED),
            "To a parser that decodes to text first, 0xA0 is white space, and trimming makes it a length.",
            content=SMUGGLED,
        ),
        _no_token(
            "letter_that_folds_to_ascii",
            "Tran\u017ffer-Encoding: chunked".encode(),
            "In upper case the long s is an S: a comparison by Unicode's rules finds chunked that nobody sent.",
            content=chunks(SMUGGLED),
        ),
        _no_token(
            "byte_order_mark",
            b"\xef\xbb\xbfContent-Length: 42",
            "A decoder that eats the mark sees a length, and one that keeps it sees an unknown name.",
        ),
        _no_token(
            "quotes",
            b'"Content-Length": 42',
            "Who takes quotes off names finds a length in a line that a filter lets pass.",
        ),
        _no_token(
            "empty_name",
            b": x",
            "An empty name is an index of -1 to some parsers and the end of the head to others.",
        ),
        _no_token(
            "pseudo_header_of_http2",
            b":authority: evil.example",
            "A gateway that translates it back to HTTP/2 gives the request a second authority.",
        ),
        _no_token(
            "line_without_colon",
            b"Just-Some-Words",
            "A parser that skips the line goes on where another one stops, and they end the head at different places.",
        ),
        _no_token(
            "slash",
            b"a/b: x",
            "A delimiter in a name tells that two parsers split the line at different places.",
        ),
        _no_token(
            "parentheses",
            b"a(b): x",
            "A comment in a name was removed by parsers of mail, which some servers borrow.",
        ),
        _no_token(
            "comma",
            b"a,b: x",
            "Fields that are joined with commas cannot be taken apart again when a comma stands in a name.",
        ),
        _no_token(
            "quoted_colon",
            b'"a: b": x',
            "Where the name ends depends on whether quotes hide its colon.",
        ),
        Case(
            id="field_name_ends_at_the_first_colon",
            data=request(b"Content-Length:: %d" % len(SMUGGLED), content=SMUGGLED),
            section="RFC 9112 section 6.3",
            level=Level.MUST,
            strict=closes(400),
            forbid=(Danger.SERVED,),
            why="The value is ': 42' and no length; who skips colons reads one and who gives up on it reads none.",
        ),
    ),
)
