"""Sends a case to a target and judges what comes back.

How long a server keeps a connection open cannot be seen without waiting, so behind each case goes a probe, a plain
request that asks for the close: where it is answered the connection persisted, and every answer between the case's
and the probe's is one too many. A case whose end the client itself announced (half-close) gets none.
"""

from __future__ import annotations

import enum
import random
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pooled_httpd.attack.case import (
    ALWAYS,
    PLACEHOLDER,
    Await,
    Case,
    Danger,
    HalfClose,
    Known,
    Send,
    Stall,
    Step,
    Trickle,
)
from pooled_httpd.attack.client import NoResponse, RawClient
from pooled_httpd.attack.reading import Ending, Response, Transcript
from pooled_httpd.attack.target import Target

#: A response with these bytes reflected a request that carried them.
CANARY = b"reflected-canary"
#: The field that a case tries to smuggle into a response, and the host that it tries to redirect to.
INJECTED_FIELD = "x-injected"
FOREIGN_HOST = "evil.example"
#: How a server refuses whoever comes at a bad time; it has read the probe then and nothing else.
_BUSY = (429, 503)
#: A case is sent in at most so many segments.
MOST_SEGMENTS = 4096


class Verdict(enum.StrEnum):
    """What is said of a target and a case, from good to bad."""

    OK = "ok"
    DEVIATES = "deviates"
    HANGS = "hangs"
    DANGEROUS = "dangerous"


class Delivery(enum.StrEnum):
    """How the bytes of a case are sent."""

    WHOLE = "whole"
    BYTEWISE = "bytewise"
    SPLIT = "split"
    """In a few parts, cut where a seed says."""
    PIPELINED = "pipelined"
    """In one piece, a plain request before it and the probe behind."""


class NotApplicable(Exception):
    """The target has no value for a name that the case uses, or no time to wait for it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a target did: its answers to the case, whether the connection persisted, how reading ended, and seconds."""

    responses: tuple[Response, ...]
    persists: bool
    transcript: Transcript
    seconds: float

    @property
    def statuses(self) -> tuple[int, ...]:
        """The status codes of the answers to the case."""
        return _statuses(self.responses)

    def __str__(self) -> str:
        """As in ``400, closed``."""
        ending = "persists" if self.persists else str(self.transcript.ending)
        return ", ".join([*(str(status) for status in self.statuses or ("no answer",)), ending])


@dataclass(frozen=True, slots=True)
class Result:
    """A verdict, with what was seen and what was wrong. ``is_strict`` tells whether it is what a strict server does."""

    case: Case
    delivery: Delivery
    verdict: Verdict
    is_strict: bool
    seen: str
    faults: tuple[str, ...]
    seconds: float


def can_deliver(case: Case, delivery: Delivery) -> bool:
    """Whether a case can be sent so: a pipeline has no place for steps between, nor for what never becomes complete."""
    return delivery is not Delivery.PIPELINED or (isinstance(case.data, bytes) and not case.waits)


def get(path: str, authority: str, *fields: str) -> bytes:
    """A plain GET."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {authority}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def learn(target: Target) -> Known:
    """Ask for the known file until its validators stay the same, three times at least.

    Raises ValueError where the target does not answer 200.
    """
    last: Known | None = None
    for _ in range(40):
        with RawClient(target) as client:
            try:
                answer = client.send(get(target.known_path, target.authority, "Connection: close")).read_response()
            except NoResponse as error:
                raise ValueError(f"{target.authority} does not answer for {target.known_path}: {error}") from error
        if answer.status != 200:
            raise ValueError(
                f"{target.authority} answers {answer.status} for the known file {target.known_path}, not 200"
            )
        known = Known(answer.content, answer.field("etag"), answer.field("last-modified"))
        if known == last:
            return known
        last = known
        time.sleep(0.01)
    raise ValueError(f"{target.authority}: the known file {target.known_path} does not stay the same")


class Judge:
    """Sends cases to one target. ``seed`` says where :attr:`Delivery.SPLIT` cuts."""

    def __init__(self, target: Target, *, known: Known | None = None, seed: int = 0) -> None:
        """Learn the known file, unless it is given."""
        self.target = target
        self.known = learn(target) if known is None else known
        self.seed = seed
        known = self.known
        size = len(known.content)
        self._probe = get(target.known_path, target.authority, "Connection: close")
        self._values: dict[str, str | None] = {
            "known": target.known_path,
            "host": target.authority,
            "size": str(size),
            "last": str(size - 1),
            "beyond": str(size + 1),
            "etag": known.etag,
            "modified": known.modified,
            "directory": target.directory,
            "link": target.escaping_link,
        }

    def is_alive(self) -> bool:
        """Whether the target answers a plain request for the known file."""
        try:
            with RawClient(self.target) as client:
                return client.send(self._probe).read_response().status == 200
        except (OSError, NoResponse):
            return False

    def applies(self, case: Case, delivery: Delivery = Delivery.WHOLE) -> bool:
        """Whether the target has all that the case needs, and the case can be delivered so."""
        if any(self._values[name] is None for name in case.placeholders) or (case.waits and not self.target.wait):
            return False
        return can_deliver(case, delivery)

    def run(self, case: Case, delivery: Delivery = Delivery.WHOLE) -> Result:
        """Send a case and judge it. NotApplicable where it cannot be."""
        if not self.applies(case, delivery):
            raise NotApplicable(f"{case.id} ({delivery}) needs what is not known of {self.target.authority}")
        observation = self.observe(case, delivery)
        return judge(case, delivery, observation, self.known, self.target.secrets)

    def observe(self, case: Case, delivery: Delivery = Delivery.WHOLE) -> Observation:
        """Send a case and see what happens."""
        started = time.monotonic()
        transcript, persists = self._pipeline(case) if delivery is Delivery.PIPELINED else self._play(case, delivery)
        responses = transcript.responses[1:] if delivery is Delivery.PIPELINED else transcript.responses
        return Observation(responses[:-1] if persists else responses, persists, transcript, time.monotonic() - started)

    def _play(self, case: Case, delivery: Delivery) -> tuple[Transcript, bool]:
        """The steps of a case, then the probe where the connection is open. Returns whether that was answered."""
        patience = self.target.wait if case.waits else self.target.patience
        with RawClient(self.target, patience=patience, methods=case.methods) as client:
            for step in case.steps:
                self._take(client, step, case, delivery)
                if isinstance(step, Await) and not _has_come(client, step):
                    return client.read_responses(0), False
            transcript = client.read_responses(case.most_responses)
            before_probe = len(transcript.responses)
            is_over = transcript.ending is not Ending.OPEN or any(isinstance(step, HalfClose) for step in case.steps)
            if is_over:
                return client.read_all(), False
            if before_probe == 0 and case.most_responses > 0:
                return transcript, False
            transcript = client.send(self._probe).read_all()
        # What comes late may answer the case: the last answer is the probe's only where it shows the known file.
        answers = transcript.responses[before_probe:]
        is_refused = len(answers) == 1 and answers[0].status in _BUSY
        return transcript, bool(answers) and (is_refused or self._shows_known(answers))

    def _pipeline(self, case: Case) -> tuple[Transcript, bool]:
        """A plain request, the case and the probe in one piece. Returns whether the last one was answered."""
        data = b"".join(self.render(step.data) for step in case.steps if isinstance(step, Send))
        plain = get(self.target.known_path, self.target.authority)
        with RawClient(self.target, methods=("GET", *case.methods)) as client:
            transcript = client.send(plain + data + self._probe).read_all()
        responses = transcript.responses[1:]
        # Which of them answers the probe cannot be seen. It is the last one where there are more than the case may
        # have, or where the strict outcome leaves the connection open, if it shows the known file.
        is_one_more = len(responses) > case.most_responses
        persists = is_one_more or case.strict.allows(_statuses(responses[:-1]), True)
        return transcript, persists and self._shows_known(responses)

    def _shows_known(self, responses: tuple[Response, ...]) -> bool:
        """Whether the last one has the content of the known file."""
        return bool(responses) and responses[-1].content == self.known.content

    def _take(self, client: RawClient, step: Step, case: Case, delivery: Delivery) -> None:
        match step:
            case Send():
                data = self.render(step.data)
                client.send_split(data, self._cuts(len(data), case, delivery))
            case Stall():
                client.stall(step.seconds)
            case Await() if step.interim:
                client.read_interim(step.responses)
            case Await():
                client.read_responses(step.responses)
            case HalfClose():
                client.half_close()
            case Trickle():
                deadline = time.monotonic() + self.target.wait
                while time.monotonic() < deadline and not client.is_over:
                    client.send(self.render(step.data))
                    if client.read_responses(case.most_responses, patience=step.every).responses:
                        break

    def _cuts(self, length: int, case: Case, delivery: Delivery) -> Iterable[int]:
        """Where data of this length is cut."""
        if delivery is Delivery.BYTEWISE:
            return range(1, length, -(-length // MOST_SEGMENTS) or 1)
        if delivery is Delivery.SPLIT:
            chooser = random.Random(f"{self.seed} {case.id}")
            return [chooser.randrange(1, max(length, 2)) for _ in range(chooser.randint(1, 6))]
        return ()

    def render(self, data: bytes) -> bytes:
        """The bytes with the target's values in place of the names in braces."""
        return PLACEHOLDER.sub(lambda found: str(self._values[found[1].decode()]).encode("latin-1"), data)


def _has_come(client: RawClient, step: Await) -> bool:
    """Whether what was waited for is there, or the answer, or the end that made it superfluous."""
    answered = len(client.read_responses(0).responses)
    return client.is_over or answered >= step.responses or (step.interim and client.interim >= step.responses)


def judge(case: Case, delivery: Delivery, seen: Observation, known: Known, secrets: Iterable[bytes] = ()) -> Result:
    """Judge what was seen: dangers first, then hangs, then whether the outcome is acceptable and the checks hold."""
    dangers = [danger for danger in (*ALWAYS, *case.forbid) if _occurred(danger, case, seen, secrets)]
    is_strict = case.strict.allows(seen.statuses, seen.persists)
    is_acceptable = is_strict or any(outcome.allows(seen.statuses, seen.persists) for outcome in case.accept)
    faults = [str(danger) for danger in dangers]
    if seen.transcript.ending is Ending.MALFORMED:
        faults.append(f"no HTTP response: {seen.transcript.fault}, in {seen.transcript.rest[:80]!r}")
    elif seen.transcript.rest:
        faults.append(f"an incomplete response: {seen.transcript.rest[:80]!r}")
    if not is_acceptable:
        wanted = " | ".join(str(outcome) for outcome in (case.strict, *case.accept))
        faults.append(f"{seen}; wanted: {wanted}")
    else:
        faults += [check.text for check in case.checks if not _holds(check.response, check.test, seen.responses, known)]
    if any(danger is not Danger.HANG for danger in dangers):
        verdict = Verdict.DANGEROUS
    elif dangers:
        verdict = Verdict.HANGS
    else:
        verdict = Verdict.DEVIATES if faults else Verdict.OK
    return Result(case, delivery, verdict, is_strict and not faults, str(seen), tuple(faults), seen.seconds)


def _holds(index: int, test: Callable[[Response, Known], bool], responses: tuple[Response, ...], known: Known) -> bool:
    """Whether a check holds. How many responses there must be, the outcome says: one that is not due has no fault."""
    return index >= len(responses) or test(responses[index], known)


def _occurred(danger: Danger, case: Case, seen: Observation, secrets: Iterable[bytes]) -> bool:
    responses = seen.responses
    match danger:
        case Danger.SECOND_RESPONSE:
            return len(responses) > case.most_responses or _answers_without_head(case, seen)
        case Danger.SERVED:
            return bool(responses) and 200 <= responses[0].status < 300
        case Danger.OUTSIDE:
            read = [*(response.raw + response.content for response in responses), seen.transcript.rest]
            return any(secret in part for secret in secrets for part in read)
        case Danger.INJECTED:
            return any(response.field(INJECTED_FIELD) is not None for response in responses)
        case Danger.REFLECTED:
            return any(CANARY in response.content for response in responses)
        case Danger.OFF_SITE:
            return any(_leads_away(response.field("location") or "") for response in responses)
        case Danger.HANG:
            return seen.transcript.ending is Ending.OPEN


def _answers_without_head(case: Case, seen: Observation) -> bool:
    """Whether something follows the last answer that is no response: that of a simple request (HTTP/0.9) is none."""
    rest = seen.transcript.rest
    is_behind = len(seen.responses) >= case.most_responses > 0
    return is_behind and seen.transcript.ending is Ending.MALFORMED and not rest.startswith(b"HTTP/")


def _leads_away(location: str) -> bool:
    """Whether a browser would go to the foreign host.

    To it a backslash is a slash, any number of slashes behind a scheme is two, and white space before is none.
    """
    slashed = re.sub(r"^(https?:)?/{2,}", r"\1//", location.strip().replace("\\", "/"), flags=re.IGNORECASE)
    slashed = re.sub(r"^https:/*", "https://", slashed, flags=re.IGNORECASE)
    try:
        host = urllib.parse.urlsplit(slashed).hostname
    except ValueError:
        return FOREIGN_HOST in location
    return host is not None and host.rstrip(".").endswith(FOREIGN_HOST)


def _statuses(responses: tuple[Response, ...]) -> tuple[int, ...]:
    return tuple(response.status for response in responses)
