"""The fuzzer: one seed gives the same requests, parts divide them, and what is found can be played again."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pooled_httpd
import pytest
from bad_server import CONTENT, SECRET, BadServer, response, well_behaved
from hypothesis.database import InMemoryExampleDatabase
from pooled_httpd.attack import Target, Verdict
from pooled_httpd.attack.__main__ import fuzz_main
from pooled_httpd.attack.assess import Fate
from pooled_httpd.attack.findings import minimize, write
from pooled_httpd.attack.fuzzer import DATABASE_KEY, Fuzzer, ServerDied, Tally
from pooled_httpd.attack.reference import read
from pooled_httpd.attack.terminal import progress_of, show_tally
from pooled_httpd.attack.witness import PathWitness, ServerWitness
from rich.console import Console
from support import PATIENCE, Program, Site

React = Callable[[bytes, int], tuple[bytes, bool]]


def fuzz(react: React | None, requests: int = 300, patience: float = PATIENCE, **options: object) -> Fuzzer:
    """Fuzz a server that reacts so, to the end."""
    with BadServer(react) as server:
        fuzzer = Fuzzer(server.target.with_options(patience=patience), requests=requests, **options)  # type: ignore[arg-type]
        fuzzer.run()
        return fuzzer


def test_a_strict_server_has_no_findings() -> None:
    """Every request was malformed, and every one refused or closed."""
    fuzzer = fuzz(None)
    assert fuzzer.findings == []
    assert sum(fuzzer.tally.fates.values()) == fuzzer.tally.sent == 300
    assert set(fuzzer.tally.fates) <= {"refused", "closed"}
    assert fuzzer.tally.good_requests >= 300 // 32


def test_our_server_has_no_findings(site: Site) -> None:
    """20,000 requests, its statistics held against what was received."""
    site.write("index.html", CONTENT)
    with pooled_httpd.Server(site.root, log_level="off") as server:
        target = Target.of(server).with_options(patience=PATIENCE)
        fuzzer = Fuzzer(target, requests=20_000, seed=1, witness=ServerWitness(server))
        fuzzer.run()
        assert fuzzer.findings == []
        assert fuzzer.tally.sent == 20_000


def test_100_000_requests_leave_the_program_as_it_was(site: Site) -> None:
    """No finding, no violation, no heap call, no wrong statistic; no descriptor, no thread and no memory more."""
    site.write("index.html", CONTENT)
    with Program.start("--log-level", "info", "--status-path", "/status", site.root) as program:
        target = Target.parse(f"127.0.0.1:{program.port}").with_options(patience=PATIENCE)
        Fuzzer(target, requests=2000, seed=5).run()
        before = held(program)
        fuzzer = Fuzzer(target, requests=100_000, seed=6, witness=PathWitness(target, "/status"))
        fuzzer.run()
        assert fuzzer.findings == []
        assert (fuzzer.tally.sent, fuzzer.tally.fates["served"], fuzzer.tally.fates["hung"]) == (100_000, 0, 0)  # type: ignore[index]
        descriptors, threads, resident = held(program)
        assert (descriptors, threads) == before[:2]
        assert resident <= before[2] + (1 << 20)
        assert program.finish() == 0


def held(program: Program) -> tuple[int, int, int]:
    """Descriptors, threads, and resident memory in bytes, once the listening socket is the only one."""
    process = Path(f"/proc/{program.process.pid}")

    def descriptors() -> list[str]:
        names = []
        for entry in (process / "fd").iterdir():
            with suppress(FileNotFoundError):  # it may be closed meanwhile
                names.append(os.readlink(entry))
        return names

    deadline = time.monotonic() + PATIENCE
    while (open_now := descriptors()) and sum("socket:" in name for name in open_now) > 1:
        assert time.monotonic() < deadline, open_now
        time.sleep(0.01)
    status = (process / "status").read_text()
    threads, resident = (int(re.findall(rf"{name}:\s+(\d+)", status)[0]) for name in ("Threads", "VmRSS"))
    return len(open_now), threads, resident * 1024


def test_parts_divide_a_campaign_exactly() -> None:
    """Each request belongs to one part, and is the same in it as in the whole."""
    with BadServer() as server:
        whole = Fuzzer(server.target, requests=100, seed=7)
        wanted = [whole.request(number)[0] for number in range(100)]
        assert all(read(data).is_malformed for data in wanted)
        sent: dict[int, list[bytes]] = {}
        for part in range(1, 9):
            sent[part] = []
            fuzzer = Fuzzer(server.target, requests=100, seed=7, part=part, parts=8)
            ask = fuzzer.request

            def noting(number: int, part: int = part, ask: Callable[..., object] = ask) -> object:
                made = ask(number)
                sent[part].append(made[0])  # type: ignore[index]
                return made

            fuzzer.request = noting  # type: ignore[method-assign, assignment]
            fuzzer.run()
            assert fuzzer.tally.sent == len(sent[part]) == len(range(part - 1, 100, 8))
        assert [sent[number % 8 + 1][number // 8] for number in range(100)] == wanted
        assert Fuzzer(server.target, requests=1, seed=8).request(0) != whole.request(0)
        with pytest.raises(ValueError, match="part 9/8"):
            Fuzzer(server.target, requests=1, part=9, parts=8)


def lenient_lines(received: bytes, answered: int) -> tuple[bytes, bool]:
    """Take a bare LF for the end of a line."""
    return well_behaved(read(re.sub(rb"(?<!\r)\n", b"\r\n", received)), answered)


def lenient_lengths(received: bytes, answered: int) -> tuple[bytes, bool]:
    """Skip what is no digit in a Content-Length, and serve whatever has one."""

    def digits(line: re.Match[bytes]) -> bytes:
        return line[1] + re.sub(rb"[^0-9]", b"", line[2])[:3]

    clean, count = re.subn(rb"(?i)(content-length:)([^\r\n]*)", digits, received)
    return well_behaved(read(re.sub(rb"^[A-Z]+ \S+", b"GET /index.html", clean) if count else clean), answered)


def leaking(received: bytes, answered: int) -> tuple[bytes, bool]:
    """Show the secret where a version is odd."""
    reading = read(received)
    if reading.fault is not None and "version" in reading.fault.rule:
        return response(400, SECRET, close=True), True
    return well_behaved(reading, answered)


def failing(received: bytes, answered: int) -> tuple[bytes, bool]:
    """Answer 500 where there is a DEL."""
    return (response(500, close=True), True) if b"\x7f" in received else well_behaved(read(received), answered)


@pytest.mark.parametrize(
    ("react", "verdict", "reason"),
    [
        (lenient_lines, Verdict.DEVIATES, "bare LF"),
        (lenient_lengths, Verdict.DEVIATES, "Content-Length is not 1*DIGIT"),
        (leaking, Verdict.DANGEROUS, "outside"),
        (failing, Verdict.DEVIATES, "500"),
    ],
)
def test_each_fault_of_a_server_is_found_and_minimized(react: React, verdict: Verdict, reason: str) -> None:
    """The finding says why, and its minimal form is found again."""
    fuzzer = fuzz(react, 2500)
    found = [finding for finding in fuzzer.findings if finding.verdict is verdict and reason in finding.reason]
    assert found, fuzzer.findings
    for finding in found:
        assert len(finding.minimal) <= min(len(finding.data), 120)
        assert read(finding.minimal).is_malformed or b"\x7f" in finding.minimal


def test_a_hang_is_found() -> None:
    """The server waits although the client has ended; a shorter request on which it does the same is looked for."""
    with BadServer(hangs_on=b"\0") as server:
        fuzzer = Fuzzer(server.target.with_options(patience=0.5), requests=32)
        fuzzer.run()
    (finding,) = [finding for finding in fuzzer.findings if finding.verdict is Verdict.HANGS]
    assert b"\0" in finding.minimal
    assert fuzzer.tally.fates["hung"] >= 1  # type: ignore[index]


def test_a_server_that_dies_is_a_finding() -> None:
    """The requests before its end are kept."""
    with BadServer() as server:
        fuzzer = Fuzzer(server.target, requests=1000)
        server.dies_after = server.connections + 70
        with pytest.raises(ServerDied, match="does not answer a good request"):
            fuzzer.run()
    assert [finding.verdict for finding in fuzzer.findings] == [Verdict.DANGEROUS] * len(fuzzer.findings)
    assert 1 <= len(fuzzer.findings) <= 32


def test_what_was_found_is_replayed_first() -> None:
    """By another fuzzer, with another seed, from the same database; what is mended then is no finding."""
    database = InMemoryExampleDatabase()
    first = fuzz(lenient_lines, 600, database=database)
    kept = set(database.fetch(DATABASE_KEY))
    assert kept == {finding.minimal for finding in first.findings}
    again = fuzz(lenient_lines, 0, seed=99, database=database)
    assert again.tally.replayed == again.tally.sent == len(kept)
    assert {finding.reason for finding in again.findings} == {finding.reason for finding in first.findings}
    mended = fuzz(None, 0, database=database)
    assert (mended.tally.replayed, mended.findings) == (len(kept), [])


class Liar:
    """Statistics that are wrong in one number."""

    def __init__(self, server: pooled_httpd.Server, name: str) -> None:
        """Lie about this one, from the second look on."""
        self.server, self.name, self.looks = server, name, 0

    def stats(self) -> Liar:
        """Look."""
        self.looks += 1
        return self

    def as_dict(self) -> dict[str, object]:
        """The true ones but for one."""
        shown = self.server.stats().as_dict()
        if self.looks > 1:
            shown[self.name] = shown[self.name] + 1
        return shown


@pytest.mark.parametrize("name", ["total_requests", "malloc_calls", "free_calls", "heap_bytes", "invariant_violations"])
def test_a_wrong_statistic_is_a_finding(site: Site, name: str) -> None:
    """One answer more than were received, a heap call, a violation."""
    site.write("index.html", CONTENT)
    with pooled_httpd.Server(site.root, log_level="off") as server:
        fuzzer = Fuzzer(Target.of(server), requests=10, witness=ServerWitness(Liar(server, name)))  # type: ignore[arg-type]
        fuzzer.run()
        assert fuzzer.findings
        assert {finding.name for finding in fuzzer.findings} == {"statistics"}


def test_statistics_are_read_over_the_wire(site: Site) -> None:
    """From `status_path`, whose own answers are counted too; another path is an error that says so."""
    site.write("index.html", CONTENT)
    with pooled_httpd.Server(site.root, log_level="off", status_path="/status") as server:
        target = Target.of(server)
        fuzzer = Fuzzer(target, requests=200, witness=PathWitness(target, "/status"))
        fuzzer.run()
        assert fuzzer.findings == []
        with pytest.raises(ValueError, match="shows no statistics"):
            PathWitness(target, "/index.html")


def test_minimizing_is_bounded_and_returns_what_held() -> None:
    """It asks no more often than it may; what it returns holds still."""
    asked: list[bytes] = []

    def holds(data: bytes) -> bool:
        asked.append(data)
        return b"X" in data and b"Y" in data

    assert minimize(b"abcXdefghYij" * 3, holds) == b"XY"
    asked.clear()
    found = minimize(b"abcXdefghYij" * 50, holds, tries=7)
    assert len(asked) == 7
    assert b"X" in found
    assert b"Y" in found
    assert minimize(b"abc", lambda _: False) == b"abc"


def test_a_reproducer_stands_alone(tmp_path: Path) -> None:
    """The script sends the bytes and shows the answer; it says what it is about, whatever the bytes are."""
    data = b'GET / HTTP/1.1\r\nX: """\\\0\xff\'\r\n\r\n'
    with BadServer() as server:
        write(tmp_path, "x", data, text=f'served: """{data!r}', target=f"127.0.0.1:{server.port}", patience=5.0)
        assert (tmp_path / "x.bin").read_bytes() == data
        done = subprocess.run([sys.executable, "-I", str(tmp_path / "x.py")], capture_output=True, check=True, cwd="/")
    assert done.stdout.startswith(b"HTTP/1.1 400 ")
    assert b"-- closed by the server" in done.stdout


def test_the_command_writes_findings_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status by the worst verdict; bytes, scripts, JUnit XML, JSON, JSON lines and a page; a summary in words."""
    with BadServer(lenient_lines) as server:
        status = fuzz_main(
            [
                *("--target", f"127.0.0.1:{server.port}", "--malformed-requests", "400", "--seed", "3"),
                *("--findings", str(tmp_path / "found"), "--junit", str(tmp_path / "j.xml"), "--quiet"),
                *("--json", str(tmp_path / "r.json"), "--json-lines", str(tmp_path / "r.jsonl")),
                *("--html", str(tmp_path / "p.html")),
            ]
        )
    assert status == 1
    shown = capsys.readouterr().out
    assert "Sent 400 malformed requests" in shown
    assert re.search(r"served +\d+", shown)
    names = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert any(name.endswith("-minimal.py") for name in names)
    assert len(names) % 4 == 0
    report = json.loads((tmp_path / "r.json").read_text())
    counts = report["parts"][0]["counts"]
    assert counts["sent"] == counts["refused"] + counts["served"] + counts["closed"] + counts["hung"]
    assert counts["served"] >= 1
    suite = ET.parse(tmp_path / "j.xml").getroot().find("testsuite[@name='fuzzer']")
    assert suite is not None
    assert int(suite.get("failures", "0")) == len(report["entries"]) >= 1
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 1 + len(report["entries"])
    page = (tmp_path / "p.html").read_text()
    assert "deviates" in page
    assert "http" not in page.replace("HTTP", "").replace("httpd", "")


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--target", "192.0.2.1:80"], 2, "is not this machine"),
        (["--target", "localhost"], 2, "is not host:port"),
        (["--target", "127.0.0.1:1"], 1, "nobody listens on 127.0.0.1:1: start the server first"),
        (["--target", "127.0.0.1:1", "--part", "0/3"], 2, "is no part such as 3/8"),
        (["--target", "127.0.0.1:1", "--part", "x"], 2, "is no part such as 3/8"),
        (["--target", "127.0.0.1:1", "--database", "redis://127.0.0.1:1"], 2, "no Redis server answers"),
    ],
)
def test_wrong_use_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, text: str) -> None:
    """What was wrong and what would be right, in one line."""
    assert fuzz_main(arguments) == status
    shown = capsys.readouterr().err
    assert text in shown
    assert len(shown.splitlines()) == 1


def test_a_healthy_server_is_exit_status_0(site: Site, tmp_path: Path) -> None:
    """And no directory of findings is made."""
    site.write("index.html", CONTENT)
    with pooled_httpd.Server(site.root, log_level="off", status_path="/s") as server:
        arguments = ["--target", f"127.0.0.1:{server.port}", "--status-path", "/s", "--quiet"]
        assert fuzz_main([*arguments, "--findings", str(tmp_path / "f")]) == 0
    assert not (tmp_path / "f").exists()


def test_the_progress_bar_shows_rate_and_verdicts() -> None:
    """In 80 columns, while it runs: how many of how many, how fast, and what came of them."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80, color_system=None)
    tally = Tally(sent=1234)
    tally.fates.update({Fate.REFUSED: 1100, Fate.CLOSED: 100, Fate.SERVED: 34})
    tally.verdicts.update({Verdict.OK: 1200, Verdict.DEVIATES: 34})
    with progress_of(console, 5000, "fuzzing") as progress:
        time.sleep(0.01)
        show_tally(progress, tally)
        progress.refresh()
    line = next(line for line in re.split(r"[\r\n]", shown.getvalue()) if "1234/5000" in line)
    assert re.search(r"[\d,]+/s", line)
    for text in ("refused 1,100", "closed 100", "served 34", "deviates 34"):
        assert text in line, line
