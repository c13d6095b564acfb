"""The pytest plugin: whole runs of pytest in processes of their own, one for each of its promises."""

from __future__ import annotations

import re

from inner_pytest import RunPytest, output

pytest_plugins = ["pytester"]


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

def test_shared(pooled_httpd_session):
    pooled_httpd_session.reset()
    status(pooled_httpd_session.url_for("shared"))
    assert 2 == 3

def test_unused():
    assert 3 == 4
""")
    result.assert_outcomes(passed=1, failed=3, errors=1)
    text = output(result)
    assert "/passed" not in text
    for path in ("failed", "other", "in-setup", "shared"):
        assert text.count(f"GET /{path} -> 404, 14 bytes sent, ") == 1
        assert text.count(f"Parsed: GET /{path} HTTP/1.1") == 1
    assert len(re.findall(r"pooled_httpd at http://127\.0\.0\.1:\d+: statistics", text)) == 4
    assert text.count("Total requests served: 1\n") == 4
    assert "pooled_httpd" not in text.partition("test_unused ")[2].partition("short test summary")[0]


def test_whatever_a_test_does_to_its_server_the_next_one_finds_it_as_good_as_new(run: RunPytest) -> None:
    """Records switched off or short, a drain, a root that is gone, a stop: none of it is seen afterwards."""
    result = run("""
import shutil

def use(server):
    server.write("a", "x")
    assert status(server.url_for("a")) == 200
    assert [request.path for request in server.requests()] == ["/a"]
    assert "Parsed: GET /a" in server.story()
    for _ in range(8):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(server.url_for("b"), data=b"x" * 16_000).close()
    assert server.requests_forgotten == 0

@pytest.mark.parametrize("harm", [
    lambda server: server.record_requests(0),
    lambda server: server.record_requests(1 << 16),
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
    result.assert_outcomes(passed=7, failed=1)
    text = output(result)
    assert "requests are not recorded" in text
    assert "Total requests served: 0" in text


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

def name(task):
    try:
        return open(f"/proc/self/task/{task}/comm").read().strip()
    except OSError:
        return "ended meanwhile"

def pytest_unconfigure():
    # One that closes what watches directories lasts for some milliseconds.
    deadline = time.monotonic() + 10
    names = lambda: map(name, os.listdir("/proc/self/task"))
    while (left := [it for it in names() if it.startswith("pooled")]) and time.monotonic() < deadline:
        time.sleep(0.001)
    print("THREADS", left)
""",
    )
    result.assert_outcomes(passed=1)
    assert "THREADS []" in output(result)


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
