"""The pytest plugin of pooled_httpd: a real HTTP server in a fixture.

    def test_retries(pooled_httpd):
        pooled_httpd.respond("/api", status=503, times=2)
        pooled_httpd.write("api", "hello")
        assert my_client(pooled_httpd.url_for("/api")) == "hello"
        pooled_httpd.expect_stats(responses={503: 2, 200: 1})

pytest loads this at every start, so it is a package of its own and imports nothing of ``pooled_httpd`` until a fixture
is used.
"""

from __future__ import annotations

import gc
import os
import shutil
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import FrameType

    from pooled_httpd import Server

    #: What ``pooled_httpd_factory`` is: called with a document root, or with none, and options.
    ServerFactory = Callable[..., Server]

#: How long the end of a connection may take to be seen, in seconds.
_PATIENCE = 1.0
#: The most lines of the story that a report shows.
_SHOWN_LINES = 200
_SHOWN_REQUESTS = 50
#: How many servers are kept for tests to come; each has its threads, descriptors and memory.
_UNUSED_SERVERS = 4
#: In how much memory requests are recorded, in bytes: what ``record_requests()`` takes by itself.
_RECORD_BYTES = 1 << 20

_LEAKS = "pooled_httpd_leaks"
_LEAKS_ARE = ("error", "ignore")
_SERVERS = pytest.StashKey["list[Server]"]()
_OWN_ROOT = pytest.StashKey[Path]()
_LOG = pytest.StashKey[pytest.LogCaptureFixture]()
_WAS_CUT_SHORT = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting of the plugin."""
    parser.addini(
        _LEAKS,
        "what a connection that a passed test leaves open is: an error, or nothing to speak of (ignore)",
        default="error",
    )


def pytest_load_initial_conftests(early_config: pytest.Config, args: Sequence[str]) -> None:
    """Load the attack kit's plugin, so that its options are known, where an argument names the kit.

    ``pytest --pyargs pooled_httpd.attack --target host:port``
    """
    if any(str(argument).startswith("pooled_httpd.attack") for argument in args):
        early_config.pluginmanager.import_plugin("pooled_httpd.attack.plugin")


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker; refuse a setting that there is not."""
    config.addinivalue_line(
        "markers", f'{_LEAKS}(what): "error" or "ignore", for what a test leaves open, whatever the setting is'
    )
    if config.getini(_LEAKS) not in _LEAKS_ARE:
        raise pytest.UsageError(f"{_LEAKS}: {config.getini(_LEAKS)!r} is neither 'error' nor 'ignore'")


def _leaks_are(item: pytest.Item) -> str:
    """Return what a leak of this test is: what its marker says, or the setting."""
    marker = item.get_closest_marker(_LEAKS)
    if marker is None:
        setting: str = item.config.getini(_LEAKS)
        return setting
    if len(marker.args) != 1 or marker.args[0] not in _LEAKS_ARE or marker.kwargs:
        pytest.fail(f"@pytest.mark.{_LEAKS} takes one of 'error' and 'ignore'", pytrace=False)
    what: str = marker.args[0]
    return what


class _Servers:
    """The servers of a session: one for each document root with each set of options, started where it is first used.

    Where a root is made anew for each test, so is its server: few are kept that nobody uses.
    """

    def __init__(self) -> None:
        #: Each with the number of the directory that it has open; who was asked for last is the last.
        self._servers: dict[str, tuple[Server, int]] = {}
        #: Those that the session has, which last as long as it does.
        self._kept: set[str] = set()

    def get(self, root: str | os.PathLike[str], options: Mapping[str, Any], *, keep: bool = False) -> Server:
        """Return a server that runs; it does until others have been asked for, or is kept to the end."""
        key = repr((os.fspath(root), sorted(options.items())))
        server, number = self._servers.get(key, (None, 0))
        # Neither a stop nor a drain can be taken back, nor a root that is another one by now.
        if server is None or not _runs(server) or server._drains or os.stat(root).st_ino != number:
            if server is not None:
                server.destroy()
            server = _start(root, options)
        self._servers.pop(key, None)
        self._servers[key] = server, os.stat(root).st_ino
        if keep:
            self._kept.add(key)
        unused = [other for other in self._servers if other not in self._kept]
        for other in unused[:-_UNUSED_SERVERS]:
            self._servers.pop(other)[0].destroy()
        return server

    def stop(self) -> None:
        for server, _ in self._servers.values():
            server.destroy()


def _start(root: str | os.PathLike[str], options: Mapping[str, Any]) -> Server:
    from pooled_httpd import Server

    server = Server(root, **options)
    _keep_all(server)
    server.start()
    return server


def _keep_all(server: Server) -> None:
    """Have requests and story kept, whatever a test has made of that."""
    if server._record_bytes != _RECORD_BYTES:
        server.record_requests(_RECORD_BYTES)
    server.keep_story()


@pytest.fixture(scope="session")
def pooled_httpd_options() -> dict[str, Any]:
    """Options of the server, to be overridden: keywords of ``pooled_httpd.Server``, ``port`` among them.

    Those who override it for a module or a class get a server of their own there.
    """
    return {}


@pytest.fixture(scope="session")
def pooled_httpd_root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document root, to be overridden; an empty directory. Only this one is emptied before each test."""
    root = tmp_path_factory.mktemp("pooled_httpd")
    request.config.stash[_OWN_ROOT] = root
    return root


@pytest.fixture(scope="session")
def _pooled_httpd_servers() -> Iterator[_Servers]:
    servers = _Servers()
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def pooled_httpd_session(
    _pooled_httpd_servers: _Servers, pooled_httpd_root: Path, pooled_httpd_options: dict[str, Any]
) -> Iterator[Server]:
    """One running server for the whole session. It is the one that ``pooled_httpd`` resets for each test that uses it.

    For Hypothesis, whose examples share a function's fixtures: call ``reset()`` at the beginning of each example. What
    several tests are to share, and no other test may reset, is better made of a server of its own, in a fixture of any
    scope: ``with pooled_httpd.Server(root) as server: yield server``.

    When the session ends no invariant may have been violated.
    """
    server = _pooled_httpd_servers.get(pooled_httpd_root, pooled_httpd_options, keep=True)
    yield server
    if _runs(server):
        _check_invariants(server)


@pytest.fixture
def pooled_httpd(
    request: pytest.FixtureRequest,
    _pooled_httpd_servers: _Servers,
    pooled_httpd_root: Path,
    pooled_httpd_options: dict[str, Any],
) -> Iterator[Server]:
    """A running server, as good as new: its document root is empty, nothing is registered, counted, recorded or told.

    It is the session's server, reset. After the test no invariant may have been violated, and after one that passed no
    connection may be open (setting and marker ``pooled_httpd_leaks``): one that fails, is expected to, or is skipped on
    the way keeps its clients. Where a test fails, its report has the requests, the story and the statistics.
    """
    # No other directory is the plugin's to empty.
    if request.config.stash.get(_OWN_ROOT, None) == Path(pooled_httpd_root):
        _empty(Path(pooled_httpd_root))
    server = _pooled_httpd_servers.get(pooled_httpd_root, pooled_httpd_options)
    server.reset()
    _keep_all(server)
    _shown_servers(request).append(server)
    yield server
    _check(request.node, server)


@pytest.fixture
def pooled_httpd_factory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerFactory]:
    """A function that starts a server of its own: ``pooled_httpd_factory(docroot=None, **options)``.

    Without a document root it is an empty directory. At the test's end they are checked as ``pooled_httpd`` is, and
    destroyed.
    """
    servers: list[Server] = []
    # Not in the function, which several threads of a test may call at once.
    shown = _shown_servers(request)

    def start(docroot: str | os.PathLike[str] | None = None, **options: Any) -> Server:  # noqa: ANN401 - as Server's
        root = tmp_path_factory.mktemp("pooled_httpd") if docroot is None else docroot
        server = _start(root, options)
        servers.append(server)
        shown.append(server)
        return server

    yield start
    try:
        for server in servers:
            _check(request.node, server)
    finally:
        for server in servers:
            server.destroy()


def _empty(root: Path) -> None:
    """Empty a directory; make it anew where it is gone."""
    root.mkdir(parents=True, exist_ok=True)
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry)
            else:
                os.unlink(entry)


def _runs(server: Server) -> bool:
    """Whether a server runs; a test may have stopped or destroyed it."""
    try:
        return server.is_running
    except RuntimeError:  # destroyed
        return False


def _shown_servers(request: pytest.FixtureRequest) -> list[Server]:
    """Return the servers that the report of a test tells of, to which others may be added."""
    item: pytest.Item = request.node
    if _LOG not in item.stash and request.config.pluginmanager.has_plugin("logging-plugin"):
        item.stash[_LOG] = request.getfixturevalue("caplog")
    return item.stash.setdefault(_SERVERS, [])


def _check(item: pytest.Item, server: Server) -> None:
    """Fail where something is wrong with a server after a test."""
    if not _runs(server):
        return
    # A test that did not come to its end, be it expected to fail or skipped, keeps its clients alive in its traceback.
    if _leaks_are(item) == "error" and not item.stash.get(_WAS_CUT_SHORT, False):
        leaked = _wait_for_the_end_of_connections(server, _PATIENCE / 10)
        if leaked:
            # An exception that the test has caught, or a client has logged, holds on to that client.
            _let_go_of_exceptions(item)
            leaked = _wait_for_the_end_of_connections(server, _PATIENCE)
        if leaked:
            pytest.fail(
                f"{leaked} connection{'s are' if leaked > 1 else ' is'} still open: a client has not been closed "
                f"(or set {_LEAKS} = ignore, or mark the test with {_LEAKS}('ignore'))\n{_told(server)}",
                pytrace=False,
            )
    _check_invariants(server)


def _check_invariants(server: Server) -> None:
    """Fail where the server found itself wrong since the start or the last reset."""
    violations = server.stats().invariant_violations
    if violations:
        pytest.fail(f"{violations} invariants were violated\n{_told(server)}", pytrace=False)


def _let_go_of_exceptions(item: pytest.Item) -> None:
    """Free what is only held by exceptions: in a circle, or by the log records of the test that pytest keeps."""
    logged: list[object] = []
    if (caplog := item.stash.get(_LOG, None)) is not None:
        for record in caplog.get_records("call"):
            values = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
            logged += [*values, record.exc_info and record.exc_info[1]]
    exceptions = [value for value in logged if isinstance(value, BaseException)]
    for exception in exceptions:
        for frame, _ in traceback.walk_tb(exception.__traceback__):
            _clear(frame)
        # Each is looked at once; the list grows meanwhile.
        further = (exception.__cause__, exception.__context__)
        exceptions += [other for other in further if other is not None and other not in exceptions]
    gc.collect()


def _clear(frame: FrameType | None) -> None:
    """Clear the variables of a function that has ended, and of those that called it."""
    while frame is not None:
        try:
            frame.clear()
        except RuntimeError:  # it runs still, and so do its callers
            return
        frame = frame.f_back


def _wait_for_the_end_of_connections(server: Server, seconds: float) -> int:
    """Wait until no connection is open at both ends; return how many are after so many seconds."""
    deadline = time.monotonic() + seconds
    while (leaked := server.open_connections) and time.monotonic() < deadline:
        time.sleep(0.001)
    return leaked


def _told(server: Server) -> str:
    """Tell the end of the story."""
    lines = server.story().splitlines()
    left_out = len(lines) - _SHOWN_LINES
    return "\n".join([f"({left_out:,} lines before these)", *lines[-_SHOWN_LINES:]] if left_out > 0 else lines)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a test that failed what its servers tell."""
    report = yield
    if report.when == "teardown":
        # What is run again has servers of its own.
        if _SERVERS in item.stash:
            del item.stash[_SERVERS]
        return report
    # An xfail and a skip raise as well. A test that is run again begins anew.
    was_cut_short = report.when == "call" and item.stash.get(_WAS_CUT_SHORT, False)
    item.stash[_WAS_CUT_SHORT] = was_cut_short or report.failed or call.excinfo is not None
    if report.failed:
        for server in _servers_of(item):
            for name, tell in _REPORTS.items():
                try:
                    told = tell(server)
                except RuntimeError as error:
                    told = str(error)
                report.sections.append((f"pooled_httpd at {server._url}: {name}", told))
    return report


def _servers_of(item: pytest.Item) -> list[Server]:
    """Return the servers that a test has of the fixtures here."""
    servers = item.stash.get(_SERVERS, None) or []
    shared = getattr(item, "funcargs", {}).get("pooled_httpd_session")
    return servers if shared is None or shared in servers else [*servers, shared]


#: What a report has of each server.
_REPORTS: dict[str, Callable[[Server], str]] = {
    "requests": lambda server: "\n".join(map(str, server.requests()[-_SHOWN_REQUESTS:])) or "none",
    "story": lambda server: _told(server) or "nothing happened",
    "statistics": lambda server: str(server.stats()),
}
