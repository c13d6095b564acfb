"""The file of the access log: opened anew under load, on a full disk, not read, not to be written."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pooled_httpd
import pytest
from access_log_lines import ask, file_objects
from conftest import assert_sound
from support import PATIENCE, PROGRAM, Program, Raw, Site, eventually, exchange, get

# Rotation.


@pytest.fixture
def load() -> Iterator[Callable[[int, int], threading.Thread]]:
    """Return a function that asks for so many different paths on another thread; afterwards all have been answered."""
    threads: list[threading.Thread] = []
    answered: list[int] = []

    def start(port: int, count: int) -> threading.Thread:
        def run() -> None:
            with Raw(port) as raw:
                for number in range(count):
                    assert raw.send(get(f"/{number}")).response().status == 404
            answered.append(count)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join()
    assert len(answered) == len(threads)


def rotate_under_load(path: Path, thread: threading.Thread, reopen: Callable[[], None]) -> list[Path]:
    """Rename the file again and again while it is written; return all files in their order."""
    rotated: list[Path] = []
    while thread.is_alive():
        moved = path.with_name(f"log.{len(rotated)}")
        path.rename(moved)
        rotated.append(moved)
        reopen()
        eventually(path.exists)
        before = moved.stat().st_size
        eventually(lambda: path.stat().st_size > 4096 or not thread.is_alive())
        assert moved.stat().st_size == before, "nothing goes to the old file once there is a new one"
    return [*rotated, path]


#: Fewer answers than the ring has records, so that none can be left out.
LOAD = 3000


def test_sighup_opens_the_file_anew_and_loses_nothing(
    site: Site, tmp_path: Path, load: Callable[[int, int], threading.Thread]
) -> None:
    """A file is renamed away under load: every answer is in one of the files, once and in order."""
    path = tmp_path / "log"
    options = ["--log-level", "info", "--access-log", "json", "--access-log-file"]
    with Program.start(*options, path, site.root) as program:
        files = rotate_under_load(path, load(program.port, LOAD), lambda: program.process.send_signal(signal.SIGHUP))
        assert program.finish() == 0
    assert len(files) > 3
    assert [entry["line"] for entry in file_objects(*files)] == [f"GET /{number} HTTP/1.1" for number in range(LOAD)]
    assert not any("WARN" in line for line in program.lines)


def test_reopen_from_python_loses_nothing(
    site: Site, tmp_path: Path, load: Callable[[int, int], threading.Thread]
) -> None:
    """The same by :meth:`Server.reopen_access_log`, with a name that was relative to a directory that is left since."""
    path = tmp_path / "log"
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        server = pooled_httpd.Server(site.root, access_log="json", access_log_file="log")
    finally:
        os.chdir(before)
    with server:
        files = rotate_under_load(path, load(server.port, LOAD), server.reopen_access_log)
    assert [entry["line"] for entry in file_objects(*files)] == [f"GET /{number} HTTP/1.1" for number in range(LOAD)]
    assert server.stats().log_records_dropped == 0
    assert_sound(server)


def test_a_reopen_before_the_start_is_kept(site: Site, tmp_path: Path) -> None:
    """A created server has its file open already; moved away by then, it is opened anew as well."""
    path = tmp_path / "log"
    server = pooled_httpd.Server(site.root, access_log_file=path)
    path.rename(tmp_path / "moved")
    server.reopen_access_log()
    with server:
        ask(server.port)
    assert (tmp_path / "moved").read_text() == ""
    assert path.read_text().count("\n") == 4


def test_where_the_file_cannot_be_opened_anew_the_old_one_is_used(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says so; no line is lost."""
    caplog.set_level(logging.WARNING, "pooled_httpd")
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "log"
    with pooled_httpd.Server(site.root, access_log_file=path) as server:
        (tmp_path / "logs").rename(tmp_path / "moved")
        server.reopen_access_log()
        eventually(lambda: caplog.messages != [])
        ask(server.port)
    expected = f'access log: "{path}" cannot be opened anew: No such file or directory (os error 2); '
    assert caplog.messages == [expected + "the lines go where they went"]
    assert (tmp_path / "moved" / "log").read_text().count("\n") == 4


def test_reopen_needs_a_server_and_no_file(site: Site) -> None:
    """Without a file nothing happens, at any time of the server's life; after destroy it is StateError."""
    server = pooled_httpd.Server(site.root, access_log="common")
    server.reopen_access_log()
    with server:
        server.reopen_access_log()
        assert exchange(server.port, get("/a.txt")).status == 200
    server.reopen_access_log()
    server.destroy()
    with pytest.raises(pooled_httpd.StateError):
        server.reopen_access_log()


def test_sighup_without_a_file_stops_in_order(site: Site) -> None:
    """A closed terminal is as SIGTERM: idle clients see the end, the statistics are printed, the status is 0."""
    # Who runs the tests under nohup has it ignored.
    wrapper = ("env", "--default-signal=HUP")
    with Program.start("--access-log", "common", site.root, wrapper=wrapper) as program, Raw(program.port) as idle:
        assert idle.send(get("/a.txt")).response().status == 200
        assert program.finish(signal.SIGHUP) == 0
        assert idle.closed()
    assert any("Total requests served: 1" in line for line in program.lines)


def test_sighup_that_is_ignored_stays_ignored(site: Site) -> None:
    """``nohup httpserver`` outlives its terminal."""
    with Program.start(site.root, wrapper=("/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh")) as program:
        program.process.send_signal(signal.SIGHUP)
        # Signals of this kind are read in the order of their numbers, so SIGHUP would have been by then.
        for served in (0, 1):
            program.process.send_signal(signal.SIGUSR1)
            program.wait_for(f"Total requests served: {served}")
            assert exchange(program.port, get("/a.txt")).status == 200
        assert program.finish() == 0


# What cannot be written.


def test_a_full_disk_costs_lines_and_nothing_else(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The server serves on, tells of it once and in the end, and stops as ever."""
    caplog.set_level(logging.WARNING, "pooled_httpd")
    with pooled_httpd.Server(site.root, access_log="json", access_log_file="/dev/full") as server:
        for _ in range(200):
            assert exchange(server.port, get("/a.txt")).status == 200
        eventually(lambda: caplog.messages != [])
        begin = time.monotonic()
    assert time.monotonic() - begin < PATIENCE
    assert_sound(server)
    found = [
        re.fullmatch(r"access log: (\d+) lines lost(: No space left on device \(os error 28\))?", message)
        for message in caplog.messages
    ]
    told = [(int(entry[1]), bool(entry[2])) for entry in found if entry]
    assert len(told) == len(caplog.messages) <= 2
    assert [with_reason for _, with_reason in told] == [True, False][: len(told)]
    assert sum(lines for lines, _ in told) == 200
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_the_program_tells_of_a_full_disk(site: Site) -> None:
    """The same on standard output."""
    with Program.start("--log-level", "info", "--access-log-file", "/dev/full", site.root) as program:
        assert exchange(program.port, get("/a.txt")).status == 200
        line = program.wait_for("access log: ")
        assert line == "[WARN] access log: 1 lines lost: No space left on device (os error 28)"
        assert exchange(program.port, get("/a.txt")).status == 200
        assert program.finish() == 0


def test_a_pipe_that_is_not_read_stalls_neither_loop_nor_stop(site: Site, tmp_path: Path) -> None:
    """Its lines wait, then they are dropped and counted; the stop gives up after its grace."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pooled_httpd.Server(site.root, access_log="json", access_log_file=path) as server:
            with Raw(server.port) as raw:
                # The pipe takes 64 KiB, the ring 4,096 records.
                for _ in range(100):
                    raw.send(get("/a.txt") * 100)
                    assert all(raw.response().status == 200 for _ in range(100))
            assert server.stats().log_records_dropped > 1000
            begin = time.monotonic()
            server.stop()
            assert time.monotonic() - begin < PATIENCE
        assert_sound(server)
    finally:
        threads = len(os.listdir("/proc/self/task"))
        # Without a reader the write fails, and so the log's thread ends.
        os.close(reader)
        eventually(lambda: len(os.listdir("/proc/self/task")) < threads)


def test_a_file_that_cannot_be_written_is_an_error_at_the_start(site: Site, tmp_path: Path) -> None:
    """The message names the option, the file and the reason; in Python it is an OSError with its number."""
    os.mkfifo(tmp_path / "pipe")
    cases = [
        (tmp_path / "no" / "log", errno.ENOENT, "No such file or directory"),
        (tmp_path, errno.EISDIR, "Is a directory"),
        (tmp_path / "pipe", errno.ENXIO, "No such device or address"),
    ]
    for path, number, reason in cases:
        message = (
            f'access_log_file: "{path}" cannot be written: {reason} (os error {number}); '
            "it takes the name of a file in a directory that can be written"
        )
        with pytest.raises(pooled_httpd.AccessLogError) as raised:
            pooled_httpd.Server(site.root, access_log_file=path)
        assert (raised.value.errno, raised.value.strerror) == (number, message)
        assert isinstance(raised.value, (OSError, pooled_httpd.PooledHttpdError))
        command = [str(PROGRAM), "--host", "127.0.0.1", "--access-log-file", str(path), "0", str(site.root)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"httpserver: {message}\n")
    # A server that could not be created holds nothing.
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(pooled_httpd.BindError):
        pooled_httpd.Server(site.root, port=taken.getsockname()[1], access_log_file=tmp_path / "unused")
    assert not (tmp_path / "unused").exists()
