"""What the tests of faults share: system calls of the loop made to fail, and its statistics held against its calls.

The injector is strace on one thread of a running server, so that nothing in the server knows of it. The record of the
calls is the other half of every sum: what the kernel says it gave and took is what the statistics must say.
"""

from __future__ import annotations

import errno
import re
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pooled_httpd
import pytest
from support import PATIENCE, Raw, eventually, exchange, get, need

#: The calls that the sums are made of; they are recorded whether they are made to fail or not.
SUMMED = ("accept4", "recvfrom", "sendto", "sendmsg", "sendfile")


def fill(path: Path) -> None:
    """Make a file that takes what is left of its disk, up to less than a page."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 12)):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def thread_named(name: str, process: int | str = "self") -> int:
    """Return the number of a process's newest thread of this name: the session's server may have one as well."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if (task / "comm").read_text() == f"{name}\n":
                started = int((task / "stat").read_text().rpartition(")")[2].split()[19])
                found.append((started, int(task.name)))
    if not found:
        pytest.fail(f"no thread is called {name}")
    return max(found)[1]


def descriptors(process: int | str = "self") -> list[str]:
    """Return what the descriptors of a process lead to, in order; sockets and pipes without their numbers."""
    found = []
    for entry in Path(f"/proc/{process}/fd").iterdir():
        # The directory that is being read is among them.
        with suppress(FileNotFoundError):
            found.append(re.sub(r":\[\d+\]$", "", str(entry.readlink())))
    return sorted(found)


@dataclass(frozen=True)
class Call:
    """One system call: its name, what it returned, the name of its error, and whether that was made up."""

    name: str
    result: int
    error: str
    injected: bool


LINE = re.compile(r"(\w+)\(.*\) += (-?\d+|\?)(?: (E[A-Z0-9]+) \([^)]*\))?( \(INJECTED\))?")


class Injector:
    """Makes calls of one thread fail, as long as it is entered.

    A rule is what strace takes: ``recvfrom:error=ENOMEM:when=3+5``. A call that is made to fail is not made.
    """

    def __init__(self, thread: int, log: Path, *rules: str, traced: tuple[str, ...] = SUMMED) -> None:
        """Take the rules for a thread; ``log`` is a file to be made."""
        names = {*traced, *(rule.partition(":")[0] for rule in rules)}
        injected = [word for rule in rules for word in ("-e", f"inject={rule}")]
        options = ["-s", "0", "-a", "0", "-e", "signal=none", "-e", f"trace={','.join(sorted(names))}"]
        self._command = [need("strace"), "-p", str(thread), "-o", str(log), *options, *injected]
        self._log = log
        self.calls: list[Call] = []

    def __enter__(self) -> Self:
        """Attach, and return once every call is under control."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        if "attached" not in line:
            self._process.communicate()
            if "not permitted" in line:
                pytest.skip("this user may not trace a process")
            pytest.fail(line)
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the thread and read what it did."""
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=PATIENCE)
        for line in self._log.read_text().splitlines():
            found = LINE.fullmatch(line)
            # The call that it was in when it was let go has no result.
            if found and found[2] != "?":
                self.calls.append(Call(found[1], int(found[2]), found[3] or "", bool(found[4])))

    def seen(self) -> int:
        """Count the calls that were made to fail, while it is entered."""
        return self._log.read_text().count("(INJECTED)")

    def injected(self, name: str = "") -> int:
        """Count the calls that were made to fail, afterwards."""
        return sum(call.injected and call.name.startswith(name) for call in self.calls)

    def total(self, *names: str) -> int:
        """Add up what these calls returned where they did not fail."""
        return sum(call.result for call in self.calls if call.name in names and call.result > 0)

    def succeeded(self, name: str) -> int:
        """Count the calls of this name that did not fail."""
        return sum(call.name == name and call.result >= 0 for call in self.calls)


def connections(server: pooled_httpd.Server) -> int:
    """Count the connections that were accepted, or accepted and refused."""
    stats = server.stats()
    return stats.total_connections + stats.connections_refused


def settled(server: pooled_httpd.Server) -> pooled_httpd.ServerStats:
    """Return the statistics once no connection is left."""
    eventually(lambda: server.stats().active_connections == 0, "a connection is left")
    # A turn ends with its statistics complete.
    return server.stats()


def assert_exact(
    before: pooled_httpd.ServerStats, after: pooled_httpd.ServerStats, injector: Injector
) -> pooled_httpd.ServerStats:
    """Assert that the statistics between two snapshots are what the loop's own calls add up to, and return them."""
    stats = after - before
    assert stats.bytes_received == injector.total("recvfrom")
    assert stats.bytes_sent == injector.total("sendto", "sendmsg", "sendfile")
    assert stats.total_connections + stats.connections_refused == injector.succeeded("accept4")
    assert sum(stats.responses.values()) == stats.total_requests
    assert (after.invariant_violations, after.malloc_calls, after.free_calls, after.heap_bytes) == (0, 0, 0, 0)
    assert stats.invariant_checks_passed > 0
    return stats


def assert_serves(port: int) -> None:
    """Assert that a good client is served: a small file, a large one, and nothing at all."""
    with Raw(port) as raw:
        assert raw.send(get("/a.txt")).response().content == b"hello\n"
        assert len(raw.send(get("/large")).response().content) == 320_000
        assert raw.send(get("/nothing")).response().status == 404
    assert exchange(port, get("/a.txt", "Connection: close")).status == 200
