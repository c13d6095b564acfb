"""The pytest plugin's checks after a test: connections that are left open, and invariants."""

from __future__ import annotations

import pytest
from inner_pytest import RunPytest, output

pytest_plugins = ["pytester"]


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
        text.count("1 connection is still open: a client has not been closed (or set pooled_httpd_leaks = ignore,") == 1
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


def test_a_marker_says_what_a_leak_is(run: RunPytest) -> None:
    """For a test, a class or a module, whatever the setting is; a wrong one is an error."""
    result = run(
        """
import socket
kept = []

def leak(httpd):
    kept.append(socket.create_connection(("127.0.0.1", httpd.port)))
    httpd.expect_stats(total_connections=1, timeout=10)

@pytest.mark.pooled_httpd_leaks("error")
def test_error(pooled_httpd):
    leak(pooled_httpd)

def test_ignored(pooled_httpd):
    leak(pooled_httpd)

@pytest.mark.pooled_httpd_leaks("ignore")
class TestAll:
    def test_ignored(self, pooled_httpd):
        leak(pooled_httpd)

@pytest.mark.pooled_httpd_leaks("warn")
def test_wrong(pooled_httpd):
    pass
""",
        "--strict-markers",
        "-o",
        "pooled_httpd_leaks=ignore",
    )
    result.assert_outcomes(passed=4, errors=2)
    assert "1 connection is still open" in output(result)
    assert "@pytest.mark.pooled_httpd_leaks takes one of 'error' and 'ignore'" in output(result)


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


def test_a_violated_invariant_of_the_sessions_server_is_told_at_its_end(run: RunPytest) -> None:
    """Of a server that no test gave back to be checked."""
    result = run("""
from types import SimpleNamespace

def test_it(pooled_httpd_session):
    pooled_httpd_session.stats = lambda: SimpleNamespace(invariant_violations=5)
""")
    result.assert_outcomes(passed=1, errors=1)
    assert "5 invariants were violated" in output(result)


#: Whether somebody listens there still; a server that has been destroyed does not.
LISTENS = """
import os, shutil, socket
ports = []

def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True
"""


def test_a_root_for_each_test_does_not_keep_each_server(run: RunPytest) -> None:
    """Few are kept that nobody uses; the session's is."""
    result = run(
        LISTENS
        + """
@pytest.fixture
def pooled_httpd_root(tmp_path):
    return tmp_path

@pytest.fixture(scope="session")
def shared(tmp_path_factory, _pooled_httpd_servers):
    return _pooled_httpd_servers.get(tmp_path_factory.mktemp("shared"), {}, keep=True)

@pytest.mark.parametrize("turn", range(12))
def test_it(shared, pooled_httpd, turn):
    assert shared.is_running
    pooled_httpd.write("a", str(turn))
    with urllib.request.urlopen(pooled_httpd.url_for("a"), timeout=10) as response:
        assert response.read() == str(turn).encode()
    ports.append(pooled_httpd.port)
    assert [listens(port) for port in ports] == [index > turn - 4 for index in range(turn + 1)]
"""
    )
    result.assert_outcomes(passed=12)


def test_a_root_that_is_gone_costs_one_test_and_no_server(run: RunPytest) -> None:
    """Only the plugin's own root is made anew; who brings another and removes it is told, and can bring it back."""
    result = run(
        LISTENS
        + """
@pytest.fixture(scope="session")
def pooled_httpd_root(tmp_path_factory):
    return tmp_path_factory.mktemp("own")

def test_removes(pooled_httpd):
    ports.append(pooled_httpd.port)
    shutil.rmtree(pooled_httpd.docroot)

def test_finds_none(pooled_httpd):
    pass

def test_brings_it_back(pooled_httpd_root):
    pooled_httpd_root.mkdir()

def test_serves_it(pooled_httpd):
    assert status(pooled_httpd.url_for("a")) == 404
    # The new one may have been given the very port.
    assert pooled_httpd.port == ports[0] or not listens(ports[0])
"""
    )
    result.assert_outcomes(passed=3, errors=1)
    assert "FileNotFoundError" in output(result)
