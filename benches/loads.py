"""The loads: what is asked for, by how many clients, in which manner, and what the answer must be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from benches.documents import FILES, MANY_NAMES, MISSING, SMALL, SMALL_BYTES


class Client(Enum):
    """Who asks."""

    #: As many requests as fit into the time.
    WRK = "wrk"
    #: A fixed number of requests, each on a connection of its own.
    AB = "ab"
    #: Our own: heads that come one byte at a time.
    BYTEWISE = "bytewise"


@dataclass(frozen=True)
class Load:
    """One way to ask, with the answer that is due."""

    title: str
    #: What is asked for, below the root; several are asked for in turn.
    names: tuple[str, ...]
    status: int = 200
    clients: int = 64
    #: Requests in one write.
    depth: int = 1
    client: Client = Client.WRK
    #: The part of the file that is asked for, by its first and last byte.
    range: tuple[int, int] | None = None
    #: Whether the request has the server's own entity-tag in If-None-Match.
    conditional: bool = False
    #: Whether the null server's answer means anything here.
    null: bool = False

    @property
    def closing(self) -> bool:
        """Whether each request has a connection of its own."""
        return self.client is Client.AB

    @property
    def content_length(self) -> int | None:
        """The bytes of content that an answer has; none where each server has words of its own."""
        if self.status == 304:
            return 0
        if self.status == 404:
            return None
        if self.range is not None:
            return self.range[1] - self.range[0] + 1
        return FILES.get(self.names[0], SMALL_BYTES)

    def range_field(self) -> list[str]:
        """The field line that asks for the range, if one is asked for."""
        return [f"Range: bytes={self.range[0]}-{self.range[1]}"] if self.range else []


_RANGE_START = 50_000

LOADS = {
    "small": Load("1.2 kB", (SMALL,), null=True),
    "1000": Load("1.2 kB, 1,000 clients", (SMALL,), clients=1000, null=True),
    "pipelined": Load("1.2 kB, pipelined by 16", (SMALL,), depth=16, null=True),
    "closing": Load("1.2 kB, closing", (SMALL,), client=Client.AB, null=True),
    "bytewise": Load("1.2 kB, byte by byte", (SMALL,), client=Client.BYTEWISE),
    "files": Load("1.2 kB, 5,000 files", tuple(MANY_NAMES)),
    "range": Load("1.2 kB range", ("100k.bin",), status=206, range=(_RANGE_START, _RANGE_START + SMALL_BYTES - 1)),
    "304": Load("304 Not Modified", (SMALL,), status=304, conditional=True),
    "404": Load("404 Not Found", (MISSING,), status=404),
    "10k": Load("10 kB", ("10k.bin",)),
    "100k": Load("100 kB", ("100k.bin",)),
    "64M": Load("64 MiB, 4 clients", ("64M.bin",), clients=4),
}
