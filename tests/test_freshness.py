"""Promise P8: whoever writes a file and then asks for it gets what was written, whatever the server keeps in memory."""

from __future__ import annotations

import mmap
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pooled_httpd
import pytest
from support import Raw, Site, exchange, get

ROUNDS = 10_000
CLIENTS = 8
#: Every content has this length, so that no size gives a change away.
LENGTH = 24


def content_of(number: int) -> bytes:
    """Return the content of a round."""
    return b"%0*d\n" % (LENGTH - 1, number)


def in_place(path: Path, content: bytes) -> None:
    """Write over what is there, without truncating it first."""
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, content, 0)
    os.close(descriptor)


def by_rename(path: Path, content: bytes) -> None:
    """Write another file and rename it over the first."""
    other = path.with_name(f".{path.name}.new")
    other.write_bytes(content)
    other.rename(path)


def truncated_first(path: Path, content: bytes) -> None:
    """Truncate it and write it anew."""
    path.write_bytes(content)


def mapped(path: Path, content: bytes) -> None:
    """Write through a shared mapping, which tells nobody."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), LENGTH) as memory:
        memory[:] = content


WRITERS: list[Callable[[Path, bytes], None]] = [in_place, by_rename, truncated_first, mapped]


def ask(raw: Raw, request: bytes) -> bytes:
    """Ask once and return the content."""
    raw.socket.sendall(request)
    received = b""
    while True:
        received += raw.socket.recv(65536)
        head, separator, content = received.partition(b"\r\n\r\n")
        if separator and len(content) >= LENGTH:
            assert head.startswith(b"HTTP/1.1 200 OK"), head
            assert len(content) == LENGTH
            return content


def rounds(port: int, path: Path, target: str, count: int, asks: int = 1) -> None:
    """Write, ask, compare, by each way of writing in turn."""
    request = get(target)
    path.write_bytes(content_of(0))
    with Raw(port) as raw:
        for number in range(1, count + 1):
            content = content_of(number)
            WRITERS[number % len(WRITERS)](path, content)
            for _ in range(asks):
                assert ask(raw, request) == content, f"round {number}"


def test_who_writes_and_then_asks_gets_what_was_written(server: pooled_httpd.Server, site: Site) -> None:
    """10,000 rounds of the same size, many of them within one tick of the file system's clock."""
    rounds(server.port, site.root / "f", "/f", ROUNDS)
    # Asked again it comes from memory, or these rounds would not show what they are to show.
    for _ in range(100):
        exchange(server.port, get("/f"))
    assert server.stats().file_cache_hits > 0


def test_eight_clients_at_once_each_get_what_they_wrote(server: pooled_httpd.Server, site: Site) -> None:
    """Each with a file of its own, in directories of their own, asked for twice in each round."""
    failures: list[BaseException] = []

    def client(number: int) -> None:
        try:
            path = site.root / f"d{number}" / "e" / "f"
            path.parent.mkdir(parents=True)
            rounds(server.port, path, f"/d{number}/e/f", ROUNDS // CLIENTS, asks=2)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert server.stats().file_cache_hits > ROUNDS // 100


def test_eight_readers_of_one_file_never_see_what_was_before_they_asked(
    server: pooled_httpd.Server, site: Site
) -> None:
    """One writer goes on and on; what a reader gets was there at or after the moment it asked."""
    path = site.root / "f"
    path.write_bytes(content_of(0))
    written = 0
    failures: list[str] = []
    stop = threading.Event()

    def reader() -> None:
        with Raw(server.port) as raw:
            while not stop.is_set():
                before = written
                content = ask(raw, get("/f"))
                if int(content) < before:
                    failures.append(f"{content!r} after {before} was written")
                    stop.set()

    threads = [threading.Thread(target=reader) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for number in range(1, ROUNDS // 5):
        # Only what replaces the whole content at once: what is in between is not to be seen by anybody.
        by_rename(path, content_of(number))
        written = number
        if stop.is_set():
            break
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("change", ["directory moved", "directory replaced by a link", "permission", "removed"])
def test_what_leads_to_a_file_may_change_too(server: pooled_httpd.Server, site: Site, change: str) -> None:
    """Each change is seen by the next request, though the content was in memory."""
    site.write("a/b/f", content_of(1))
    site.write("x/f", content_of(2))
    request = get("/a/b/f")
    with Raw(server.port) as raw:
        for _ in range(5):
            assert ask(raw, request) == content_of(1)
        hits = server.stats().file_cache_hits
        assert hits > 0
        if change == "directory moved":
            (site.root / "a").rename(site.root / "elsewhere")
            expected = 404
        elif change == "directory replaced by a link":
            shutil.rmtree(site.root / "a" / "b")
            (site.root / "a" / "b").symlink_to("../x")
            assert ask(raw, request) == content_of(2)
            return
        elif change == "permission":
            (site.root / "a" / "b" / "f").chmod(0)
            # The superuser may read everything.
            expected = 200 if os.geteuid() == 0 else 403
        else:
            (site.root / "a" / "b" / "f").unlink()
            expected = 404
        assert exchange(server.port, request).status == expected


def test_a_304_is_never_stale_either(server: pooled_httpd.Server, site: Site) -> None:
    """Revalidated in every round: 304 only where nothing was written since."""
    path = site.root / "f"
    path.write_bytes(content_of(0))
    with Raw(server.port) as raw:
        tag = raw.send(get("/f")).response().fields["etag"]
        for number in range(1, 1000):
            content = content_of(number)
            WRITERS[number % len(WRITERS)](path, content)
            response = raw.send(get("/f", f"If-None-Match: {tag}")).response()
            assert (response.status, response.content) == (200, content)
            tag = response.fields["etag"]


def test_without_a_cache_every_answer_opens_its_file(site: Site) -> None:
    """``cache_size=0``: no hits, and the same answers."""
    with pooled_httpd.Server(site.root, cache_size=0) as server:
        for _ in range(5):
            assert exchange(server.port, get("/a.txt")).content == b"hello\n"
        stats = server.stats()
        assert (stats.file_cache_hits, stats.file_cache_misses) == (0, 5)
