"""What an answer costs in system calls of the loop, by a count from outside: recv and send are the floor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pooled_httpd
import pytest
from conftest import assert_sound
from faults import Injector, thread_named
from pooled_httpd.faults import Dribble
from support import Raw, Site, get

ROUNDS = 50
#: Contents: what goes into a send buffer, what goes out with its head, what goes out behind it, what is no longer kept.
SIZES = {"small": 1_200, "page": 10_000, "held": 40_000, "long": 100_000, "large": 400_000}


@dataclass(frozen=True)
class Cost:
    """What is sent at once, and which calls it takes besides waiting; each send may be one or the other."""

    data: bytes
    calls: dict[str, int]
    answers: int = 1


SMALL = {"recvfrom": 1, "sendto": 1}
COSTS = {
    "small": Cost(get("/small"), SMALL),
    "page": Cost(get("/page"), SMALL),
    "head": Cost(get("/small", method="HEAD"), SMALL),
    "range": Cost(get("/long", "Range: bytes=1000-2199"), SMALL),
    "several ranges": Cost(get("/long", "Range: bytes=0-9, 50-59"), SMALL),
    "not found": Cost(get("/nothing"), SMALL),
    "refused": Cost(get("/a.txt", method="POST"), SMALL),
    "pipelined": Cost(get("/small") * 8, SMALL, answers=8),
    "registered": Cost(get("/registered"), SMALL),
    "registered, pipelined": Cost(get("/registered") * 8, SMALL, answers=8),
    "dribbled": Cost(get("/dribbled"), {"recvfrom": 1, "sendmsg": 1}),
    "registered, long": Cost(get("/registered-long"), {"recvfrom": 1, "sendmsg": 1}),
    "held": Cost(get("/held"), {"recvfrom": 1, "sendmsg": 1}),
    "long": Cost(get("/long"), {"recvfrom": 1, "sendto": 2}),
    "large": Cost(get("/large"), {"recvfrom": 1, "sendto": 1, "openat2": 1, "fstat": 1, "sendfile": 1, "close": 1}),
}


@pytest.fixture
def server(site: Site) -> Iterator[pooled_httpd.Server]:
    """Serve one file of each size, and answers that are registered."""
    for name, size in SIZES.items():
        site.write(name, bytes(size))
    with pooled_httpd.Server(site.root) as server:
        server.respond("/registered", content=bytes(1_200))
        server.respond("/registered-long", content=bytes(40_000))
        # One piece, which goes across the end of the head.
        server.respond("/dribbled", content=bytes(1_200), fault=Dribble(10_000))
        yield server
    assert_sound(server)


@pytest.mark.parametrize("name", COSTS)
def test_an_answer_takes_these_calls_and_no_others(name: str, server: pooled_httpd.Server, tmp_path: Path) -> None:
    """One client on one connection, who has asked before: nothing is opened, registered or looked up again.

    A send that finds the socket full is made again, so those of what is long may be more.
    """
    cost = COSTS[name]
    with Raw(server.port, receive_buffer=1 << 20) as raw:

        def ask() -> None:
            raw.send(cost.data)
            for _ in range(cost.answers):
                raw.response("HEAD" if cost.data.startswith(b"HEAD") else "GET")

        for _ in range(3):
            ask()
        with Injector(thread_named("pooled-loop"), tmp_path / "calls", traced=("all",)) as calls:
            for _ in range(ROUNDS):
                ask()
    found = Counter(call.name for call in calls.calls)
    # The second is the look whether a file has changed, as long as something is in memory.
    turns = found.pop("epoll_wait") + found.pop("epoll_pwait", 0)
    assert {call: round(count / ROUNDS) for call, count in found.items() if count > ROUNDS / 2} == cost.calls
    if name not in ("long", "large"):
        assert all(abs(count - ROUNDS * cost.calls.get(call, 0)) <= 3 for call, count in found.items()), found
        # One turn for each request.
        assert turns <= 2 * ROUNDS + 6, turns
