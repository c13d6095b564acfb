"""Each option by right use and by wrong use, from Python and from the command line, with the exact text of errors."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pooled_httpd
import pytest
from conftest import assert_sound
from listening import port_of
from option_table import OPTIONS, Use
from representations import parts_of
from support import PATIENCE, PROGRAM, ROOT, Program, Raw, Site, get

USAGE = "\n\nUsage: httpserver [OPTIONS] [PORT] [DOCROOT]\n\nFor more information, try '--help'.\n"
USES = [
    pytest.param(name, use, id=f"{name}-{place}")
    for name, option in OPTIONS.items()
    for place, use in enumerate(option.uses)
]


def message(name: str, shown: str, fault: str) -> str:
    """The text of an error."""
    return f"{name}: {shown} is not allowed; {fault}"


@contextmanager
def program(*words: str) -> Iterator[Program]:
    """The program, on a free port of 127.0.0.1 where the words say nothing else, until it stops as it should."""
    if not PROGRAM.exists():
        pytest.skip("the program is not built: run it by `make test`")
    defaults = [["--port", "0"], ["--host", "127.0.0.1"]]
    chosen = [word for pair in defaults if not any(given.startswith(pair[0]) for given in words) for word in pair]
    command = [str(PROGRAM), *chosen, *words]
    with Program(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)) as running:
        yield running
        assert running.finish() == 0


def refuse(*words: str) -> str:
    """Run a wrong command line and return what it says on standard error, after its exit status was 2."""
    if not PROGRAM.exists():
        pytest.skip("the program is not built: run it by `make test`")
    done = subprocess.run([str(PROGRAM), *words], capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    return done.stderr.decode()


@pytest.mark.parametrize(("name", "use"), USES)
def test_a_right_use_from_python_is_in_effect(site: Site, name: str, use: Use) -> None:
    """The value is taken, as a keyword of Server and of server_create, and does what it is for."""
    options = {name: use.value}
    with pooled_httpd.Server(site.root, **options) as server:
        use.effect(server.port, site)
    assert_sound(server)
    other = pooled_httpd.server_create(**{"port": 0, "docroot": site.root, **options})
    pooled_httpd.server_destroy(other)


@pytest.mark.parametrize(("name", "use"), USES)
def test_a_right_use_on_the_command_line_is_in_effect(site: Site, name: str, use: Use) -> None:
    """The same from the program, which then stops with status 0 and has told of no violation."""
    del name
    with program(*use.words, str(site.root)) as running:
        port = port_of(running.process)
        assert port is not None, "it ended"
        use.effect(port, site)
    assert "Invariant Violations: 0" in running.lines


@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_use_from_python_says_what_is_right(site: Site, name: str) -> None:
    """OptionError with the name, the value as it was given, and what the option takes; nothing else."""
    option = OPTIONS[name]
    takes = f"it takes {option.kind.expectation}"
    wrong = [*((value, shown, takes) for value, shown in option.kind.wrong), *option.special]
    for value, shown, fault in wrong:
        with pytest.raises(pooled_httpd.OptionError) as caught:
            # Server takes None for any port, and for no other option.
            pooled_httpd.server_create(**{"docroot": site.root, "port": 0, name: value})
        assert str(caught.value) == message(name, shown, fault)
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.kind.bounds])
def test_the_bounds_of_a_number_are_in_it(site: Site, name: str) -> None:
    """The least and the most that the error tells are right themselves; nothing is taken before a server starts."""
    # These are somebody else's port, descriptors that are no sockets, and a line that no buffer is large enough for.
    not_to_be_had = {("port", 65_535), ("listen_fd", 0), ("listen_fd", 1 << 20), ("max_request_line", 1 << 24)}
    for value in OPTIONS[name].kind.bounds:
        if (name, value) not in not_to_be_had:
            options: dict[str, Any] = {name: value}
            pooled_httpd.Server(site.root, **options).destroy()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_use_on_the_command_line_says_what_is_right(name: str) -> None:
    """Exit status 2, nothing on standard output, and on standard error the same text and the usage."""
    option = OPTIONS[name]
    flag = "--" + name.replace("_", "-")
    takes = f"it takes {option.kind.expectation}"
    for word, shown in option.kind.wrong_words:
        assert refuse(f"{flag}={word}", "www") == f"error: {message(name, shown, takes)}{USAGE}"
        if option.kind.needs_value:
            assert refuse("www", flag, word) == f"error: {message(name, shown, takes)}{USAGE}"
    for value, shown, fault in option.special:
        # A word has no NUL in it, and the program's header is always a list.
        if not isinstance(value, list) and "\x00" not in str(value):
            shown = f"[{shown}]" if name == "header" else shown
            assert refuse(f"{flag}={value}", "www") == f"error: {message(name, shown, fault)}{USAGE}"


@pytest.mark.parametrize("name", OPTIONS)
def test_a_missing_or_a_second_value_on_the_command_line_is_told(name: str) -> None:
    """Only a switch needs no value, and only a field line may be there several times."""
    option = OPTIONS[name]
    flag = "--" + name.replace("_", "-")
    shown = f"{flag}{option.kind.placeholder}" if not option.kind.needs_value else f"{flag} {option.kind.placeholder}"
    if option.kind.needs_value:
        expected = f"error: a value is required for '{shown}' but none was supplied"
        assert refuse("www", flag).startswith(expected)
    if name != "header":
        word = option.uses[0].words[-1].rpartition("=")[2]
        twice = (f"{flag}={word}",) * 2 if option.kind.needs_value else (flag, flag)
        assert refuse(*twice, "www").startswith(f"error: the argument '{shown}' cannot be used multiple times")


def test_an_unknown_option_is_told(site: Site) -> None:
    """From Python with the list of all there are, from the command line with the one that is like it."""
    known = ", ".join(name for name, _, _ in pooled_httpd.options())
    for name in ("pool", "poolsize", "Port", "header_", "doc_root"):
        options: dict[str, Any] = {name: 1}
        with pytest.raises(pooled_httpd.OptionError) as caught:
            pooled_httpd.Server(site.root, **options)
        assert str(caught.value) == f"{name}: there is no such option; the options are {known}"
    assert refuse("--pool-siz=5", "www").startswith("error: unexpected argument '--pool-siz' found")
    assert "--pool-size" in refuse("--pool-siz=5", "www")
    assert refuse("--pool_size=5", "www").startswith("error: unexpected argument '--pool_size' found")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"buffer_size": 2048, "max_request_line": 1025},
            "max_request_line: 1025 is not allowed; with buffer_size 2048 it takes a whole number from 64 to 1024",
        ),
        (
            {"buffer_size": 2048, "header": "X-A: " + "b" * 954},
            "header: these field lines need a buffer_size of 2049 bytes; it is 2048",
        ),
        (
            {"header": ["X-A: " + "b" * 10_000, "X-B: " + "c" * 10_000]},
            "header: these field lines need a buffer_size of 21102 bytes; it is 16384",
        ),
        (
            {"max_request_line": 15_359, "header": "X: y"},
            "max_request_line: 15359 is not allowed; with buffer_size 16384 it takes a whole number from 64 to 15354",
        ),
        (
            {"buffer_size": 16_383, "status_path": "/status"},
            "status_path: the statistics need a buffer_size of 16384 bytes; it is 16383",
        ),
    ],
)
def test_options_that_contradict_each_other_are_told(site: Site, options: dict[str, Any], text: str) -> None:
    """In either order, from Python and on the command line."""
    for items in itertools.permutations(options.items()):
        with pytest.raises(pooled_httpd.OptionError) as caught:
            pooled_httpd.Server(site.root, **dict(items))
        assert str(caught.value) == text
        words = [
            f"--{name.replace('_', '-')}={word}"
            for name, value in items
            for word in (value if isinstance(value, list) else [value])
        ]
        assert refuse(*words, "www") == f"error: {text}{USAGE}"


def test_the_longest_field_line_that_is_taken_is_sent(site: Site) -> None:
    """At the limit every answer still has its whole head, with the smallest buffers that there are."""
    value = "b" * 949
    options: dict[str, Any] = {"buffer_size": 2048, "header": f"X-A: {value}", "cache_control": "xyz", "cors": "*"}
    preflight = ("Origin: https://a.example", "Access-Control-Request-Method: GET")
    with pooled_httpd.Server(site.root, **options) as server, Raw(server.port) as raw:
        for data, status in (
            (get("/a.txt"), 200),
            (get("/large"), 200),
            (get("/large", "Range: bytes=0-9"), 206),
            (get("/large", "Range: bytes=0-9,20-99999,200000-"), 206),
            (get("/a.txt", "If-None-Match: *"), 304),
            (get("/a.txt", "If-Match: x"), 412),
            (get("/a.txt", "Range: bytes=6-"), 416),
            (get("/nothing"), 404),
            (get("/dir?" + "q" * 40), 301),
            (get("/", *preflight, method="OPTIONS"), 204),
            (get("/", method="DELETE"), 405),
        ):
            response = raw.send(data).response()
            assert response.status == status
            assert response.fields["x-a"] == value
            if response.fields.get("content-type", "").startswith("multipart/"):
                assert [(part.first, part.last) for part in parts_of(response)] == [
                    (0, 9),
                    (20, 99_999),
                    (200_000, 319_999),
                ]
    assert_sound(server)


def test_every_option_is_in_this_table() -> None:
    """An option without a right use and a wrong one is not finished."""
    assert set(OPTIONS) == {name for name, _, _ in pooled_httpd.options()}
    for name, option in OPTIONS.items():
        assert option.uses, name
        assert option.kind.wrong, name
        assert option.kind.wrong_words, name


def test_help_tells_every_option() -> None:
    """Name, value, what it is for and its default stand together, for the program as for ``python -m pooled_httpd``."""
    if not PROGRAM.exists():
        pytest.skip("the program is not built: run it by `make test`")
    texts = []
    for command in ([str(PROGRAM)], [sys.executable, "-m", "pooled_httpd"]):
        done = subprocess.run([*command, "--help"], capture_output=True, timeout=PATIENCE, check=True, cwd=ROOT)
        assert done.stderr == b""
        texts.append(done.stdout.decode())
    assert texts[0] == texts[1]
    flat = " ".join(texts[0].split())
    for name, default, text in pooled_httpd.options():
        kind = OPTIONS[name].kind
        flag = f"--{name.replace('_', '-')}{' ' if kind.needs_value else ''}{kind.placeholder}"
        shown = default.partition(" (from Python")[0]
        assert f"{flag} {text} [default: {shown}]" in flat, name
