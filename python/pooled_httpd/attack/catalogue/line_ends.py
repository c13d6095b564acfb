"""Line ends: CRLF, the single LF that a recipient may take for it, and the bare CR that it must not (RFC 9112 section
2.2); and the empty lines before a request line.

Where two parsers differ about which bytes end a line, one of them sees a field that the other does not.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Danger, Ends, Family, Level, Outcome, answers, closes, keeps, series, silent
from pooled_httpd.attack.catalogue.building import CHUNKED, ENDS_EARLY, GOT, POST_STATUSES, REFUSED, length, request

#: A single LF may be taken for a line end, a bare CR replaced by SP where that leaves something valid.
_MAY_SERVE = (answers(200), *REFUSED)


def _refused(
    id: str, data: bytes, why: str, *, accept: tuple[Outcome, ...], level: Level, forbid: tuple[Danger, ...] = ()
) -> Case:
    """Something else than CRLF ends, or seems to end, a line."""
    return Case(
        id=f"line_end_{id}",
        data=data,
        section="RFC 9112 section 2.2",
        level=level,
        strict=closes(400),
        accept=accept,
        forbid=forbid,
        why=why,
    )


def _hidden(id: str, line: bytes, why: str) -> Case:
    """A line with a Transfer-Encoding behind something that ends no line, or not for everybody; its length is right."""
    data = request(line + CHUNKED, length(ENDS_EARLY), content=ENDS_EARLY)
    return _refused(id, data, why, accept=(*GOT, silent()), level=Level.MUST)


def _skipped(id: str, before: bytes, why: str) -> Case:
    """So many empty lines before the request line."""
    return Case(
        id=f"line_end_{id}",
        data=before + request(),
        section="RFC 9112 section 2.2",
        level=Level.SHOULD,
        strict=keeps(200),
        accept=(answers(200), *REFUSED) if before != b"\r\n" else (answers(200),),
        why=why,
    )


FAMILY = Family(
    "line_ends",
    "Line ends",
    (
        _refused(
            "rejects_bare_lf_behind_the_request_line",
            b"GET {known} HTTP/1.1\nHost: {host}\r\n\r\n",
            "A proxy that looks for CRLF alone takes the Host for a part of the request line.",
            accept=_MAY_SERVE,
            level=Level.MAY,
        ),
        _refused(
            "rejects_bare_lf_behind_a_field_line",
            request(b"X: a\nY: b"),
            "Where one parser sees two fields and another one, a filter on the second field is blind.",
            accept=_MAY_SERVE,
            level=Level.MAY,
        ),
        _refused(
            "rejects_bare_lf_as_the_empty_line",
            b"GET {known} HTTP/1.1\r\nHost: {host}\r\n\n",
            "Whoever waits for CRLF CRLF goes on reading the next request as fields of this one.",
            accept=_MAY_SERVE,
            level=Level.MAY,
        ),
        _refused(
            "rejects_bare_lf_before_the_empty_line",
            request(b"X: a\n"),
            "LF CRLF ends the head for some and is a field value with an LF for others.",
            accept=_MAY_SERVE,
            level=Level.MAY,
        ),
        _refused(
            "rejects_bare_lf_everywhere",
            b"GET {known} HTTP/1.1\nHost: {host}\n\n",
            "What is one request to a server is the beginning of a longer one to a strict proxy.",
            accept=_MAY_SERVE,
            level=Level.MAY,
        ),
        _refused(
            "rejects_lf_cr",
            b"GET {known} HTTP/1.1\n\rHost: {host}\n\r\n\r\r\n\r\n",
            "The CR behind the LF begins a line, and with it a name that is no token.",
            accept=REFUSED,
            level=Level.SHOULD,
        ),
        _refused(
            "rejects_bare_cr_behind_the_request_line",
            b"GET {known} HTTP/1.1\rHost: {host}\r\n\r\n",
            "Old parsers took CR for a line end; this request has a Host for them and none for anybody else.",
            accept=REFUSED,
            level=Level.MUST,
            forbid=(Danger.SERVED,),
        ),
        _refused(
            "rejects_bare_cr_in_a_field_value",
            request(b"X: a\rb"),
            "A CR that is forwarded or logged becomes a line end in whatever reads it next.",
            accept=_MAY_SERVE,
            level=Level.MUST,
        ),
        _refused(
            "rejects_bare_cr_before_crlf",
            request(b"X: a\r"),
            "CR CRLF is a value that ends in CR, a line end with a CR too many, or two line ends.",
            accept=_MAY_SERVE,
            level=Level.MUST,
        ),
        _refused(
            "rejects_bare_cr_before_the_empty_line",
            b"GET {known} HTTP/1.1\r\nHost: {host}\r\n\r\r\n\r\n",
            "A CR alone on a line ends the head for some parsers and is a field without colon for others.",
            accept=_MAY_SERVE,
            level=Level.MUST,
        ),
        _refused(
            "rejects_bare_cr_in_a_field_name",
            request(b"Content-Le\rngth: 42"),
            "A name is a token with nothing in it; who drops CRs anywhere makes a length of it.",
            accept=REFUSED,
            level=Level.MUST,
        ),
        _refused(
            "rejects_bare_cr_behind_the_version",
            b"GET {known} HTTP/1.1\r\r\nHost: {host}\r\n\r\n",
            "The version is 'HTTP/1.1' and a CR: some trim it, some take the request for HTTP/0.9.",
            accept=_MAY_SERVE,
            level=Level.MUST,
        ),
        _refused(
            "rejects_bare_cr_in_the_target",
            b"GET {known}\r?a HTTP/1.1\r\nHost: {host}\r\n\r\n",
            "A CR in the target is written into a Location or a log as it is, and splits it.",
            accept=(*REFUSED, answers(301)),
            level=Level.MUST,
            forbid=(Danger.SERVED,),
        ),
        _refused(
            "rejects_crlf_in_a_field_name",
            request(b"Content-\r\nLength: 42"),
            "The first half is a line without a colon; who joins lines makes a length of it.",
            accept=REFUSED,
            level=Level.SHOULD,
        ),
        _refused(
            "rejects_bare_cr_in_transfer_encoding",
            request(b"Transfer-Encoding: chunked\r", length(ENDS_EARLY), content=ENDS_EARLY),
            "A coding with a CR behind it is chunked for whoever trims it and unknown for whoever does not.",
            accept=(closes(200, 400, 405, 411, 413, 501), silent()),
            level=Level.MUST,
        ),
        _hidden(
            "bare_cr_does_not_begin_a_field",
            b"X: a\r",
            "To a parser that ends lines at CR the content is chunked and ends early, and a request stands behind it.",
        ),
        _hidden(
            "bare_lf_does_not_begin_a_field_that_changes_the_length",
            b"X: a\n",
            "Whoever takes LF for a line end sees both framings, and must refuse them or close.",
        ),
        _hidden(
            "lf_cr_does_not_begin_a_field",
            b"X: a\n\r",
            "LF CR turns up where line ends are replaced by hand; a field behind it is seen by half of all parsers.",
        ),
        _skipped(
            "one_empty_line_before_the_request_line_is_ignored",
            b"\r\n",
            "Old clients send CRLF behind the content of a POST; it belongs to no request.",
        ),
        _skipped(
            "two_empty_lines_before_the_request_line_are_ignored",
            b"\r\n\r\n",
            "At least one has to be ignored; each further one is patience that an attacker can use.",
        ),
        Case(
            id="line_end_behind_the_content_of_a_post_is_ignored",
            data=request(b"Content-Length: 5", method=b"POST", content=b"hello") + b"\r\n" + request(),
            section="RFC 9112 section 2.2",
            level=Level.SHOULD,
            strict=series(405, 200),
            accept=(
                series(POST_STATUSES, 200, ends=Ends.EITHER),
                closes(*POST_STATUSES),
            ),
            why="The CRLF is not counted by the length; read as a request line, it costs the next request its answer.",
        ),
        _refused(
            "rejects_many_empty_lines_before_the_request_line",
            b"\r\n" * 10 + request(),
            "Without a bound a peer keeps a connection busy for ever with requests that never begin.",
            accept=(answers(200), *REFUSED),
            level=Level.MAY,
        ),
        _refused(
            "rejects_bare_lf_before_the_request_line",
            b"\n" + request(),
            "An LF alone is no empty line by the grammar; who skips it and who does not are out of step.",
            accept=_MAY_SERVE,
            level=Level.MAY,
        ),
        _refused(
            "rejects_bare_cr_before_the_request_line",
            b"\r" + request(),
            "A CR before the method makes it another method, or none.",
            accept=(*REFUSED, answers(501)),
            level=Level.MUST,
        ),
        _refused(
            "rejects_a_line_of_white_space_before_the_request_line",
            b" \t\r\n" + request(),
            "A line of white space is not empty; to ignore it is a robustness that the specification does not grant.",
            accept=REFUSED,
            level=Level.SHOULD,
        ),
    ),
)
