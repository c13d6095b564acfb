"""Memory and threads that the system refuses: an error at the start that says what to lower, and never a panic."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pooled_httpd
import pytest
from conftest import assert_sound
from faults import descriptors
from support import PROGRAM, Program, Raw, Site, exchange, get, threads, threads_left

MEBIBYTE = 1 << 20
REFUSED = re.compile(
    r"there is no memory for [\d,]+ bytes: max_connections \d+ times buffer_size \d+, twice, and pool_size \d+, "
    r"besides cache_size \d+; lower (.+)"
)
#: Options that ask for much, each in another way, and which of them is to be lowered.
SHAPES = {
    "buffer_size": (["--buffer-size", "16777216", "--max-connections", "8"], "buffer_size or max_connections"),
    "pool_size": (["--pool-size", "16777216", "--max-connections", "8"], "pool_size or max_connections"),
    "max_connections": (["--max-connections", "65536", "--cache-size", "0"], "buffer_size or max_connections"),
    "cache_size": (["--cache-size", "1000000000"], "cache_size"),
}


def started_within(limit: int, *options: str, root: Path) -> subprocess.CompletedProcess[str] | None:
    """Start the program with so much address space; nothing where it serves."""
    command = [str(PROGRAM), "--host", "127.0.0.1", "--port", "0", "--log-level", "info", *options, str(root)]
    # Set by a shell: what runs between fork and exec in a process with threads may hang.
    limited = ["/bin/sh", "-c", f'ulimit -v {limit // 1024} && exec "$0" "$@"', *command]
    with subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Server ready" in line:
                process.kill()
                return None
        _, errors = process.communicate()
        return subprocess.CompletedProcess(limited, process.returncode, "", errors)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_cannot_be_had_is_told_with_the_option_to_lower(site: Site, shape: str) -> None:
    """From very little address space to just not enough: one line, status 1."""
    options, lower = SHAPES[shape]
    for limit in (8, 12, 16, 24, 32, 64, 80, 96):
        ended = started_within(limit * MEBIBYTE, *options, root=site.root)
        assert ended is not None
        assert ended.returncode == 1, ended
        assert ended.stderr.count("\n") == 1
        found = REFUSED.fullmatch(ended.stderr.removeprefix("httpserver: ").rstrip())
        assert found, ended.stderr
        assert found[1] == lower


def test_on_the_way_from_too_little_to_enough_nothing_panics(site: Site) -> None:
    """In small steps until it serves: every start before that ends with one line of the program's own."""
    limit, kinds = 20 * MEBIBYTE, set()
    while (ended := started_within(limit, root=site.root)) is not None:
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended
        kinds.add(re.sub(r" [\d,]+ bytes", "", ended.stderr.removeprefix("httpserver: ").split(":")[0]))
        limit += MEBIBYTE // 2
        assert limit < 200 * MEBIBYTE
    assert kinds == {"there is no memory for", "the system gives no thread"}


def test_in_python_it_is_an_os_error_and_the_next_server_starts(site: Site) -> None:
    """Without a limit, but more than any machine has; and with a limit, for threads."""
    before, running = descriptors(), len(threads())
    server = pooled_httpd.Server(site.root, max_connections=65536, buffer_size=16777216)
    with pytest.raises(
        pooled_httpd.SystemRefusedError, match="max_connections 65536 times buffer_size 16777216"
    ) as raised:
        server.start()
    assert raised.value.errno == errno.ENOMEM
    assert not server.is_running
    with pytest.raises(ConnectionRefusedError):
        Raw(server.port)
    with pytest.raises(pooled_httpd.StateError):
        server.start()
    server.destroy()
    assert descriptors() == before
    assert len(threads_left(running)) <= running
    with pooled_httpd.Server(site.root) as other:
        assert exchange(other.port, get("/a.txt")).status == 200
    assert_sound(other)


def test_a_process_without_threads_left_gets_an_error_and_keeps_nothing() -> None:
    """RLIMIT_NPROC of a user who has no more: the start fails, whichever of the two threads it is that is refused."""
    code = """
import os, resource, sys, time, pooled_httpd
def state():
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
os.setgroups([]); os.setgid(64999); os.setuid(64999)
before = state()
for allowed in (1, 2):
    resource.setrlimit(resource.RLIMIT_NPROC, (allowed, 100))
    server = pooled_httpd.Server(sys.argv[1])
    try:
        server.start()
    except pooled_httpd.SystemRefusedError as error:
        print(error.errno, error.strerror)
    assert not server.is_running
    server.destroy()
    # A thread that has ended may be listed for a moment more.
    deadline = time.monotonic() + 10
    while state() != before:
        assert time.monotonic() < deadline, (state(), before)
resource.setrlimit(resource.RLIMIT_NPROC, (100, 100))
with pooled_httpd.Server(sys.argv[1]) as server:
    print(server.is_running)
"""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can become a user without other processes")
    # Not in pytest's own directory, which other users may not enter.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        command = [sys.executable, "-c", code, directory]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    line = (
        "11 the system gives no thread: Resource temporarily unavailable (os error 11); a limit on threads or memory "
    )
    line += "(ulimit -u, ulimit -v) may be too low"
    assert ended.stdout.splitlines() == [line, line, "True"]


def test_memory_that_is_refused_while_it_runs_costs_statistics_and_no_request(site: Site) -> None:
    """No thread can be had to print them, and no page more: the loop needs none, and the log has what it needs."""
    with Program.start("--access-log", "json", site.root) as program:
        process = program.process.pid
        with Raw(program.port) as raw:
            raw.send(get("/a.txt")).response()
        program.wait_for('"line":"GET /a.txt HTTP/1.1"')
        size = re.search(r"^VmSize:\s+(\d+) kB$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
        assert size
        limits = resource.prlimit(process, resource.RLIMIT_AS)
        resource.prlimit(process, resource.RLIMIT_AS, (int(size[1]) * 1024, limits[1]))
        for number in range(20):
            program.process.send_signal(signal.SIGUSR1)
            with Raw(program.port) as raw:
                raw.send(b"".join(get(path) for path in ("/a.txt", "/large", "/nothing")) * 20)
                assert [raw.response().status for _ in range(60)] == [200, 200, 404] * 20
                raw.send(get(f"/end{number}")).response()
            program.wait_for(f'"line":"GET /end{number} HTTP/1.1"')
        resource.prlimit(process, resource.RLIMIT_AS, limits)
        assert program.finish(signal.SIGTERM) == 0
        assert "Total requests served: 1,221" in program.lines
        assert "Invariant Violations: 0" in program.lines
