"""The access log: one line for each answer, in its three forms, wherever it goes and whatever a peer sends."""

from __future__ import annotations

import logging
import re
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pooled_httpd
import pytest
from access_log_lines import ask, file_objects, objects
from conftest import assert_sound
from program_output import listening_port
from support import PATIENCE, PROGRAM, Program, Raw, Site, eventually, exchange, get

Form: TypeAlias = Literal["common", "combined", "json"]

CLIENT = r"(?P<client>[0-9.]+|unix:) - - \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\]"
COMMON = re.compile(rf'{CLIENT} "(?P<line>[^"]*)" (?P<status>\d{{3}}) (?P<bytes>\d+|-)')
COMBINED = re.compile(rf'{COMMON.pattern} "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"')

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
    with pooled_httpd.Server(site.root, content_timeout=1, **options) as server:
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
            assert late.send(get("/late", "Content-Length: 1", method="POST")).response().status == 408
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
    assert by_status[408]["line"] == "POST /late HTTP/1.1"
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
