"""A start that fails: what was wrong in one line, and in another what to do about it."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pooled_httpd
import pytest
from support import PATIENCE, Program, Site, need
from terminal import built, environment

HERE = ("--host", "127.0.0.1")
Nobody = tuple[Site, Callable[..., list[str]]]
MISSING, NO_DIRECTORY = "No such file or directory (os error 2)", "Not a directory (os error 20)"
#: Runs a command as a user without rights, who still reaches what the tests made.
NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")


def refused(*words: str | Path, cwd: Path | None = None, limit: int | None = None) -> tuple[str, str]:
    """Start the program, which fails with status 1, and return its two lines without what is the same in all."""

    def lower() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    done = subprocess.run(
        [built(), *map(str, words)],
        env=environment({}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        preexec_fn=lower,
    )
    assert done.returncode == 1, done
    error, tip, *rest = done.stderr.split("\n")
    assert rest == [""], done.stderr
    assert error.startswith("httpserver: "), error
    assert tip.startswith("  tip: "), tip
    return error.removeprefix("httpserver: "), tip.removeprefix("  tip: ")


@pytest.fixture
def nobody() -> Iterator[Nobody]:
    """A site and a copy of the program that everybody reaches, and what runs it without rights."""
    wrapper = (need("setpriv"), *NOBODY) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        program = directory / "httpserver"
        shutil.copy(built(), program)

        def run(*words: str | Path) -> list[str]:
            command = [*wrapper, str(program), *HERE, *map(str, words)]
            done = subprocess.run(
                command, cwd="/", env=environment({}), capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            assert (done.returncode, done.stdout) == (1, "")
            return done.stderr.splitlines()

        yield Site(directory / "site"), run


def test_a_port_that_is_taken_is_told_with_who_has_it(site: Site) -> None:
    """The process by its number and name, for IPv4 and IPv6, and how to get another port."""
    other = "end that, or take another port: --port 0 takes any free one"
    with Program.start(site.root) as holding:
        for host in ("127.0.0.1", "0.0.0.0"):
            error, tip = refused("--host", host, str(holding.port), site.root)
            assert error == f"cannot listen on {host} port {holding.port}: Address already in use (os error 98)"
            assert tip == f"process {holding.process.pid} (httpserver) listens there; {other}"
        holding.finish()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        _, tip = refused("--host", "::1", str(port), site.root)
        assert tip.startswith(f"process {os.getpid()} (")


def test_a_port_of_another_user_is_told_with_how_to_find_out(nobody: Nobody) -> None:
    """Whoever may not see the process is told who may."""
    site, run = nobody
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(port, site.root) == [
            f"httpserver: cannot listen on 127.0.0.1 port {port}: Address already in use (os error 98)",
            f"  tip: as root, ss -ltnp 'sport = :{port}' shows who listens there; end that, or take another port: "
            "--port 0 takes any free one",
        ]


def test_a_port_that_needs_rights_is_told(nobody: Nobody) -> None:
    """The bound is this system's own."""
    site, run = nobody
    bound = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if bound <= 1:
        pytest.skip("every user may listen on every port here")
    assert run(bound - 1, site.root) == [
        f"httpserver: cannot listen on 127.0.0.1 port {bound - 1}: Permission denied (os error 13)",
        f"  tip: ports below {bound} need root, or the capability CAP_NET_BIND_SERVICE; take one from {bound} on, such "
        f"as --port {max(bound, 8080)}",
    ]


def test_a_root_that_may_not_be_read_is_told(nobody: Nobody) -> None:
    """How to find out which directory on the way forbids it."""
    site, run = nobody
    closed = site.root / "closed"
    closed.mkdir(mode=0o000)
    try:
        told = run("0", closed / "inner")
    finally:
        closed.chmod(0o755)
    assert told == [
        f'httpserver: docroot: "{closed}/inner" cannot be served: Permission denied (os error 13); it takes a readable '
        "directory",
        f'  tip: this user may not read it, or not pass a directory above it; namei -l "{closed}/inner" shows which',
    ]


def test_a_root_that_is_not_there_is_told_with_what_is(site: Site) -> None:
    """A directory of a similar name, or as much of the path as there is, or where it was looked for."""
    root = site.root
    for docroot, tip in (
        (f"{root}/Bear", f'there is a directory of a similar name: "{root}/bare"'),
        (f"{root}/dri", f'there is a directory of a similar name: "{root}/dir"'),
        (f"{root}/no/such", f'of this path only "{root}" is there'),
        (
            f"{root}/photographs",
            "there is none of a similar name either; httpserver alone serves the current directory",
        ),
        (
            "photographs",
            f'there is none of a similar name either in "{root}"; httpserver alone serves the current directory',
        ),
        ("bara", 'there is a directory of a similar name: "./bare"'),
        ("no/such", f'nothing of this path is there in "{root}"'),
        ("", "the current directory is ."),
    ):
        error, told = refused(*HERE, "0", docroot, cwd=root)
        assert error == f'docroot: "{docroot}" cannot be served: {MISSING}; it takes a readable directory'
        assert told == tip


def test_a_root_that_is_a_file_is_told_with_its_directory(site: Site) -> None:
    """The directory that it is in can be served."""
    for docroot, directory in ((f"{site.root}/a.txt", site.root), ("a.txt", Path("."))):
        error, tip = refused(*HERE, "0", docroot, cwd=site.root)
        assert error == f'docroot: "{docroot}" cannot be served: {NO_DIRECTORY}; it takes a readable directory'
        assert tip == f'this is a file; the directory that it is in can be served: httpserver "{directory}"'


def test_an_address_that_is_not_of_this_machine_is_told(site: Site) -> None:
    """That of another machine, and a name that can be none, so that no name server is asked."""
    error, tip = refused("--host", "192.0.2.1", "0", site.root)
    assert error == "cannot listen on 192.0.2.1 port 0: Cannot assign requested address (os error 99)"
    assert tip == (
        "no interface of this machine has that address, ip address lists those that there are; 0.0.0.0 is every "
        "address, 127.0.0.1 this machine only"
    )
    error, tip = refused("--host", "a..b", "0", site.root)
    assert error.startswith("cannot listen on a..b port 0: failed to lookup address information: ")
    assert tip.startswith("a name must be one that this machine can look up; 0.0.0.0 is every address")


@pytest.mark.parametrize("limit", [4, 8, 11])
def test_too_few_descriptors_are_told_with_how_many_it_takes(site: Site, limit: int) -> None:
    """However far the start came: the limit there is, and what would be enough."""
    error, tip = refused("--max-connections", "100", *HERE, "--port", "0", site.root, limit=limit)
    assert "Too many open files (os error 24)" in error
    assert tip == (
        f"this process may have {limit} descriptors; 100 connections can need 232: raise the limit (ulimit -Hn), or "
        "lower --max-connections"
    )


def test_a_limit_that_is_low_is_told_while_it_serves(site: Site) -> None:
    """Enough to start with, too few for all connections: the line says what to do."""
    prlimit = need("prlimit")
    with Program.start("--max-connections", "100", site.root, wrapper=(prlimit, "--nofile=64:64")) as program:
        assert program.finish() == 0
    assert (
        "[INFO] The limit of 64 descriptors is below the 232 that 100 connections can need; beyond it newcomers get a "
        "503: raise it (ulimit -n) or lower max_connections" in program.lines
    )


def test_the_same_error_is_plain_from_python(site: Site) -> None:
    """What to type is of the command line; Python's errors stay without it."""
    with pytest.raises(pooled_httpd.RootNotFoundError) as caught:
        pooled_httpd.Server(site.root / "no", port=0)
    assert "tip" not in str(caught.value)
