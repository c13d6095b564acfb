"""Where a server listens: Unix sockets and their files, IPv6."""

from __future__ import annotations

import array
import errno
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from local_sockets import Local, assert_serves, passing, path_of_a_socket, start  # noqa: F401 - a fixture
from support import PATIENCE, Raw, Site, exchange, get, need


def kernel() -> tuple[int, ...]:
    """Return the version of the kernel, major and minor."""
    return tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])


# Unix sockets.


def test_a_unix_socket_is_served_and_named(site: Site, path: Path) -> None:
    """Host, port and URL say what it is, and it is served like any other."""
    with pooled_httpd.Server(site.root, host=f"unix:{path}") as server:
        assert (server.host, server.port) == (f"unix:{path}", 0)
        encoded = str(path).replace("/", "%2F").replace(" ", "%20")
        assert server.url == f"http+unix://{encoded}"
        assert server.url_for("/a.txt") == server.url_for("a.txt") == f"http+unix://{encoded}/a.txt"
        assert server.url in repr(server)
        assert_serves(path)
        stats = server.stats()
        assert (stats.total_requests, stats.malloc_calls) == (3, 0)
    assert server.stats().free_calls == 0
    server.destroy()


def test_the_program_serves_a_unix_socket_to_curl(site: Site, path: Path) -> None:
    """The lines of its story say where it listens, and that its peers have no address."""
    curl = [need("curl"), "-sS", "--unix-socket", str(path), "http://localhost/a.txt"]
    with start("--host", f"unix:{path}", site.root) as program:
        assert f"[INFO] Listening on unix:{path}" in program.lines
        assert subprocess.run(curl, check=True, capture_output=True, timeout=60).stdout == b"hello\n"
        program.wait_for("[CONN 0] New connection from unix:")
        program.wait_for("Total lifetime")
        assert path.is_socket()
        assert program.finish() == 0
    assert "[CONN 0] New connection from unix:" in program.lines
    assert not path.exists()


def test_a_relative_path_is_the_same_file_wherever_the_process_goes(
    site: Site, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory changes while it serves; its own file is removed all the same."""
    monkeypatch.chdir(path.parent)
    with pooled_httpd.Server(site.root, host=f"unix:{path.name}") as server:
        assert server.host == f"unix:{path.name}"
        monkeypatch.chdir("/")
        assert_serves(path)
    assert not path.exists()


@pytest.mark.parametrize("ending", ["stopped", "destroyed", "dropped", "run and stopped"])
def test_the_file_goes_with_the_server(site: Site, path: Path, ending: str) -> None:
    """However it ends, and also where it never ran."""
    server = pooled_httpd.Server(site.root, host=f"unix:{path}")
    assert path.is_socket()
    if ending == "run and stopped":
        server.start()
    if "stopped" in ending:
        server.stop()
    elif ending == "destroyed":
        server.destroy()
    else:
        del server
    assert not path.exists()


def test_a_file_that_is_no_longer_the_servers_is_left(site: Site, path: Path) -> None:
    """Somebody else removed it and listens there now."""
    with pooled_httpd.Server(site.root, host=f"unix:{path}") as server:
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            server.stop()
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))


def test_a_stale_socket_is_replaced(site: Site, path: Path) -> None:
    """A program that was killed leaves its file; the next one listens there."""
    with start("--host", f"unix:{path}", site.root) as killed:
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
    assert path.is_socket()
    with pooled_httpd.Server(site.root, host=f"unix:{path}"):
        assert_serves(path)


def test_a_live_socket_is_in_use(site: Site, path: Path) -> None:
    """BindError with EADDRINUSE, as for a port; whoever listens there does so still."""
    with pooled_httpd.Server(site.root, host=f"unix:{path}"):
        with pytest.raises(pooled_httpd.BindError, match=f"cannot listen on unix:{path}: Address already") as caught:
            pooled_httpd.Server(site.root, host=f"unix:{path}")
        assert caught.value.errno == errno.EADDRINUSE
        assert_serves(path)


@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "link"])
def test_what_is_not_a_socket_is_left_alone(site: Site, path: Path, kind: str) -> None:
    """BindError with ENOTSOCK, and what stands there is what it was."""
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("elsewhere")
    before = path.lstat()
    with pytest.raises(pooled_httpd.BindError, match="is not a socket, and is left alone") as caught:
        pooled_httpd.Server(site.root, host=f"unix:{path}")
    assert caught.value.errno == errno.ENOTSOCK
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)


def test_a_wrong_unix_socket_is_a_wrong_option(site: Site) -> None:
    """No path, too long a path, a port: a ValueError that says so. A missing directory is an OSError."""
    cases: list[tuple[dict[str, Any], str]] = [
        ({"host": "unix:"}, "host: after unix: there is no path"),
        (
            {"host": "unix:/" + "x" * 107},
            "host: the path of a Unix socket has 107 bytes at most; this one has 108",
        ),
        ({"host": "unix:/tmp/x", "port": 8080}, "port: a Unix socket has none; leave it out"),
    ]
    for options, message in cases:
        with pytest.raises(pooled_httpd.OptionError) as caught:
            pooled_httpd.Server(site.root, **options)
        assert str(caught.value) == message
    with pytest.raises(pooled_httpd.BindError) as missing:
        pooled_httpd.Server(site.root, host=f"unix:{site.root}/missing/x.sock")
    assert missing.value.errno == errno.ENOENT


def test_a_forked_child_leaves_the_file(site: Site, path: Path) -> None:
    """The child ends with a copy of the server in its hands; the parent's file stays and goes with the parent."""
    code = """
import os, socket, sys, pooled_httpd
path = sys.argv[2]
server = pooled_httpd.Server(sys.argv[1], host="unix:" + path)
server.start()
child = os.fork()
if child == 0:
    del server
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
with socket.socket(socket.AF_UNIX) as peer:
    peer.connect(path)
server.stop()
assert not os.path.exists(path)
print("fine", flush=True)
"""
    words = [sys.executable, "-c", code, str(site.root), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE * 2, check=False)
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def pass_descriptor(peer: socket.socket, data: bytes, descriptor: int) -> None:
    """Send data and a descriptor along with it."""
    peer.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])


def test_descriptors_that_a_peer_passes_are_refused(site: Site, path: Path) -> None:
    """To close what was passed may take as long as the passer likes: the system keeps it off, where it can."""
    with (
        pooled_httpd.Server(site.root, host=f"unix:{path}"),
        Local(path) as raw,
        (site.root / "a.txt").open() as file,
    ):
        data = get("/a.txt")
        if kernel() >= (6, 16):
            with pytest.raises(PermissionError):
                pass_descriptor(raw.socket, data, file.fileno())
            raw.send(data)
        else:
            pass_descriptor(raw.socket, data, file.fileno())
        assert raw.response().status == 200


def test_descriptors_that_a_peer_passes_do_not_make_the_server_miss_what_follows(site: Site, path: Path) -> None:
    """A read ends where descriptors were passed, though more is there; it is read all the same, at once."""
    request = get("/a.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        # Who waits before the socket is handed over may pass descriptors.
        with Local(path) as raw, start("--timeout", "60", site.root, **passing(listener)) as program:
            # Answered once, so that the connection is watched for what is new only.
            assert raw.send(request).response().status == 200
            program.process.send_signal(signal.SIGSTOP)
            os.waitpid(program.process.pid, os.WUNTRACED)
            with (site.root / "a.txt").open() as file:
                pass_descriptor(raw.socket, request[:9], file.fileno())
            raw.send(request[9:])
            program.process.send_signal(signal.SIGCONT)
            assert raw.response().status == 200
            assert program.finish() == 0


# IPv6.


@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_ipv6_is_served_over_a_real_socket(site: Site, host: str) -> None:
    """The URL has the address in brackets; ``::`` is every IPv4 address, too."""
    with ExitStack() as stack:
        port = 0
        if host != "::":
            # The same port over IPv4 is not to be somebody else's.
            over_ipv4 = stack.enter_context(socket.socket())
            over_ipv4.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            over_ipv4.bind(("127.0.0.1", 0))
            port = over_ipv4.getsockname()[1]
        server = stack.enter_context(pooled_httpd.Server(site.root, host=host, port=port))
        assert server.host == "[::1]"
        assert server.url == f"http://[::1]:{server.port}"
        assert_serves(("::1", server.port))
        with urllib.request.urlopen(server.url_for("/a.txt")) as response:
            assert response.read() == b"hello\n"
        if host == "::":
            assert exchange(server.port, get("/a.txt")).status == 200
        else:
            with pytest.raises(ConnectionRefusedError):
                Raw(server.port)


def test_the_program_says_where_it_listens_on_ipv6(site: Site) -> None:
    """In brackets, so that the port is told apart; so are its peers."""
    with start("--host", "::1", "0", site.root) as program:
        place = next(line for line in program.lines if "Listening on" in line).removeprefix("[INFO] Listening on ")
        host, _, port = place.rpartition(":")
        assert host == "[::1]"
        with Local(("::1", int(port))) as raw:
            assert raw.send(get("/a.txt")).response().status == 200
            program.wait_for(f"New connection from [::1]:{raw.socket.getsockname()[1]}")
        assert program.finish() == 0


def test_a_link_local_address_needs_its_interface(site: Site) -> None:
    """The error says so, and also where there is no such interface."""
    with pytest.raises(pooled_httpd.BindError, match="takes its interface behind it, as in fe80::1%eth0") as caught:
        pooled_httpd.Server(site.root, host="fe80::1")
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(pooled_httpd.BindError, match="after % stands the name or the number of an interface"):
        pooled_httpd.Server(site.root, host="fe80::1%no-such")
