"""How the attack kit judges what it has seen."""

from __future__ import annotations

import pytest
from pooled_httpd.attack import Case, Danger, Delivery, Ending, Level, Outcome, Response, Result, Transcript, Verdict
from pooled_httpd.attack.case import Check, Known, answers, is_known, keeps, silent
from pooled_httpd.attack.judge import Observation, judge

KNOWN = Known(b"known")


def response(status: int, content: bytes, **fields: str) -> Response:
    """Make a response."""
    return Response(status, "1.1", "", tuple(fields.items()), content, (), b"")


def result(*responses: Response, accept: tuple[Outcome, ...] = (), checks: tuple[Check, ...] = ()) -> Result:
    """Judge these responses, behind which the server closes."""
    strict = keeps(200)
    case = Case(id="a", data=b"", section="", level=Level.MUST, strict=strict, accept=accept, checks=checks, why="")
    seen = Observation(responses, False, Transcript(responses, Ending.CLOSED), 0.0)
    return judge(case, Delivery.WHOLE, seen, KNOWN)


def test_a_check_is_not_held_against_an_answer_that_need_not_come() -> None:
    """A server that may close without an answer is not blamed for what the answer lacks."""

    def verdict(*responses: Response) -> Verdict:
        return result(*responses, accept=(answers(200), silent()), checks=(is_known(),)).verdict

    assert verdict() is Verdict.OK
    assert verdict(response(200, b"known")) is Verdict.OK
    assert verdict(response(200, b"another")) is Verdict.DEVIATES


@pytest.mark.parametrize(
    "location",
    [
        "http://evil.example/",
        "HTTP:////www.evil.example/",
        "//evil.example",
        "///evil.example/a",
        "/\\evil.example/",
        "\\\\evil.example",
        " ///evil.example",
        "/\t/evil.example/",
        "https://user@evil.example:80/",
        "//[evil.example",
    ],
)
def test_a_redirect_is_off_site_where_a_browser_would_go(location: str) -> None:
    """Slashes, backslashes, tabs and case are what a browser makes of them."""
    found = result(response(301, b"", location=location), accept=(answers(301),))
    assert (found.verdict, found.faults[0]) == (Verdict.DANGEROUS, Danger.OFF_SITE)


@pytest.mark.parametrize(
    "location",
    ["/evil.example/", "/a//evil.example/", "http://a.example//evil.example/", "/?//evil.example", "evil.example", ""],
)
def test_a_redirect_to_a_path_is_not_off_site(location: str) -> None:
    """A name of a host that is part of a path is a path."""
    assert result(response(301, b"", location=location), accept=(answers(301),)).verdict is Verdict.OK
