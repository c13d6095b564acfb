"""A second opinion: a strict reading of bytes as HTTP/1.1 requests, written for clarity after RFC 9110 and 9112.

It reads whole buffers, slowly and once, and shares no code with the server; where the two differ, one of them is wrong.
It must never repair anything.

In a request-target it takes what clients send and means nothing here, ``[ ] ^ |`` and ``\\ { } ```, and what spoils the
path and no more, a fragment and bad percent-encoding: a strict server answers 400 to that and reads on.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\\\]^_`a-z{|}~]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CONTROL_OR_TAB = re.compile(rb"[\x00-\x1f\x7f]")
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_REG_NAME = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_IP_FUTURE = re.compile(rb"[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+")
_QUOTED_BEGUN = rb'"(?:[\t\x20!#-\[\]-~\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*'
_VALUE = rb"(?:" + TOKEN.pattern + rb"|" + _QUOTED_BEGUN + rb'")'
_EXTENSIONS = rb"(?:[ \t]*;[ \t]*" + TOKEN.pattern + rb"(?:[ \t]*=[ \t]*" + _VALUE + rb")?)*"
_CHUNK_EXTENSIONS = re.compile(_EXTENSIONS)
#: How extensions, and a trailer section's line, can begin whose end has not come.
_VALUE_BEGUN = rb"(?:" + _VALUE + rb"[ \t]*|" + _QUOTED_BEGUN + rb"\\?)?"
_ONE_BEGUN = rb"(?:" + TOKEN.pattern + rb"[ \t]*(?:=[ \t]*" + _VALUE_BEGUN + rb")?)?"
_EXTENSIONS_BEGUN = re.compile(_EXTENSIONS + rb"(?:[ \t]*(?:;[ \t]*" + _ONE_BEGUN + rb")?|\r)")
_TRAILER_BEGUN = re.compile(rb"(?:" + TOKEN.pattern + rb"(?::[\t\x20-\x7e\x80-\xff]*\r?)?|\r)?")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
_HEXDIG = tuple(bytes([digit]) for digit in b"0123456789ABCDEFabcdef")


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a server stops reading, in bytes and lines; those of pooled_httpd by default."""

    request_line: int = 8000
    head: int = 16384
    field_lines: int = 100
    content: int = 1 << 20
    chunk_extensions: int = 4096
    trailers: int = 8192
    empty_lines: int = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """Why bytes are no request: the rule, its section, and the status codes that fit."""

    rule: str
    section: str
    statuses: tuple[int, ...] = (400,)

    @property
    def is_of_a_limit(self) -> bool:
        """Whether it is only that there is too much of something: another server may take it."""
        return any(words in self.rule for words in ("too long", "too large", "too many"))

    @property
    def is_about_framing(self) -> bool:
        """Whether it leaves open where the next request begins: to serve it is dangerous (RFC 9112 section 11.2)."""
        return self.section.startswith(("RFC 9112 section 6", "RFC 9112 section 7", "RFC 9110 section 8.6"))


@dataclass(frozen=True, slots=True)
class Message:
    """A well-formed request. Field names are in lower case; ``persists`` is whether another may follow."""

    method: bytes
    target: bytes
    minor: int
    fields: tuple[tuple[bytes, bytes], ...]
    content: bytes
    persists: bool
    expects_continue: bool = False

    def values(self, name: bytes) -> list[bytes]:
        """The values of the field lines with this name, in order."""
        return [value for key, value in self.fields if key == name]


class Place(enum.StrEnum):
    """A part of a request."""

    REQUEST_LINE = "request line"
    HEADERS = "header section"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Reading:
    """What bytes are: requests in order, then a fault, or the beginning of a request, or nothing more.

    Where it is the beginning of a request, ``place`` says in what part of it the bytes end.

    ``ignored`` has what follows a request that does not persist, or a fault. ``methods`` are those of the requests
    and of what is refused, as far as its request line is one.
    """

    messages: tuple[Message, ...]
    fault: Fault | None = None
    incomplete: bytes = b""
    place: Place = Place.REQUEST_LINE
    ignored: bytes = b""
    methods: tuple[str, ...] = ()

    @property
    def is_malformed(self) -> bool:
        """Whether there is something that is no request, cut-off ones included."""
        return self.fault is not None or bool(self.incomplete)


class _Refused(Exception):
    def __init__(self, rule: str, section: str, *statuses: int) -> None:
        self.fault = Fault(rule, section, statuses or (400,))
        super().__init__(rule)


class _Incomplete(Exception):
    pass


def read(data: bytes, limits: Limits | None = None) -> Reading:
    """Read bytes as a stream of requests, as far as they can be read in one way only."""
    limits = limits or Limits()
    messages: list[Message] = []
    methods: list[str] = []
    position = 0
    while position < len(data):
        place = Place.REQUEST_LINE
        try:
            start = _skip_empty_lines(data, position, limits)
            if start == len(data):
                break
            method, target, minor, after_line = _read_request_line(data, start, limits)
            methods.append(method.decode("ascii"))
            place = Place.HEADERS
            fields, after_head = _fields(data, start, after_line, limits)
            place = Place.CONTENT
            message, end = _content(data, after_head, method, target, minor, fields, limits)
        except _Refused as refused:
            return Reading(tuple(messages), refused.fault, ignored=data[position:], methods=tuple(methods))
        except _Incomplete:
            return Reading(tuple(messages), incomplete=data[position:], place=place, methods=tuple(methods))
        messages.append(message)
        position = end
        if not message.persists:
            break
    return Reading(tuple(messages), ignored=data[position:], methods=tuple(methods))


def _skip_empty_lines(data: bytes, position: int, limits: Limits) -> int:
    lines = 0
    while data.startswith(b"\r\n", position):
        lines += 1
        position += 2
        if lines > limits.empty_lines:
            raise _Refused("too many empty lines before the request line", "RFC 9112 section 2.2")
    if data[position:] == b"\r":
        raise _Incomplete
    return position


def _line(data: bytes, start: int, *, tabs: bool) -> tuple[bytes, int]:
    """The line that begins at ``start`` and where the next one does. A control byte in it is a fault at once."""
    found = (_CONTROL if tabs else _CONTROL_OR_TAB).search(data, start)
    if found is None:
        raise _Incomplete
    end = found.start()
    if found[0] == b"\n":
        raise _Refused("bare LF", "RFC 9112 section 2.2")
    if found[0] != b"\r":
        raise _Refused("control byte", "RFC 9110 section 5.5")
    if end + 1 == len(data):
        raise _Incomplete
    if not data.startswith(b"\n", end + 1):
        raise _Refused("bare CR", "RFC 9112 section 2.2")
    return data[start:end], end + 2


def _read_request_line(data: bytes, start: int, limits: Limits) -> tuple[bytes, bytes, int, int]:
    try:
        line, position = _line(data, start, tabs=False)
    except _Incomplete:
        if len(data) - start > limits.request_line + 1:
            raise _Refused("request line too long", "RFC 9112 section 3", 414) from None
        raise
    except _Refused as refused:
        raise _Refused(refused.fault.rule, refused.fault.section, 400, 414) from None
    if len(line) > limits.request_line:
        raise _Refused("request line too long", "RFC 9112 section 3", 414)
    return *_request_line(line), position


def _request_line(line: bytes) -> tuple[bytes, bytes, int]:
    parts = line.split(b" ")
    if len(parts) != 3 or not all(parts):
        raise _Refused("not method SP request-target SP HTTP-version", "RFC 9112 section 3", 400, 505)
    method, target, version = parts
    if not TOKEN.fullmatch(method):
        raise _Refused("the method is not a token", "RFC 9110 section 9.1")
    numbers = _VERSION.fullmatch(version)
    if numbers is None:
        raise _Refused("not an HTTP-version", "RFC 9112 section 2.3")
    if numbers[1] != b"1":
        raise _Refused("another major version", "RFC 9110 section 15.6.6", 505, 400)
    _check_target(method, target)
    return method, target, int(numbers[2])


def _check_target(method: bytes, target: bytes) -> None:
    fault = _Refused("the request-target has none of the forms that the method takes", "RFC 9112 section 3.2")
    if not _TARGET.fullmatch(target):
        raise fault
    if method == b"CONNECT":
        host, _, port = target.rpartition(b":")
        if not host or not port.isdigit() or not is_host(target):
            raise fault
    elif target == b"*":
        if method != b"OPTIONS":
            raise fault
    elif not target.startswith(b"/"):
        if target[:7].lower() != b"http://":
            raise fault
        authority = re.split(rb"[/?#]", target[7:], maxsplit=1)[0]
        if not is_host(authority):
            raise fault


def is_host(value: bytes) -> bool:
    """Whether it is ``uri-host [ ":" port ]`` with a host that is not empty and a port that TCP has."""
    if value.startswith(b"["):
        literal, bracket, rest = value[1:].partition(b"]")
        if not bracket or not (_IP_FUTURE.fullmatch(literal) or _is_ipv6(literal)):
            return False
        port = rest.removeprefix(b":")
        if rest and not rest.startswith(b":"):
            return False
    else:
        host, _, port = value.partition(b":")
        if not _REG_NAME.fullmatch(host):
            return False
    digits = port.lstrip(b"0") or b"0"
    return not port or (port.isdigit() and len(digits) <= 5 and int(digits) <= 65535)


def _is_ipv6(literal: bytes) -> bool:
    try:
        ipaddress.IPv6Address(literal.decode("ascii"))
    except ValueError:
        return False
    return b"%" not in literal


def _fields(data: bytes, start: int, position: int, limits: Limits) -> tuple[list[tuple[bytes, bytes]], int]:
    fields: list[tuple[bytes, bytes]] = []
    while True:
        try:
            line, position = _line(data, position, tabs=True)
        except _Incomplete:
            if len(data) - start >= limits.head:
                raise _Refused("head too large", "RFC 6585 section 5", 431) from None
            raise
        except _Refused as refused:
            raise _Refused(refused.fault.rule, refused.fault.section, 400, 431) from None
        if position - start > limits.head:
            raise _Refused("head too large", "RFC 6585 section 5", 431)
        if not line:
            return fields, position
        if len(fields) == limits.field_lines:
            raise _Refused("too many field lines", "RFC 6585 section 5", 431)
        if line[:1] in (b" ", b"\t"):
            raise _Refused("obsolete line folding", "RFC 9112 section 5.2")
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise _Refused("the field name is not a token followed by a colon", "RFC 9112 section 5.1")
        fields.append((name.lower(), value.strip(b" \t")))


def _elements(values: Sequence[bytes]) -> list[bytes]:
    return [element.strip(b" \t") for value in values for element in value.split(b",")]


def _content(
    data: bytes,
    position: int,
    method: bytes,
    target: bytes,
    minor: int,
    fields: list[tuple[bytes, bytes]],
    limits: Limits,
) -> tuple[Message, int]:
    def values(name: bytes) -> list[bytes]:
        return [value for key, value in fields if key == name]

    _check_host(values(b"host"), minor)
    options = {option.lower() for option in _elements(values(b"connection"))}
    persists = b"close" not in options and (minor > 0 or b"keep-alive" in options)
    length = _content_length(values(b"content-length"), values(b"transfer-encoding"), minor, limits)
    expects = False
    for value in values(b"expect"):
        if value.lower() == b"100-continue":
            expects = minor > 0 and length != 0
        elif length != 0:
            # It is refused (417), and whether the content follows cannot be told, so the connection ends.
            return Message(method, target, minor, tuple(fields), b"", False), position
    if length is None:
        content, position = _chunked(data, position, limits)
    else:
        if len(data) - position < length:
            raise _Incomplete
        content, position = data[position : position + length], position + length
    return Message(method, target, minor, tuple(fields), content, persists, expects), position


def _check_host(hosts: list[bytes], minor: int) -> None:
    if not hosts and minor > 0:
        raise _Refused("Host is missing", "RFC 9112 section 3.2")
    if len(hosts) > 1:
        raise _Refused("Host is repeated", "RFC 9112 section 3.2")
    if hosts and not is_host(hosts[0]):
        raise _Refused("Host is not uri-host [ port ]", "RFC 9110 section 7.2")


def _content_length(lengths: list[bytes], codings: list[bytes], minor: int, limits: Limits) -> int | None:
    """The length of the content in bytes, or None where it is chunked."""
    if codings:
        if lengths:
            raise _Refused("Transfer-Encoding and Content-Length", "RFC 9112 section 6.1")
        if minor == 0:
            raise _Refused("Transfer-Encoding in HTTP/1.0", "RFC 9112 section 6.1")
        names = [coding.lower() for coding in _elements(codings)]
        if names == [b"chunked"]:
            return None
        raise _Refused("transfer codings other than chunked alone", "RFC 9112 section 6.1", 400, 501)
    if len(lengths) > 1:
        raise _Refused("Content-Length is repeated", "RFC 9112 section 6.3")
    if not lengths:
        return 0
    if not re.fullmatch(rb"[0-9]+", lengths[0]):
        raise _Refused("Content-Length is not 1*DIGIT", "RFC 9110 section 8.6")
    digits = lengths[0].lstrip(b"0") or b"0"
    if len(digits) > 19 or int(digits) > limits.content:
        raise _Refused("content too large", "RFC 9110 section 15.5.14", 413)
    return int(digits)


def _chunked(data: bytes, position: int, limits: Limits) -> tuple[bytes, int]:
    content = b""
    extensions = 0
    while True:
        size = _CHUNK_SIZE.match(data, position)
        if size is None and position < len(data):
            raise _Refused("the chunk size is not 1*HEXDIG", "RFC 9112 section 7.1")
        if size is None or size.end() == len(data):
            raise _Incomplete
        if data[size.end() : size.end() + 1] in _HEXDIG:
            raise _Refused("chunk size too long", "RFC 9112 section 7.1")
        if len(content) + int(size[0], 16) > limits.content:
            raise _Refused("content too large", "RFC 9110 section 15.5.14", 413)
        try:
            line, position = _line(data, size.end(), tabs=True)
        except _Incomplete:
            if not _EXTENSIONS_BEGUN.fullmatch(data, size.end()):
                raise _Refused("malformed chunk size or extension", "RFC 9112 section 7.1.1") from None
            raise
        if not _CHUNK_EXTENSIONS.fullmatch(line):
            raise _Refused("malformed chunk size or extension", "RFC 9112 section 7.1.1")
        extensions += len(line)
        if extensions > limits.chunk_extensions:
            raise _Refused("chunk extensions too long", "RFC 9112 section 7.1.1")
        length = int(size[0], 16)
        if length == 0:
            return content, _trailers(data, position, limits)
        content += data[position : position + length]
        end = data[position + length : position + length + 2]
        if not b"\r\n".startswith(end):
            raise _Refused("the data of a chunk is not followed by CRLF", "RFC 9112 section 7.1")
        if len(end) < 2:
            raise _Incomplete
        position += length + 2


def _trailers(data: bytes, position: int, limits: Limits) -> int:
    start, lines = position, 0
    while True:
        try:
            line, position = _line(data, position, tabs=True)
        except _Incomplete:
            if not _TRAILER_BEGUN.fullmatch(data, position):
                raise _Refused("malformed trailer section", "RFC 9112 section 7.1.2") from None
            raise
        if position - start > limits.trailers:
            raise _Refused("trailer section too large", "RFC 9112 section 7.1.2", 400, 431)
        if not line:
            return position
        lines += 1
        name, colon, value = line.partition(b":")
        if lines > limits.field_lines or not colon or not TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise _Refused("malformed trailer section", "RFC 9112 section 7.1.2")
