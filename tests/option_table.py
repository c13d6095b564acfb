"""The table of options: what each takes, right uses with what shows their effect, and wrong uses with their errors."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from listening import ESTABLISHED, LISTEN, sockets
from option_kinds import (
    FIELD_LINES,
    FIELD_VALUE,
    FILE_NAME,
    FORMATS,
    LEVELS,
    ORIGINS,
    SECONDS,
    SWITCH,
    TEXT,
    URL_PATH,
    Kind,
    one_of,
    quoted,
    whole,
)
from support import PATIENCE, Raw, Site, eventually, exchange, get

#: What shows that an option is in effect: asked of a running server, with the site that it serves.
Effect = Callable[[int, Site], None]


def answers(port: int, site: Site) -> None:
    """It serves."""
    assert exchange(port, get("/a.txt")).content == (site.root / "a.txt").read_bytes()


@dataclass(frozen=True)
class Use:
    """A right use: the value in Python, the words on the command line, and what shows it."""

    value: Any
    words: tuple[str, ...]
    effect: Effect = answers


@dataclass(frozen=True)
class Option:
    """An option: its kind, right uses, and wrong ones with an error of their own."""

    kind: Kind
    uses: tuple[Use, ...]
    #: Value, how it is shown, and what the error says of it.
    special: tuple[tuple[Any, str, str], ...] = ()


def statuses(*requests: tuple[bytes, int]) -> Effect:
    """Show that these requests get these statuses."""

    def effect(port: int, _: Site) -> None:
        assert [exchange(port, data).status for data, _ in requests] == [status for _, status in requests]

    return effect


def has_field(name: str, value: str | None, *fields: str, path: str = "/a.txt") -> Effect:
    """Show that an answer has a field, or not."""

    def effect(port: int, _: Site) -> None:
        assert exchange(port, get(path, *fields)).fields.get(name) == value

    return effect


def refuses_a_second(port: int, site: Site) -> None:
    """One connection takes the only slot, and the next is told."""
    with Raw(port) as busy:
        busy.send(get("/a.txt") + b"GET")
        assert busy.response().status == 200
        assert exchange(port, b"").status == 503
        busy.send(get("/a.txt")[3:])
        assert busy.response().content == (site.root / "a.txt").read_bytes()


def times_out(data: bytes, status: int | None) -> Effect:
    """Show that a peer that sends this and then nothing is told so, or just closed."""

    def effect(port: int, _: Site) -> None:
        with Raw(port) as raw:
            raw.send(data)
            if data.endswith(b"\r\n\r\n") and status is None:
                assert raw.response().status == 200
            if status is not None:
                assert raw.response().status == status
            assert raw.closed()

    return effect


def gives_up_sending(port: int, site: Site) -> None:
    """A peer that takes nothing of a large file loses its connection; only the server's side can tell when."""
    os.truncate(site.write("endless", b""), 1 << 30)
    with Raw(port, receive_buffer=4096) as raw:
        own = raw.socket.getsockname()[1]
        raw.send(get("/endless"))
        deadline = time.monotonic() + PATIENCE
        while any((one.port, one.remote_port, one.state) == (port, own, ESTABLISHED) for one in sockets()):
            assert time.monotonic() < deadline, "it goes on waiting"
            time.sleep(0.002)


def closes_after(count: int | None) -> Effect:
    """Show that a connection ends after so many answers."""

    def effect(port: int, _: Site) -> None:
        with Raw(port) as raw:
            raw.send(get("/a.txt") * 3)
            for number in range(1, 4):
                is_last = number == count
                assert raw.response().fields.get("connection") == ("close" if is_last else None)
                if is_last:
                    assert raw.closed()
                    return

    return effect


def switch(name: str, on: Effect, off: Effect) -> tuple[Use, ...]:
    """Every way to switch an option on and off."""
    return (
        Use(True, (f"--{name}",), on),
        Use(True, (f"--{name}", "on"), on),
        Use(True, (f"--{name}=yes",), on),
        Use(True, (f"--{name}=1",), on),
        Use(False, (f"--{name}", "off"), off),
        Use(False, (f"--{name}=no",), off),
    )


def listens_on(address: str) -> Effect:
    """Show on which address it listens."""

    def effect(port: int, _: Site) -> None:
        assert (address, port, LISTEN) in {(one.address, one.port, one.state) for one in sockets()}

    return effect


def sees_silent_clients(sees: bool) -> Effect:
    """Show whether a client that has sent nothing is connected for the server's side. It is served either way."""

    def effect(port: int, _: Site) -> None:
        with Raw(port) as raw:
            own = raw.socket.getsockname()[1]

            def is_seen() -> bool:
                return any((it.port, it.remote_port, it.state) == (port, own, ESTABLISHED) for it in sockets())

            if sees:
                eventually(is_seen)
            assert is_seen() == sees
            raw.send(get("/a.txt"))
            assert raw.response().status == 200

    return effect


def with_all_lines(*values: str) -> Effect:
    """Show that every answer has these lines of one field, in their order; the strict reader takes each name once."""

    def effect(port: int, _: Site) -> None:
        for data in (get("/a.txt"), get("/nothing")):
            with Raw(port) as raw:
                raw.send(data)
                while b"\r\n\r\n" not in raw.received:
                    assert raw._more()
                assert re.findall(rb"\r\nX-A: ([^\r]*)", raw.received) == [value.encode() for value in values]

    return effect


def accepts_gzip(coding: str | None) -> Effect:
    """Show whether a sidecar is sent."""

    def effect(port: int, site: Site) -> None:
        site.write("a.txt.gz", b"compressed\n")
        response = exchange(port, get("/a.txt", "Accept-Encoding: gzip"))
        assert response.fields.get("content-encoding") == coding
        assert response.content == (b"hello\n" if coding is None else b"compressed\n")

    return effect


def has_page(content: bytes) -> Effect:
    """Show whether an error has its page."""

    def effect(port: int, site: Site) -> None:
        site.write("404.html", b"<p>not here\n")
        response = exchange(port, get("/nothing"))
        assert (response.status, response.content) == (404, content)

    return effect


def post(size: int, sent: int | None = None) -> bytes:
    """Make a request with content, or with a part of it."""
    return get("/a.txt", f"Content-Length: {size}", method="POST") + b"x" * (size if sent is None else sent)


def allows(origin: str, allowed: str | None) -> Effect:
    """Show whether an origin may read an answer."""
    return has_field("access-control-allow-origin", allowed, f"Origin: {origin}")


A, B = "https://a.example", "http://b:3000"
LONG = "/" + "p" * 300
OPTIONS = {
    "port": Option(whole(0, 65_535), (Use(0, ("--port", "0")), Use(0, ("--port=0",)))),
    "host": Option(
        TEXT,
        (
            Use("127.0.0.1", ("--host", "127.0.0.1"), listens_on("127.0.0.1")),
            Use("127.0.0.2", ("--host", "127.0.0.2"), listens_on("127.0.0.2")),
            Use("localhost", ("--host", "localhost"), listens_on("127.0.0.1")),
            Use("0.0.0.0", ("--host", "0.0.0.0"), listens_on("0.0.0.0")),
        ),
    ),
    # Taking over a socket is shown where that is made.
    "listen_fd": Option(whole(0, 1 << 20, optional=True), (Use(None, ("--listen-fd", "none")),)),
    "deferred": Option(SWITCH, switch("deferred", sees_silent_clients(False), sees_silent_clients(True))),
    "max_connections": Option(
        whole(1, 65_536), (Use(1, ("--max-connections", "1"), refuses_a_second), Use(1000, ("--max-connections=1000",)))
    ),
    "pool_size": Option(
        whole(256, 1 << 24),
        (
            Use(256, ("--pool-size", "256"), statuses((get("/a.txt"), 200), (get(LONG), 507))),
            Use(512, ("--pool-size", "512"), statuses((get("/a.txt"), 200), (get(LONG), 404))),
        ),
    ),
    "buffer_size": Option(
        whole(2048, 1 << 24),
        (
            Use(
                2048,
                ("--buffer-size", "2048"),
                statuses((get("/a.txt"), 200), (get("/a.txt", "X: " + "y" * 2048), 431)),
            ),
            Use(8192, ("--buffer-size", "8192"), statuses((get("/a.txt", "X: " + "y" * 2048), 200))),
        ),
    ),
    "timeout": Option(
        SECONDS,
        (
            Use(0.2, ("--timeout", "0.2"), times_out(get("/a.txt")[:-2], 408)),
            Use(0.2, ("--timeout=.2",), times_out(post(3, 1), 408)),
            Use(86_400, ("--timeout", "86400")),
            Use(0.0005, ("--timeout", "0.0005"), lambda _port, _site: None),
        ),
    ),
    "header_timeout": Option(
        SECONDS,
        (
            Use(0.2, ("--header-timeout", "0.2"), times_out(get("/a.txt")[:-2], 408)),
            Use(0.2, ("--header-timeout", "2e-1"), times_out(b"", None)),
            Use(1, ("--header-timeout", "1")),
        ),
    ),
    "keepalive_timeout": Option(
        SECONDS,
        (
            Use(0.05, ("--keepalive-timeout", "0.05"), times_out(get("/a.txt"), None)),
            Use(1, ("--keepalive-timeout=1",)),
        ),
    ),
    "content_timeout": Option(
        SECONDS,
        (Use(0.05, ("--content-timeout", "0.05"), times_out(post(3, 1), 408)), Use(1, ("--content-timeout=1",))),
    ),
    "send_timeout": Option(
        SECONDS, (Use(0.05, ("--send-timeout", "0.05"), gives_up_sending), Use(1, ("--send-timeout=1",)))
    ),
    "max_content": Option(
        whole(0, 1 << 53),
        (
            Use(3, ("--max-content", "3"), statuses((post(3), 405), (post(4), 413))),
            Use(0, ("--max-content", "0"), statuses((post(0), 405), (post(1), 413))),
            Use(1 << 53, ("--max-content", str(1 << 53))),
        ),
    ),
    "max_request_line": Option(
        whole(64, 1 << 24),
        (
            Use(
                64,
                ("--max-request-line", "64"),
                statuses((get("/" + "p" * 50), 404), (get("/" + "p" * 51), 414)),
            ),
            Use(15_360, ("--max-request-line", "15360")),
        ),
        special=(
            (15_361, "15361", "with buffer_size 16384 it takes a whole number from 64 to 15360"),
            (1 << 24, str(1 << 24), "with buffer_size 16384 it takes a whole number from 64 to 15360"),
        ),
    ),
    "max_field_lines": Option(
        whole(1, 10_000),
        (
            Use(
                2,
                ("--max-field-lines", "2"),
                statuses((get("/a.txt", "X: y"), 200), (get("/a.txt", "X: y", "X: y"), 431)),
            ),
        ),
    ),
    "keep_alive": Option(SWITCH, switch("keep-alive", closes_after(None), closes_after(1))),
    "max_requests_per_connection": Option(
        whole(1, 1 << 53, optional=True),
        (
            Use(2, ("--max-requests-per-connection", "2"), closes_after(2)),
            Use(1, ("--max-requests-per-connection", "1"), closes_after(1)),
            Use(None, ("--max-requests-per-connection", "none"), closes_after(None)),
        ),
    ),
    "cache_size": Option(whole(0, 1 << 34), (Use(0, ("--cache-size", "0")), Use(4096, ("--cache-size", "4096")))),
    # A listing is shown where it is made.
    "listing": Option(
        SWITCH,
        switch("listing", answers, statuses((get("/bare/"), 404))),
    ),
    "hidden": Option(SWITCH, switch("hidden", statuses((get("/.hidden"), 200)), statuses((get("/.hidden"), 404)))),
    "precompressed": Option(SWITCH, switch("precompressed", accepts_gzip("gzip"), accepts_gzip(None))),
    "header": Option(
        FIELD_LINES,
        (
            Use("X-A: b", ("--header", "X-A: b"), with_all_lines("b")),
            Use(["X-A: b"], ("--header=X-A:b",), with_all_lines("b")),
            Use(("X-A: \t b\t", "X-A:c"), ("--header", "X-A: \t b\t", "--header", "X-A:c"), with_all_lines("b", "c")),
            Use({"X-A": "b: c"}, ("--header", "X-A: b: c"), with_all_lines("b: c")),
            Use({"X-A": ""}, ("--header", "X-A:"), with_all_lines("")),
            Use([], (), with_all_lines()),
            Use(None, (), with_all_lines()),
        ),
        special=tuple(
            (value, shown, fault)
            for line, fault in (
                ("X A: b", 'the name "X A" is not a token (RFC 9110 section 5.1)'),
                (": b", 'the name "" is not a token (RFC 9110 section 5.1)'),
                ("X-A : b", 'the name "X-A " is not a token (RFC 9110 section 5.1)'),
                ("X-A: b\r\nX-B: c", "the value has a control byte (RFC 9110 section 5.5)"),
                ("X-A: b\x00", "the value has a control byte (RFC 9110 section 5.5)"),
                ("X-A: \x7f", "the value has a control byte (RFC 9110 section 5.5)"),
                ("X-A\n: b", 'the name "X-A\\n" is not a token (RFC 9110 section 5.1)'),
                *(
                    (f"{name}: x", f"the server writes {name} itself")
                    for name in (
                        "Accept-Ranges",
                        "Allow",
                        "Connection",
                        "Content-Encoding",
                        "content-length",
                        "Content-Range",
                        "Content-Type",
                        "DATE",
                        "ETag",
                        "Keep-Alive",
                        "Last-Modified",
                        "Location",
                        "Proxy-Connection",
                        "Retry-After",
                        "TE",
                        "Trailer",
                        "transfer-Encoding",
                        "Upgrade",
                        "Vary",
                    )
                ),
                *(
                    (f"{name}: x", f"{name} has an option of its own, {option}")
                    for name, option in (
                        ("Access-Control-Allow-Headers", "cors"),
                        ("Access-Control-Allow-Methods", "cors"),
                        ("Access-Control-Allow-Origin", "cors"),
                        ("Access-Control-Expose-Headers", "cors"),
                        ("Access-Control-Max-Age", "cors"),
                        ("cache-control", "cache_control"),
                    )
                ),
            )
            for value, shown in ((["X-B: c", line], f'["X-B: c", {quoted(line)}]'), (line, quoted(line)))
        ),
    ),
    "cache_control": Option(
        FIELD_VALUE,
        (
            Use("max-age=60", ("--cache-control", "max-age=60"), has_field("cache-control", "max-age=60")),
            Use(" no-store ", ("--cache-control= no-store ",), has_field("cache-control", "no-store")),
            Use("max-age=60", ("--cache-control", "max-age=60"), has_field("cache-control", None, path="/nothing")),
            Use(None, ("--cache-control", "none"), has_field("cache-control", None)),
        ),
    ),
    "cors": Option(
        ORIGINS,
        (
            Use(True, ("--cors",), allows(A, "*")),
            Use("*", ("--cors", "*"), allows(A, "*")),
            Use("on", ("--cors=on",), allows(A, "*")),
            Use(A, ("--cors", A), allows(A, A)),
            Use(f"{A} {B}", (f"--cors={A} {B}",), allows(B, B)),
            Use(f"{A},{B}", ("--cors", f"{A}, {B}"), allows(B, B)),
            Use(A, ("--cors", A), allows(B, None)),
            Use("null", ("--cors", "null"), allows("null", "null")),
            Use(False, ("--cors", "off"), allows(A, None)),
            Use("off", ("--cors=off",), allows(A, None)),
        ),
    ),
    "spa": Option(SWITCH, switch("spa", statuses((get("/view"), 200)), statuses((get("/view"), 404)))),
    "error_pages": Option(SWITCH, switch("error-pages", has_page(b"<p>not here\n"), has_page(b"404 Not Found\n"))),
    "status_path": Option(
        URL_PATH,
        (
            Use(
                "/status", ("--status-path", "/status"), statuses((get("/status/health"), 200), (get("/status/x"), 404))
            ),
            Use("/a/%73/", ("--status-path=/a/%73/",), statuses((get("/a/s/health"), 200))),
            Use(None, ("--status-path", "none"), statuses((get("/status/health"), 404))),
        ),
        special=(
            ("/..", '"/.."', "the dot-segments of the path climb above the root"),
            ("/a%00", '"/a%00"', "the path has an encoded NUL"),
            ("/a%2fb", '"/a%2fb"', "the path has an encoded slash or a backslash"),
            ("/%", '"/%"', 'a "%" is not followed by two HEXDIG'),
            ("/a b", '"/a b"', "it takes none or a path such as /status"),
        ),
    ),
    # What is logged is shown where that is made.
    "access_log": Option(one_of(FORMATS, "<FORMAT>"), tuple(Use(word, ("--access-log", word)) for word in FORMATS)),
    "access_log_file": Option(FILE_NAME, (Use(None, ("--access-log-file", "none")),)),
    "log_level": Option(one_of(LEVELS, "<LEVEL>"), tuple(Use(word, ("--log-level", word)) for word in LEVELS)),
}
