"""Processes: started on a core, measured, ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benches import BenchError

STOP_SECONDS = 5.0


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Whatever runs or is started inside runs on ``core`` and nowhere else."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def stopping(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the process on the way out, whatever the way."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except BaseException as error:
            process.kill()
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise


def raise_descriptor_limit(needed: int) -> int:
    """Raise the limit of descriptors for this process and those that it starts; return it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < needed:
        raise BenchError(f"{needed} descriptors are needed, and the limit is {most} (ulimit -Hn)")
    limit = 4 * needed if most == resource.RLIM_INFINITY else min(most, 4 * needed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
    return limit


def family(pid: int) -> list[int]:
    """The process and all that it started."""
    members = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            members += family(int(child))
    return members


def cpu_seconds(pid: int) -> float:
    """The CPU time so far of all threads of the process and of those that it started: the scheduler's nanoseconds."""
    threads = (thread for member in family(pid) for thread in Path(f"/proc/{member}/task").iterdir())
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def resident_bytes(pid: int) -> int:
    """What the process has in memory, counted page by page. h2o has a crash handler beside it, which serves nothing."""
    found = re.search(r"^Rss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    if found is None:
        raise BenchError(f"the kernel does not tell the memory of process {pid}")
    return int(found[1]) * 1024


def run_client(command: list[str], limit: float, core: int) -> str:
    """Run a client on its core and return what it printed."""
    with pinned(core):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, check=False, text=True
        )
    if done.returncode != 0:
        raise BenchError(f"{shlex.join(command)} ended with status {done.returncode}: {done.stdout[-500:]}")
    return done.stdout
