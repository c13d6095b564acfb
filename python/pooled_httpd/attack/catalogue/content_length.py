"""Content-Length: 1*DIGIT, once, within a limit (RFC 9110 section 8.6, RFC 9112 section 6.3).

Behind each wrong length stands a request. Who reads the length leniently serves what should be refused, who ignores it
answers the content; both are one half of a disagreement about where the request ends.
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
    answers,
    closes,
    keeps,
    series,
    silent,
)
from pooled_httpd.attack.catalogue.building import (
    GOT,
    POST_STATUSES,
    POSTED,
    SMUGGLED,
    allow_if_refused,
    known_if_ok,
    length,
    request,
)

_SIZE = len(SMUGGLED)
#: So much before the smuggled request that "0130" counts both in decimal and what stands before in octal.
_PAD = b"x" * 0o130
_SERVED = keeps(200)


def _invalid(id: str, value: bytes, why: str, *, accept: tuple[Outcome, ...] = ()) -> Case:
    """A value that is no length, in front of what it seems to count."""
    return Case(
        id=f"content_length_rejects_{id}",
        data=request(b"Content-Length: " + value, content=SMUGGLED),
        section="RFC 9112 section 6.3",
        level=Level.MUST,
        strict=closes(400),
        accept=accept,
        forbid=() if accept else (Danger.SERVED,),
        why=why,
    )


def _taken(
    id: str,
    data: bytes,
    why: str,
    *,
    accept: tuple[Outcome, ...] = GOT,
    section: str = "RFC 9110 section 8.6",
    strict: Outcome = _SERVED,
) -> Case:
    """A valid length, whose content is taken in."""
    return Case(
        id=f"content_length_{id}",
        data=data,
        section=section,
        level=Level.MUST,
        strict=strict,
        accept=accept,
        checks=(known_if_ok(),),
        why=why,
    )


def _huge(id: str, value: int, why: str) -> Case:
    """More than is ever sent; 42 bytes, and a request behind them for whoever counts those.

    Half-close ends what would rightly be waited for.
    """
    return Case(
        id=f"content_length_{id}",
        data=(Send(request(b"Content-Length: %d" % value, content=b"x" * 42 + SMUGGLED)), HalfClose()),
        section="RFC 9110 section 8.6",
        level=Level.MUST,
        strict=closes(413),
        accept=(closes(400), silent(), *GOT),
        why=why,
    )


def _repeated(id: str, first: int, second: int, why: str) -> Case:
    return Case(
        id=f"content_length_rejects_{id}",
        data=request(b"Content-Length: %d" % first, b"Content-Length: %d" % second, content=SMUGGLED),
        section="RFC 9112 section 6.3",
        level=Level.MUST,
        strict=closes(400),
        forbid=(Danger.SERVED,),
        why=why,
    )


FAMILY = Family(
    "content_length",
    "Content-Length",
    (
        _taken(
            "of_a_get_is_taken_in",
            request(length(SMUGGLED), content=SMUGGLED),
            "A GET has no use for content, but its bytes are there: left unread they run as the next request (CL.0).",
            section="RFC 9110 section 9.3.1",
        ),
        Case(
            id="content_length_of_a_post_is_taken_in",
            data=request(length(SMUGGLED), method=b"POST", content=SMUGGLED),
            section="RFC 9112 section 9.3",
            level=Level.MUST,
            strict=keeps(405),
            accept=POSTED,
            checks=(allow_if_refused(),),
            why="Who refuses the method and forgets the content answers it as a request.",
        ),
        _taken(
            "zero_is_a_length",
            request(b"Content-Length: 0") + request(),
            "Zero that is taken for none given makes a server wait for content or for the close.",
            strict=series(200, 200),
            accept=(series(200, 200, ends=Ends.EITHER), closes(200)),
        ),
        _taken(
            "of_zeros_is_zero",
            request(b"Content-Length: 00000"),
            "Digits are digits: a length of zeros is zero, whatever a parser thinks of a leading one.",
            accept=(answers(200), answers(400)),
        ),
        _taken(
            "with_leading_zeros_is_decimal",
            request(b"Content-Length: 0130", content=_PAD + SMUGGLED),
            "strtol() with base 0 reads 0130 as 88, and what stands behind those bytes is a request.",
        ),
        _taken(
            "with_many_leading_zeros_is_decimal",
            request(b"Content-Length: " + b"0" * 30 + b"%d" % _SIZE, content=SMUGGLED),
            "A limit on digits in place of one on the number ends in another length or in none.",
        ),
        _taken(
            "ends_where_the_next_request_begins",
            request(b"Content-Length: 5", method=b"POST", content=b"hello") + request(),
            "One byte off and the next request has another method, or none.",
            strict=series(405, 200),
            accept=(series(POST_STATUSES, 200, ends=Ends.EITHER), closes(*POST_STATUSES)),
        ),
        _taken(
            "larger_than_a_buffer_is_taken_in",
            request(b"Content-Length: 40042", method=b"POST", content=b"x" * 40_000 + SMUGGLED),
            "Content that comes in several reads is counted down over all of them, not by the first.",
            strict=keeps(405),
            accept=POSTED,
        ),
        Case(
            id="content_length_beside_a_content_that_looks_chunked_counts",
            data=request(b"Content-Length: 47", content=b"0\r\n\r\n" + SMUGGLED),
            section="RFC 9112 section 6.3",
            level=Level.MUST,
            strict=keeps(200),
            accept=GOT,
            why="Without a Transfer-Encoding chunks are bytes like others; who guesses ends the content early.",
        ),
        _invalid(
            "plus_sign", b"+42", "strtol() takes a sign, the grammar does not: one peer reads 42, the other none."
        ),
        _invalid(
            "minus_sign", b"-42", "A negative number that is put into an unsigned one is the largest length there is."
        ),
        _invalid("minus_zero", b"-0", "Zero after the conversion, no length before it."),
        _invalid("hexadecimal", b"0x2a", "strtol() with base 0 reads 42; who stops at the x reads 0."),
        _invalid(
            "underscore", b"4_2", "Python's int() takes underscores between digits and reads 42; others stop at 4."
        ),
        _invalid("decimal_point", b"42.0", "A parser of numbers reads 42, a parser of digits stops at the point."),
        _invalid("exponent", b"42e0", "JavaScript's Number() reads 42 out of it, and 1e3 as a thousand."),
        _invalid("letters_behind_digits", b"42abc", "atoi() takes the longest prefix that is a number."),
        _invalid("letters", b"forty-two", "atoi() reads 0 out of it, and the content runs as a request."),
        _invalid("empty_value", b"", "An empty length is 0, none at all, or an error: three parsers, three ends."),
        _invalid("two_numbers", b"42 0", "Who stops at the space reads another length than who takes the last word."),
        _invalid("tab_between_digits", b"4\t2", "Who drops white space anywhere reads 42, who stops at it reads 4."),
        _invalid("quotes", b'"42"', "Who takes quotes off every value makes a length of what is none."),
        _invalid("parameter", b"42;a=b", "A parser that cuts every value at the semicolon reads a length."),
        _invalid("comment", b"(0) 42", "A parser that takes out comments, as for mail, reads a length."),
        _invalid("no_break_space", b"\xa042", "Decoded to Latin-1 and stripped it is 42; by its bytes it is none."),
        _invalid(
            "superscript_digit", b"4\xb2", "In Latin-1 this is a digit to isdigit() in Python, and int() fails on it."
        ),
        _invalid(
            "fullwidth_digits",
            "\uff14\uff12".encode(),
            "Python and others convert every digit of Unicode: 42 to them, and nothing to who knows ten of them.",
        ),
        _invalid(
            "same_length_twice_in_a_list",
            b"42, 42",
            "It may be read as 42; who reads a number up to the comma accepts a list of different ones as well.",
            accept=(closes(400), *GOT),
        ),
        _invalid("different_lengths_in_a_list", b"0, 42", "Which number counts depends on who reads it."),
        _invalid("list_with_an_empty_element", b"42,", "A number up to the comma is a length to who stops there."),
        Case(
            id="content_length_rejects_same_length_on_two_lines",
            data=request(length(SMUGGLED), length(SMUGGLED), content=SMUGGLED),
            section="RFC 9112 section 6.3",
            level=Level.MAY,
            strict=closes(400),
            accept=GOT,
            why="Two equal lines may be read as one; that there are two tells of a peer that adds lines.",
        ),
        _repeated("zero_before_another_length", 0, _SIZE, "Who counts the first line runs the content (CL.CL)."),
        _repeated("zero_behind_another_length", _SIZE, 0, "Who counts the last line runs the content (CL.CL)."),
        Case(
            id="content_length_rejects_two_lines_of_different_case",
            data=request(b"Content-Length: 0", b"content-length: %d" % _SIZE, content=SMUGGLED),
            section="RFC 9112 section 6.3",
            level=Level.MUST,
            strict=closes(400),
            forbid=(Danger.SERVED,),
            why="A table that knows names by their bytes sees two fields, each of them once.",
        ),
        _huge(
            "of_99999999999_is_too_large",
            99_999_999_999,
            "A buffer of this size is asked for, or a counter of 32 bits wraps to 1215752191.",
        ),
        _huge(
            "does_not_wrap_at_32_bits",
            (1 << 32) + 42,
            "In 32 bits it is 42, and the request behind it runs for one parser alone.",
        ),
        _huge(
            "does_not_wrap_at_63_bits",
            (1 << 63) + 42,
            "As a signed number it is negative, and a content that is shorter than nothing is read as none.",
        ),
        _huge(
            "does_not_wrap_at_64_bits",
            (1 << 64) + 42,
            "In 64 bits it is 42: the multiplication has to be checked, not its result.",
        ),
        _huge(
            "of_100_digits_is_too_large",
            10**99,
            "A number that fits no machine word is infinity to who parses it as floating point.",
        ),
    ),
)
