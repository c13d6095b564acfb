"""The collector for prometheus_client: the same families as the server's own export, and no trouble in a scrape."""

from __future__ import annotations

import gc
from collections.abc import Iterable

import pooled_httpd
import pytest
from pooled_httpd.prometheus import StatsCollector
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from support import Raw, Site, eventually, exchange, get

#: What differs between a scrape through the server, which counts itself as under way, and one beside it.
UNDER_WAY = {
    "pooled_httpd_active_connections",
    "pooled_httpd_peak_connections",
    "pooled_httpd_connections",
    "pooled_httpd_connections_accepted",
    "pooled_httpd_received_bytes",
    "pooled_httpd_invariant_checks_passed",
    "pooled_httpd_uptime_seconds",
}


def scrape(registry: CollectorRegistry) -> dict[str, Metric]:
    """What Prometheus reads from a registry."""
    return by_name(text_string_to_metric_families(generate_latest(registry).decode()))


def by_name(families: Iterable[Metric]) -> dict[str, Metric]:
    """The families by their names."""
    return {family.name: family for family in families}


def samples(family: Metric) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples of a family by name and labels."""
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in family.samples}


def test_it_tells_what_the_server_exports(site: Site) -> None:
    """Names, types, texts, labels and values, read by prometheus_client's own parser on both sides."""
    with pooled_httpd.Server(site.root, status_path="/status") as server:
        registry = CollectorRegistry()
        registry.register(StatsCollector(server))
        for request in (get("/a.txt"), get("/large"), get("/nothing"), get("/", method="DELETE")):
            exchange(server.port, request)
        with Raw(server.port) as raw:
            raw.send(b"GET / HTTP/1.1\r\nHost: a\n\r\n").response()
        eventually(lambda: server.stats().active_connections == 0)
        told = scrape(registry)
        text = exchange(server.port, get("/status?format=prometheus")).content.decode()
    exported = by_name(text_string_to_metric_families(text))
    assert list(told) == list(exported)
    for name, family in exported.items():
        assert (told[name].type, told[name].documentation) == (family.type, family.documentation)
        assert samples(told[name]).keys() == samples(family).keys()
        if name not in UNDER_WAY:
            assert samples(told[name]) == samples(family), name
        else:
            assert all(value <= samples(family)[key] for key, value in samples(told[name]).items()), name
    histogram = samples(told["pooled_httpd_request_duration_seconds"])
    assert told["pooled_httpd_request_duration_seconds"].type == "histogram"
    assert histogram["pooled_httpd_request_duration_seconds_count", ()] == 5
    assert histogram["pooled_httpd_request_duration_seconds_bucket", (("le", "+Inf"),)] == 5
    assert histogram["pooled_httpd_request_duration_seconds_sum", ()] > 0
    assert samples(told["pooled_httpd_responses"])["pooled_httpd_responses_total", (("code", "200"),)] == 2


def test_it_tells_of_the_drain(server: pooled_httpd.Server) -> None:
    """As the export does."""
    registry = CollectorRegistry()
    registry.register(StatsCollector(server))
    assert registry.get_sample_value("pooled_httpd_draining") == 0
    server.drain()
    assert registry.get_sample_value("pooled_httpd_draining") == 1


def test_it_is_registered_and_unregistered_like_others(server: pooled_httpd.Server) -> None:
    """Beside other metrics; the same names twice are refused, and after its end the registry knows nothing of it."""
    registry = CollectorRegistry(auto_describe=True)
    Counter("other", "Another metric", registry=registry)
    collector = StatsCollector(server)
    registry.register(collector)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(StatsCollector(server))
    assert {"other", "pooled_httpd_responses"} <= scrape(registry).keys()
    registry.unregister(collector)
    assert not any(name.startswith("pooled_httpd") for name in scrape(registry))
    registry.register(StatsCollector(server))


def test_a_server_that_ends_is_no_error_in_a_scrape(site: Site) -> None:
    """Stopped: the last statistics. Destroyed or gone: no samples. It keeps no server alive."""
    server = pooled_httpd.Server(site.root)
    registry = CollectorRegistry()
    registry.register(StatsCollector(server))
    assert registry.get_sample_value("pooled_httpd_uptime_seconds") == 0
    with server:
        exchange(server.port, get("/a.txt"))
    assert registry.get_sample_value("pooled_httpd_responses_total", {"code": "200"}) == 1
    server.destroy()
    assert scrape(registry) == {}
    with pytest.raises(pooled_httpd.StateError):
        StatsCollector(server)
    second = pooled_httpd.Server(site.root)
    second.start()
    others = CollectorRegistry()
    others.register(StatsCollector(second))
    assert "pooled_httpd_responses" in scrape(others)
    del second
    gc.collect()
    assert scrape(others) == {}


def test_a_server_for_asyncio_is_the_server_itself(server: pooled_httpd.Server) -> None:
    """Also where nobody keeps what was given; alone and with a name."""
    registry, others = CollectorRegistry(), CollectorRegistry()
    registry.register(StatsCollector(server.asynchronous()))
    others.register(StatsCollector({"one": server.asynchronous()}))
    exchange(server.port, get("/a.txt"))
    gc.collect()
    assert registry.get_sample_value("pooled_httpd_responses_total", {"code": "200"}) == 1
    assert others.get_sample_value("pooled_httpd_responses_total", {"code": "200", "server": "one"}) == 1


def test_what_is_no_server_is_told_at_once(server: pooled_httpd.Server) -> None:
    """With what would be right, and not in a scrape."""
    right = "it takes a Server, an AsyncServer, or a mapping of names to them"
    for wrong in ("x", None, [server], server.stats()):
        with pytest.raises(pooled_httpd.OptionError, match=f"^servers: .* is no server; {right}$"):
            StatsCollector(wrong)  # type: ignore[arg-type]
    with pytest.raises(pooled_httpd.OptionError, match=r"^servers: 'a': 'x' is no server; it takes a Server or an Asy"):
        StatsCollector({"a": "x"})  # type: ignore[dict-item]
    for name in (3, None, b"a", "half a pair: \ud800"):
        with pytest.raises(pooled_httpd.OptionError, match=r"^servers: a name: .*(takes text|no character)"):
            StatsCollector({name: server})  # type: ignore[dict-item]


def test_several_servers_are_told_apart(site: Site) -> None:
    """By the label ``server``; each family stands there once."""
    one = pooled_httpd.Server(site.root)
    one.start()
    with pooled_httpd.Server(site.root) as two:
        registry = CollectorRegistry()
        registry.register(StatsCollector({"one": one, 'a "b"\n': two}))
        exchange(two.port, get("/a.txt"))
        told = scrape(registry)
        requests = samples(told["pooled_httpd_responses"])
        assert requests["pooled_httpd_responses_total", (("code", "200"), ("server", "one"))] == 0
        assert requests["pooled_httpd_responses_total", (("code", "200"), ("server", 'a "b"\n'))] == 1
        text = generate_latest(registry).decode()
        assert text.count("# TYPE pooled_httpd_responses_total counter") == 1
        one.destroy()
        assert {dict(labels)["server"] for _, labels in samples(scrape(registry)["pooled_httpd_draining"])} == {
            'a "b"\n'
        }
