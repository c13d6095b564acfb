"""Sessions of requests, for its tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pooled_httpd import Server
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

#: A timeout that is meant to pass, in seconds.
SHORT = 0.1


@pytest.fixture(name="session")
def session_of_the_fixture(pooled_httpd: Server) -> Iterator[requests.Session]:
    """A session that knows nothing of the environment; ``pooled_httpd`` outlives it."""
    assert pooled_httpd.is_running
    with requests.Session() as session:
        session.trust_env = False
        yield session


def retrying(session: requests.Session, **options: Any) -> None:  # noqa: ANN401 - as Retry's
    """Have the session retry."""
    session.mount("http://", HTTPAdapter(max_retries=Retry(backoff_factor=0, **options)))
