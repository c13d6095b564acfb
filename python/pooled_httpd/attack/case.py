"""What a case of the catalogue is: bytes, the rule they test, what a server may do with them and what it must never do.

Cases are plain values; who sends them and judges the answers is :mod:`pooled_httpd.attack.judge`.

In the bytes of a case ``{known}`` stands for the path of the target's known file, ``{host}`` for its authority,
``{size}``, ``{last}`` and ``{beyond}`` for that file's length, the offset of its last byte and one past it,
``{etag}``, ``{modified}`` and ``{directory}``, ``{link}`` for its validators, a directory and a link that leaves the
root. A case with a name that the target has no value for does not apply to it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from pooled_httpd.attack.reading import Response

#: A name in braces, which stands for something of the target.
PLACEHOLDER = re.compile(rb"\{(known|host|size|last|beyond|etag|modified|directory|link)\}")


class Level(enum.StrEnum):
    """How strongly the section asks for it (RFC 2119); MAY where it is this kit's advice."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Ends(enum.StrEnum):
    """What becomes of the connection after the answers."""

    CLOSED = "closed"
    PERSISTS = "persists"
    EITHER = "either way"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Final responses in order, each with the status codes that it may have, and what becomes of the connection."""

    statuses: tuple[tuple[int, ...], ...]
    ends: Ends

    def __str__(self) -> str:
        """As in ``400 or 501, closed``."""
        answers = [" or ".join(str(code) for code in codes) for codes in self.statuses]
        return ", ".join([*(answers or ["no answer"]), str(self.ends)])

    def allows(self, statuses: tuple[int, ...], persists: bool) -> bool:
        """Whether these answers, and the connection open or not behind them, are it."""
        if self.ends is not Ends.EITHER and persists != (self.ends is Ends.PERSISTS):
            return False
        pairs = zip(statuses, self.statuses, strict=False)
        return len(statuses) == len(self.statuses) and all(code in codes for code, codes in pairs)


def closes(*codes: int) -> Outcome:
    """One answer with one of these status codes, then the server closes."""
    return Outcome((codes,), Ends.CLOSED)


def keeps(*codes: int) -> Outcome:
    """One answer with one of these status codes; the connection persists."""
    return Outcome((codes,), Ends.PERSISTS)


def answers(*codes: int) -> Outcome:
    """One answer with one of these status codes, whatever becomes of the connection."""
    return Outcome((codes,), Ends.EITHER)


def series(*codes: int | tuple[int, ...], ends: Ends = Ends.PERSISTS) -> Outcome:
    """Several answers in order, each with a status code or one of several."""
    return Outcome(tuple((code,) if isinstance(code, int) else code for code in codes), ends)


def silent() -> Outcome:
    """The server closes without an answer."""
    return Outcome((), Ends.CLOSED)


class Danger(enum.StrEnum):
    """What must not happen, because somebody is attacked by it."""

    SECOND_RESPONSE = "a response more than there were requests"
    """Something was answered that a stricter peer in front takes for content: request smuggling."""
    SERVED = "served"
    """The first answer is a 2xx, though the request can be read in two ways."""
    OUTSIDE = "content from outside the document root"
    """An answer has one of the target's secrets in it."""
    INJECTED = "a field line of the peer's in the answer"
    """An answer has a field ``x-injected``."""
    REFLECTED = "the request's own fields in the answer"
    """An answer's content has the bytes ``reflected-canary``."""
    OFF_SITE = "a redirect to another host"
    """An answer's Location leads to ``evil.example``."""
    HANG = "no answer and no close"
    """The server neither answers nor closes in time."""


#: What no case may lead to.
ALWAYS = (Danger.SECOND_RESPONSE, Danger.OUTSIDE, Danger.INJECTED, Danger.OFF_SITE, Danger.HANG)


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Stall:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until so many final responses have come in all, or so many interim ones; a server that gives none hangs."""

    responses: int
    interim: bool = False


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Close the sending side."""


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send the data over and over, so many seconds apart, until the server answers or closes, or its time is up."""

    data: bytes
    every: float = 0.05


Step = Send | Stall | Await | HalfClose | Trickle


@dataclass(frozen=True, slots=True)
class Known:
    """The target's known file, as its own plain answer shows it."""

    content: bytes
    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A property that one of the responses must have; ``test`` gets it and the known file."""

    text: str
    response: int
    test: Callable[[Response, Known], bool]


def has_field(name: str, pattern: str = ".*", *, response: int = 0) -> Check:
    """A field with this name whose whole value matches the pattern."""
    expression = re.compile(pattern, re.IGNORECASE)

    def test(answer: Response, _known: Known) -> bool:
        value = answer.field(name)
        return value is not None and expression.fullmatch(value) is not None

    return Check(f"{name} matches {pattern!r}" if pattern != ".*" else f"there is {name}", response, test)


def lacks_field(name: str, *, response: int = 0) -> Check:
    """No field with this name."""
    return Check(f"there is no {name}", response, lambda answer, _known: answer.field(name) is None)


def has_content(expected: bytes, *, response: int = 0) -> Check:
    """Exactly this content."""
    return Check(f"the content is {expected!r}", response, lambda answer, _known: answer.content == expected)


def is_known(*, response: int = 0) -> Check:
    """The content of the known file, all of it."""
    return Check("the content is the known file's", response, lambda answer, known: answer.content == known.content)


def is_part(first: int | None, last: int | None, *, response: int = 0) -> Check:
    """The bytes of the known file from ``first`` to ``last`` (both included; None is open), as Python slices them."""

    def test(answer: Response, known: Known) -> bool:
        return answer.content == known.content[first : None if last is None else last + 1]

    return Check(f"the content is the known file's from {first} to {last}", response, test)


def continued(times: int = 1, *, response: int = 0) -> Check:
    """100 (Continue) came before the final response, so many times."""
    return Check(f"{times} interim 100", response, lambda answer, _known: answer.interim == (100,) * times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case.

    ``id`` reads as a rule. ``strict`` is what a strict server does; ``accept`` is what the specification allows
    besides. ``forbid`` has what must not happen beyond :data:`ALWAYS`. ``checks`` must hold for an acceptable
    outcome. ``methods`` are those of the requests in the bytes, in order, where one is HEAD. ``waits`` says that the
    request never becomes complete, so that only the server's own timeout ends it. ``why`` is a sentence.
    """

    id: str
    data: bytes | tuple[Step, ...]
    section: str
    level: Level
    strict: Outcome
    accept: tuple[Outcome, ...] = ()
    forbid: tuple[Danger, ...] = ()
    checks: tuple[Check, ...] = ()
    methods: tuple[str, ...] = ()
    waits: bool = False
    why: str
    family: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done, in order."""
        return (Send(self.data),) if isinstance(self.data, bytes) else self.data

    @property
    def placeholders(self) -> frozenset[str]:
        """The names in braces that its bytes use."""
        sent = (step.data for step in self.steps if isinstance(step, Send | Trickle))
        return frozenset(name.decode() for data in sent for name in PLACEHOLDER.findall(data))

    @property
    def most_responses(self) -> int:
        """The most final responses that are acceptable."""
        return max(len(outcome.statuses) for outcome in (self.strict, *self.accept))


@dataclass(frozen=True, slots=True)
class Family:
    """Cases that test one thing; ``id`` is its short name and ``title`` what a person reads."""

    id: str
    title: str
    cases: tuple[Case, ...]
