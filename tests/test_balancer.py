"""Behind a balancer: HAProxy in front of two servers, which are drained, stopped and started again under load."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from support import PATIENCE, Program, Site, need

REQUESTS = 50_000
BATCH = 10_000
OPTIONS = ("--status-path", "/status", "--log-level", "info")

CONFIGURATION = """
global
    stats socket {control}
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 5s
    option redispatch
frontend front
    bind fd@{front}
    default_backend servers
backend servers
    balance roundrobin
    option httpchk GET /status/health
    default-server check inter 50ms fall 1 rise 1
    server one 127.0.0.1:{one}
    server two 127.0.0.1:{two}
"""


class Balancer:
    """HAProxy with two servers behind it."""

    def __init__(self, directory: Path, one: int, two: int) -> None:
        """Start it on a port that is taken for it, so that no other program gets in between."""
        self.control = directory / "control"
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        front = self.listener.fileno()
        configuration = directory / "haproxy.cfg"
        configuration.write_text(CONFIGURATION.format(control=self.control, front=front, one=one, two=two))
        self.log = (directory / "haproxy.log").open("w+b")
        self.process = subprocess.Popen(
            [need("haproxy"), "-db", "-f", str(configuration)], pass_fds=(front,), stdout=self.log, stderr=self.log
        )

    def server(self, name: str) -> dict[str, str]:
        """Return what HAProxy knows of a server: its ``status`` and its current sessions, ``scur``, among others."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.control))
            control.sendall(b"show stat\n")
            text = b"".join(iter(lambda: control.recv(65536), b"")).decode()
        return next(row for row in csv.DictReader(text.removeprefix("# ").splitlines()) if row["svname"] == name)

    def wait_for(self, name: str, status: str, *, idle: bool = False) -> None:
        """Wait until it has given a server this status, and sends nothing to it any more where that is wanted."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                told = self.server(name)
                if told["status"].startswith(status) and (not idle or told["scur"] == "0"):
                    return
            assert self.process.poll() is None, Path(self.log.name).read_text()
            assert time.monotonic() < deadline, f"{name} does not become {status}"
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it."""
        self.process.kill()
        self.process.wait()
        self.listener.close()
        self.log.close()


@contextlib.contextmanager
def balanced(directory: Path, site: Site) -> Iterator[tuple[Balancer, dict[str, Program]]]:
    """HAProxy and two servers, all of them up; stopped at the end, whatever happened."""
    programs = {name: Program.start(*OPTIONS, site.root) for name in ("one", "two")}
    balancer = Balancer(directory, programs["one"].port, programs["two"].port)
    try:
        for name in programs:
            balancer.wait_for(name, "UP")
        yield balancer, programs
    finally:
        balancer.stop()
        for program in programs.values():
            program.__exit__(None, None, None)


def restart(balancer: Balancer, programs: dict[str, Program], name: str, site: Site) -> int:
    """Drain a server, stop it once HAProxy has left it, start another in its place; return the requests it served."""
    old = programs[name]
    old.process.send_signal(signal.SIGUSR2)
    balancer.wait_for(name, "DOWN", idle=True)
    assert old.finish(signal.SIGTERM) == 0
    assert "[INFO] Draining: " in "\n".join(old.lines)
    served = next(line for line in old.lines if line.startswith("Total requests served: "))
    programs[name] = Program.start(*OPTIONS, site.root, port=old.port)
    balancer.wait_for(name, "UP")
    return int(served.rpartition(" ")[2].replace(",", ""))


class Load(threading.Thread):
    """Sends requests through the balancer, 10,000 at a time, until there were enough and the servers are replaced."""

    def __init__(self, url: str) -> None:
        """Take the URL to ask for."""
        super().__init__()
        self.url = url
        self.replaced = threading.Event()
        self.told: list[str] = []

    def run(self) -> None:
        """Send until it is over."""
        environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        command = [need("ab"), "-q", "-l", "-k", "-n", str(BATCH), "-c", "16", self.url]
        while len(self.told) * BATCH < REQUESTS or not self.replaced.is_set():
            done = subprocess.run(command, capture_output=True, timeout=120, check=False, env=environment)
            self.told.append((done.stdout + done.stderr).decode())


def test_servers_are_replaced_under_load_and_no_request_fails(tmp_path: Path, site: Site) -> None:
    """Each is drained, stopped and started again while 50,000 requests go through HAProxy: all get their 200."""
    need("ab")
    with balanced(tmp_path, site) as (balancer, programs):
        load = Load(f"http://127.0.0.1:{balancer.port}/a.txt")
        load.start()
        try:
            served = [restart(balancer, programs, name, site) for name in ("one", "two")]
        finally:
            load.replaced.set()
            load.join()
    assert sum(served) > 0
    assert len(load.told) * BATCH >= REQUESTS
    for told in load.told:
        assert re.search(rf"Complete requests: +{BATCH}\b", told), told
        assert re.search(r"Failed requests: +0\b", told), told
        assert "Non-2xx" not in told, told
