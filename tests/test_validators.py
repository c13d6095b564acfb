"""Validators of files that are young or change: when a tag or a date may be believed (RFC 9110 section 8.8)."""

from __future__ import annotations

import email.utils
import os
import time
from collections.abc import Callable
from pathlib import Path

import pooled_httpd
import pytest
from representations import settle
from rules_model import DATES, MODIFIED
from support import PATIENCE, Raw, Site, exchange, get


def young(server: pooled_httpd.Server, path: Path, content: bytes) -> list[str]:
    """Write a file and return its first tags, asked for while it is so young that each is good for one answer only."""
    request_ = get(f"/{path.name}")
    with Raw(server.port) as raw:
        # Where this process had to wait for more than a tick between writing and asking, it tries again.
        for _ in range(1000):
            path.write_bytes(content)
            first, second = (raw.send(request_).response().fields["etag"] for _ in range(2))
            if first != second:
                return [first, second]
    pytest.fail("the tags of a file that was written just now never differ")


def test_a_tag_of_a_young_file_never_matches(server: pooled_httpd.Server, site: Site) -> None:
    """A file may change again within a tick of its clock: what was known of it then means nothing (section 8.8.1)."""
    path = site.root / "young.txt"
    for round_ in range(5):
        tags = young(server, path, b"content %d\n" % round_)
        settled = settle(server, "/young.txt").fields["etag"]
        with Raw(server.port) as raw:
            for tag in tags:
                assert tag != settled
                raw.send(get("/young.txt", f"If-None-Match: {tag}"))
                assert raw.response().status == 200
                raw.send(get("/young.txt", f"If-Match: {tag}"))
                assert raw.response().status == 412
                raw.send(get("/young.txt", f"If-Range: {tag}", "Range: bytes=0-0"))
                assert raw.response().status == 200
            raw.send(get("/young.txt", f"If-None-Match: {settled}"))
            assert raw.response().status == 304


def test_a_tag_of_a_young_file_does_not_match_while_it_is_young(server: pooled_httpd.Server, site: Site) -> None:
    """Not even at once: the answers in between have other tags."""
    path = site.root / "young.txt"
    for round_ in range(20):
        first, second = young(server, path, b"content %d\n" % round_)
        with Raw(server.port) as raw:
            raw.send(get("/young.txt", f"If-None-Match: {first}, {second}"))
            assert raw.response().status == 200
            raw.send(get("/young.txt", "If-None-Match: *"))
            assert raw.response().status == 304, "that there is a representation is known"


def test_a_date_of_this_second_or_later_tells_nothing(server: pooled_httpd.Server, site: Site) -> None:
    """What may change within the second of its date is no 304 by it, nor does If-Range hold (section 8.8.2.2)."""
    path = site.write("dated.txt", b"dated\n")
    for ahead in (1000, 10_000_000):
        os.utime(path, (time.time() + ahead,) * 2)
        response = settle(server, "/dated.txt")
        date = response.fields["last-modified"]
        assert date == response.fields["date"], "never later than the answer (section 8.8.2.1)"
        for since in (date, DATES["future"]):
            assert exchange(server.port, get("/dated.txt", f"If-Modified-Since: {since}")).status == 200
        for since in (date, DATES["future"]):
            fields = (f"If-Range: {since}", "Range: bytes=0-0")
            assert exchange(server.port, get("/dated.txt", *fields)).status == 200
        assert exchange(server.port, get("/dated.txt", f"If-Unmodified-Since: {DATES['future']}")).status == 200
        assert exchange(server.port, get("/dated.txt", f"If-Unmodified-Since: {DATES['before']}")).status == 412
        assert exchange(server.port, get("/dated.txt", f"If-None-Match: {response.fields['etag']}")).status == 304


def test_a_date_of_this_second_is_worth_something_in_the_next(server: pooled_httpd.Server, site: Site) -> None:
    """No 304 by a date as long as Date says the same second, and one as soon as it says the next."""
    path = site.write("dated.txt", b"dated\n")
    statuses: list[int] = []
    with Raw(server.port) as raw:
        now = time.time()
        os.utime(path, (now, now))
        modified = email.utils.formatdate(now, usegmt=True)
        deadline = time.monotonic() + PATIENCE
        while not statuses or statuses[-1] != 304:
            raw.send(get("/dated.txt", f"If-Modified-Since: {modified}"))
            response = raw.response()
            statuses.append(response.status)
            date = email.utils.parsedate_to_datetime(response.fields["date"]).timestamp()
            assert response.status == (200 if date <= int(now) else 304)
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_a_date_of_the_second_before_is_304(server: pooled_httpd.Server, site: Site) -> None:
    """It is over: nothing can happen in it any more."""
    path = site.write("dated.txt", b"dated\n")
    modified = int(time.time()) - 1
    os.utime(path, (modified, modified))
    since = email.utils.formatdate(modified, usegmt=True)
    assert exchange(server.port, get("/dated.txt", f"If-Modified-Since: {since}")).status == 304
    assert exchange(server.port, get("/dated.txt", f"If-Range: {since}", "Range: bytes=0-0")).status == 206


@pytest.mark.parametrize(
    ("modified", "date"),
    [
        (0.999_999_999, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1.0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777.999, DATES["date"]),
        (951_782_400.0, "Tue, 29 Feb 2000 00:00:00 GMT"),
    ],
)
def test_a_date_is_compared_as_it_is_told(server: pooled_httpd.Server, site: Site, modified: float, date: str) -> None:
    """Fractions of a second and what a date cannot say are in no field and in no comparison (section 13.1.3)."""
    path = site.write("dated.txt", b"dated\n")
    os.utime(path, (modified, modified))
    assert exchange(server.port, get("/dated.txt")).fields["last-modified"] == date
    assert exchange(server.port, get("/dated.txt", f"If-Modified-Since: {date}")).status == 304
    assert exchange(server.port, get("/dated.txt", f"If-Unmodified-Since: {date}")).status == 200
    assert exchange(server.port, get("/dated.txt", f"If-Range: {date}", "Range: bytes=0-0")).status == 206


def test_what_was_known_of_a_changed_file_no_longer_holds(server: pooled_httpd.Server, site: Site) -> None:
    """Changed in place, replaced, of the same size and date, touched: the old tag matches nothing (section 8.8.1)."""
    path = site.write("changing.txt", b"before\n")
    os.utime(path, (MODIFIED, MODIFIED))

    def replace() -> None:
        other = site.write("other.txt", b"middle\n")
        other.rename(path)

    changes: list[Callable[[], object]] = [
        lambda: path.write_bytes(b"after.\n"),
        replace,
        lambda: path.chmod(0o600),
        lambda: path.write_bytes(b""),
    ]
    for change in changes:
        before = settle(server, "/changing.txt").fields["etag"]
        change()
        os.utime(path, (MODIFIED, MODIFIED))
        content = path.read_bytes()
        response = exchange(server.port, get("/changing.txt", f"If-None-Match: {before}"))
        assert (response.status, response.content) == (200, content)
        assert exchange(server.port, get("/changing.txt", f"If-Match: {before}")).status == 412
        response = exchange(server.port, get("/changing.txt", f"If-Range: {before}", "Range: bytes=0-2"))
        assert (response.status, response.content) == (200, content)
        assert settle(server, "/changing.txt").fields["etag"] != before
