"""The program in its three forms, and what it prints, taken apart: the lines of its start, the statistics block."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from support import PROGRAM, ROOT, Program

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


FORMS = {
    "program": [str(PROGRAM)],
    "module": [sys.executable, "-m", "pooled_httpd"],
    "script": [str(Path(sys.executable).with_name("httpserver"))],
}
