"""What the heap's tests load a server with, and how they count: every answer is looked at."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import pytest
from support import PATIENCE, Program, Raw, exchange, get, need

#: The form of a row in heapcount.c: the thread, then how often it called each kind.
ROW = struct.Struct("=6Q")
ROWS = 64
#: A limit for what takes long because there is much of it, in seconds.
LONG = 60.0
MEBIBYTE = 1 << 20
MAX_CONNECTIONS = 48


class Output(threading.Thread):
    """Reads a program's output as it comes and keeps only its end: the story has a million lines."""

    def __init__(self, program: Program) -> None:
        """Take over the output of the program."""
        super().__init__()
        assert program.process.stdout is not None
        self._descriptor = program.process.stdout.fileno()
        os.set_blocking(self._descriptor, True)
        self._program = program
        self._changed = threading.Condition()
        self._tail = b""
        self.lines = 0

    def run(self) -> None:
        """Read until the program has closed its output."""
        while data := os.read(self._descriptor, 1 << 16):
            with self._changed:
                self.lines += data.count(b"\n")
                self._tail = (self._tail + data)[-(1 << 18) :]
                self._changed.notify_all()

    def statistics(self, number: int = signal.SIGUSR1) -> dict[str, int]:
        """Send a signal and return the numbers of the statistics block that it makes the program print."""
        with self._changed:
            self._tail = b""
            self._program.process.send_signal(number)
            assert self._changed.wait_for(lambda: b"\n=======================================\n" in self._tail, LONG)
            block = self._tail.decode().partition("========== Memory Statistics ==========\n")[2]
        return {
            name: int(value.replace(",", ""))
            for name, value in re.findall(r"^ *([^:\n]+): ([\d,]+)", block, re.MULTILINE)
        }

    def __enter__(self) -> Self:
        """Start to read."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the program, whatever happened, and with it the reading."""
        if self._program.process.poll() is None:
            self._program.process.kill()
        self._program.process.wait()
        self.join()


class HeapCounts:
    """The counts of heapcount.c, read while the program runs."""

    def __init__(self, directory: Path) -> None:
        """Build the library and make its file."""
        self.library = directory / "heapcount.so"
        self.file = directory / "heapcounts"
        source = Path(__file__).with_name("heapcount.c")
        flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([need("cc"), *flags, "-o", self.library, source], check=True, timeout=LONG)
        self.file.write_bytes(bytes(ROW.size * ROWS))
        self.environment = {"LD_PRELOAD": str(self.library), "HEAPCOUNT_FILE": str(self.file)}

    def of(self, thread: int) -> tuple[int, ...]:
        """Return how often the thread called malloc, calloc, realloc, an aligned malloc, and free."""
        rows = list(ROW.iter_unpack(self.file.read_bytes()))
        assert rows[-1][0] == 0, "there were more threads than rows"
        found = [row[1:] for row in rows if row[0] == thread]
        assert len(found) == 1, f"thread {thread} has no row of its own: {rows}"
        return found[0]


def thread_named(program: Program, name: str) -> int:
    """Return the number of the program's thread of this name."""
    for task in Path(f"/proc/{program.process.pid}/task").iterdir():
        if (task / "comm").read_text() == f"{name}\n":
            return int(task.name)
    pytest.fail(f"no thread is called {name}")


def resident(program: Program) -> int:
    """Return the bytes of memory, not backed by a file, that the process holds."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    found = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


# The load. Every answer is looked at: a server that refuses everything would allocate nothing too.


POST = get("/a.txt", "Content-Length: 5", method="POST") + b"hello"
CHUNKED = get("/a.txt", "Transfer-Encoding: chunked", method="PUT") + b'3;name="x"\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n'

#: Requests after which a connection persists, and their statuses; together a batch of 50.
BATCH: list[tuple[bytes, int]] = [
    (get("/a.txt"), 200),
    (get("/"), 200),
    (get("/a.txt", "Range: bytes=0-1", 'If-None-Match: "x"', "Accept-Encoding: gzip, br", "Cookie: a=b; c=d"), 206),
    (get("/a.txt", method="HEAD"), 200),
    (get("/nothing"), 404),
    (get("/nothing", method="HEAD"), 404),
    (get("/escape"), 403),
    (get("/fifo"), 403),
    (get("/dir"), 301),
    (get("/dir/?query"), 200),
    (get("/dir/.%2e/a%20b+%25.txt"), 200),
    (get("/../a.txt"), 400),
    (get("/%2e%2e/%2e%2e/etc/passwd"), 400),
    (get("/%00"), 400),
    (get("/%zz"), 400),
    (get("/a%2fb"), 400),
    (get("/.hidden"), 404),
    (get("http://localhost/a.txt"), 200),
    (get("*", method="OPTIONS"), 204),
    (POST, 405),
    (CHUNKED, 405),
    (get("/a.txt", method="DELETE"), 405),
    (get("/a.txt", method="BREW"), 501),
    (get("/a.txt", "Connection: keep-alive", version="HTTP/1.0"), 200),
    (get("/empty"), 200),
] * 2

HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n"
#: Malformed requests of many kinds, and the status of their refusal.
MALFORMED: list[tuple[bytes, int]] = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GET\r\n\r\n", 400),
    (b"GET /\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1 \r\n\r\n", 400),
    (b"GET / HTTP/1.1\n\n", 400),
    (b"GET / HTTP/1.1\rHost: h\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    (b"GET / http/1.1\r\nHost: h\r\n\r\n", 400),
    (b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET a.txt HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"\r\n\r\n\r\n" + HEAD + b"\r\n", 400),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (HEAD + b"Host: h\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (HEAD + b"Name : value\r\n\r\n", 400),
    (HEAD + b": value\r\n\r\n", 400),
    (HEAD + b"Name\r\n\r\n", 400),
    (HEAD + b"Name: a\r\n b\r\n\r\n", 400),
    (HEAD + b"Name: a\x00b\r\n\r\n", 400),
    (HEAD + b"Name: a\nOther: b\r\n\r\n", 400),
    (HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(120)) + b"\r\n", 431),
    (HEAD + b"X: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    (HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    (HEAD + b"Content-Length: 99999999999\r\n\r\n", 413),
    (HEAD + b"Content-Length: 99999999999999999999999999\r\n\r\n", 413),
    (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    (HEAD + b"Expect: the-unexpected\r\n\r\n", 417),
]


def run_batches(port: int, count: int) -> None:
    """Send ``count`` pipelined batches on one connection. The first is read strictly, the others must be like it."""
    data = b"".join(request for request, _ in BATCH)
    with Raw(port) as raw:
        raw.send(data)
        for request, status in BATCH:
            response = raw.response("HEAD" if request.startswith(b"HEAD") else "GET")
            assert response.status == status, request
        assert raw.received == b""
        length = raw.bytes_received
        pattern = re.compile(rb"HTTP/1\.1 \d{3}")
        statuses: list[bytes] | None = None
        for _ in range(count - 1):
            raw.send(data)
            answers = bytearray()
            while len(answers) < length:
                more = raw.socket.recv(MEBIBYTE)
                assert more, "the connection ended inside a batch"
                answers += more
            seen = pattern.findall(answers)
            statuses = statuses or seen
            assert len(answers) == length
            assert len(seen) == len(BATCH)
            assert seen == statuses


def run_malformed(port: int, rounds: int) -> None:
    """Send each malformed request on a connection of its own, and read its refusal."""
    for _ in range(rounds):
        for data, status in MALFORMED:
            assert exchange(port, data).status == status, data


def run_oddities(port: int, rounds: int) -> None:
    """Send good requests in odd ways: byte by byte, half-closed, cut short, reset, after a 100; and large ones."""
    request = get("/a.txt")
    for _ in range(rounds):
        with Raw(port) as raw:
            assert raw.send_slowly(request).response().status == 200
        with Raw(port) as raw:
            assert raw.send(request).half_close().response().status == 200
            assert raw.closed()
        with Raw(port) as raw:
            assert raw.send(request[:-3]).half_close().closed()
        for data in (b"", request[:10], get("/mebibyte")):
            with Raw(port) as raw:
                raw.send(data)
                raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with Raw(port) as raw:
            raw.send(get("/", "Content-Length: 1", "Expect: 100-continue", method="POST"))
            assert raw.response().status == 100
            assert raw.send(b"x").response().status == 405
        assert len(exchange(port, get("/mebibyte", "Connection: close")).content) == MEBIBYTE


def run_flood(port: int, rounds: int) -> None:
    """Open twice as many connections as there are slots: who is too many gets a 503 at once, the others are served."""
    for _ in range(rounds):
        with ExitStack() as stack:
            count = 2 * MAX_CONNECTIONS
            crowd = [stack.enter_context(Raw(port)).send(b"GET /a.txt HTTP/1.1\r\n") for _ in range(count)]
            # They are accepted in their order: once the last has its answer, each has a slot or none. Before that, one
            # that was served would be idle and give way to a newcomer.
            assert crowd[-1].socket.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503"
            statuses = []
            for raw in crowd:
                # Who was refused may have been closed by now; the answer is there all the same.
                with suppress(BrokenPipeError, ConnectionResetError):
                    raw.send(b"Host: h\r\n\r\n")
                statuses.append(raw.response().status)
            assert set(statuses) == {200, 503}
            assert statuses.count(503) >= MAX_CONNECTIONS
            assert statuses.count(200) >= MAX_CONNECTIONS // 2
        # The slots are free once the server has seen the ends of those connections.
        deadline = time.monotonic() + PATIENCE
        while exchange(port, get("/a.txt")).status != 200:
            assert time.monotonic() < deadline


def run_load(port: int, batches: int, rounds: int) -> None:
    """Send everything, from several threads; at least ``3 * batches * 50`` requests."""
    work: list[tuple[Callable[[int, int], None], int]] = [
        *[(run_batches, batches)] * 3,
        (run_malformed, rounds),
        (run_oddities, rounds),
    ]
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(run, port, count) for run, count in work]:
            done.result()
    run_flood(port, max(1, rounds // 10))
