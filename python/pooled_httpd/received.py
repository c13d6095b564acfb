"""A request that the server has received, as ``Server.requests()`` tells of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pooled_httpd import _native

if TYPE_CHECKING:
    from pooled_httpd._native import Server, _RecordedFacts

__all__ = ["Fields", "ReceivedRequest", "recorded_requests", "request_of"]


class Fields:
    """The field lines of a request, in their order: a name may stand more than once, and its case does not matter.

    ``fields["host"]`` is the first value of that name (KeyError where there is none), ``fields.get(name)`` the same or
    None, ``fields.all(name)`` all of them; ``fields.items()``, or iterating, gives pairs of name and value as received.
    """

    __slots__ = ("_lines",)

    def __init__(self, lines: tuple[tuple[str, str], ...]) -> None:
        """Take the pairs of name and value."""
        self._lines = lines

    def __getitem__(self, name: str) -> str:
        """Return the first value of that name; raise KeyError where there is none."""
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of that name, or ``default``."""
        return next(iter(self.all(name)), default)

    def all(self, name: str) -> list[str]:
        """Return every value of that name, in the order of the lines."""
        return [value for other, value in self._lines if other.lower() == name.lower()]

    def __contains__(self, name: object) -> bool:
        """Whether a line has that name."""
        return isinstance(name, str) and bool(self.all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Iterate over the pairs of name and value."""
        return iter(self._lines)

    def items(self) -> list[tuple[str, str]]:
        """Return the pairs of name and value, as a mapping would; a name may be in more than one."""
        return list(self._lines)

    def __len__(self) -> int:
        """Return the number of field lines."""
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        """Whether the lines are the same, in the same order."""
        return isinstance(other, Fields) and self._lines == other._lines

    def __hash__(self) -> int:
        """Hash by the lines."""
        return hash(self._lines)

    def __repr__(self) -> str:
        """Show the pairs."""
        return f"Fields({list(self._lines)!r})"


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that is over, answered or not. What is text has been decoded as ISO-8859-1, so that no byte is lost."""

    #: The number of its connection, from 0 since the start or the last reset: ``[CONN 3]`` in the story.
    connection: int
    #: Which request of its connection it is, from 1.
    number: int
    #: The client's address and port; None on a Unix socket.
    peer: tuple[str, int] | None
    #: When it was over, in seconds since 1970, to the millisecond.
    time: float
    #: From its first byte until its response was handed over, in seconds.
    duration: float
    #: The status code of the answer; None where there was none, 0 where it had no status line (a registered fault).
    status: int | None
    #: The bytes of content that were sent.
    bytes_sent: int
    #: The bytes of content that were received, without any transfer coding.
    content_length: int
    #: The head as it was received, its empty line included; where it was refused, as far as it was received.
    head: bytes
    #: The content without any transfer coding; its beginning where it is longer than a quarter of the record's memory;
    #: empty, whatever content_length says, where a piece of it has given way to other requests.
    content: bytes
    #: Whether it was understood; a request that was refused (400 and the like) was not.
    is_valid: bool = field(default=True)

    @cached_property
    def _lines(self) -> list[str]:
        return self.head.decode("iso-8859-1").split("\r\n")

    @cached_property
    def _request_line(self) -> tuple[str, str, str]:
        parts = next((line for line in self._lines if line), "").split(" ")
        return (parts[0], " ".join(parts[1:-1]), parts[-1]) if len(parts) > 2 else ("", "", "")

    @property
    def method(self) -> str:
        """The method, such as ``GET``; empty where the request line has no three parts."""
        return self._request_line[0]

    @property
    def target(self) -> str:
        """The request-target as it was received, such as ``/a%20b?c=d`` (RFC 9112 section 3.2)."""
        return self._request_line[1]

    @property
    def version(self) -> str:
        """The version, such as ``HTTP/1.1``."""
        return self._request_line[2]

    @property
    def path(self) -> str:
        """The path as the server reads it, such as ``/a b`` of ``/x/..//a%20b`` and of ``http://host/a%20b?c=d``.

        Percent-decoded (what is no UTF-8 is replaced), without empty and dot-segments, without the query. Empty where
        the server reads none: of a target that it refuses, of ``*`` and of CONNECT.
        """
        return self._read[0]

    @property
    def query(self) -> str:
        """The query as it was received, without its question mark; empty where there is none, or no path."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[str, str]:
        read = _native._read_target(self.method, self.target)
        if read is None:
            return "", ""
        path, query = read
        return path.decode("utf-8", "replace"), (query or b"").decode("iso-8859-1")

    @cached_property
    def fields(self) -> Fields:
        """The field lines."""
        start = next((index for index, line in enumerate(self._lines) if line), 0)
        pairs = (line.partition(":") for line in self._lines[start + 1 :] if ":" in line)
        return Fields(tuple((name, value.strip(" \t")) for name, _, value in pairs))

    @property
    def text(self) -> str:
        """The content as UTF-8; what is none is replaced."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:  # noqa: ANN401 - whatever it holds
        """Return the content read as JSON; raise ValueError where it is none."""
        return json.loads(self.content)

    @property
    def received_at(self) -> datetime:
        """When it was over, as a time of UTC."""
        return datetime.fromtimestamp(self.time, UTC)

    def __str__(self) -> str:
        """Tell of it in a line."""
        line = f"{self.method} {self.target}" if self.method else repr(self.head[:60])
        status = "no answer" if self.status is None else self.status or "no status line"
        return f"{line} -> {status}, {self.bytes_sent:,} bytes sent, {self.duration * 1000:.1f} ms"


def request_of(facts: _RecordedFacts) -> ReceivedRequest:
    """Return a recorded request."""
    connection, number, peer, wall, duration, status, sent, length, head, content, is_valid = facts
    return ReceivedRequest(
        connection=connection,
        number=number,
        peer=peer,
        time=wall / 1000,
        duration=duration / 1e9,
        status=status,
        bytes_sent=sent,
        content_length=length,
        head=head,
        content=content,
        is_valid=is_valid,
    )


def recorded_requests(server: Server) -> list[ReceivedRequest] | None:
    """Return every request that is recorded; None where nothing is to be."""
    kept = _native._requests(server)
    return None if kept is None else [request_of(facts) for facts in kept[0]]
