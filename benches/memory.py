"""Memory: what each server takes at its start, and for each idle kept-alive connection.

Each is started for it alone. Resident memory is counted page by page, by the kernel; what the kernel itself keeps for a
socket is in nobody's.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from benches import BenchError
from benches.checks import Connection, check_answer, request
from benches.documents import SMALL
from benches.loads import LOADS
from benches.servers import NULL, OURS, Server, Setting, running
from benches.statistics_page import Statistics

#: Who is measured. nginx takes the same whatever it does with files.
SERVERS = (OURS, "nginx", "h2o", "lighttpd", NULL)
IDLE = 4_000
#: Requests on a connection of their own that let the server touch what it needs for any.
WARM_UP = 100


@dataclass(frozen=True)
class Memory:
    """What one server takes."""

    #: Once it has answered for the first time.
    start_bytes: int
    #: With one connection that has made its requests, and with the idle ones besides.
    before_bytes: int
    after_bytes: int
    connections: int
    #: What the idle ones took of the heap, and the calls for it, as far as the server tells.
    heap_bytes: int | None = None
    heap_calls: int | None = None

    @property
    def bytes_per_connection(self) -> float:
        """What an idle connection takes."""
        return (self.after_bytes - self.before_bytes) / self.connections


def measure(name: str, setting: Setting) -> Memory:
    """Start a server, connect to it, look."""
    document = (setting.root / SMALL).read_bytes()
    with running(name, setting) as server, contextlib.ExitStack() as stack:
        start = server.resident_bytes()
        first = stack.enter_context(contextlib.closing(Connection(server.port)))
        for _ in range(WARM_UP):
            _ask(first, server, document)
        told = Statistics.of(server.port) if name == OURS else None
        before = server.resident_bytes()
        idle = []
        for _ in range(IDLE):
            connection = stack.enter_context(contextlib.closing(Connection(server.port)))
            _ask(connection, server, document)
            idle.append(connection)
        after = server.resident_bytes()
        # A server that had closed some would look thrifty.
        for connection in (first, *idle):
            _ask(connection, server, document)
        if told is None:
            return Memory(start, before, after, IDLE)
        now = Statistics.of(server.port)
        return Memory(start, before, after, IDLE, now.heap_bytes - told.heap_bytes, now.heap_calls - told.heap_calls)


def _ask(connection: Connection, server: Server, document: bytes) -> None:
    try:
        connection.send(request(SMALL, server.port))
        check_answer(LOADS["small"], SMALL, connection.answer(), document)
    except (BenchError, OSError) as error:
        raise BenchError(f"{server.name}: a wrong answer to one of {IDLE:,} clients: {error}") from error
