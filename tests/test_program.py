"""The program as who starts it sees it: what it says, in exact form, how it stops, and how it refuses a wrong start."""

from __future__ import annotations

import array
import errno
import fcntl
import importlib.metadata
import itertools
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

import pooled_httpd
import pytest
from support import PATIENCE, PROGRAM, ROOT, Program, Raw, Site, exchange, get, need

NUMBER = r"(\d{1,3}(?:,\d{3})*)"
#: The statistics block, line by line.
BLOCK = [
    r"={10} Memory Statistics ={10}",
    f"Total requests served: {NUMBER}",
    f"Total bytes received: {NUMBER}",
    f"Total bytes sent: {NUMBER}",
    "",
    "Pool Statistics:",
    f"  Active connections: {NUMBER}",
    f"  Peak connections: {NUMBER}",
    f"  Pool resets: {NUMBER}",
    f"  Average pool usage: {NUMBER} bytes/request",
    f"  Peak pool usage: {NUMBER} bytes",
    f"  Pool overflows: {NUMBER}",
    "",
    "Heap Statistics:",
    r"  malloc\(\) calls during runtime: (0)",
    r"  free\(\) calls during runtime: (0)",
    "  Current heap usage: (0) bytes",
    "",
    "Connection State Breakdown:",
    f"  READING_REQUEST_LINE: {NUMBER}",
    f"  READING_HEADERS: {NUMBER}",
    f"  PROCESSING: {NUMBER}",
    f"  SENDING_RESPONSE: {NUMBER}",
    "",
    f"Invariant Checks Passed: {NUMBER}",
    "Invariant Violations: (0)",
    r"={39}",
]
OPENING = "========== Memory Statistics =========="
CLOSING = "======================================="


def assert_lines(lines: list[str], patterns: list[str]) -> list[re.Match[str]]:
    """Assert that each line is of its form, and return the matches."""
    matches = []
    for index, (line, pattern) in enumerate(zip(lines, patterns, strict=False)):
        found = re.fullmatch(pattern, line)
        assert found, f"line {index} is {line!r}, not {pattern!r}"
        matches.append(found)
    assert len(lines) == len(patterns), lines
    return matches


def block_numbers(lines: list[str]) -> dict[str, int]:
    """Return the numbers of a statistics block, which must be in exact form."""
    numbers = {}
    for found in assert_lines(lines, BLOCK):
        if found.groups():
            numbers[found[0].strip().partition(":")[0]] = int(found[1].replace(",", ""))
    return numbers


def blocks(program: Program) -> list[dict[str, int]]:
    """Return the numbers of every statistics block that the program has printed so far."""
    starts = [index for index, line in enumerate(program.lines) if line == OPENING]
    return [block_numbers(program.lines[start : start + len(BLOCK)]) for start in starts]


def start(*command: str | Path, cwd: Path = ROOT) -> Program:
    """Start a command line of the program. Standard error is among its lines, so that no exact form overlooks it."""
    words = [str(word) for word in command]
    process = subprocess.Popen(words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    program = Program(process)
    try:
        program.wait_for("Server ready")
    except BaseException:
        program.__exit__(None, None, None)
        raise
    program.port = int(next(line for line in program.lines if "Listening on" in line).rpartition(":")[2])
    return program


def first_block(root: Path, host: str = r"127\.0\.0\.1") -> list[str]:
    """Return the forms of the lines up to "Server ready" for the default sizes."""
    return [
        r"\[INFO\] Initializing memory pools\.\.\.",
        r"\[INFO\] Created 128 connection pools \(4096 bytes each\)",
        r"\[INFO\] Total pre-allocated memory: 512 KB",
        r"\[INFO\] Memory: .* = [\d,]+ bytes",
        rf"\[INFO\] Listening on {host}:\d+",
        rf"\[INFO\] Document root: {re.escape(str(root))}",
        r"\[INFO\] Server ready\. Press Ctrl\+C to stop\.",
    ]


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


def listening_port(process: subprocess.Popen[bytes]) -> int:
    """Wait until a process that says nothing listens, and return its port."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        inodes = set()
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                inodes.add(str(descriptor.readlink()))
            except FileNotFoundError:
                continue
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in inodes:
                return int(local.partition(":")[2], 16)
        time.sleep(0.005)


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


# The command line, in its three forms.

FORMS = {
    "program": [str(PROGRAM)],
    "module": [sys.executable, "-m", "pooled_httpd"],
    "script": [str(Path(sys.executable).with_name("httpserver"))],
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> list[str]:
    """Return each way to call the command line."""
    words = FORMS[request.param]
    if not Path(words[0]).exists():
        pytest.skip(f"{words[0]} is not built: run it by `make test`")
    return words


def called(form: list[str], *arguments: str | Path | bytes) -> subprocess.CompletedProcess[str]:
    """Call the command line and wait for its end."""
    words: list[str | Path | bytes] = [*form, *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_a_wrong_command_line_is_told_and_ends_with_2(form: list[str], site: Site) -> None:
    """The message names the option, the value and the range; nothing is served."""
    site_root = str(site.root)
    cases: list[tuple[list[str], str]] = [
        (["0", site_root, "more"], "error: unexpected argument 'more' found"),
        (["--port", "0", "0", site_root], "port: it is given twice, by --port and before the directory"),
        (["--pool-siz", "512", site_root], "error: unexpected argument '--pool-siz' found"),
        (["--frobnicate", site_root], "error: unexpected argument '--frobnicate' found"),
        (["eighty", site_root], 'port: "eighty" is not allowed; it takes a whole number from 0 to 65535'),
        (["--port", "65536", site_root], "port: 65536 is not allowed; it takes a whole number from 0 to 65535"),
        (["--port=-1", site_root], "port: -1 is not allowed; it takes a whole number from 0 to 65535"),
        (
            ["--pool-size", "255", site_root],
            "pool_size: 255 is not allowed; it takes a whole number from 256 to 16777216",
        ),
        (
            ["--max-connections", "0", site_root],
            "max_connections: 0 is not allowed; it takes a whole number from 1 to 65536",
        ),
        (["--max-connections", "many", site_root], 'max_connections: "many" is not allowed; it takes a whole number'),
        (["--timeout", "0", site_root], "timeout: 0 is not allowed; it takes a number of seconds from 0.001 to 86400"),
        (["--timeout", "nan", site_root], "is not allowed; it takes a number of seconds from 0.001 to 86400"),
        (["--keep-alive=maybe", site_root], 'keep_alive: "maybe" is not allowed; it takes on or off'),
        (
            ["--log-level", "loud", site_root],
            'log_level: "loud" is not allowed; it takes off, error, warn, info, debug',
        ),
        (["--host", "", site_root], 'host: "" is not allowed; it takes a text that is not empty'),
        (["--buffer-size", "2048", "--max-request-line", "4000", site_root], "max_request_line: 4000 is not allowed"),
    ]
    for arguments, message in cases:
        ended = called(form, *arguments)
        assert message in ended.stderr, (arguments, ended)
        assert (ended.returncode, ended.stdout) == (2, ""), (arguments, ended)


def test_what_cannot_be_served_is_told_and_ends_with_1(form: list[str], site: Site) -> None:
    """A document root or an address that the system refuses: one line that names it, with the system's reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        here = ["--host", "127.0.0.1", "--port", "0"]
        missing, file = site.root / "no such", site.root / "a.txt"
        cases: list[tuple[list[str], str]] = [
            ([*here, str(missing)], f'docroot: "{missing}" cannot be served: No such file or directory (os error 2)'),
            ([*here, str(file)], f'docroot: "{file}" cannot be served: Not a directory (os error 20)'),
            ([*here, ""], 'docroot: "" cannot be served: No such file or directory (os error 2)'),
            (
                ["--host", "127.0.0.1", str(port), str(site.root)],
                f"cannot listen on 127.0.0.1 port {port}: Address already in use",
            ),
            # An address of a network for documentation is nobody's.
            (
                ["--host", "192.0.2.1", "0", str(site.root)],
                "cannot listen on 192.0.2.1 port 0: Cannot assign requested address",
            ),
        ]
        for arguments, message in cases:
            ended = called(form, *arguments)
            assert ended.stderr.startswith(f"httpserver: {message}"), (arguments, ended)
            # What to do about it is told in a second line: tests/test_start_errors.py.
            assert re.fullmatch(r".+\n  tip: .+\n", ended.stderr), ended.stderr
            assert (ended.returncode, ended.stdout) == (1, ""), (arguments, ended)


def test_help_names_every_option_and_version_is_the_packages(form: list[str]) -> None:
    """``--help`` is the same text however it is called, and leaves no option out."""
    helped = called(form, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert called(FORMS["program"], "--help").stdout == helped.stdout
    for name, _, sentence in pooled_httpd.options():
        assert re.search(rf"--{name.replace('_', '-')}[ \[]", helped.stdout), name
        assert sentence in " ".join(helped.stdout.split())
    assert called(form, "-h").returncode == 0
    told = called(form, "--version")
    version = importlib.metadata.version("pooled_httpd")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"httpserver {version}\nbuild: ")
    assert called(form, "-V").stdout == f"httpserver {version}\n"


def test_port_and_document_root_alone_serve_on_every_address(form: list[str], site: Site) -> None:
    """``httpserver PORT DOCROOT``: it serves at 0.0.0.0, and Ctrl+C prints the statistics and ends it with 0."""
    with start(*form, "0", "site", cwd=site.root.parent) as program:
        assert exchange(program.port, get("/a.txt", "Connection: close")).content == b"hello\n"
        program.wait_for("Total lifetime")
        assert program.finish() == 0
    count = len(first_block(site.root))
    assert_lines(program.lines[:count], first_block(site.root, host=r"0\.0\.0\.0"))
    assert "[CONN 0] Serving file: site/a.txt (6 bytes)" in program.lines
    assert_lines(program.lines[-len(BLOCK) - 1 :], [r"\[INFO\] Stopping: 0 connections open", *BLOCK])
    assert blocks(program)[0]["Total requests served"] == 1


# Files, with openat2 and where a system-call filter refuses it.

#: Makes openat2 fail with the error number in its first argument, sees that it does, and becomes the other arguments.
#: The filter loads the number of the call: SECCOMP_RET_ERRNO with that number for openat2, else SECCOMP_RET_ALLOW.
LAUNCHER = """
import ctypes, os, struct, sys
refusal, OPENAT2 = int(sys.argv[1]), 437
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, OPENAT2), (0x06, 0, 0, 0x00050000 | refusal), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
program = ctypes.c_char_p(struct.pack("@HP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0
assert libc.syscall(OPENAT2, -100, b".", None, 0) == -1 and ctypes.get_errno() == refusal
os.execv(sys.argv[2], sys.argv[2:])
"""

REFUSALS = [None, errno.ENOSYS, errno.EPERM]


def refusing(refusal: int | None) -> tuple[str, ...]:
    """Return what to put before a command so that openat2 is refused to it."""
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("the number of openat2 is not known here")
    return () if refusal is None else (sys.executable, "-c", LAUNCHER, str(refusal))


@pytest.mark.parametrize("refusal", REFUSALS)
def test_files_are_resolved_the_same_where_openat2_is_refused(site: Site, refusal: int | None) -> None:
    """What is beneath the root is served, what is not is not, and a FIFO stalls nothing, by whatever way."""
    root, outer = site.root, site.root.parent
    (outer / "secret").mkdir()
    (outer / "secret" / "file").write_text("secret")
    (outer / "site-secret").write_text("secret")
    site.write("deep/er/file", b"deep\n")
    for name, aim in {
        "inside": "a.txt",
        "deep/er/up": "../../a.txt",
        "linked": "deep/er",
        "dots": "./deep/../deep//er/file",
        "here": ".",
        "outside": "../secret/file",
        "sibling": "../site-secret",
        "through": "deep/../../secret/file",
        "up": "..",
        "absolute": str(outer / "secret" / "file"),
        "absolute-inside": str(root / "a.txt"),
        "etc": "/etc",
        "magic": "/proc/self/root",
        "loop": "loop",
        "dangling": "nothing",
    }.items():
        (root / name).symlink_to(aim)
    os.mkfifo(root / "fifo")
    cases: list[tuple[str, int, bytes | None]] = [
        ("/a.txt", 200, b"hello\n"),
        ("/", 200, b"<!doctype html><title>index</title>\n"),
        ("/dir/", 200, b"<!doctype html><title>dir</title>\n"),
        ("/dir", 301, None),
        ("/linked", 301, None),
        ("/bare/", 404, None),
        ("/bare/file.css", 200, b"body{}\n"),
        ("/a%20b+%25.txt", 200, b"space\n"),
        ("/empty", 200, b""),
        ("/nothing", 404, None),
        ("/nothing/at/all", 404, None),
        ("/a.txt/", 404, None),
        ("/a.txt/more", 404, None),
        ("/" + "n" * 300, 404, None),
        ("/inside", 200, b"hello\n"),
        ("/deep/er/up", 200, b"hello\n"),
        ("/linked/up", 200, b"hello\n"),
        ("/linked/file", 200, b"deep\n"),
        ("/dots", 200, b"deep\n"),
        ("/here/here/a.txt", 200, b"hello\n"),
        ("/outside", 403, None),
        ("/sibling", 403, None),
        ("/through", 403, None),
        ("/up", 403, None),
        ("/up/site-secret", 403, None),
        ("/absolute", 403, None),
        ("/absolute-inside", 403, None),
        ("/etc/passwd", 403, None),
        ("/magic/etc/passwd", 403, None),
        ("/loop", 403, None),
        ("/dangling", 404, None),
        ("/fifo", 403, None),
    ]
    with Program.start(root, wrapper=refusing(refusal)) as program, Raw(program.port) as raw:
        for path, status, content in cases:
            response = raw.send(get(path)).response()
            assert response.status == status, path
            assert content is None or response.content == content, path
            assert b"secret" not in response.content
            assert status != 301 or response.fields["location"] == f"{path}/"
        with (root / "large").open("rb") as large:
            assert raw.send(get("/large")).response().content == large.read()
        assert program.finish() == 0
    assert blocks(program)[0]["Total requests served"] == len(cases) + 1


@pytest.mark.parametrize("refusal", REFUSALS)
def test_openat2_is_asked_for_each_file_or_given_up_at_the_start(
    site: Site, tmp_path: Path, refusal: int | None
) -> None:
    """Where openat2 works it opens every file that is not kept; refused at the start it is not tried again."""
    log = tmp_path / "calls"
    # As a grandchild, so that the program itself stays the child that the signals go to.
    strace = (need("strace"), "-D", "-f", "-qq", "-e", "trace=openat2", "-e", "signal=none", "-o", str(log))
    with Program.start("--cache-size", "0", site.root, wrapper=(*strace, *refusing(refusal))) as program:
        for _ in range(5):
            assert exchange(program.port, get("/a.txt")).status == 200
        assert program.finish() == 0
    calls = log.read_text()
    asked = calls.count('"a.txt", {flags=O_RDONLY')
    probed = re.findall(r'openat2\(\d+, "\.", .*\) += (?:\d+|-1 (E\w+))', calls)
    assert probed == ["" if refusal is None else errno.errorcode[refusal]]
    assert asked == (5 if refusal is None else 0)
