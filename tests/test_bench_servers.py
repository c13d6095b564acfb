"""The benchmark's checks and servers: nobody who answers wrongly is timed, and the null server answers at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import PATIENCE, ROOT, Raw, need

from benches import BenchError, bytewise, checks, memory, servers
from benches.checks import Prepared
from benches.documents import SMALL
from benches.loads import Client, Load
from benches.measuring import servers_of
from benches.servers import KINDS, OURS, Setting
from benches.statistics_page import Statistics

NULL_SERVER = ROOT / "target" / "release" / "null_server"


@contextlib.contextmanager
def serving(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A server that answers every head with what ``answer`` makes of it, and closes where the head says so."""

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            received = b""
            while data := connection.recv(65536):
                received += data
                while b"\r\n\r\n" in received:
                    head, _, received = received.partition(b"\r\n\r\n")
                    connection.sendall(answer(head))
                    if b"\r\nConnection: close" in head:
                        return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(PATIENCE)


#: A document root of one file, which is asked for in part and on condition as well.
CONTENT = bytes(range(256)) * 5
FULL = Load("full", (SMALL,))
#: Its length is that of the one file here, and not the benchmark's own.
PART = Load("part", (SMALL,), status=206, range=(100, 199))
UNCHANGED = Load("unchanged", (SMALL,), status=304, conditional=True)
PIPELINED = Load("pipelined", (SMALL,), depth=4)


def well_answered(head: bytes) -> bytes:
    """What a good server sends."""
    status, content, more = "200 OK", CONTENT[:1200], b""
    if b"\r\nRange: bytes=100-199" in head:
        status, content, more = "206 Partial Content", CONTENT[100:200], b"Content-Range: bytes 100-199/1200\r\n"
    if b'\r\nIf-None-Match: "tag"' in head:
        status, content = "304 Not Modified", b""
    length = f"Content-Length: {len(content)}\r\n" if status[0] == "2" else ""
    return f'HTTP/1.1 {status}\r\nETag: "tag"\r\n{length}'.encode() + more + b"\r\n" + content


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Return a document root with the small file."""
    (tmp_path / SMALL).write_bytes(CONTENT[:1200])
    return tmp_path


@pytest.mark.parametrize("load", [FULL, PART, UNCHANGED, PIPELINED])
def test_right_answers_pass(documents: Path, load: Load) -> None:
    """And their sizes are told."""
    with serving(well_answered) as port:
        prepared = checks.prepare(port, load, documents)
    size = len(well_answered(b"\r\nRange: bytes=100-199" if load is PART else b""))
    if load is UNCHANGED:
        assert prepared.fields == ('If-None-Match: "tag"',)
    else:
        assert prepared == Prepared(tuple(load.range_field()), size, float(size), size)


@pytest.mark.parametrize(
    ("load", "old", "new", "complaint"),
    [
        (FULL, b"200 OK", b"404 Not Found", "status 404, not 200"),
        (FULL, b"HTTP/1.1 ", b"HTTP/1.1", "not a status line"),
        (FULL, b"Content-Length: 1200", b"Content-Length: 1199", "1199 bytes of content, not 1200"),
        (FULL, b"Content-Length: 1200", b"Content-Length: 0x4b0", "no Content-Length"),
        (FULL, b"Content-Length", b"Content-Size", "no Content-Length"),
        (FULL, b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", "closes a connection"),
        (FULL, CONTENT[:1200], CONTENT[1:1200] + b"?", "wrong content"),
        (FULL, CONTENT[:1200], CONTENT[:1200] + b"more", "not a status line: 'moreHTTP"),
        (PART, b"206 Partial Content", b"200 OK", "status 200, not 206"),
        (PART, b"bytes 100-199/1200", b"bytes 100-199/1201", "Content-Range 'bytes 100-199/1201', not"),
        (PART, b"Content-Range", b"Content-Ranger", "Content-Range None, not"),
        (PART, CONTENT[100:200], CONTENT[101:201], "wrong content"),
        (UNCHANGED, b"304 Not Modified", b"200 OK\r\nContent-Length: 0", "status 200, not 304"),
        (UNCHANGED, b"ETag", b"Tag", "no ETag"),
        (PIPELINED, CONTENT[:1200], CONTENT[:1199] + b"?", "wrong content"),
    ],
)
def test_a_wrong_answer_is_refused(documents: Path, load: Load, old: bytes, new: bytes, complaint: str) -> None:
    """Each fault alone, before anything is timed."""
    answering = serving(lambda head: well_answered(head).replace(old, new))
    with answering as port, pytest.raises(BenchError, match=re.escape(complaint)):
        checks.prepare(port, load, documents)


def test_bytes_after_the_last_answer_are_refused(documents: Path) -> None:
    """They come on the connection that the server closes."""

    def answer(head: bytes) -> bytes:
        return well_answered(head) + (b"more" if b"Connection: close" in head else b"")

    with serving(answer) as port, pytest.raises(BenchError, match="bytes follow the last answer"):
        checks.prepare(port, FULL, documents)


def test_the_closing_load_is_checked_as_ab_asks(documents: Path) -> None:
    """By HTTP/1.0; a fault that only that has is found."""

    def answer(head: bytes) -> bytes:
        return well_answered(head).replace(b"200 OK", b"500 Oh" if b"HTTP/1.0" in head else b"200 OK")

    with serving(answer) as port, pytest.raises(BenchError, match="500"):
        checks.prepare(port, dataclasses.replace(FULL, client=Client.AB), documents)


def test_a_wrong_answer_to_a_pipelined_request_alone_is_refused(documents: Path) -> None:
    """The third of four in one write, on a connection that asks for the file no other way."""
    count = iter(range(100))

    def answer(head: bytes) -> bytes:
        # Two go before it on a connection of their own.
        return well_answered(head).replace(b"200 OK", b"500 Oh" if next(count) == 4 else b"200 OK")

    with serving(answer) as port, pytest.raises(BenchError, match="500"):
        checks.prepare(port, PIPELINED, documents)


def test_heads_come_byte_by_byte() -> None:
    """Each answer is read whole; a wrong one fails the run."""
    load = dataclasses.replace(FULL, clients=3)
    size = len(well_answered(b""))
    with serving(well_answered) as port:
        done = bytewise.run(port, load, Prepared((), size, float(size), size), 0.05)
        assert done.answers > 0
        assert done.answers % 3 == 0
        with pytest.raises(BenchError, match=f"a wrong answer of {size} bytes"):
            bytewise.run(port, load, Prepared((), size - 1, size - 1.0, size - 1), 0.05)
        with pytest.raises(BenchError, match=f"a wrong answer of {size} bytes"):
            bytewise.run(port, dataclasses.replace(load, status=206), Prepared((), size, float(size), size), 0.05)


@pytest.fixture(params=["", "gathered"])
def null_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """The port of a null server that answers ``ANSWER``, in either manner."""
    need(str(NULL_SERVER))
    (tmp_path / "answer").write_bytes(ANSWER)
    command = [NULL_SERVER, tmp_path / "answer", *([request.param] if request.param else [])]
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.setblocking(False)
        with subprocess.Popen(command, stdin=listener.fileno()) as process:
            try:
                yield listener.getsockname()[1]
            finally:
                process.kill()


ANSWER = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 1200\r\n\r\n" + CONTENT[:1200]


def test_the_null_server_answers_each_head_once(null_server: int) -> None:
    """Split anywhere, and two in one write, and more than a socket holds; it closes where it is asked to."""
    head = b"GET /any HTTP/1.1\r\nHost: a\r\n\r\n"
    with Raw(null_server) as raw:
        for at in range(1, len(head)):
            raw.send(head[:at]).send(head[at:])
            assert raw.response().content == CONTENT[:1200]
        raw.send_slowly(head * 2)
        many = 5_000
        sender = threading.Thread(target=raw.send, args=(head * many,))
        sender.start()
        for _ in range(2 + many):
            assert raw.response().content == CONTENT[:1200]
        sender.join(PATIENCE)
        raw.send(head[:-2] + b"Connection: close\r\n\r\n")
        assert raw.response().content == CONTENT[:1200]
        assert raw.closed()


def test_a_server_that_closes_idle_connections_is_not_taken_for_a_thrifty_one(
    documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nginx does, where it may have no more than so many."""
    need("nginx")
    monkeypatch.setattr(servers, "CONNECTIONS", 102)
    monkeypatch.setattr(memory, "IDLE", 100)
    core = min(os.sched_getaffinity(0))
    setting = Setting(Path("none"), Path("none"), documents, documents, core, 1024, Path("none"))
    with pytest.raises(BenchError, match="nginx: a wrong answer to one of 100 clients"):
        memory.measure("nginx", setting)


@pytest.mark.parametrize("broken", ["heap_bytes", "heap_calls", "invariant_violations"])
def test_a_server_that_broke_its_promises_fails_the_run(broken: str) -> None:
    """However fast it was."""
    sound = Statistics(requests=9, heap_bytes=0, heap_calls=0, invariant_violations=0, log_records_dropped=9)
    sound.must_be_sound(OURS)
    with pytest.raises(BenchError, match="broke its promises"):
        dataclasses.replace(sound, **{broken: 1}).must_be_sound(OURS)


def test_a_run_measures_tells_and_draws(tmp_path: Path) -> None:
    """The shortest there is, with the peers, memory and the chart."""
    for tool in ("nginx", "h2o", "lighttpd", "wrk", "ab"):
        need(tool)
    need(str(NULL_SERVER))
    command = [sys.executable, "-m", "benches", "--rounds", "1", "--seconds", "1", "--loads", "304"]
    written = ["--json", str(tmp_path / "bench.json"), "--chart", str(tmp_path)]
    done = subprocess.run([*command, *written], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "304 Not Modified" in done.stdout
    told = json.loads((tmp_path / "bench.json").read_text())
    assert set(told["loads"]["304"]["samples"]) == set(servers_of("304"))
    assert set(told["memory"]) <= set(KINDS)
    assert told["memory"][OURS]["heap_bytes"] == 0
    for name in ("light", "dark"):
        assert (tmp_path / f"speed-{name}.svg").read_text().rstrip().endswith("</svg>")


def test_a_server_that_answers_wrongly_fails_the_run(tmp_path: Path) -> None:
    """In place of ours http.server, which has no entity-tags to answer the load by."""
    for tool in ("nginx", "h2o", "lighttpd", "wrk", "ab"):
        need(tool)
    other = tmp_path / "other"
    other.write_text(
        f"#!{sys.executable}\nimport functools, http.server, sys\nif '--version' in sys.argv: raise SystemExit('0.0')\n"
        "handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[-1])\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[-2])), handler).serve_forever()\n"
    )
    other.chmod(0o755)
    command = [sys.executable, "-m", "benches", "--rounds", "1", "--seconds", "1", "--loads", "304"]
    done = subprocess.run(
        [*command, "--server", other], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1
    assert "304 Not Modified, ours: /small.html: no ETag" in done.stderr
    assert done.stdout == ""
