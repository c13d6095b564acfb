"""Fixtures: a server for each test, a document root, a disk, and the rule that skips are failures in CI."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pooled_httpd
import pytest
from hypothesis import Phase, settings
from inner_pytest import run  # noqa: F401 - a fixture
from playwright.sync_api import Browser, sync_playwright
from support import ROOT, Site, eventually, need, open_descriptors, threads, threads_left
from urllib3_pools import manager, pool  # noqa: F401 - fixtures

# For whoever only wants to know whether a test fails: `--hypothesis-profile "no shrinking"`.
settings.register_profile("no shrinking", phases=(Phase.explicit, Phase.generate))


def pytest_configure() -> None:
    """Take Ctrl+C and Ctrl+\\ back, which are ignored in the background of a script: programs inherit that."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the file that takes longest first, so that none of several processes has it for the end."""
    items.sort(key=lambda item: item.path.name != "test_planted.py")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn skips into failures where POOLED_HTTPD_NO_SKIPS is set: there everything must be installed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("POOLED_HTTPD_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves a descriptor or a thread behind."""
    session: pooled_httpd.Server | None = None
    if "pooled_httpd_session" in request.fixturenames or "pooled_httpd" in request.fixturenames:
        # It lives as long as the session, from its first use on.
        session = request.getfixturevalue("pooled_httpd_session")
    descriptors, before = open_descriptors(), len(threads())
    yield
    if session is not None:
        # A registered delay goes on when its client has gone.
        session.reset()
    if open_descriptors() > descriptors:
        # An exception holds on to its client, in a circle.
        gc.collect()
    assert len(left := threads_left(before)) <= before, left
    # The end of a client may be still to be seen by a server that lives on.
    eventually(lambda: open_descriptors() <= descriptors, "a descriptor is left")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A document root with a few known files, to be changed at will."""
    return Site(tmp_path / "site")


@pytest.fixture
def server(site: Site) -> Iterator[pooled_httpd.Server]:
    """A running server of ``site`` with the default options; afterwards its invariants must have held."""
    with pooled_httpd.Server(site.root) as running:
        yield running
    assert_sound(running)


@pytest.fixture
def httpd(pooled_httpd: pooled_httpd.Server) -> Iterator[pooled_httpd.Server]:
    """The fixture's server, which must not have taken memory for anything."""
    yield pooled_httpd
    stats = pooled_httpd.stats()
    assert (stats.malloc_calls, stats.free_calls, stats.heap_bytes, stats.invariant_violations) == (0, 0, 0, 0)


@pytest.fixture
def www() -> Iterator[pooled_httpd.Server]:
    """A running server of the site in ``www``."""
    with pooled_httpd.Server(ROOT / "www") as running:
        yield running
    assert_sound(running)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium, without a window."""
    path = need("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def mount() -> Iterator[Callable[[Path], None]]:
    """Return a function that mounts an empty tmpfs; afterwards nothing of it is left."""
    mounted: list[Path] = []

    def on(path: Path) -> None:
        command = [need("mount"), "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr}")
        mounted.append(path)

    yield on
    for path in reversed(mounted):
        while os.path.ismount(path):
            subprocess.run([need("umount"), "--lazy", str(path)], check=True, timeout=60)


def assert_sound(server: pooled_httpd.Server) -> None:
    """Assert what must hold after every test: no violation, no heap call, no connection, sums that add up."""
    stats = server.stats()
    assert stats.invariant_violations == 0
    assert (stats.malloc_calls, stats.free_calls, stats.heap_bytes) == (0, 0, 0)
    assert stats.active_connections == 0
    assert sum(stats.responses.values()) == stats.total_requests
