"""The check of instruction counts: what it compares, when it fails, and what it says. Nothing is counted here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import ROOT, need

from benches import instructions
from benches.instructions import Baseline, CheckError, Counts

TOOLCHAIN = {"rustc": "rustc 1.95.0", "valgrind": "valgrind-3.19.0"}
COUNTED = "==7== Callgrind\nkept_alive: 2000 requests\n==7== Events    : Ir\n==7== Collected : 17704150\n==7==\n"


def judge(before: Counts, now: Counts) -> tuple[str, int]:
    """What the check says of these counts, without the table, and its exit status."""
    return instructions.verdict(instructions.compare(before, now))


def test_growth_of_more_than_three_percent_fails_and_names_the_script() -> None:
    """The others are not named."""
    message, status = judge({"a": 1000, "b": 1000, "c": 1000}, {"a": 1031, "b": 1029, "c": 990})
    assert (message, status) == ("FAILED: a grew by 3.10%; 3% is the limit", 1)
    assert judge({"b": 1000}, {"b": 1029}) == ("no script grew by more than 3%", 0)


def test_a_gain_passes_and_asks_to_be_recorded() -> None:
    """So that what was gained cannot be lost in small steps; what shrank by less is noise."""
    message, status = judge({"a": 1000, "b": 1000}, {"a": 960, "b": 975})
    assert status == 0
    assert "a shrank by 4.00%: record the baseline anew" in message
    assert "make instructions-record" in message
    assert "b " not in message


def test_a_gain_does_not_hide_growth() -> None:
    """Both are told."""
    message, status = judge({"a": 1000, "b": 1000}, {"a": 500, "b": 2000})
    assert status == 1
    assert "a shrank by 50.00%" in message
    assert "FAILED: b grew by 100.00%" in message


def test_a_script_on_one_side_only_fails() -> None:
    """One that is new has nothing that would hold it, and one that is gone holds nothing."""
    message, status = judge({"old": 1000}, {"new": 1000})
    assert status == 1
    assert "FAILED: new has no baseline; make instructions-record takes one" in message
    assert "FAILED: old is in the baseline and is no more" in message


def test_the_table_shows_both_counts_and_their_ratio() -> None:
    """With what is to be said of each where that is wanted."""
    rows = instructions.compare({"grown": 1000, "gone": 7}, {"grown": 2000.25, "new": 5})
    lines = [line.split() for line in instructions.table(rows, judged=False).splitlines()]
    assert lines[1:] == [
        ["grown", "1,000.0", "2,000.2", "2.000"],
        ["new", "-", "5.0", "-"],
        ["gone", "7.0", "-", "-"],
    ]
    assert "grew by 100.0" in instructions.table(rows, judged=True)


def test_a_count_is_per_request() -> None:
    """From the script's line and callgrind's."""
    assert instructions.parse_count(COUNTED) == 17704150 / 2000


@pytest.mark.parametrize(
    "output",
    [
        "",
        COUNTED.replace("17704150", "0"),
        COUNTED.replace("2000 requests", "0 requests"),
        COUNTED.replace("Collected", "Gathered"),
    ],
)
def test_nothing_counted_is_no_count(output: str) -> None:
    """As where the function to be counted has another name by now."""
    with pytest.raises(CheckError, match="nothing was counted"):
        instructions.parse_count(output)


def test_a_baseline_reads_as_it_was_written() -> None:
    """To a tenth of an instruction."""
    text = Baseline(TOOLCHAIN, {"a": 8852.075, "b": 1}).text()
    assert Baseline.parse(text) == Baseline(TOOLCHAIN, {"a": 8852.1, "b": 1})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"toolchain": {}, "instructions_per_request": []}',
        '{"toolchain": {}, "instructions_per_request": {"a": 0}}',
        '{"toolchain": {}, "instructions_per_request": {"a": null}}',
    ],
)
def test_a_malformed_baseline_is_an_error_that_says_what_to_do(text: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(CheckError, match=r"instructions\.json is malformed.*make instructions-record"):
        Baseline.parse(text)


def test_the_baseline_that_is_here_can_be_read() -> None:
    """It has counts, and names what they depend on."""
    baseline = Baseline.parse((ROOT / instructions.BASELINE).read_text())
    assert baseline.counts
    assert {"rustc", "target", "valgrind", "libc", "processor"} <= baseline.toolchain.keys()


def test_another_toolchain_is_told_by_what_differs() -> None:
    """And the same one is not."""
    assert instructions.differences(TOOLCHAIN, dict(TOOLCHAIN)) == ""
    present = {"rustc": "rustc 1.96.0", "valgrind": "valgrind-3.19.0", "processor": "avx2"}
    assert instructions.differences(TOOLCHAIN, present) == (
        "rustc was rustc 1.95.0 and is rustc 1.96.0; processor was none and is avx2"
    )
    assert instructions.differences({"rustflags": "-g"}, {}) == "rustflags was -g and is none"


class Repository:
    """A repository with a baseline that was recorded, and a commit after it."""

    def __init__(self, root: Path) -> None:
        """Make it."""
        self.root = root
        (root / "benches").mkdir(parents=True)
        self.git("init", "--quiet")
        self.commit("before")
        self.baseline = root / instructions.BASELINE
        self.baseline.write_text(Baseline(TOOLCHAIN, {"a": 1000}).text())
        self.recorded = self.commit("recorded")
        (root / "source").write_text("changed since")
        self.last = self.commit("after")

    def git(self, *arguments: str) -> str:
        """Run git in it."""
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            [need("git"), *identity, *arguments], cwd=self.root, capture_output=True, text=True, check=True
        ).stdout.strip()

    def commit(self, subject: str) -> str:
        """Commit all there is, if anything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository of its own."""
    return Repository(tmp_path / "repository")


def test_the_baseline_was_recorded_in_the_last_commit_that_changed_it(repository: Repository) -> None:
    """Not in those before and after."""
    assert instructions.recording_commit(repository.root) == repository.recorded


def test_a_baseline_in_no_commit_is_an_error_that_says_what_to_do(repository: Repository) -> None:
    """As where it has just been recorded, or was never committed."""
    repository.baseline.write_text(Baseline(TOOLCHAIN, {"a": 2000}).text())
    with pytest.raises(CheckError, match=r"is in no commit yet.*make instructions-record"):
        instructions.recording_commit(repository.root)
    repository.git("rm", "--quiet", "--force", str(instructions.BASELINE))
    repository.commit("removed")
    repository.baseline.parent.mkdir()
    repository.baseline.write_text("{}")
    with pytest.raises(CheckError, match="is in no commit yet"):
        instructions.recording_commit(repository.root)


def test_a_shallow_clone_is_told(repository: Repository, tmp_path: Path) -> None:
    """Its oldest commit seems to have brought every file; where the history goes back far enough, nothing is wrong."""
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.root}", str(clone))
    with pytest.raises(CheckError, match=r"the clone is shallow.*git fetch --unshallow"):
        instructions.recording_commit(clone)
    subprocess.run([need("git"), "fetch", "--quiet", "--depth", "3"], cwd=clone, check=True)
    assert instructions.recording_commit(clone) == repository.recorded


def test_no_repository_is_told(tmp_path: Path) -> None:
    """As in an archive of the source."""
    need("git")
    with pytest.raises(CheckError, match="git does not tell"):
        instructions.recording_commit(tmp_path)


def count_source(program: Path) -> Counts:
    """Counts that follow from the source: what :func:`build_nothing` returned is the work tree itself."""
    return {"a": 1200 if (program / "source").exists() else 1190}


def build_nothing(source: Path, _target: Path) -> Path:
    """Take the source for the program."""
    return source


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler and no valgrind."""
    monkeypatch.setattr(instructions, "build", build_nothing)
    monkeypatch.setattr(instructions, "count", count_source)
    monkeypatch.setattr(instructions, "toolchain", lambda: {**TOOLCHAIN, "rustc": "rustc 1.96.0"})


@pytest.mark.usefixtures("counting")
def test_with_another_toolchain_the_recorded_commit_is_counted_anew(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recorded 1,000 are another compiler's: by this one it was 1,190 then, and no work tree is left behind."""
    assert instructions.check(repository.root, repository.root / "target") == 0
    told = capsys.readouterr().out
    assert "rustc was rustc 1.95.0 and is rustc 1.96.0" in told
    assert f"Counting commit {repository.recorded[:12]}" in told
    assert ["a", "1,190.0", "1,200.0", "1.008"] in [line.split() for line in told.splitlines()]
    assert len(repository.git("worktree", "list").splitlines()) == 1


@pytest.mark.usefixtures("counting")
def test_with_the_toolchain_of_the_baseline_the_recorded_counts_are_compared(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recording anew makes it pass."""
    monkeypatch.setattr(instructions, "toolchain", lambda: TOOLCHAIN)
    assert instructions.check(repository.root, repository.root / "target") == 1
    assert "FAILED: a grew by 20.00%; 3% is the limit" in capsys.readouterr().out
    assert instructions.record(repository.root, repository.root / "target") == 0
    assert "recorded in benches/instructions.json" in capsys.readouterr().out
    assert instructions.check(repository.root, repository.root / "target") == 0


@pytest.mark.usefixtures("counting")
def test_a_missing_baseline_is_told(repository: Repository) -> None:
    """With what writes it."""
    repository.baseline.unlink()
    with pytest.raises(CheckError, match="is not there; make instructions-record writes it"):
        instructions.check(repository.root, repository.root / "target")


def test_a_command_that_fails_is_told_with_its_output() -> None:
    """One that is not installed too, and one that takes too long."""
    with pytest.raises(CheckError, match=r"exit status 3\nout\nerr"):
        instructions.run("sh", "-c", "echo out; echo err >&2; exit 3")
    with pytest.raises(CheckError, match="no-such-tool is not installed"):
        instructions.run("no-such-tool")
    with pytest.raises(CheckError, match=r"not done in 0 s"):
        instructions.run("sleep", "5", seconds=0.05)
