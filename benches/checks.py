"""Checks of the answers, before anything is timed: every load's requests, to the byte, in the manner of the load."""

from __future__ import annotations

import re
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benches import BenchError
from benches.loads import Load
from benches.servers import HOST

CHECK_SECONDS = 20.0


@dataclass(frozen=True)
class Prepared:
    """A load as one server gets it."""

    #: The field lines that its requests have besides Host.
    fields: tuple[str, ...]
    #: The bytes of an answer, head and content: they differ where entity-tags have different lengths.
    least_bytes: int
    mean_bytes: float
    most_bytes: int


@dataclass(frozen=True)
class Answer:
    """One answer, taken apart: field names in lower case."""

    status: int
    fields: dict[str, str]
    content: bytes
    #: Head and content as they came.
    raw: bytes


class Connection:
    """A connection that reads answers."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._socket = socket.create_connection((HOST, port), timeout=CHECK_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    def _more(self) -> bool:
        data = self._socket.recv(1 << 20)
        self._received += data
        return bool(data)

    def answer(self) -> Answer:
        """Read one answer."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if not self._more():
                raise BenchError(f"the connection ended in a head: {bytes(self._received[:400])!r}")
        start, *lines = self._received[:end].decode("latin-1").split("\r\n")
        status = re.match(r"HTTP/1\.[01] (\d{3})(?: |$)", start)
        if status is None:
            raise BenchError(f"not a status line: {start[:400]!r}")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if status[1] == "304" else self._content_length(fields)
        size = end + 4 + length
        while len(self._received) < size:
            if not self._more():
                raise BenchError(f"the connection ended in the content: {len(self._received) - end - 4} of {length}")
        raw = bytes(self._received[:size])
        del self._received[:size]
        return Answer(int(status[1]), fields, raw[end + 4 :], raw)

    @staticmethod
    def _content_length(fields: dict[str, str]) -> int:
        value = fields.get("content-length", "")
        if not re.fullmatch(r"\d+", value):
            raise BenchError(f"no Content-Length: {fields}")
        return int(value)

    def must_end(self) -> None:
        """Complain where anything follows, or the server does not close."""
        if self._received or self._more():
            raise BenchError(f"bytes follow the last answer: {bytes(self._received[:100])!r}")


def request(name: str, port: int, *fields: str, version: str = "HTTP/1.1") -> bytes:
    """A request as it goes out."""
    lines = [f"GET /{name} {version}", f"Host: {HOST}:{port}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def prepare(port: int, load: Load, root: Path) -> Prepared:
    """Check what a server answers to the load, and find out what its requests and answers look like."""
    fields = tuple(load.range_field())
    if load.conditional:
        fields += (f"If-None-Match: {entity_tag(port, load.names[0])}",)
    sizes = check_kept_alive(port, load, fields, root)
    check_pipelined(port, load, fields, root)
    if load.closing:
        check_closing(port, load, root)
    return Prepared(fields, min(sizes), sum(sizes) / len(sizes), max(sizes))


def entity_tag(port: int, name: str) -> str:
    """The server's own entity-tag of a file."""
    with closing(Connection(port)) as connection:
        connection.send(request(name, port))
        answer = connection.answer()
    if "etag" not in answer.fields:
        raise BenchError(f"/{name}: no ETag: {answer.fields}")
    return answer.fields["etag"]


def check_kept_alive(port: int, load: Load, fields: tuple[str, ...], root: Path) -> list[int]:
    """Ask for every name twice on one connection; return the bytes of each answer."""
    sizes = []
    with closing(Connection(port)) as connection:
        for name in load.names:
            document = _document(root, name)
            for _ in range(2):
                connection.send(request(name, port, *fields))
                answer = connection.answer()
                check_answer(load, name, answer, document)
                if answer.fields.get("connection", "").lower() == "close":
                    raise BenchError("it closes a connection that was to be kept alive")
            sizes.append(len(answer.raw))
    return sizes


def check_pipelined(port: int, load: Load, fields: tuple[str, ...], root: Path) -> None:
    """Send as many requests in one write as the load does; the last one closes."""
    name = load.names[0]
    one, last = request(name, port, *fields), request(name, port, *fields, "Connection: close")
    document = _document(root, name)
    with closing(Connection(port)) as connection:
        connection.send(one * (load.depth - 1) + last)
        for _ in range(load.depth):
            check_answer(load, name, connection.answer(), document)
        connection.must_end()


def check_closing(port: int, load: Load, root: Path) -> None:
    """Ask as ab does."""
    with closing(Connection(port)) as connection:
        connection.send(request(load.names[0], port, "Connection: close", version="HTTP/1.0"))
        check_answer(load, load.names[0], connection.answer(), _document(root, load.names[0]))
        connection.must_end()


def _document(root: Path, name: str) -> bytes:
    path = root / name
    return path.read_bytes() if path.exists() else b""


def check_answer(load: Load, name: str, answer: Answer, document: bytes) -> None:
    """Compare an answer with what the load is due of a document.

    Nothing is opened here: to open a file that a server watches is to tell it of a change that may come.
    """
    if answer.status != load.status:
        raise BenchError(f"/{name}: status {answer.status}, not {load.status}")
    if load.content_length is None:
        return
    if len(answer.content) != load.content_length:
        raise BenchError(f"/{name}: {len(answer.content)} bytes of content, not {load.content_length}")
    if load.status == 304:
        return
    expected = document
    if load.range is not None:
        first, last = load.range
        due = f"bytes {first}-{last}/{len(expected)}"
        if answer.fields.get("content-range") != due:
            raise BenchError(f"/{name}: Content-Range {answer.fields.get('content-range')!r}, not {due!r}")
        expected = expected[first : last + 1]
    if answer.content != expected:
        raise BenchError(f"/{name}: wrong content")
