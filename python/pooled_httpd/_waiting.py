"""Which requests are wanted, and waits for them: each is counted as it comes, whatever becomes of it in the record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pooled_httpd import _native
from pooled_httpd._checks import number_of_seconds, text_or_none, whole_number
from pooled_httpd.errors import StateError, WaitTimeoutError
from pooled_httpd.received import ReceivedRequest, recorded_requests, request_of

if TYPE_CHECKING:
    from pooled_httpd._native import Server, _RecordedFacts

__all__ = ["LOOK_EVERY", "NOT_RECORDED", "Wait", "Wanted", "last_requests"]

#: How long a wait sleeps between two looks, in seconds.
LOOK_EVERY = 0.0005
#: How long a wait for answers may go on before it looks whether the server is still there, in seconds.
_LOOK_FOR_THE_END_EVERY = 0.02
#: How many of the last requests an error shows.
_SHOWN_REQUESTS = 8

NOT_RECORDED = "requests are not recorded: call record_requests() before they are sent"


class Wanted:
    """Requests of a path, as an answer is registered for it, of a method and of a status; each may be None for any."""

    def __init__(self, path: str | None, method: str | None, status: int | None) -> None:
        """Refuse what can be none of a request."""
        text_or_none("path", path)
        text_or_none("method", method)
        if status is not None:
            whole_number("status", status, range(1000), "0 is an answer without a status line, None is any")
        self._pattern = None if path is None else _native._PathPattern(path)
        self._method, self._status = method, status
        named = (("path", path), ("method", method), ("status", status))
        #: What is wanted of a request, such as " with path '/a'"; empty where any will do.
        self.told = ", ".join(f"{name} {value!r}" for name, value in named if value is not None)
        self.told = self.told and f" with {self.told}"

    def fits(self, request: ReceivedRequest) -> bool:
        """Whether a request is one of these."""
        return (
            (self._method is None or request.method == self._method)
            and (self._status is None or request.status == self._status)
            and (self._pattern is None or self._pattern.matches(request.method, request.target))
        )


class Wait:
    """A wait for so many requests, which goes on in pieces."""

    def __init__(self, server: Server, count: int, wanted: Wanted, timeout: float) -> None:
        """Begin it; nothing has been looked at yet."""
        whole_number("count", count, range(1 << 63), "0 waits for nothing")
        self._server, self._count, self._wanted = server, count, wanted
        self._timeout = number_of_seconds("timeout", timeout)
        self._deadline = time.monotonic() + self._timeout
        self._found: list[ReceivedRequest] = []
        #: How many requests of the record have been over before the next one that is to be looked at.
        self._seen = 0
        #: The last one that was looked at, by which another record is told from this one.
        self._last: _RecordedFacts | None = None
        #: How many gave way before they were looked at.
        self._missed = 0

    @property
    def is_over(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() >= self._deadline

    def go_on(self, seconds: float = float("inf")) -> list[ReceivedRequest] | None:
        """Wait for so many seconds more at most; return the requests, or None where they have not come.

        Raises StateError where they cannot come any more.
        """
        until = min(self._deadline, time.monotonic() + seconds)
        while True:
            begun = time.monotonic()
            # First, so that what came last is among what is counted.
            has_ended = _native._has_ended(self._server)
            if self._wanted.told:
                self._look()
                if len(self._found) >= self._count:
                    return self._found
            elif self._has_answered(0 if has_ended else until - begun):
                return recorded_requests(self._server) or []
            if has_ended:
                raise StateError(f"the server has stopped, and nobody is left to wait for: {self._told()}")
            now = time.monotonic()
            if now >= until:
                return None
            if self._wanted.told:
                # A long record takes its time, of which this leaves half to others.
                time.sleep(min(max(LOOK_EVERY, now - begun), until - now))

    def too_late(self) -> WaitTimeoutError:
        """Tell what was waited for, and what came instead."""
        return WaitTimeoutError(f"waited {self._timeout:g} s for {self._told()}")

    def _told(self) -> str:
        came = len(self._found) if self._wanted.told else _answered(self._server)
        missed = (
            f", and {self._missed:,} gave way before they were looked at: record_requests() with more memory keeps them"
        )
        told = f"{self._count} requests{self._wanted.told}; {came} came{missed if self._missed else ''}"
        return told + last_requests(self._server)

    def _has_answered(self, seconds: float) -> bool:
        """Wait a little for answers that have been sent to their end; the statistics count each when it begins."""
        seconds = max(0.0, min(seconds, _LOOK_FOR_THE_END_EVERY))
        if not _native._wait_for_answers(self._server, self._count, seconds):
            return False
        if _answered(self._server) >= self._count:
            return True
        time.sleep(min(seconds, LOOK_EVERY))
        return False

    def _look(self) -> None:
        """Look at what has come since the last look."""
        kept = _native._requests(self._server)
        if kept is None:
            raise StateError(NOT_RECORDED)
        requests, forgotten = kept
        if self._is_another(requests, forgotten):
            self._found, self._seen, self._missed = [], 0, 0
        self._missed += max(0, forgotten - self._seen)
        came = map(request_of, requests[max(0, self._seen - forgotten) :])
        self._found += [request for request in came if self._wanted.fits(request)]
        self._seen = forgotten + len(requests)
        self._last = requests[-1] if requests else self._last

    def _is_another(self, requests: list[_RecordedFacts], forgotten: int) -> bool:
        """Whether the record has begun anew since the last look: the one that was looked at last is another one."""
        place = self._seen - 1 - forgotten
        if place < 0:
            return False
        # The content of an old one may have given way.
        return place >= len(requests) or self._last is None or requests[place][:5] != self._last[:5]


def _answered(server: Server) -> int:
    """Count the answers that have been sent to their end: the statistics count each when it begins."""
    stats = server.stats()
    return stats.total_requests - stats.states.get("SENDING_RESPONSE", 0)


def last_requests(server: Server) -> str:
    """Tell the last requests, for an error; nothing where none are recorded."""
    received = recorded_requests(server)
    if received is None:
        return ""
    last = received[-_SHOWN_REQUESTS:]
    return "; the last requests:\n" + "\n".join(f"  {request}" for request in last) if last else "; no request came"
