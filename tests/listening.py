"""Which sockets there are, by what the kernel tells (proc_net_tcp(5)): without asking anybody or connecting."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from support import PATIENCE

ESTABLISHED, LISTEN = 0x01, 0x0A


@dataclass(frozen=True)
class Socket:
    """A TCP socket over IPv4."""

    address: str
    port: int
    remote_port: int
    state: int
    inode: str


def sockets() -> list[Socket]:
    """Every TCP socket over IPv4 of this machine."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        (address, _, port), (_, _, remote_port) = words[1].partition(":"), words[2].partition(":")
        shown = ".".join(map(str, bytes.fromhex(address)[::-1]))
        found.append(Socket(shown, int(port, 16), int(remote_port, 16), int(words[3], 16), words[9]))
    return found


def port_of(process: subprocess.Popen[bytes]) -> int | None:
    """Wait until a process listens and return its port; none where it has ended instead."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        own = set()
        # The process may end, or close a descriptor, meanwhile.
        with suppress(FileNotFoundError):
            own = {os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
        for socket in sockets():
            if socket.state == LISTEN and f"socket:[{socket.inode}]" in own:
                return socket.port
        assert time.monotonic() < deadline, "it does not listen"
        time.sleep(0.002)
    return None
