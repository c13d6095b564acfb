"""Unix sockets and IPv6, and programs that listen there, for tests."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, PROGRAM, Program, Raw, get


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


@pytest.fixture(name="path")
def path_of_a_socket(tmp_path: Path) -> Path:
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
