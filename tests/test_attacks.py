"""The attack families: what they get, and that a good client never notices."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pooled_httpd
import pytest
from support import PATIENCE, Raw, Site, exchange, get


def test_a_10_kb_target_gets_414(server: pooled_httpd.Server) -> None:
    """The first attack vector: the target is refused, the connection closed."""
    with Raw(server.port) as raw:
        raw.send(get("/" + "a" * 10_240))
        assert raw.response().status == 414
        assert raw.closed()
    assert server.stats().rejects == {"request_line_too_long": 1}


def test_a_content_length_of_99999999999_gets_413(server: pooled_httpd.Server) -> None:
    """The second: refused without waiting for content."""
    with Raw(server.port) as raw:
        raw.send(get("/", "Content-Length: 99999999999", method="POST"))
        assert raw.response().status == 413
        assert raw.closed()


def test_a_nul_in_a_header_gets_400(server: pooled_httpd.Server) -> None:
    """The third: refused, and nothing after it is read as a request."""
    with Raw(server.port) as raw:
        raw.send(get("/a.txt", "X-Evil: a\0b") + get("/a.txt"))
        assert raw.response().status == 400
        assert raw.closed()
    assert server.stats().rejects == {"control_byte": 1}


@pytest.mark.parametrize("cut", [1, 3, 15, 17, 30, -1])
def test_a_head_cut_off_by_close_is_closed_cleanly(server: pooled_httpd.Server, cut: int) -> None:
    """The fourth: no answer, no leftover; the peer sees an orderly end."""
    with Raw(server.port) as raw:
        raw.send(get("/a.txt")[:cut]).half_close()
        assert raw.socket.recv(1) == b""
    stats = server.stats()
    assert (stats.total_requests, stats.pool_resets, stats.active_connections) == (0, 1, 0)


def test_a_slowloris_gets_408_at_the_header_timeout_from_its_first_byte(site: Site) -> None:
    """The fifth: however it trickles, the time counts from the first byte."""
    with pooled_httpd.Server(site.root, header_timeout=3, timeout=30) as server, Raw(server.port) as raw:
        time.sleep(0.2)  # The time before the first byte does not count.
        begun = time.monotonic()
        data = get("/a.txt", "X: " + "y" * 1000)
        raw.socket.settimeout(0.02)
        answer = b""
        for byte in data:
            try:
                raw.send(bytes([byte]))
                answer += raw.socket.recv(4096)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
            if not answer.endswith(b"\n") and answer:
                break
            if answer:
                break
        waited = time.monotonic() - begun
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert 3 <= waited < 3 + PATIENCE / 4
        assert server.stats().timeouts["header"] == 1
        assert server.stats().rejects == {"header_timeout": 1}


def test_a_connection_that_says_nothing_is_closed_without_an_answer(site: Site) -> None:
    """Nothing sent at all within the timeout: closed."""
    with pooled_httpd.Server(site.root, timeout=0.1) as server, Raw(server.port) as raw:
        assert raw.socket.recv(1) == b""
        assert server.stats().timeouts["header"] == 1
        assert server.stats().total_requests == 0


def test_an_idle_persistent_connection_is_closed_after_the_keepalive_timeout(site: Site) -> None:
    """The time counts from the last response."""
    with pooled_httpd.Server(site.root, timeout=30, keepalive_timeout=0.1) as server, Raw(server.port) as raw:
        raw.send(get("/a.txt"))
        assert raw.response().status == 200
        assert raw.closed()
        assert server.stats().timeouts["keepalive"] == 1


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_content_that_does_not_come_gets_408(site: Site, framing: str) -> None:
    """Slow content is bounded as a whole: bytes that trickle in do not prolong it."""
    with pooled_httpd.Server(site.root, timeout=30, content_timeout=0.2) as server, Raw(server.port) as raw:
        raw.send(get("/", framing, method="POST"))
        raw.socket.settimeout(0.02)
        answer = b""
        deadline = time.monotonic() + PATIENCE
        while not answer and time.monotonic() < deadline:
            try:
                raw.send(b"1")
                answer = raw.socket.recv(4096)
            except TimeoutError:
                pass
        assert answer.startswith(b"HTTP/1.1 4")
        expected = {"content_timeout": 1} if framing.startswith("Content") else None
        if expected:
            assert server.stats().rejects == expected
            assert server.stats().timeouts["content"] == 1


def test_a_peer_that_stops_reading_is_closed_after_the_send_timeout(site: Site) -> None:
    """No progress for the send timeout: closed, and counted."""
    site.write("big", b"x" * 30_000_000)
    with pooled_httpd.Server(site.root, timeout=30, send_timeout=0.2) as server:
        with Raw(server.port, receive_buffer=4096) as raw:
            raw.send(get("/big"))
            deadline = time.monotonic() + PATIENCE
            while server.stats().timeouts["send"] == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.stats().timeouts["send"] == 1
            assert not raw.closed()
        assert server.stats().active_connections == 0


@pytest.fixture
def fortress(site: Site, tmp_path: Path) -> Iterator[tuple[pooled_httpd.Server, Site]]:
    """A site with a secret beside it and links that lead there."""
    (tmp_path / "secret").write_text("TOP SECRET")
    (tmp_path / "site-secret").mkdir()
    (tmp_path / "site-secret" / "f").write_text("TOP SECRET")
    for name, target in {
        "absolute": str(tmp_path / "secret"),
        "relative": "../secret",
        "sibling": "../site-secret/f",
        "updir": "..",
        "deep/link": "../../secret",
        "proc": "/proc/self/root",
        "loop": "loop",
    }.items():
        (site.root / name).parent.mkdir(exist_ok=True)
        (site.root / name).symlink_to(target)
    (site.root / "inside").symlink_to("dir/index.html")
    os.mkfifo(site.root / "fifo")
    with pooled_httpd.Server(site.root) as server:
        yield server, site


TRAVERSALS = {
    "/../secret": 400,
    "/dir/../../secret": 400,
    "/%2e%2e/secret": 400,
    "/%2E%2e/secret": 400,
    "/.%2e/secret": 400,
    "/dir/%2e%2e/%2e%2e/secret": 400,
    "/..%2fsecret": 400,
    "/..%5csecret": 400,
    "/..\\secret": 400,
    "/%252e%252e/secret": 404,
    "/%c0%ae%c0%ae/secret": 404,
    "/..;/secret": 404,
    "/....//secret": 404,
    "//../secret": 400,
    "/./../secret": 400,
    "/%00/../secret": 400,
    "/a.txt%00.html": 400,
    "http://localhost/../secret": 400,
    "/absolute": 403,
    "/relative": 403,
    "/sibling": 403,
    "/updir/secret": 403,
    "/deep/link": 403,
    "/proc/etc/passwd": 403,
    "/loop": 403,
    "/fifo": 403,
    "/inside": 200,
}


@pytest.mark.parametrize("path", TRAVERSALS)
def test_nothing_outside_the_root(fortress: tuple[pooled_httpd.Server, Site], path: str) -> None:
    """Every way out is refused with its status, at once, and the secret stays."""
    server, _ = fortress
    response = exchange(server.port, get(path))
    assert response.status == TRAVERSALS[path]
    assert b"SECRET" not in response.content


def test_a_link_swapped_while_requests_run_never_leads_outside(fortress: tuple[pooled_httpd.Server, Site]) -> None:
    """A directory and a link to the outside take turns at one name as fast as they can."""
    server, site = fortress
    (site.root / "good").mkdir()
    (site.root / "good" / "f").write_text("inside")
    (site.root / "evil").symlink_to("../site-secret")
    stop = threading.Event()
    name = site.root / "swap"

    def swap() -> None:
        while not stop.is_set():
            for target in (site.root / "good", site.root / "evil"):
                target.rename(name)
                name.rename(target)

    thread = threading.Thread(target=swap)
    thread.start()
    statuses: dict[int, int] = {}
    try:
        with Raw(server.port) as raw:
            deadline = time.monotonic() + PATIENCE
            while sum(statuses.values()) < 4000 or (
                (200 not in statuses or len(statuses) < 2) and time.monotonic() < deadline
            ):
                raw.send(get("/swap/f") * 50)
                for _ in range(50):
                    response = raw.response()
                    statuses[response.status] = statuses.get(response.status, 0) + 1
                    assert b"SECRET" not in response.content
    finally:
        stop.set()
        thread.join()
    assert set(statuses) <= {200, 403, 404}
    assert statuses.get(200), statuses


@pytest.mark.parametrize(
    "prefix",
    [
        get("/", "Content-Length: 44", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n",
        get("/", "Transfer-Encoding: xchunked", method="POST"),
        get("/", "Transfer-Encoding : chunked", method="POST"),
        get("/", "Transfer-Encoding:\x0bchunked", method="POST"),
        get("/", "Content-Length: +0", method="POST"),
        get("/", "Content-Length: 0", "Content-Length: 44", method="POST"),
        get("/", "Content_Length: 44", "Content-Length: 4 4", method="POST"),
        get("/", "X: y\rContent-Length: 44", method="POST"),
        get("/", "X: y\nContent-Length: 44", method="POST"),
        get("/", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\x00",
        get("/", "Transfer-Encoding: chunked", method="POST") + b"0\n\n",
        get("/", "Transfer-Encoding: chunked", method="POST") + b"1\r\naXX",
    ],
)
def test_a_smuggled_request_is_never_answered(server: pooled_httpd.Server, prefix: bytes) -> None:
    """After an ambiguous length comes one refusal and the end of the connection."""
    with Raw(server.port) as raw:
        raw.send(prefix + get("/a.txt") * 2)
        assert raw.response().status in (400, 501)
        assert raw.closed()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "BREW", "OPTIONS"])
def test_content_never_runs_as_a_request(server: pooled_httpd.Server, method: str) -> None:
    """Content that looks like a request is taken in and thrown away, whatever the method's answer."""
    content = get("/nothing")
    with Raw(server.port) as raw:
        raw.send(get("/a.txt", f"Content-Length: {len(content)}", method=method) + content + get("/empty"))
        assert raw.response(method).status in (200, 204, 405, 501)
        last = raw.response()
        assert (last.status, last.content) == (200, b"")


def test_the_answer_survives_unread_content(server: pooled_httpd.Server) -> None:
    """A refusal reaches a peer that goes on sending: no reset eats it."""
    for _ in range(20):
        with Raw(server.port) as raw:
            raw.send(get("/", "Content-Length: 99999999999", method="POST"))
            raw.send_slowly(b"x" * 100_000, 10_000)
            assert raw.response().status == 413
            assert raw.closed()


def test_resets_and_half_opens_leave_nothing(server: pooled_httpd.Server) -> None:
    """Connections reset in every phase are gone at once, and a good client is served."""
    phases = [b"", b"G", b"GET /a.txt HTTP/1.1\r\n", get("/a.txt")[:-1], get("/a.txt"), get("/large") * 20]
    for data in phases * 20:
        raw = Raw(server.port)
        raw.send(data)
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.socket.close()
    assert exchange(server.port, get("/a.txt", "Connection: close")).status == 200
    deadline = time.monotonic() + PATIENCE
    while server.stats().active_connections and time.monotonic() < deadline:
        time.sleep(0.005)
    assert server.stats().active_connections == 0


def test_a_flood_of_pipelined_requests_does_not_starve_a_polite_client(site: Site) -> None:
    """Floods on several connections, hundreds of requests on the way in each; a polite client is answered meanwhile."""
    with pooled_httpd.Server(site.root) as server, ExitStack() as stack:
        stop = threading.Event()
        answered = [0] * 4

        def flood(index: int) -> None:
            with Raw(server.port) as raw:
                raw.socket.setblocking(False)
                data = get("/a.txt") * 500
                view = memoryview(data)
                while not stop.is_set():
                    try:
                        sent = raw.socket.send(view)
                        view = view[sent:] or memoryview(data)
                    except BlockingIOError:
                        pass
                    with suppress(BlockingIOError):
                        answered[index] += raw.socket.recv(1 << 20).count(b"HTTP/1.1 200")

        threads = [threading.Thread(target=flood, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            stack.callback(thread.join)
        stack.callback(stop.set)
        slowest = 0.0
        with Raw(server.port) as polite:
            for _ in range(100):
                begun = time.monotonic()
                assert polite.send(get("/a.txt")).response().status == 200
                slowest = max(slowest, time.monotonic() - begun)
        assert min(answered) > 0, "every flood was served too"
        # The floods' threads share this interpreter with the polite client; a starved one would wait for ever.
        assert slowest < 2.0


def test_without_a_slot_a_newcomer_gets_503_and_room_comes_back(site: Site) -> None:
    """Slots taken by busy connections: 503 with Retry-After; idle ones are reclaimed, the longest idle first."""
    with pooled_httpd.Server(site.root, max_connections=2, timeout=30) as server, ExitStack() as stack:
        busy = [stack.enter_context(Raw(server.port)) for _ in range(2)]
        for raw in busy:
            raw.send(b"GET /a.txt HTTP/1.1\r\n")
        while server.stats().states["READING_HEADERS"] < 2:
            time.sleep(0.001)
        refused = exchange(server.port, get("/a.txt"))
        assert (refused.status, refused.fields["retry-after"], refused.fields["connection"]) == (503, "1", "close")
        assert server.stats().connections_refused == 1
        for raw in busy:
            raw.send(b"Host: a\r\n\r\n")
            assert raw.response().status == 200
        newcomer = stack.enter_context(Raw(server.port))
        assert newcomer.send(get("/a.txt")).response().status == 200
        assert busy[0].closed(), "the one that was idle longest made room"
        assert busy[1].send(get("/a.txt")).response().status == 200
        assert server.stats().connections_reclaimed == 1


def test_a_swarm_of_slowloris_does_not_shut_out_a_good_client(site: Site) -> None:
    """Twice as many trickling clients as slots: a good client gets its file or an honest 503; everything recovers."""
    with pooled_httpd.Server(site.root, max_connections=16, timeout=2) as server, ExitStack() as stack:
        for _ in range(32):
            stack.enter_context(Raw(server.port)).send(b"GET / HTTP/1.1\r\nX: ")
        assert exchange(server.port, get("/a.txt")).status in (200, 503)
        deadline = time.monotonic() + PATIENCE
        while server.stats().active_connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert exchange(server.port, get("/a.txt")).status == 200
        stats = server.stats()
        assert stats.connections_refused >= 16
        assert stats.timeouts["header"] == 16


def test_the_end_of_a_large_answer_survives_what_the_peer_sends_meanwhile(site: Site) -> None:
    """A peer that asked for the close and sends an empty line more gets its whole file: no reset destroys it."""
    content = site.write("big", bytes(range(256)) * 20_000).read_bytes()
    with pooled_httpd.Server(site.root) as server:
        for request in (get("/big", "Connection: close"), get("/big", version="HTTP/1.0")):
            for _ in range(5):
                with Raw(server.port, receive_buffer=65536) as raw:
                    raw.send(request)
                    while b"\r\n\r\n" not in raw.received:
                        raw._more()
                    raw.send(b"\r\n")
                    assert raw.response().content == content
                    assert raw.closed()


def test_content_is_taken_in_wherever_in_the_buffer_its_head_ends(site: Site) -> None:
    """A head that fills the buffer, then content and a head right behind it: answered at once, and without spinning."""
    with pooled_httpd.Server(site.root, timeout=30) as server, Raw(server.port) as raw:
        fixed = len(get("/", "Content-Length: 1", "X: ", method="POST"))
        raw.send(get("/", "Content-Length: 1", "X: " + "y" * (16_384 - fixed), method="POST"))
        while server.stats().states["READING_CONTENT"] == 0:
            pass
        raw.send(b"x" + get("/", "Content-Length: 500", method="POST"))
        raw.send(b"c" * 500)
        assert [raw.response().status for _ in range(2)] == [405, 405]


def test_an_empty_line_between_requests_leaves_the_connection_idle(site: Site) -> None:
    """Old clients send CRLF behind their content: the connection stays idle, and can be reclaimed as such."""
    with (
        pooled_httpd.Server(site.root, max_connections=1, timeout=30, header_timeout=0.1) as server,
        Raw(server.port) as raw,
    ):
        raw.send(get("/", "Content-Length: 2", method="POST") + b"hi\r\n")
        assert raw.response().status == 405
        time.sleep(0.3)
        raw.send(get("/a.txt"))
        assert raw.response().status == 200
        raw.send(b"\r\n")
        while server.stats().bytes_received < raw.bytes_sent:
            pass
        assert exchange(server.port, get("/a.txt")).status == 200
        assert raw.closed()
        assert server.stats().connections_reclaimed == 1


def test_an_urgent_byte_is_a_byte_like_any_other(site: Site) -> None:
    """A segment with the urgent flag in the middle of a request neither hides what follows nor stalls it."""
    with pooled_httpd.Server(site.root, timeout=30) as server:
        for _ in range(100):
            with Raw(server.port) as raw:
                raw.send(get("/large"))
                raw.socket.send(b"GET /a.tx", socket.MSG_OOB)
                raw.socket.send(b"t HTTP/1.1\r\nHost: a\r\n\r\n")
                assert raw.response().status == 200
                assert raw.response().content == b"hello\n"
