"""The Python API: errors of their own with their builtin bases, options, logging."""

from __future__ import annotations

import errno
import logging
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd import faults
from support import PATIENCE, Raw, Site, eventually, exchange, get


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_size": 1}, "pool_size: 1 is not allowed; it takes a whole number from 256 to 16777216"),
        ({"pool_size": "big"}, 'pool_size: "big" is not allowed; it takes a whole number from 256 to 16777216'),
        ({"pool_size": 4096.0}, "pool_size: 4096 is not allowed; it takes a whole number from 256 to 16777216"),
        ({"pool_size": None}, "pool_size: none is not allowed; it takes a whole number from 256 to 16777216"),
        ({"pool_size": 10**30}, f"pool_size: {10**30} is not allowed; it takes a whole number from 256 to 16777216"),
        ({"max_connections": 0}, "max_connections: 0 is not allowed; it takes a whole number from 1 to 65536"),
        ({"max_connections": True}, "max_connections: on is not allowed; it takes a whole number from 1 to 65536"),
        ({"timeout": 0}, "timeout: 0 is not allowed; it takes a number of seconds from 0.001 to 86400"),
        ({"timeout": [1]}, "timeout: [1] is not allowed; it takes a number of seconds from 0.001 to 86400"),
        ({"keep_alive": 1}, "keep_alive: 1 is not allowed; it takes on or off"),
        ({"log_level": "loud"}, 'log_level: "loud" is not allowed; it takes off, error, warn, info, debug'),
        ({"port": 70000}, "port: 70000 is not allowed; it takes a whole number from 0 to 65535"),
        (
            {"pool": 1},
            "pool: there is no such option; the options are port, host, listen_fd, deferred, max_connections,",
        ),
    ],
)
def test_a_wrong_option_is_a_value_error_that_says_what_is_right(
    site: Site, options: dict[str, Any], message: str
) -> None:
    """The message names the option, the value and the range."""
    with pytest.raises(ValueError, match=r"is not allowed|there is no such option") as caught:
        pooled_httpd.Server(site.root, **options)
    assert type(caught.value) is pooled_httpd.OptionError
    assert isinstance(caught.value, pooled_httpd.PooledHttpdError)
    assert str(caught.value).startswith(message)


def test_a_taken_port_is_an_os_error_with_its_errno(site: Site) -> None:
    """BindError, with EADDRINUSE and the address in the message."""
    server = pooled_httpd.Server(site.root)
    with pytest.raises(pooled_httpd.BindError, match=f"cannot listen on 127.0.0.1 port {server.port}") as caught:
        pooled_httpd.server_create(server.port, site.root)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.EADDRINUSE
    server.destroy()


def test_a_bad_document_root_is_told(tmp_path: Path) -> None:
    """FileNotFoundError and NotADirectoryError, with the path in the message."""
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError, match="missing") as not_found:
        pooled_httpd.Server(missing)
    assert type(not_found.value) is pooled_httpd.RootNotFoundError
    assert not_found.value.errno == errno.ENOENT
    missing.write_text("a file")
    with pytest.raises(NotADirectoryError, match="missing") as no_directory:
        pooled_httpd.server_create(0, missing)
    assert type(no_directory.value) is pooled_httpd.RootNotADirectoryError


def test_use_after_destroy_is_told(site: Site) -> None:
    """StateError from every use; another destroy does nothing."""
    server = pooled_httpd.server_create(0, site.root)
    pooled_httpd.server_destroy(server)
    pooled_httpd.server_destroy(server)
    for use in (
        pooled_httpd.server_run,
        pooled_httpd.server_stop,
        pooled_httpd.server_get_stats,
        pooled_httpd.server_print_stats,
        pooled_httpd.Server.start,
        lambda server: pooled_httpd.server_set_pool_size(server, 512),
        lambda server: server.is_running,
        lambda server: server.host,
        lambda server: server.port,
        lambda server: server.url,
        lambda server: server.url_for("/"),
        lambda server: server.docroot,
        lambda server: server.limits,
        lambda server: server.memory,
        lambda server: server.open_connections,
        lambda server: server.requests_forgotten,
        lambda server: server.story(),
        lambda server: server.write("a", "x"),
        lambda server: server.respond("/a"),
        lambda server: server.record_requests(),
        lambda server: server.record_stats(),
        lambda server: server.prometheus(),
    ):
        with pytest.raises(pooled_httpd.StateError, match="the server has been destroyed") as caught:
            use(server)
        assert isinstance(caught.value, RuntimeError)
    assert repr(server).endswith("gone>")
    with pooled_httpd.Server(site.root) as destroyed_within:
        destroyed_within.destroy()


def test_a_name_that_leads_nowhere_is_a_bind_error(site: Site) -> None:
    """Without a number of the system's, which has none for it."""
    with pytest.raises(pooled_httpd.BindError, match=r"^cannot listen on no\.such\.invalid port 0: ") as caught:
        pooled_httpd.Server(site.root, host="no.such.invalid")
    assert caught.value.errno is None


def test_a_server_lives_once(site: Site) -> None:
    """Started twice, or after its stop: StateError; options are set before it runs."""
    server = pooled_httpd.Server(site.root)
    assert repr(server).endswith("created>")
    with server:
        assert server.is_running
        assert repr(server).endswith("running>")
        with pytest.raises(pooled_httpd.StateError, match="started already, and runs: nothing else has to start it"):
            server.start()
        with pytest.raises(pooled_httpd.StateError, match="only before the server runs"):
            pooled_httpd.server_set_timeout(server, 1)
    assert not server.is_running
    assert repr(server).endswith("stopped>")
    with pytest.raises(pooled_httpd.StateError, match="started already, and has ended; create another one"):
        server.start()
    server.destroy()


def test_options_have_names(site: Site) -> None:
    """A TypeError says so of the port, which http.server's class has in another place."""
    with pytest.raises(TypeError, match=r"by their names, the port too: Server\(docroot, port=8080\)"):
        pooled_httpd.Server(site.root, 8080)  # type: ignore[call-arg]


def test_the_setters_take_effect_and_refuse_what_is_wrong(site: Site) -> None:
    """Pool size, connections and timeout, set between create and run."""
    server = pooled_httpd.server_create(0, site.root)
    for setter, wrong in (
        (pooled_httpd.server_set_pool_size, 255),
        (pooled_httpd.server_set_max_connections, 0),
        (pooled_httpd.server_set_timeout, -1.0),
    ):
        with pytest.raises(pooled_httpd.OptionError):
            setter(server, wrong)  # type: ignore[arg-type]
    pooled_httpd.server_set_pool_size(server, 256)
    pooled_httpd.server_set_max_connections(server, 1)
    pooled_httpd.server_set_timeout(server, 0.2)
    server.start()
    assert exchange(server.port, get("/" + "p" * 300, "Connection: close")).status == 507
    server.respond("/held", fault=faults.Stall("start"))
    with Raw(server.port) as only:
        only.send(get("/held"))
        assert exchange(server.port, get("/a.txt")).status == 503
    eventually(lambda: server.stats().active_connections == 0)
    with Raw(server.port) as late:
        assert late.send(b"GET").response().status == 408
    server.destroy()


def test_options_are_those_of_the_stub_and_the_table() -> None:
    """``options()`` lists what the stub's TypedDict lists, the port aside."""
    stub = (Path(pooled_httpd.__file__).parent / "_native.pyi").read_text()
    block = stub.partition("class _Options(TypedDict, total=False):\n")[2].partition("\n\n")[0]
    assert ["port", *re.findall(r"^    (\w+):", block, re.M)] == [name for name, _, _ in pooled_httpd.options()]
    assert all(default and text for _, default, text in pooled_httpd.options())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::"])
def test_hosts_and_urls(site: Site, host: str) -> None:
    """IPv4, IPv6, names and any address: the URL can be asked for."""
    with pooled_httpd.Server(site.root, host=host) as server:
        with urllib.request.urlopen(server.url_for("/a.txt")) as response:
            assert response.read() == b"hello\n"
        assert server.url_for("a.txt") == server.url_for("/a.txt") == f"{server.url}/a.txt"


def test_print_stats_writes_the_block(server: pooled_httpd.Server, capsys: pytest.CaptureFixture[str]) -> None:
    """``server_print_stats`` writes to sys.stdout what ``str`` of the statistics gives."""
    pooled_httpd.server_print_stats(server)
    assert capsys.readouterr().out == f"{server.stats()}\n"


def wait_for_record(caplog: pytest.LogCaptureFixture, text: str) -> logging.LogRecord:
    """Wait until a record holds ``text``."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for record in list(caplog.records):
            if text in record.getMessage():
                return record
        time.sleep(0.005)
    raise AssertionError(f"no record with {text!r}: {[record.getMessage() for record in caplog.records]}")


def test_the_story_goes_to_logging(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Loggers ``pooled_httpd`` and ``pooled_httpd.conn``, with the program's own lines."""
    caplog.set_level(logging.DEBUG, logger="pooled_httpd")
    with pooled_httpd.Server(site.root) as server:
        assert exchange(server.port, get("/a.txt", "Connection: close")).status == 200
        closed = wait_for_record(caplog, "[CONN 0] Total lifetime: ")
    assert (closed.name, closed.levelname) == ("pooled_httpd.conn", "DEBUG")
    assert wait_for_record(caplog, "Server ready").name == "pooled_httpd"
    messages = [record.getMessage() for record in caplog.records if record.name == "pooled_httpd.conn"]
    assert "[CONN 0] Parsed: GET /a.txt HTTP/1.1" in messages
    assert "[CONN 0] State: SENDING_RESPONSE → CLOSING" in messages
    assert messages.index("[CONN 0] Sent 6 bytes") < messages.index("[CONN 0] Connection closed")


def test_a_level_changed_while_it_runs_is_taken_up(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Off, then on, then off again: the loop follows Python's loggers, and looks at them many times a second."""
    logger = logging.getLogger("pooled_httpd.conn")

    def told(path: str) -> bool:
        return any(f"GET {path} " in record.getMessage() for record in caplog.records)

    with pooled_httpd.Server(site.root) as server:
        exchange(server.port, get("/a.txt"))
        caplog.set_level(logging.DEBUG, logger=logger.name)
        eventually(lambda: exchange(server.port, get("/on")).status == 404 and told("/on"), "the level is not taken up")
        caplog.set_level(logging.WARNING, logger=logger.name)
        paths = [f"/off/{number}" for number in range(50)]
        for path in paths:
            exchange(server.port, get(path))
            time.sleep(0.01)
    # All has been told by now.
    assert not told("/a.txt")
    assert not told(paths[-1])


def test_log_level_caps_what_is_recorded(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """``log_level`` limits the story whatever the loggers let through."""
    caplog.set_level(logging.DEBUG, logger="pooled_httpd")
    with pooled_httpd.Server(site.root, log_level="info") as server:
        exchange(server.port, get("/a.txt"))
    assert not [record for record in caplog.records if record.name == "pooled_httpd.conn"]
    assert wait_for_record(caplog, "Server ready")


def test_a_handler_that_stops_the_server_while_it_starts_does_not_deadlock(site: Site) -> None:
    """The start lines are told on the starting thread: a stop from there only asks, and takes effect."""
    logger = logging.getLogger("pooled_httpd")
    server = pooled_httpd.Server(site.root)

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Listening" in record.getMessage():
                server.stop()

    handler = Handler()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        server.start()
        server.run()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert not server.is_running
    server.destroy()


def test_a_handler_that_calls_back_does_not_deadlock(site: Site) -> None:
    """A logging handler asks the server for its state and stops it, on the log's own thread and at start."""
    logger = logging.getLogger("pooled_httpd")
    server = pooled_httpd.Server(site.root)
    seen = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((server.is_running, server.stats().total_requests))
            if "Sent 6 bytes" in record.getMessage():
                server.stop()

    handler = Handler()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        server.start()
        assert exchange(server.port, get("/a.txt")).status == 200
        server.run()
        server.stop()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert seen
    server.destroy()
