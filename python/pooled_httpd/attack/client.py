"""A raw client: it sends whatever bytes it is told, when it is told, and reads what comes back. Every call is bounded.

    with RawClient("localhost:8080") as client:
        client.send_split(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n", at=[5, 9])
        print(client.read_response().status)

A peer that closes while something is sent to it is no error here: its answer may wait to be read. Only patience that
runs out while sending is (TimeoutError).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from pooled_httpd.attack.case import HalfClose, Send, Stall
from pooled_httpd.attack.reading import Ending, Response, ResponseReader, Transcript
from pooled_httpd.attack.schedule import Reset, Schedule
from pooled_httpd.attack.target import Target

#: The most bytes that are read from one connection, unless told otherwise.
MOST_BYTES = 256 << 20
_LINGER_OFF = struct.pack("ii", 1, 0)
_RECEIVE_BYTES = 65536


class NoResponse(Exception):
    """The connection ended, or patience did, before a response was complete; ``transcript`` has what came."""

    def __init__(self, transcript: Transcript) -> None:
        """Say how it ended and what had come."""
        self.transcript = transcript
        fault = f" ({transcript.fault})" if transcript.fault else ""
        super().__init__(
            f"no complete response: the connection is {transcript.ending}{fault}, after {transcript.rest[:80]!r}"
        )


class RawClient:
    """One connection to a target.

    ``target`` is a :class:`Target` or ``host:port`` on this machine. ``patience`` bounds every call, in seconds (that
    of the target by default); ``receive_buffer`` is the kernel's, in bytes; ``most_bytes`` bounds what is read in
    all. ``bytes_sent`` and ``bytes_received`` count what the kernel took and gave.
    """

    def __init__(
        self,
        target: Target | str,
        *,
        patience: float | None = None,
        receive_buffer: int | None = None,
        most_bytes: int = MOST_BYTES,
        methods: Sequence[str] = (),
    ) -> None:
        """Connect. ``methods`` are those of the requests that will be sent, where one of them is HEAD."""
        self.target = Target.parse(target) if isinstance(target, str) else target
        self.patience = self.target.patience if patience is None else patience
        self.socket = self.target.connect(receive_buffer=receive_buffer, timeout=self.patience)
        self.bytes_sent = 0
        self.bytes_received = 0
        self.peer_closed = False
        self.was_reset = False
        self._most_bytes = most_bytes
        self._reader = ResponseReader(methods)
        self._given = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    @property
    def methods(self) -> Sequence[str]:
        """The methods of the requests on this connection, in order, as far as one of them is HEAD."""
        return self._reader.methods

    @methods.setter
    def methods(self, methods: Sequence[str]) -> None:
        self._reader.methods = methods

    def send(self, data: bytes) -> Self:
        """Send all of it, in as few segments as the kernel makes."""
        view = memoryview(data)
        deadline = time.monotonic() + self.patience
        while view:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                count = self.socket.send(view)
            except (BrokenPipeError, ConnectionResetError):
                break
            self.bytes_sent += count
            view = view[count:]
        return self

    def send_split(self, data: bytes, at: Iterable[int], *, pause: float = 0.0) -> Self:
        """Send it in parts that end at these offsets, each in segments of its own, with a pause in seconds between."""
        start = 0
        for end in [*sorted({offset for offset in at if 0 < offset < len(data)}), len(data)]:
            self.send(data[start:end])
            start = end
            if pause and end < len(data):
                self.stall(pause)
        return self

    def send_bytewise(self, data: bytes, *, pause: float = 0.0) -> Self:
        """Send it a byte at a time, with a pause in seconds between."""
        return self.send_split(data, range(1, len(data)), pause=pause)

    def stall(self, seconds: float) -> Self:
        """Do nothing for a while."""
        time.sleep(seconds)
        return self

    def play(self, schedule: Schedule) -> Self:
        """Do what a schedule says, step by step."""
        for step in schedule.steps:
            match step:
                case Send():
                    self.send(step.data)
                case Stall():
                    self.stall(step.seconds)
                case HalfClose():
                    self.half_close()
                case Reset():
                    self.reset()
        return self

    def half_close(self) -> Self:
        """Close the sending side: the server reads an end. Nothing happens where the connection is over."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """Reset the connection (SO_LINGER with a time of 0) and close it."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
        self.socket.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def read_response(self) -> Response:
        """Read the next final response. NoResponse where none is complete before the connection or patience ends."""
        transcript = self._read(self._given + 1, self.patience)
        if len(self._reader.responses) <= self._given:
            raise NoResponse(transcript)
        self._given += 1
        return self._reader.responses[self._given - 1]

    def read_responses(self, count: int, *, patience: float | None = None) -> Transcript:
        """Read until so many final responses have come since the connection began, or it or patience ends."""
        return self._read(count, self.patience if patience is None else patience)

    def read_interim(self, count: int) -> Transcript:
        """Read until so many interim responses (1xx) stand before the next final one, or that or an end comes."""
        return self._read(len(self._reader.responses) + 1, self.patience, interim=count)

    @property
    def interim(self) -> int:
        """How many interim responses (1xx) stand before the next final one, as far as it was read."""
        return self._reader.interim

    @property
    def is_over(self) -> bool:
        """Whether the server has ended or reset the connection, as far as it was read."""
        return self.peer_closed or self.was_reset

    def read_all(self, *, patience: float | None = None) -> Transcript:
        """Read until the server ends the connection, or patience does."""
        return self._read(None, self.patience if patience is None else patience)

    def _read(self, count: int | None, patience: float, interim: int | None = None) -> Transcript:
        deadline = time.monotonic() + patience
        while count is None or len(self._reader.responses) < count:
            if self.is_over or (self._reader.fault and count is not None):
                break
            if interim is not None and self._reader.interim >= interim:
                break
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self.bytes_received >= self._most_bytes:
                break
            self.socket.settimeout(remaining)
            try:
                data = self.socket.recv(_RECEIVE_BYTES)
            except TimeoutError:
                break
            except OSError:
                self.was_reset = True
                break
            self.bytes_received += len(data)
            self.peer_closed = not data
            self._reader.feed(data)
        if self._reader.fault:
            ending = Ending.MALFORMED
        elif self.was_reset:
            ending = Ending.RESET
        else:
            ending = Ending.CLOSED if self.peer_closed else Ending.OPEN
        return Transcript(tuple(self._reader.responses), ending, self._reader.rest, self._reader.fault)
