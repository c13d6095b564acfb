"""The status path: the statistics as JSON and for Prometheus, and health; never a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pooled_httpd
import pytest
from conftest import assert_sound
from prometheus_client.parser import text_string_to_metric_families
from support import PATIENCE, Raw, Site, eventually, exchange, get


@pytest.fixture
def status(site: Site) -> Iterator[pooled_httpd.Server]:
    """A server with its statistics at ``/status``; afterwards its invariants must have held."""
    with pooled_httpd.Server(site.root, status_path="/status") as running:
        yield running
    assert_sound(running)


def busy(server: pooled_httpd.Server) -> None:
    """Let various things happen."""
    for request in (
        get("/a.txt"),
        get("/large"),
        get("/nothing"),
        get("/", method="DELETE"),
        get("/a.txt", "Range: bytes=1-2"),
    ):
        exchange(server.port, request)
    with Raw(server.port) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: a\n\r\n").response()
    eventually(lambda: server.stats().active_connections == 0)


def test_json_is_what_python_is_told(status: pooled_httpd.Server) -> None:
    """The same names and numbers as ``as_dict()``, taken at the same moment: before the answer itself is counted."""
    busy(status)
    with Raw(status.port) as raw:
        before = status.stats().as_dict()
        response = raw.send(get("/status")).response()
        assert (response.status, response.fields["content-type"]) == (200, "application/json")
        assert response.fields["cache-control"] == "no-store"
        assert "etag" not in response.fields
        told = json.loads(response.content)
        after = status.stats().as_dict()
    assert told.pop("draining") is False
    assert isinstance(told.pop("version"), str)
    assert told.pop("pools") == {"total": 128, "in_use": 1, "size": 4096}
    assert [(one["state"], one.get("asking")) for one in told.pop("connections")][:2] == [
        ("PROCESSING", True),
        ("CLOSED", None),
    ]
    assert set(told) == set(before)
    assert told["responses"] == {str(code): count for code, count in before["responses"].items()}
    assert told["rejects"] == before["rejects"]
    assert told["timeouts"] == before["timeouts"]
    assert told["total_requests"] == before["total_requests"] == after["total_requests"] - 1
    assert told["bytes_sent"] == before["bytes_sent"]
    assert after["bytes_sent"] == before["bytes_sent"] + len(response.head) + 4 + len(response.content)
    assert told["states"] == {**before["states"], "PROCESSING": 1, "READING_REQUEST_LINE": 0}
    assert before["uptime"] <= told["uptime"] <= after["uptime"] + 1


def test_connections_are_told_of_as_their_peers_saw_them(status: pooled_httpd.Server) -> None:
    """Each to the byte: the one that asks first, then those that are open, then those that were closed."""
    with Raw(status.port) as asking, Raw(status.port) as idle, Raw(status.port) as slow:
        large = idle.send(get("/large?key=secret")).response()
        nothing = idle.send(get("/nothing")).response()
        slow.send(unfinished := get("/a.txt", "Content-Length: 9", method="POST") + b"four")
        with Raw(status.port) as gone:
            refused = gone.send(hostile := b'GET /\xe9"\\\x00 HTTP/1.1\r\n\r\n').response()
            ports = [raw.socket.getsockname()[1] for raw in (asking, idle, slow, gone)]
        eventually(lambda: status.stats().active_connections == 3 and status.stats().states["READING_CONTENT"] == 1)
        first = asking.send(get("/status")).response()
        told = json.loads(asking.send(get("/status")).response().content)["connections"]
    heads = [len(answer.head) + 4 + len(answer.content) for answer in (first, large, nothing, refused)]
    lifetimes = [connection.pop("lifetime_ms") for connection in told]
    assert all(0 <= lifetime < 1000 * PATIENCE for lifetime in lifetimes)
    columns = ["number", "peer", "state", "requests", "bytes_received", "bytes_sent", "request", "status"]
    asked = len(get("/large?key=secret") + get("/nothing"))
    expected: list[list[object]] = [
        [0, ports[0], "PROCESSING", 2, 2 * len(get("/status")), heads[0], "GET /status", None],
        [2, ports[2], "READING_CONTENT", 1, len(unfinished), 0, "POST /a.txt", None],
        [1, ports[1], "READING_REQUEST_LINE", 2, asked, heads[1] + heads[2], "GET /nothing", 404],
        [3, ports[3], "CLOSED", 1, len(hostile), heads[3], 'GET /\xe9"\\\x00 HTTP/1.1', 400],
    ]
    for row in expected:
        row[1] = f"127.0.0.1:{row[1]}"
    assert told[0].pop("asking") is True
    assert [list(connection) for connection in told] == [columns] * 4
    assert [list(connection.values()) for connection in told] == expected


def test_no_request_breaks_the_json(status: pooled_httpd.Server) -> None:
    """Every byte in a request line, once and often: always one whole object within its size, and no query."""
    lines = [bytes([byte]) * length for byte in range(256) for length in (1, 90)]
    for line in lines:
        with Raw(status.port) as raw:
            raw.send(b"GET /" + line + b"?secret HTTP/1.1\r\nHost: a\r\n\r\n").response()
        if line[0] % 16 == 15:
            response = exchange(status.port, get("/status"))
            assert len(response.content) <= 14_000
            assert b"secret" not in response.content
            told = json.loads(response.content)["connections"]
            assert 14 <= len(told) <= 32
            assert all(len(connection["request"]) <= 124 for connection in told)
            assert sum(connection.get("asking", False) for connection in told) == 1


def test_of_many_connections_the_newest_of_both_kinds_are_told(site: Site) -> None:
    """At most 32, of them 12 that were closed."""
    with pooled_httpd.Server(site.root, status_path="/status", log_level="off") as server, ExitStack() as stack:
        for _ in range(20):
            exchange(server.port, get("/a.txt"))
        eventually(lambda: server.stats().active_connections == 0)
        for _ in range(50):
            assert stack.enter_context(Raw(server.port)).send(get("/a.txt")).response().status == 200
        told = json.loads(exchange(server.port, get("/status")).content)["connections"]
        numbers = [connection["number"] for connection in told]
        assert numbers == [70, *range(69, 50, -1), *range(19, 7, -1)]
        assert [connection["state"] for connection in told[20:]] == ["CLOSED"] * 12


def test_prometheus_reads_it(status: pooled_httpd.Server) -> None:
    """By prometheus_client's own parser: one prefix, _total, base units, a histogram that adds up."""
    busy(status)
    stats = status.stats()
    response = exchange(status.port, get("/status?format=prometheus"))
    assert response.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(response.content.decode())}
    assert all(name.startswith("pooled_httpd_") for name in families)
    assert all(family.documentation for family in families.values())
    for family in families.values():
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        assert not any(unit in family.name for unit in ("millisecond", "_kb", "_ms"))
    codes = {
        sample.labels["code"]: sample.value for sample in families["pooled_httpd_responses"].samples if sample.value
    }
    assert codes == {str(code): count for code, count in stats.responses.items()}
    rejects = families["pooled_httpd_rejects"].samples
    assert {sample.labels["reason"]: sample.value for sample in rejects if sample.value} == stats.rejects
    duration = families["pooled_httpd_request_duration_seconds"]
    buckets = [sample.value for sample in duration.samples if sample.name.endswith("_bucket")]
    count = next(sample.value for sample in duration.samples if sample.name.endswith("_count"))
    assert buckets == sorted(buckets)
    assert buckets[-1] == count == stats.total_requests


def test_head_and_other_methods(status: pooled_httpd.Server) -> None:
    """HEAD has the fields of GET; nothing else is allowed; the connection goes on."""
    with Raw(status.port) as raw:
        head = raw.send(get("/status", method="HEAD")).response("HEAD")
        assert (head.status, head.content) == (200, b"")
        assert int(head.fields["content-length"]) > 500
        assert raw.send(get("/status", method="POST")).response().status == 405
        assert raw.send(get("/status")).response().status == 200


def test_pipelined_statistics_are_each_whole(status: pooled_httpd.Server) -> None:
    """However many are asked for at once: each has its room."""
    with Raw(status.port) as raw:
        raw.send((get("/status") + get("/a.txt") + get("/status?format=prometheus")) * 20)
        counts = []
        for _ in range(20):
            counts.append(json.loads(raw.response().content)["total_requests"])
            assert raw.response().content == b"hello\n"
            assert raw.response().content.endswith(b"\n")
        assert counts == list(range(0, 60, 3))


def test_it_is_never_a_file_and_no_file_is_it(site: Site) -> None:
    """What has that name in the root is hidden by it, below it too; another spelling is the same path."""
    site.write("status/index.html", b"file")
    site.write("status/health", b"file")
    site.write("status/other", b"file")
    site.write("statusx", b"another file")
    with pooled_httpd.Server(site.root, status_path="/status", spa=True) as server:
        for path in ("/status", "/status/", "/%73tatus", "/./status", "/a/../status", "//status?x"):
            response = exchange(server.port, get(path))
            assert response.fields["content-type"] == "application/json", path
        assert exchange(server.port, get("/status/health")).content == b"ok\n"
        assert exchange(server.port, get("/status/other")).status == 404
        assert exchange(server.port, get("/status/index.html")).status == 404
        assert exchange(server.port, get("/statusx")).content == b"another file"
        assert server.stats().file_cache_misses == 1
    with pooled_httpd.Server(site.root) as server:
        assert exchange(server.port, get("/status/health")).content == b"file"
        assert exchange(server.port, get("/status/")).content == b"file"


def test_health_tells_a_balancer_to_leave(status: pooled_httpd.Server) -> None:
    """200 as long as requests are wanted; 503 once the server drains, while it serves on."""
    assert (response := exchange(status.port, get("/status/health"))).status == 200
    assert response.content == b"ok\n"
    status.drain()
    response = exchange(status.port, get("/status/health"))
    assert (response.status, response.content) == (503, b"draining\n")
    assert response.fields["connection"] == "close"
    served = exchange(status.port, get("/a.txt"))
    assert (served.status, served.fields["connection"]) == (200, "close")
    assert json.loads(exchange(status.port, get("/status")).content)["draining"] is True


def test_it_needs_a_buffer(site: Site) -> None:
    """The longest statistics must fit."""
    with pytest.raises(pooled_httpd.OptionError, match="status_path: the statistics need a buffer_size of 16384 bytes"):
        pooled_httpd.Server(site.root, status_path="/status", buffer_size=16383)
