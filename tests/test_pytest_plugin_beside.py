"""The pytest plugin beside other plugins."""

from __future__ import annotations

import re

from inner_pytest import RunPytest, output

pytest_plugins = ["pytester"]


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

@pytest.mark.parametrize("turn", range(50))
def test_factory(pooled_httpd_factory, turn):
    barrier.wait(10)
    server = pooled_httpd_factory()
    assert status(server.url) == 404
    server.expect_stats(total_requests=1)
""",
        "--parallel-threads=4",
        plugins=("run-parallel",),
    )
    result.assert_outcomes(passed=51)


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
