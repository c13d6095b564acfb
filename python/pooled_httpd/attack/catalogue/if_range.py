"""If-Range, and the other conditions where there is a Range: a part is sent of the right version or not at all (RFC
9110 sections 13.1.5 and 13.2.2).

A server may ignore Range, and then sends the whole file.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Family, Level, answers, is_known, keeps
from pooled_httpd.attack.multipart import selects

_HEAD = b"GET {known} HTTP/1.1\r\nHost: {host}\r\n"
_RANGE = b"Range: bytes=0-9\r\n"


def _holds(rule: str, field: bytes, why: str) -> Case:
    """Make a case with an If-Range that lets a Range be obeyed."""
    return Case(
        id=f"if_range_{rule}",
        data=_HEAD + _RANGE + field + b"\r\n\r\n",
        section="RFC 9110 section 13.1.5",
        level=Level.SHOULD,
        strict=keeps(206),
        accept=(answers(200, 206),),
        checks=(selects((0, 9)),),
        why=why,
    )


def _fails(rule: str, field: bytes, why: str) -> Case:
    """Make a case with an If-Range that does not hold, so that the whole file is sent."""
    return Case(
        id=f"if_range_{rule}",
        data=_HEAD + _RANGE + field + b"\r\n\r\n",
        section="RFC 9110 section 13.1.5",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(is_known(),),
        why=why,
    )


def _first(rule: str, fields: bytes, code: int, why: str) -> Case:
    """Make a case with a condition that decides before the Range does."""
    return Case(
        id=f"if_range_{rule}",
        data=_HEAD + fields + b"\r\n",
        section="RFC 9110 section 13.2.2",
        level=Level.MUST,
        strict=keeps(code),
        accept=(answers(code),),
        why=why,
    )


FAMILY = Family(
    "if_range",
    "If-Range and other conditions of a range",
    (
        _holds("of_the_tag_holds", b"If-Range: {etag}", "A download that could be resumed begins again."),
        _holds("of_the_date_holds", b"If-Range: {modified}", "Clients without a tag resume by the date."),
        _fails(
            "of_another_tag_serves_all",
            b'If-Range: "pooled-none"',
            "The rest of the new file is appended to the beginning of the old one.",
        ),
        _fails(
            "compares_strongly",
            b"If-Range: W/{etag}",
            "Versions that are only alike do not fit together byte for byte.",
        ),
        _fails(
            "of_a_list_serves_all",
            b'If-Range: "pooled-none", {etag}',
            "It takes one validator; one found in a list may be that of another part.",
        ),
        _fails(
            "of_an_asterisk_serves_all",
            b"If-Range: *",
            "There is no asterisk here: any version would do, and that is what the field is there to prevent.",
        ),
        _fails(
            "of_a_later_date_serves_all",
            b"If-Range: Fri, 31 Dec 9999 23:59:59 GMT",
            "The date must be the same, not just later: a file restored from a backup is older than the one before.",
        ),
        _fails(
            "of_an_earlier_date_serves_all",
            b"If-Range: Thu, 01 Jan 1970 00:00:00 GMT",
            "The file has changed since, and its parts with it.",
        ),
        _fails("of_no_validator_serves_all", b"If-Range: pooled", "What cannot be compared does not match."),
        _fails(
            "of_nothing_serves_all", b"If-Range:", "An empty value is a condition that fails, and no missing field."
        ),
        Case(
            id="if_range_without_range_is_ignored",
            data=_HEAD + b'If-Range: "pooled-none"\r\n\r\n',
            section="RFC 9110 section 13.1.5",
            level=Level.MUST,
            strict=keeps(200),
            accept=(answers(200),),
            checks=(is_known(),),
            why="Without a Range there is nothing for it to allow or to forbid.",
        ),
        _first(
            "not_modified_comes_before_range",
            _RANGE + b"If-None-Match: {etag}\r\n",
            304,
            "A part that the client has is sent again, or a 206 takes the place of a whole copy.",
        ),
        _first(
            "failed_comes_before_range",
            _RANGE + b'If-Match: "pooled-none"\r\n',
            412,
            "The client asked for the part of one version only.",
        ),
        _first(
            "failed_comes_before_not_satisfiable",
            b'Range: bytes={beyond}-\r\nIf-Match: "pooled-none"\r\n',
            412,
            "416 tells the length of a version that the client did not ask about.",
        ),
    ),
)
