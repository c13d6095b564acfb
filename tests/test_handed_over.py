"""Sockets that were handed over: ``listen_fd``, and what systemd passes."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pooled_httpd
import pytest
from local_sockets import passing, path_of_a_socket, start  # noqa: F401 - a fixture
from support import PATIENCE, PROGRAM, Raw, Site, exchange, get


@pytest.fixture(params=["tcp", "ipv6", "unix"])
def listener(request: pytest.FixtureRequest, path: Path) -> Iterator[socket.socket]:
    """A listening socket of each family, which stays ours."""
    families: dict[str, tuple[socket.AddressFamily, str | tuple[str, int]]] = {
        "tcp": (socket.AF_INET, ("127.0.0.1", 0)),
        "ipv6": (socket.AF_INET6, ("::1", 0)),
        "unix": (socket.AF_UNIX, str(path)),
    }
    family, place = families[request.param]
    with socket.socket(family) as ours:
        ours.bind(place)
        ours.listen()
        ours.settimeout(PATIENCE)
        yield ours


def fetch(listener: socket.socket) -> bytes:
    """Ask whoever accepts from this socket for a small file."""
    with socket.socket(listener.family) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(listener.getsockname())
        peer.sendall(get("/a.txt", "Connection: close"))
        received = b""
        while data := peer.recv(65536):
            received += data
        return received


def assert_still_listens(listener: socket.socket) -> None:
    """Assert that a peer can connect and is accepted here."""
    with socket.socket(listener.family) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.close()


def test_a_listening_socket_is_taken_over_and_others_keep_theirs(site: Site, listener: socket.socket) -> None:
    """The server serves from a copy, one after the other; when each has stopped, ours accepts as before."""
    for _ in range(2):
        descriptor = os.dup(listener.fileno())
        with pooled_httpd.Server(site.root, listen_fd=descriptor) as server:
            name = listener.getsockname()
            if listener.family == socket.AF_UNIX:
                assert (server.host, server.port) == (f"unix:{name}", 0)
            else:
                assert server.port == name[1]
            # The number was given up.
            with pytest.raises(pooled_httpd.OptionError, match=f"descriptor {descriptor} is not"):
                pooled_httpd.Server(site.root, listen_fd=descriptor)
            assert fetch(listener).endswith(b"\r\n\r\nhello\n")
        assert_still_listens(listener)
    # Not even by a server that never ran.
    pooled_httpd.Server(site.root, listen_fd=os.dup(listener.fileno())).destroy()
    assert_still_listens(listener)


def test_what_cannot_be_taken_over_is_told_and_left_open(site: Site, tmp_path: Path) -> None:
    """A ValueError that names the option, the number and what is wrong; the descriptor stays the caller's."""
    file = os.open(site.root / "a.txt", os.O_RDONLY)
    with (
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.socket() as idle,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        packets.bind(str(tmp_path / "packets"))
        packets.listen()
        closed = os.dup(file)
        os.close(closed)
        for descriptor, what in [
            (closed, "not open"),
            (file, "not a socket"),
            (datagrams.fileno(), "not a stream socket"),
            (packets.fileno(), "not a stream socket"),
            (idle.fileno(), "not a listening socket"),
        ]:
            with pytest.raises(pooled_httpd.OptionError) as caught:
                pooled_httpd.Server(site.root, listen_fd=descriptor)
            wanted = "it takes a TCP or Unix stream socket that listens"
            assert str(caught.value) == f"listen_fd: descriptor {descriptor} is {what}; {wanted}"
            assert descriptor == closed or os.fstat(descriptor)
        taken = listening.fileno()
        for options in ({"host": "127.0.0.1"}, {"host": "unix:x"}, {"port": 8080}):
            with pytest.raises(pooled_httpd.OptionError, match=r"^listen_fd: what is handed over has its address"):
                pooled_httpd.Server(site.root, listen_fd=taken, **options)
        with pytest.raises(pooled_httpd.RootError):
            pooled_httpd.Server(tmp_path / "missing", listen_fd=taken)
        assert_still_listens(listening)
    os.close(file)


def test_a_stop_does_not_spin_while_others_still_listen(site: Site) -> None:
    """Newcomers that wait for whoever else has the socket are no events of a server that only ends its responses."""
    with (site.root / "huge").open("wb") as file:
        file.truncate(64 << 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = pooled_httpd.Server(site.root, listen_fd=os.dup(listener.fileno()))
        server.start()
        with Raw(server.port, receive_buffer=4096) as stuck:
            stuck.send(get("/huge"))
            assert stuck.socket.recv(12) == b"HTTP/1.1 200"
            stopper = threading.Thread(target=server.stop)
            begun, used = time.monotonic(), time.process_time()
            stopper.start()
            peers: list[socket.socket] = []
            while stopper.is_alive():
                if len(peers) < 20:
                    peers.append(socket.create_connection(("127.0.0.1", server.port)))
                stopper.join(0.02)
            assert time.monotonic() - begun > 0.9, "the stuck reader did not hold up the stop"
            assert time.process_time() - used < 0.25
            for peer in peers:
                peer.close()
        server.destroy()


def test_the_program_takes_what_systemd_passes(site: Site, listener: socket.socket) -> None:
    """Generation after generation serves from the same socket, and who waits between them loses nothing."""
    for _ in range(2):
        with start(site.root, **passing(listener)) as program:
            name = listener.getsockname()
            shown = f"unix:{name}" if isinstance(name, str) else f":{name[1]}"
            assert next(line for line in program.lines if "Listening on" in line).endswith(shown)
            assert not any("WARN" in line for line in program.lines)
            assert fetch(listener).endswith(b"\r\n\r\nhello\n")
            assert program.finish() == 0
        assert_still_listens(listener)


@pytest.mark.parametrize("name", ["host", "port", "listen_fd"])
def test_an_address_that_was_given_wins_over_what_was_passed(site: Site, name: str) -> None:
    """It says that the passed socket is not used, and does not use it."""
    with socket.create_server(("127.0.0.1", 0)) as passed, socket.create_server(("127.0.0.1", 0)) as given:
        passed.settimeout(PATIENCE)
        options = {
            "host": ["--host", "127.0.0.1", "--port", "0"],
            "port": ["0"],
            "listen_fd": [f"--listen-fd={given.fileno()}"],
        }[name]
        started = passing(passed, count="2")
        started["pass_fds"] = [passed.fileno(), given.fileno()]
        with start(*options, site.root, **started) as program:
            assert program.lines[0] == f"[WARN] What was passed in LISTEN_FDS is not used: the option {name} was given"
            port = int(next(line for line in program.lines if "Listening on" in line).rpartition(":")[2])
            assert port != passed.getsockname()[1]
            assert exchange(port, get("/a.txt")).status == 200
            assert_still_listens(passed)
            assert program.finish() == 0


def test_what_was_passed_to_another_process_is_ignored(site: Site) -> None:
    """As sd_listen_fds does, also where the number of sockets makes no sense."""
    with socket.create_server(("127.0.0.1", 0)) as passed:
        for count in ("1", "many"):
            with start("--log-level=info", "0", site.root, **passing(passed, process="1", count=count)) as program:
                assert not any("LISTEN" in line for line in program.lines)
                assert program.finish() == 0


@pytest.mark.parametrize(
    ("process", "count", "message"),
    [
        ("own", "2", "LISTEN_FDS: 2 sockets were passed; one is expected"),
        ("own", "0", 'LISTEN_FDS: "0" is not allowed; it takes a whole number above 0'),
        ("own", "one", 'LISTEN_FDS: "one" is not allowed; it takes a whole number above 0'),
        ("own9x", "1", 'x" is not allowed; it takes a whole number above 0'),
    ],
)
def test_what_was_passed_wrongly_is_told_and_ends_with_2(site: Site, process: str, count: str, message: str) -> None:
    """The message names the variable."""
    with socket.create_server(("127.0.0.1", 0)) as passed:
        how = passing(passed, process, count)
        words = [*how["wrapper"], str(PROGRAM), str(site.root)]
        ended = subprocess.run(words, pass_fds=how["pass_fds"], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stderr.startswith("httpserver: LISTEN_")
    assert message in ended.stderr
    assert (ended.returncode, ended.stdout) == (2, "")


def test_what_is_passed_but_does_not_listen_is_told(site: Site) -> None:
    """Descriptor 3 is looked at like any other."""
    with socket.socket() as idle:
        how = passing(idle)
        words = [*how["wrapper"], str(PROGRAM), str(site.root)]
        ended = subprocess.run(words, pass_fds=how["pass_fds"], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stderr.startswith("httpserver: listen_fd: descriptor 3 is not a listening socket; ")
    assert ended.returncode == 2
