"""The pytest plugin: whole runs of pytest in processes of their own, one for each of its promises."""

from __future__ import annotations

import re

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Return a function that runs pytest on one module, with only the plugins that it names beside ours."""
    # What the outer run is told is not for the inner one.
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("POOLED_HTTPD_NO_SKIPS", raising=False)
    return RunPytest(pytester)


class RunPytest:
    """Runs pytest in a process."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        """Take the directory."""
        self.pytester = pytester

    def __call__(self, module: str, *arguments: str, plugins: tuple[str, ...] = (), **files: str) -> pytest.RunResult:
        """Run it on a module and on further files by their names."""
        others = {"xdist", "run-parallel", "asyncio", "pytest_httpserver", "hypothesispytest", "playwright", "anyio"}
        without = [part for name in sorted(others - set(plugins)) for part in ("-p", f"no:{name}")]
        self.pytester.makepyfile(test_inner=f"{CLIENT}\n{module}", **files)
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", *without, *arguments, timeout=100)


#: A client without any connection that is kept.
CLIENT = """
import sys, threading, time, urllib.request, urllib.error
import pytest

def status(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
"""


def output(result: pytest.RunResult) -> str:
    """What it wrote."""
    return result.stdout.str()


def test_nothing_is_imported_until_a_fixture_is_used(run: RunPytest) -> None:
    """A run that uses none never loads the package; one that does, does."""
    result = run("""
def test_without():
    assert not [name for name in sys.modules if name == "pooled_httpd" or name.startswith("pooled_httpd.")]
    assert "pooled_httpd_pytest" in sys.modules

def test_with(pooled_httpd):
    assert "pooled_httpd._native" in sys.modules
    assert "pooled_httpd.asynchronous" not in sys.modules
    assert not [name for name in sys.modules if name.startswith("pooled_httpd.attack")]
""")
    result.assert_outcomes(passed=2)


def test_each_test_has_the_same_server_as_good_as_new(run: RunPytest) -> None:
    """The port stays; files, answers, statistics, requests, story and numbers begin anew."""
    result = run("""
import os
ports = set()

@pytest.mark.parametrize("turn", range(3))
def test_it(pooled_httpd, turn):
    ports.add(pooled_httpd.port)
    assert len(ports) == 1
    assert os.listdir(pooled_httpd.docroot) == []
    stats = pooled_httpd.stats()
    assert (stats.total_requests, stats.total_connections, stats.responses, stats.bytes_sent) == (0, 0, {}, 0)
    assert (pooled_httpd.requests(), pooled_httpd.story()) == ([], "")
    for path in ("file", "deep/er/file", ".hidden"):
        assert status(pooled_httpd.url_for(path)) == 404
        pooled_httpd.write(path, "x")
    os.symlink("/", pooled_httpd.docroot + "/link")
    pooled_httpd.respond("/api", status=503)
    assert status(pooled_httpd.url_for("api")) == 503
    assert status(pooled_httpd.url_for("deep/er/file")) == 200
    assert [got.connection for got in pooled_httpd.requests()] == [0, 1, 2, 3, 4]
""")
    result.assert_outcomes(passed=3)


def test_a_passing_test_has_no_report_and_a_failing_one_has_all(run: RunPytest) -> None:
    """Requests, story and statistics of that test and no other, with each of its servers."""
    result = run("""
def test_passes(pooled_httpd):
    status(pooled_httpd.url_for("passed"))

def test_fails(pooled_httpd, pooled_httpd_factory):
    other = pooled_httpd_factory()
    status(pooled_httpd.url_for("failed"))
    status(other.url_for("other"))
    assert 1 == 2

@pytest.fixture
def broken(pooled_httpd):
    status(pooled_httpd.url_for("in-setup"))
    raise ValueError("in setup")

def test_setup(broken):
    pass

def test_unused():
    assert 3 == 4
""")
    result.assert_outcomes(passed=1, failed=2, errors=1)
    text = output(result)
    assert "/passed" not in text
    for path in ("failed", "other", "in-setup"):
        assert text.count(f"GET /{path} -> 404, 14 bytes sent, ") == 1
        assert text.count(f"Parsed: GET /{path} HTTP/1.1") == 1
    assert len(re.findall(r"pooled_httpd at http://127\.0\.0\.1:\d+: statistics", text)) == 3
    assert text.count("Total requests served: 1\n") == 3
    assert "pooled_httpd" not in text.partition("test_unused ")[2].partition("short test summary")[0]


def test_whatever_a_test_does_to_its_server_the_next_one_finds_it_as_good_as_new(run: RunPytest) -> None:
    """Records switched off, a drain, a root that is gone, a stop: none of it is seen afterwards."""
    result = run("""
import shutil

def use(server):
    server.write("a", "x")
    assert status(server.url_for("a")) == 200
    assert [request.path for request in server.requests()] == ["/a"]
    assert "Parsed: GET /a" in server.story()

@pytest.mark.parametrize("harm", [
    lambda server: server.record_requests(0),
    lambda server: server.keep_story(0),
    lambda server: server.drain(),
    lambda server: shutil.rmtree(server.docroot),
    lambda server: server.stop(),
    lambda server: None,
])
def test_it(pooled_httpd, harm):
    use(pooled_httpd)
    harm(pooled_httpd)

def test_fails_without_a_record(pooled_httpd):
    pooled_httpd.record_requests(0)
    assert 1 == 2
""")
    result.assert_outcomes(passed=6, failed=1)
    text = output(result)
    assert "requests are not recorded" in text
    assert "Total requests served: 0" in text


def test_a_connection_that_is_left_open_is_an_error(run: RunPytest) -> None:
    """With its story; the next test is not troubled by it; a failed test is not told twice."""
    module = """
import socket
kept = []

def connect(server):
    kept.append(socket.create_connection(("127.0.0.1", server.port)))
    kept[-1].sendall(b"GET /kept HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    kept[-1].recv(1000)

def test_leaks(pooled_httpd):
    connect(pooled_httpd)

def test_next(pooled_httpd):
    assert pooled_httpd.open_connections == 0

def test_leaks_two_of_its_own(pooled_httpd_factory):
    server = pooled_httpd_factory()
    connect(server)
    connect(server)

def test_fails(pooled_httpd):
    connect(pooled_httpd)
    assert 1 == 2
"""
    result = run(module)
    result.assert_outcomes(passed=3, failed=1, errors=2)
    # Where CI is set, the summary repeats each error in full.
    text = output(result).partition("short test summary")[0]
    assert (
        text.count("1 connection is still open: a client has not been closed (or set pooled_httpd_leaks = ignore)") == 1
    )
    assert text.count("2 connections are still open: a client has not been closed") == 1
    assert "[CONN 0] Parsed: GET /kept HTTP/1.1" in text
    run(module, "-o", "pooled_httpd_leaks=ignore").assert_outcomes(passed=3, failed=1)


def test_a_test_that_does_not_come_to_its_end_leaks_nothing(run: RunPytest) -> None:
    """Expected to fail, skipped on the way, failed or passed where it must not: none becomes an error besides."""
    result = run("""
import socket
kept = []

@pytest.fixture
def leak(pooled_httpd):
    kept.append(socket.create_connection(("127.0.0.1", pooled_httpd.port)))
    kept[-1].sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    kept[-1].recv(1000)

@pytest.mark.xfail
def test_marked(leak):
    assert 1 == 2

@pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
def test_marked_strictly(leak):
    1 / 0

def test_said(leak):
    pytest.xfail("it is not done")

def test_skipped(leak):
    pytest.skip("it cannot be done here")

@pytest.fixture
def skipping(leak):
    pytest.skip("nor this")

def test_skipped_before_it_began(skipping):
    pass

@pytest.mark.xfail(strict=True)
def test_passed_where_it_must_not(leak):
    pass
""")
    result.assert_outcomes(xfailed=3, skipped=2, failed=1)


def test_what_is_run_again_begins_anew(run: RunPytest) -> None:
    """As pytest-rerunfailures does it: a leak of the second turn is one, and its report has its own servers."""
    result = run(
        """
import socket
kept = []

def test_passes_and_leaks_the_second_time(pooled_httpd):
    kept.append(socket.create_connection(("127.0.0.1", pooled_httpd.port)))
    kept[-1].sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    kept[-1].recv(1000)
    assert len(kept) == 2

def test_fails_twice(pooled_httpd, pooled_httpd_factory):
    pooled_httpd_factory()
    assert 1 == 2
""",
        conftest="""
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    runtestprotocol(item, nextitem=nextitem, log=False)
    item._initrequest()
""",
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)
    text = output(result)
    assert "ERROR at teardown of test_passes_and_leaks_the_second_time" in text
    assert text.count(": statistics -") == 2
    assert "the server has been destroyed" not in text


def test_a_client_that_an_exception_holds_is_no_leak(run: RunPytest) -> None:
    """Caught in a circle, or logged: a session that was closed is closed."""
    result = run("""
import requests
from requests.adapters import HTTPAdapter
from pooled_httpd.faults import Close
from urllib3.util import Retry

def test_caught(pooled_httpd):
    pooled_httpd.respond("/broken", fault=Close())
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.ConnectionError):
            session.get(pooled_httpd.url_for("/broken"))
        session.get(pooled_httpd.url_for("/"))

def test_logged(pooled_httpd):
    pooled_httpd.respond("/broken", fault=Close(), times=1)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(max_retries=Retry(2)))
        session.get(pooled_httpd.url_for("/broken"))
""")
    result.assert_outcomes(passed=2)
    run("def test_it(pooled_httpd):\n    status(pooled_httpd.url)", "-p", "no:logging").assert_outcomes(passed=1)


def test_a_wrong_setting_is_an_error_of_usage(run: RunPytest) -> None:
    """It names the setting, the value and what would be right."""
    result = run("def test_it(): pass", "-o", "pooled_httpd_leaks=warn")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "pooled_httpd_leaks: 'warn' is neither 'error' nor 'ignore'" in result.stderr.str()


def test_a_violated_invariant_is_an_error(run: RunPytest) -> None:
    """Of a test that passed, of the session's server and of one of its own."""
    result = run(
        """
from types import SimpleNamespace

def test_session(pooled_httpd, monkeypatch):
    monkeypatch.setattr(type(pooled_httpd), "stats", lambda self: SimpleNamespace(invariant_violations=3))
    pooled_httpd.reset()

def test_own(pooled_httpd_factory):
    server = pooled_httpd_factory()
    server.stats = lambda: SimpleNamespace(invariant_violations=4)

def test_none(pooled_httpd):
    pass
""".replace("def test_session(pooled_httpd, monkeypatch)", "def test_session(monkeypatch, pooled_httpd)")
    )
    result.assert_outcomes(passed=3, errors=2)
    assert "3 invariants were violated" in output(result)
    assert "4 invariants were violated" in output(result)


def test_options_are_overridden_at_every_level(run: RunPytest) -> None:
    """conftest, module and class; each set of options has one server, and the session's comes back."""
    result = run(
        """
ports = {}

def is_listed(server):
    return status(server.url) == 200

def test_first(pooled_httpd, pooled_httpd_session):
    assert pooled_httpd is pooled_httpd_session
    ports["conftest"] = pooled_httpd.port
    assert is_listed(pooled_httpd)
    assert status(pooled_httpd.url_for("/.hidden")) == 404

class TestClass:
    @pytest.fixture(scope="class")
    def pooled_httpd_options(self):
        return {"hidden": True}

    def test_other(self, pooled_httpd):
        ports["class"] = pooled_httpd.port
        assert not is_listed(pooled_httpd)
        pooled_httpd.write(".hidden", "x")
        assert status(pooled_httpd.url_for("/.hidden")) == 200

    def test_other_again(self, pooled_httpd):
        assert pooled_httpd.port == ports["class"] != ports["conftest"]
        assert status(pooled_httpd.url_for("/.hidden")) == 404

class TestExtended:
    @pytest.fixture
    def pooled_httpd_options(self, pooled_httpd_options):
        return pooled_httpd_options | {"hidden": True}

    def test_both(self, pooled_httpd):
        pooled_httpd.write(".hidden", "x")
        assert is_listed(pooled_httpd)
        assert status(pooled_httpd.url_for("/.hidden")) == 200

def test_last(pooled_httpd):
    assert pooled_httpd.port == ports["conftest"]
""",
        conftest="""
import pytest

@pytest.fixture(scope="session")
def pooled_httpd_options():
    return {"listing": True}
""",
        test_module="""
import pytest, urllib.request

@pytest.fixture(scope="module")
def pooled_httpd_options():
    return {"header": {"X-Module": "1"}, "max_connections": 5}

def test_module(pooled_httpd):
    pooled_httpd.write("a", "x")
    with urllib.request.urlopen(pooled_httpd.url_for("a")) as response:
        assert response.headers["X-Module"] == "1"
""",
    )
    result.assert_outcomes(passed=6)


def test_a_wrong_option_is_told(run: RunPytest) -> None:
    """The error of the server itself, in the set-up of the test."""
    result = run("""
@pytest.fixture
def pooled_httpd_options():
    return {"pool_size": 1}

def test_it(pooled_httpd):
    pass
""")
    result.assert_outcomes(errors=1)
    assert "pool_size: 1 is not allowed; it takes a whole number from 256 to 16777216" in output(result)


def test_a_root_of_ones_own_is_not_emptied(run: RunPytest) -> None:
    """Whatever is in it stays, also what tests write."""
    result = run(
        """
from pathlib import Path

@pytest.fixture(scope="session")
def pooled_httpd_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("mine")
    (root / "mine").write_text("mine")
    return root

@pytest.mark.parametrize("turn", range(2))
def test_it(pooled_httpd, pooled_httpd_root, turn):
    assert Path(pooled_httpd.docroot) == pooled_httpd_root
    assert status(pooled_httpd.url_for("mine")) == 200
    assert status(pooled_httpd.url_for("written")) == (200 if turn else 404)
    pooled_httpd.write("written", "x")

class TestText:
    @pytest.fixture
    def pooled_httpd_root(self, pooled_httpd_root):
        return str(pooled_httpd_root)

    def test_it(self, pooled_httpd):
        assert status(pooled_httpd.url_for("mine")) == 200
"""
    )
    result.assert_outcomes(passed=3)


def test_servers_of_the_factory_end_with_their_test(run: RunPytest) -> None:
    """Threads and descriptors are given back; those that a test has stopped, reset or destroyed are no trouble."""
    result = run("""
import os
made = []

def counts():
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

def test_before():
    made.append(counts())

def test_many(pooled_httpd_factory, tmp_path):
    (tmp_path / "a").write_text("x")
    servers = [pooled_httpd_factory(), pooled_httpd_factory(listing=True), pooled_httpd_factory(tmp_path)]
    assert [status(server.url) for server in servers] == [404, 200, 404]
    assert status(servers[2].url_for("a")) == 200
    assert len({server.port for server in servers}) == 3
    assert servers[0].requests()[0].path == "/"
    made.extend(servers)

def test_ended(pooled_httpd_factory):
    stopped, destroyed, reset = (pooled_httpd_factory() for _ in range(3))
    stopped.stop()
    destroyed.destroy()
    reset.reset()

def test_ended_and_failed(pooled_httpd_factory):
    pooled_httpd_factory().destroy()
    assert 1 == 2

def test_after():
    deadline = time.monotonic() + 10
    while counts() > made[0] and time.monotonic() < deadline:
        time.sleep(0.001)
    assert counts() <= made[0]
    for server in made[1:]:
        with pytest.raises(RuntimeError, match="destroyed"):
            server.stats()
""")
    result.assert_outcomes(passed=4, failed=1)
    assert "the server has been destroyed" in output(result)


def test_a_server_that_a_test_has_stopped_is_replaced(run: RunPytest) -> None:
    """For the next test there is another one."""
    result = run("""
def test_stops(pooled_httpd):
    pooled_httpd.stop()

def test_destroys(pooled_httpd):
    assert status(pooled_httpd.url) == 404
    pooled_httpd.destroy()

def test_next(pooled_httpd):
    assert status(pooled_httpd.url) == 404
""")
    result.assert_outcomes(passed=3)


def test_nothing_of_the_session_is_left(run: RunPytest) -> None:
    """After the last test the server has ended, before pytest does."""
    result = run(
        "def test_it(pooled_httpd):\n    assert status(pooled_httpd.url) == 404",
        "-s",
        conftest="""
import os, time

def names():
    return sorted(open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task"))

def pytest_unconfigure():
    # One that closes what watches directories lasts for some milliseconds.
    deadline = time.monotonic() + 10
    while (left := [name for name in names() if name.startswith("pooled")]) and time.monotonic() < deadline:
        time.sleep(0.001)
    print("THREADS", left)
""",
    )
    result.assert_outcomes(passed=1)
    assert "THREADS []" in output(result)


def test_under_xdist_each_worker_has_a_server(run: RunPytest) -> None:
    """Two processes, two servers and two roots, and no clash."""
    result = run(
        """
import os

@pytest.mark.parametrize("turn", range(20))
def test_it(pooled_httpd, turn):
    assert os.listdir(pooled_httpd.docroot) == []
    pooled_httpd.write("a", str(turn))
    with urllib.request.urlopen(pooled_httpd.url_for("a")) as response:
        assert response.read().decode() == str(turn)
    pooled_httpd.expect_stats(total_requests=1)
    print("SERVER", os.getpid(), pooled_httpd.port, pooled_httpd.docroot)
    time.sleep(0.01)
""",
        "-n2",
        "-rP",
        plugins=("xdist",),
    )
    result.assert_outcomes(passed=20)
    servers = set(re.findall(r"^SERVER (\d+) (\d+) (\S+)", output(result), re.M))
    assert len(servers) == 2
    assert all(len(part) == 2 for part in map(set, zip(*servers, strict=True)))


def test_with_hypothesis(run: RunPytest) -> None:
    """The session's server, reset for each example; the function's is refused by Hypothesis's own health check."""
    result = run(
        """
from hypothesis import given, settings, strategies

@settings(max_examples=30, deadline=None, database=None)
@given(strategies.binary(max_size=500), strategies.integers(200, 599).filter(lambda code: code not in (204, 304)))
def test_it(pooled_httpd_session, content, code):
    pooled_httpd_session.reset()
    pooled_httpd_session.respond("/a", status=code, content=content, headers={"Location": "/b"})
    assert status(pooled_httpd_session.url_for("/a")) in (code, 404)
    assert pooled_httpd_session.requests()[0].status == code

@settings(database=None)
@given(strategies.none())
def test_refused(pooled_httpd, none):
    pass
""",
        plugins=("hypothesispytest",),
    )
    result.assert_outcomes(passed=1, failed=1)
    assert "function_scoped_fixture" in output(result) or "function-scoped fixture" in output(result)


def test_with_run_parallel(run: RunPytest) -> None:
    """One test in four threads at once: the server is theirs together."""
    result = run(
        """
barrier = threading.Barrier(4)
lock = threading.Lock()
asked = []

def test_it(pooled_httpd):
    barrier.wait(10)
    path = f"/{threading.get_ident()}"
    pooled_httpd.respond(path, status=202)
    assert status(pooled_httpd.url_for(path)) == 202
    assert len(pooled_httpd.requests(path=path)) == 1
    with lock:
        asked.append(pooled_httpd.port)
    barrier.wait(10)
    assert pooled_httpd.wait_for(4, timeout=10)
    assert (len(asked), len(set(asked))) == (4, 1)

def test_factory(pooled_httpd_factory):
    server = pooled_httpd_factory()
    assert status(server.url) == 404
    server.expect_stats(total_requests=1)
""",
        "--parallel-threads=4",
        plugins=("run-parallel",),
    )
    result.assert_outcomes(passed=2)


def test_with_pytest_asyncio(run: RunPytest) -> None:
    """The fixture in a coroutine, and what waits awaited."""
    result = run(
        """
import asyncio

@pytest.mark.asyncio
async def test_it(pooled_httpd):
    server = pooled_httpd.asynchronous()
    server.respond("/late", delay=0.05, content=b"late")
    asking = asyncio.create_task(asyncio.to_thread(status, server.url_for("/late")))
    (got,) = await server.wait_for(1)
    assert (got.path, await asking) == ("/late", 200)
""",
        plugins=("asyncio",),
    )
    result.assert_outcomes(passed=1)


def test_beside_pytest_httpserver(run: RunPytest) -> None:
    """No fixture has a name that is another plugin's."""
    result = run(
        """
def test_it(httpserver, pooled_httpd):
    httpserver.expect_request("/a").respond_with_data("theirs")
    pooled_httpd.respond("/a", content="ours")
    for server, text in ((httpserver, b"theirs"), (pooled_httpd, b"ours")):
        with urllib.request.urlopen(server.url_for("/a")) as response:
            assert response.read() == text
""",
        plugins=("pytest_httpserver",),
    )
    result.assert_outcomes(passed=1)


def test_the_fixtures_are_listed_with_what_they_are(run: RunPytest) -> None:
    """``pytest --fixtures`` tells of each in a line."""
    result = run("def test_it(): pass", "--fixtures")
    text = output(result)
    for name, told in (
        ("pooled_httpd", "A running server, as good as new"),
        ("pooled_httpd_session", "One running server for the whole session"),
        ("pooled_httpd_factory", "A function that starts a server of its own"),
        ("pooled_httpd_options", "Options of the server, to be overridden"),
        ("pooled_httpd_root", "The document root, to be overridden"),
    ):
        assert re.search(rf"^{name}\b.*\n    {told}", text, re.M), name
