"""Transfer-Encoding: a list of codings in which chunked stands once and last (RFC 9112 sections 6.1, 6.3 and 7).

Every odd spelling here has been taken for chunked by some server and for nothing, or for another coding, by another
one. The chunks hide a request: who ignores the coding answers it, who accepts it serves what should be refused.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Danger, Family, Level, Outcome, answers, closes, keeps
from pooled_httpd.attack.catalogue.building import (
    CHUNKED,
    GOT,
    POSTED,
    SMUGGLED,
    chunks,
    known_if_ok,
    length,
    request,
)

#: What may become of a coding that is not understood or not valid.
_NO_CODING = (closes(400, 501),)


def _taken(id: str, line: bytes, why: str) -> Case:
    """Chunked, spelled rightly."""
    return Case(
        id=f"transfer_encoding_{id}",
        data=request(line, content=chunks(SMUGGLED)),
        section="RFC 9112 section 7",
        level=Level.MUST,
        strict=keeps(200),
        accept=GOT,
        checks=(known_if_ok(),),
        why=why,
    )


def _invalid(
    id: str,
    value: bytes,
    why: str,
    *,
    section: str = "RFC 9112 section 6.3",
    level: Level = Level.MUST,
    lines: tuple[bytes, ...] = (),
) -> Case:
    """No list that ends in chunked."""
    return Case(
        id=f"transfer_encoding_rejects_{id}",
        data=request(*lines or (b"Transfer-Encoding: " + value,), content=chunks(SMUGGLED)),
        section=section,
        level=level,
        strict=closes(400),
        accept=_NO_CODING,
        forbid=(Danger.SERVED,),
        why=why,
    )


def _unknown(id: str, value: bytes, why: str, *, accept: tuple[Outcome, ...] = _NO_CODING) -> Case:
    """A coding that is not implemented."""
    return Case(
        id=f"transfer_encoding_does_not_know_{id}",
        data=request(b"Transfer-Encoding: " + value, content=chunks(SMUGGLED)),
        section="RFC 9112 section 6.1",
        level=Level.SHOULD,
        strict=closes(501),
        accept=accept,
        forbid=(Danger.SERVED,),
        why=why,
    )


FAMILY = Family(
    "transfer_encoding",
    "Transfer-Encoding",
    (
        _taken(
            "chunked_is_decoded",
            CHUNKED,
            "Every HTTP/1.1 server must decode chunks; who does not answers them as requests (TE.0).",
        ),
        Case(
            id="transfer_encoding_chunked_of_a_post_is_decoded",
            data=request(CHUNKED, method=b"POST", content=chunks(b"hello", SMUGGLED)),
            section="RFC 9112 section 7.1",
            level=Level.MUST,
            strict=keeps(405),
            accept=POSTED,
            why="Who refuses the method and forgets the chunks answers them as requests.",
        ),
        _taken(
            "ignores_case",
            b"Transfer-Encoding: cHuNkEd",
            "Coding names ignore case: a comparison of bytes sees no chunked, and its peer does.",
        ),
        _taken(
            "loses_white_space_around_it",
            b"Transfer-Encoding:\t chunked \t",
            "Tabs and spaces around a value are no part of it; who keeps them sees no chunked.",
        ),
        Case(
            id="transfer_encoding_is_not_te",
            data=request(b"TE: chunked, trailers"),
            section="RFC 9110 section 10.1.4",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200), answers(400)),
            why="TE says what the client takes in a response; as framing it makes the next request a content.",
        ),
        Case(
            id="transfer_encoding_is_not_content_encoding",
            data=request(b"Content-Encoding: chunked", length(SMUGGLED), content=SMUGGLED),
            section="RFC 9110 section 8.4",
            level=Level.MUST,
            strict=keeps(200),
            accept=(*GOT, answers(415)),
            why="A content coding never frames a message; chunks are not looked for.",
        ),
        Case(
            id="transfer_encoding_with_underscore_is_another_field",
            data=request(b"Transfer_Encoding: chunked"),
            section="RFC 9110 section 5.1",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200), answers(400)),
            checks=(known_if_ok(),),
            why="Mapped to a variable's name it is the same field, and the next request is its content.",
        ),
        _invalid(
            "chunked_twice",
            b"chunked, chunked",
            "Who looks at the first and who looks at the last decode; who decodes twice reads other bytes.",
            section="RFC 9112 section 6.1",
        ),
        _invalid(
            "chunked_on_two_lines",
            b"",
            "Whether two lines are a list, a repetition or the last one alone differs (TE.TE).",
            section="RFC 9112 section 6.1",
            lines=(CHUNKED, CHUNKED),
        ),
        _invalid(
            "chunked_before_identity",
            b"chunked, identity",
            "Who searches for chunked anywhere decodes; who looks at the last coding has no end to read to.",
        ),
        _invalid(
            "chunked_before_gzip",
            b"chunked, gzip",
            "Chunked is not last, so the length cannot be known; who decodes nevertheless guesses it.",
        ),
        _invalid(
            "chunked_before_another_line",
            b"",
            "Who keeps the first of several lines decodes chunks, who keeps the last knows no coding (TE.TE).",
            lines=(CHUNKED, b"Transfer-Encoding: x"),
        ),
        _invalid("empty_value", b"", "The field is there and chunked is not last: none and unknown are both guesses."),
        _invalid(
            "parameter_of_chunked",
            b"chunked;a=b",
            "Chunked has no parameters; cut at the semicolon it is chunked, compared whole it is not.",
            section="RFC 9112 section 7.1",
            level=Level.SHOULD,
        ),
        _invalid(
            "semicolon_behind_chunked",
            b"chunked;",
            "A parameter without a name: some cut it off, some know no such coding.",
            section="RFC 9112 section 7",
            level=Level.SHOULD,
        ),
        _invalid("double_quotes", b'"chunked"', "Who takes quotes off every value sees chunked."),
        _unknown(
            "single_quotes",
            b"'chunked'",
            "The quotes are token characters, so that this is another coding; who strips them decodes.",
        ),
        _invalid(
            "brackets", b"[chunked]", "A value that is printed from a list and sent as it is; who strips it decodes."
        ),
        _invalid("space_inside", b"chun ked", "Who drops white space anywhere decodes chunks."),
        _invalid("two_words", b"x chunked", "Who looks at the last word of the value decodes chunks (TE.TE)."),
        _invalid("words_behind", b"chunked x", "Who looks at the first word, or compares a prefix, decodes chunks."),
        _invalid("no_break_space", b"chunked\xa0", "As text it is stripped and is chunked; as bytes it is not."),
        _invalid("byte_above_ascii", b"\xffchunked", "A byte that is dropped when decoding to text leaves chunked."),
        _invalid(
            "letter_that_folds_to_ascii",
            "chun\u212aed".encode(),
            "In lower case the Kelvin sign is a k: a comparison by Unicode's rules decodes chunks.",
        ),
        _invalid(
            "chunked_in_a_quoted_parameter",
            b'x;a="b, chunked"',
            "The quotes hide the comma: the last coding is x. A split at commas finds chunked behind it.",
        ),
        Case(
            id="transfer_encoding_rejects_empty_element_before_chunked",
            data=request(b"Transfer-Encoding: , chunked", content=chunks(SMUGGLED)),
            section="RFC 9110 section 5.6.1.2",
            level=Level.MAY,
            strict=closes(400),
            accept=(*GOT, closes(501)),
            why="Empty elements are legal in lists and to be ignored; here they hide chunked from one peer of two.",
        ),
        Case(
            id="transfer_encoding_rejects_empty_element_behind_chunked",
            data=request(b"Transfer-Encoding: chunked,", content=chunks(SMUGGLED)),
            section="RFC 9110 section 5.6.1.2",
            level=Level.MAY,
            strict=closes(400),
            accept=(*GOT, closes(501)),
            why="Who takes what stands behind the last comma for the last coding finds none.",
        ),
        Case(
            id="transfer_encoding_does_not_know_gzip_before_chunked",
            data=request(b"Transfer-Encoding: gzip, chunked", content=chunks(SMUGGLED)),
            section="RFC 9112 section 6.1",
            level=Level.SHOULD,
            strict=closes(501),
            accept=(answers(501), *GOT),
            why="Its end can be found and its content not be read; to say so keeps the client from guessing.",
        ),
        Case(
            id="transfer_encoding_does_not_know_gzip_on_the_line_before_chunked",
            data=request(b"Transfer-Encoding: gzip", CHUNKED, content=chunks(SMUGGLED)),
            section="RFC 9112 section 6.1",
            level=Level.SHOULD,
            strict=closes(501),
            accept=(answers(501), *GOT),
            why="Two lines are one list; who looks at the first alone sees no chunked and no end.",
        ),
        _unknown("gzip_alone", b"gzip", "Without chunked a request has no end that could be found."),
        _unknown(
            "identity", b"identity", "It was a coding once and framed nothing; some still ignore the field for it."
        ),
        _unknown("chunked_with_a_prefix", b"xchunked", "Who searches the value for chunked finds it (TE.TE)."),
        _unknown("chunked_with_a_suffix", b"chunkedx", "Who compares seven bytes finds chunked (TE.TE)."),
        _unknown("chunked_with_a_hyphen", b"x-chunked", "An experimental name is no alias: it is another coding."),
    ),
)
