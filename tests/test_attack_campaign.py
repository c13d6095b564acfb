"""Campaigns over several machines: parts, reports that merge, workers with servers of their own, a shared database."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_server import BadServer, well_behaved
from pooled_httpd.attack.__main__ import main
from pooled_httpd.attack.catalogue import CASES, FAMILIES
from pooled_httpd.attack.fuzzer import Fuzzer
from pooled_httpd.attack.judge import Verdict
from pooled_httpd.attack.reference import read
from pooled_httpd.attack.report import Entry, MergeError, Part, Report, merge
from pooled_httpd.attack.report import read as read_report
from redis import Redis
from support import PATIENCE, need

WEAKNESS = "request_line_rejects_tab_for_space"


def weak(received: bytes, answered: int) -> tuple[bytes, bool]:
    """Take a tab for a space, and a bare LF for the end of a line."""
    return well_behaved(read(re.sub(rb"(?<!\r)\n", b"\r\n", received.replace(b"\t", b" "))), answered)


def report_of_part(part: int, parts: int, **others: object) -> Report:
    """A small report."""
    header = Part("catalogue", "localhost:1", part=part, parts=parts, counts={"cases": part}, **others)  # type: ignore[arg-type]
    entry = Entry("family", f"case {part}", Verdict.OK if part % 2 else Verdict.DEVIATES, faults=("a\x00b", "<c>"))
    return Report((header,), (entry,))


@pytest.mark.parametrize("suffix", ["json", "jsonl", "xml"])
def test_a_report_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    """Whatever was sent is in it: control characters, markup, other alphabets."""
    faults = ("x\x00\x1b[2J", '"<&>')
    entry = Entry(
        "fämily", "a <case> & more", Verdict.DANGEROUS, "200, closed", faults, "RFC", "MUST", "why", 0.25, "b'\\x00'"
    )
    report = Report((Part("fuzzer", "localhost:1", 5, 2, 3, "7 requests", "2026-01-01", 1.5, {"sent": 7}),), (entry,))
    path = tmp_path / f"report.{suffix}"
    report.write(**{{"json": "json_file", "jsonl": "json_lines", "xml": "junit"}[suffix]: path})
    assert read_report(path) == report


def test_parts_merge_into_one_report() -> None:
    """In their order, their counts added up, the worst verdict that of all."""
    whole = merge([report_of_part(part, 3) for part in (3, 1, 2)])
    assert [part.part for part in whole.parts] == [1, 2, 3]
    assert [entry.name for entry in whole.entries] == ["case 1", "case 2", "case 3"]
    assert whole.counts == {"cases": 6}
    assert (whole.worst, whole.exit_status) == (Verdict.DEVIATES, 1)


@pytest.mark.parametrize(
    ("reports", "text"),
    [
        ([], "no part"),
        ([report_of_part(1, 3), report_of_part(3, 3)], "part 2 of 3 is missing"),
        ([report_of_part(1, 2), report_of_part(1, 2), report_of_part(2, 2)], "part 1 is there twice"),
        ([report_of_part(1, 2), report_of_part(2, 3)], "parts is 2 and 3"),
        ([report_of_part(1, 2), report_of_part(2, 2, seed=9)], "seed is 0 and 9"),
    ],
)
def test_parts_that_are_no_whole_are_refused(reports: list[Report], text: str) -> None:
    """Missing, doubled, or of another campaign."""
    with pytest.raises(MergeError, match=text):
        merge(reports)


def test_what_is_no_report_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name."""
    for name, text in {
        "a.json": "{}",
        "b.jsonl": "[]",
        "c.xml": "<a>",
        "d.xml": "<a><testsuite><testcase/></testsuite></a>",
    }.items():
        (tmp_path / name).write_text(text)
        assert main(["merge", str(tmp_path / name)]) == 2
        assert f"{name} is no report of this kit" in capsys.readouterr().err


def test_the_catalogue_in_parts_is_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three parts, as JSON lines and JUnit XML mixed, merge into what one run reports; the weakness is in the table."""
    family = next(family.id for family in FAMILIES if any(case.id == WEAKNESS for case in family.cases))
    with BadServer(weak) as server:
        common = ["catalogue", "--target", f"127.0.0.1:{server.port}", "--family", family]
        main([*common, "--json", str(tmp_path / "whole.json")])
        files = []
        for part in (1, 2, 3):
            kind, name = ("--junit", f"{part}.xml") if part == 2 else ("--json-lines", f"{part}.jsonl")
            files.append(tmp_path / name)
            main([*common, "--part", f"{part}/3", kind, str(files[-1])])
    capsys.readouterr()
    merged = ["merge", *map(str, files), "--json", str(tmp_path / "m.json"), "--html", str(tmp_path / "m.html")]
    assert main([*merged, "--junit", str(tmp_path / "m.xml")]) in (1, 4)
    shown = capsys.readouterr().out
    assert WEAKNESS in shown

    def verdicts(name: str) -> dict[str, str]:
        return {entry["name"]: entry["verdict"] for entry in json.loads((tmp_path / name).read_text())["entries"]}

    assert verdicts("m.json") == verdicts("whole.json")
    assert verdicts("m.json")[WEAKNESS] in ("deviates", "dangerous")
    assert len(verdicts("m.json")) == sum(case.family == family and not case.waits for case in CASES.values()) - sum(
        case.family == family and bool(case.placeholders & {"etag", "modified", "directory", "link"})
        for case in CASES.values()
    )
    assert WEAKNESS in (tmp_path / "m.html").read_text()


def pytest_of_the_kit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the kit's own tests as a user does, from somewhere else."""
    command = [sys.executable, "-m", "pytest", "--pyargs", "pooled_httpd.attack", "-q", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_the_catalogue_runs_as_tests(tmp_path: Path) -> None:
    """Against any target; what deviates fails with its section and its bytes seen."""
    with BadServer(weak) as server:
        done = pytest_of_the_kit(
            "--target",
            f"127.0.0.1:{server.port}",
            "-k",
            "rejects_tab_for_space or request_line_is_served",
            cwd=tmp_path,
        )
    assert done.returncode == 1, done.stdout
    assert f"test_case[{WEAKNESS}-whole]" in done.stdout
    assert "RFC 9112 section 3" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_a_target_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    """Not by an error for each case."""
    for target, text in (("127.0.0.1:1", "refused"), ("192.0.2.1:80", "is not this machine")):
        done = pytest_of_the_kit("--target", target, cwd=tmp_path)
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert text in done.stdout + done.stderr
        assert "error" not in done.stdout.splitlines()[-1]


def test_each_worker_has_a_server_of_its_own(tmp_path: Path) -> None:
    """Under pytest-xdist, with no target: all pass, whichever worker they run on."""
    done = pytest_of_the_kit("-n", "2", "-k", "request_line", "-vv", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "[gw0]" in done.stdout
    assert "[gw1]" in done.stdout


def test_the_parts_of_the_tests_are_the_whole(tmp_path: Path) -> None:
    """Under pytest too each case belongs to one part."""
    collected = []
    for part in ("1/3", "2/3", "3/3", "1/1"):
        done = pytest_of_the_kit("--collect-only", "--part", part, cwd=tmp_path)
        collected.append([line for line in done.stdout.splitlines() if "::test_case[" in line])
    assert sorted([*collected[0], *collected[1], *collected[2]]) == sorted(collected[3])
    assert len(collected[3]) == len(CASES)
    wrong = pytest_of_the_kit("--collect-only", "--part", "4/3", cwd=tmp_path)
    assert "no part such as 3/8" in wrong.stdout + wrong.stderr


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A Redis server of this test's own, on a Unix socket; its URL."""
    program = need("redis-server")
    socket = tmp_path / "redis.sock"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE
    while not socket.exists():
        assert time.monotonic() < deadline, "redis-server does not start"
        time.sleep(0.005)
    yield f"unix://{socket}"
    process.send_signal(signal.SIGTERM)
    process.wait()


def test_what_one_machine_finds_another_replays(redis: str, tmp_path: Path) -> None:
    """Two fuzzers in processes of their own share a Redis server: the second finds it with none of its own requests."""
    with BadServer(weak) as server:
        common = ["--target", f"127.0.0.1:{server.port}", "--database", redis, "--quiet"]
        command = [sys.executable, "-m", "pooled_httpd.attack", "fuzz", *common, "--findings", str(tmp_path / "found")]
        first = subprocess.run(
            [*command, "--malformed-requests", "600", "--part", "1/2"], capture_output=True, text=True, check=False
        )
        assert first.returncode in (1, 4), first.stdout + first.stderr
        second = subprocess.run(
            [*command, "--malformed-requests", "0", "--part", "2/2", "--json", str(tmp_path / "r.json")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert second.returncode == first.returncode, second.stdout + second.stderr
    counts = json.loads((tmp_path / "r.json").read_text())["parts"][0]["counts"]
    assert counts["replayed"] == counts["sent"] >= 1


def test_a_database_that_goes_away_ends_no_campaign(redis: str) -> None:
    """What is found is in the report then, and nowhere else."""
    from pooled_httpd.attack.databases import open_database

    database = open_database(redis)
    database.save(b"key", b"value")
    assert list(database.fetch(b"key")) == [b"value"]
    Redis.from_url(redis).shutdown(nosave=True)
    with BadServer(weak) as server:
        fuzzer = Fuzzer(server.target, requests=400, database=database)
        fuzzer.run()
    assert fuzzer.findings
    assert fuzzer.tally.replayed == 0


def test_a_hypothesis_test_replays_from_redis(redis: str, tmp_path: Path) -> None:
    """The same database serves `@given` tests: the failing example is there for the next machine at once."""
    test = tmp_path / "test_shared.py"
    test.write_text(
        "import os\n"
        "from hypothesis import Phase, given, settings\n"
        "from pooled_httpd.attack import strategies\n"
        "from pooled_httpd.attack.databases import open_database\n"
        "from pooled_httpd.attack.reference import read\n"
        "phases = [Phase.reuse] if os.environ.get('ONLY_REPLAY') else list(Phase)\n"
        "@settings(database=open_database(os.environ['DATABASE']), phases=phases, max_examples=2000)\n"
        "@given(strategies.nearly_valid_requests())\n"
        "def test_it(data):\n"
        "    fault = read(data).fault\n"
        "    assert fault is None or fault.rule != 'bare LF'\n"
    )
    for machine in ("one", "two"):
        directory = tmp_path / machine
        directory.mkdir()
        shutil.copy(test, directory)
        environment = {**os.environ, "DATABASE": redis, "ONLY_REPLAY": "1" if machine == "two" else ""}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(directory / test.name)],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, (machine, done.stdout)
        assert "bare LF" in done.stdout


def test_a_directory_keeps_findings_too(tmp_path: Path) -> None:
    """Without Redis."""
    from pooled_httpd.attack.databases import open_database

    with BadServer(weak) as server:
        for expected in (0, 1):
            fuzzer = Fuzzer(server.target, requests=400 * (1 - expected), database=open_database(str(tmp_path / "db")))
            fuzzer.run()
            assert (fuzzer.tally.replayed > 0) is bool(expected)
            assert fuzzer.findings
