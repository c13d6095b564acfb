"""The servers: how each is started, configured as somebody would who knows it and wants it fast."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import string
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benches import BenchError, processes

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
#: The most connections that each server takes. From 15/16 of them on nginx closes idle ones, and the memory's part has
#: 4,000 of those.
CONNECTIONS = 4_500
#: Where ours tells its statistics.
STATUS_PATH = "/status"

START_SECONDS = 10.0
PORT_ATTEMPTS = 5


@dataclass
class Server:
    """A server that runs."""

    name: str
    process: subprocess.Popen[bytes]
    port: int

    def cpu_seconds(self) -> float:
        """The CPU time of the server so far."""
        self.must_run()
        return processes.cpu_seconds(self.process.pid)

    def resident_bytes(self) -> int:
        """What the server has in memory."""
        self.must_run()
        return processes.resident_bytes(self.process.pid)

    def must_run(self) -> None:
        """Complain where it has ended."""
        if self.process.poll() is not None:
            raise BenchError(f"{self.name} ended with status {self.process.returncode} while it was measured")


@dataclass(frozen=True)
class Setting:
    """What the servers are started with."""

    #: Our program, and the null server.
    program: Path
    null_server: Path
    #: The document root, and a directory for what servers write.
    root: Path
    run: Path
    core: int
    descriptors: int
    #: A file with the bytes of one answer, for the null server.
    answer: Path


@dataclass(frozen=True)
class Kind:
    """A server that can be started."""

    #: The command, once all that it reads is written; from its directory and a port.
    command: Callable[[Setting, Path, int], list[str | Path]]
    #: Whether ours is held against it.
    peer: bool = False
    #: Whether its listening socket is its standard input; the others make their own.
    inherits: bool = False


def _configured(template: str, setting: Setting, run: Path, port: int, **more: str) -> Path:
    """Fill in a configuration and return where it is."""
    text = string.Template((HERE / "conf" / template).read_text()).substitute(
        run=run,
        root=setting.root,
        port=port,
        connections=CONNECTIONS,
        descriptors=setting.descriptors,
        **more,
    )
    path = run / template
    path.write_text(text)
    return path


def _ours(*options: str) -> Callable[[Setting, Path, int], list[str | Path]]:
    def command(setting: Setting, _run: Path, port: int) -> list[str | Path]:
        common = ["--host", HOST, "--max-connections", str(CONNECTIONS), "--status-path", STATUS_PATH]
        return [setting.program, *options, *common, str(port), setting.root]

    return command


def _null(*words: str) -> Callable[[Setting, Path, int], list[str | Path]]:
    return lambda setting, _run, _port: [setting.null_server, setting.answer, *words]


def _nginx(sendfile: str, nopush: str) -> Callable[[Setting, Path, int], list[str | Path]]:
    def command(setting: Setting, run: Path, port: int) -> list[str | Path]:
        configured = _configured("nginx.conf", setting, run, port, sendfile=sendfile, nopush=nopush)
        return ["nginx", "-e", run / "error.log", "-p", run, "-c", configured]

    return command


def _h2o(setting: Setting, run: Path, port: int) -> list[str | Path]:
    # Root it would leave for `nobody`, who cannot read what root has made.
    user = f"user: {pwd.getpwuid(os.geteuid()).pw_name}" if os.geteuid() == 0 else ""
    return ["h2o", "-c", _configured("h2o.conf", setting, run, port, user=user)]


def _lighttpd(setting: Setting, run: Path, port: int) -> list[str | Path]:
    return ["lighttpd", "-D", "-f", _configured("lighttpd.conf", setting, run, port)]


#: The name of ours, and of ours with its default story log.
OURS = "ours"
STORY = "story"
#: Each pipelined request gets a send of its own, or all of them one.
NULL = "null"
NULL_GATHERED = "null gathered"

#: nginx reads a small file and sends it with its head.
NGINX_COPY = "nginx copy"

#: nginx three times, because no setting of it is best at everything. sendfile with tcp_nopush makes one packet of a
#: head and a small content, but holds the last of several pipelined answers back for 40 ms; without it, it does not,
#: and large files tell the two apart by the congestion control. Without sendfile a small file costs the least.
KINDS = {
    OURS: Kind(_ours("--deferred", "--log-level", "error")),
    STORY: Kind(_ours("--deferred")),
    NULL: Kind(_null(), inherits=True),
    NULL_GATHERED: Kind(_null("gathered"), inherits=True),
    "nginx": Kind(_nginx(sendfile="on", nopush="off"), peer=True),
    "nginx nopush": Kind(_nginx(sendfile="on", nopush="on"), peer=True),
    NGINX_COPY: Kind(_nginx(sendfile="off", nopush="off"), peer=True),
    "h2o": Kind(_h2o, peer=True),
    "lighttpd": Kind(_lighttpd, peer=True),
}
PEERS = tuple(name for name, kind in KINDS.items() if kind.peer)


@contextlib.contextmanager
def running(name: str, setting: Setting) -> Iterator[Server]:
    """Start a server and end it afterwards. What it prints goes nowhere, its errors into a file.

    Most cannot choose a port themselves, so one that was just free is tried, and another where somebody was quicker.
    """
    run = setting.run / name.replace(" ", "-")
    run.mkdir(exist_ok=True)
    kind = KINDS[name]
    for _ in range(PORT_ATTEMPTS):
        with _listener() as listener:
            port = listener.getsockname()[1]
            if not kind.inherits:
                listener.close()
            command = kind.command(setting, run, port)
            given = listener.fileno() if kind.inherits else subprocess.DEVNULL
            with (run / "stderr").open("wb") as errors, processes.pinned(setting.core):
                process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL, stderr=errors)
        with processes.stopping(process):
            if _answers(process, port):
                yield Server(name, process, port)
                return
    told = "\n".join(file.read_text() for file in (run / "stderr", run / "error.log") if file.exists())
    raise BenchError(f"{name} did not start: {told.strip()[-1000:]}")


def _listener() -> socket.socket:
    """A listening socket as one who knows would set it up, on a port of the kernel's choice."""
    listener = socket.create_server((HOST, 0), backlog=4096)
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    # As ours does, so that the two differ in nothing that they send by.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
    return listener


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the process answers; false where it ends before.

    That it takes connections would say little: the socket may be older than the server, or wait for it.
    """
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection((HOST, port), timeout=START_SECONDS) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                if connection.recv(1):
                    return process.poll() is None
        except OSError:
            pass
        time.sleep(0.01)
    return False
