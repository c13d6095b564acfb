"""Control bytes in each part of a request head: values (RFC 9110 section 5.5), names, the request line, framing.

CR, LF and NUL in a value are to be refused or replaced by SP, other controls are invalid and may be kept where nothing
looks at them. As white space they never count (RFC 9110 section 5.6.3), whatever a library's trim function says.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Danger, Family, Level, Outcome, answers, closes, silent
from pooled_httpd.attack.catalogue.building import CHUNKED, ENDS_EARLY, GOT, REFUSED, SMUGGLED, chunks, length, request

#: What may become of a control byte in a value that means nothing.
_KEPT = (answers(200), *REFUSED)


def _in_value(name: str, byte: bytes, why: str, *, level: Level = Level.MAY) -> Case:
    return Case(
        id=f"control_byte_rejects_{name}_in_a_value",
        data=request(b"X-Control: a" + byte + b"b"),
        section="RFC 9110 section 5.5",
        level=level,
        strict=closes(400),
        accept=_KEPT,
        why=why,
    )


def _in(
    place: str,
    data: bytes,
    why: str,
    *,
    section: str,
    level: Level = Level.SHOULD,
    accept: tuple[Outcome, ...] = REFUSED,
    forbid: tuple[Danger, ...] = (),
) -> Case:
    return Case(
        id=f"control_byte_rejects_{place}",
        data=data,
        section=section,
        level=level,
        strict=closes(400),
        accept=accept,
        forbid=forbid,
        why=why,
    )


def _ends_no_line(name: str, byte: bytes, why: str) -> Case:
    """A field with a framing that only whoever takes the byte for a line end sees; the length is right."""
    return Case(
        id=f"control_byte_{name}_ends_no_line",
        data=request(b"X: a" + byte + CHUNKED, length(ENDS_EARLY), content=ENDS_EARLY),
        section="RFC 9110 section 5.5",
        level=Level.MUST,
        strict=closes(400),
        accept=(*GOT, silent()),
        why=why,
    )


FAMILY = Family(
    "control_bytes",
    "Control bytes",
    (
        _in_value(
            "nul",
            b"\0",
            "C code ends the value at the NUL and everybody else behind it: a filter reads less than a server.",
            level=Level.MUST,
        ),
        _in_value(
            "start_of_heading", b"\x01", "Some formats separate their fields by 0x01; a log record splits there."
        ),
        _in_value("bell", b"\x07", "Whoever reads the log on a terminal hears it, and worse sequences follow it."),
        _in_value("backspace", b"\x08", "On a terminal it wipes out what the log says before it."),
        _in_value("vertical_tab", b"\x0b", "It is white space to isspace() and to Python, and a line end to some."),
        _in_value("form_feed", b"\x0c", "It is white space to isspace() and a page's end to others."),
        _in_value("escape", b"\x1b", "An escape sequence in a log that is shown on a terminal runs there."),
        _in_value("unit_separator", b"\x1f", "It is white space to Python's str.strip() and nothing to anybody else."),
        _in_value("delete", b"\x7f", "It lies above the space, so that a check for bytes below 0x20 lets it pass."),
        _ends_no_line(
            "vertical_tab",
            b"\x0b",
            "Python's splitlines() ends a line here: to such a parser the content is chunked and ends early.",
        ),
        _ends_no_line(
            "form_feed",
            b"\x0c",
            "Whoever splits the head at every kind of line end finds a coding that no other parser sees.",
        ),
        _ends_no_line(
            "file_separator",
            b"\x1c",
            "0x1C to 0x1E are line ends to Python's splitlines(), which parsers of fields have been built on.",
        ),
        _ends_no_line(
            "nul",
            b"\0",
            "A copy by strcpy() joins what stands before the NUL with what comes after the line.",
        ),
        _in(
            "nul_in_content_length",
            request(b"Content-Length: %d\0" % len(SMUGGLED), content=SMUGGLED),
            "atoi() stops at the NUL and reads a length; a parser that checks every byte reads none.",
            section="RFC 9112 section 6.3",
            level=Level.MUST,
            accept=(),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "vertical_tab_before_content_length",
            request(b"Content-Length: \x0b%d" % len(SMUGGLED), content=SMUGGLED),
            "strtol() skips it as white space, so the same bytes are a length here and invalid in front.",
            section="RFC 9112 section 6.3",
            level=Level.MUST,
            accept=(),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "form_feed_behind_content_length",
            request(b"Content-Length: %d\x0c" % len(SMUGGLED), content=SMUGGLED),
            "A trim by isspace() takes it off; the length is then valid for one parser of two.",
            section="RFC 9112 section 6.3",
            level=Level.MUST,
            accept=(),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "vertical_tab_before_chunked",
            request(b"Transfer-Encoding: \x0bchunked", content=chunks(SMUGGLED)),
            "One parser trims it and decodes chunks, the other knows no such coding: TE.TE with one odd byte.",
            section="RFC 9112 section 6.1",
            level=Level.MUST,
            accept=(answers(400, 501), silent()),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "nul_behind_chunked",
            request(b"Transfer-Encoding: chunked\0", content=chunks(SMUGGLED)),
            "Compared as a C string it is chunked, compared by its length it is not.",
            section="RFC 9112 section 6.1",
            level=Level.MUST,
            accept=(answers(400, 501), silent()),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "nul_in_host",
            b"GET {known} HTTP/1.1\r\nHost: {host}\0.evil.example\r\n\r\n",
            "The name ends at the NUL for whoever selects the site and goes on for whoever checks it.",
            section="RFC 9112 section 3.2",
            level=Level.MUST,
            accept=(answers(400),),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "nul_behind_close",
            request(b"Connection: close\0"),
            "One side has agreed to close and the other has not; what comes next is answered by the wrong one.",
            section="RFC 9110 section 5.5",
            level=Level.MUST,
            accept=_KEPT,
        ),
        _in(
            "vertical_tab_in_a_name",
            request(b"Content-Length\x0b: %d" % len(SMUGGLED), content=SMUGGLED),
            "Names are trimmed by isspace() in more than one server, and become framing.",
            section="RFC 9110 section 5.6.2",
            forbid=(Danger.SERVED,),
        ),
        _in(
            "delete_in_a_name",
            request(b"X-De\x7fl: x"),
            "A table of token characters that is made by a comparison with 0x20 forgets it.",
            section="RFC 9110 section 5.6.2",
        ),
        _in(
            "nul_in_the_target",
            b"GET {known}\0.html HTTP/1.1\r\nHost: {host}\r\n\r\n",
            "The file system ends the name at the NUL: a check of the extension looks at other bytes than open().",
            section="RFC 9112 section 3",
            accept=(*REFUSED, answers(301, 404)),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "escape_in_the_target",
            b"GET {known}?\x1b[2J HTTP/1.1\r\nHost: {host}\r\n\r\n",
            "Targets are logged more than anything else, and logs are read on terminals.",
            section="RFC 9112 section 3",
            accept=(*REFUSED, answers(301)),
        ),
        _in(
            "delete_in_the_target",
            b"GET {known}?\x7f HTTP/1.1\r\nHost: {host}\r\n\r\n",
            "No byte of a URI is a control; who encodes it asks for another resource than the cache has stored.",
            section="RFC 9112 section 3",
            accept=(*REFUSED, answers(301)),
        ),
        _in(
            "nul_in_the_method",
            b"GET\0 {known} HTTP/1.1\r\nHost: {host}\r\n\r\n",
            "As a C string it is GET, by its length it is none: an access rule for GET does not hold.",
            section="RFC 9110 section 9.1",
            accept=(*REFUSED, answers(405, 501)),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "nul_in_the_version",
            b"GET {known} HTTP/1.1\0\r\nHost: {host}\r\n\r\n",
            "A version that ends at the NUL and one that does not give the request different rules.",
            section="RFC 9112 section 2.3",
            accept=(*REFUSED, answers(505)),
            forbid=(Danger.SERVED,),
        ),
        _in(
            "nul_before_the_request_line",
            b"\0" + request(),
            "NULs between requests are left over from a wrong length; who skips them hides that both are out of step.",
            section="RFC 9112 section 2.2",
            accept=(*REFUSED, answers(501)),
            forbid=(Danger.SERVED,),
        ),
    ),
)
