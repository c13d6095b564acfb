"""Targets that attack the kit, die under it, or are merely otherwise: it stays bounded and fair, and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from bad_server import CONTENT, BadServer, response, well_behaved
from peers import http_server, target_of
from pooled_httpd.attack import Judge, Target, Verdict
from pooled_httpd.attack.__main__ import fuzz_main, main
from pooled_httpd.attack.assess import assess
from pooled_httpd.attack.catalogue import CASES
from pooled_httpd.attack.exchange import MOST_BYTES, Seen, exchange, parse
from pooled_httpd.attack.fuzzer import Fuzzer
from pooled_httpd.attack.judge import _leads_away
from pooled_httpd.attack.known_site import make_site
from pooled_httpd.attack.reading import MOST_INTERIM, Ending
from pooled_httpd.attack.reference import read
from support import PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@contextmanager
def endless(first: bytes, again: bytes, every: float = 0.0) -> Iterator[Target]:
    """Somebody who answers everyone with ``first``, and then with ``again`` for ever."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.sendall(first)
                while not over.wait(every):
                    connection.sendall(again)

        def accept() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=serve, args=(connection,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield Target.parse(f"127.0.0.1:{listener.getsockname()[1]}").with_options(patience=0.3)
        finally:
            over.set()
            accepting.join()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize(
    ("first", "again", "every"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X", 0.05),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60_000 + b"\r\n", 0.0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"ea60\r\n" + b"y" * 60_000 + b"\r\n", 0.0),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0.0),
        (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 1000, 0.0),
    ],
    ids=["drip", "fields", "chunks", "interim responses", "responses"],
)
def test_an_answer_without_end_is_left(first: bytes, again: bytes, every: float) -> None:
    """Bounded in time however it trickles, and in bytes however it pours."""
    with endless(first, again, every) as target:
        started = time.monotonic()
        (seen,) = exchange(target, [GET], [read(GET)], target.patience)
        assert time.monotonic() - started < 5
    assert seen.ending is not Ending.CLOSED
    assert len(seen.received) <= MOST_BYTES + (1 << 18)


@pytest.mark.parametrize("more", [0, 1])
def test_interim_responses_are_bounded_in_number(more: int) -> None:
    """A thousand before a final one are read, one more is a fault: bytes alone would let hundreds of thousands by."""
    received = b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MOST_INTERIM + more) + b"HTTP/1.1 204 No Content\r\n\r\n"
    seen = parse(received, read(GET), Ending.CLOSED)
    assert (seen.statuses, seen.ending, seen.fault) == (
        ((), Ending.MALFORMED, "more than 1000 interim responses") if more else ((204,), Ending.CLOSED, "")
    )


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: " + b"1" * 5000,
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"X\0: y\r\nContent-Length: 2",
    ],
)
def test_a_malformed_response_is_said_to_be_one(head: bytes) -> None:
    """A length that no number holds, two of them, one beside a coding, a NUL in a name."""
    seen = parse(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nab", read(GET), Ending.CLOSED)
    assert assess(read(GET), seen).verdict is Verdict.DEVIATES, seen


def test_a_refused_head_may_have_content_or_none() -> None:
    """Whoever could not read the request does not know that it was a HEAD."""
    reading = read(b"HEAD / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n")
    for content in (b"", b"bad\n"):
        answer = b"HTTP/1.1 400 Bad\r\nContent-Length: 4\r\n\r\n" + content
        seen = parse(answer, reading, Ending.CLOSED)
        assert (seen.statuses, assess(reading, seen).verdict) == ((400,), Verdict.OK), (content, seen)


def answered(*statuses: int, fields: str = "") -> Seen:
    """What came back: these answers."""
    received = b"".join(response(status, b"", *([fields] if fields else [])) for status in statuses)
    return Seen(statuses, Ending.CLOSED, received)


@pytest.mark.parametrize(
    "data",
    [
        GET[:-2] + b"X: y\r\n" * 200 + b"\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\n\r\n" + GET,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + bytes(2_000_000),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000\r\n\r\n",
    ],
)
def test_the_limits_of_one_server_are_not_those_of_another(data: bytes) -> None:
    """More than this server takes may be served by others; this one must refuse it."""
    reading = read(data)
    assert reading.fault is not None
    assert assess(reading, answered(200)).verdict is Verdict.DEVIATES
    assert assess(reading, answered(200), has_our_limits=False).verdict is Verdict.OK


def test_a_server_may_close_behind_each_answer() -> None:
    """Fewer answers than requests are fair where the last one says so."""
    reading = read(GET * 3)
    assert assess(reading, answered(200)).verdict is Verdict.DEVIATES
    assert assess(reading, answered(200, fields="Connection: close")).verdict is Verdict.OK


def test_what_ran_behind_a_fault_of_framing_is_dangerous_and_serving_it_alone_is_not() -> None:
    """The catalogue and the fuzzer judge alike."""
    reading = read(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n" + GET)
    assert assess(reading, answered(200)).verdict is Verdict.DEVIATES
    assert assess(reading, answered(200, 200)).verdict is Verdict.DANGEROUS


def test_an_injected_field_is_dangerous() -> None:
    """Whatever else the answer is."""
    assert assess(read(GET), answered(200, fields="X-Injected: yes")).verdict is Verdict.DANGEROUS


def test_a_refusal_of_the_probe_is_no_answer_too_many() -> None:
    """A server that is busy by then has read the probe, and nothing that was smuggled."""

    def react(received: bytes, answered_before: int) -> tuple[bytes, bool]:
        asked = received.count(b"\r\n\r\n")
        if asked > 1 and answered_before:
            return response(503, b"", close=True), True
        return well_behaved(read(received), answered_before)

    with BadServer(react) as server:
        assert Judge(server.target).run(CASES["request_line_is_served"]).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("host", "is_fine"),
    [("a:" + "0" * 5000 + "1", True), ("a:" + "1" * 5000, False), ("a:65535", True), ("a:065536", False)],
)
def test_the_reference_reads_ports_of_any_length(host: str, is_fine: bool) -> None:
    """By their value."""
    assert read(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).is_malformed is not is_fine


@pytest.mark.parametrize(
    ("location", "away"),
    [
        ("https:/evil.example/", True),
        ("https:evil.example", True),
        ("//evil.example.", True),
        ("HTTPS:////evil.example", True),
        ("/https:/evil.example", False),
        ("/evil.example/", False),
    ],
)
def test_a_redirect_is_read_as_a_browser_reads_it(location: str, away: bool) -> None:
    """Slashes behind another scheme are any number, and a final dot is nothing."""
    assert _leads_away(location) is away


def test_one_seed_is_one_campaign_wherever_the_server_is() -> None:
    """But for its address, the requests are the same on every port."""
    with BadServer() as one, BadServer() as other:
        made = []
        for target in (server.target.with_options(patience=PATIENCE) for server in (one, other)):
            fuzzer = Fuzzer(target, requests=1, seed=3)
            # The port alone may be among the digits of a number.
            made.append(
                [fuzzer.request(number)[0].replace(target.authority.encode(), b"HOST") for number in range(500)]
            )
    assert made[0] == made[1]


def test_a_server_with_a_short_backlog_is_not_called_dead(tmp_path: Path) -> None:
    """http.server lets five wait: connections that take long ask for fewer at once."""
    make_site(tmp_path / "root")
    with http_server(tmp_path / "root", tmp_path / "work") as port:
        fuzzer = Fuzzer(target_of(port).with_options(patience=0.5), requests=64)
        fuzzer.run()
        assert fuzzer.tally.sent == 64


def test_a_server_that_dies_ends_the_catalogue_with_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The case that found it dead is dangerous; what was seen before is told, and how much was not sent."""
    with BadServer() as server:
        server.dies_after = 30
        arguments = ["--target", f"127.0.0.1:{server.port}", "--patience", "0.3", "--json", str(tmp_path / "r.json")]
        assert main(["catalogue", *arguments]) == 4
    shown = capsys.readouterr().out
    assert "the server died" in shown
    assert "It ended early" in shown
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["entries"][-1]["verdict"] == "dangerous"
    assert 5 < len(report["entries"]) < 60
    assert report["parts"][0]["counts"]["left out"] > 500


def interrupt(command: list[str], ready: Callable[[], bool]) -> subprocess.CompletedProcess[str]:
    """Run a command and press Ctrl+C once it has found something."""
    kit = [sys.executable, "-m", "pooled_httpd.attack", *command]
    process = subprocess.Popen(kit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(kit, process.returncode, out, err)


def test_ctrl_c_keeps_what_was_found(tmp_path: Path) -> None:
    """Findings are written as they come, and the summary and the reports in the end."""

    def lenient(received: bytes, before: int) -> tuple[bytes, bool]:
        return well_behaved(read(received.replace(b"\t", b" ").replace(b"\x0b", b" ")), before)

    with BadServer(lenient) as server:
        target = ["--target", f"127.0.0.1:{server.port}", "--patience", "10"]
        outputs = ["--findings", str(tmp_path / "found"), "--json", str(tmp_path / "r.json")]
        done = interrupt(
            ["fuzz", *target, *outputs, "--malformed-requests", "10000000", "--quiet"],
            lambda: (tmp_path / "found").exists(),
        )
    assert done.returncode in (1, 4), done.stderr
    assert "Traceback" not in done.stderr
    assert "interrupted" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["entries"]


def test_one_output_that_cannot_be_written_leaves_the_others_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And is named."""
    (tmp_path / "file").write_text("in the way of a directory")
    with BadServer() as server:
        common = ["catalogue", "--target", f"127.0.0.1:{server.port}", "--family", "folding"]
        assert main([*common, "--json", str(tmp_path / "file" / "r.json"), "--junit", str(tmp_path / "j.xml")]) == 1
    assert "r.json cannot be written" in capsys.readouterr().err
    assert (tmp_path / "j.xml").exists()


def test_parts_of_other_scopes_do_not_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other families are another campaign."""
    with BadServer() as server:
        for part, family in ((1, "folding"), (2, "host")):
            name = str(tmp_path / f"{part}.jsonl")
            target = ["--target", f"127.0.0.1:{server.port}", "--family", family]
            main(["catalogue", *target, "--part", f"{part}/2", "--json-lines", name])
    capsys.readouterr()
    assert main(["merge", str(tmp_path / "1.jsonl"), str(tmp_path / "2.jsonl")]) == 2
    assert "different campaigns: scope" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--malformed-requests", "-5"],
        ["--malformed-requests", "1000000000000000"],
        ["--patience", "0"],
        ["--patience", "nan"],
        ["--patience", "1e300"],
        ["--wait", "-1"],
    ],
)
def test_an_option_out_of_range_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With its name and what it takes."""
    with pytest.raises(SystemExit) as ended:
        fuzz_main(["--target", "127.0.0.1:1", *arguments])
    assert ended.value.code == 2
    assert f"argument {arguments[0]}: " in capsys.readouterr().err


def test_what_others_wrote_cannot_command_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and markup in a report are shown as what they are."""
    name = "x\x1b[2J[bold]y[/nope]"
    part = {"record": "part", "campaign": "catalogue", "target": "[fd00::1]:80\x1b[2J"}
    entry = {"record": "entry", "family": name, "name": name, "verdict": "deviates", "faults": [name]}
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(map(json.dumps, (part, entry))))
    assert main(["merge", str(path), "--junit", str(tmp_path / "j.xml")]) == 1
    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "[fd00::1]:80" in shown
    assert main(["merge", str(tmp_path / "j.xml")]) == 1


def test_a_target_that_never_answers_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Not a traceback, and not all that it sent."""
    with endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60_000 + b"\r\n") as target:
        assert main(["catalogue", "--target", target.authority, "--patience", "0.3"]) == 2
    shown = capsys.readouterr().err
    assert len(shown) < 500
    assert "does not answer for /index.html" in shown
    assert os.linesep in shown
    assert CONTENT.decode() not in shown
