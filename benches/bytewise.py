"""A client that sends each request head one byte at a time, each byte in a segment of its own.

All its connections send their first byte, then all their second, and so on, and then read their answers: the server has
that many bytes to take in at a time, from as many peers. It sends as fast as it can, for a bounded time; a server that
is slower than it finds several bytes at once.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass

from benches import BenchError
from benches.checks import CHECK_SECONDS, Prepared, request
from benches.loads import Load
from benches.servers import HOST


@dataclass(frozen=True)
class Done:
    """What came of it."""

    answers: int
    seconds: float


def run(port: int, load: Load, prepared: Prepared, seconds: float) -> Done:
    """Ask as long as the time lasts; whoever has begun ends."""
    head = request(load.names[0], port, *prepared.fields)
    pieces = [head[index : index + 1] for index in range(len(head))]
    answers = 0
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(_connect(port)) for _ in range(load.clients)]
        start = time.monotonic()
        while (now := time.monotonic()) - start < seconds:
            for piece in pieces:
                for peer in peers:
                    peer.send(piece)
            for peer in peers:
                _read(peer, load, prepared)
            answers += len(peers)
    return Done(answers, now - start)


def _connect(port: int) -> socket.socket:
    peer = socket.create_connection((HOST, port), timeout=CHECK_SECONDS)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def _read(peer: socket.socket, load: Load, prepared: Prepared) -> None:
    """Read one answer; it has been checked before, so that its size and its status tell that it is the same."""
    received = b""
    while len(received) < prepared.least_bytes:
        data = peer.recv(prepared.most_bytes + 1)
        if not data:
            raise BenchError(f"the connection ended after {len(received)} bytes of an answer")
        received += data
    if len(received) != prepared.least_bytes or received[9:12] != str(load.status).encode():
        raise BenchError(f"a wrong answer of {len(received)} bytes: {received[:100]!r}")
