"""Swarms: each kind does what it says within its bounds, and our server answers a good client all the while."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pooled_httpd
import pytest
from bad_server import CONTENT, BadServer, response, well_behaved
from conftest import assert_sound
from pooled_httpd.attack import Target, Verdict
from pooled_httpd.attack.__main__ import main
from pooled_httpd.attack.reference import read
from pooled_httpd.attack.swarm_command import verdict_of
from pooled_httpd.attack.swarms import MOST_CLIENTS, Kind, Swarm, SwarmReport
from pooled_httpd.attack.witness import ServerWitness
from support import PATIENCE, Site, undisturbed

#: The server's timeout in these tests, in seconds, and its slots.
TIMEOUT = 0.4
SLOTS = 24


@contextmanager
def small_server(site: Site, status_path: str | None = None) -> Iterator[pooled_httpd.Server]:
    """A server with few slots and a short timeout; afterwards it must be sound, with nobody in it."""
    site.write("index.html", CONTENT * 40)
    with pooled_httpd.Server(
        site.root, max_connections=SLOTS, timeout=TIMEOUT, log_level="off", status_path=status_path
    ) as server:
        yield server
        deadline = time.monotonic() + PATIENCE
        while server.stats().active_connections and time.monotonic() < deadline:
            time.sleep(0.005)
    assert_sound(server)


def loose(
    site: Site, kind: Kind, *, every: float = 0.05, known_path: str = "/index.html"
) -> tuple[SwarmReport, pooled_httpd.ServerStats]:
    """A swarm of twice as many clients as there are slots, and the statistics of its server once all are gone."""

    def act() -> tuple[SwarmReport, pooled_httpd.ServerStats]:
        with small_server(site) as server:
            target = Target.of(server).with_options(wait=3 * TIMEOUT, known_path=known_path)
            report = Swarm(target, kind, clients=2 * SLOTS, seconds=1.2, every=every).run(ServerWitness(server))
        return report, server.stats()

    return undisturbed(act)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_good_client_is_answered_all_the_while(site: Site, kind: Kind) -> None:
    """With twice as many hostile clients as slots: its file, or an honest 503; all recovers within the timeout."""
    report, _ = loose(site, kind)
    assert report.good.failures == []
    assert set(report.good.statuses) <= {200, 503}
    assert report.good.statuses.total() >= 10
    assert report.good.percentile(100) < 1.0
    assert report.recovered is not None
    assert report.recovered < TIMEOUT + 0.5
    assert verdict_of(report) is Verdict.OK


def test_a_slowloris_fills_every_slot_and_is_timed_out(site: Site) -> None:
    """The server shows as many heads timed out as there are slots, and more; the swarm got 408 and 503."""
    report, stats = loose(site, Kind.SLOWLORIS)
    assert report.most_open == 2 * SLOTS
    assert stats.peak_connections == SLOTS
    assert stats.timeouts["header"] >= SLOTS
    assert report.statistics is not None
    assert report.statistics["timeouts"]["header"] == report.statistics["responses"][408] >= SLOTS
    assert report.answers[408] >= SLOTS
    assert report.answers[503] >= SLOTS


def test_a_slow_body_is_timed_out(site: Site) -> None:
    """Content that trickles in is bounded as a whole."""
    report, stats = loose(site, Kind.SLOW_BODY)
    assert stats.timeouts["content"] >= SLOTS
    assert report.answers[408] >= SLOTS


def test_slow_readers_are_left(site: Site) -> None:
    """Whoever takes nothing for the send timeout loses the connection."""
    site.write("large.html", b"x" * 3_000_000)
    report, stats = loose(site, Kind.SLOW_READ, every=1000.0, known_path="/large.html")
    assert stats.timeouts["send"] >= 1
    assert report.good.failures == []


def test_peers_that_vanish_without_a_word_are_timed_out(site: Site) -> None:
    """No end, no reset: only the header timeout frees their slots."""
    report, stats = loose(site, Kind.HALF_OPEN)
    assert stats.timeouts["header"] >= SLOTS
    assert report.opened >= SLOTS


def test_a_storm_of_resets_leaves_nothing(site: Site) -> None:
    """Thousands of connections, each reset somewhere in a request."""
    report, _ = loose(site, Kind.RESET_STORM)
    assert report.opened >= 500


def test_a_server_that_a_swarm_shuts_out_is_found() -> None:
    """One that serves one connection at a time hangs under a slowloris: the good client's failures say so."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        over = threading.Event()

        def serve() -> None:
            listener.settimeout(0.05)
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    received = b""
                    connection.settimeout(0.05)
                    while b"\r\n\r\n" not in received and not over.is_set():
                        try:
                            data = connection.recv(65536)
                        except (TimeoutError, ConnectionError):
                            continue
                        if not data:
                            break
                        received += data
                    else:
                        connection.sendall(response(200, CONTENT, close=True))

        thread = threading.Thread(target=serve)
        thread.start()
        target = Target.parse(f"127.0.0.1:{listener.getsockname()[1]}").with_options(patience=0.2)
        report = Swarm(target, Kind.SLOWLORIS, clients=4, seconds=0.6, every=0.05).run()
        over.set()
        thread.join()
    assert report.good.failures
    assert verdict_of(report) is Verdict.HANGS


def test_wrong_answers_to_the_good_client_are_found() -> None:
    """A 200 with other content, and a 500."""
    asked: Counter[str] = Counter()

    def react(received: bytes, answered: int) -> tuple[bytes, bool]:
        asked["all"] += received.endswith(b"\r\n\r\n")
        # The first two are the kit's, to learn what it has to do with.
        if asked["all"] < 3 or not received:
            return well_behaved(read(received), answered)
        status, content = (200, b"other") if asked["all"] % 2 else (500, b"")
        return response(status, content, close=True), True

    with BadServer(react) as server:
        target = server.target.with_options(patience=2.0)
        report = Swarm(target, Kind.FLOOD, clients=1, seconds=1.0, every=0.1).run()
    assert any("5 bytes that are not the known file" in text for text in report.good.failures)
    assert any("status 500" in text for text in report.good.failures)
    assert verdict_of(report) is Verdict.DEVIATES


def test_a_server_that_does_not_recover_deviates_where_its_timeout_is_known() -> None:
    """503 for ever is honest, but not past the longest timeout."""
    asked: Counter[str] = Counter()

    def react(received: bytes, answered: int) -> tuple[bytes, bool]:
        asked["all"] += received.endswith(b"\r\n\r\n")
        if asked["all"] < 3 or not received:
            return well_behaved(read(received), answered)
        return response(503, close=True), True

    for wait, verdict in ((0.0, Verdict.OK), (0.4, Verdict.DEVIATES)):
        asked.clear()
        with BadServer(react) as server:
            target = server.target.with_options(wait=wait, patience=2.0)
            report = Swarm(target, Kind.FLOOD, clients=1, seconds=0.5, every=0.1).run()
        assert report.recovered is None
        assert verdict_of(report) is verdict


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"clients": 0}, "0 clients are out of range: 1 to 20000"),
        ({"clients": MOST_CLIENTS + 1}, "out of range"),
        ({"seconds": 0}, "more than 0"),
        ({"seconds": 4000}, "3600 at most"),
        ({"every": 0}, "more than 0"),
    ],
)
def test_a_swarm_has_bounds(options: dict[str, float], text: str) -> None:
    """In number and in time."""
    with BadServer() as server, pytest.raises(ValueError, match=text):
        Swarm(server.target, Kind.FLOOD, **options)  # type: ignore[arg-type]


def test_a_swarm_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong on its thread is raised where it was let loose."""

    def fail(_: Swarm) -> None:
        raise RuntimeError("a fault of the swarm's own")

    monkeypatch.setattr(Swarm, "_refill", fail)
    with BadServer() as server, pytest.raises(RuntimeError, match="a fault of the swarm's own"):
        Swarm(server.target, Kind.FLOOD, clients=1, seconds=0.1).run()


def test_the_command_shows_what_happened(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A table for each kind, with what the server itself says."""
    with small_server(site, status_path="/status") as server:
        arguments = ["--target", f"127.0.0.1:{server.port}", "--seconds", "0.3", "--clients", "5", "--wait", "2"]
        kinds = ["--kind", "flood", "--kind", "slowloris"]
        assert main(["swarm", *arguments, *kinds, "--status-path", "/status"]) == 0
    shown = capsys.readouterr().out
    for text in ("slowloris: 5 clients for 0.3 s", "flood: 5 clients", "good client", "served again", "its statistics"):
        assert text in shown
