"""A server's statistics for prometheus_client, beside what else the process tells Prometheus.

    from prometheus_client import REGISTRY, start_http_server
    from pooled_httpd.prometheus import StatsCollector

    REGISTRY.register(StatsCollector(server))
    start_http_server(9100)

Names, types and values are those of the server's own export (``status_path``, ``?format=prometheus``).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pooled_httpd._checks import server_itself, text
from pooled_httpd._telling import shown
from pooled_httpd.errors import PooledHttpdError

try:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.parser import text_string_to_metric_families
    from prometheus_client.registry import Collector
except ImportError:
    raise ImportError(
        "pooled_httpd.prometheus needs prometheus_client, which cannot be imported: "
        "pip install 'pooled_httpd[observe]'",
        name="prometheus_client",
    ) from None

if TYPE_CHECKING:
    from pooled_httpd.asynchronous import AsyncServer
    from pooled_httpd.server import Server

__all__ = ["StatsCollector"]


class StatsCollector(Collector):
    """What prometheus_client asks at each scrape: ``registry.register(StatsCollector(server))``.

    Several servers of a process go into one collector, ``StatsCollector({"api": one, "files": another})``: each sample
    then has the label ``server`` with that name. A server that was destroyed, is gone, or belongs to the parent of this
    process has no samples; one that was stopped has its last. The collector does not keep its servers alive. Of a
    server for asyncio it takes the server itself.
    """

    def __init__(self, servers: Server | AsyncServer | Mapping[str, Server | AsyncServer]) -> None:
        """Ask each server once for what it has to tell.

        Raises OptionError (a ValueError) for what is no server and for a name that is no text, and StateError where a
        server was destroyed.
        """
        named = _named(servers)
        self._servers = {name: weakref.ref(server) for name, server in named.items()}
        texts = [server.prometheus() for server in named.values()]
        self._families = {
            family.name: (family.documentation, family.type)
            for text in texts
            for family in text_string_to_metric_families(text)
        }

    def describe(self) -> Iterator[Metric]:
        """Every family without samples, so that a registry refuses the same names twice."""
        for name, (documentation, kind) in self._families.items():
            yield Metric(name, documentation, kind)

    def collect(self) -> Iterator[Metric]:
        """The statistics now: those of each server consistent in themselves."""
        families = {family.name: family for family in self.describe()}
        for name, reference in self._servers.items():
            server = reference()
            if server is None:
                continue
            try:
                text = server.prometheus()
            except PooledHttpdError:
                continue
            for told in text_string_to_metric_families(text):
                samples = told.samples
                if name is not None:
                    samples = [sample._replace(labels={"server": name, **sample.labels}) for sample in samples]
                families[told.name].samples += samples
        yield from (family for family in families.values() if family.samples)


def _named(servers: object) -> dict[str | None, Server]:
    """Return the servers by their names, None for the one that has none."""
    if not isinstance(servers, Mapping):
        return {None: server_itself("servers", servers, "a Server, an AsyncServer, or a mapping of names to them")}
    for name in servers:
        text("servers: a name", name)
    return {name: server_itself(f"servers: {shown(name)}", server) for name, server in servers.items()}
