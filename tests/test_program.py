"""The program as who starts it sees it: what it says, in exact form, how it stops, and how it refuses a wrong start."""

from __future__ import annotations

import array
import fcntl
import itertools
import os
import re
import signal
import subprocess
import termios
import time

import pytest
from program_output import (
    BLOCK,
    CLOSING,
    NUMBER,
    assert_lines,
    block_numbers,
    blocks,
    first_block,
    listening_port,
    start,
)
from support import PATIENCE, PROGRAM, ROOT, Program, Raw, Site, exchange, get, need


def test_the_story_of_one_request_is_exactly_this() -> None:
    """Every line from the start to the statistics is in its place and form, and the numbers in them agree."""
    curl = need("curl")
    options = ["--pool-size", "4096", "--max-connections", "128", "--host", "127.0.0.1", "--port", "0"]
    with start(PROGRAM, *options, "./www") as program:
        written = "%{local_port} %{size_request} %{size_header} %{size_download}"
        curl_command = [curl, "-sS", "-o", "/dev/null", "-w", written, "-H", "Connection: close"]
        url = f"http://127.0.0.1:{program.port}/index.html"
        told = subprocess.run([*curl_command, url], check=True, capture_output=True, text=True, timeout=60).stdout
        client, request, header, content = map(int, told.split())
        program.wait_for("Total lifetime")
        status = program.finish()
    assert content == (ROOT / "www" / "index.html").stat().st_size
    story = assert_lines(
        program.lines,
        [
            *first_block(ROOT / "www"),
            "",
            rf"\[CONN 0\] New connection from 127\.0\.0\.1:{client}",
            r"\[CONN 0\] State: READING_REQUEST_LINE",
            rf"\[CONN 0\] Read {request} bytes, buffer: {request}/16384",
            r"\[CONN 0\] Parsed: GET /index\.html HTTP/1\.1",
            r"\[CONN 0\] State: READING_HEADERS → PROCESSING",
            r"\[CONN 0\] Headers parsed: 4 headers, used (\d+) bytes pool",
            r"\[CONN 0\] State: PROCESSING → SENDING_RESPONSE",
            rf"\[CONN 0\] Serving file: \./www/index\.html \({content} bytes\)",
            rf"\[CONN 0\] Sent {content} bytes",
            r"\[CONN 0\] State: SENDING_RESPONSE → CLOSING",
            r"\[CONN 0\] Pool reset, (\d+) bytes freed",
            r"\[CONN 0\] Connection closed",
            r"\[CONN 0\] Total lifetime: \d+ms, heap allocs: 0",
            r"\[INFO\] Stopping: 0 connections open",
            *BLOCK,
        ],
    )
    used = [int(found[1]) for found in story if "bytes pool" in found[0] or "bytes freed" in found[0]]
    assert 0 < used[0] == used[1] <= 4096
    assert status == 0
    numbers = blocks(program)[0]
    assert numbers == {
        "Total requests served": 1,
        "Total bytes received": request,
        "Total bytes sent": header + content,
        "Active connections": 0,
        "Peak connections": 1,
        "Pool resets": 1,
        "Average pool usage": used[0],
        "Peak pool usage": used[0],
        "Pool overflows": 0,
        "malloc() calls during runtime": 0,
        "free() calls during runtime": 0,
        "Current heap usage": 0,
        "READING_REQUEST_LINE": 0,
        "READING_HEADERS": 0,
        "PROCESSING": 0,
        "SENDING_RESPONSE": 0,
        "Invariant Checks Passed": numbers["Invariant Checks Passed"],
        "Invariant Violations": 0,
    }
    assert numbers["Invariant Checks Passed"] > 0


@pytest.mark.parametrize(("connections", "pool", "buffer"), [(128, 4096, 16384), (1, 256, 2048), (1000, 10_000, 65536)])
def test_the_memory_line_adds_up(site: Site, connections: int, pool: int, buffer: int) -> None:
    """The printed sum is that of the printed terms, and the terms hold what the options ask for."""
    options = ["--max-connections", connections, "--pool-size", pool, "--buffer-size", buffer, "--log-level", "info"]
    with Program.start(*map(str, options), site.root) as program:
        line = next(line for line in program.lines if "Memory: " in line)
        total = next(line for line in program.lines if "Total pre-allocated memory" in line)
    assert total == f"[INFO] Total pre-allocated memory: {connections * pool // 1024} KB"
    form = (
        rf"\[INFO\] Memory: {NUMBER} × \(receive buffer {NUMBER} \+ send buffer {NUMBER} \+ pool {NUMBER}"
        rf" \+ slot {NUMBER}\) \+ tables {NUMBER} \+ cache {NUMBER} \+ log ring {NUMBER} = {NUMBER} bytes"
    )
    found = re.fullmatch(form, line)
    assert found, line
    count, receive, send, one_pool, slot, tables, cache, ring, total_bytes = (
        int(number.replace(",", "")) for number in found.groups()
    )
    assert total_bytes == count * (receive + send + one_pool + slot) + tables + cache + ring
    assert count == connections
    assert min(receive, send) >= buffer
    assert one_pool >= pool
    assert min(slot, tables, ring) > 0


def test_a_kept_connection_goes_back_to_reading_a_request_line(site: Site) -> None:
    """Where the connection persists, the last change of each request is SENDING_RESPONSE → READING_REQUEST_LINE."""
    with start(PROGRAM, "--host", "127.0.0.1", "--port", "0", site.root) as program:
        with Raw(program.port) as raw:
            for _ in range(2):
                assert raw.send(get("/a.txt")).response().status == 200
        program.wait_for("Total lifetime")
        assert program.finish() == 0
    one_request = [
        r"\[CONN 0\] Read 40 bytes, buffer: 40/16384",
        r"\[CONN 0\] Parsed: GET /a\.txt HTTP/1\.1",
        r"\[CONN 0\] State: READING_HEADERS → PROCESSING",
        r"\[CONN 0\] Headers parsed: 1 headers, used \d+ bytes pool",
        r"\[CONN 0\] State: PROCESSING → SENDING_RESPONSE",
        rf"\[CONN 0\] Serving file: {re.escape(str(site.root))}/a\.txt \(6 bytes\)",
        r"\[CONN 0\] Sent 6 bytes",
        r"\[CONN 0\] State: SENDING_RESPONSE → READING_REQUEST_LINE",
        r"\[CONN 0\] Pool reset, \d+ bytes freed",
    ]
    story = [
        *first_block(site.root),
        "",
        r"\[CONN 0\] New connection from 127\.0\.0\.1:\d+",
        r"\[CONN 0\] State: READING_REQUEST_LINE",
        *one_request,
        *one_request,
        r"\[CONN 0\] State: READING_REQUEST_LINE → CLOSING",
        r"\[CONN 0\] Connection closed",
        r"\[CONN 0\] Total lifetime: \d+ms, heap allocs: 0",
        r"\[INFO\] Stopping: 0 connections open",
        *BLOCK,
    ]
    assert_lines(program.lines, story)
    assert blocks(program)[0]["Pool resets"] == 2


def test_level_info_tells_start_and_stop_only(site: Site) -> None:
    """``--log-level info``: the first block, a line at the stop, the statistics, and nothing of any connection."""
    with start(PROGRAM, "--log-level", "info", "--host", "127.0.0.1", "--port", "0", site.root) as program:
        assert exchange(program.port, get("/a.txt")).status == 200
        assert exchange(program.port, b"nonsense\r\n\r\n").status == 400
        assert program.finish() == 0
    assert_lines(program.lines, [*first_block(site.root), r"\[INFO\] Stopping: \d connections open", *BLOCK])
    assert blocks(program)[0]["Total requests served"] == 2


@pytest.mark.parametrize("level", ["error", "warn", "off"])
def test_below_info_nothing_is_told_but_the_statistics(site: Site, level: str) -> None:
    """``--log-level error`` and its like serve in silence; the statistics at the end are asked for, so they come."""
    command = [str(PROGRAM), "--log-level", level, "--host", "127.0.0.1", "--port", "0", str(site.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with Program(process) as program:
        program.port = listening_port(process)
        assert exchange(program.port, get("/a.txt")).status == 200
        assert program.finish(signal.SIGTERM) == 0
    assert block_numbers(program.lines)["Total requests served"] == 1


# Stopping.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_prints_the_statistics_and_ends_with_0(site: Site, number: signal.Signals) -> None:
    """Ctrl+C and SIGTERM are the same: idle clients see the end at once, the block is printed, the status is 0."""
    with Program.start(site.root) as program, Raw(program.port) as idle, Raw(program.port) as silent:
        assert idle.send(get("/a.txt")).response().status == 200
        # Answered after the connection before it was accepted.
        assert exchange(program.port, get("/a.txt")).status == 200
        assert program.finish(number) == 0
        assert idle.closed()
        assert silent.closed()
    # The connection of the exchange may not have been seen to end yet.
    assert any(re.fullmatch(r"\[INFO\] Stopping: [23] connections open", line) for line in program.lines)
    assert len(blocks(program)) == 1
    assert program.lines[-1] == CLOSING
    assert blocks(program)[0]["Total requests served"] == 2


def test_sigusr1_prints_the_statistics_and_goes_on(site: Site) -> None:
    """Each SIGUSR1 prints a block of its own, and what was read by a client before it is counted in it."""
    with Program.start(site.root) as program:
        for served in range(1, 4):
            assert exchange(program.port, get("/a.txt")).status == 200
            program.process.send_signal(signal.SIGUSR1)
            program.wait_for(f"Total requests served: {served}")
        assert program.finish() == 0
    assert [numbers["Total requests served"] for numbers in blocks(program)] == [1, 2, 3, 3]


def stop_with_a_stuck_reader(site: Site, *, twice: bool) -> float:
    """Stop while a peer takes nothing of a response; return how long that took, in seconds."""
    with Program.start(site.root) as program, Raw(program.port, receive_buffer=4096) as stuck:
        stuck.send(get("/huge"))
        program.wait_for("Serving file: ")
        # The head is there, so the response is under way.
        assert stuck.socket.recv(12) == b"HTTP/1.1 200"
        start_of_stop = time.monotonic()
        program.process.send_signal(signal.SIGINT)
        program.wait_for("Stopping: 1 connections open")
        if twice:
            program.process.send_signal(signal.SIGINT)
        assert program.process.wait(60) == 0
        elapsed = time.monotonic() - start_of_stop
        program.finish()
    assert blocks(program)[0]["SENDING_RESPONSE"] == 0
    return elapsed


@pytest.fixture
def huge(site: Site) -> Site:
    """A document root with a file that no socket buffer takes."""
    with (site.root / "huge").open("wb") as file:
        file.truncate(64 << 20)
    return site


def test_a_response_under_way_gets_a_second_and_no_more(huge: Site) -> None:
    """A peer that does not read delays the stop by the grace of one second."""
    assert 0.9 < stop_with_a_stuck_reader(huge, twice=False) < PATIENCE


def test_a_second_signal_ends_the_stop_at_once(huge: Site) -> None:
    """Who presses Ctrl+C twice does not wait for the grace. (Three tries: the machine may be busy.)"""
    assert min(stop_with_a_stuck_reader(huge, twice=True) for _ in range(3)) < 0.9


# What a peer sent, and who reads.


def test_what_a_peer_sent_is_escaped(site: Site) -> None:
    """No byte of a peer reaches the terminal as it is: control characters and 8-bit bytes are shown in hex."""
    names = [b"esc\x1b[31m.txt", b"new\nline\r.txt", b"\xff\xc3\xa9\x9b.txt", b"tab\tdel\x7f.txt"]
    for name in names:
        (site.root / os.fsdecode(name)).write_bytes(b"x")
    with start(PROGRAM, "--host", "127.0.0.1", "--port", "0", site.root) as program:
        for name in names:
            assert exchange(program.port, get("/" + "".join(f"%{byte:02X}" for byte in name))).status == 200
        for start_line in (
            b"GET /\x1b[31m HTTP/1.1",
            b"\x1b]0;title\x07 / HTTP/1.1",
            b"GET /\x9b31m HTTP/1.1",
            b"G\nET / HTTP/1.1",
        ):
            assert exchange(program.port, start_line + b"\r\nHost: h\r\nX: \x1b[2J\xff\r\n\r\n").status == 400
        assert exchange(program.port, get("/" + "y" * 300)).status == 404
        assert program.finish() == 0
    served = [line.partition("/site/")[2] for line in program.lines if "Serving file" in line]
    assert served == [
        r"esc\x1b[31m.txt (1 bytes)",
        r"new\x0aline\x0d.txt (1 bytes)",
        r"\xff\xc3\xa9\x9b.txt (1 bytes)",
        r"tab\x09del\x7f.txt (1 bytes)",
    ]
    for line in program.lines:
        assert re.fullmatch(r"[ -~]*", line.translate(str.maketrans("→×…", "   "))), line
    # Long text is cut and marked.
    assert any(line.endswith("] Parsed: GET /" + "y" * 195 + "…") for line in program.lines)


def make_stuck(program: Program) -> None:
    """Make the program say more than its output takes while nobody reads: the pipe is full, and so is the log ring."""
    assert program.process.stdout is not None
    descriptor = program.process.stdout.fileno()
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 4096)
    waiting = array.array("i", [0])
    data = get("/a.txt") * 50
    unchanged, before = 0, 0
    with Raw(program.port) as raw:
        # 4,000 requests, and until 1,000 of them have added nothing to the pipe.
        for rounds in itertools.count():
            raw.send(data)
            for _ in range(50):
                assert raw.response().status == 200
            fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
            unchanged = unchanged + 1 if waiting[0] == before else 0
            before = waiting[0]
            if rounds >= 80 and unchanged >= 20:
                break
            assert rounds < 10_000, "the pipe never fills"
    assert before > 0


def test_a_log_reader_that_never_reads_does_not_stall_the_loop(site: Site) -> None:
    """The server answers as if nothing were, drops what it cannot tell, and says how much once it is read again."""
    with Program.start(site.root) as program:
        make_stuck(program)
        for _ in range(20):
            assert exchange(program.port, get("/a.txt")).status == 200
        warning = program.wait_for("log records were dropped")
        # Read again, it tells the story again.
        assert exchange(program.port, get("/dir/")).status == 200
        program.wait_for("Parsed: GET /dir/ ")
        assert program.finish() == 0
    lost = re.fullmatch(r"\[WARN\] (\d+) log records were dropped: the reader is too slow", warning)
    assert lost
    # 4,000 requests make at least eight records each; the ring holds 4,096 of them, and the pipe a few.
    assert int(lost[1]) > 20_000
    assert blocks(program)[0]["Total requests served"] >= 4022


@pytest.mark.parametrize("before", [(), (signal.SIGUSR1,)], ids=["alone", "after_sigusr1"])
def test_a_log_reader_that_never_reads_does_not_delay_the_stop(site: Site, before: tuple[signal.Signals, ...]) -> None:
    """Ctrl+C ends the program within a few seconds even though nothing takes what it says."""
    with Program.start(site.root) as program:
        make_stuck(program)
        for number in before:
            program.process.send_signal(number)
        assert exchange(program.port, get("/a.txt")).status == 200
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(PATIENCE) == 0


def test_a_log_reader_that_is_gone_is_no_error(site: Site) -> None:
    """Where the pipe is closed (``httpserver www | head -1``), the server serves on and stops as ever."""
    with Program.start(site.root) as program:
        assert program.process.stdout is not None
        program.process.stdout.close()
        for _ in range(3):
            assert exchange(program.port, get("/a.txt")).status == 200
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(60) == 0
