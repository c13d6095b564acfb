"""HEAD: everything of the answer to GET but its content (RFC 9110 section 9.3.2).

Content behind an answer to HEAD is read as the next answer: the client, or everybody behind a shared connection, is one
answer off from there on. So each of these cases reads on behind the head.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Check,
    Ends,
    Family,
    Known,
    Level,
    Outcome,
    answers,
    closes,
    has_content,
    is_known,
    keeps,
    lacks_field,
    series,
    silent,
)
from pooled_httpd.attack.catalogue.building import CHUNKED, chunks, request
from pooled_httpd.attack.reading import Response

_SECTION = "RFC 9110 section 9.3.2"


def _length_is_that_of_get() -> Check:
    """Where there is a Content-Length, it is that of the known file."""

    def test(answer: Response, known: Known) -> bool:
        return answer.field("content-length") in (None, str(len(known.content)))

    return Check("Content-Length, if there is one, is that of GET", 0, test)


def _validators_are_those_of_get() -> Check:
    """The validators are those that a GET was answered with."""

    def test(answer: Response, known: Known) -> bool:
        return (answer.field("etag"), answer.field("last-modified")) == (known.etag, known.modified)

    return Check("ETag and Last-Modified are those of GET", 0, test)


def _case(
    id: str,
    data: bytes,
    why: str,
    strict: Outcome,
    *,
    accept: tuple[Outcome, ...] | None = None,
    checks: tuple[Check, ...] = (),
    section: str = _SECTION,
    level: Level = Level.MUST,
    methods: tuple[str, ...] = ("HEAD",),
) -> Case:
    return Case(
        id=f"head_{id}",
        data=data,
        section=section,
        level=level,
        strict=strict,
        accept=(Outcome(strict.statuses, Ends.EITHER),) if accept is None else accept,
        checks=checks,
        methods=methods,
        why=why,
    )


def _head(*lines: bytes, target: bytes = b"{known}", content: bytes = b"") -> bytes:
    return request(*lines, method=b"HEAD", target=target, content=content)


FAMILY = Family(
    "head",
    "HEAD",
    (
        _case(
            "has_no_content",
            _head(),
            "A server that sends what it would send to GET is one answer off from here on.",
            keeps(200),
            checks=(has_content(b""), _length_is_that_of_get()),
        ),
        _case(
            "has_the_validators_of_get",
            _head(),
            "A cache that asks by HEAD whether its copy is good throws it away for another ETag.",
            keeps(200),
            level=Level.SHOULD,
            checks=(_validators_are_those_of_get(),),
        ),
        _case(
            "has_no_chunks",
            _head(target=b"{directory}/"),
            "Of a page that is made as it is sent, the last chunk is often sent to HEAD as well.",
            keeps(200, 404),
            accept=(answers(200, 301, 302, 307, 308, 403, 404),),
            checks=(has_content(b""),),
        ),
        _case(
            "of_nothing_has_no_content",
            _head(target=b"/head-finds-nothing-here"),
            "Error pages are sent by other code than files, and HEAD is forgotten there.",
            keeps(404),
        ),
        _case(
            "of_a_redirect_has_no_content",
            _head(target=b"{directory}"),
            "The text of a redirect is shown by nobody, and sent to HEAD by some.",
            keeps(301),
            accept=(answers(200, 301, 302, 307, 308),),
        ),
        _case(
            "of_a_bad_target_has_no_content",
            _head(target=b"/%zz"),
            "The method is known when the target is found to be wrong: the answer is one to HEAD.",
            keeps(400),
            accept=(answers(400, 404), silent()),
        ),
        _case(
            "with_a_malformed_field_has_no_content",
            _head(b"Bad name: x"),
            "A fault in the fields does not take back the method that stands before them.",
            closes(400),
            accept=(answers(200, 400), silent()),
            level=Level.SHOULD,
            section="RFC 9112 section 6.3",
        ),
        _case(
            "with_both_framings_has_no_content",
            _head(b"Content-Length: 5", CHUNKED, content=chunks(b"")),
            "A refusal of the framing is an answer to HEAD like any other.",
            closes(400),
            accept=(closes(200, 411, 413, 501),),
            section="RFC 9112 section 6.3",
        ),
        _case(
            "ignores_a_range",
            _head(b"Range: bytes=0-0"),
            "Ranges are for GET: a 206 tells a length that the client takes for the whole.",
            keeps(200),
            checks=(_length_is_that_of_get(), lacks_field("content-range")),
            section="RFC 9110 section 14.2",
        ),
        _case(
            "ignores_a_range_that_is_not_satisfiable",
            _head(b"Range: bytes={beyond}-"),
            "A range that does not count cannot fail either.",
            keeps(200),
            checks=(lacks_field("content-range"),),
            section="RFC 9110 section 14.2",
        ),
        _case(
            "between_two_gets_keeps_them_in_order",
            request() + _head() + _head(target=b"/head-finds-nothing-here") + request(),
            "With content behind one of the heads, the last answer is read as something else.",
            series(200, 200, 404, 200),
            accept=(series(200, 200, 404, 200, ends=Ends.EITHER), series(200, 200, 404, ends=Ends.CLOSED), closes(200)),
            checks=(is_known(), has_content(b"", response=1), has_content(b"", response=2), is_known(response=3)),
            methods=("GET", "HEAD", "HEAD", "GET"),
        ),
        _case(
            "in_lower_case_is_another_method",
            request(method=b"head"),
            "Methods are case-sensitive: a cache in front waits for the content that this one would have.",
            keeps(501),
            accept=(answers(400, 403, 405, 501),),
            section="RFC 9110 section 9.1",
            level=Level.SHOULD,
            methods=(),
        ),
    ),
)
