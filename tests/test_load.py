"""Load: many clients, slow clients, few descriptors."""

from __future__ import annotations

import os
import resource
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pooled_httpd
from support import PATIENCE, Program, Raw, Site, exchange, get


def test_1000_concurrent_persistent_clients_are_served(site: Site) -> None:
    """Each of 1,000 connections is open at the same time and gets three answers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    try:
        with (
            Program.start("--max-connections", "1000", "--log-level", "info", site.root) as program,
            ExitStack() as stack,
        ):
            clients = [stack.enter_context(Raw(program.port)) for _ in range(1000)]
            for _ in range(3):
                for client in clients:
                    client.send(get("/a.txt"))
                for client in clients:
                    assert client.response().content == b"hello\n"
            assert program.finish() == 0
            assert "  Peak connections: 1,000" in program.lines
            assert "Total requests served: 3,000" in program.lines
            assert "Invariant Violations: 0" in program.lines
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_100_slow_readers_do_not_slow_a_fast_client(site: Site) -> None:
    """100 readers that take a few kB at a time of a 64 MiB file, beside a client whose answers keep coming."""
    with (site.root / "huge").open("wb") as file:
        file.truncate(64 << 20)
    with Program.start("--log-level", "info", site.root) as program, ExitStack() as stack:

        def median(count: int = 300) -> float:
            times = []
            with Raw(program.port) as fast:
                for _ in range(count):
                    begun = time.perf_counter()
                    assert fast.send(get("/a.txt")).response().status == 200
                    times.append(time.perf_counter() - begun)
            return sorted(times)[count // 2]

        alone = median()
        readers = [stack.enter_context(Raw(program.port, receive_buffer=8192)) for _ in range(100)]
        for reader in readers:
            reader.send(get("/huge"))
        stop = threading.Event()
        taken = [0] * len(readers)

        def read_slowly() -> None:
            while not stop.is_set():
                for index, reader in enumerate(readers):
                    taken[index] += len(reader.socket.recv(4096))
                stop.wait(0.02)

        thread = threading.Thread(target=read_slowly)
        thread.start()
        try:
            while min(taken) < 20_000:
                time.sleep(0.01)
            beside = median()
        finally:
            stop.set()
            thread.join()
        # A bound on starvation, not a measure of speed: the readers' thread shares this interpreter and two cores.
        assert beside < 20 * alone + 0.05, (alone, beside)
        for reader in readers:
            reader.socket.close()
        assert program.finish() == 0
        assert "Invariant Violations: 0" in program.lines


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_out_of_descriptors_newcomers_get_503_and_it_recovers(site: Site) -> None:
    """With every descriptor of the process in use, a newcomer is told so; afterwards all is as before."""
    with Program.start("--max-connections", "200", "--log-level", "info", site.root) as program:
        resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (40, 40))
        with ExitStack() as stack:
            held: list[Raw] = []
            refused = None
            while refused is None and len(held) < 60:
                client = stack.enter_context(Raw(program.port))
                response = client.send(get("/a.txt")).response()
                if response.status == 503 and response.fields.get("connection") == "close":
                    refused = response
                held.append(client)
            assert refused is not None
            assert refused.fields["retry-after"] == "1"
            assert b"descriptors" in refused.content
            used = cpu_seconds(program.process.pid)
            time.sleep(0.5)
            assert cpu_seconds(program.process.pid) - used < 0.25, "it spins while it is out of descriptors"
        deadline = time.monotonic() + PATIENCE
        while exchange(program.port, get("/a.txt")).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert program.finish() == 0
        assert "Invariant Violations: 0" in program.lines


def test_20000_connections_opened_and_dropped(server: pooled_httpd.Server) -> None:
    """A storm of connections that say nothing or half a request: the server serves afterwards and has counted all."""
    for number in range(20_000):
        with Raw(server.port) as raw:
            if number % 2:
                raw.send(b"GET /a")
    assert exchange(server.port, get("/a.txt", "Connection: close")).status == 200
    deadline = time.monotonic() + PATIENCE
    while server.stats().active_connections:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stats = server.stats()
    assert stats.total_connections + stats.connections_refused == 20_001
