"""Other servers with the same document root, for the attack kit to be tried on: as they come, with short timeouts."""

from __future__ import annotations

import importlib.metadata
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pooled_httpd
from listening import port_of
from pooled_httpd.attack import Target
from pooled_httpd.attack.known_site import KNOWLEDGE
from support import need

#: Each server's timeouts, in seconds, and how long the kit waits for them.
TIMEOUT = 1
WAIT = 8.0


def free_port() -> int:
    """A port that nobody listens on now: these servers cannot be told to take any."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(command: Callable[[int], list[str]]) -> Iterator[int]:
    """Run a server, on another port where somebody was quicker, from when it listens; end it afterwards."""
    for _ in range(5):
        port = free_port()
        running = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if port_of(running) == port:
                yield port
                return
        finally:
            running.terminate()
            running.wait()
    raise AssertionError(f"{command(0)[0]} does not start")


def nginx(root: Path, work: Path) -> AbstractContextManager[int]:
    """Debian's nginx with its defaults, one worker."""
    work.mkdir()
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{name}_temp_path {work}/{name};" for name in names)

    def command(port: int) -> list[str]:
        (work / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {work}/pid; error_log {work}/error.log crit; user root;\n"
            f"events {{ worker_connections 1024; }}\nhttp {{ access_log off; {places}\n"
            f"client_header_timeout {TIMEOUT}s; client_body_timeout {TIMEOUT}s; keepalive_timeout {TIMEOUT}s;\n"
            f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
        )
        return [need("nginx"), "-c", str(work / "nginx.conf")]

    return process(command)


def lighttpd(root: Path, work: Path) -> AbstractContextManager[int]:
    """Debian's lighttpd with its defaults, and an index file."""
    work.mkdir()

    def command(port: int) -> list[str]:
        (work / "lighttpd.conf").write_text(
            f'server.document-root = "{root}"\nserver.port = {port}\nserver.bind = "127.0.0.1"\n'
            'index-file.names = ("index.html")\nmimetype.assign = (".html" => "text/html")\n'
            f"server.max-read-idle = {TIMEOUT}\nserver.max-keep-alive-idle = {TIMEOUT}\n"
        )
        return [need("lighttpd"), "-D", "-f", str(work / "lighttpd.conf")]

    return process(command)


def http_server(root: Path, _work: Path) -> AbstractContextManager[int]:
    """The standard library's http.server, as HTTP/1.1."""
    arguments = ["--protocol", "HTTP/1.1", "--bind", "127.0.0.1", "--directory", str(root)]
    return process(lambda port: [sys.executable, "-m", "http.server", *arguments, str(port)])


@contextmanager
def ours(root: Path, _work: Path) -> Iterator[int]:
    """This server, with its defaults."""
    with pooled_httpd.Server(root, timeout=TIMEOUT, log_level="off") as server:
        yield server.port


#: Every server by the name that a table gives it.
SERVERS: dict[str, Callable[[Path, Path], AbstractContextManager[int]]] = {
    "pooled_httpd": ours,
    "nginx": nginx,
    "lighttpd": lighttpd,
    "http.server": http_server,
}


def version(name: str) -> str:
    """The version of a server."""
    if name == "pooled_httpd":
        return importlib.metadata.version("pooled_httpd")
    if name == "http.server":
        return sys.version.split()[0]
    shown = subprocess.run([need(name), "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"/([\d.]+)", shown.stdout + shown.stderr)
    assert found, shown
    return found[1]


def target_of(port: int) -> Target:
    """What the kit knows of a server of the known site."""
    return Target.parse(f"127.0.0.1:{port}").with_options(**KNOWLEDGE, wait=WAIT)
