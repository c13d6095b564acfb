"""Range requests: which bytes a Range selects, what is none, and how much a flood of them may cost (RFC 9110
section 14).

A server may ignore Range altogether, and then sends the whole file. What it sends as a part must be that part. The
known file must have 100 bytes or more.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Check,
    Ends,
    Family,
    Known,
    Level,
    answers,
    closes,
    is_known,
    keeps,
    lacks_field,
    series,
)
from pooled_httpd.attack.multipart import Places, describes_itself, is_bounded, selects, tells_the_length
from pooled_httpd.attack.reading import Response

_HEAD = b"GET {known} HTTP/1.1\r\nHost: {host}\r\n"


def _get(*fields: bytes) -> bytes:
    return _HEAD + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def _selects(
    rule: str,
    value: bytes,
    *ranges: Places,
    why: str,
    codes: tuple[int, ...] = (),
    section: str = "RFC 9110 section 14.1.2",
    level: Level = Level.SHOULD,
) -> Case:
    """Make a case with a satisfiable Range."""
    return Case(
        id=f"range_{rule}",
        data=_get(b"Range: " + value),
        section=section,
        level=level,
        strict=keeps(206),
        accept=(answers(200, 206, *codes),),
        checks=(selects(*ranges),),
        why=why,
    )


def _unsatisfiable(rule: str, value: bytes, why: str) -> Case:
    """Make a case with a valid Range that selects nothing."""
    return Case(
        id=f"range_{rule}",
        data=_get(b"Range: " + value),
        section="RFC 9110 section 15.5.17",
        level=Level.SHOULD,
        strict=keeps(416),
        accept=(answers(200, 416),),
        checks=(describes_itself(), tells_the_length()),
        why=why,
    )


def _invalid(
    rule: str,
    value: bytes,
    why: str,
    *codes: int,
    section: str = "RFC 9110 section 14.1.1",
    level: Level = Level.SHOULD,
) -> Case:
    """Make a case with what is no ranges-specifier: ignored, or refused."""
    return Case(
        id=f"range_{rule}",
        data=_get(b"Range: " + value),
        section=section,
        level=level,
        strict=keeps(200),
        accept=(answers(200, 400, 416, *codes),),
        checks=(describes_itself(),),
        why=why,
    )


def _flood(rule: str, value: bytes, why: str) -> Case:
    """Make a case with a Range that costs more than the file; strict is to ignore it."""
    return Case(
        id=f"range_{rule}",
        data=_get(b"Range: " + value),
        section="RFC 9110 section 17.15",
        level=Level.SHOULD,
        strict=keeps(200),
        accept=(answers(200, 206, 400, 416, 431),),
        checks=(is_bounded(), describes_itself()),
        why=why,
    )


def _has_the_files_etag(answer: Response, known: Known) -> bool:
    return answer.status != 206 or answer.field("etag") == known.etag


_ONE = (
    _selects(
        "from_first_to_last_selects_both",
        b"bytes=0-9",
        (0, 9),
        why="The last position is included; one byte less or more, and a file put together from parts is broken.",
    ),
    _selects(
        "inside_selects_its_bytes",
        b"bytes=10-19",
        (10, 19),
        why="A part that is read from the start of the file, not from its place, is one of the oldest faults.",
    ),
    _selects(
        "of_one_byte_selects_it", b"bytes=5-5", (5, 5), why="The length of a range is one more than its distance."
    ),
    _selects("without_end_goes_to_the_end", b"bytes=10-", (10, None), why="An empty number is not zero here."),
    _selects(
        "from_the_last_byte_selects_it",
        b"bytes={last}-",
        (-1, None),
        why="The last byte is there, and the one behind it is not: the bound is less, not less or equal.",
    ),
    _selects("of_a_suffix_selects_the_end", b"bytes=-5", (-5, None), why="A suffix is a length, and no position."),
    _selects(
        "of_a_suffix_longer_than_the_file_is_all",
        b"bytes=-{beyond}",
        (0, None),
        why="The size less the suffix is negative, which without a sign is a very large first position.",
    ),
    _selects(
        "with_an_end_behind_the_file_is_cut",
        b"bytes=5-{beyond}",
        (5, None),
        why="Bytes behind the end are not there; a length that counts them leaves the client waiting, or reads memory.",
    ),
    _selects(
        "with_an_end_over_64_bits_is_cut",
        b"bytes=0-18446744073709551625",
        (0, None),
        why="In 64 bits the last position wraps around to 9, and the part is short.",
    ),
    _selects(
        "with_an_end_over_63_bits_is_cut",
        b"bytes=1-9223372036854775808",
        (1, None),
        why="With a sign it is negative: the length overflows and passes a check that it is not too large.",
    ),
    _selects(
        "of_a_suffix_over_64_bits_is_all",
        b"bytes=-18446744073709551617",
        (0, None),
        why="In 64 bits it wraps around to 1; near the largest number, suffixes read memory beside a cached file.",
    ),
    _selects(
        "of_4000_digits_is_a_number",
        b"bytes=0-" + b"9" * 4000,
        (0, None),
        codes=(400, 431),
        why="Large numerals must not fail; conversions that take time by the square of the digits, or raise, do.",
    ),
    _selects(
        "with_leading_zeros_is_a_number", b"bytes=0010-00019", (10, 19), why="A leading zero is no sign of octal."
    ),
    _selects(
        "unit_ignores_case",
        b"BYTES=0-9",
        (0, 9),
        section="RFC 9110 section 14.1",
        why="Names of range units ignore case, so a cache may pass them on in another.",
    ),
    Case(
        id="range_answer_has_the_files_validator",
        data=_get(b"Range: bytes=0-9"),
        section="RFC 9110 section 15.3.7",
        level=Level.MUST,
        strict=keeps(206),
        accept=(answers(200, 206),),
        checks=(Check("206 has the ETag of a 200", 0, _has_the_files_etag),),
        why="Parts are put together by their validator; without it, parts of two versions make one broken file.",
    ),
)

_SEVERAL = (
    _selects(
        "of_two_parts_selects_both", b"bytes=0-4,90-99", (0, 4), (90, 99), why="One of two is not what was asked."
    ),
    _selects(
        "of_parts_out_of_order_selects_both",
        b"bytes=90-99,0-4",
        (90, 99),
        (0, 4),
        section="RFC 9110 section 14.2",
        why="A file that is only read forwards delivers the second part from the wrong place.",
    ),
    _selects(
        "of_a_start_and_a_suffix_selects_both", b"bytes=0-4,-5", (0, 4), (-5, None), why="Both forms may be mixed."
    ),
    _selects(
        "of_parts_that_overlap_selects_all_bytes",
        b"bytes=0-9,5-14",
        (0, 9),
        (5, 14),
        section="RFC 9110 section 15.3.7.2",
        why="Merged by hand, overlapping parts lose or double the bytes in common.",
    ),
    _selects(
        "of_parts_that_touch_selects_all_bytes",
        b"bytes=0-4,5-9",
        (0, 4),
        (5, 9),
        section="RFC 9110 section 15.3.7.2",
        why="Parts side by side are merged by some and not by others; the byte at the seam must be there once.",
    ),
    _selects(
        "list_may_have_empty_elements_and_white_space",
        b"bytes=,0-4 ,\t, 20-24 ,",
        (0, 4),
        (20, 24),
        section="RFC 9110 section 5.6.1.2",
        codes=(400, 416),
        why="Recipients must take empty elements; an index for each comma counts parts that are not there.",
    ),
    _selects(
        "of_a_part_that_is_there_and_one_that_is_not_selects_the_first",
        b"bytes=0-4,{beyond}-",
        (0, 4),
        (3, 4),  # Two, so that multipart/byteranges with one part is no fault.
        why="One satisfiable range is enough; 416 here denies what could be had.",
    ),
)

_UNSATISFIABLE = (
    _unsatisfiable(
        "from_the_size_on_is_not_satisfiable",
        b"bytes={size}-",
        "The first position that is not there; an answer of no bytes has a last position before the first.",
    ),
    _unsatisfiable(
        "behind_the_file_is_not_satisfiable",
        b"bytes={beyond}-{beyond}",
        "416 must tell how long the file is, or a client that resumes asks for ever.",
    ),
    _unsatisfiable(
        "from_over_64_bits_is_not_satisfiable",
        b"bytes=18446744073709551616-",
        "In 64 bits the first position is 0, and the client appends the whole file to what it has.",
    ),
    _unsatisfiable(
        "of_a_suffix_of_nothing_is_not_satisfiable",
        b"bytes=-0",
        "The last zero bytes begin behind the end, and their length less one is the largest number there is.",
    ),
    _unsatisfiable(
        "of_several_that_are_not_there_is_not_satisfiable",
        b"bytes={size}-,-0,{beyond}-{beyond}",
        "With all parts left out, what remains is a multipart answer of none.",
    ),
)

_INVALID = (
    _invalid("without_ranges_is_ignored", b"bytes=", "An empty set selects nothing or all, by the default of a loop."),
    _invalid("of_a_hyphen_alone_is_ignored", b"bytes=-", "Two empty numbers are not from 0 to 0."),
    _invalid(
        "that_ends_before_it_begins_is_ignored",
        b"bytes=9-0",
        "Its length is negative, or without a sign the size of the address space.",
    ),
    _invalid("of_letters_is_ignored", b"bytes=a-f", "Hexadecimal to one number function, zero to another."),
    _invalid("with_a_plus_sign_is_ignored", b"bytes=+0-9", "Number functions take signs, and caches compare digits."),
    _invalid("with_two_minus_signs_is_ignored", b"bytes=--5", "A suffix of minus five begins behind the end."),
    _invalid("with_a_prefix_of_its_base_is_ignored", b"bytes=0x0-0x9", "Read up to the letter, it is 0, twice."),
    _invalid("with_underscores_is_ignored", b"bytes=0-1_0", "Digits grouped as in source code are a number to some."),
    _invalid("with_three_numbers_is_ignored", b"bytes=0-9-19", "Read up to the second hyphen, the rest is forgotten."),
    _invalid(
        "with_another_separator_is_ignored",
        b"bytes=0-9;20-29",
        "Read up to the semicolon, one part is sent for two that were asked.",
    ),
    _invalid(
        "with_white_space_inside_is_ignored",
        b"bytes=0 - 9",
        "Number functions skip white space, so a filter and a server read two requests.",
    ),
    _invalid(
        "with_white_space_behind_the_equals_sign_is_read_or_ignored",
        b"bytes= 0-9",
        "The grammar has no space here, an example of the same section has: a part must then be the right one.",
        206,
        section="RFC 9110 section 14.1.2",
        level=Level.MAY,
    ),
    _invalid(
        "with_one_bad_element_is_ignored_as_a_whole",
        b"bytes=0-4,x,20-24",
        "A set with one invalid element is invalid: the good ones alone are not what the client meant.",
    ),
    _invalid(
        "with_the_unit_twice_is_ignored",
        b"bytes=0-4,bytes=20-24",
        "It is what two lines look like when a front has joined them.",
    ),
    _invalid("without_a_unit_is_ignored", b"0-9", "A guess at the unit is a guess at the bytes."),
    _invalid("with_a_space_for_the_equals_sign_is_ignored", b"bytes 0-9", "That is the form of Content-Range."),
    Case(
        id="range_of_another_unit_is_ignored",
        data=_get(b"Range: lines=0-9"),
        section="RFC 9110 section 14.2",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(is_known(),),
        why="Ten bytes for ten lines, and the client does not learn that it got something else.",
    ),
    Case(
        id="range_repeated_is_ignored",
        data=_get(b"Range: bytes=0-4", b"Range: bytes=20-24"),
        section="RFC 9110 section 5.3",
        level=Level.MAY,
        strict=keeps(200),
        accept=(answers(200, 400, 416),),
        checks=(describes_itself(),),
        why="The field has one value; a cache that goes by the first line stores the part of the second under it.",
    ),
)

_FLOODS = (
    _flood(
        "flood_of_open_ranges_is_bounded",
        b"bytes=" + b",".join(b"%d-" % place for place in range(1000)),
        "Each of a thousand ranges is nearly the whole file: one small request took servers down by memory.",
    ),
    _flood(
        "flood_of_the_same_range_is_bounded",
        b"bytes=" + b",".join([b"0-"] * 1000),
        "The same file a thousand times over a line that the client pays once.",
    ),
    _flood(
        "flood_of_single_bytes_is_bounded",
        b"bytes=" + b",".join(b"%d-%d" % (place, place) for place in range(98, -1, -2)) + b",0-0" * 1000,
        "A part's head is a hundred times its byte, and backwards none can be merged on the way.",
    ),
    _flood(
        "flood_of_unsatisfiable_ranges_is_bounded",
        b"bytes=" + b",".join([b"{beyond}-"] * 1000),
        "Ranges that select nothing are counted against no limit, and each is looked at.",
    ),
)

_ELSEWHERE = (
    Case(
        id="range_of_head_is_ignored",
        data=b"HEAD {known} HTTP/1.1\r\nHost: {host}\r\nRange: bytes=0-9\r\n\r\n",
        section="RFC 9110 section 14.2",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(lacks_field("content-range"),),
        methods=("HEAD",),
        why="GET is the only method with ranges; a HEAD that says 206 makes a cache note a part as the whole.",
    ),
    Case(
        id="range_of_nothing_is_not_found",
        data=b"GET /pooled-httpd-attack-nowhere HTTP/1.1\r\nHost: {host}\r\nRange: bytes=0-9\r\n\r\n",
        section="RFC 9110 section 14.2",
        level=Level.MUST,
        strict=keeps(404),
        accept=(answers(404),),
        checks=(lacks_field("content-range"),),
        why="Range counts only where the answer would be 200: a part of an error page is taken for a part of the file.",
    ),
    Case(
        id="range_content_range_of_a_request_is_ignored",
        data=_get(b"Content-Range: bytes 0-4/10"),
        section="RFC 9110 section 14.4",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(is_known(),),
        why="It belongs to answers; a server that obeys it in a request sends a part that nobody asked for.",
    ),
    Case(
        id="range_does_not_last_for_the_next_request",
        data=_get(b"Range: bytes=5-9") + _get(),
        section="RFC 9110 section 14.2",
        level=Level.MUST,
        strict=series(206, 200),
        accept=(series((200, 206), 200, ends=Ends.EITHER), closes(200, 206)),
        checks=(is_known(response=1),),
        why="What is kept of one request for the next one of the same connection sends one client's part to another.",
    ),
    Case(
        id="range_not_satisfiable_does_not_last_for_the_next_request",
        data=_get(b"Range: bytes={beyond}-") + _get(),
        section="RFC 9110 section 15.5.17",
        level=Level.MUST,
        strict=series(416, 200),
        accept=(series((200, 416), 200, ends=Ends.EITHER), closes(200, 416)),
        checks=(is_known(response=1),),
        why="An error that is left standing is the answer to a request that was in order.",
    ),
)

FAMILY = Family("ranges", "Range requests", (*_ONE, *_SEVERAL, *_UNSATISFIABLE, *_INVALID, *_FLOODS, *_ELSEWHERE))
