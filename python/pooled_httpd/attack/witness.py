"""What the server itself says of what happened to it, where it is a pooled_httpd: statistics against what was seen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pooled_httpd.attack.client import RawClient
from pooled_httpd.attack.judge import get
from pooled_httpd.attack.target import Target

if TYPE_CHECKING:
    import pooled_httpd

#: How long connections may take to be gone once the client has left, in seconds.
_PATIENCE = 5.0
_INSIDE = ("invariant_violations", "malloc_calls", "free_calls", "heap_bytes")


class HasStatistics(Protocol):
    """A running :class:`pooled_httpd.Server`, or what answers alike."""

    def stats(self) -> pooled_httpd.ServerStats:
        """Its statistics."""


class Witness:
    """Nobody who knows anything: the target is not a pooled_httpd, or does not show its statistics."""

    def begin(self) -> None:
        """Note where the statistics stand."""

    def saw(self, answers: int) -> None:
        """So many final responses were received."""

    def end(self, complain: Callable[[str], None]) -> None:
        """Complain of every statistic that does not fit what was seen."""

    def statistics(self) -> dict[str, Any] | None:
        """The statistics now, as ``ServerStats.as_dict`` gives them; None where they are not known."""
        return None


class _CountingWitness(Witness):
    """Compares the answers that were received with those that the server counted."""

    #: Answers that asking for the statistics costs.
    _answers_of_a_look = 0

    def __init__(self) -> None:
        self._answers = 0
        self._before: dict[str, Any] = {}

    def begin(self) -> None:
        """Note where the statistics stand."""
        self._before = self._look()

    def saw(self, answers: int) -> None:
        """So many final responses were received."""
        self._answers += answers

    def _look(self) -> dict[str, Any]:
        seen = self.statistics()
        if seen is None:
            raise RuntimeError("the statistics cannot be read any more")
        return seen

    def end(self, complain: Callable[[str], None]) -> None:
        """Complain of every statistic that does not fit what was seen."""
        deadline = time.monotonic() + _PATIENCE
        looks = 1
        while (after := self._look())["active_connections"] > self._before["active_connections"]:
            if time.monotonic() > deadline:
                complain(f"{after['active_connections']} connections are open though every client has left")
                break
            looks += 1
            time.sleep(0.01)
        for name in _INSIDE:
            if after[name]:
                complain(f"{name} is {after[name]}")
        counted = after["total_requests"] - self._before["total_requests"]
        expected = self._answers + looks * self._answers_of_a_look
        if counted != expected:
            complain(f"the server counted {counted} answers, and {expected} were received")
        by_status = sum(after["responses"].values())
        if by_status != after["total_requests"]:
            complain(f"the answers by status add up to {by_status}, not to {after['total_requests']}")


class ServerWitness(_CountingWitness):
    """A server of this process."""

    def __init__(self, server: HasStatistics) -> None:
        """Ask this server."""
        super().__init__()
        self._server = server

    def statistics(self) -> dict[str, Any] | None:
        """The statistics now."""
        found: dict[str, Any] = self._server.stats().as_dict()
        return found


class PathWitness(_CountingWitness):
    """A server that shows its statistics at a path (its option ``status_path``)."""

    _answers_of_a_look = 1

    def __init__(self, target: Target, path: str) -> None:
        """Ask this target. ValueError where the path shows no statistics."""
        super().__init__()
        self._target, self._path = target, path
        if self.statistics() is None:
            raise ValueError(
                f"{target.authority}{path} shows no statistics of a pooled_httpd: is its --status-path {path}?"
            )

    def statistics(self) -> dict[str, Any] | None:
        """The statistics now."""
        with RawClient(self._target) as client:
            answer = client.send(get(self._path, self._target.authority, "Connection: close")).read_response()
        try:
            found = json.loads(answer.content)
        except ValueError:
            return None
        return found if isinstance(found, dict) and "invariant_violations" in found else None
