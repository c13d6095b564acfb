"""Whole runs of pytest in processes of their own, for the tests of the plugin."""

from __future__ import annotations

import pytest


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
