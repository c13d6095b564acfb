"""Sizes: what is longer, or more, than a server may want (RFC 9112 section 3, RFC 9110 section 15.5, RFC 6585).

Limits are every server's own, but an answer beyond them is a defined one and the connection ends or stays in step.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Family, HalfClose, Level, Outcome, Send, answers, closes, keeps, silent
from pooled_httpd.attack.catalogue.building import CHUNKED, GOT, POSTED, REFUSED, SMUGGLED, chunks, known_if_ok, request

_LINE = "RFC 9112 section 3"
_FIELDS = "RFC 6585 section 5"
_PATH = "RFC 9110 section 15.5.5"
#: A head that is too large for somebody.
_LARGE = (answers(200, 400, 413, 431), silent())


def _case(
    id: str,
    data: bytes,
    why: str,
    section: str,
    strict: Outcome,
    accept: tuple[Outcome, ...],
    *,
    level: Level = Level.MAY,
) -> Case:
    return Case(
        id=f"size_{id}",
        data=data,
        section=section,
        level=level,
        strict=strict,
        accept=accept,
        checks=(known_if_ok(),),
        why=why,
    )


FAMILY = Family(
    "sizes",
    "Sizes",
    (
        _case(
            "of_7000_bytes_in_a_query_is_taken",
            request(target=b"{known}?" + b"q" * 7000),
            "At least 8,000 bytes of request line should be taken; shorter limits break forms and trackers.",
            _LINE,
            keeps(200),
            (answers(200),),
            level=Level.SHOULD,
        ),
        _case(
            "of_10240_bytes_in_a_target_is_too_long",
            request(target=b"/" + b"a" * 10_240),
            "A target longer than the buffer is refused as such; cut short it names another resource.",
            _LINE,
            closes(414),
            (answers(400, 404, 414, 431), silent()),
            level=Level.MUST,
        ),
        _case(
            "of_10240_bytes_in_a_query_is_too_long",
            request(target=b"{known}?" + b"q" * 10_240),
            "The limit counts the line; a query that is cut off selects another answer than a cache stored.",
            _LINE,
            closes(414),
            (answers(200, 400, 414, 431), silent()),
        ),
        _case(
            "of_100000_bytes_in_a_request_line_is_too_long",
            request(target=b"/" + b"a" * 100_000),
            "The line is refused before it is complete; a server that reads on first can be fed for ever.",
            _LINE,
            closes(414),
            (answers(400, 404, 414, 431), silent()),
            level=Level.MUST,
        ),
        _case(
            "of_300_bytes_in_a_method_is_no_known_method",
            request(method=b"M" * 300),
            "A method is a token of any length, and this one is not known; a fixed buffer for it overruns.",
            "RFC 9110 section 9.1",
            keeps(501),
            (answers(400, 403, 405, 414, 501), silent()),
            level=Level.SHOULD,
        ),
        _case(
            "of_10000_bytes_in_a_method_is_too_long",
            request(method=b"M" * 10_000),
            "What is limited is the line, not the target alone.",
            _LINE,
            closes(414),
            (answers(400, 403, 405, 414, 431, 501), silent()),
        ),
        _case(
            "of_10000_bytes_in_a_version_is_too_long",
            request(version=b"HTTP/1." + b"1" * 10_000),
            "Versions are parsed as numbers that overflow, or copied to where eight bytes have room.",
            _LINE,
            closes(414),
            (answers(400, 414, 431, 505), silent()),
        ),
        _case(
            "of_256_bytes_in_a_name_is_not_found",
            request(target=b"/" + b"n" * 256),
            "File systems know names of 255 bytes: one more is an error that some servers answer with 500.",
            _PATH,
            keeps(404),
            (answers(400, 403, 404, 414),),
            level=Level.SHOULD,
        ),
        _case(
            "of_5000_bytes_in_a_path_is_no_fault_of_the_server",
            request(target=b"/" + b"n/" * 2500),
            "Paths end at 4,096 bytes in most systems: one longer is an error that some servers answer with 500.",
            "RFC 4918 section 11.5",
            closes(507),
            (answers(400, 403, 404, 414, 507),),
        ),
        _case(
            "of_3000_slashes_before_a_path_is_no_loop",
            request(target=b"/" * 3000 + b"{known}"),
            "Each empty segment is work for whoever merges them one after the other by moving the rest.",
            _PATH,
            keeps(200),
            (answers(200, 301, 302, 307, 308, 400, 403, 404, 414),),
        ),
        _case(
            "of_90_field_lines_is_taken",
            request(*(b"X-%d: x" % number for number in range(89))),
            "Behind a few proxies this is a usual head.",
            _FIELDS,
            keeps(200),
            _LARGE,
        ),
        _case(
            "of_101_field_lines_is_too_many",
            request(*(b"X-%d: x" % number for number in range(100))),
            "Without a limit on lines each of them costs an entry in a table.",
            _FIELDS,
            closes(431),
            _LARGE,
        ),
        _case(
            "of_5000_field_lines_is_too_many",
            request(*[b"a:"] * 5000),
            "Two bytes a line stay below every limit on bytes, and a list that is searched for each is quadratic.",
            _FIELDS,
            closes(431),
            _LARGE,
        ),
        _case(
            "of_1000_equal_names_collides_nowhere",
            request(*[b"X-Same: x"] * 1000),
            "Values that are joined with commas are copied anew for each line.",
            _FIELDS,
            closes(431),
            _LARGE,
        ),
        _case(
            "of_12000_bytes_in_a_field_value_is_taken",
            request(b"Cookie: c=" + b"c" * 12_000),
            "Cookies get this long; whoever refuses them says so with 431.",
            _FIELDS,
            keeps(200),
            _LARGE,
        ),
        _case(
            "of_20000_bytes_in_a_field_value_is_too_large",
            request(b"X-Large: " + b"v" * 20_000),
            "A value that is cut at the buffer's end goes on as the next line.",
            _FIELDS,
            closes(431),
            _LARGE,
        ),
        _case(
            "of_20000_bytes_in_a_field_name_is_too_large",
            request(b"X" * 20_000 + b": x"),
            "The colon never comes into the buffer; who looks for it before the length looks for ever.",
            _FIELDS,
            closes(431),
            _LARGE,
        ),
        _case(
            "of_20000_bytes_in_80_field_lines_is_too_large",
            request(*(b"X-%d: " % number + b"v" * 250 for number in range(80))),
            "No line is too long and their number is small: what is limited is the sum.",
            _FIELDS,
            closes(431),
            _LARGE,
        ),
        _case(
            "of_200000_bytes_in_a_head_is_too_large",
            request(*[b"X-Large: " + b"v" * 2000] * 99),
            "An answer that comes while the client still sends must not be lost to a reset.",
            _FIELDS,
            closes(431),
            _LARGE,
        ),
        _case(
            "of_1000_connection_options_is_a_list",
            request(b"Connection: " + b"x," * 1000 + b"close"),
            "The close that counts is the last of a thousand; a list of fixed length loses it.",
            "RFC 9110 section 7.6.1",
            closes(200),
            (closes(200), answers(400, 431)),
            level=Level.MUST,
        ),
        _case(
            "of_1000_chunks_is_one_content",
            request(CHUNKED, method=b"POST", content=chunks(*[SMUGGLED] * 1000)),
            "Chunks are counted by their bytes, whatever their number.",
            "RFC 9112 section 7.1",
            keeps(405),
            POSTED,
            level=Level.MUST,
        ),
        Case(
            id="size_of_a_content_above_the_limit_ends_the_connection",
            data=(
                Send(request(b"Content-Length: 2000042", content=b"x" * 100_000 + SMUGGLED)),
                HalfClose(),
            ),
            section="RFC 9110 section 15.5.14",
            level=Level.MAY,
            strict=closes(413),
            accept=(*GOT, *REFUSED, closes(408)),
            why="Who refuses the content and keeps the connection has two megabytes to read first.",
        ),
        Case(
            id="size_of_chunks_above_the_limit_ends_the_connection",
            data=(
                Send(request(CHUNKED, content=b"".join([b"4000\r\n" + b"x" * 0x4000 + b"\r\n"] * 80) + SMUGGLED)),
                HalfClose(),
            ),
            section="RFC 9110 section 15.5.14",
            level=Level.MAY,
            strict=closes(413),
            accept=(*GOT, *REFUSED, closes(408)),
            why="Chunks announce no sum: a limit has to be kept while they come.",
        ),
    ),
)
