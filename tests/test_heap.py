"""P1 and P2 from outside the process: heap calls by a preloaded library, leaks by Valgrind, memory by the kernel."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from heap_load import (
    HEAD,
    LONG,
    MAX_CONNECTIONS,
    MEBIBYTE,
    POST,
    HeapCounts,
    Output,
    resident,
    run_batches,
    run_load,
    run_malformed,
    run_oddities,
    thread_named,
)
from pooled_httpd.attack import Target
from pooled_httpd.attack.fuzzer import Fuzzer
from support import Program, Raw, Site, exchange, get, need


@pytest.fixture
def target(site: Site) -> Site:
    """A document root with everything that the load asks for."""
    site.write("mebibyte", bytes(MEBIBYTE))
    (site.root / "escape").symlink_to("../secret")
    (site.root.parent / "secret").write_text("secret")
    os.mkfifo(site.root / "fifo")
    with (site.root / "huge").open("wb") as huge:
        huge.truncate(64 * MEBIBYTE)
    return site


def stall(port: int, stack: ExitStack) -> list[tuple[Raw, int]]:
    """Open connections that each run into another timeout, with the status that they then get (0: none)."""
    stalled: list[tuple[Raw, int]] = [
        (Raw(port).send(b""), 0),
        (Raw(port).send(HEAD), 408),
        (Raw(port).send(HEAD + b"Content-Length: 9\r\n\r\nsome"), 408),
        (Raw(port, receive_buffer=4096).send(get("/huge")), 0),
    ]
    for raw, _ in stalled:
        stack.enter_context(raw)
    return stalled


def test_the_loop_calls_no_heap_whatever_100_000_requests_are_like(target: Site, tmp_path: Path) -> None:
    """From "Server ready" on the loop's thread calls no heap: so say a counter outside and the server's own."""
    counts = HeapCounts(tmp_path)
    options = ["--max-connections", str(MAX_CONNECTIONS), "--timeout", "30"]
    timeouts = [item for name in ("header", "content", "send") for item in (f"--{name}-timeout", "5")]
    with (
        Program.start(*options, *timeouts, target.root, env=counts.environment) as program,
        Output(program) as output,
        ExitStack() as stack,
    ):
        port = program.port
        assert exchange(port, get("/a.txt")).status == 200
        loop, main = thread_named(program, "pooled-loop"), program.process.pid
        at_start = counts.of(loop)
        # The counter sees this thread: its start took memory.
        assert sum(at_start) > 0
        stalled = stall(port, stack)
        run_load(port, 340, 22)
        halfway = resident(program)
        run_load(port, 340, 22)
        for raw, status in stalled[:-1]:
            raw.socket.settimeout(LONG)
            assert raw.closed() if status == 0 else raw.response().status == status
        deadline = time.monotonic() + LONG
        while output.statistics()["SENDING_RESPONSE"] > 0:
            assert time.monotonic() < deadline, "who does not read holds its slot"
            time.sleep(0.02)
        main_before = counts.of(main)
        numbers = output.statistics()
        assert counts.of(loop) == at_start
        # The counter sees what happens now, too: the thread that prints takes memory.
        assert counts.of(main) > main_before
        assert numbers["malloc() calls during runtime"] == 0
        assert numbers["free() calls during runtime"] == 0
        assert numbers["Current heap usage"] == 0
        assert numbers["Invariant Violations"] == 0
        assert numbers["Total requests served"] >= 100_000
        assert output.lines > 10_000, "the story was not told"

        # The memory is the printed sum, beside what any program has: stacks, the standard library's own.
        plan = next(line for line in program.lines if "Memory: " in line)
        planned = int(plan.rpartition(" = ")[2].removesuffix(" bytes").replace(",", ""))
        assert resident(program) <= planned + MEBIBYTE
        assert resident(program) <= halfway + MEBIBYTE // 4

        assert output.statistics(signal.SIGINT)["Active connections"] == 0
        assert program.process.wait(LONG) == 0


#: Every option that changes what is answered or told, with a cache that is too small for what it is asked to keep.
EVERY_OPTION = [
    *("--listing", "--hidden", "--precompressed", "--spa", "--error-pages"),
    *("--header", "X-A: b", "--header", "X-C: d", "--cache-control", "no-cache"),
    *("--cors", "https://a.example http://b", "--status-path", "/status", "--cache-size", "65536"),
]
TAG = '"no such tag"'
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
#: What these options are for, and the statuses.
OPTIONAL: list[tuple[bytes, int]] = [
    (get("/large", "Range: bytes=5-9"), 206),
    (get("/large", "Range: bytes=-9"), 206),
    (get("/large", "Range: bytes=0-9,100-1000,300000-,40-50"), 206),
    (get("/a.txt", "Range: bytes=0-1,3-4"), 206),
    (get("/large", "Range: bytes=0-99999,150000-319999"), 206),
    (get("/large", "Range: bytes=999999-"), 416),
    (get("/large", "Range: bytes=9-1"), 200),
    (get("/large", "Range: bytes=0-1", f"If-Range: {TAG}"), 200),
    (get("/a.txt", "If-None-Match: *"), 304),
    (get("/a.txt", f"If-None-Match: {TAG}"), 200),
    (get("/a.txt", "If-Match: *"), 200),
    (get("/a.txt", f"If-Match: {TAG}"), 412),
    (get("/a.txt", f"If-Modified-Since: {DATE}"), 200),
    (get("/a.txt", f"If-Unmodified-Since: {DATE}"), 412),
    (get("/a.txt", "Accept-Encoding: gzip, br;q=0.5, *;q=0"), 200),
    (get("/a.txt", "Accept-Encoding: br", "Range: bytes=1-2"), 206),
    (get("/bare/"), 200),
    (get("/bare/", "Accept: application/json"), 200),
    (get("/bare/?format=json", method="HEAD"), 200),
    (get("/.hidden"), 200),
    (get("/some/page"), 200),
    (get("/some/page.txt"), 404),
    (get("/%zz"), 400),
    (get("/a.txt", "Origin: https://a.example"), 200),
    (get("/a.txt", "Origin: http://b", "Access-Control-Request-Method: GET", method="OPTIONS"), 204),
    (get("/status"), 200),
    (get("/status?format=prometheus"), 200),
    (get("/status/health"), 200),
    (get("/a.txt", method="POST"), 405),
]


def run_optional(port: int, rounds: int) -> None:
    """Send all of these, pipelined, again and again."""
    data = b"".join(request for request, _ in OPTIONAL)
    with Raw(port) as raw:
        for _ in range(rounds):
            raw.send(data)
            for request, status in OPTIONAL:
                response = raw.response("HEAD" if request.startswith(b"HEAD") else "GET")
                assert response.status == status, request
                assert response.fields["x-a"] == "b"


def change_files(site: Site, stop: threading.Event) -> None:
    """Change what is served all the time, so that the cache has to learn of it; and rotate what is too much for it."""

    def replace(name: str, content: bytes) -> None:
        # At once, so that nobody gets half of it.
        site.write("new", content).rename(site.root / name)

    number = 0
    while not stop.is_set():
        number += 1
        replace(f"bare/{number % 200}", bytes(2000))
        replace("a.txt", b"hello\n")
        replace("a.txt.gz", b"hello")
        if number % 50 == 0:
            site.write(f"directory-{number % 3}/x", b"")


def test_no_option_calls_the_heap(target: Site, tmp_path: Path) -> None:
    """With every option on, while files change: counted outside and inside; the sum of the memory holds."""
    counts = HeapCounts(tmp_path)
    target.write("404.html", b"<!doctype html>nothing")
    target.write("a.txt.br", b"hi")
    log = tmp_path / "access.log"
    options = [*EVERY_OPTION, "--access-log", "json", "--access-log-file", str(log), "--max-connections", "48"]
    stop = threading.Event()
    changer = threading.Thread(target=change_files, args=(target, stop))
    with Program.start(*options, target.root, env=counts.environment) as program, Output(program) as output:
        port = program.port
        assert exchange(port, get("/a.txt")).status == 200
        loop = thread_named(program, "pooled-loop")
        at_start = counts.of(loop)
        changer.start()
        try:
            with ThreadPoolExecutor(4) as pool:
                for done in [pool.submit(run_optional, port, 30) for _ in range(4)]:
                    done.result()
                answers = [pool.submit(exchange, port, get(f"/bare/{number}")) for number in range(200)]
                assert {answer.result().status for answer in answers} == {200}
        finally:
            stop.set()
            changer.join()
        numbers = output.statistics()
        assert counts.of(loop) == at_start
        assert numbers["malloc() calls during runtime"] == 0
        assert numbers["free() calls during runtime"] == 0
        assert numbers["Invariant Violations"] == 0
        plan = next(line for line in program.lines if "Memory: " in line)
        planned = int(plan.rpartition(" = ")[2].removesuffix(" bytes").replace(",", ""))
        assert resident(program) <= planned + MEBIBYTE
        assert output.statistics(signal.SIGINT)["Active connections"] == 0
        assert program.process.wait(LONG) == 0
    assert len(log.read_bytes().splitlines()) == numbers["Total requests served"]


def ask_until(port: int, stop: threading.Event) -> int:
    """Ask for the statistics all the time; each must be whole. Return how many connections were told of at most."""
    most = 0
    with Raw(port) as raw:
        while not stop.is_set():
            told = json.loads(raw.send(get("/status")).response().content)
            assert told["malloc_calls"] == told["free_calls"] == told["invariant_violations"] == 0
            assert told["connections"][0]["asking"] is True
            most = max(most, len(told["connections"]))
    return most


def test_the_record_of_connections_calls_no_heap_and_is_in_the_sum(target: Site, tmp_path: Path) -> None:
    """While everything is sent, and many connections come and go, somebody reads all that is told of them."""
    counts = HeapCounts(tmp_path)
    options = ["--status-path", "/status", "--max-connections", str(MAX_CONNECTIONS), "--cache-size", "0"]
    with Program.start(*options, target.root, env=counts.environment) as program, Output(program) as output:
        port = program.port
        assert exchange(port, get("/a.txt")).status == 200
        loop = thread_named(program, "pooled-loop")
        at_start = counts.of(loop)
        stop = threading.Event()
        with ThreadPoolExecutor(3) as pool:
            asking = pool.submit(ask_until, port, stop)
            try:
                for done in [pool.submit(run_malformed, port, 10), pool.submit(run_batches, port, 40)]:
                    done.result()
                run_oddities(port, 5)
            finally:
                stop.set()
            assert asking.result() == 32
        numbers = output.statistics()
        assert counts.of(loop) == at_start
        assert numbers["malloc() calls during runtime"] == numbers["free() calls during runtime"] == 0
        assert numbers["Invariant Violations"] == 0
        plan = next(line for line in program.lines if "Memory: " in line)
        record = re.search(r" \+ record of connections ([\d,]+) \+ ", plan)
        assert record, plan
        # What is kept of a slot, and of each that was closed.
        assert MAX_CONNECTIONS * 90 < int(record[1].replace(",", "")) < (MAX_CONNECTIONS + 32) * 200
        planned = int(plan.rpartition(" = ")[2].removesuffix(" bytes").replace(",", ""))
        assert resident(program) <= planned + MEBIBYTE
        assert output.statistics(signal.SIGINT)["Active connections"] == 0
        assert program.process.wait(LONG) == 0


#: A program that registers answers of every kind, keeps requests and begins anew, as it is told line by line.
REGISTERING = """
import sys
import pooled_httpd
from pooled_httpd.faults import *

def register():
    server.respond("/plain", content="plain")
    server.respond("/long", content=bytes(300_000), status=299)
    server.respond("/late", delay=0.001, times=50)
    server.respond("/dribble", content=bytes(500), fault=Dribble(100, 0.0005))
    server.respond("/stall", content="stall", fault=Stall("head", 0.001))
    server.respond("/cut", content="cut short", fault=CutShort())
    server.respond("/reset", content="reset", fault=Reset())
    server.respond("/close", fault=Close())
    server.respond("/garbage", fault=Garbage())
    server.respond("/for-ever", fault=Stall("start"))

with pooled_httpd.Server(sys.argv[1], max_connections=16) as server:
    server.record_requests(65_536)
    server.keep_story()
    register()
    print(server.port, flush=True)
    for line in sys.stdin:
        if line == "begin anew\\n":
            server.reset()
            register()
        elif line == "look\\n":
            server.requests()
            server.story()
            _ = server.open_connections
        stats = server.stats()
        print(stats.malloc_calls, stats.free_calls, stats.invariant_violations, flush=True)
"""


def run_registered(port: int) -> None:
    """Ask for an answer of each kind, also for what is not there, and let whoever waits for ever go."""
    with Raw(port) as raw:
        for _ in range(5):
            paths = ["/plain", "/long", "/late", "/dribble", "/stall", "/plain", "/nothing"]
            raw.send(b"".join(get(path) for path in paths) + POST.replace(b"/a.txt", b"/plain"))
            assert [raw.response().status for _ in range(8)][:2] == [200, 299]
    for path in ("/cut", "/reset", "/close", "/garbage"):
        with Raw(port) as raw, suppress(ConnectionResetError):
            raw.send(get(path) * 2)
            while raw.socket.recv(65536):
                pass
    with Raw(port) as raw:
        raw.send(get("/for-ever") + bytes(50_000))


def test_no_registered_answer_no_record_and_no_new_beginning_calls_the_heap(target: Site, tmp_path: Path) -> None:
    """Whatever kind of answer it is, and while others are registered: counted outside and inside."""
    counts = HeapCounts(tmp_path)
    command = [sys.executable, "-c", REGISTERING, str(target.root)]
    environment = {**os.environ, **counts.environment}
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def tell(line: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return process.stdout.readline()

        try:
            port = int(process.stdout.readline())
            tasks = Path(f"/proc/{process.pid}/task").iterdir()
            loop = next(int(task.name) for task in tasks if (task / "comm").read_text() == "pooled-loop\n")
            at_start = counts.of(loop)
            for _ in range(3):
                with ThreadPoolExecutor(4) as pool:
                    running = [pool.submit(run_registered, port) for _ in range(4)]
                    assert tell("look") == "0 0 0\n"
                    for done in running:
                        done.result()
                assert tell("look") == "0 0 0\n"
                assert tell("begin anew") == "0 0 0\n"
                assert tell("numbers") == "0 0 0\n"
            assert counts.of(loop) == at_start
        finally:
            process.stdin.close()
            process.wait(LONG)
    assert process.returncode == 0


def lost(report: str, kind: str) -> int:
    """Return the bytes that Valgrind's report gives for a kind of leak; none where it found no leak at all."""
    if "All heap blocks were freed -- no leaks are possible" in report:
        return 0
    found = re.search(rf"{kind}: ([\d,]+) bytes in [\d,]+ blocks", report)
    assert found, report
    return int(found[1].replace(",", ""))


def run_common(port: int) -> None:
    """Send a thousand requests of every kind."""
    run_load(port, 6, 2)


def run_with_every_option(port: int) -> None:
    """Send a thousand requests of those that options are for."""
    run_optional(port, 40)


def run_fuzz(port: int) -> None:
    """Send 10,000 malformed requests; none may be served, and none may hang."""
    fuzzer = Fuzzer(Target.parse(f"127.0.0.1:{port}").with_options(known_path="/a.txt", patience=LONG), requests=10_000)
    fuzzer.run()
    assert fuzzer.findings == []


@pytest.mark.parametrize(
    ("options", "load"),
    [([], run_common), (EVERY_OPTION, run_with_every_option), ([], run_fuzz)],
    ids=["no option", "every option", "fuzz"],
)
def test_valgrind_finds_no_error_and_no_leak(
    target: Site, tmp_path: Path, options: list[str], load: Callable[[int], None]
) -> None:
    """1,000 requests, or 10,000 malformed ones, and a stop.

    No invalid access, no use of what was never written, and every block given back.

    Still reachable is one block of the Rust runtime, 544 bytes: the node of the tree in which it keeps the threads'
    guard pages, for its report of a stack overflow (std::sys::pal::unix::stack_overflow::thread_info). It is made
    before ``main`` and lives as long as the process.
    """
    log = tmp_path / "valgrind.log"
    flags = ("--leak-check=full", "--show-leak-kinds=all", "--error-exitcode=9", f"--log-file={log}")
    valgrind = (need("valgrind"), *flags)
    with (
        Program.start("--max-connections", str(MAX_CONNECTIONS), *options, target.root, wrapper=valgrind) as program,
        Output(program) as output,
    ):
        load(program.port)
        numbers = output.statistics(signal.SIGINT)
        status = program.process.wait(LONG)
    report = log.read_text()
    assert numbers["Total requests served"] >= 1_000
    assert numbers["Invariant Violations"] == 0
    assert "ERROR SUMMARY: 0 errors" in report, report
    assert [lost(report, kind) for kind in ("definitely lost", "indirectly lost", "possibly lost")] == [0, 0, 0], report
    assert lost(report, "still reachable") <= 1024, report
    assert status == 0
