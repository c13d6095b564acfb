"""The command line in its three forms: the program, the console script, the module."""

from __future__ import annotations

import importlib.metadata
import re
import socket
import subprocess
from pathlib import Path

import pooled_httpd
import pytest
from program_output import BLOCK, FORMS, assert_lines, blocks, first_block, start
from support import Site, exchange, get


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> list[str]:
    """Return each way to call the command line."""
    words = FORMS[request.param]
    if not Path(words[0]).exists():
        pytest.skip(f"{words[0]} is not built: run it by `make test`")
    return words


def called(form: list[str], *arguments: str | Path | bytes) -> subprocess.CompletedProcess[str]:
    """Call the command line and wait for its end."""
    words: list[str | Path | bytes] = [*form, *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_a_wrong_command_line_is_told_and_ends_with_2(form: list[str], site: Site) -> None:
    """The message names the option, the value and the range; nothing is served."""
    site_root = str(site.root)
    cases: list[tuple[list[str], str]] = [
        (["0", site_root, "more"], "error: unexpected argument 'more' found"),
        (["--port", "0", "0", site_root], "port: it is given twice, by --port and before the directory"),
        (["--pool-siz", "512", site_root], "error: unexpected argument '--pool-siz' found"),
        (["--frobnicate", site_root], "error: unexpected argument '--frobnicate' found"),
        (["eighty", site_root], 'port: "eighty" is not allowed; it takes a whole number from 0 to 65535'),
        (["--port", "65536", site_root], "port: 65536 is not allowed; it takes a whole number from 0 to 65535"),
        (["--port=-1", site_root], "port: -1 is not allowed; it takes a whole number from 0 to 65535"),
        (
            ["--pool-size", "255", site_root],
            "pool_size: 255 is not allowed; it takes a whole number from 256 to 16777216",
        ),
        (
            ["--max-connections", "0", site_root],
            "max_connections: 0 is not allowed; it takes a whole number from 1 to 65536",
        ),
        (["--max-connections", "many", site_root], 'max_connections: "many" is not allowed; it takes a whole number'),
        (["--timeout", "0", site_root], "timeout: 0 is not allowed; it takes a number of seconds from 0.001 to 86400"),
        (["--timeout", "nan", site_root], "is not allowed; it takes a number of seconds from 0.001 to 86400"),
        (["--keep-alive=maybe", site_root], 'keep_alive: "maybe" is not allowed; it takes on or off'),
        (
            ["--log-level", "loud", site_root],
            'log_level: "loud" is not allowed; it takes off, error, warn, info, debug',
        ),
        (["--host", "", site_root], 'host: "" is not allowed; it takes a text that is not empty'),
        (["--buffer-size", "2048", "--max-request-line", "4000", site_root], "max_request_line: 4000 is not allowed"),
    ]
    for arguments, message in cases:
        ended = called(form, *arguments)
        assert message in ended.stderr, (arguments, ended)
        assert (ended.returncode, ended.stdout) == (2, ""), (arguments, ended)


def test_what_cannot_be_served_is_told_and_ends_with_1(form: list[str], site: Site) -> None:
    """A document root or an address that the system refuses: one line that names it, with the system's reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        here = ["--host", "127.0.0.1", "--port", "0"]
        missing, file = site.root / "no such", site.root / "a.txt"
        cases: list[tuple[list[str], str]] = [
            ([*here, str(missing)], f'docroot: "{missing}" cannot be served: No such file or directory (os error 2)'),
            ([*here, str(file)], f'docroot: "{file}" cannot be served: Not a directory (os error 20)'),
            ([*here, ""], 'docroot: "" cannot be served: No such file or directory (os error 2)'),
            (
                ["--host", "127.0.0.1", str(port), str(site.root)],
                f"cannot listen on 127.0.0.1 port {port}: Address already in use",
            ),
            # An address of a network for documentation is nobody's.
            (
                ["--host", "192.0.2.1", "0", str(site.root)],
                "cannot listen on 192.0.2.1 port 0: Cannot assign requested address",
            ),
        ]
        for arguments, message in cases:
            ended = called(form, *arguments)
            assert ended.stderr.startswith(f"httpserver: {message}"), (arguments, ended)
            # What to do about it is told in a second line: tests/test_start_errors.py.
            assert re.fullmatch(r".+\n  tip: .+\n", ended.stderr), ended.stderr
            assert (ended.returncode, ended.stdout) == (1, ""), (arguments, ended)


def test_help_names_every_option_and_version_is_the_packages(form: list[str]) -> None:
    """``--help`` is the same text however it is called, and leaves no option out."""
    helped = called(form, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert called(FORMS["program"], "--help").stdout == helped.stdout
    for name, _, sentence in pooled_httpd.options():
        assert re.search(rf"--{name.replace('_', '-')}[ \[]", helped.stdout), name
        assert sentence in " ".join(helped.stdout.split())
    assert called(form, "-h").returncode == 0
    told = called(form, "--version")
    version = importlib.metadata.version("pooled_httpd")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"httpserver {version}\nbuild: ")
    assert called(form, "-V").stdout == f"httpserver {version}\n"


def test_port_and_document_root_alone_serve_on_every_address(form: list[str], site: Site) -> None:
    """``httpserver PORT DOCROOT``: it serves at 0.0.0.0, and Ctrl+C prints the statistics and ends it with 0."""
    with start(*form, "0", "site", cwd=site.root.parent) as program:
        assert exchange(program.port, get("/a.txt", "Connection: close")).content == b"hello\n"
        program.wait_for("Total lifetime")
        assert program.finish() == 0
    count = len(first_block(site.root))
    assert_lines(program.lines[:count], first_block(site.root, host=r"0\.0\.0\.0"))
    assert "[CONN 0] Serving file: site/a.txt (6 bytes)" in program.lines
    assert_lines(program.lines[-len(BLOCK) - 1 :], [r"\[INFO\] Stopping: 0 connections open", *BLOCK])
    assert blocks(program)[0]["Total requests served"] == 1
