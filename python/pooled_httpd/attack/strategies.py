"""Hypothesis strategies for raw HTTP/1.1, with time: requests, and schedules of sending them. They shrink to few bytes.

    @given(strategies.nearly_valid_requests())
    def test_refused(data): ...

Whether bytes are a request is told by :func:`pooled_httpd.attack.reference.read`. Where Hypothesis is installed the
types :class:`ValidRequest`, :class:`NearlyValidRequest`, :class:`HostileRequest` and
:class:`~pooled_httpd.attack.schedule.Schedule` are registered
with it, so that ``st.from_type(Schedule)`` and annotated arguments of ``@given(...)`` tests work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from pooled_httpd.attack import generate
from pooled_httpd.attack.case import HalfClose, Send, Stall
from pooled_httpd.attack.reference import Limits, read
from pooled_httpd.attack.schedule import Reset, Schedule

T = TypeVar("T")


class ValidRequest(bytes):
    """A well-formed request."""

    __slots__ = ()


class NearlyValidRequest(bytes):
    """A request that departs from the grammar in one place."""

    __slots__ = ()


class HostileRequest(bytes):
    """Bytes meant as a request: several departures, other protocols, noise."""

    __slots__ = ()


class _DrawnChooser:
    """Choices that Hypothesis makes, and so can make simpler."""

    def __init__(self, draw: DrawFn) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def choice(self, options: Sequence[T]) -> T:
        return options[self._draw(st.integers(0, len(options) - 1))]

    def data(self, alphabet: bytes, low: int, high: int) -> bytes:
        indices = self._draw(st.lists(st.integers(0, len(alphabet) - 1), min_size=low, max_size=high))
        return bytes(alphabet[index] for index in indices)

    def chance(self, one_in: int) -> bool:
        # The simplest choice is that it does not happen.
        return self._draw(st.integers(0, one_in - 1)) == one_in - 1


def _requests(make: Callable[[generate.Chooser, bytes], bytes], known_path: str) -> SearchStrategy[bytes]:
    @st.composite
    def drawn(draw: DrawFn) -> bytes:
        return make(_DrawnChooser(draw), known_path.encode("ascii"))

    return drawn()


def valid_requests(known_path: str = "/") -> SearchStrategy[bytes]:
    """Well-formed requests, many of them for this path."""
    return _requests(generate.valid, known_path)


def nearly_valid_requests(known_path: str = "/") -> SearchStrategy[bytes]:
    """Requests whose grammar is departed from in one place. A few are well-formed all the same."""
    return _requests(generate.nearly_valid, known_path)


def malformed_requests(known_path: str = "/") -> SearchStrategy[bytes]:
    """Requests with one departure that are no requests, or cut-off ones, by the reference's reading."""
    return nearly_valid_requests(known_path).filter(lambda data: read(data).is_malformed)


def hostile_requests(known_path: str = "/") -> SearchStrategy[bytes]:
    """Several departures, pieces of other protocols, splices, noise."""
    return _requests(generate.hostile, known_path)


def requests_at_a_limit(known_path: str = "/", limits: Limits | None = None) -> SearchStrategy[bytes]:
    """Requests whose request line, head or number of field lines is at a limit, one less or one more.

    The limits are those of :class:`pooled_httpd.attack.reference.Limits` by default.
    """
    bounds = limits or Limits()
    path = known_path.encode("ascii")

    def make(what: str, more: int) -> bytes:
        plain = b"GET %b?%b HTTP/1.1\r\nHost: a\r\n%b\r\n"
        if what == "request line":
            bare = len(b"GET %b? HTTP/1.1" % path)
            return plain % (path, b"q" * (bounds.request_line - bare + more), b"")
        if what == "field lines":
            return plain % (path, b"", b"X: y\r\n" * (bounds.field_lines - 1 + more))
        bare = len(plain % (path, b"", b"X: \r\n"))
        return plain % (path, b"", b"X: %b\r\n" % (b"y" * (bounds.head - bare + more)))

    return st.builds(make, st.sampled_from(("request line", "field lines", "head")), st.integers(-1, 1))


def requests(known_path: str = "/") -> SearchStrategy[bytes]:
    """Any of these; simple ones are well-formed."""
    return st.one_of(valid_requests(known_path), nearly_valid_requests(known_path), hostile_requests(known_path))


def pipelines(
    of: SearchStrategy[bytes] | None = None, *, min_size: int = 1, max_size: int = 4
) -> SearchStrategy[bytes]:
    """Several requests, one behind the other, in one piece."""
    return st.lists(requests() if of is None else of, min_size=min_size, max_size=max_size).map(b"".join)


def schedules(
    of: SearchStrategy[bytes] | None = None, *, longest_stall: float = 0.01, most_parts: int = 6
) -> SearchStrategy[Schedule]:
    """Bytes cut into parts, with stalls between some (in seconds) and an end: none, a half-close or a reset."""
    data = pipelines() if of is None else of

    @st.composite
    def drawn(draw: DrawFn) -> Schedule:
        whole = draw(data)
        most_cuts = min(most_parts - 1, max(len(whole) - 1, 0))
        cuts = draw(st.sets(st.integers(1, max(len(whole) - 1, 1)), max_size=most_cuts))
        steps: list[Send | Stall | HalfClose | Reset] = []
        start = 0
        for end in [*sorted(cuts), len(whole)]:
            steps.append(Send(whole[start:end]))
            start = end
            if draw(st.booleans()):
                steps.append(Stall(draw(st.floats(0, longest_stall, allow_nan=False))))
        end_step = draw(st.sampled_from((None, HalfClose(), Reset())))
        return Schedule((*steps, end_step) if end_step is not None else tuple(steps))

    return drawn()


st.register_type_strategy(ValidRequest, valid_requests().map(ValidRequest))
st.register_type_strategy(NearlyValidRequest, nearly_valid_requests().map(NearlyValidRequest))
st.register_type_strategy(HostileRequest, hostile_requests().map(HostileRequest))
st.register_type_strategy(Schedule, schedules())
