"""Where a server listens: Unix sockets and their files, IPv6, and sockets that were handed over."""

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
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from support import PATIENCE, PROGRAM, Program, Raw, Site, exchange, get, need


class Local(Raw):
    """A raw connection to a Unix socket, or to an IPv6 address."""

    def __init__(self, place: Path | tuple[str, int]) -> None:
        """Connect to the path, or to the host and port."""
        self.socket = socket.socket(socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET6)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(place) if isinstance(place, Path) else place)
        self.received = b""
        self.bytes_sent = 0
        self.bytes_received = 0


def assert_serves(place: Path | tuple[str, int]) -> None:
    """Assert that a small file, a large one and an error come whole."""
    with Local(place) as raw:
        assert raw.send(get("/a.txt")).response().content == b"hello\n"
        large = raw.send(get("/large")).response().content
        assert large == b"".join(b"%015d\n" % (16 * line) for line in range(20_000))
        assert raw.send(b"nonsense\r\n\r\n").response().status == 400
        assert raw.closed()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a path for a socket, with a space in it."""
    return tmp_path / "x y.sock"


def start(*arguments: str | Path, wrapper: tuple[str, ...] = (), **options: Any) -> Program:  # noqa: ANN401
    """Start the program with these arguments alone and wait until it is ready; standard error is among its lines."""
    if not PROGRAM.exists():
        pytest.skip("the program is not built: run it by `make test`")
    words = [*wrapper, str(PROGRAM), *map(str, arguments)]
    program = Program(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options))
    try:
        program.wait_for("Server ready")
    except BaseException:
        program.__exit__(None, None, None)
        raise
    return program


#: Makes the descriptor in its first argument number 3 (more copies follow it), sets LISTEN_PID to what the second says
#: and LISTEN_FDS to the third, and becomes the other arguments.
PASSER = """
import os, sys
descriptor, process, count = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.dup2(descriptor, 3)
if descriptor != 3:
    os.close(descriptor)
os.environ["LISTEN_PID"] = process.replace("own", str(os.getpid()))
os.environ["LISTEN_FDS"] = count
os.execv(sys.argv[4], sys.argv[4:])
"""


def passing(listener: socket.socket, process: str = "own", count: str = "1") -> dict[str, Any]:
    """Return how to start a program so that it finds this socket passed, as systemd does it."""
    descriptor = listener.fileno()
    wrapper = (sys.executable, "-c", PASSER, str(descriptor), process, count)
    return {"wrapper": wrapper, "pass_fds": [descriptor]}


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
    with pooled_httpd.Server(site.root, host=host) as server:
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


# Sockets that were handed over.


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
