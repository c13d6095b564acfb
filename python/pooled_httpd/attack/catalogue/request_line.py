"""The request line: its three parts, what separates them, and what stands before them (RFC 9112 sections 2.2 and 3)."""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Family, Level, answers, closes, is_known, keeps, silent

#: The rest of a request whose request line ends before it.
_HEAD = b"\r\nHost: {host}\r\n\r\n"

FAMILY = Family(
    "request_line",
    "Request line",
    (
        Case(
            id="request_line_is_served",
            data=b"GET {known} HTTP/1.1" + _HEAD,
            section="RFC 9112 section 3",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200),),
            checks=(is_known(),),
            why="The plain request that everything else departs from.",
        ),
        Case(
            id="request_line_rejects_tab_for_space",
            data=b"GET\t{known}\tHTTP/1.1" + _HEAD,
            section="RFC 9112 section 3",
            level=Level.SHOULD,
            strict=closes(400),
            accept=(silent(), answers(400)),
            why="SP separates its parts; who splits at any white space and who does not see different requests.",
        ),
    ),
)
