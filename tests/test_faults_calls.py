"""System calls that fail: whichever of the loop's it is, one connection feels it at most, and every sum stays exact."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pooled_httpd
import pytest
from conftest import assert_sound
from faults import Injector, assert_exact, assert_serves, connections, descriptors, settled, thread_named
from pooled_httpd.asynchronous import AsyncServer
from support import PATIENCE, Raw, Site, eventually, get, threads, threads_left

#: What the client gets: its answer as ever; a part of it or nothing, and then the end; an answer of this status.
Outcome = Literal["served", "cut", "served or cut"] | int


@dataclass(frozen=True)
class Row:
    """A call, the errors that it may have, which file is asked for, and what comes of each."""

    call: str
    errors: str
    outcome: Outcome
    path: str = "/a.txt"
    #: Which calls fail, as strace says it.
    when: str = "1"
    cache: bool = False
    #: How many files count as truncated.
    truncated: int = 0


ROWS = [
    # A newcomer that failed, or a signal: the next one is accepted at once. Memory: a little later.
    Row("accept4", "EINTR ECONNABORTED EPROTO EPERM ENETDOWN EHOSTUNREACH EOPNOTSUPP", "served"),
    Row("accept4", "ENOBUFS ENOMEM EIO EACCES", "served"),
    # Twice as strace counts: the call with which the descriptor in reserve is given up succeeds.
    Row("accept4", "EMFILE ENFILE", 503, when="1+2"),
    Row("recvfrom", "EINTR", "served"),
    Row("recvfrom", "ENOMEM ENOBUFS ECONNRESET ETIMEDOUT EIO EHOSTUNREACH", "cut"),
    Row("sendto", "EINTR", "served"),
    Row("sendto", "EPIPE ENOBUFS ENOMEM ECONNRESET EHOSTUNREACH EPERM", "cut"),
    Row("sendfile", "EINTR", "served", path="/large"),
    Row("sendfile", "EIO EINVAL ESTALE EOVERFLOW", "cut", path="/large", truncated=1),
    Row("sendfile", "EPIPE ECONNRESET ENOMEM ENOBUFS ETIMEDOUT EPERM", "cut", path="/large"),
    # A content in memory goes out with its head.
    Row("sendmsg", "EINTR", "served", path="/held", cache=True),
    Row("sendmsg", "EPIPE ENOBUFS ENOMEM ECONNRESET EPERM", "cut", path="/held", cache=True),
    Row("openat2", "EINTR EAGAIN", "served"),
    Row("openat2", "EMFILE ENFILE", 503),
    Row("openat2", "EACCES EPERM ELOOP EXDEV ENXIO", 403),
    Row("openat2", "ENOENT ENOTDIR ENAMETOOLONG", 404),
    Row("openat2", "ENOMEM EIO EINVAL EUCLEAN", 500),
    Row("fstat", "EINTR", "served"),
    Row("fstat", "ENOMEM EIO", 500),
    Row("pread64", "EINTR", "served"),
    Row("pread64", "EIO ENOMEM", "cut", truncated=1),
    # What has come with the connection is answered before it is watched.
    Row("epoll_ctl", "ENOSPC ENOMEM", "served or cut"),
    Row("epoll_wait", "EINTR", "served"),
    Row("shutdown", "ENOTCONN ENOBUFS", "served"),
    # What only the cache asks for: without an answer the file is opened as if there were no cache.
    Row("inotify_add_watch", "ENOSPC ENOMEM EACCES", "served", cache=True, when="1+"),
    Row("inotify_rm_watch", "EINVAL", "served", cache=True, when="1+"),
    Row("fcntl", "EAGAIN EACCES ENOMEM", "served", cache=True, when="1+"),
    Row("read", "EINTR", "served", cache=True, when="1+2"),
    Row("read", "EIO ENOMEM", "served", cache=True, when="1+"),
    Row("epoll_pwait", "EINTR ENOMEM", "served", cache=True, when="1+"),
    Row("openat2", "EIO ENOMEM EMFILE EACCES", "served", cache=True, when="2+2"),
    Row("pread64", "EIO EINTR", "served", cache=True, when="1"),
]
#: What is in memory next, by path.
FRESH = {"/a.txt": b"fresh\n", "/held": b"held " * 8_000}
CASES = [(row, error) for row in ROWS for error in row.errors.split()]


def ask(port: int, path: str) -> tuple[int, bytes]:
    """Ask once; return the status, 0 without a whole head, and the content as far as it came before the end."""
    with Raw(port) as raw:
        # Not "Connection: close": without it the connection is watched before it is closed.
        raw.send(get(path))
        # It may have been reset by then.
        with suppress(OSError):
            raw.half_close()
        raw.closed()
        head, separator, content = raw.received.partition(b"\r\n\r\n")
        return (int(head.split()[1]) if separator else 0), content


@pytest.mark.parametrize(("row", "error"), CASES, ids=[f"{row.call}-{error}" for row, error in CASES])
def test_a_call_that_fails_is_felt_by_one_client_at_most(site: Site, tmp_path: Path, row: Row, error: str) -> None:
    """One client feels it as the table says, the next one not at all; afterwards everything is where it was."""
    whole = FRESH[row.path] if row.cache else (site.root / row.path[1:]).read_bytes()
    with pooled_httpd.Server(site.root, cache_size=(1 << 24) if row.cache else 0) as server:
        assert_serves(server.port)
        if row.cache:
            site.write(row.path[1:], whole)
        before, held, running = settled(server), descriptors(), len(threads())
        rule = f"{row.call}:error={error}:when={row.when}"
        with Injector(thread_named("pooled-loop"), tmp_path / "calls", rule) as injector:
            status, content = ask(server.port, row.path)
            after = settled(server)
        assert injector.injected(row.call) >= 1, injector.calls
        if row.outcome in ("cut", "served or cut"):
            assert status in (0, 200)
            assert whole.startswith(content)
            assert content != whole or row.outcome != "cut"
        elif row.outcome == "served":
            assert (status, content) == (200, whole)
        else:
            assert status == row.outcome
        stats = assert_exact(before, after, injector)
        assert stats.files_truncated == row.truncated
        if row.cache:
            site.write("a.txt", b"hello\n")
        assert_serves(server.port)
        settled(server)
        assert descriptors() == held
        assert len(threads_left(running)) <= running
    assert_sound(server)


@pytest.mark.parametrize("error", ["EPERM", "ECONNABORTED", "ENOBUFS", "EMFILE"])
def test_accepting_that_always_fails_neither_spins_nor_ends(site: Site, tmp_path: Path, error: str) -> None:
    """A filter that refuses every accept, say: it is tried now and then, and whoever is connected is served."""
    with pooled_httpd.Server(site.root) as server:
        with Raw(server.port) as early:
            assert early.send(get("/a.txt")).response().status == 200
            rule = f"accept4:error={error}:when=1+"
            with Injector(thread_named("pooled-loop"), tmp_path / "calls", rule) as injector:
                begun = time.monotonic()
                with Raw(server.port) as late:
                    late.send(get("/a.txt"))
                    eventually(lambda: injector.seen() > 0)
                    seen = time.monotonic()
                    while time.monotonic() - seen < 0.4:
                        assert early.send(get("/a.txt")).response().status == 200
                elapsed = time.monotonic() - begun
        # At most 64 tries every 50 ms, and one more of each kind for the descriptor in reserve.
        assert injector.injected("accept4") < 130 * (elapsed / 0.05 + 2)
        assert_serves(server.port)
        settled(server)
    assert_sound(server)


def test_an_event_queue_that_fails_ends_the_server_and_is_told(site: Site, tmp_path: Path) -> None:
    """Nothing can be served without it: ``run`` and waits raise, and everything is given back."""
    server = pooled_httpd.Server(site.root)
    server.record_requests()
    server.start()
    with Raw(server.port) as raw:
        assert raw.send(get("/a.txt")).response().status == 200
        with Injector(thread_named("pooled-loop"), tmp_path / "calls", "epoll_wait:error=EBADF:when=1"):
            # Out of the wait that it was in.
            raw.send(get("/a.txt"))
            for wait in (
                server.run,
                lambda: server.wait_for(100, timeout=PATIENCE),
                lambda: server.wait_for(100, status=299, timeout=PATIENCE),
                lambda: asyncio.run(AsyncServer(server).run()),
            ):
                with pytest.raises(pooled_httpd.ServerFailedError, match="the event queue failed: Bad file descriptor"):
                    wait()
        raw.closed()
    assert not server.is_running
    server.destroy()


# At random.

#: Errors that the kernel may give at any time, without having done what it was asked for.
STORM = {
    "accept4": "EINTR ECONNABORTED EMFILE ENFILE ENOBUFS ENOMEM EPERM",
    "recvfrom": "EINTR ENOMEM ENOBUFS ECONNRESET ETIMEDOUT",
    "sendto": "EINTR ENOMEM ENOBUFS EPIPE ECONNRESET",
    "sendmsg": "EINTR ENOMEM EPIPE ECONNRESET",
    "sendfile": "EINTR EIO ENOMEM EPIPE",
    "openat2": "EINTR EAGAIN EMFILE ENFILE ENOMEM EIO EACCES",
    "fstat": "EINTR EIO ENOMEM",
    "newfstatat": "EINTR EIO ENOMEM",
    "getdents64": "EINTR EIO ENOMEM",
    "lseek": "EIO",
    "pread64": "EINTR EIO ENOMEM",
    "epoll_wait": "EINTR",
    "epoll_pwait": "EINTR ENOMEM",
    "epoll_ctl": "ENOSPC ENOMEM",
    "shutdown": "ENOTCONN ENOBUFS",
    "read": "EINTR EIO",
    "fcntl": "EAGAIN EACCES",
    "inotify_add_watch": "ENOSPC ENOMEM EACCES",
    "inotify_rm_watch": "EINVAL",
}
SEEDS = 12
CLIENTS = 4


def storm_rules(seed: int) -> list[str]:
    """Return some rules, each for every so many calls."""
    choice = random.Random(seed)
    names = choice.sample(sorted(STORM), choice.randint(3, 7))
    rules = []
    for name in names:
        first, step = choice.randint(1, 9), choice.randint(2, 9)
        # Once only where the thread rests: strace that lets go of it in a call that is to fail leaves ENOSYS there.
        when = f"{first}" if name == "epoll_wait" else f"{first}+{step}"
        rules.append(f"{name}:error={choice.choice(STORM[name].split())}:when={when}")
    return rules


LARGE = b"".join(b"%015d\n" % (16 * line) for line in range(20_000))
PAGE = b"<title>nothing</title>"
#: What is asked for, and the content of each answer that a calm server may give; nothing where it is not looked at.
KINDS: dict[str, tuple[bytes, dict[int, bytes]]] = {
    "small": (get("/a.txt"), {200: b"hello\n"}),
    "coded": (get("/a.txt", "Accept-Encoding: gzip"), {200: b"hello\n"}),
    "large": (get("/large"), {200: LARGE}),
    "held": (get("/held"), {200: LARGE[:40_000]}),
    "range": (get("/large", "Range: bytes=16-31"), {206: LARGE[16:32]}),
    "ranges": (get("/large", "Range: bytes=0-9,100000-299999"), {206: b""}),
    "listing": (get("/bare/"), {200: b""}),
    "nothing": (get("/nothing.txt"), {404: PAGE}),
    "fallback": (get("/nothing"), {200: b"<!doctype html><title>index</title>\n"}),
    "content": (get("/a.txt", "Content-Length: 5", method="POST") + b"hello", {405: b""}),
    "redirect": (get("/dir"), {301: b""}),
}


class Stormy(threading.Thread):
    """A client in the storm: whatever it gets is right, or is an error, or ends."""

    def __init__(self, port: int, site: Site, number: int, seed: int) -> None:
        """Give it a file of its own beside those that all ask for."""
        super().__init__()
        self._port, self._site, self._choice = port, site, random.Random(seed * 100 + number)
        self._own = f"own{number}"
        self.failure: BaseException | None = None
        self.connections = 0

    def run(self) -> None:
        """Ask again and again."""
        try:
            for round_ in range(12):
                with Raw(self._port) as raw:
                    self.connections += 1
                    while self._choice.random() < 0.8 and self._ask(raw, round_):
                        pass
        except (ConnectionResetError, BrokenPipeError):
            pass
        except BaseException as error:
            self.failure = error

    def _ask(self, raw: Raw, round_: int) -> bool:
        """Ask for something; false where the connection is over."""
        what = self._choice.choice([*KINDS, "own"])
        if what == "own":
            expected = b"%d %d\n" % (round_, self._choice.randrange(1 << 30))
            self._site.write(self._own, expected)
            request, contents = get(f"/{self._own}"), {200: expected}
        else:
            request, contents = KINDS[what]
        try:
            response = raw.send(request).response()
        except (ConnectionResetError, BrokenPipeError):
            return False
        except AssertionError as error:
            # Cut short, as a call that failed may leave it.
            if "the connection ended" in str(error):
                return False
            raise
        assert response.status in (*contents, 403, 500, 503), (what, response)
        expected = contents.get(response.status, b"")
        if "content-encoding" in response.fields:
            expected = b"not really gzip"
        # A page of the site, or the text that stands for it where it cannot be read.
        is_page = response.status == 404 and response.content != PAGE
        assert is_page or not expected or response.content == expected, (what, response)
        return response.fields.get("connection") != "close"


@pytest.fixture
def stormy(site: Site, tmp_path: Path) -> Iterator[pooled_httpd.Server]:
    """A server with whatever reads more than one file for an answer."""
    site.write("404.html", PAGE)
    site.write("held", LARGE[:40_000])
    site.write("a.txt.gz", b"not really gzip")
    options: dict[str, Any] = {"access_log": "json", "access_log_file": tmp_path / "log"}
    with pooled_httpd.Server(
        site.root, listing=True, precompressed=True, error_pages=True, spa=True, **options
    ) as server:
        yield server
    assert_sound(server)
    assert server.stats().log_records_dropped == 0
    assert len((tmp_path / "log").read_text().splitlines()) == server.stats().total_requests


def test_a_storm_of_failing_calls_leaves_nothing_behind(
    stormy: pooled_httpd.Server, site: Site, tmp_path: Path
) -> None:
    """Any calls, any errors, again and again, by seed: right bytes or none, exact sums, and nothing left over."""
    for path in ("/a.txt", "/large", "/bare/", "/nothing"):
        ask(stormy.port, path)
    # It has its name once it has begun to serve.
    thread = thread_named("pooled-loop")
    settled(stormy)
    held, running = descriptors(), len(threads())
    for seed in range(SEEDS):
        rules = storm_rules(seed)
        before = settled(stormy)
        with Injector(thread, tmp_path / f"calls{seed}", *rules) as injector:
            clients = [Stormy(stormy.port, site, number, seed) for number in range(CLIENTS)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            # The last of them may still wait to be accepted.
            opened = before.total_connections + before.connections_refused + sum(it.connections for it in clients)
            eventually(lambda: connections(stormy) == opened)  # noqa: B023 (called at once)
            after = settled(stormy)
        failures = [client.failure for client in clients if client.failure]
        assert failures == [], f"seed {seed}: {rules}"
        assert injector.injected() > 0, f"seed {seed}: {rules}"
        assert_exact(before, after, injector)
        ask(stormy.port, "/a.txt")
        settled(stormy)
        eventually(lambda: descriptors() == held, f"seed {seed}: {rules}: {descriptors()}")
        assert len(threads_left(running)) <= running
