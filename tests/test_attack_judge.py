"""The judge: what a server does badly gets its verdict, and what it does well gets none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bad_server import CONTENT, SECRET, BadServer, response, well_behaved
from pooled_httpd.attack import Case, Danger, Delivery, Judge, Level, Outcome, Verdict
from pooled_httpd.attack.case import (
    Await,
    Check,
    HalfClose,
    Send,
    Stall,
    Step,
    Trickle,
    closes,
    continued,
    has_content,
    has_field,
    is_known,
    is_part,
    keeps,
    lacks_field,
    series,
    silent,
)
from pooled_httpd.attack.judge import NotApplicable, Result, learn
from pooled_httpd.attack.reference import read
from support import PATIENCE

GET = b"GET {known} HTTP/1.1\r\nHost: {host}\r\n\r\n"
#: Content-Length with a sign: a strict server refuses it, and does not run what follows.
SIGNED = b"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: +0\r\n\r\n"


def case(data: bytes | tuple[Step, ...], strict: Outcome, *checks: Check, **others: object) -> Case:
    """A case for these tests."""
    return Case(
        id="case",
        data=data,
        section="",
        level=Level.MUST,
        strict=strict,
        checks=checks,
        why="",
        **others,  # type: ignore[arg-type]
    )


def run(the_case: Case, react: Callable[[bytes, int], tuple[bytes, bool]] | None = None, **knowledge: object) -> Result:
    """The verdict on a server that reacts so."""
    with BadServer(react) as server:
        return Judge(server.target.with_options(**knowledge)).run(the_case)


def lenient(received: bytes, answered: int) -> tuple[bytes, bool]:
    """Read a sign before a length as if it were none."""
    return well_behaved(read(received.replace(b"+", b"")), answered)


def test_a_strict_server_is_ok_however_a_case_is_sent() -> None:
    """Served and refused, whole, byte by byte, split, pipelined: all strict."""
    with BadServer() as server:
        judge = Judge(server.target)
        for the_case in (case(GET, keeps(200), is_known()), case(SIGNED, closes(400)), case(GET * 2, series(200, 200))):
            for delivery in Delivery:
                result = judge.run(the_case, delivery)
                assert (result.verdict, result.is_strict) == (Verdict.OK, True), (delivery, result)


@pytest.mark.parametrize("delivery", [Delivery.WHOLE, Delivery.BYTEWISE, Delivery.PIPELINED])
def test_an_answer_too_many_is_dangerous(delivery: Delivery) -> None:
    """A lenient length lets what follows run as a request."""
    smuggled = case(SIGNED + GET, closes(400))
    with BadServer(lenient) as server:
        result = Judge(server.target).run(smuggled, delivery)
    assert result.verdict is Verdict.DANGEROUS
    assert str(Danger.SECOND_RESPONSE) in result.faults


def test_serving_what_can_be_read_in_two_ways_is_dangerous_where_the_case_says_so() -> None:
    """The same answer is a deviation for one case and a danger for another."""
    data = SIGNED.replace(b"POST /", b"GET {known}")
    assert run(case(data, closes(400)), lenient).verdict is Verdict.DEVIATES
    assert run(case(data, closes(400), forbid=(Danger.SERVED,)), lenient).verdict is Verdict.DANGEROUS


def test_neither_answering_nor_closing_is_a_hang() -> None:
    """The connection stays open and nothing comes."""

    def react(received: bytes, answered: int) -> tuple[bytes, bool]:
        return (b"", False) if b"BREW" in received else well_behaved(read(received), answered)

    result = run(case(GET.replace(b"GET", b"BREW"), keeps(501)), react, patience=0.25)
    assert (result.verdict, result.faults[0]) == (Verdict.HANGS, str(Danger.HANG))


@pytest.mark.parametrize(
    ("answer", "danger", "forbid"),
    [
        (response(200, SECRET, close=True), Danger.OUTSIDE, ()),
        (response(200, CONTENT, "X-Injected: yes", close=True), Danger.INJECTED, ()),
        (response(301, b"", "Location: //evil.example/a", close=True), Danger.OFF_SITE, ()),
        (response(301, b"", "Location: /\\evil.example/a", close=True), Danger.OFF_SITE, ()),
        (response(301, b"", "Location: https://evil.example", close=True), Danger.OFF_SITE, ()),
        (response(200, b"TRACE / reflected-canary", close=True), Danger.REFLECTED, (Danger.REFLECTED,)),
    ],
)
def test_each_danger_is_seen(answer: bytes, danger: Danger, forbid: tuple[Danger, ...]) -> None:
    """Whatever the outcome would have allowed."""

    def react(received: bytes, answered: int) -> tuple[bytes, bool]:
        return (answer, True) if b"/danger" in received else well_behaved(read(received), answered)

    any_way = closes(200, 301)
    result = run(case(b"GET /danger HTTP/1.1\r\nHost: {host}\r\n\r\n", any_way, forbid=forbid), react)
    assert result.verdict is Verdict.DANGEROUS
    assert result.faults == (str(danger),)


def test_a_redirect_on_the_site_is_none_to_another() -> None:
    """The name of another host in a path is a path."""

    def react(received: bytes, answered: int) -> tuple[bytes, bool]:
        answer = response(301, b"", "Location: /evil.example/", close=True)
        return (answer, True) if b"/away" in received else well_behaved(read(received), answered)

    assert run(case(b"GET /away HTTP/1.1\r\nHost: {host}\r\n\r\n", closes(301)), react).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("answer", "closing", "fault"),
    [
        (response(200, CONTENT), False, "wanted"),
        (response(400, b"bad\n"), False, "wanted"),
        (b"<html>", True, "no HTTP response"),
        (response(400, b"bad\n")[:-2], True, "no HTTP response"),
        (b"", True, "wanted"),
    ],
)
def test_another_outcome_deviates(answer: bytes, closing: bool, fault: str) -> None:
    """Another status, a connection left open, no HTTP, a cut answer, none at all: said in words."""

    def react(received: bytes, answered: int) -> tuple[bytes, bool]:
        if b"BREW" in received and answered == 0:
            return answer, closing
        return well_behaved(read(received), answered)

    result = run(case(GET.replace(b"GET", b"BREW"), closes(400)), react)
    assert result.verdict is Verdict.DEVIATES
    assert fault in result.faults[0]


def test_an_acceptable_outcome_is_ok_and_not_strict() -> None:
    """What the specification allows besides."""
    result = run(case(GET, closes(200), accept=(keeps(200), silent())))
    assert (result.verdict, result.is_strict) == (Verdict.OK, False)


@pytest.mark.parametrize(
    ("check", "holds"),
    [
        (has_field("allow", "GET, HEAD"), True),
        (has_field("allow", "GET"), False),
        (has_field("etag"), False),
        (lacks_field("etag"), True),
        (lacks_field("allow"), False),
        (has_content(b"no\n"), True),
        (has_content(b"no"), False),
        (continued(), False),
        (continued(0), True),
        (has_field("allow", response=1), True),
    ],
)
def test_checks_hold_or_deviate(check: Check, holds: bool) -> None:
    """A check that fails is a deviation that names it."""
    result = run(case(b"POST / HTTP/1.1\r\nHost: {host}\r\n\r\n", keeps(405), check))
    assert result.verdict is (Verdict.OK if holds else Verdict.DEVIATES)
    assert result.faults == (() if holds else (check.text,))


@pytest.mark.parametrize(
    ("first", "last", "holds"), [(None, None, True), (0, len(CONTENT) - 1, True), (1, None, False)]
)
def test_parts_are_compared_with_the_known_file(first: int | None, last: int | None, holds: bool) -> None:
    """Both offsets included, None is open."""
    assert (run(case(GET, keeps(200), is_part(first, last))).verdict is Verdict.OK) is holds


def test_steps_are_taken_in_order() -> None:
    """Sends, a stall, waiting for an answer, a half-close: each where it stands."""
    steps = (Send(GET), Await(1), Stall(0.01), Send(GET[:20]), HalfClose())
    result = run(case(steps, Outcome(((200,),), closes(1).ends)))
    assert (result.verdict, result.seen) == (Verdict.OK, "200, closed")


def test_a_server_that_leaves_a_client_waiting_hangs() -> None:
    """Whoever waits for 100 (Continue), or for an answer, before it goes on must get one, or the end."""
    head = Send(b"POST / HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    waiting = case((head, Await(1, interim=True), Send(b"hi")), keeps(405))

    def continuing(received: bytes, answered: int) -> tuple[bytes, bool]:
        answer, closing = well_behaved(read(received), answered)
        return answer or (b"HTTP/1.1 100 Continue\r\n\r\n" if received.endswith(b"\r\n\r\n") else b""), closing

    assert run(waiting, patience=0.25).verdict is Verdict.HANGS
    assert run(waiting, continuing).verdict is Verdict.OK
    assert run(case((Send(GET[:10]), Await(1), Send(GET[10:])), keeps(200)), patience=0.25).verdict is Verdict.HANGS


def test_a_trickle_goes_on_until_the_server_gives_up() -> None:
    """A server that answers 408 after a while ends it; one that never does hangs."""

    def patient(received: bytes, answered: int) -> tuple[bytes, bool]:
        gives_up = received.count(b"X-a") >= 3
        return (response(408, b"", close=True), True) if gives_up else well_behaved(read(received), answered)

    steps = (Send(b"GET {known} HTTP/1.1\r\n"), Trickle(b"X-a: b\r\n", every=0.02))
    assert run(case(steps, closes(408), waits=True), patient, wait=PATIENCE).verdict is Verdict.OK
    assert run(case(steps, closes(408), waits=True), wait=0.3).verdict is Verdict.HANGS


def test_what_is_not_known_of_a_target_does_not_apply() -> None:
    """A case that needs a directory, an ETag or time is left out where there is none, and says so."""
    with BadServer() as server:
        judge = Judge(server.target)
        for the_case in (
            case(b"GET {directory} HTTP/1.1\r\nHost: {host}\r\n\r\n", keeps(301)),
            case(GET.replace(b"\r\n\r\n", b"\r\nIf-None-Match: {etag}\r\n\r\n"), keeps(304)),
            case(GET, keeps(200), waits=True),
        ):
            assert not judge.applies(the_case)
            with pytest.raises(NotApplicable):
                judge.run(the_case)
        assert not judge.applies(case((Send(GET), HalfClose()), closes(200)), Delivery.PIPELINED)


def test_the_known_file_must_be_there() -> None:
    """A target that does not have it is an error that names the file and the status."""
    with BadServer() as server, pytest.raises(ValueError, match=r"answers 404 for the known file /other, not 200"):
        learn(server.target.with_options(known_path="/other"))


def test_names_in_braces_are_values_of_the_target() -> None:
    """Length, last offset, path and authority; other braces stay."""
    with BadServer() as server:
        judge = Judge(server.target)
        rendered = judge.render(b"{known} {host} {size} {last} {beyond} {other}")
    size = len(CONTENT)
    assert rendered == f"/index.html 127.0.0.1:{server.port} {size} {size - 1} {size + 1} {{other}}".encode()
