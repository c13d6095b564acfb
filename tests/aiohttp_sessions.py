"""Sessions of aiohttp, for its tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest_asyncio
from pooled_httpd import Server
from support import PATIENCE

#: A timeout that is meant to pass, in seconds.
SHORT = 0.1


def session(server: Server, **options: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - as ClientSession's
    """Make a session whose URLs begin with the server's."""
    options.setdefault("timeout", aiohttp.ClientTimeout(total=PATIENCE))
    return aiohttp.ClientSession(server.url, **options)


@pytest_asyncio.fixture(name="client")
async def client_of_the_fixture(pooled_httpd: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """Such a session, closed behind the test."""
    async with session(pooled_httpd) as client:
        yield client


async def content(client: aiohttp.ClientSession, path: str, **options: Any) -> bytes:  # noqa: ANN401
    """GET a path and read it whole."""
    async with client.get(path, **options) as response:
        return await response.read()


async def status(client: aiohttp.ClientSession, path: str, method: str = "GET", **options: Any) -> int:  # noqa: ANN401
    """Ask for a path, read the answer and return its status."""
    async with client.request(method, path, **options) as response:
        await response.read()
        return response.status
