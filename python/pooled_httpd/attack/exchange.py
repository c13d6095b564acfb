"""Many short conversations at once: each sends its bytes, closes its sending side and reads to the end.

Because the client announces its end, a server has all that it will get and must answer or close at once: whoever does
neither hangs. Bytes go out on every connection of a batch before the first is read, so that the server works meanwhile.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pooled_httpd.attack.reading import Ending, ResponseReader
from pooled_httpd.attack.reference import Reading
from pooled_httpd.attack.target import Target

_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.[01] ([2-5][0-9][0-9]) [^\r\n\0]*\r\n(?:[^\r\n\0]+\r\n)*?Content-Length: ([0-9]{1,12})\r\n",
    re.IGNORECASE,
)
_NO_CONTENT = (b"204", b"304")
_RECEIVE_BYTES = 1 << 18
#: So many responses more than there were requests are read: they are too many by far.
_MOST_MORE = 16
#: The most bytes that are read of one conversation: more is an answer without an end.
MOST_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back: the status codes of final responses, how it ended, all bytes, and what was wrong with them."""

    statuses: tuple[int, ...]
    ending: Ending
    received: bytes
    fault: str = ""


def exchange(target: Target, requests: Sequence[bytes], readings: Sequence[Reading], patience: float) -> list[Seen]:
    """Send each on a connection of its own and read what comes back, in ``patience`` seconds each.

    ``readings`` say what the requests are, and so how the answers are read. Raises OSError where no connection can be
    made.
    """
    connections: list[socket.socket] = []
    try:
        for data in requests:
            connections.append(_open(target, data, patience))
        return [_read(connection, reading, patience) for connection, reading in zip(connections, readings, strict=True)]
    finally:
        for connection in connections:
            connection.close()


def _open(target: Target, data: bytes, patience: float) -> socket.socket:
    connection = socket.socket(socket.AF_INET6 if ":" in target.address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # The kernel's own time limits: a blocking call then is one system call, not two.
        limit = struct.pack("ll", int(patience), int(patience % 1 * 1_000_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        connection.connect((target.address, target.port))
    except BaseException:
        connection.close()
        raise
    try:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        # The server has closed already, or takes no more; what it said can still be read.
        pass
    return connection


def _read(connection: socket.socket, reading: Reading, patience: float) -> Seen:
    received = bytearray()
    deadline = time.monotonic() + patience
    ending = Ending.CLOSED
    while True:
        try:
            data = connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            ending = Ending.OPEN
            break
        except OSError:
            ending = Ending.RESET
            break
        if not data:
            break
        received += data
        if len(received) > MOST_BYTES or time.monotonic() > deadline:
            ending = Ending.OPEN
            break
    return parse(bytes(received), reading, ending)


def parse(received: bytes, reading: Reading, ending: Ending) -> Seen:
    """The responses in received bytes. Plain ones are read here, for speed, all others by h11."""
    most = len(reading.messages) + _MOST_MORE
    statuses = _plain_statuses(received, reading.methods, most)
    if statuses is not None:
        return Seen(statuses, ending, received)
    reader = _read_strictly(received, reading.methods, ending, most)
    refused = len(reading.messages)
    if reader.fault and reading.is_malformed and len(reader.responses) >= refused:
        # Whoever refuses what it could not read does not know whether it was a HEAD.
        was_head = reading.methods[refused : refused + 1] == ("HEAD",)
        methods = [*reading.methods[:refused], "GET" if was_head else "HEAD"]
        other = _read_strictly(received, methods, ending, most)
        reader = reader if other.fault else other
    fault = reader.fault or ("an incomplete response" if reader.has_begun else "")
    if fault and ending is Ending.CLOSED:
        ending = Ending.MALFORMED
    return Seen(tuple(response.status for response in reader.responses), ending, received, fault)


def _read_strictly(received: bytes, methods: Sequence[str], ending: Ending, most: int) -> ResponseReader:
    reader = ResponseReader(methods, most)
    reader.feed(received)
    if ending is Ending.CLOSED:
        reader.feed(b"")
    return reader


def _plain_statuses(received: bytes, methods: Sequence[str], most: int) -> tuple[int, ...] | None:
    """The status codes where every response has a Content-Length and all of its content; None where it takes more."""
    statuses: list[int] = []
    position = 0
    while position < len(received):
        if len(statuses) > most:
            return None
        head = _PLAIN_HEAD.match(received, position)
        end = received.find(b"\r\n\r\n", position)
        if head is None or end < 0 or head.end() > end + 2 or not _is_plain(received[position:end]):
            return None
        is_head = len(statuses) < len(methods) and methods[len(statuses)] == "HEAD"
        length = 0 if is_head or head[1] in _NO_CONTENT else int(head[2])
        position = end + 4 + length
        statuses.append(int(head[1]))
    return tuple(statuses) if position == len(received) else None


def _is_plain(head: bytes) -> bool:
    """Whether one Content-Length says how long the content is, and nothing else does."""
    fields = head.lower()
    return fields.count(b"\ncontent-length") == 1 and b"\ntransfer-encoding" not in fields
