"""The stateful machine against our server, and against statistics that are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pooled_httpd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from pooled_httpd.attack import machine
from pooled_httpd.attack.machine import ServerMachine, machine_for
from support import Site

SLOTS = 3
SETTINGS = settings(
    max_examples=60,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.fixture
def busy(site: Site) -> Iterator[pooled_httpd.Server]:
    """A server with few slots and long timeouts."""
    with pooled_httpd.Server(site.root, max_connections=SLOTS, timeout=60, log_level="off") as server:
        yield server


def test_statistics_equal_the_model_after_every_step(busy: pooled_httpd.Server) -> None:
    """Whatever many connections do at once."""
    run_state_machine_as_test(machine_for(busy, max_connections=SLOTS), settings=SETTINGS)
    stats = busy.stats()
    assert min(stats.connections_refused, stats.connections_reclaimed) > 0
    assert len(stats.rejects) >= 8
    assert stats.invariant_violations == 0


class Liar:
    """A server whose statistics are off by one, once two connections of an example have come."""

    def __init__(self, server: pooled_httpd.Server, name: str) -> None:
        """Lie about this number."""
        self.server, self.name = server, name
        self.host, self.port = server.host, server.port
        self.connections_before = 0
        self.lies = False

    def stats(self) -> Liar:
        """Look."""
        return self

    def as_dict(self) -> dict[str, Any]:
        """The true ones but for one."""
        shown = self.server.stats().as_dict()
        is_off = self.lies and shown["total_connections"] - self.connections_before >= 2
        if self.name == "states":
            shown["states"]["READING_HEADERS"] += is_off
        else:
            shown[self.name] += is_off
        return shown


@pytest.mark.parametrize("name", ["bytes_received", "bytes_sent", "total_requests", "connections_reclaimed", "states"])
def test_a_number_that_is_off_by_one_is_found(
    busy: pooled_httpd.Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each counter, and the states: the truth is waited for, and then there is a lie, which gets no patience."""
    liar = Liar(busy, name)

    class Lying(ServerMachine):
        server = liar  # type: ignore[assignment]
        max_connections = SLOTS

        def __init__(self) -> None:
            liar.connections_before = busy.stats().total_connections
            super().__init__()

        @invariant()
        def statistics_are_exact(self) -> None:
            super().statistics_are_exact()
            with monkeypatch.context() as patch:
                patch.setattr(liar, "lies", True)
                patch.setattr(machine, "PATIENCE", 0.0)
                super().statistics_are_exact()

    with pytest.raises(AssertionError, match=f"server against model.*{name}"):
        run_state_machine_as_test(Lying, settings=SETTINGS)
