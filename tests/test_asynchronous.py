"""A server for asyncio: what waits is awaited, and nothing is left of what was cancelled."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd.asynchronous import AsyncServer
from pooled_httpd.errors import WaitTimeoutError
from pooled_httpd.faults import Stall
from support import PATIENCE, exchange, get, open_descriptors, threads_left

Server = pooled_httpd.Server


def test_an_event_loop_goes_on_meanwhile(httpd: Server) -> None:
    """A task that ticks goes on while others wait for requests, statistics and a reset."""
    server = httpd.asynchronous()

    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with pytest.raises(pooled_httpd.WaitTimeoutError):
            await server.wait_for(1, timeout=0.2)
        with pytest.raises(pooled_httpd.StatsMismatchError):
            await server.expect_stats(total_requests=1, timeout=0.2)
        await server.reset()
        ticking.cancel()
        return ticks

    assert asyncio.run(main()) > 40


def test_a_cancelled_wait_leaves_no_thread_waiting(httpd: Server) -> None:
    """Cancelled long before its timeout: the executor's thread is free at once, and so is the end of the loop."""
    server = httpd.asynchronous()

    async def main() -> None:
        tasks = [asyncio.create_task(server.wait_for(1, timeout=600)) for _ in range(5)]
        tasks.append(asyncio.create_task(server.wait_for(1, path="/x", timeout=600)))
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )

    threads = len(os.listdir("/proc/self/task"))
    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < PATIENCE
    assert threads_left(threads) <= threads


def test_a_cancelled_expect_stats_ends_too(httpd: Server) -> None:
    """With an hour to wait."""
    server = httpd.asynchronous()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.expect_stats(total_requests=1, timeout=3600), 0.05)

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < PATIENCE


def test_an_async_server_is_the_same_server(tmp_path: Path) -> None:
    """Started, run until it is cancelled or stopped, and used meanwhile; nothing of it is left."""
    descriptors = open_descriptors()
    server = Server(tmp_path)
    server.record_requests()
    awaited = server.asynchronous()
    assert isinstance(awaited, AsyncServer)
    assert (awaited.url, awaited.port, awaited.host) == (server.url, server.port, server.host)

    async def main() -> None:
        running = asyncio.create_task(awaited.run())
        while not awaited.is_running:
            await asyncio.sleep(0.001)
        awaited.respond("/a", content=b"a")
        awaited.write("b", "b")
        contents = [await asyncio.to_thread(exchange, server.port, get(path)) for path in ("/a", "/b")]
        assert [response.content for response in contents] == [b"a", b"b"]
        assert [got.path for got in await awaited.wait_for(2)] == ["/a", "/b"]
        assert (await awaited.expect_stats(total_requests=2)).total_requests == 2
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert not server.is_running
    server.destroy()
    assert open_descriptors() <= descriptors


def test_waits_for_asyncio_need_no_thread_of_the_loop(httpd: Server) -> None:
    """Clients that have taken all of them are waited for, and the stop that would free them is not kept waiting."""
    httpd.respond("/stalls", fault=Stall("start"))
    httpd.respond("/quick")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        taken = threading.Event()
        blocked = [loop.run_in_executor(None, taken.wait, PATIENCE) for _ in range((os.cpu_count() or 1) + 8)]
        server = httpd.asynchronous()
        with pytest.raises(WaitTimeoutError):
            await asyncio.wait_for(server.wait_for(1, path="/nothing", timeout=0.05), PATIENCE / 2)
        await asyncio.wait_for(server.reset(), PATIENCE / 2)
        taken.set()
        await asyncio.gather(*blocked)

    asyncio.run(run())


def test_a_start_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    """Neither by ``run`` nor by ``async with``."""

    async def run(enter: Callable[[Server], Coroutine[Any, Any, None]]) -> None:
        server = Server(tmp_path)
        task = asyncio.create_task(enter(server))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_running
        server.destroy()

    async def by_run(server: Server) -> None:
        await server.asynchronous().run()

    async def by_with(server: Server) -> None:
        async with server:
            await asyncio.sleep(PATIENCE)

    for enter in (by_run, by_with):
        asyncio.run(run(enter))
