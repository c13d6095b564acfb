"""Clients of httpx, for its tests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pooled_httpd import Server
from support import PATIENCE

#: A timeout that is meant to pass, in seconds.
SHORT = 0.1


@pytest.fixture(name="client")
def client_of_the_fixture(pooled_httpd: Server) -> Iterator[httpx.Client]:
    """A client whose URLs begin with the server's."""
    with httpx.Client(base_url=pooled_httpd.url, timeout=PATIENCE, trust_env=False) as client:
        yield client
