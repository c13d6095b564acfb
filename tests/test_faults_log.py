"""Where the log cannot go: a full disk, a handler that never returns, a reader that never reads."""

from __future__ import annotations

import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pooled_httpd
import pytest
from conftest import assert_sound
from faults import fill
from program_output import listening_port
from support import PATIENCE, PROGRAM, Program, Raw, Site, eventually, exchange, get, threads, threads_left
from test_program import make_stuck

#: How long a stop waits for whoever takes the log, in seconds.
LOG_GRACE = 1.0


def entries(path: Path) -> list[int]:
    """Return the numbers of the requests in a log of the JSON form, each line of which must be whole."""
    text = path.read_text("ascii")
    assert text == "" or text.endswith("\n")
    return [int(json.loads(line)["line"].split("/")[1].split(" ")[0]) for line in text.splitlines()]


def ask(raw: Raw, numbers: range) -> None:
    """Ask for so many different paths, in batches."""
    for start in range(numbers.start, numbers.stop, 50):
        batch = range(start, min(start + 50, numbers.stop))
        raw.send(b"".join(get(f"/{number}") for number in batch))
        assert all(raw.response().status == 404 for _ in batch)


def test_a_full_disk_costs_lines_until_there_is_room_again(
    site: Site, tmp_path: Path, mount: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Each line is in the file or told to be lost; none is there by half; with room again they are written again."""
    caplog.set_level(logging.WARNING, "pooled_httpd")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk)
    log, ballast = disk / "access.log", disk / "ballast"
    rounds = 3
    with pooled_httpd.Server(site.root, access_log="json", access_log_file=log) as server, Raw(server.port) as raw:
        asked = 0
        for round_ in range(rounds):
            ask(raw, range(asked, asked := asked + 100))
            eventually(lambda: log.read_bytes().count(b"\n") >= 100)
            # All but a few bytes, so that a line is cut in two.
            already = len(caplog.messages)
            fill(ballast)
            while len(caplog.messages) == already:
                ask(raw, range(asked, asked := asked + 100))
                time.sleep(0.002)
                assert asked < 100_000
            ask(raw, range(asked, asked := asked + 100))
            assert "No space left on device (os error 28)" in caplog.messages[already]
            ballast.unlink()
            ask(raw, range(asked, asked := asked + 100))
            eventually(lambda: len(caplog.messages) == already + 2)  # noqa: B023 (called before the next round)
            assert caplog.messages[-1].endswith("lines lost; now it is written again")
            assert round_ < rounds
    assert_sound(server)
    written = entries(log)
    lost = [re.match(r"access log: (\d+) lines lost", message) for message in caplog.messages]
    assert written == sorted(set(written)), "in order, and none twice"
    assert len(written) + sum(int(found[1]) for found in lost if found) == asked == server.stats().total_requests
    assert server.stats().log_records_dropped == 0
    assert written[-1] == asked - 1


def test_a_log_that_is_unmounted_or_read_only_is_told(
    site: Site, tmp_path: Path, mount: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A log's disk that turns read-only, as disks do that fail: told once, and served on."""
    caplog.set_level(logging.WARNING, "pooled_httpd")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk)
    with pooled_httpd.Server(site.root, access_log_file=disk / "log") as server:
        assert exchange(server.port, get("/a.txt")).status == 200
        eventually(lambda: (disk / "log").read_text().count("\n") == 1)
        # It is open for writing, so the disk is busy and stays writable as long as the file is not opened anew.
        assert subprocess.run(["mount", "-o", "remount,ro", disk], stderr=subprocess.DEVNULL, check=False).returncode
        subprocess.run(["umount", "--lazy", disk], check=True, timeout=60)
        assert exchange(server.port, get("/a.txt")).status == 200
        # Opened anew by its name it is where the name leads now.
        server.reopen_access_log()
        eventually((disk / "log").exists)
        assert exchange(server.port, get("/dir/")).status == 200
        eventually(lambda: '"GET /dir/ HTTP/1.1" 200' in (disk / "log").read_text())
    assert caplog.messages == []
    assert_sound(server)


class Stuck(logging.Handler):
    """A handler that does not return before it is let go."""

    def __init__(self) -> None:
        """Hold whoever comes."""
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Wait."""
        if "CONN" in record.getMessage():
            self.entered.set()
            self.let_go.wait()


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """A handler on the story's logger; afterwards it is let go and gone."""
    logger, handler = logging.getLogger("pooled_httpd.conn"), Stuck()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    handler.let_go.set()
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_handler_that_never_returns_stalls_neither_loop_nor_stop(site: Site, stuck: Stuck) -> None:
    """What it does not take is dropped and counted; the stop waits for its grace and no longer."""
    before = len(threads())
    server = pooled_httpd.Server(site.root, access_log="json")
    server.start()
    with Raw(server.port) as raw:
        raw.send(get("/a.txt")).response()
        assert stuck.entered.wait(PATIENCE)
        begun = time.monotonic()
        ask(raw, range(3000))
        assert time.monotonic() - begun < PATIENCE
        dropped = server.stats().log_records_dropped
        ask(raw, range(1000))
        # Both rings are full: every answer loses its line of the access log, and seven records or more.
        assert server.stats().log_records_dropped - dropped >= 8 * 1000
    begun = time.monotonic()
    server.stop()
    assert LOG_GRACE * 0.9 < time.monotonic() - begun < LOG_GRACE + PATIENCE / 2
    assert not server.is_running
    assert_sound(server)
    # Only the thread that the handler holds is left, and it goes once it is let go.
    assert len(threads_left(before + 1)) == before + 1
    server.destroy()
    stuck.let_go.set()
    assert len(threads_left(before)) <= before


def test_a_handler_that_raises_or_is_slow_loses_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a handler is logging's to tell; the next record comes all the same."""
    caplog.set_level(logging.DEBUG, "pooled_httpd.conn")
    logger, raised = logging.getLogger("pooled_httpd.conn"), []

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raised.append(record.getMessage())
            raise RuntimeError("a handler's own fault")

    handler = Raising()
    logger.addHandler(handler)
    try:
        with pooled_httpd.Server(site.root) as server:
            for _ in range(5):
                assert exchange(server.port, get("/a.txt", "Connection: close")).status == 200
    finally:
        logger.removeHandler(handler)
    assert_sound(server)
    assert server.stats().log_records_dropped == 0
    assert sum("Total lifetime" in message for message in raised) == 5


def test_the_interpreter_ends_though_a_handler_never_returns(site: Site) -> None:
    """At its exit the servers are stopped within the grace, and the process ends with its own status."""
    code = """
import logging, sys, threading, urllib.request, pooled_httpd
class Stuck(logging.Handler):
    def createLock(self):
        self.lock = None  # At the exit logging itself waits for the lock of every handler.
    def emit(self, record):
        if "CONN" in record.getMessage():
            entered.set()
            threading.Event().wait()
entered = threading.Event()
logging.basicConfig(level=logging.DEBUG, handlers=[Stuck()])
server = pooled_httpd.Server(sys.argv[1])
server.start()
assert urllib.request.urlopen(server.url_for("a.txt")).read() == b"hello\\n"
assert entered.wait(10)
print("served", flush=True)
sys.exit(7)
"""
    begun = time.monotonic()
    command = [sys.executable, "-c", code, str(site.root)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (7, "served\n"), ended.stderr
    assert "panicked" not in ended.stderr
    assert "Fatal" not in ended.stderr
    assert time.monotonic() - begun < PATIENCE


def test_statistics_that_nobody_reads_cost_one_thread_at_most(site: Site) -> None:
    """SIGUSR1 again and again while standard output is stuck: no thread for each of them, and the stop is as ever."""
    with Program.start("--log-level", "debug", site.root) as program:
        process = program.process
        make_stuck(program)
        before = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
        for _ in range(2):
            process.send_signal(signal.SIGUSR1)
            eventually(lambda: not pending(process.pid) & 1 << (signal.SIGUSR1 - 1))
            assert exchange(program.port, get("/a.txt")).status == 200
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) <= before + 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def pending(process: int) -> int:
    """Return the signals that a process has not yet taken, as a mask."""
    found = re.search(r"^ShdPnd:\s+([0-9a-f]+)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1], 16)


def test_an_output_that_does_not_wait_loses_no_line(site: Site) -> None:
    """Another process may have set the terminal or pipe non-blocking: a full one is waited for, and no line is torn."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    command = [str(PROGRAM), "--host", "127.0.0.1", "--port", "0", "--access-log", "json", str(site.root)]
    with open(reader, "rb") as output, subprocess.Popen(command, stdout=writer) as process:
        os.close(writer)
        with Raw(listening_port(process)) as raw:
            # More than the pipe takes, and fewer records than the ring has.
            ask(raw, range(400))
        # It waited long enough for whoever reads; a stop would give up on a reader who is late.
        early = b""
        while early.count(b"\n{") < 400:
            early += (line := output.readline())
            assert line, "it ended before it was asked to"
        process.send_signal(signal.SIGTERM)
        lines = (early + output.read()).decode().splitlines()
        assert process.wait(PATIENCE) == 0
    story, _, statistics = "\n".join(lines).partition("========== Memory Statistics ==========\n")
    assert "Total requests served: 400" in statistics
    told = [line for line in story.splitlines() if line]
    assert all(re.match(r"\[INFO\] |\[CONN 0\] |\{", line) for line in told)
    assert [json.loads(line)["line"] for line in told if line.startswith("{")] == [
        f"GET /{number} HTTP/1.1" for number in range(400)
    ]
    assert sum("Parsed: GET /" in line for line in told) == 400


def lines_of(text: str) -> tuple[list[int], int]:
    """Take what the program printed apart: the numbers of the requests in it, and how many lines it says were lost."""
    numbers, lost = [], 0
    for line in text.partition("========== Memory Statistics ==========")[0].splitlines():
        if found := re.fullmatch(r"\[WARN\] (\d+) lines lost; now they are written again", line):
            lost += int(found[1])
        elif line.startswith("{"):
            numbers.append(int(json.loads(line)["line"].split("/")[1].split(" ")[0]))
        else:
            assert line == "", line
    return numbers, lost


def test_an_output_that_is_full_is_counted_and_told(site: Site, tmp_path: Path, mount: Callable[[Path], None]) -> None:
    """``httpserver --access-log json >file`` on a disk that is full for a while: a line is there or told to be lost."""
    (tmp_path / "disk").mkdir()
    mount(tmp_path / "disk")
    output, ballast = tmp_path / "disk" / "output", tmp_path / "disk" / "ballast"
    command = [str(PROGRAM), "--host", "127.0.0.1", "--port", "0", "--log-level", "warn", "--access-log", "json"]
    with output.open("ab") as file, subprocess.Popen([*command, str(site.root)], stdout=file) as process:
        with Raw(listening_port(process)) as raw:
            ask(raw, range(100))
            eventually(lambda: output.read_bytes().count(b"\n") == 100)
            fill(ballast)
            # More than the rest of a page.
            ask(raw, range(100, 300))
            # Some of it has been written, and what was not has been given up.
            eventually(lambda: len(lines_of(output.read_text().rpartition("\n")[0])[0]) > 100)
            time.sleep(0.2)
            ask(raw, range(300, 400))
            time.sleep(0.2)
            ballast.unlink()
            ask(raw, range(400, 500))
            eventually(lambda: "lines lost" in output.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    numbers, lost = lines_of(output.read_text())
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 499
    assert lost >= 100
    assert len(numbers) + lost == 500


def test_files_that_may_not_grow_end_no_program(site: Site, tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the signal for it is not taken, the lines are lost and counted, and it serves on."""
    log = tmp_path / "log"
    command = [str(PROGRAM), "--host", "127.0.0.1", "--port", "0", "--log-level", "warn", "--access-log", "json"]
    for options in ([], ["--access-log-file", str(log)]):
        output = tmp_path / f"output{len(options)}"
        with output.open("ab") as file:
            process = subprocess.Popen([*command, *options, str(site.root)], stdout=file, stderr=subprocess.PIPE)
        with process, Raw(listening_port(process)) as raw:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            ask(raw, range(100))
            for _ in range(3):
                process.send_signal(signal.SIGUSR1)
                ask(raw, range(100))
            raw.socket.close()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
        assert output.stat().st_size <= 1
        found = re.fullmatch(rb"httpserver: (\d+) lines lost: standard output did not take them\n", errors)
        assert found
        # With a file for them it is what was to be told of that file: once when it began, and once in the end.
        assert int(found[1]) == (2 if options else 400)
