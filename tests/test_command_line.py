"""The command line as a person has it: colours, how much it tells, flags of http.server, an address to click, help."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import IO

import pytest
from option_table import OPTIONS
from program_output import BLOCK, FORMS, assert_lines, blocks, first_block
from support import PATIENCE, ROOT, Raw, Site, exchange, get
from terminal import COLOUR, HERE, TERMINAL, USAGE, Terminal, built, environment, one_request, piped, run

# Colours.


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "linux"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "CLICOLOR": "0"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True),
        ({}, False),
    ],
    ids=str,
)
def test_a_terminal_has_colours_unless_it_is_told_not_to(site: Site, variables: dict[str, str], coloured: bool) -> None:
    """Whatever the colours, the text is that of a pipe, and one line more: the address to click."""
    with Terminal(built(), *HERE, site.root, variables=variables) as terminal:
        port = int(terminal.wait_for(r"Listening on 127\.0\.0\.1:(\d+)\n")[1])
        terminal.wait_for("Server ready")
        one_request(port)
        terminal.wait_for(r"Total lifetime.*\n")
        assert terminal.finish() == 0
    assert ("\x1b" in terminal.told) == coloured
    # Nothing but colours: every escape is one.
    assert "\x1b" not in terminal.plain()
    assert "\r" not in terminal.plain()
    lines = terminal.plain().splitlines()
    first = first_block(site.root)
    first.insert(5, rf"\[INFO\] Address: http://127\.0\.0\.1:{port}/")
    assert_lines(lines[: len(first)], first)
    # The terminal shows the key itself.
    assert_lines(lines[-len(BLOCK) - 1 :], [r"\^C\[INFO\] Stopping: 0 connections open", *BLOCK])
    assert lines[len(first) :].count("[CONN 0] Connection closed") == 1
    if coloured:
        for line in terminal.told.splitlines():
            # What begins in a line ends in it.
            assert line.count("\x1b[0m") == len(re.findall(r"(?:\x1b\[(?!0m)[0-9;]*m)+", line)), line
        # Plain text is in the colours that were meant.
        assert "\x1b[94m[INFO]\x1b[0m Server ready." in terminal.told
        assert "\x1b[32m[CONN 0]\x1b[0m \x1b[1mParsed: GET /a.txt HTTP/1.1\x1b[0m" in terminal.told
        assert "State: \x1b[33mREADING_HEADERS\x1b[0m → \x1b[33mPROCESSING\x1b[0m" in terminal.told
        assert "\x1b[32mInvariant Violations: 0\x1b[0m" in terminal.told


@pytest.mark.parametrize("forced", [False, True])
def test_a_pipe_has_the_text_and_colours_only_by_force(site: Site, forced: bool) -> None:
    """Without CLICOLOR_FORCE it is byte for byte the text, whatever TERM is; with it the same text has colours."""
    variables = {"CLICOLOR_FORCE": "1"} if forced else {"CLICOLOR": "1"}
    with piped(*HERE, site.root, TERM="xterm-256color", **variables) as program:
        one_request(program.port)
        program.wait_for("Total lifetime")
    told = "\n".join(program.lines)
    assert ("\x1b" in told) == forced
    lines = COLOUR.sub("", told).splitlines()
    first = first_block(site.root)
    assert_lines(lines[: len(first)], first)
    assert_lines(lines[-len(BLOCK) - 1 :], [r"\[INFO\] Stopping: 0 connections open", *BLOCK])


def test_what_a_peer_sent_cannot_colour_a_terminal(site: Site) -> None:
    """Escape sequences of a peer, of 7 bits and of 8, are shown and not obeyed; those of the program are its own."""
    hostile = b"\x9b31m\xc2\x9b31m"
    with Terminal(built(), *HERE, "--access-log=combined", site.root, variables=TERMINAL) as terminal:
        port = int(terminal.wait_for(r"Listening on 127\.0\.0\.1:(\d+)\n")[1])
        terminal.wait_for("Server ready")
        with Raw(port) as raw:
            request = b"GET /%1b[31m?\\x1b HTTP/1.1\r\nHost: a\r\nUser-Agent: " + hostile + b"\r\n\r\n"
            assert raw.send(request).response().status == 404
        assert exchange(port, b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n").status == 400
        assert exchange(port, b"\x1b[31m\x07\r\n\r\n").status == 400
        terminal.wait_for("CONN 2.*Total lifetime")
        assert terminal.finish() == 0
    plain = terminal.plain()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain)
    assert "Parsed: GET /%1b[31m?\\\\x1b HTTP/1.1" in plain
    assert '"\\x9B31m\\xC2\\x9B31m"' in plain
    allowed = {"0", "1", "2", "4", "32", "33", "35", "36", "91", "92", "94"}
    assert set(re.findall(r"\x1b\[(.*?)m", terminal.told)) <= allowed


def test_errors_are_coloured_for_a_terminal_and_plain_for_a_pipe(site: Site) -> None:
    """Those of the command line and those of the start; the exit status is the same."""
    missing = site.root / "no"
    for words, status, mark in (
        (("--pool-size", "1", site.root), 2, "error:"),
        (("0", missing), 1, "httpserver:"),
    ):
        with Terminal(built(), *words, variables=TERMINAL) as terminal:
            assert terminal.finish("") == status
        done = run(*words)
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr == terminal.plain()
        assert "\x1b" not in done.stderr
        assert re.match(rf"\x1b\[[0-9;]*m(?:\x1b\[[0-9;]*m)*{mark}\x1b\[0m ", terminal.told), terminal.told


# How much it tells.


def test_q_tells_less_and_the_statistics_come_all_the_same(site: Site) -> None:
    """-q leaves start and stop, more of it nothing but the statistics."""
    for quiet in ("-q", "--quiet", "-qq", "-qqqqqq"):
        with piped(quiet, *HERE, site.root) as program:
            one_request(program.port)
        if quiet in ("-q", "--quiet"):
            assert_lines(program.lines, [*first_block(site.root), r"\[INFO\] Stopping: \d connections open", *BLOCK])
        else:
            assert_lines(program.lines, BLOCK)
        assert blocks(program)[0]["Total requests served"] == 1


def test_v_tells_more_than_the_environment_says(site: Site) -> None:
    """From error, -vv is info, and -vvv the story."""
    for loud, shown in (("-v", ""), ("-vv", "Server ready"), ("-vvv", "Parsed: GET /a.txt"), ("-vvvvvv", "Parsed: ")):
        with piped(loud, *HERE, site.root, POOLED_HTTPD_LOG_LEVEL="error") as program:
            one_request(program.port)
        assert shown in "\n".join(program.lines)
        assert ("Parsed: " in "\n".join(program.lines)) == (loud.count("v") >= 3)


def test_q_v_and_the_level_must_not_contradict_each_other(site: Site) -> None:
    """The error names both; where they agree, there is none."""
    for words, message in (
        (("-q", "-v"), "-q tells less and -v tells more: they contradict each other; leave one of them out"),
        (
            ("-qq", "--log-level", "info"),
            "log_level: --log-level info and -qq, which is warn, contradict each other; leave one of them out",
        ),
    ):
        done = run(*words, site.root)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}{USAGE}")
    with piped("-q", "--log-level=info", *HERE, site.root):
        pass


# As http.server has it.


def test_the_flags_of_http_server_are_taken(site: Site) -> None:
    """``python -m http.server 0``, ``-d``, ``-b`` and ``-p`` do here what they do there."""
    for words, cwd in (
        (("0", "-b", "127.0.0.1"), site.root),
        (("-b127.0.0.1", "-d", str(site.root), "0"), ROOT),
        (("0", "--bind=127.0.0.1", "--directory", "site"), site.root.parent),
        (("0", "--bind=127.0.0.1", "--docroot", "site"), site.root.parent),
        (("--port", "0", "--bind", "127.0.0.1", "-p", "HTTP/1.1"), site.root),
    ):
        with piped(*words, cwd=cwd) as program:
            program.wait_for("Server ready")
            assert program.lines[: len(first_block(site.root))] != []
            assert_lines(program.lines[:7], first_block(site.root))
            with Raw(program.port) as raw:
                for _ in range(2):
                    assert raw.send(get("/a.txt")).response().content == b"hello\n"


def test_http_1_0_ends_every_connection(site: Site) -> None:
    """``-p HTTP/1.0`` is keep_alive off, and contradicts its being on."""
    with piped("-p", "HTTP/1.0", *HERE, site.root) as program, Raw(program.port) as raw:
        response = raw.send(get("/a.txt")).response()
        assert (response.status, response.fields["connection"]) == (200, "close")
        assert raw.closed()
    for words, message in (
        (("-p", "HTTP/1.0", "--keep-alive"), "protocol: HTTP/1.0 is --keep-alive=off here, and --keep-alive is on"),
        (("-p", "HTTP/3"), 'protocol: "HTTP/3" is not allowed; it takes HTTP/1.1, or HTTP/1.0'),
    ):
        done = run(*words, site.root)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cgi"], "there is no CGI here, only files are served; leave --cgi out, or use a server that runs programs"),
        (["--tls-cert", "a.pem"], "there is no TLS here; let a proxy that has it stand before this server"),
        (["80", "-d", "a", "b"], "docroot: it is given twice, by --directory and as the last word"),
        (
            ["./www", "80"],
            'port: "./www" is not allowed; it takes a whole number from 0 to 65535; the port stands before the '
            "directory",
        ),
        (["65536"], "port: 65536 is not allowed; it takes a whole number from 0 to 65535"),
    ],
)
def test_what_is_not_to_be_had_says_so(words: list[str], message: str) -> None:
    """A clear error, and nothing is served."""
    done = run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}{USAGE}")


# The address to click.


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("0.0.0.0", "localhost"),
        ("127.0.0.1", r"127\.0\.0\.1"),
        ("127.0.0.2", r"127\.0\.0\.2"),
        ("::", "localhost"),
        ("::1", r"\[::1\]"),
    ],
)
def test_the_address_that_a_terminal_shows_is_reached(site: Site, host: str, shown: str) -> None:
    """It stands after the line that says where it listens, and leads there."""
    with Terminal(built(), "-q", "-b", host, "0", site.root, variables=TERMINAL) as terminal:
        terminal.wait_for("Server ready")
        form = rf"\[INFO\] Listening on .*:(\d+)\n\[INFO\] Address: (http://{shown}:\1/)\n\[INFO\] Document root"
        url = terminal.wait_for(form)[2]
        with urllib.request.urlopen(f"{url}a.txt", timeout=PATIENCE) as answer:
            assert answer.read() == b"hello\n"
        assert terminal.finish() == 0


def test_a_unix_socket_has_no_address_to_click(site: Site, tmp_path: Path) -> None:
    """No browser opens one, so none is shown, and --open is an error."""
    path = tmp_path / "x.sock"
    with Terminal(built(), "-b", f"unix:{path}", site.root, variables=TERMINAL) as terminal:
        terminal.wait_for("Server ready")
        assert "Address:" not in terminal.plain()
        assert terminal.finish() == 0
    done = run("--open", "-b", f"unix:{path}", site.root)
    assert done.stderr == f"error: open: no browser opens a Unix socket; leave it out{USAGE}"


@pytest.mark.parametrize("form", FORMS)
def test_ctrl_c_in_a_terminal_prints_the_statistics_and_ends_with_0(site: Site, form: str) -> None:
    """For the program, for ``python -m pooled_httpd`` and for the script."""
    words = FORMS[form]
    if not Path(words[0]).exists():
        pytest.skip(f"{words[0]} is not built: run it by `make test`")
    with Terminal(*words, *HERE, site.root, variables=TERMINAL) as terminal:
        port = int(terminal.wait_for(r"Address: http://127\.0\.0\.1:(\d+)/\n")[1])
        terminal.wait_for("Server ready")
        assert terminal.told.startswith("\x1b[94m[INFO]\x1b[0m Initializing memory pools...")
        one_request(port)
        assert terminal.finish() == 0
    assert_lines(terminal.plain().splitlines()[-len(BLOCK) :], BLOCK)


# Help and version.


def test_help_reads_well_in_80_columns() -> None:
    """No line is longer, the options stand under headings, and the long help names every variable."""
    for flag in ("-h", "--help"):
        told = run(flag, COLUMNS="80").stdout
        assert max(map(len, told.splitlines())) <= 80
        headings = re.findall(r"^(\S.*):$", told, re.M)
        assert headings == [
            "Arguments",
            "Options",
            "What is served",
            "Where it listens",
            "Memory, times and limits",
            "Answers",
            "Statistics and logs",
            "At the terminal",
        ]
    flat = " ".join(told.split())
    for name in (*OPTIONS, "docroot", "open"):
        assert f"[env: POOLED_HTTPD_{name.upper()}]" in flat
    with Terminal(built(), "-h", variables=TERMINAL) as terminal:
        assert terminal.finish("") == 0
    assert "\x1b" in terminal.told
    assert max(map(len, terminal.plain().splitlines())) <= 80


def test_version_says_what_a_report_of_a_fault_needs() -> None:
    """-V is one line; --version adds the build, the kernel and the licence."""
    short, long = run("-V").stdout, run("--version").stdout
    kernel = os.uname().release
    assert re.fullmatch(r"httpserver \d+\.\d+\.\d+\n", short)
    assert long == (
        f"{short}build: the program, release, {os.uname().machine}-linux\nkernel: Linux {kernel}\n"
        "license: MIT OR Apache-2.0\n"
    )


def run_into(stdout: IO[str], *words: str) -> tuple[int, str]:
    """Run the program with this standard output; return its exit status and what it says of errors."""
    command = [built(), *words]
    done = subprocess.run(
        command, env=environment({}), stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"], ["--completions", "bash"]], ids=" ".join)
def test_what_cannot_be_written_is_an_error_and_a_reader_who_has_enough_is_none(words: list[str]) -> None:
    """A script that keeps a completion on a full disk has to know."""
    with Path("/dev/full").open("w") as full:
        told = "httpserver: cannot write to standard output: No space left on device (os error 28)\n"
        assert run_into(full, *words) == (1, told)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as gone:
        assert run_into(gone, *words) == (0, "")
