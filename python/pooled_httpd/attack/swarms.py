"""Swarms: many clients that each hold a connection in a way that costs the server something, within bounds.

Meanwhile a good client asks for the known file, each time on a connection of its own, and what it gets is written down:
a server may be as rude to a swarm as it likes, as long as the good client is answered, if only with an honest 503.
"""

from __future__ import annotations

import enum
import resource
import selectors
import socket
import struct
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pooled_httpd.attack.case import Known
from pooled_httpd.attack.client import NoResponse, RawClient
from pooled_httpd.attack.judge import get, learn
from pooled_httpd.attack.target import Target
from pooled_httpd.attack.witness import Witness

#: The most clients, and the longest time in seconds, that a swarm is let loose.
MOST_CLIENTS = 20_000
MOST_SECONDS = 3600.0
#: The good client asks so often, in seconds.
GOOD_EVERY = 0.02
#: New connections that are made before the others are looked at again.
_OPENS_AT_ONCE = 64
#: The swarm looks up so often to see whether it is over, in seconds.
_LONGEST_WAIT = 0.05
_LINGER_OFF = struct.pack("ii", 1, 0)
#: Options of Linux (linux/tcp.h): a socket in repair mode is closed without a word to its peer.
_TCP_REPAIR = 19


class Kind(enum.StrEnum):
    """What the clients of a swarm do."""

    SLOWLORIS = "slowloris"
    """Send a head that never ends, a field line at a time."""
    SLOW_BODY = "slow-body"
    """Announce content and send it a byte at a time."""
    SLOW_READ = "slow-read"
    """Ask for much and read a byte at a time, with a small receive buffer."""
    FLOOD = "flood"
    """Connect and send nothing."""
    HALF_OPEN = "half-open"
    """Send half a request and vanish: without a word where that is allowed (CAP_NET_ADMIN), else by a half-close."""
    RESET_STORM = "reset-storm"
    """Connect, send a request or a part of one, and reset, as fast as it goes."""


@dataclass(slots=True)
class GoodClient:
    """What the good client saw: seconds until each file was there, answers by status, and what was wrong."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        """So many percent of the answers came within this time, in seconds; 0 where there is none."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] if ordered else 0.0


@dataclass(slots=True)
class SwarmReport:
    """What a swarm did and what became of it.

    ``opened`` connections in all, at most ``clients`` at a time; ``closed`` and ``reset`` by the server, ``answers``
    that it gave by status; ``recovered`` is the time in seconds from the swarm's end until the good client was served
    again, None where it was not within the target's ``wait`` (or ``patience`` where that is longer).
    ``must_recover`` tells whether ``wait`` is known, so that it had to. ``statistics`` are what the server itself
    counted meanwhile, where it shows that.
    """

    kind: Kind
    clients: int
    seconds: float
    opened: int = 0
    could_not_open: int = 0
    closed: int = 0
    reset: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    most_open: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    good: GoodClient = field(default_factory=GoodClient)
    recovered: float | None = None
    must_recover: bool = False
    statistics: dict[str, Any] | None = None


class Swarm:
    """A swarm of one kind against one target.

    ``every`` is the time in seconds between two bytes or lines of one client. ValueError where the bounds are passed.
    """

    def __init__(
        self,
        target: Target,
        kind: Kind,
        *,
        clients: int = 100,
        seconds: float = 5.0,
        every: float = 0.1,
        known: Known | None = None,
    ) -> None:
        """Prepare it; the known file is asked for, unless it is given."""
        if not 1 <= clients <= MOST_CLIENTS:
            raise ValueError(f"{clients} clients are out of range: 1 to {MOST_CLIENTS}")
        if not 0 < seconds <= MOST_SECONDS:
            raise ValueError(f"{seconds} seconds are out of range: more than 0, and {MOST_SECONDS:.0f} at most")
        if not every > 0:
            raise ValueError(f"every {every} seconds is out of range: more than 0")
        _allow_descriptors(clients + 100)
        self.target, self.kind, self.every = target, kind, every
        self.report = SwarmReport(kind, clients, seconds, must_recover=target.wait > 0)
        self._known = learn(target) if known is None else known
        self._selector = selectors.DefaultSelector()
        #: Who is due next, in order: all wait equally long.
        self._due: deque[tuple[float, _Client]] = deque()
        self._open: set[_Client] = set()
        self._over = threading.Event()
        self._failure: Exception | None = None
        #: Connections that may be opened until the next refill, and when that is.
        self._to_open = 0
        self._refills_at = 0.0

    def run(self, witness: Witness | None = None) -> SwarmReport:
        """Let it loose until its time is up, then see how the server recovers."""
        before = witness.statistics() if witness else None
        thread = threading.Thread(target=self._swarm, name=f"swarm {self.kind}")
        thread.start()
        try:
            ends_at = time.monotonic() + self.report.seconds
            while time.monotonic() < ends_at:
                self._ask(self.report.good)
                time.sleep(GOOD_EVERY)
        finally:
            self._over.set()
            thread.join()
        if self._failure is not None:
            raise self._failure
        self._recover()
        after = witness.statistics() if witness else None
        if before is not None and after is not None:
            self.report.statistics = _difference(before, after)
        return self.report

    def _ask(self, good: GoodClient) -> int:
        """One good request. Returns its status, 0 where there was none or its content is another's."""
        started = time.monotonic()
        try:
            with RawClient(self.target) as client:
                request = get(self.target.known_path, self.target.authority, "Connection: close")
                answer = client.send(request).read_response()
        except (OSError, NoResponse) as error:
            good.failures.append(f"{type(error).__name__}: {error}"[:200])
            return 0
        good.statuses[answer.status] += 1
        if answer.status == 200:
            good.latencies.append(time.monotonic() - started)
        if answer.status == 200 and answer.content != self._known.content:
            good.failures.append(f"a 200 with {len(answer.content)} bytes that are not the known file")
            return 0
        if answer.status not in (200, 503):
            good.failures.append(f"the status {answer.status}")
        return answer.status

    def _recover(self) -> None:
        started = time.monotonic()
        after = GoodClient()
        while time.monotonic() - started < max(self.target.wait, self.target.patience):
            if self._ask(after) == 200:
                self.report.recovered = time.monotonic() - started
                return
            time.sleep(GOOD_EVERY)

    def _swarm(self) -> None:
        try:
            while not self._over.is_set():
                self._refill()
                self._open_some()
                due = min(self._refills_at, self._due[0][0]) if self._due else self._refills_at
                wait = 0.0 if self._to_open > 0 else max(due - time.monotonic(), 0.0)
                for key, _ in self._selector.select(min(wait, _LONGEST_WAIT)):
                    self._receive(key.data)
                self._poke_some()
        except Exception as error:
            # It is raised where the swarm was let loose.
            self._failure = error
        finally:
            for client in list(self._open):
                self._drop(client)
            self._selector.close()

    def _refill(self) -> None:
        """Who was turned away comes again when its next byte would have been due, not at once."""
        now = time.monotonic()
        if now >= self._refills_at:
            self._refills_at = now + (0.0 if self.kind is Kind.RESET_STORM else self.every)
            self._to_open = self.report.clients - len(self._open)

    def _open_some(self) -> None:
        report = self.report
        for _ in range(min(self._to_open, _OPENS_AT_ONCE)):
            self._to_open -= 1
            buffer = 4096 if self.kind is Kind.SLOW_READ else None
            try:
                connection = self.target.connect(receive_buffer=buffer)
            except OSError:
                report.could_not_open += 1
                return
            connection.setblocking(False)
            client = _Client(connection, self._opening())
            report.opened += 1
            self._open.add(client)
            report.most_open = max(report.most_open, len(self._open))
            if self.kind is not Kind.SLOW_READ:
                self._selector.register(connection, selectors.EVENT_READ, client)
            if self._send(client) and self.kind is Kind.RESET_STORM:
                self._vanish(client)
            elif client in self._open:
                self._due.append((time.monotonic() + self.every, client))

    def _opening(self) -> bytes:
        head = f"Host: {self.target.authority}\r\n".encode("ascii")
        path = self.target.known_path.encode("ascii")
        match self.kind:
            case Kind.SLOWLORIS | Kind.HALF_OPEN:
                return b"GET %b HTTP/1.1\r\n%b" % (path, head)
            case Kind.SLOW_BODY:
                return b"POST %b HTTP/1.1\r\n%bContent-Length: 100000\r\n\r\n" % (path, head)
            case Kind.SLOW_READ:
                return b"GET %b HTTP/1.1\r\n%b\r\n" % (path, head) * 200
            case Kind.FLOOD:
                return b""
            case Kind.RESET_STORM:
                whole = b"GET %b HTTP/1.1\r\n%b\r\n" % (path, head)
                return whole[: self.report.opened % (len(whole) + 1)]

    def _poke_some(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, client = self._due.popleft()
            if client not in self._open:
                continue
            match self.kind:
                case Kind.SLOWLORIS:
                    client.unsent += b"X-a: b\r\n"
                case Kind.SLOW_BODY:
                    client.unsent += b"x"
                case Kind.SLOW_READ:
                    self._receive(client, most=1)
                case Kind.HALF_OPEN:
                    self._vanish(client)
            if client in self._open and self._send(client):
                self._due.append((now + self.every, client))

    def _send(self, client: _Client) -> bool:
        """Send what waits. False where the server is gone, and then it is dropped."""
        try:
            while client.unsent:
                count = client.connection.send(client.unsent)
                self.report.bytes_sent += count
                del client.unsent[:count]
        except BlockingIOError:
            pass
        except OSError:
            self._ended(client, was_reset=True)
            return False
        return True

    def _receive(self, client: _Client, most: int = 65536) -> None:
        try:
            data = client.connection.recv(most)
        except BlockingIOError:
            return
        except OSError:
            self._ended(client, was_reset=True)
            return
        self.report.bytes_received += len(data)
        client.answer += data[: max(12 - len(client.answer), 0)]
        if not data:
            self._ended(client, was_reset=False)

    def _ended(self, client: _Client, *, was_reset: bool) -> None:
        self.report.reset += was_reset
        self.report.closed += not was_reset
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._open.discard(client)
        if len(client.answer) == 12 and client.answer[9:].isdigit():
            self.report.answers[int(client.answer[9:])] += 1
        if self.kind is not Kind.SLOW_READ:
            self._selector.unregister(client.connection)
        client.connection.close()

    def _vanish(self, client: _Client) -> None:
        """Leave without a word, or with a reset."""
        if self.kind is Kind.RESET_STORM:
            client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
        else:
            try:
                client.connection.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
            except OSError:
                with suppress(OSError):
                    client.connection.shutdown(socket.SHUT_WR)
                return
        self._drop(client)


class _Client:
    """One client of a swarm: its connection, what it still wants to send, and the beginning of what it got."""

    __slots__ = ("answer", "connection", "unsent")

    def __init__(self, connection: socket.socket, unsent: bytes) -> None:
        self.connection = connection
        self.unsent = bytearray(unsent)
        self.answer = b""


def _allow_descriptors(wanted: int) -> None:
    """Raise the soft limit of descriptors as far as it is needed. ValueError where the hard one forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise ValueError(f"{wanted} descriptors are more than the {hard} that this process may have: fewer clients")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What changed in the statistics: numbers that are not equal, and those within."""
    changed: dict[str, Any] = {}
    for name, value in after.items():
        earlier = before.get(name)
        if isinstance(value, dict):
            inner = _difference(earlier if isinstance(earlier, dict) else {}, value)
            if inner:
                changed[name] = inner
        elif isinstance(value, int | float) and value != earlier:
            changed[name] = value - (earlier if isinstance(earlier, int | float) else 0)
    return changed
