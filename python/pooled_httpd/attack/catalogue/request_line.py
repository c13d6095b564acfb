"""The request line: its three parts, what separates and ends them, and what may stand before it (RFC 9112 sections 2.2
and 3).

A lenient server may split the line at any white space (section 3) and end it at a bare LF (section 2.2). Cases about
that are advice, at the level MAY: it is how two servers come to see different requests.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Family,
    HalfClose,
    Level,
    Outcome,
    Send,
    answers,
    closes,
    is_known,
    keeps,
    silent,
)

#: The rest of a request whose request line ends before it.
_HEAD = b"\r\nHost: {host}\r\n\r\n"
_PLAIN = b"GET {known} HTTP/1.1" + _HEAD


def _refused(
    rule: str,
    data: bytes,
    why: str,
    *,
    section: str = "RFC 9112 section 3",
    level: Level = Level.SHOULD,
    also: tuple[Outcome, ...] = (),
) -> Case:
    """Make a case whose request line is malformed.

    Which fault a server names first is its own matter: 501 where it takes the method for unknown, 505 the version.
    """
    accept = (silent(), answers(400, 501, 505), *also)
    return Case(
        id=f"request_line_{rule}",
        data=data,
        section=section,
        level=level,
        strict=closes(400),
        accept=accept,
        why=why,
    )


_PARTS = (
    Case(
        id="request_line_is_served",
        data=_PLAIN,
        section="RFC 9112 section 3",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(is_known(),),
        why="The plain request that everything else departs from.",
    ),
    _refused(
        "rejects_a_method_alone",
        b"GET" + _HEAD,
        "Without a target there is nothing to answer for; a parser that indexes the missing parts reads past its line.",
    ),
    _refused(
        "rejects_a_missing_target",
        b"GET HTTP/1.1" + _HEAD,
        "Who takes the version for the target and who takes the target for empty serve two different resources.",
    ),
    _refused(
        "rejects_an_empty_target",
        b"GET  HTTP/1.1" + _HEAD,
        "An empty target between two spaces becomes the root for one server and an error for the next.",
    ),
    _refused(
        "rejects_a_missing_version",
        b"GET {known}" + _HEAD,
        "Guessed to be HTTP/0.9 it is answered without a head, and the field lines behind it are left to run.",
    ),
    _refused(
        "rejects_a_fourth_part",
        b"GET {known} HTTP/1.1 HTTP/1.1" + _HEAD,
        "Split from the left the target ends early, split from the right it has a version in it: a cache and its "
        "origin store one under the name of the other.",
        also=(answers(301),),
    ),
    _refused(
        "rejects_a_space_in_the_target",
        b"GET {known} x HTTP/1.1" + _HEAD,
        "A server that repairs the target itself hides it from a filter that saw another one; it should refuse it or "
        "redirect to the encoded form.",
        also=(answers(301),),
    ),
    _refused(
        "rejects_a_field_line_in_its_place",
        b"X-Injected: yes\r\n" + _PLAIN,
        "A parser that skips to the next line that looks like a request line answers what a stricter one takes for "
        "the rest of a broken message.",
    ),
    _refused(
        "rejects_a_status_line",
        b"HTTP/1.1 200 OK" + _HEAD,
        "A response that comes back as a request shows that two peers got out of step; answering it feeds the loop.",
    ),
    _refused(
        "rejects_a_tls_hello",
        b"\x16\x03\x01\x00\x2e\x01\x00\x00\x2a\x03\x03" + bytes(range(0x80, 0xA8)) + b"\r\n\r\n",
        "A client that speaks TLS to this port waits for ever where its first bytes are collected as a request line.",
    ),
    _refused(
        "rejects_another_protocol",
        b"EHLO evil.example\r\nMAIL FROM:<a@evil.example>\r\n\r\n",
        "Commands of a line protocol that are answered one by one let a page of the web talk to what is no web server.",
    ),
)

_SEPARATORS = (
    _refused(
        "rejects_tab_for_space",
        b"GET\t{known}\tHTTP/1.1" + _HEAD,
        "SP separates its parts; who splits at any white space and who does not see different requests.",
        level=Level.MAY,
    ),
    _refused(
        "rejects_vertical_tab_for_space",
        b"GET\x0b{known}\x0bHTTP/1.1" + _HEAD,
        "To isspace() a vertical tab is white space and to HTTP a control byte: a filter sees one long method.",
        level=Level.MAY,
    ),
    _refused(
        "rejects_form_feed_for_space",
        b"GET {known}\x0cHTTP/1.1" + _HEAD,
        "To isspace() a form feed is white space: the target ends there for one server and goes on for another.",
        level=Level.MAY,
    ),
    _refused(
        "rejects_bare_cr_for_space",
        b"GET\r{known} HTTP/1.1" + _HEAD,
        "One recipient turns a bare CR into a space and another ends the line there, so they route different requests.",
        section="RFC 9112 section 2.2",
        level=Level.MAY,
    ),
    _refused(
        "rejects_no_break_space_for_space",
        b"GET\xa0{known}\xa0HTTP/1.1" + _HEAD,
        "A line decoded as Latin-1 text and split at white space splits at 0xA0, where a byte parser does not.",
    ),
    _refused(
        "rejects_two_spaces_before_the_target",
        b"GET  {known} HTTP/1.1" + _HEAD,
        "A rule that is matched against the target with a leading space does not match, and the origin serves it.",
        level=Level.MAY,
    ),
    _refused(
        "rejects_two_spaces_before_the_version",
        b"GET {known}  HTTP/1.1" + _HEAD,
        "The second space belongs to the target for who splits at the last one, and so two servers look up two names.",
        level=Level.MAY,
    ),
    _refused(
        "rejects_space_before_the_method",
        b" " + _PLAIN,
        "The first part is empty for one parser and the method for another, which decides whether the method is "
        "allowed.",
        level=Level.MAY,
    ),
    _refused(
        "rejects_space_after_the_version",
        b"GET {known} HTTP/1.1 " + _HEAD,
        "Who compares the whole rest with HTTP/1.1 takes the request for an older version, in which connections and "
        "framing differ.",
        level=Level.MAY,
    ),
)

_ENDS = (
    _refused(
        "rejects_lf_cr_as_its_end",
        b"GET {known} HTTP/1.1\n\rHost: {host}\r\n\r\n",
        "Behind the LF the next line begins with a bare CR; who trims it reads a Host that nobody else has seen.",
        section="RFC 9112 section 2.2",
        level=Level.MUST,
    ),
    _refused(
        "rejects_a_line_of_white_space_and_a_field_behind_it",
        b"GET {known} HTTP/1.1\r\n Host: {host}\r\n\r\n",
        "A line that begins with white space right behind the request line must be refused or dropped; who counts it "
        "as a Host is routed by a field that others never saw.",
        section="RFC 9112 section 2.2",
        level=Level.MUST,
    ),
)

_BEFORE = (
    Case(
        id="request_line_is_not_waited_for_behind_many_empty_lines",
        data=b"\r\n" * 500 + _PLAIN,
        section="RFC 9112 section 2.2",
        level=Level.MAY,
        strict=closes(400),
        accept=(answers(200, 400, 414, 431), silent()),
        why="Empty lines without an end keep a worker busy that never has a request to count or to limit.",
    ),
    _refused(
        "rejects_a_byte_order_mark",
        b"\xef\xbb\xbf" + _PLAIN,
        "Text decoding that swallows the three bytes makes GET of what a filter in front saw as an unknown method.",
    ),
)

_LENGTHS = (
    Case(
        id="request_line_of_7900_bytes_is_read",
        data=b"GET {known}?" + b"a" * 7800 + b" HTTP/1.1" + _HEAD,
        section="RFC 9112 section 3",
        level=Level.SHOULD,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(is_known(),),
        why="Request lines of at least 8,000 bytes should work; signed links are that long.",
    ),
    Case(
        id="request_line_of_20000_bytes_is_uri_too_long",
        data=b"GET /" + b"a" * 20_000 + b" HTTP/1.1" + _HEAD,
        section="RFC 9112 section 3",
        level=Level.MUST,
        strict=closes(414),
        accept=(answers(404, 414, 431),),
        why="A name that the file system finds too long ends in 500, and a buffer that is too short in worse.",
    ),
    Case(
        id="request_line_with_a_method_of_20000_bytes_is_refused",
        data=b"A" * 20_000 + b" {known} HTTP/1.1" + _HEAD,
        section="RFC 9112 section 3",
        level=Level.SHOULD,
        strict=closes(414),
        accept=(answers(400, 414, 431, 501),),
        why="Methods are copied into logs and small arrays whose writers thought of GET and POST.",
    ),
    Case(
        id="request_line_without_an_end_is_refused",
        data=(Send(b"GET /" + b"a" * 200_000), HalfClose()),
        section="RFC 9112 section 3",
        level=Level.MUST,
        strict=closes(414),
        accept=(answers(400, 414, 431), silent()),
        why="A line that is stored until its end comes takes all the memory there is, and its peer need send none.",
    ),
)

FAMILY = Family("request_line", "Request line", (*_PARTS, *_SEPARATORS, *_ENDS, *_BEFORE, *_LENGTHS))
