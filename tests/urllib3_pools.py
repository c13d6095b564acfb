"""Pools of urllib3, for its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import urllib3
from pooled_httpd import Server
from support import PATIENCE

#: A timeout that is meant to pass, in seconds.
SHORT = 0.1


@pytest.fixture
def pool(pooled_httpd: Server) -> Iterator[urllib3.HTTPConnectionPool]:
    """One kept connection to the fixture's server."""
    with urllib3.HTTPConnectionPool("127.0.0.1", pooled_httpd.port, maxsize=1, timeout=PATIENCE) as pool:
        yield pool


@pytest.fixture
def manager(pooled_httpd: Server) -> Iterator[urllib3.PoolManager]:
    """A pool manager, which follows redirects to other hosts; ``pooled_httpd`` outlives it."""
    assert pooled_httpd.is_running
    with urllib3.PoolManager(timeout=PATIENCE) as manager:
        yield manager


def connections(server: Server) -> int:
    """How many connections it has accepted."""
    return server.stats().total_connections
