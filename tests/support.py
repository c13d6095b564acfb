"""What the tests share: raw connections, responses read strictly, a small document root, the program as a process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target" / "release" / "httpserver"
#: How long a test waits for what must come at once, in seconds: generous, because the machine may be busy.
PATIENCE = 10.0

Outcome = TypeVar("Outcome")


def open_descriptors() -> int:
    """Count the descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def eventually(holds: Callable[[], bool], what: str = "") -> None:
    """Wait until something holds that another thread or process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


def threads() -> list[str]:
    """Name the threads of this process."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it may end meanwhile
            names.append((task / "comm").read_text().strip())
    return names


def threads_left(wanted: int) -> list[str]:
    """Name the threads of this process, once there are no more than ``wanted`` or as many stay.

    A thread that has ended may be listed for a moment more, and one that closes what watches directories lasts for some
    milliseconds.
    """
    deadline = time.monotonic() + PATIENCE
    while len(names := threads()) > wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    return names


class Lateness:
    """How much later than asked this process is woken at worst, in seconds; as long may anybody be kept waiting."""

    def __init__(self) -> None:
        """Measure nothing yet."""
        self.worst = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure)

    def _measure(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            time.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - begun - 0.01)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._over.set()
        self._thread.join()


def undisturbed(act: Callable[[], Outcome]) -> Outcome:
    """Do something; again where the machine kept this process waiting meanwhile, three times at most."""
    for _ in range(2):
        with Lateness() as lateness:
            outcome = act()
        if lateness.worst < 0.15:
            return outcome
    return act()


def need(tool: str) -> str:
    """Return the path of a tool, or skip the test."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed")
    return path


@dataclass
class Response:
    """One response, taken apart: field names in lower case."""

    status: int
    head: bytes
    fields: dict[str, str]
    content: bytes


class Raw:
    """A raw connection that reads responses strictly: whatever is not well formed fails the test."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        """Connect to the port on 127.0.0.1."""
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.bytes_sent = 0
        self.bytes_received = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, data: bytes) -> Self:
        """Send all of it."""
        self.socket.sendall(data)
        self.bytes_sent += len(data)
        return self

    def send_slowly(self, data: bytes, step: int = 1) -> Self:
        """Send it in pieces of ``step`` bytes, each in a segment of its own. A server that closes meanwhile ends it."""
        for start in range(0, len(data), step):
            try:
                self.send(data[start : start + step])
            except (BrokenPipeError, ConnectionResetError):
                break
        return self

    def half_close(self) -> Self:
        """Close the sending side."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self.received += data
        self.bytes_received += len(data)
        return bool(data)

    def response(self, method: str = "GET") -> Response:
        """Read one final or interim response to a request with this method."""
        while b"\r\n\r\n" not in self.received:
            assert self._more(), f"the connection ended inside a head: {self.received!r}"
        head, _, rest = self.received.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        version, status, *_ = lines[0].decode("ascii").split(" ")
        assert version == "HTTP/1.1"
        fields: dict[str, str] = {}
        for line in lines[1:]:
            name, separator, value = line.decode("ascii").partition(": ")
            assert separator, line
            assert name.lower() not in fields, f"repeated field {name}"
            fields[name.lower()] = value
        code = int(status)
        without_content = method == "HEAD" or code < 200 or code in (204, 304)
        if code >= 200:
            assert "date" in fields
        if "transfer-encoding" in fields and not without_content:
            assert fields["transfer-encoding"] == "chunked"
            assert "content-length" not in fields
            self.received = rest
            return Response(code, head, fields, self._chunks())
        length = 0 if without_content else int(fields["content-length"])
        while len(rest) < length:
            self.received = rest
            assert self._more(), f"the connection ended {length - len(rest)} bytes short"
            rest = self.received
        self.received = rest[length:]
        return Response(code, head, fields, rest[:length])

    def has_more(self) -> bool:
        """Wait for another response to begin; false if the connection ended."""
        return self.received != b"" or self._more()

    def _chunks(self) -> bytes:
        """Read chunks up to the last, strictly."""
        content = b""
        while True:
            while b"\r\n" not in self.received:
                assert self._more(), "the connection ended inside a chunk size"
            size, _, rest = self.received.partition(b"\r\n")
            assert re.fullmatch(rb"[0-9a-f]+", size), size
            length = int(size, 16)
            while len(rest) < length + 2:
                self.received = rest
                assert self._more(), "the connection ended inside a chunk"
                rest = self.received
            assert rest[length : length + 2] == b"\r\n"
            content, self.received = content + rest[:length], rest[length + 2 :]
            if length == 0:
                return content

    def closed(self) -> bool:
        """Wait for the server's end of the connection; true if nothing came before it."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        return self.received == b""


def exchange(port: int, data: bytes, method: str = "GET") -> Response:
    """Send a request on a connection of its own and return the first final response."""
    with Raw(port) as raw:
        raw.send(data)
        response = raw.response(method)
        while response.status < 200:
            response = raw.response(method)
        return response


def settled_tag(port: int, path: str) -> str:
    """Return the ETag of a file once it stays the same: while it is very young, each answer has a tag of its own."""
    deadline = time.monotonic() + PATIENCE
    last = ""
    while time.monotonic() < deadline:
        tag = exchange(port, get(path, method="HEAD"), "HEAD").fields["etag"]
        if tag == last:
            return tag
        last = tag
    raise AssertionError(f"the ETag of {path} never settles: {last}")


def get(path: str, *fields: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """Make a request with a Host field and these other field lines."""
    lines = [f"{method} {path} {version}", "Host: localhost", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


class Site:
    """A document root with known files."""

    def __init__(self, root: Path) -> None:
        """Make the root and its files."""
        self.root = root
        root.mkdir()
        self.write("index.html", b"<!doctype html><title>index</title>\n")
        self.write("a.txt", b"hello\n")
        self.write("empty", b"")
        self.write("dir/index.html", b"<!doctype html><title>dir</title>\n")
        self.write("bare/file.css", b"body{}\n")
        self.write(".hidden", b"hidden\n")
        self.write(".well-known/security.txt", b"Contact: nobody\n")
        self.write("a b+%.txt", b"space\n")
        # Line i holds its own offset, so that every byte can be checked.
        self.write("large", b"".join(b"%015d\n" % (16 * line) for line in range(20_000)))

    def write(self, name: str, content: bytes) -> Path:
        """Write a file, its directories included."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@dataclass
class Program:
    """The program as a process, its standard output read as it comes."""

    process: subprocess.Popen[bytes]
    port: int = 0
    lines: list[str] = field(default_factory=list)
    _rest: bytes = b""

    @classmethod
    def start(
        cls,
        *arguments: str | Path,
        port: int = 0,
        wrapper: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> Self:
        """Start it on a port of 127.0.0.1, a free one unless told otherwise, and wait until it is ready."""
        if not PROGRAM.exists():
            pytest.skip("the program is not built: run it by `make test`")
        command = [*wrapper, str(PROGRAM), "--host", "127.0.0.1", "--port", str(port), *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=None if env is None else {**os.environ, **env})
        program = cls(process)
        program.wait_for("Server ready")
        listening = next(line for line in program.lines if "Listening on" in line)
        program.port = int(listening.rpartition(":")[2])
        return program

    def wait_for(self, text: str, limit: float = 60.0) -> str:
        """Read its output until a line holds ``text``, and return that line."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        os.set_blocking(descriptor, False)
        deadline = time.monotonic() + limit
        seen = 0
        while True:
            for line in self.lines[seen:]:
                if text in line:
                    return line
            seen = len(self.lines)
            assert time.monotonic() < deadline, f"no line with {text!r} in {limit} s: {self.lines[-20:]}"
            try:
                data = os.read(descriptor, 1 << 20)
            except BlockingIOError:
                time.sleep(0.002)
                continue
            assert data, f"the program ended without a line with {text!r}: {self.lines[-20:]}"
            *whole, self._rest = (self._rest + data).split(b"\n")
            self.lines += [line.decode() for line in whole]

    def finish(self, number: int = signal.SIGINT, limit: float = 60.0) -> int:
        """Send a signal, read the rest of the output and return the exit status."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), True)
        rest, _ = self.process.communicate(timeout=limit)
        self.lines += (self._rest + rest).decode().splitlines()
        self._rest = b""
        return self.process.returncode

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
