"""Counts the instructions of fixed scripts under callgrind and compares them with the recorded baseline.

The program ``benches/scripts`` carries the scripts out through the server's own code; what is counted are the
instructions per request between the entry and the return of its ``measured_part``. In memory they are the same in every
run, over sockets nearly. A script that grew by more than 3 % fails the check, and one that shrank by more is told, so
that the gain can be recorded.

Counts of another compiler, C library or valgrind cannot be compared. Where those are not the baseline's, the commit in
which the baseline was recorded is built and counted anew, by what is here, and that is compared.

    python benches/instructions.py            # make instructions
    python benches/instructions.py --record   # make instructions-record
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
#: The baseline, beneath the root of any of the repository's work trees.
BASELINE: Final = Path("benches") / "instructions.json"
#: So much may a script grow or shrink before it is told, as a part of what it was.
LIMIT: Final = 0.03
#: The function whose instructions are counted.
MEASURED: Final = "*measured_part*"
#: What a processor may have for the program to choose by, of that which valgrind passes on to it.
PROCESSOR_FEATURES: Final = {"ssse3", "avx", "avx2"}
#: How long a script may take under valgrind, in seconds; it takes one or two.
SCRIPT_SECONDS: Final = 120


class CheckError(Exception):
    """Nothing can be said: something is missing, or does not work."""


def run(*command: str | Path, cwd: Path = ROOT, seconds: float | None = None) -> str:
    """Run a command and return what it printed on its standard output."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError as error:
        raise CheckError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise CheckError(f"{' '.join(map(str, command))}: not done in {seconds:.0f} s") from error
    if done.returncode != 0:
        output = f"{done.stdout}{done.stderr}".strip()
        raise CheckError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{output}")
    return done.stdout


Toolchain = Mapping[str, str]


def toolchain() -> Toolchain:
    """Return all that counts depend on besides the source."""
    rustc = run("rustc", "-vV")
    host = re.search(r"^host: (.+)$", rustc, re.M)
    features: set[str] = set()
    with contextlib.suppress(OSError):
        flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
        features = PROCESSOR_FEATURES.intersection(flags[1].split() if flags else ())
    return {
        "rustc": rustc.splitlines()[0],
        "target": host[1] if host else "unknown",
        "rustflags": os.environ.get("RUSTFLAGS", ""),
        "valgrind": run("valgrind", "--version").strip(),
        "libc": " ".join(platform.libc_ver()),
        "processor": " ".join(sorted(features)),
    }


def differences(recorded: Toolchain, present: Toolchain) -> str:
    """Tell what is not as it was when the baseline was recorded; nothing where all is."""
    names = [*present, *(name for name in recorded if name not in present)]
    return "; ".join(
        f"{name} was {recorded.get(name) or 'none'} and is {present.get(name) or 'none'}"
        for name in names
        if recorded.get(name) != present.get(name)
    )


#: Instructions per request, by script.
Counts = Mapping[str, float]


@dataclass(frozen=True)
class Baseline:
    """What was recorded."""

    toolchain: Toolchain
    counts: Counts

    @staticmethod
    def parse(text: str) -> Baseline:
        """Read what :meth:`text` wrote."""
        try:
            values = json.loads(text)
            counts = {script: float(count) for script, count in values["instructions_per_request"].items()}
            if not all(count > 0 for count in counts.values()):
                raise ValueError("a count that is not above 0")
            return Baseline({name: str(value) for name, value in values["toolchain"].items()}, counts)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckError(f"{BASELINE} is malformed: {error!r}; make instructions-record writes it anew") from error

    def text(self) -> str:
        """Return it as a file's content."""
        rounded = {script: round(count, 1) for script, count in self.counts.items()}
        values = {"toolchain": dict(self.toolchain), "instructions_per_request": rounded}
        return json.dumps(values, indent=2) + "\n"


def build(source: Path, target: Path) -> Path:
    """Build the scripts of a work tree as the release build builds, and return the program."""
    run(
        *("cargo", "build", "--release", "--locked", "--package", "pooled_httpd-benches", "--bin", "instructions"),
        *("--target-dir", target),
        cwd=source,
    )
    return target / "release" / "instructions"


def parse_count(output: str) -> float:
    """Return the instructions per request, from what a script and callgrind print."""
    requests = re.search(r"^\w+: (\d+) requests$", output, re.M)
    collected = re.search(r"^==\d+== Collected : (\d+)$", output, re.M)
    if not requests or not collected or int(requests[1]) == 0 or int(collected[1]) == 0:
        raise CheckError(f"nothing was counted:\n{output.strip()}")
    return int(collected[1]) / int(requests[1])


def count(program: Path) -> Counts:
    """Carry out every script of the program under callgrind."""
    counts = {}
    with tempfile.TemporaryDirectory(prefix="pooled_httpd-instructions-") as directory:
        for script in run(program).split():
            options = ("--log-fd=1", f"--toggle-collect={MEASURED}", f"--callgrind-out-file={directory}/{script}")
            output = run("valgrind", "--tool=callgrind", *options, program, script, seconds=SCRIPT_SECONDS)
            counts[script] = parse_count(output)
    return counts


def recording_commit(root: Path) -> str:
    """Return the commit in which the baseline was recorded: the last one that changed it."""
    remedy = "record it anew with this toolchain: make instructions-record"
    try:
        commit = run("git", "log", "-1", "--format=%H", "--", BASELINE, cwd=root).strip()
        changed = run("git", "status", "--porcelain", "--", BASELINE, cwd=root).strip()
        shallow = root / run("git", "rev-parse", "--git-path", "shallow", cwd=root).strip()
    except CheckError as error:
        raise CheckError(f"git does not tell in which commit {BASELINE} was recorded: {error}") from error
    if not commit or changed:
        raise CheckError(f"{BASELINE} as it is here is in no commit yet, so there is none to build; {remedy}")
    # Where the history was cut off, everything seems to have come with the oldest commit that is there.
    if shallow.exists() and commit in shallow.read_text().split():
        raise CheckError(
            f"the clone is shallow, and the commit in which {BASELINE} was recorded is not in it; "
            f"fetch the history (git fetch --unshallow), or {remedy}"
        )
    return commit


@contextlib.contextmanager
def work_tree(root: Path, commit: str) -> Iterator[Path]:
    """Check a commit out beside everything else, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="pooled_httpd-baseline-") as directory:
        tree = Path(directory) / "tree"
        run("git", "worktree", "add", "--detach", tree, commit, cwd=root)
        try:
            yield tree
        finally:
            run("git", "worktree", "remove", "--force", tree, cwd=root)


def count_commit(root: Path, commit: str, target: Path) -> Counts:
    """Build a commit with the present toolchain and count its instructions."""
    with work_tree(root, commit) as tree:
        return count(build(tree, target / "instructions-baseline"))


@dataclass(frozen=True)
class Row:
    """A script before and now."""

    script: str
    before: float | None
    now: float | None

    @property
    def growth(self) -> float | None:
        """By what part of itself it grew; nothing where there is nothing to compare."""
        return None if self.before is None or self.now is None else self.now / self.before - 1

    @property
    def fault(self) -> str | None:
        """What fails the check."""
        if self.before is None:
            return "has no baseline; make instructions-record takes one"
        if self.now is None:
            return "is in the baseline and is no more; make instructions-record leaves it out"
        growth = self.growth or 0
        return f"grew by {growth:.2%}; {LIMIT:.0%} is the limit" if growth > LIMIT else None

    @property
    def gain(self) -> str | None:
        """What should be recorded."""
        growth = self.growth or 0
        return f"shrank by {-growth:.2%}" if growth < -LIMIT else None


def compare(before: Counts, now: Counts) -> list[Row]:
    """Put the counts side by side, in the order in which they were taken now."""
    scripts = [*now, *(script for script in before if script not in now)]
    return [Row(script, before.get(script), now.get(script)) for script in scripts]


def table(rows: list[Row], *, judged: bool) -> str:
    """Return the rows as lines of text, with what is to be said of each."""

    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    lines = [f"{'instructions per request':<24} {'baseline':>12} {'now':>12} {'ratio':>7}"]
    for row in rows:
        ratio = None if row.growth is None else 1 + row.growth
        numbers = f"{number(row.before, ',.1f'):>12} {number(row.now, ',.1f'):>12} {number(ratio, '.3f'):>7}"
        remark = (row.fault or row.gain or "") if judged else ""
        lines.append(f"{row.script:<24} {numbers}  {remark}".rstrip())
    return "\n".join(lines)


def verdict(rows: list[Row]) -> tuple[str, int]:
    """Return what the rows come to, and the exit status."""
    faults = [f"{row.script} {row.fault}" for row in rows if row.fault]
    gains = [f"{row.script} {row.gain}" for row in rows if row.gain]
    lines = [f"FAILED: {fault}" for fault in faults]
    if gains:
        lines.append(
            f"{'; '.join(gains)}: record the baseline anew, so that the gain is kept: make instructions-record"
        )
    if not faults:
        lines.append(f"no script grew by more than {LIMIT:.0%}")
    return "\n".join(lines), 1 if faults else 0


def check(root: Path, target: Path) -> int:
    """Compare the present source with the baseline."""
    try:
        baseline = Baseline.parse((root / BASELINE).read_text())
    except FileNotFoundError as error:
        raise CheckError(f"{BASELINE} is not there; make instructions-record writes it") from error
    before = baseline.counts
    differs = differences(baseline.toolchain, toolchain())
    if differs:
        print(f"The baseline was recorded by another toolchain: {differs}.")
        commit = recording_commit(root)
        print(f"Counting commit {commit[:12]}, in which it was recorded, by this one...", flush=True)
        before = count_commit(root, commit, target)
    rows = compare(before, count(build(root, target)))
    message, status = verdict(rows)
    print(f"{table(rows, judged=True)}\n\n{message}")
    return status


def record(root: Path, target: Path) -> int:
    """Write the baseline anew."""
    counts = count(build(root, target))
    before: Counts = {}
    with contextlib.suppress(FileNotFoundError, CheckError):
        before = Baseline.parse((root / BASELINE).read_text()).counts
    (root / BASELINE).write_text(Baseline(toolchain(), counts).text())
    print(f"{table(compare(before, counts), judged=False)}\n")
    print(f"recorded in {BASELINE}: commit it together with what it was taken of")
    return 0


def main() -> int:
    """Check, or record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--record", action="store_true", help="write the baseline anew instead of comparing with it")
    act = record if parser.parse_args().record else check
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    if shutil.which("valgrind") is None:
        print("instructions: valgrind is not installed", file=sys.stderr)
        return 2
    try:
        return act(ROOT, target)
    except CheckError as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
