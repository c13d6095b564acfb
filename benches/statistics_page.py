"""What our server tells of itself while it runs."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Self

from benches import BenchError
from benches.checks import Connection, request
from benches.servers import STATUS_PATH


@dataclass(frozen=True)
class Statistics:
    """Some of its statistics, since its start."""

    requests: int
    heap_bytes: int
    #: Calls of malloc and free on the thread that serves.
    heap_calls: int
    invariant_violations: int
    log_records_dropped: int

    @classmethod
    def of(cls, port: int) -> Self:
        """Ask for them."""
        with contextlib.closing(Connection(port)) as connection:
            connection.send(request(STATUS_PATH.removeprefix("/"), port))
            told: dict[str, int] = json.loads(connection.answer().content)
        return cls(
            requests=told["total_requests"],
            heap_bytes=told["heap_bytes"],
            heap_calls=told["malloc_calls"] + told["free_calls"],
            invariant_violations=told["invariant_violations"],
            log_records_dropped=told["log_records_dropped"],
        )

    def must_be_sound(self, name: str) -> None:
        """Complain where the server broke a promise while it was measured: its speed would be worth nothing."""
        if self.heap_calls or self.heap_bytes or self.invariant_violations:
            raise BenchError(f"{name} broke its promises while it was measured: {self}")

    def __str__(self) -> str:
        """As the facts of a run tell it."""
        return (
            f"{self.requests:,} requests, {self.heap_calls} heap calls, {self.invariant_violations} violations, "
            f"{self.log_records_dropped:,} log records dropped"
        )
