"""Responses out of received bytes: parsed by h11, their raw bytes kept. It must never touch a socket."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

import h11

#: The largest head of a response that is read, in bytes.
LARGEST_HEAD = 1 << 20
#: The most interim responses that are read before a final one: more have no end.
MOST_INTERIM = 1000


class Ending(enum.StrEnum):
    """How a connection stood when reading from it ended."""

    CLOSED = "closed"
    """The server closed it in order."""
    RESET = "reset"
    """The server reset it."""
    OPEN = "open"
    """It is open still: all that was wanted is read, or patience ran out."""
    MALFORMED = "malformed"
    """What came is no HTTP/1.x response."""


@dataclass(frozen=True, slots=True)
class Response:
    """One final response.

    ``fields`` has the field lines in order, names in lower case. ``content`` is decoded from chunks where it was
    chunked. ``raw`` has every byte of it, those of the interim responses before it (their statuses in ``interim``)
    included.
    """

    status: int
    version: str
    reason: str
    fields: tuple[tuple[str, str], ...]
    content: bytes
    interim: tuple[int, ...]
    raw: bytes

    def field(self, name: str) -> str | None:
        """The value of the field line with this name, several joined by ", "; None where there is none."""
        values = [value for key, value in self.fields if key == name.lower()]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was read from a connection: responses in order, what followed them, and how it ended.

    ``rest`` has the bytes that are no complete response; ``fault`` says what was wrong with them where they are
    malformed.
    """

    responses: tuple[Response, ...]
    ending: Ending
    rest: bytes = b""
    fault: str = ""

    @property
    def statuses(self) -> tuple[int, ...]:
        """The status codes in order."""
        return tuple(response.status for response in self.responses)


@dataclass
class ResponseReader:
    """Takes received bytes and gives the responses in them, in order.

    ``methods`` are those of the requests that are answered, in order; a response to HEAD has no content. Where there
    are more responses than methods, the others answer GET.
    """

    methods: Sequence[str] = ()
    most: int = 10_000
    responses: list[Response] = field(default_factory=list)
    fault: str = ""
    _connection: h11.Connection | None = None
    _raw: bytearray = field(default_factory=bytearray)
    _head: h11.Response | None = None
    _content: list[bytes] = field(default_factory=list)
    _interim: list[int] = field(default_factory=list)

    @property
    def rest(self) -> bytes:
        """The bytes that are no complete response so far."""
        return bytes(self._raw)

    @property
    def interim(self) -> int:
        """How many interim responses stand before the next final one so far."""
        return 0 if self._connection is None else len(self._interim)

    def feed(self, data: bytes) -> None:
        """Take in bytes; none means that the connection has ended."""
        if self.fault:
            self._raw += data
            return
        ended = not data
        while data or ended:
            if data and len(self.responses) >= self.most:
                self._raw += data
                self.fault = f"more than {self.most} responses"
                return
            connection = self._begin()
            try:
                connection.receive_data(data)
                self._raw += data
                data = self._take_events(connection)
            except (h11.RemoteProtocolError, ValueError) as error:
                # An end with nothing before it, or interim responses alone, is no fault; h11 calls it one.
                if ended and not self.has_begun:
                    self._raw.clear()
                else:
                    self.fault = str(error)
                return
            ended = False

    def _begin(self) -> h11.Connection:
        if self._connection is None:
            answered = len(self.responses)
            method = self.methods[answered] if answered < len(self.methods) else "GET"
            self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
            # What a CONNECT is answered with is read as if it answered a GET: no tunnel is wanted.
            asked = "HEAD" if method == "HEAD" else "GET"
            self._connection.send(h11.Request(method=asked, target="/", headers=[("Host", "-")]))
            self._connection.send(h11.EndOfMessage())
            self._head, self._content, self._interim = None, [], []
        return self._connection

    @property
    def has_begun(self) -> bool:
        """Whether some of a final response has come, and not all of it; an interim one alone is none of it."""
        only_interim = bool(self._interim) and self._head is None and self._raw.endswith(b"\r\n\r\n")
        return bool(self._raw) and not only_interim

    def _take_events(self, connection: h11.Connection) -> bytes:
        """Take what is complete. Returns the bytes behind the end of a response."""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return b""
            if isinstance(event, h11.InformationalResponse):
                if len(self._interim) == MOST_INTERIM:
                    self.fault = f"more than {MOST_INTERIM} interim responses"
                    return b""
                self._interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.Data):
                self._content.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                behind = connection.trailing_data[0]
                self._complete(len(behind))
                return behind

    def _complete(self, behind: int) -> None:
        head = self._head
        if head is None:
            return
        raw = bytes(self._raw[: len(self._raw) - behind])
        self.responses.append(
            Response(
                status=head.status_code,
                version=head.http_version.decode("ascii"),
                reason=head.reason.decode("latin-1"),
                fields=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers),
                content=b"".join(self._content),
                interim=tuple(self._interim),
                raw=raw,
            )
        )
        self._raw.clear()
        self._connection = None
