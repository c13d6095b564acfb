"""The access log: one line for each answer, in its three forms, wherever it goes and whatever a peer sends."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pooled_httpd
import pytest
from conftest import assert_sound
from program_output import listening_port
from support import PATIENCE, PROGRAM, Program, Raw, Site, exchange, get

Form: TypeAlias = Literal["common", "combined", "json"]

CLIENT = r"(?P<client>[0-9.]+|unix:) - - \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\]"
COMMON = re.compile(rf'{CLIENT} "(?P<line>[^"]*)" (?P<status>\d{{3}}) (?P<bytes>\d+|-)')
COMBINED = re.compile(rf'{COMMON.pattern} "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"')
KEYS = [
    *("time", "client", "port", "connection", "request", "line", "status", "bytes", "referer", "agent", "duration"),
]


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another thread or process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def objects(lines: list[str]) -> list[dict[str, Any]]:
    """Read the lines of the JSON form, which must have exactly its keys and be of ASCII."""
    read = [json.loads(line) for line in lines]
    assert all(list(entry) == KEYS for entry in read)
    assert all(re.fullmatch(r"[ -~]+", line) for line in lines)
    return read


def file_objects(*paths: Path) -> list[dict[str, Any]]:
    """Read files of the JSON form, each of which must end with the end of a line."""
    texts = [path.read_text("ascii") for path in paths]
    assert all(text == "" or text.endswith("\n") for text in texts)
    return objects([line for text in texts for line in text.splitlines()])


def ask(port: int) -> None:
    """Get answers of several kinds on one connection."""
    with Raw(port) as raw:
        fields = ("Referer: http://a/?b", 'User-Agent: tester/1 ("x")')
        assert raw.send(get("/a.txt", *fields)).response().status == 200
        assert raw.send(get("/a.txt", method="HEAD")).response("HEAD").status == 200
        assert raw.send(get("/no-such")).response().status == 404
        assert raw.send(b"GET /a.txt HTTP/1.1\r\n\r\n").response().status == 400
        assert raw.closed()


ASKED = [("GET /a.txt HTTP/1.1", 200), ("HEAD /a.txt HTTP/1.1", 200), ("GET /no-such HTTP/1.1", 404)]
ASKED += [("GET /a.txt HTTP/1.1", 400)]


def check_asked(form: Form, lines: list[str]) -> None:
    """Check the lines of what :func:`ask` asked for."""
    if form == "json":
        entries = objects(lines)
        assert [(entry["line"], entry["status"]) for entry in entries] == ASKED
        assert [entry["request"] for entry in entries] == [1, 2, 3, 4]
        assert len({(entry["connection"], entry["port"]) for entry in entries}) == 1
        assert {entry["client"] for entry in entries} == {"127.0.0.1"}
        assert [entry["bytes"] for entry in entries][:2] == [6, 0]
        assert all(entry["bytes"] > 0 for entry in entries[2:])
        assert (entries[0]["referer"], entries[0]["agent"]) == ("http://a/?b", 'tester/1 ("x")')
        assert {(entry["referer"], entry["agent"]) for entry in entries[1:]} == {(None, None)}
        assert all(0 <= entry["duration"] < PATIENCE for entry in entries)
        times = [datetime.fromisoformat(entry["time"]) for entry in entries]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"]) for entry in entries)
    else:
        pattern = COMMON if form == "common" else COMBINED
        found = [pattern.fullmatch(line) for line in lines]
        entries = [entry.groupdict() for entry in found if entry]
        assert [(entry["line"], int(entry["status"])) for entry in entries] == ASKED, lines
        assert {entry["client"] for entry in entries} == {"127.0.0.1"}
        assert [entry["bytes"] for entry in entries][:2] == ["6", "-"]
        if form == "combined":
            assert (entries[0]["referer"], entries[0]["agent"]) == ("http://a/?b", r"tester/1 (\x22x\x22)")
            assert {(entry["referer"], entry["agent"]) for entry in entries[1:]} == {("-", "-")}
        times = [datetime.strptime(entry["time"], "%d/%b/%Y:%H:%M:%S %z") for entry in entries]
    assert times == sorted(times)
    assert timedelta(seconds=-2) < datetime.now(UTC) - times[-1] < timedelta(seconds=60)


@pytest.fixture(params=["common", "combined", "json"])
def form(request: pytest.FixtureRequest) -> Form:
    """Return each form of the access log."""
    form: Form = request.param
    return form


# Where the lines go.


def test_the_program_prints_the_lines_without_a_mark(site: Site, form: Form) -> None:
    """On standard output they stand among the other lines, which all have a mark; the level does not matter."""
    command = [str(PROGRAM), "--log-level", "error", "--access-log", form, "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen([*command, str(site.root)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with Program(process) as program:
        ask(listening_port(process))
        # They come while it runs, not only in the end.
        program.wait_for(" 400 " if form != "json" else '"status":400,')
        assert program.finish() == 0
    statistics = next(index for index, line in enumerate(program.lines) if "Memory Statistics" in line)
    check_asked(form, program.lines[:statistics])


def test_the_program_writes_them_to_a_file(site: Site, form: Form, tmp_path: Path) -> None:
    """With ``--access-log-file`` they go there, behind what was there before, and nowhere else."""
    path = tmp_path / "access.log"
    path.write_text("before\n")
    with Program.start("--access-log", form, "--access-log-file", path, site.root) as program:
        ask(program.port)
        eventually(lambda: path.read_text().count("\n") == 5)
        assert program.finish() == 0
    before, *lines = path.read_text().splitlines()
    assert before == "before"
    check_asked(form, lines)
    assert all(line.startswith("[") for line in program.lines if "a.txt HTTP" in line)


def test_python_logs_them(site: Site, form: Form, caplog: pytest.LogCaptureFixture) -> None:
    """They are records of ``pooled_httpd.access`` at INFO, whatever the option ``log_level``."""
    caplog.set_level(logging.INFO, "pooled_httpd.access")
    with pooled_httpd.Server(site.root, access_log=form, log_level="off") as server:
        ask(server.port)
    assert {(record.name, record.levelname) for record in caplog.records} == {("pooled_httpd.access", "INFO")}
    check_asked(form, caplog.messages)
    assert_sound(server)


def test_loggings_own_levels_hold(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Who wants no records of ``pooled_httpd.access`` gets none."""
    caplog.set_level(logging.WARNING, "pooled_httpd.access")
    with pooled_httpd.Server(site.root, access_log="common") as server:
        ask(server.port)
    assert [record for record in caplog.records if record.name == "pooled_httpd.access"] == []


def test_a_file_alone_is_in_the_combined_form(site: Site, tmp_path: Path) -> None:
    """``access_log_file`` without ``access_log`` is a wish for a log; with ``access_log="off"`` nothing is opened."""
    with pooled_httpd.Server(site.root, access_log_file=str(tmp_path / "log")) as server:
        ask(server.port)
    check_asked("combined", (tmp_path / "log").read_text().splitlines())
    with pooled_httpd.Server(site.root, access_log="off", access_log_file=tmp_path / "no" / "log") as server:
        ask(server.port)
    assert list(tmp_path.glob("no*")) == []


# Every answer is one line.


def statuses(entries: list[dict[str, Any]]) -> dict[int, int]:
    """Count the entries by their status."""
    return dict(sorted(Counter(entry["status"] for entry in entries).items()))


def test_each_answer_is_one_line(site: Site, tmp_path: Path) -> None:
    """Good, bad, late and refused: the lines are those that the statistics count, status by status."""
    path = tmp_path / "log"
    site.write("huge", b"x" * (16 << 20))
    options: dict[str, Any] = {"access_log": "json", "access_log_file": path, "max_connections": 3}
    with pooled_httpd.Server(site.root, header_timeout=1, **options) as server:
        port = server.port
        ask(port)
        with Raw(port) as raw:
            raw.send(get("/a.txt") * 50)
            assert all(raw.response().status == 200 for _ in range(50))
        assert exchange(port, get("/large")).status == 200
        assert exchange(port, get("/dir")).status == 301
        assert exchange(port, get("/a.txt", method="POST") + b"x").status == 405
        assert exchange(port, get("/" + "y" * 8000)).status == 414
        with Raw(port) as raw:
            # No request, no answer, no line.
            assert raw.half_close().closed()
        with Raw(port) as late:
            assert late.send(b"GET /late").response().status == 408
        eventually(lambda: server.stats().active_connections == 0)
        busy = [Raw(port).send(b"GET /busy HTTP/1.1\r\n") for _ in range(3)]
        eventually(lambda: server.stats().states.get("READING_HEADERS") == 3)
        refused = exchange(port, b"")
        assert refused.status == 503
        for raw in busy:
            raw.socket.close()
        eventually(lambda: server.stats().active_connections == 0)
        # Broken off: the peer is gone before it has read half of it.
        with Raw(port, receive_buffer=4096) as gone:
            gone.send(get("/huge"))
            got = b""
            while len(got) < 5000:
                got += (data := gone.socket.recv(1000))
                assert data
        eventually(lambda: server.stats().active_connections == 0)
    assert_sound(server)
    stats, entries = server.stats(), file_objects(path)
    assert stats.log_records_dropped == 0
    assert statuses(entries) == stats.responses
    assert {200, 301, 400, 404, 405, 408, 414, 503} == set(stats.responses)
    assert len(entries) == stats.total_requests
    by_status = {entry["status"]: entry for entry in entries}
    assert by_status[408]["line"] == "GET /late"
    assert by_status[408]["duration"] >= 1
    assert (by_status[503]["line"], by_status[503]["request"]) == ("", 0)
    assert by_status[503]["bytes"] == len(refused.content)
    # Cut, and marked as cut.
    assert by_status[414]["line"] == "GET /" + "y" * 923 + "..."
    broken_off = next(entry for entry in entries if entry["line"] == "GET /huge HTTP/1.1")
    assert 4000 < broken_off["bytes"] < 16 << 20
    assert sum(entry["bytes"] for entry in entries) < stats.bytes_sent


HOSTILE = [
    b'GET /"><script> HTTP/1.1',
    b'GET / HTTP/1.1" 200 6 "-" "-"',
    b'GET /", "status": 200, "x": " HTTP/1.1',
    b"GET /\x1b[31m\x1b]0;title\x07 HTTP/1.1",
    b"GET /\\x0a\\\\ HTTP/1.1",
    b"GET /\r127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] HTTP/1.1",
    b"GET /\x00\x7f\x80\xff HTTP/1.1",
    "GET /\u2028\u2029\x85 HTTP/1.1".encode(),
    b"\xff" * 4000,
    b'"' * 4000,
    bytes(byte for byte in range(256) if byte != 0x0A),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"",
]


def test_no_request_breaks_or_forges_a_line(site: Site, form: Form, tmp_path: Path) -> None:
    """Whatever stands in a request line or in the fields that are logged, each answer is one line of its form."""
    path = tmp_path / "log"
    forged = b'127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET /forged HTTP/1.1" 200 6'
    fields = b'Referer: \xff" "\\\x80\r\nUser-Agent: \t{"a": "b"}, \xc2\x9b31m\r\n'
    with pooled_httpd.Server(site.root, access_log=form, access_log_file=str(path)) as server:
        for line in HOSTILE:
            with Raw(server.port) as raw:
                assert raw.send(line + b"\n" + forged + b"\r\n\r\n").response().status in (400, 414)
        assert exchange(server.port, b"GET /a.txt HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n").status == 200
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == len(HOSTILE) + 1 == server.stats().total_requests
    assert not any(b"forged" in line for line in lines)
    texts = [line.decode("ascii") for line in lines]
    assert all(re.fullmatch(r"[ -~]+", text) for text in texts)
    if form == "json":
        entries = objects(texts)
        for sent, entry in zip(HOSTILE, entries, strict=False):
            shown = entry["line"].encode("latin-1")
            # Without loss: what came of the line, its end left out.
            expected = sent.removesuffix(b"\r")
            assert shown == expected or (shown == expected[:928] + b"..." and len(expected) > 928), sent
        assert entries[-1]["referer"].encode("latin-1") == b'\xff" "\\\x80'
        assert entries[-1]["agent"].encode("latin-1") == b'{"a": "b"}, \xc2\x9b31m'
    else:
        pattern = COMMON if form == "common" else COMBINED
        assert all(pattern.fullmatch(text) for text in texts), texts
        assert r'"GET /\x22><script> HTTP/1.1" 400 ' in texts[0]
        assert r'"GET / HTTP/1.1\x22 200 6 \x22-\x22 \x22-\x22" 400 ' in texts[1]
        assert r'"GET /\x5Cx0a\x5C\x5C HTTP/1.1" 400 ' in texts[4]
        assert '"-" 400 ' in texts[-2]
        if form == "combined":
            assert texts[-1].endswith(r'"\xFF\x22 \x22\x5C\x80" "{\x22a\x22: \x22b\x22}, \xC2\x9B31m"')


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
