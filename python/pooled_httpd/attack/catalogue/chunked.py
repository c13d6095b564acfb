"""Chunked contents: the sizes of chunks, what ends them, and what ends the content (RFC 9112 section 7.1).

A size that is read leniently, or an end that is something else than CRLF, moves the end of the message for one of two
parsers. Where the message ends, a request hides.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Ends,
    Family,
    HalfClose,
    Level,
    Outcome,
    Send,
    closes,
    keeps,
    series,
    silent,
)
from pooled_httpd.attack.catalogue.building import (
    CHUNKED,
    GOT,
    GOT_MALFORMED,
    SMUGGLED,
    chunks,
    known_if_ok,
    request,
)

#: The last chunk and the end of the content.
_END = b"0\r\n\r\n"
_SERVED = keeps(200)


def _taken(
    id: str,
    content: bytes,
    why: str,
    *,
    behind: bytes = b"",
    strict: Outcome = _SERVED,
    accept: tuple[Outcome, ...] = GOT,
) -> Case:
    """A valid content: it is taken in, all of it and nothing more."""
    return Case(
        id=f"chunk_{id}",
        data=request(CHUNKED, content=content) + behind,
        section="RFC 9112 section 7.1",
        level=Level.MUST,
        strict=strict,
        accept=accept,
        checks=(known_if_ok(),),
        why=why,
    )


def _size(
    id: str,
    size: bytes,
    why: str,
    *,
    accept: tuple[Outcome, ...] = GOT_MALFORMED,
    level: Level = Level.SHOULD,
    behind: bytes = SMUGGLED,
) -> Case:
    """A size that is none. Who reads 42 out of it takes in a request as content and answers the one behind it."""
    return Case(
        id=f"chunk_size_rejects_{id}",
        data=request(CHUNKED, content=size + b"\r\n" + SMUGGLED + b"\r\n" + _END + behind),
        section="RFC 9112 section 7.1",
        level=level,
        strict=closes(400),
        accept=accept,
        why=why,
    )


def _end(
    id: str,
    content: bytes,
    why: str,
    *,
    level: Level = Level.SHOULD,
    accept: tuple[Outcome, ...] = GOT_MALFORMED,
    behind: bytes = SMUGGLED,
) -> Case:
    """Something else than CRLF ends a size line, a chunk or the content. Who does not mind answers what is behind."""
    return Case(
        id=f"chunk_end_rejects_{id}",
        data=request(CHUNKED, content=content + behind),
        section="RFC 9112 section 7.1",
        level=level,
        strict=closes(400),
        accept=accept,
        why=why,
    )


def _huge(id: str, size: bytes, why: str) -> Case:
    """A size that is right and more than is ever sent; who wraps counts 42. Half-close ends rightful waiting."""
    content = size + b"\r\n" + b"x" * 42 + b"\r\n" + _END + SMUGGLED
    return Case(
        id=f"chunk_size_{id}",
        data=(Send(request(CHUNKED, content=content)), HalfClose()),
        section="RFC 9112 section 7.1",
        level=Level.MUST,
        strict=closes(413),
        accept=(silent(), *GOT),
        why=why,
    )


FAMILY = Family(
    "chunked",
    "Chunked: sizes and ends",
    (
        _taken("in_lower_and_upper_case", b"A\r\n0123456789\r\na\r\n0123456789\r\n" + _END, "Both cases are HEXDIG."),
        _taken(
            "sizes_are_hexadecimal",
            b"10\r\n0123456789abcdef\r\n2A\r\n" + SMUGGLED + b"\r\n" + _END,
            "Read as decimal, the first size ends in the middle of its data.",
        ),
        _taken(
            "size_may_have_leading_zeros",
            b"0002a\r\n" + SMUGGLED + b"\r\n" + _END,
            "Who takes every size that begins with 0 for the last chunk ends the content here.",
        ),
        _taken(
            "last_may_have_several_zeros",
            b"1\r\nx\r\n000\r\n\r\n",
            "The last chunk is 1*\"0\"; who compares it with '0' alone waits for data of no length.",
            behind=request(),
            strict=series(200, 200),
            accept=(series((200, 400, 405, 411, 413, 501), 200, ends=Ends.EITHER), *GOT),
        ),
        _taken(
            "content_may_be_empty", _END, "No chunk but the last one is a content of no bytes, which still ends here."
        ),
        _taken(
            "data_may_look_like_the_end",
            chunks(b"\r\n0\r\n\r\n" + SMUGGLED, b"0\r\n\r\n"),
            "A search for the last chunk's bytes finds them in the data.",
        ),
        _taken(
            "data_may_have_any_byte",
            chunks(bytes(range(256))),
            "Data is not text: neither NUL nor LF nor 0xFF ends anything in it.",
        ),
        _taken(
            "many_of_one_byte_are_taken_in",
            b"1\r\nx\r\n" * 600 + _END,
            "A table of chunks, or a recursion for each, has an end; the counting of bytes has none.",
        ),
        _taken(
            "content_ends_where_the_next_request_begins",
            chunks(b"hello"),
            "The last CRLF belongs to the content: left unread it stands before the next request, and worse does.",
            behind=request(),
            strict=series(200, 200),
            accept=(series((200, 400, 405, 411, 413, 501), 200, ends=Ends.EITHER), *GOT),
        ),
        _size("plus_sign", b"+2a", "strtol() takes a sign: the chunk has 42 bytes here and no size in front."),
        _size("minus_sign", b"-2a", "A negative size makes the rest of a buffer the data."),
        _size("prefix_0x", b"0x2a", "strtol() with base 16 takes the prefix; who stops at the x has the last chunk."),
        _size("leading_space", b" 2a", "int() and strtol() skip white space in front of a number."),
        _size("leading_tab", b"\t2a", "A parser that refuses the space may forget the tab."),
        _size(
            "trailing_space",
            b"2a ",
            "Padding with spaces was common once; what a parser allows behind them differs.",
            behind=b"",
        ),
        _size("underscore", b"2_a", "int('2_a', 16) is 42 in Python."),
        _size("comma", b"2a,0", "A list of sizes: who reads up to the comma, and who reads the last one."),
        _size("no_hexdigit", b"2g", "The longest valid prefix is 2; the rest of the data is the next chunk to some."),
        _size("letter_behind_it", b"2ax", "A parser that stops at the first byte that is no digit reads 42."),
        _size("empty_line", b"", "An empty size is 0 to strtol(), and the content ends before its data."),
        _size("quotes", b'"2a"', "Quotes are taken off by parsers that treat every element alike."),
        _size("nul", b"2a\x00", "As a C string the size is complete; by its line it is not."),
        _size("vertical_tab", b"2a\x0b", "White space to isspace(), no part of the grammar."),
        _size("no_break_space", b"2a\xa0", "As text it is stripped, and the rest is a size."),
        _size("fullwidth_digit", b"2\xef\xbd\x81", "A letter of Unicode that looks like a, and is one after folding."),
        _size("decimal_point", b"2a.0", "Who reads up to the point has a size, who reads the line has none."),
        _size(
            "more_digits_than_64_bits_hold",
            b"1" + b"0" * 14 + b"2a",
            "The 17 digits overflow 64 bits, where 42 is left of them.",
            level=Level.MUST,
            accept=(*GOT_MALFORMED, closes(413)),
        ),
        _size(
            "zeros_without_end",
            b"0" * 62 + b"2a",
            "Digits are legal in any number; a peer that sends them for ever keeps the connection busy.",
            level=Level.MAY,
            accept=(*GOT, closes(400, 413)),
            behind=b"",
        ),
        _huge(
            "above_32_bits_does_not_wrap",
            b"10000002a",
            "In 32 bits the chunk has 42 bytes, and behind them the content ends and a request begins.",
        ),
        _huge(
            "of_63_bits_is_not_negative",
            b"7fffffffffffffff",
            "An end that is computed by adding this to a place in a buffer lies before the buffer.",
        ),
        _huge(
            "of_64_bits_is_not_negative",
            b"ffffffffffffffff",
            "As a signed number it is -1: the parser goes back a byte, for ever.",
        ),
        _end(
            "lf_behind_the_size",
            b"2a\n" + SMUGGLED + b"\r\n" + _END,
            "A size line that ends in LF is one line to some parsers and the beginning of one to others.",
        ),
        _end(
            "cr_behind_the_size",
            b"2a\r" + SMUGGLED + b"\r\n" + _END,
            "A parser that skips one byte behind the CR, whatever it is, eats the first of the data.",
        ),
        _end(
            "cr_and_another_byte_behind_the_size",
            b"2a\rX" + SMUGGLED + b"\r\n" + _END,
            "A parser that skips two bytes without looking hides one from everybody else.",
        ),
        _end(
            "cr_cr_lf_behind_the_size",
            b"2a\r\r\n" + SMUGGLED + b"\r\n" + _END,
            "Who takes CR and any byte for the end has an LF as the first byte of the data.",
        ),
        _end(
            "two_other_bytes_behind_the_data",
            b"5\r\nhelloXX" + _END,
            "A parser that skips two bytes behind the data does not see that size and data disagree.",
        ),
        _end(
            "lf_behind_the_data",
            b"5\r\nhello\n" + _END,
            "The data ends a byte earlier than for a parser that skips two.",
        ),
        _end(
            "cr_behind_the_data",
            b"5\r\nhello\r" + _END,
            "The first digit of the next size takes the place of the LF and is gone.",
        ),
        _end(
            "nothing_behind_the_data",
            b"5\r\nhello" + _END + _END,
            "The next size line begins at once: who skips two bytes of it has another size.",
        ),
        _end(
            "more_data_than_the_size",
            b"5\r\nhello and more\r\n" + _END,
            "What is too much is skipped to the line's end by some, and is a size line to others.",
        ),
        _end(
            "less_data_than_the_size",
            b"8\r\nhello\r\n" + _END + SMUGGLED,
            "The end of the chunk lies in the next size line; who looks for line ends sees another content.",
            behind=b"",
        ),
        _end(
            "lf_behind_the_last_size",
            b"5\r\nhello\r\n0\n\r\n",
            "The content ends here for some, and goes on to the next CRLF CRLF for others.",
        ),
        _end(
            "lf_alone_at_the_end",
            b"5\r\nhello\r\n0\r\n\n",
            "Who needs CRLF takes the next request for trailers, who takes the LF answers it.",
            level=Level.MAY,
            accept=(*GOT_MALFORMED, *GOT),
            behind=b"",
        ),
        _end(
            "another_line_in_place_of_the_end",
            b"5\r\nhello\r\n0\r\n" + SMUGGLED + b"\r\n",
            "Who ends the content at the last chunk, without its empty line, runs what should be trailers.",
            behind=b"",
        ),
    ),
)
