"""Requests by the grammar, and requests that depart from it, out of choices that somebody else makes.

Who chooses is a :class:`Chooser`: a seeded random number generator for the fuzzer, Hypothesis for the strategies.
Simple choices come first everywhere, so that Hypothesis shrinks towards a short plain request with one thing wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


class Chooser(Protocol):
    """Who makes the choices."""

    def integer(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``, both included."""

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""

    def data(self, alphabet: bytes, low: int, high: int) -> bytes:
        """From ``low`` to ``high`` bytes of the alphabet."""

    def chance(self, one_in: int) -> bool:
        """True once in so many times."""


class RandomChooser:
    """Choices of a random number generator; one seed, one request."""

    def __init__(self, seed: int | str) -> None:
        """Begin at a seed."""
        self._random = random.Random(seed)
        self._unit = self._random.random

    def integer(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``, both included."""
        return low + int(self._unit() * (high - low + 1))

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int(self._unit() * len(options))]

    def data(self, alphabet: bytes, low: int, high: int) -> bytes:
        """From ``low`` to ``high`` bytes of the alphabet."""
        return bytes(self._random.choices(alphabet, k=self.integer(low, high)))

    def chance(self, one_in: int) -> bool:
        """True once in so many times."""
        return self._unit() * one_in < 1


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a request: its bytes, and its kind, which says how it can go wrong."""

    kind: str
    data: bytes


ANY_BYTE = bytes(range(256))
TCHAR = b"abcXYZ019!#$%&'*+-.^_`|~"
_PATH_CHARACTERS = b"abcXYZ019-._~!$&'()*+,;=:@"
_VALUE_CHARACTERS = b"abcXYZ019 \t!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~\\\x80\xe9\xff"

METHODS = (b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"BREW", b"get")
WITH_CONTENT = (b"POST", b"GET", b"PUT", b"DELETE", b"OPTIONS", b"BREW")
HOSTS = (b"a", b"localhost", b"localhost:8080", b"127.0.0.1", b"[::1]", b"[::1]:80", b"a.example:", b"x%41y:1")
_RANGES = (
    b"bytes=0-0",
    b"bytes=-1",
    b"bytes=0-",
    b"bytes=0-1,3-4",
    b"bytes=9999999-",
    b"bytes=1-0",
    b"lines=1-2",
    b"bytes=",
)
_DATES = (
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994",
    b"yesterday",
)
_TAGS = (b"*", b'"x"', b'W/"x"', b'"x", "y"', b"x")
FIELDS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"X", (b"y", b"", b"a b", b"\xe9", b'a,b;c="d"')),
    (b"Connection", (b"keep-alive", b"close", b"x, close", b"upgrade", b",,keep-alive,")),
    (b"Range", _RANGES),
    (b"If-None-Match", _TAGS),
    (b"If-Match", _TAGS),
    (b"If-Modified-Since", _DATES),
    (b"If-Unmodified-Since", _DATES),
    (b"If-Range", (*_TAGS, *_DATES)),
    (b"Accept-Encoding", (b"gzip", b"br;q=1, *;q=0", b"identity;q=0", b"gzip;q=x")),
    (b"Accept", (b"*/*", b"text/html", b"application/json;q=0.5")),
    (b"Expect", (b"100-continue", b"a-miracle")),
    (b"User-Agent", (b"Mozilla/5.0 (attack)",)),
    (b"Referer", (b"http://a/",)),
    (b"Origin", (b"http://a", b"null")),
    (b"TE", (b"trailers",)),
    (b"Upgrade", (b"h2c", b"websocket")),
    (b"Cookie", (b"a=b; c=d",)),
)
_EXTENSIONS = (b"", b"", b"", b";a", b";a=b", b';a="b c"', b" ; a = b")


def valid_pieces(chooser: Chooser, known_path: bytes = b"/") -> list[Piece]:
    """A well-formed request by the grammar of RFC 9112, in pieces that make it up in order."""
    has_content = chooser.chance(2)
    method = chooser.choice(WITH_CONTENT if has_content else METHODS)
    minor = b"0" if chooser.chance(10) else b"1"
    pieces = [Piece("empty line", b"\r\n")] if chooser.chance(20) else []
    pieces += [Piece("method", method), Piece("space", b" "), Piece("target", _target(chooser, method, known_path))]
    pieces += [Piece("space", b" "), Piece("version", b"HTTP/1." + minor), Piece("line end", b"\r\n")]
    lines = [(b"Host", chooser.choice(HOSTS), "host")]
    for _ in _repeat(chooser, 0, 3):
        name, values = chooser.choice(FIELDS)
        lines.append((name, chooser.choice(values), "value"))
    if chooser.chance(6):
        lines.append((chooser.data(TCHAR, 1, 8), chooser.data(_VALUE_CHARACTERS, 0, 12), "value"))
    content: list[Piece] = []
    if has_content and minor == b"1" and chooser.chance(2):
        lines.append((b"Transfer-Encoding", b"chunked", "codings"))
        content = _chunks(chooser)
    elif has_content:
        content = [Piece("content", chooser.data(b"abc\r\n 0", 0, 40))]
        lines.append((b"Content-Length", b"%d" % len(content[0].data), "length"))
    for name, value, kind in lines:
        pieces += [Piece("name", name), Piece("colon", b":"), Piece("space before value", b" ")]
        pieces += [Piece(kind, value), Piece("line end", b"\r\n")]
    return [*pieces, Piece("head end", b"\r\n"), *content]


def _repeat(chooser: Chooser, low: int, high: int) -> Iterator[None]:
    """From ``low`` to ``high`` times, each further time a choice of its own: what one of them made can be left out."""
    for count in range(high):
        if count >= low and not chooser.chance(2):
            return
        yield


def _target(chooser: Chooser, method: bytes, known_path: bytes) -> bytes:
    kind = chooser.integer(0, 11)
    if kind < 5:
        return known_path
    if kind == 5 and method == b"OPTIONS":
        return b"*"
    if kind == 6:
        return b"http://" + chooser.choice(HOSTS) + known_path
    if kind == 7:
        return known_path + b"?" + chooser.data(_PATH_CHARACTERS + b"/?", 0, 8)
    segments = [
        chooser.choice((b"a", b".", b"", b"%41", b"%2e", b"a%20b", b"%ff", b".."))
        + chooser.data(_PATH_CHARACTERS, 0, 4)
        for _ in _repeat(chooser, 1, 3)
    ]
    return b"/" + b"/".join(segments)


def _chunks(chooser: Chooser) -> list[Piece]:
    pieces = []
    for _ in _repeat(chooser, 0, 3):
        data = chooser.data(b"abc\r\n 0", 1, 20)
        size = chooser.choice((b"%x", b"%X", b"00%x")) % len(data)
        pieces += [Piece("size", size), Piece("extension", chooser.choice(_EXTENSIONS)), Piece("line end", b"\r\n")]
        pieces += [Piece("content", data), Piece("line end", b"\r\n")]
    pieces += [Piece("size", b"0"), Piece("extension", chooser.choice(_EXTENSIONS)), Piece("line end", b"\r\n")]
    if chooser.chance(4):
        pieces += [Piece("name", b"T"), Piece("colon", b":"), Piece("value", b"v"), Piece("line end", b"\r\n")]
    return [*pieces, Piece("head end", b"\r\n")]


#: What a piece of a kind is replaced with where it goes wrong.
WRONG: dict[str, tuple[bytes, ...]] = {
    "empty line": (b"\n", b"\r", b"\r\n\r\n\r\n", b" \r\n"),
    "method": (b"", b"G T", b"GET\x00", b"(GET)", b"G\xc9T", b"\x16\x03\x01", b"GET/"),
    "space": (b"", b"  ", b"\t", b"\x0b", b"\x0c", b"\xa0", b"\r\n", b"\x00"),
    "target": (
        b"",
        b"index.html",
        b"/a b",
        b"/\xe9",
        b"/a\x00b",
        b"/<x>",
        b"https://a/",
        b"http:///",
        b"*",
        b"//",
        b"/a\tb",
    ),
    "version": (
        b"",
        b"HTTP/1.",
        b"HTTP/11",
        b"HTTP/1.10",
        b"HTTP/1.0",
        b"HTTP/01.1",
        b"http/1.1",
        b"HTTP/2.0",
        b"HTTP/0.9",
        b"HTTP/1.1 ",
        b"HTTP/4294967297.1",
        b"HTTP/1,1",
        b"HTTP /1.1",
        b"HTTP/1.1\x00",
    ),
    "line end": (
        b"\n",
        b"\r",
        b"\r\r\n",
        b"\n\r",
        b"",
        b"\r\n ",
        b"\r\n\t",
        b"\x00\r\n",
        b"\r\n\n",
        b"\x85",
        b"\x0b\r\n",
        b"\r\nHost: b\r\n",
        b"\r\nContent-Length: 1\r\n",
        b"\r\nTransfer-Encoding: chunked\r\n",
    ),
    "head end": (b"\n", b"\r", b"\r\r\n", b" \r\n", b"\x00", b"\n\r\n"),
    "host": (
        b"",
        b"a b",
        b"a,b",
        b"a/b",
        b"user@a",
        b"a:b",
        b"a:65536",
        b"[::1",
        b"::1",
        b"a\x00",
        b"[fe80::1%25e]",
        b"a\xe9",
    ),
    "name": (
        b"",
        b"Na me",
        b"Name ",
        b" Name",
        b"\tName",
        b"Na\x00me",
        b"N\xe4me",
        b"Na(me",
        b"\x0bName",
        b"\xa0Name",
        b"\x7f",
    ),
    "colon": (b"", b" :", b"\t:", b"=", b"\x00:", b" ", b"\x0b:"),
    "space before value": (b"\x0b", b"\x00", b"\r", b"\n", b"\r\n", b"\x0c"),
    "value": (b"a\x00b", b"a\rb", b"a\nb", b"\x1b[2J", b"\x7f", b"a\r\n b", b"a\r\n\tb", b"\x08"),
    "length": (
        b"",
        b"+5",
        b"-1",
        b"0x5",
        b"5 5",
        b"5,5",
        b"1_0",
        b"5.0",
        b"1e1",
        b"\xd9\xa5",
        b"18446744073709551616",
        b"18446744073709551621",
        b"99999999999",
        b"5;a",
        b"\x0b5",
        b"4294967301",
        b"9" * 400,
    ),
    "codings": (
        b"",
        b"identity",
        b"gzip",
        b"chunked, chunked",
        b"chunked, identity",
        b"xchunked",
        b"chunked;a=b",
        b"\x0bchunked",
        b"chunked\x00",
        b'"chunked"',
        b"chunked,",
        b", chunked",
        b"chunk\r\n ed",
        b"chunked chunked",
    ),
    "size": (
        b"",
        b"+1",
        b"-1",
        b"0x1",
        b" 1",
        b"1 ",
        b"g",
        b"1_0",
        b"ffffffffffffffff",
        b"10000000000000001",
        b"\x001",
        b"1\t1",
    ),
    "extension": (b";", b";=", b";a=", b';a="', b";a\x00", b" a", b";a=b c", b";a\rb", b";\n", b"\xa0;a", b';a="\r"'),
    "content": (b"", b"abc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
}
#: What is put anywhere.
NASTY = (
    b"\x00",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\x0b",
    b"\x85",
    b"\xff",
    b":",
    b"%",
    b"%00",
    b"%2e%2e/",
    b"\\",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\nContent-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Host: b\r\n",
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"A" * 300,
)


_KINDS = tuple(WRONG)


def join(pieces: Sequence[Piece]) -> bytes:
    """The bytes of a request."""
    return b"".join([piece.data for piece in pieces])


def depart(chooser: Chooser, pieces: Sequence[Piece]) -> list[Piece]:
    """The same request with one piece replaced, left out, doubled, or with a byte of any kind in it."""
    changed = list(pieces)
    # The kind first, and then which of them, from the last one back: so a line before it can be left out by itself.
    kind = chooser.choice(_KINDS)
    places = [place for place, piece in enumerate(changed) if piece.kind == kind] or list(range(len(changed)))
    index = places[-1 - chooser.integer(0, len(places) - 1)]
    piece = changed[index]
    way = chooser.integer(0, 9)
    if way < 7:
        changed[index] = Piece(piece.kind, chooser.choice(WRONG[piece.kind]))
    elif way == 7:
        at = chooser.integer(0, len(piece.data))
        byte = chooser.data(ANY_BYTE, 1, 1)
        changed[index] = Piece(piece.kind, piece.data[:at] + byte + piece.data[at + chooser.integer(0, 1) :])
    elif way == 8:
        del changed[index]
    else:
        changed.insert(index, piece)
    return changed


def mutate(chooser: Chooser, data: bytes) -> bytes:
    """Bytes changed in one to four places: cut, copied, swapped, replaced, or with something nasty put in."""
    changed = bytearray(data)
    for _ in _repeat(chooser, 1, 4):
        at = chooser.integer(0, len(changed))
        end = min(at + chooser.integer(0, 8), len(changed))
        match chooser.integer(0, 5):
            case 0:
                changed[at:at] = chooser.choice(NASTY)
            case 1:
                changed[at:end] = chooser.choice(NASTY)
            case 2:
                del changed[at:end]
            case 3:
                changed[at:at] = changed[at:end]
            case 4:
                changed[at:end] = chooser.data(ANY_BYTE, 1, 4)
            case _:
                del changed[at:]
    return bytes(changed)


def valid(chooser: Chooser, known_path: bytes = b"/") -> bytes:
    """A well-formed request."""
    return join(valid_pieces(chooser, known_path))


def nearly_valid(chooser: Chooser, known_path: bytes = b"/") -> bytes:
    """A request that departs from the grammar in one place, as a rule: some departures are well-formed again."""
    return join(depart(chooser, valid_pieces(chooser, known_path)))


def hostile(chooser: Chooser, known_path: bytes = b"/") -> bytes:
    """Bytes that were meant as requests: several departures, things that belong to other protocols, or noise."""
    pieces = valid_pieces(chooser, known_path)
    for _ in _repeat(chooser, 1, 3):
        pieces = depart(chooser, pieces) or pieces
    data = join(pieces)
    if chooser.chance(3):
        data += valid(chooser, known_path)
    if chooser.chance(2):
        data = mutate(chooser, data)
    if chooser.chance(12):
        data = chooser.data(ANY_BYTE, 1, 60)
    return data
