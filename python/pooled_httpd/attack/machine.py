"""Many connections at once against a live server of this process, its statistics held against a model after every step.

    class TestServer(machine_for(server, max_connections=128).TestCase): ...

The model reads what each connection sent (:mod:`pooled_httpd.attack.reference`) and so knows how many answers it must
get, in which state the server must have it, and what every counter must show. A step ends when the statistics equal
the model; where they do not within :data:`PATIENCE`, the difference is the failure.

The server must be nobody else's meanwhile, its timeouts must be longer than an example, and ``keep_alive`` on.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import pooled_httpd
from pooled_httpd.attack import strategies
from pooled_httpd.attack.reading import ResponseReader
from pooled_httpd.attack.reference import Place, Reading, read
from pooled_httpd.attack.target import Target

#: How long the statistics may take to become what they must be, in seconds.
PATIENCE = 5.0
_STATES = {
    Place.REQUEST_LINE: "READING_REQUEST_LINE",
    Place.HEADERS: "READING_HEADERS",
    Place.CONTENT: "READING_CONTENT",
}
#: What a client sends that does not know yet that the server has ended: it is received, counted and thrown away.
_BEHIND = b"GET / HTTP/1.1\r\n"
_LINGER_OFF = struct.pack("ii", 1, 0)


@dataclass(eq=False, slots=True)
class Connection:
    """One connection: what was sent on it, and what came back."""

    socket: socket.socket
    sent: bytes = b""
    reader: ResponseReader = field(default_factory=ResponseReader)
    half_closed: bool = False
    received: int = 0
    ended: bool = False
    #: When the last answer came on it, counted in steps: the longest idle makes room for a newcomer.
    idle_since: int = 0

    @property
    def reading(self) -> Reading:
        """What it sent."""
        return read(self.sent)

    @property
    def answers_wanted(self) -> int:
        """How many final responses it must get."""
        return len(self.reading.messages) + (self.reading.fault is not None)

    @property
    def is_to_end(self) -> bool:
        """Whether the server must end it."""
        reading = self.reading
        last = reading.messages[-1] if reading.messages else None
        return reading.fault is not None or self.half_closed or (last is not None and not last.persists)

    @property
    def is_idle(self) -> bool:
        """Whether the server may close it to make room: it was answered, and nothing of another request has come."""
        return not self.is_to_end and self.answers_wanted > 0 and not self.reading.incomplete

    def take(self) -> None:
        """Receive what is there."""
        while not self.ended and select.select([self.socket], [], [], 0)[0]:
            try:
                data = self.socket.recv(1 << 18)
            except ConnectionResetError as error:
                raise AssertionError(f"the server reset a connection that sent {self.sent!r}") from error
            self.received += len(data)
            self.ended = not data
            self.reader.methods = self.reading.methods
            self.reader.feed(data)
            assert not self.reader.fault, f"{self.reader.fault}: {self.reader.rest!r}, after {self.sent!r}"


@dataclass(slots=True)
class Model:
    """What the statistics must show, beyond what they did at the beginning."""

    total_connections: int = 0
    connections_refused: int = 0
    connections_reclaimed: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    responses: Counter[int] = field(default_factory=Counter)


class ServerMachine(RuleBasedStateMachine):
    """The machine. :func:`machine_for` gives it a server."""

    server: pooled_httpd.Server
    max_connections: int

    def __init__(self) -> None:
        """Begin where the statistics stand."""
        super().__init__()
        self.target = Target.of(self.server)
        self.open: list[Connection] = []
        self.model = Model()
        self.steps = 0
        self._wait_for(lambda stats: stats["active_connections"] == 0, "the last example's connections to be gone")
        self.before = self.server.stats().as_dict()

    def _wait_for(self, holds: Any, what: str) -> dict[str, Any]:  # noqa: ANN401 - a predicate over the statistics
        deadline = time.monotonic() + PATIENCE
        while not holds(stats := self.server.stats().as_dict()):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {PATIENCE} s for {what}: {stats}")
            time.sleep(0.0002)
        return stats

    # What can happen.

    @rule()
    def connect(self) -> None:
        """A newcomer; where every slot is taken, the longest idle makes room for it, or it gets a 503."""
        newcomer = Connection(self.target.connect())
        idle = [connection for connection in self.open if connection.is_idle]
        if len(self.open) < self.max_connections:
            self.model.total_connections += 1
            self.open.append(newcomer)
        elif idle:
            oldest = min(idle, key=lambda connection: connection.idle_since)
            self._expect_end(oldest)
            self._forget(oldest)
            self.model.connections_reclaimed += 1
            self.model.total_connections += 1
            self.open.append(newcomer)
        else:
            self._expect_end(newcomer)
            assert [response.status for response in newcomer.reader.responses] == [503]
            self.model.connections_refused += 1
            self._forget(newcomer)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), sent=strategies.pipelines(max_size=3))
    def send(self, data: st.DataObject, sent: bytes) -> None:
        """One request or several, of any kind, on any connection."""
        self._send(self._pick(data), sent)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), whole=strategies.valid_requests("/a.txt"), kept=st.integers(1, 60))
    def send_a_part(self, data: st.DataObject, whole: bytes, kept: int) -> None:
        """The beginning of a request: the connection then stands in the middle of it."""
        connection = self._pick(data)
        self._send(connection, whole[: max(len(whole) - kept, 1)])

    @precondition(lambda self: self.open)
    @rule(data=st.data(), sent=strategies.requests_at_a_limit("/a.txt"))
    def send_at_a_limit(self, data: st.DataObject, sent: bytes) -> None:
        """A request that is as large as it may be, or a byte or a line larger."""
        self._send(self._pick(data), sent)

    @precondition(lambda self: self.open)
    @rule(sent=strategies.valid_requests("/a.txt"))
    def send_on_all(self, sent: bytes) -> None:
        """The same request on every connection at once."""
        for connection in list(self.open):
            self._hand_over(connection, sent)
        for connection in list(self.open):
            self._settle(connection)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def half_close(self, data: st.DataObject) -> None:
        """The client ends its sending side: the server answers what is complete and closes."""
        connection = self._pick(data)
        connection.half_closed = True
        connection.socket.shutdown(socket.SHUT_WR)
        self._settle(connection)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), resets=st.booleans())
    def leave(self, data: st.DataObject, resets: bool) -> None:
        """The client closes, or resets."""
        connection = self._pick(data)
        if resets:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
        self._forget(connection)

    @rule(seconds=st.floats(0, 0.02))
    def stall(self, seconds: float) -> None:
        """Nothing happens for a while."""
        time.sleep(seconds)

    # What must hold.

    @invariant()
    def statistics_are_exact(self) -> None:
        """Every counter, every gauge and every state is what the model says."""
        self.steps += 1
        deadline = time.monotonic() + PATIENCE
        while difference := self._difference():
            if time.monotonic() > deadline:
                raise AssertionError(f"after {PATIENCE} s, server against model: {difference}")
            time.sleep(0.0002)

    def _difference(self) -> dict[str, tuple[Any, Any]]:
        """What the statistics show and the model does not: name, server's value, model's value."""
        for connection in self.open:
            self._take(connection)
        stats = self.server.stats().as_dict()
        states = Counter(_STATES[connection.reading.place] for connection in self.open)
        responses = Counter({int(status): count for status, count in stats["responses"].items()})
        responses.subtract({int(status): count for status, count in self.before["responses"].items()})
        wanted: dict[str, Any] = {
            "total_connections": self.before["total_connections"] + self.model.total_connections,
            "connections_refused": self.before["connections_refused"] + self.model.connections_refused,
            "connections_reclaimed": self.before["connections_reclaimed"] + self.model.connections_reclaimed,
            "bytes_received": self.before["bytes_received"] + self.model.bytes_received,
            "bytes_sent": self.before["bytes_sent"] + self.model.bytes_sent,
            "total_requests": self.before["total_requests"] + self.model.responses.total(),
            "active_connections": len(self.open),
            "invariant_violations": 0,
            "malloc_calls": 0,
            "free_calls": 0,
        }
        shown = {name: stats[name] for name in wanted}
        wanted["states"], shown["states"] = dict(states), {k: v for k, v in stats["states"].items() if v}
        wanted["responses"], shown["responses"] = +self.model.responses, +responses
        return {name: (shown[name], wanted[name]) for name in wanted if shown[name] != wanted[name]}

    def teardown(self) -> None:
        """Close everything; the server must have nothing left."""
        for connection in self.open:
            connection.socket.close()
        self._wait_for(lambda stats: stats["active_connections"] == 0, "every connection to be gone")

    # How it is done.

    def _pick(self, data: st.DataObject) -> Connection:
        return self.open[data.draw(st.integers(0, len(self.open) - 1), label="connection")]

    def _send(self, connection: Connection, sent: bytes) -> None:
        self._hand_over(connection, sent)
        self._settle(connection)

    def _hand_over(self, connection: Connection, sent: bytes) -> None:
        connection.sent += sent
        connection.socket.sendall(sent)
        self.model.bytes_received += len(sent)

    def _take(self, connection: Connection) -> None:
        before, answered = connection.received, len(connection.reader.responses)
        connection.take()
        self.model.bytes_sent += connection.received - before
        self.model.responses.update(response.status for response in connection.reader.responses[answered:])

    def _settle(self, connection: Connection) -> None:
        """Wait for the answers that must come, and for the end where it must."""
        if connection.is_to_end:
            self._expect_end(connection)
            if connection.reading.fault is not None and not connection.half_closed:
                # Whoever asked for the close expects it and is not waited for.
                self._hand_over(connection, _BEHIND)
            self._forget(connection)
        else:
            self._wait_for_answers(connection, lambda: len(connection.reader.responses) >= connection.answers_wanted)
            assert not connection.ended, f"the server closed a connection that sent {connection.sent!r}"
        self._check_count(connection)
        connection.idle_since = self.steps

    def _expect_end(self, connection: Connection) -> None:
        self._wait_for_answers(connection, lambda: connection.ended)
        if connection in self.open:
            self._check_count(connection)

    def _wait_for_answers(self, connection: Connection, are_there: Any) -> None:  # noqa: ANN401 - a predicate
        deadline = time.monotonic() + PATIENCE
        while not are_there():
            self._take(connection)
            if time.monotonic() > deadline:
                raise AssertionError(f"no answer or end within {PATIENCE} s, after {connection.sent!r}")

    def _check_count(self, connection: Connection) -> None:
        statuses = [response.status for response in connection.reader.responses]
        reading = connection.reading
        assert len(statuses) == connection.answers_wanted, (statuses, connection.sent, reading)
        if reading.fault is not None:
            assert statuses[-1] in reading.fault.statuses, (statuses, connection.sent, reading.fault)

    def _forget(self, connection: Connection) -> None:
        connection.socket.close()
        if connection in self.open:
            self.open.remove(connection)


def machine_for(server: pooled_httpd.Server, *, max_connections: int) -> type[ServerMachine]:
    """The machine for a running server that was given this option ``max_connections``."""
    return type("BoundServerMachine", (ServerMachine,), {"server": server, "max_connections": max_connections})
