"""``--open``: which browser gets the address, what it gets besides, and what becomes of the server without one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from program_output import blocks
from support import PATIENCE, Program, Site
from terminal import HERE, TERMINAL, Terminal, built, environment, one_request, piped

#: A browser: it writes down what it was given, asks for the page, and stays until it is told to go.
BROWSER = """#!{python}
import json, os, pathlib, signal, sys, urllib.request
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines() if ":" in line)
descriptors = {{number: os.readlink(f"/proc/self/fd/{{number}}") for number in os.listdir("/proc/self/fd")
               if os.path.exists(f"/proc/self/fd/{{number}}")}}
with urllib.request.urlopen(sys.argv[-1]) as answer:
    page = answer.read().decode()
told = {{"arguments": sys.argv[1:], "page": page, "blocked": int(status["SigBlk"], 16),
        "process": os.getpid(), "session": os.getsid(0),
        "descriptors": descriptors, "passed": [name for name in os.environ if name.startswith("LISTEN_")]}}
pathlib.Path({told!r} + ".part").write_text(json.dumps(told))
os.rename({told!r} + ".part", {told!r})
if {stays!r}:
    signal.pause()
"""


class Browser:
    """A browser that is a script; ``path`` is its name."""

    def __init__(self, directory: Path, name: str = "browser", *, stays: bool = False) -> None:
        """Write it, executable."""
        directory.mkdir(exist_ok=True)
        self.told = directory / f"{name}.json"
        self.path = directory / name
        self.path.write_text(BROWSER.format(python=sys.executable, told=str(self.told), stays=stays))
        self.path.chmod(0o755)

    def seen(self) -> dict[str, Any]:
        """Wait for what it was given."""
        deadline = time.monotonic() + PATIENCE
        while not self.told.exists():
            assert time.monotonic() < deadline, "no browser was opened"
            time.sleep(0.005)
        seen: dict[str, Any] = json.loads(self.told.read_text())
        return seen


def test_open_shows_the_address_to_the_browser(site: Site, tmp_path: Path) -> None:
    """$BROWSER gets the address once the server answers, and nothing of the server: no socket, no blocked signal."""
    browser = Browser(tmp_path / "bin")
    with piped("--open", "-b", "0.0.0.0", "--port", "0", site.root, BROWSER=str(browser.path)) as program:
        seen = browser.seen()
    assert seen["arguments"] == [f"http://localhost:{program.port}/"]
    assert seen["page"] == (site.root / "index.html").read_text()
    assert seen["blocked"] == 0
    targets = {number: target for number, target in seen["descriptors"].items() if not target.startswith("/proc/")}
    assert targets == {"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"}
    assert blocks(program)[0]["Total requests served"] == 1


def test_open_gives_no_socket_that_was_handed_over(site: Site, tmp_path: Path) -> None:
    """A socket that came as a descriptor, by systemd's variables, does not go on to the browser either."""
    browser = Browser(tmp_path / "bin")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        handing = (
            "import os, sys; given = int(sys.argv[1]); os.dup2(given, 3); given == 3 or os.close(given);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
        )
        words = [sys.executable, "-c", handing, str(listening.fileno()), built(), "--open", str(site.root)]
        process = subprocess.Popen(
            words,
            pass_fds=(listening.fileno(),),
            stdout=subprocess.PIPE,
            env=environment({"BROWSER": f"{browser.path} --new %s"}),
        )
        with Program(process) as program:
            program.wait_for("Server ready")
            seen = browser.seen()
            assert program.finish() == 0
    assert seen["arguments"] == ["--new", f"http://127.0.0.1:{port}/"]
    assert seen["passed"] == []
    assert not [target for target in seen["descriptors"].values() if "socket" in target]


def test_ctrl_c_ends_the_server_and_not_the_browser(site: Site, tmp_path: Path) -> None:
    """A browser that stays in the foreground neither delays the stop nor goes with it."""
    browser = Browser(tmp_path / "bin", stays=True)
    variables = {**TERMINAL, "BROWSER": str(browser.path), "POOLED_HTTPD_OPEN": "on"}
    with Terminal(built(), *HERE, site.root, variables=variables) as terminal:
        terminal.wait_for("Server ready")
        seen = browser.seen()
        # In a session of its own no key of this terminal reaches it.
        assert seen["session"] == seen["process"] != terminal.process.pid
        try:
            begun = time.monotonic()
            assert terminal.finish() == 0
            assert time.monotonic() - begun < PATIENCE / 2
            # It is still there.
            os.kill(seen["process"], 0)
        finally:
            os.kill(seen["process"], signal.SIGKILL)


def test_xdg_open_is_asked_where_no_browser_is_named(site: Site, tmp_path: Path) -> None:
    """With BROWSER empty or unset, by the PATH; a command that fails is followed by the next."""
    opener = Browser(tmp_path / "bin", "xdg-open")
    for variables in ({}, {"BROWSER": ""}):
        opener.told.unlink(missing_ok=True)
        with piped("--open", *HERE, site.root, PATH=str(tmp_path / "bin"), **variables) as program:
            assert opener.seen()["arguments"] == [f"http://127.0.0.1:{program.port}/"]
    opener.told.unlink()
    with piped("--open", *HERE, site.root, BROWSER=f"no-such-browser:false:{opener.path}") as program:
        assert opener.seen()["arguments"] == [f"http://127.0.0.1:{program.port}/"]


def test_without_a_browser_the_server_serves_and_says_so(site: Site, tmp_path: Path) -> None:
    """What was tried is told, with the address; the server answers before and after, and stops with 0."""
    (tmp_path / "bin").mkdir()
    gone = "cannot be run: No such file or directory (os error 2)"
    for variables, tried in (
        ({"PATH": str(tmp_path / "bin")}, f"xdg-open {gone}, gio {gone}, wslview {gone}"),
        ({"BROWSER": "no-such-browser:false"}, f"no-such-browser {gone}, false failed: exit status: 1"),
    ):
        with piped("--open", *HERE, site.root, **variables) as program:
            line = program.wait_for("httpserver: --open")
            url = f"http://127.0.0.1:{program.port}/"
            assert line == f"httpserver: --open: there is no browser that shows {url}: {tried}"
            one_request(program.port)
        assert blocks(program)[0]["Total requests served"] == 1
