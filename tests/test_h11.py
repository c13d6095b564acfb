"""Streams of requests held against h11: both read alike what both accept, and where h11 is stricter that has a name."""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h11
import pooled_httpd
from conftest import assert_sound
from support import PATIENCE, Raw, Site

SEED = 11
STREAMS = 6000
#: After so many the access log's reader is waited for, so that its ring never fills.
STREAMS_PER_LOOK = 500
#: The refusals of requests that were read whole: something else is wrong with them.
READ_ALL_THE_SAME = {
    "percent_encoding",
    "encoded_nul",
    "encoded_slash",
    "climbs_above_root",
    "fragment",
    "method_not_allowed",
    "method_unknown",
}
#: Why h11 stops where the request before was the last one.
CLOSES = "closes"
#: What ours accepts and h11 refuses: by a name, with what h11 says and what the rest of the stream has.
DIFFERENCES: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    # RFC 9112 section 2.2: a server should ignore at least one empty line before a request line.
    "empty lines before the request line": ("no request line received", lambda rest: rest.startswith(b"\r\n")),
    # RFC 9112 section 7.1.1: white space that is bad, and that a recipient must parse all the same.
    "white space before a chunk extension": (
        "illegal chunk header",
        lambda rest: any(mark in rest for mark in (b" ;", b"\t;")),
    ),
    # RFC 9110 section 6.5.1: fields that frame the message mean nothing in its trailer section, which ours discards.
    "framing fields in the trailer section": (
        "Content-Length|Transfer-Encoding",
        lambda rest: bool(
            re.search(rb"(?i)\r\n0+[^\r\n]*\r\n(\S*:[^\r\n]*\r\n)*(content-length|transfer-encoding):", rest)
        ),
    ),
    # RFC 9112 section 9.3: HTTP/1.0 persists where it asks for it. h11 never lets it.
    "HTTP/1.0 with keep-alive": (CLOSES, lambda rest: b" HTTP/1.0\r\n" in rest and b"keep-alive" in rest),
}

FIELDS = [
    b"Accept: */*",
    b"Accept-Encoding: gzip, br;q=0.5",
    b"User-Agent: \xff\xe9 x",
    b"X-Empty:",
    b"X-Space: \t a \t b \t ",
    b"x-!#$%&'*+.^_`|~: token",
    b'If-None-Match: "x"',
    b'Cookie: a=b; c="d"',
]
EXTENSIONS = [b"", b"", b"", b";a", b";a=b;c", b';a="b c"', b" ;a"]
#: What is put somewhere into a stream to make it doubtful.
SPICE = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\x0b",
    b"\x7f",
    b"\xa0",
    b"0",
    b"-",
    b"+",
    b",",
    b";",
    b'"',
    b"%",
]
LINES = [
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Host: b\r\n",
    b" folded\r\n",
    b"Space : before\r\n",
    b"no colon\r\n",
    b": no name\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
]


@dataclass
class Seen:
    """What a reader made of a stream: its requests as method, target and length of content, and why it stopped."""

    requests: list[tuple[str, str, int]]
    refusal: str | None
    #: Where in the stream the request stands that was refused.
    at: int


def content_of(rng: random.Random) -> tuple[list[bytes], bytes]:
    """Make the field lines of some framing, and the content that it frames."""
    kind = rng.randrange(4)
    if kind < 2:
        return [], b""
    content = bytes(rng.choices(b"abc\r\n01", k=rng.randrange(30)))
    if kind == 2:
        return [b"Content-Length: %d" % len(content)], content
    chunks = b""
    while content:
        size = rng.randint(1, len(content))
        digits = rng.choice([b"%x", b"%X", b"%04x"]) % size
        chunks += digits + rng.choice(EXTENSIONS) + b"\r\n" + content[:size] + b"\r\n"
        content = content[size:]
    trailer = rng.choice([b"", b"", b"T: v\r\n", b"T:\r\nU: \t\r\n"])
    return [
        rng.choice([b"Transfer-Encoding: chunked", b"transfer-encoding:ChunkeD"])
    ], chunks + b"0\r\n" + trailer + b"\r\n"


def request(rng: random.Random, number: int) -> bytes:
    """Make a request that is right."""
    method = rng.choice([b"GET", b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"BREW"])
    target = b"/r%d" % number + rng.choice([b"", b"?q=1&a", b"/../x", b"/%41", b"/%zz", b"/%2f", b"#f"])
    version = rng.choice([b"HTTP/1.1"] * 6 + [b"HTTP/1.0"])
    framing, content = content_of(rng) if version == b"HTTP/1.1" else ([], b"")
    lines = [rng.choice([b"Host: a", b"hOST:a:80", b"Host: [::1]:8080"]), *framing]
    lines += rng.sample(FIELDS, rng.randrange(3))
    if rng.random() < 0.1:
        lines.append(rng.choice([b"Connection: close", b"Connection: keep-alive", b"Connection: a, b"]))
    rng.shuffle(lines)
    empty = rng.choice([b""] * 20 + [b"\r\n", b"\r\n\r\n"])
    return empty + b"\r\n".join([b"%s %s %s" % (method, target, version), *lines, b"", content])


def spoiled(rng: random.Random, stream: bytes) -> bytes:
    """Change the stream in one place, so that it may be wrong."""
    place = rng.randrange(len(stream) + 1)
    match rng.randrange(5):
        case 0:
            return stream[:place] + rng.choice(SPICE) + stream[place:]
        case 1:
            return stream[:place] + stream[place + rng.randint(1, 3) :]
        case 2:
            return stream[:place] + bytes([rng.randrange(256)]) + stream[place + 1 :]
        case 3:
            ends = [end for end in range(len(stream)) if stream.startswith(b"\r\n", end)]
            end = rng.choice(ends) + 2
            return stream[:end] + rng.choice(LINES) + stream[end:]
        case _:
            return stream[:place]


def read_by_h11(stream: bytes) -> Seen:
    """Let h11 read the stream as a server that answers each request at once."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(stream)
    connection.receive_data(b"")
    seen, current, length, at = Seen([], None, 0), ("", ""), 0, 0
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return Seen(seen.requests, str(error), at)
        if isinstance(event, h11.Request):
            current, length = (event.method.decode("latin-1"), event.target.decode("latin-1")), 0
        elif isinstance(event, h11.Data):
            length += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            seen.requests.append((*current, length))
            connection.send(h11.Response(status_code=405, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return Seen(seen.requests, CLOSES, at)
            connection.start_next_cycle()
            at = len(stream) - len(connection.trailing_data[0])
        else:
            return seen


def read_by_us(server: pooled_httpd.Server, stream: bytes) -> tuple[int, str | None]:
    """Let the server read the stream. Return how many answers came, and why it refused the last, if it did."""
    before = server.stats().rejects
    with Raw(server.port) as raw:
        # It may have refused the beginning and closed.
        with contextlib.suppress(OSError):
            raw.send(stream).half_close()
        answers = 0
        while raw.has_more():
            answers += raw.response().status >= 200
    after = server.stats().rejects
    refusals = [name for name in after if after[name] > before.get(name, 0) and name not in READ_ALL_THE_SAME]
    assert len(refusals) <= 1, "a refusal is the last answer of a connection"
    return answers, refusals[0] if refusals else None


def lines_of(log: Path) -> list[tuple[str, str]]:
    """Return method and target of each answer in the access log."""
    lines = (json.loads(line)["line"].split(" ") for line in log.read_text().splitlines())
    return [(line[0], line[1]) if len(line) > 2 else ("", "") for line in lines]


def wait_for_lines(log: Path, count: int) -> None:
    """Wait until the access log has so many lines."""
    deadline = time.monotonic() + PATIENCE
    while log.read_bytes().count(b"\n") < count and time.monotonic() < deadline:
        time.sleep(0.001)


def test_what_both_accept_both_read_alike(tmp_path: Path) -> None:
    """Of right and spoiled streams ours reads the requests that h11 reads, up to where it is the stricter one."""
    rng = random.Random(SEED)
    log = tmp_path / "access.log"
    outcomes: Counter[str] = Counter()
    used: Counter[str] = Counter()
    expected: list[tuple[str, str] | None] = []
    root = Site(tmp_path / "site").root
    with pooled_httpd.Server(root, access_log="json", access_log_file=str(log), log_level="error") as server:
        for number in range(STREAMS):
            stream = b"".join(request(rng, number * 10 + place) for place in range(rng.randint(1, 3)))
            if rng.random() < 0.7:
                stream = spoiled(rng, stream)
            theirs = read_by_h11(stream)
            answers, refusal = read_by_us(server, stream)
            accepted = answers - (refusal is not None)
            if accepted > len(theirs.requests):
                assert theirs.refusal is not None, f"h11 waits for more of {stream!r}"
                rest = stream[theirs.at :]
                names = [
                    name for name, (says, has) in DIFFERENCES.items() if re.search(says, theirs.refusal) and has(rest)
                ]
                assert names, f"h11 refuses, with {theirs.refusal!r}: {rest!r} of {stream!r}"
                used[names[0]] += 1
                outcomes["ours accepts more"] += 1
            elif accepted < len(theirs.requests):
                assert refusal is not None, f"ours leaves {theirs.requests[accepted:]} unanswered: {stream!r}"
                outcomes["ours is stricter"] += 1
            else:
                outcomes["both refuse" if refusal else "both accept"] += 1
            shared = min(accepted, len(theirs.requests))
            expected += [seen[:2] for seen in theirs.requests[:shared]] + [None] * (answers - shared)
            if number % STREAMS_PER_LOOK == 0:
                wait_for_lines(log, len(expected))
    assert_sound(server)
    told = lines_of(log)
    assert len(told) == len(expected)
    for ours, seen in zip(told, expected, strict=True):
        assert seen is None or ours == seen
    # Each kind of outcome and each difference was come upon.
    assert min(outcomes[kind] for kind in ("both accept", "both refuse", "ours is stricter")) > 50, outcomes
    assert set(used) == set(DIFFERENCES), used
