"""The document root goes away while it is served: deleted, moved, unmounted, or hidden by a mount.

The server has opened the directory that its option named at the start, and serves that directory, wherever it is moved
and whatever gets its name afterwards. Who wants another directory served starts another server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pooled_httpd
from conftest import assert_sound
from faults import descriptors, fill, settled
from support import Raw, Site, eventually, exchange, get, need


def unmount(path: Path, *options: str) -> str:
    """Unmount it; return what the system says against it, if anything."""
    command = [need("umount"), *options, str(path)]
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment).stderr


def warm(port: int, path: str, content: bytes) -> None:
    """Ask for a file until it comes from memory, as far as that can be had."""
    for _ in range(5):
        assert exchange(port, get(path)).content == content


def test_a_deleted_root_has_nothing_and_stays_deleted(server: pooled_httpd.Server, site: Site) -> None:
    """404 for everything, for what was in memory too; a directory that is made in its place is another one."""
    warm(server.port, "/a.txt", b"hello\n")
    assert server.stats().file_cache_hits > 0
    shutil.rmtree(site.root)
    for path in ("/a.txt", "/", "/dir/", "/large", "/.well-known/security.txt"):
        assert exchange(server.port, get(path)).status == 404
    site.root.mkdir()
    site.write("a.txt", b"another\n")
    assert exchange(server.port, get("/a.txt")).status == 404
    assert exchange(server.port, get("/a.txt", method="POST")).status == 405


def test_a_file_under_way_outlives_the_root(server: pooled_httpd.Server, site: Site) -> None:
    """What is being sent is open, and comes whole."""
    content = site.write("big", os.urandom(1 << 22)).read_bytes()
    with Raw(server.port, receive_buffer=4096) as raw:
        raw.send(get("/big"))
        while b"\r\n\r\n" not in raw.received:
            raw._more()
        shutil.rmtree(site.root)
        assert raw.response().content == content
        assert raw.send(get("/big")).response().status == 404


def test_a_moved_root_is_served_where_it_is(server: pooled_httpd.Server, site: Site) -> None:
    """The directory counts, not its name: what is written in its new place is seen, what has its old name is not."""
    warm(server.port, "/a.txt", b"hello\n")
    moved = site.root.with_name("moved")
    site.root.rename(moved)
    warm(server.port, "/a.txt", b"hello\n")
    site.root.mkdir()
    site.write("a.txt", b"another\n")
    assert exchange(server.port, get("/a.txt")).content == b"hello\n"
    for number in range(50):
        (moved / "a.txt").write_text(f"{number}\n")
        assert exchange(server.port, get("/a.txt")).content == b"%d\n" % number
    moved.rename(site.root.with_name("again"))
    assert exchange(server.port, get("/a.txt")).content == b"49\n"


def test_a_root_by_a_link_is_what_the_link_led_to(site: Site, tmp_path: Path) -> None:
    """A link that is turned to another directory, as some deploy sites, needs another server."""
    other = Site(tmp_path / "other")
    other.write("a.txt", b"other\n")
    link = tmp_path / "current"
    link.symlink_to(site.root)
    with pooled_httpd.Server(link) as server:
        warm(server.port, "/a.txt", b"hello\n")
        link.unlink()
        link.symlink_to(other.root)
        assert exchange(server.port, get("/a.txt")).content == b"hello\n"
        with pooled_httpd.Server(link) as next_server:
            assert exchange(next_server.port, get("/a.txt")).content == b"other\n"
    assert_sound(server)


def test_a_root_that_cannot_be_entered_is_forbidden_or_served(server: pooled_httpd.Server, site: Site) -> None:
    """Permissions of the root count from the next request on, whatever is in memory (the superuser has them all)."""
    warm(server.port, "/a.txt", b"hello\n")
    site.root.chmod(0)
    try:
        assert exchange(server.port, get("/a.txt")).status == (200 if os.geteuid() == 0 else 403)
    finally:
        site.root.chmod(0o755)
    warm(server.port, "/a.txt", b"hello\n")


def test_a_mounted_root_is_busy_until_the_server_stops(tmp_path: Path, mount: Callable[[Path], None]) -> None:
    """The server's own descriptor of it holds the mount, as a shell that stands in it would: ``umount`` says "busy"."""
    (tmp_path / "disk").mkdir()
    mount(tmp_path / "disk")
    (tmp_path / "disk" / "a.txt").write_bytes(b"on disk\n")
    with pooled_httpd.Server(tmp_path / "disk") as server:
        warm(server.port, "/a.txt", b"on disk\n")
        assert "busy" in unmount(tmp_path / "disk")
        assert exchange(server.port, get("/a.txt")).content == b"on disk\n"
    assert unmount(tmp_path / "disk") == ""
    assert not (tmp_path / "disk" / "a.txt").exists()


def test_a_root_detached_lazily_is_served_until_the_stop(tmp_path: Path, mount: Callable[[Path], None]) -> None:
    """``umount --lazy`` takes the name away and leaves the server its directory; the stop gives it back."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.txt").write_bytes(b"beneath\n")
    mount(tmp_path / "disk")
    (tmp_path / "disk" / "a.txt").write_bytes(b"on disk\n")
    before = descriptors()
    with pooled_httpd.Server(tmp_path / "disk") as server:
        warm(server.port, "/a.txt", b"on disk\n")
        # A descriptor of the directory, so that what is detached can still be changed from outside.
        inside = os.open(tmp_path / "disk", os.O_PATH)
        try:
            assert unmount(tmp_path / "disk", "--lazy") == ""
            assert (tmp_path / "disk" / "a.txt").read_bytes() == b"beneath\n"
            assert exchange(server.port, get("/a.txt")).content == b"on disk\n"
            with open("a.txt", "wb", opener=lambda name, flags: os.open(name, flags, dir_fd=inside)) as file:
                file.write(b"changed\n")
            assert exchange(server.port, get("/a.txt")).content == b"changed\n"
        finally:
            os.close(inside)
    eventually(lambda: descriptors() == before)
    assert_sound(server)


def test_what_is_mounted_beneath_the_root_may_go(
    server: pooled_httpd.Server, site: Site, mount: Callable[[Path], None]
) -> None:
    """Neither a watch nor a kept content holds it: only a response under way does, until it is sent."""
    place = site.root / "dir"
    warm(server.port, "/dir/index.html", b"<!doctype html><title>dir</title>\n")
    for round_ in range(3):
        mount(place)
        # Hidden by the mount, at once.
        assert exchange(server.port, get("/dir/index.html")).status == 404
        content = os.urandom(1 << 22)
        (place / "big").write_bytes(content)
        (place / "small").write_bytes(b"%d\n" % round_)
        warm(server.port, "/dir/small", b"%d\n" % round_)
        with Raw(server.port, receive_buffer=4096) as raw:
            raw.send(get("/dir/big"))
            while b"\r\n\r\n" not in raw.received:
                raw._more()
            assert "busy" in unmount(place)
            if round_ == 2:
                assert unmount(place, "--lazy") == ""
            assert raw.response().content == content
            # An idle connection holds nothing.
            if round_ < 2:
                assert unmount(place) == ""
            assert raw.send(get("/dir/small")).response().status == 404
            assert raw.send(get("/dir/index.html")).response().content.endswith(b"dir</title>\n")
    assert not os.path.ismount(place)
    settled(server)


def test_a_full_disk_and_a_read_only_one_are_served(tmp_path: Path, mount: Callable[[Path], None]) -> None:
    """Serving writes nothing, not even a time of access."""
    root = tmp_path / "disk"
    root.mkdir()
    mount(root)
    (root / "a.txt").write_bytes(b"on disk\n")
    fill(root / "ballast")
    with pooled_httpd.Server(root) as server:
        warm(server.port, "/a.txt", b"on disk\n")
        subprocess.run([need("mount"), "-o", "remount,ro", str(root)], check=True, timeout=60)
        warm(server.port, "/a.txt", b"on disk\n")
        assert exchange(server.port, get("/nothing")).status == 404
    assert_sound(server)
