"""Expect: 100 (Continue) before the content, and what else can be expected (RFC 9110 section 10.1.1).

A client that waits for 100 sends its content later or, after another answer, perhaps never. A server that loses count
of that takes content for a request, or a request for content.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Await,
    Case,
    Check,
    Danger,
    Ends,
    Family,
    HalfClose,
    Known,
    Level,
    Outcome,
    Send,
    Step,
    answers,
    closes,
    continued,
    keeps,
    series,
    silent,
)
from pooled_httpd.attack.catalogue.building import (
    CHUNKED,
    POST_STATUSES,
    SMUGGLED,
    chunks,
    known_if_ok,
    length,
    request,
)
from pooled_httpd.attack.reading import Response

_SECTION = "RFC 9110 section 10.1.1"
_100 = b"Expect: 100-continue"
_POSTED = (answers(*POST_STATUSES, 417),)


def _continued_or_final() -> Check:
    """100 (Continue) came before the answer, or the answer needs no content: an error, or the last one."""

    def test(answer: Response, _known: Known) -> bool:
        ends = (answer.field("connection") or "").lower() == "close"
        return answer.interim == (100,) or answer.status >= 400 or ends

    return Check("an interim 100, or an answer that needs no content", 0, test)


def _case(
    id: str,
    data: bytes | tuple[Step, ...],
    why: str,
    strict: Outcome,
    *,
    accept: tuple[Outcome, ...] = _POSTED,
    checks: tuple[Check, ...] = (),
    level: Level = Level.MUST,
    section: str = _SECTION,
    forbid: tuple[Danger, ...] = (),
) -> Case:
    return Case(
        id=f"expect_{id}",
        data=data,
        section=section,
        level=level,
        strict=strict,
        accept=accept,
        forbid=forbid,
        checks=(known_if_ok(), *checks),
        why=why,
    )


def _waiting(*lines: bytes, content: bytes, target: bytes = b"{known}") -> tuple[Step, ...]:
    """A POST whose content is sent when 100 or a final answer has come."""
    head = request(*lines, method=b"POST", target=target)
    return (Send(head), Await(1, interim=True), Send(content))


FAMILY = Family(
    "expect",
    "Expect",
    (
        _case(
            "is_answered_by_100",
            _waiting(_100, length(SMUGGLED), content=SMUGGLED),
            "A client that is not answered waits a second before every upload, and some wait for ever.",
            keeps(405),
            checks=(_continued_or_final(),),
        ),
        _case(
            "is_answered_by_100_before_chunks",
            _waiting(_100, CHUNKED, content=chunks(SMUGGLED)),
            "That there is content tells the coding as well as a length.",
            keeps(405),
            checks=(_continued_or_final(),),
        ),
        _case(
            "ignores_case",
            _waiting(b"Expect: 100-CONTINUE", length(SMUGGLED), content=SMUGGLED),
            "The expectation ignores case; who compares bytes refuses it or leaves the client waiting.",
            keeps(405),
            checks=(_continued_or_final(),),
        ),
        _case(
            "that_did_not_wait_is_served",
            request(_100, length(SMUGGLED), method=b"POST", content=SMUGGLED),
            "The client may send at once: 100 can be left out then, the content cannot.",
            keeps(405),
        ),
        _case(
            "without_content_is_served",
            request(_100),
            "There is nothing to continue with: who waits for content waits for ever.",
            keeps(200),
            accept=(answers(200), answers(400, 417)),
        ),
        _case(
            "with_length_zero_is_served",
            request(_100, b"Content-Length: 0", method=b"POST"),
            "A length of zero announces no content, and 100 would announce that it is waited for.",
            keeps(405),
        ),
        _case(
            "is_followed_by_the_next_request",
            request(_100, b"Content-Length: 5", method=b"POST", content=b"hello") + request(),
            "The 100 is no answer: counted as one, it moves every later answer by one request.",
            series(405, 200),
            accept=(series((*POST_STATUSES, 417), 200, ends=Ends.EITHER), closes(*POST_STATUSES, 417)),
        ),
        _case(
            "of_something_unknown_fails",
            request(b"Expect: x-unknown"),
            "It may be refused by 417; an expectation that is ignored and met by chance helps nobody.",
            keeps(417),
            accept=(answers(200, 417),),
            level=Level.MAY,
        ),
        _case(
            "of_something_besides_fails",
            request(b"Expect: 100-continue, x-unknown", length(SMUGGLED), content=SMUGGLED),
            "A list with one member that is known: who looks at that alone sends 100 and promises the rest.",
            closes(417),
            accept=(answers(200, 400, 405, 413, 417, 501),),
            level=Level.MAY,
        ),
        _case(
            "on_two_lines_is_a_list",
            request(_100, b"Expect: x-unknown"),
            "Several lines are one list, and the second line's member is not met.",
            keeps(417),
            accept=(answers(200, 400, 417),),
            level=Level.MAY,
        ),
        _case(
            "with_a_parameter_fails",
            request(b"Expect: 100-continue;x=1"),
            "With a parameter it is another expectation; cut at the semicolon it is met without being it.",
            keeps(417),
            accept=(answers(200, 400, 417),),
            level=Level.MAY,
        ),
        _case(
            "of_a_longer_number_fails",
            request(b"Expect: 100-continued", length(SMUGGLED), content=SMUGGLED),
            "A comparison of the first bytes, or of '100' alone, sends an interim response that nobody waits for.",
            closes(417),
            accept=(answers(200, 400, 405, 413, 417, 501),),
            level=Level.MAY,
        ),
        _case(
            "of_too_much_gets_no_100",
            (Send(request(_100, b"Content-Length: 99999999999", method=b"POST")), Await(1, interim=True), HalfClose()),
            "100 asks the client for what will be refused; that it can be avoided is what the field is for.",
            closes(413),
            accept=(closes(*POST_STATUSES, 417), silent()),
            level=Level.SHOULD,
            checks=(continued(0),),
        ),
        _case(
            "of_an_invalid_length_gets_no_100",
            request(_100, b"Content-Length: +42", content=SMUGGLED),
            "A framing that cannot be trusted is refused before anything is asked for.",
            closes(400),
            accept=(),
            section="RFC 9112 section 6.3",
            checks=(continued(0),),
            forbid=(Danger.SERVED,),
        ),
        _case(
            "of_content_for_nothing_stays_in_step",
            _waiting(_100, length(SMUGGLED), content=SMUGGLED, target=b"/expect-finds-nothing-here"),
            "After an error in place of 100 the client may send its content or not: one of both runs as a request.",
            keeps(405),
        ),
        _case(
            "of_content_that_never_comes_ends",
            (Send(request(_100, length(SMUGGLED), method=b"POST")), Await(1, interim=True), HalfClose()),
            "A client that gives up after 100 has sent no complete request, and an answer to it belongs to nobody.",
            silent(),
            accept=(closes(*POST_STATUSES, 408, 417),),
            level=Level.MAY,
            section="RFC 9112 section 8",
        ),
    ),
)
