"""The wall clock is set back and forth while it serves: dates follow it, and nothing that takes time does."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from support import PATIENCE, Program, Raw, Site, exchange, get, need, settled_tag

HOUR = 3600
DAY = 24 * HOUR
YEAR = 365 * DAY


class WallClock:
    """The clock of a program, to be set at any time."""

    def __init__(self, directory: Path) -> None:
        """Build the library and make its file."""
        library, self._file = directory / "wallclock.so", directory / "wallclock"
        source = Path(__file__).with_name("wallclock.c")
        flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([need("cc"), *flags, "-o", library, source], check=True, timeout=60)
        self.set(0)
        self.environment = {"LD_PRELOAD": str(library), "WALLCLOCK_FILE": str(self._file)}

    def set(self, seconds: int) -> None:
        """Set it so many seconds ahead of the real one."""
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(descriptor, struct.pack("=q", seconds), 0)
        os.close(descriptor)


@pytest.fixture
def wall(tmp_path: Path) -> WallClock:
    """Return a clock for one program."""
    return WallClock(tmp_path)


def date_of(port: int) -> datetime:
    """Return the Date of an answer."""
    return parsedate_to_datetime(exchange(port, get("/a.txt")).fields["date"])


#: How far the clock is set, and the date that it must show then where that is a certain one.
SETTINGS = [
    *((seconds, None) for seconds in (DAY, -DAY, 0, 1, -1, 29 * YEAR, -29 * YEAR)),
    (-200 * YEAR, "Thu, 01 Jan 1970 00:00:00 GMT"),
    # The last second that 64 bits of nanoseconds can tell.
    (9000 * YEAR, "Sun, 21 Jul 2554 23:34:33 GMT"),
    (0, None),
]


def test_dates_follow_the_clock_wherever_it_is_set(site: Site, wall: WallClock, tmp_path: Path) -> None:
    """The Date of an answer and the time in the access log are the clock's, at once, and always dates."""
    log = tmp_path / "log"
    options = ["--log-level", "info", "--access-log", "json", "--access-log-file", str(log)]
    with Program.start(*options, site.root, env=wall.environment) as program:
        for seconds, expected in SETTINGS:
            wall.set(seconds)
            now = datetime.now(UTC).timestamp()
            response = exchange(program.port, get("/a.txt"))
            assert response.content == b"hello\n"
            if expected:
                assert response.fields["date"] == expected
            else:
                assert abs(parsedate_to_datetime(response.fields["date"]).timestamp() - seconds - now) < PATIENCE
            # A file is never newer than the answer that it is in (RFC 9110 section 8.8.2.1).
            modified = parsedate_to_datetime(response.fields["last-modified"])
            assert modified <= parsedate_to_datetime(response.fields["date"])
        assert program.finish() == 0
        assert "Invariant Violations: 0" in program.lines
    times = [json.loads(line)["time"] for line in log.read_text().splitlines()]
    assert len(times) == len(SETTINGS)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text) for text in times), times
    for (seconds, expected), text in zip(SETTINGS, times, strict=True):
        if not expected:
            shown = datetime.fromisoformat(text).timestamp() - seconds
            assert abs(shown - datetime.now(UTC).timestamp()) < PATIENCE * 2


def test_a_file_from_the_future_has_tags_that_hold_once(site: Site, wall: WallClock) -> None:
    """A clock set back makes every file newer than it: until it has caught up no tag matches, no answer is stale."""
    with Program.start("--log-level", "info", site.root, env=wall.environment) as program:
        port = program.port
        settled = settled_tag(port, "/a.txt")
        assert exchange(port, get("/a.txt", f"If-None-Match: {settled}")).status == 304
        for back in (HOUR, 10 * YEAR):
            wall.set(-back)
            tags = [exchange(port, get("/a.txt")).fields["etag"] for _ in range(5)]
            assert len({settled, *tags}) == 6
            for tag in (settled, *tags):
                assert exchange(port, get("/a.txt", f"If-None-Match: {tag}")).status == 200
                response = exchange(port, get("/a.txt", "Range: bytes=0-1", f"If-Range: {tag}"))
                assert (response.status, response.content) == (200, b"hello\n")
            wall.set(0)
            assert exchange(port, get("/a.txt")).fields["etag"] == settled
        # Ahead of it, every file is old; who writes still changes the tag.
        wall.set(HOUR)
        assert exchange(port, get("/a.txt", f"If-None-Match: {settled}")).status == 304
        site.write("a.txt", b"HELLO\n")
        response = exchange(port, get("/a.txt", f"If-None-Match: {settled}"))
        assert (response.status, response.content) == (200, b"HELLO\n")


def elapsed_until(ends: Callable[[], bool]) -> float:
    """Return how long something takes that is to be true in the end, in seconds."""
    begun = time.monotonic()
    assert ends()
    return time.monotonic() - begun


def test_no_timeout_follows_the_clock(site: Site, wall: WallClock) -> None:
    """While it leaps by hours a thousand times a second, each limit is as long as ever, and so is every request."""
    stop = threading.Event()

    def leap() -> None:
        while not stop.wait(0.001):
            wall.set(-HOUR)
            wall.set(1000 * DAY)

    timeouts = ["--header-timeout", "2.5", "--keepalive-timeout", "3"]
    with Program.start(
        *timeouts, "--status-path", "/status", "--log-level", "info", site.root, env=wall.environment
    ) as program:
        port = program.port
        leaper = threading.Thread(target=leap)
        leaper.start()
        try:
            begun = time.monotonic()
            with Raw(port) as slow, Raw(port) as idle:
                idle.send(get("/a.txt")).response()
                slow.send(b"GET /")
                with Raw(port) as busy:
                    while time.monotonic() - begun < 0.4:
                        assert busy.send(get("/a.txt")).response().content == b"hello\n"
                assert elapsed_until(lambda: slow.response().status == 408) < 2.5 + PATIENCE / 4
                assert time.monotonic() - begun > 2.45
                elapsed_until(idle.closed)
                assert time.monotonic() - begun > 2.95
        finally:
            stop.set()
            leaper.join()
        stats = json.loads(exchange(port, get("/status")).content)
        assert stats["uptime"] < 60
        assert stats["latency"]
        assert all(end < 60 for _, end, _ in stats["latency"])
        assert program.finish() == 0
        assert "Invariant Violations: 0" in program.lines
