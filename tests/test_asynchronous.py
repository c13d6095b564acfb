"""A server for asyncio: what waits is awaited, and nothing is left of what was cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd.asynchronous import AsyncServer
from pooled_httpd.errors import StateError, WaitTimeoutError
from support import PATIENCE, exchange, get, open_descriptors, threads, threads_left

Server = pooled_httpd.Server


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[Iterator[int]]:
    """Count the turns of a task that sleeps for a millisecond at a time; the next number is how many there were."""
    ticks = itertools.count()

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)
            next(ticks)

    task = asyncio.create_task(tick())
    try:
        yield ticks
    finally:
        task.cancel()


def test_an_event_loop_goes_on_meanwhile(httpd: Server) -> None:
    """A task that ticks goes on while others wait for requests, statistics and a reset."""
    server = httpd.asynchronous()

    async def main() -> int:
        async with ticking() as ticks:
            with pytest.raises(pooled_httpd.WaitTimeoutError):
                await server.wait_for(1, timeout=0.2)
            with pytest.raises(pooled_httpd.StatsMismatchError):
                await server.expect_stats(total_requests=1, timeout=0.2)
            await server.reset()
        return next(ticks)

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

    before = len(threads())
    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < PATIENCE
    assert len(threads_left(before)) <= before


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
    descriptors, before = open_descriptors(), len(threads())
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
    # What watches directories may be closed a little later.
    assert len(threads_left(before)) <= before
    assert open_descriptors() <= descriptors


def test_waits_for_asyncio_need_no_thread_of_the_loop(httpd: Server) -> None:
    """Where others have taken all of them, a wait ends in time, and a reset is not kept waiting."""

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


#: What only one of the two has.
ONLY_OF_SERVER, ONLY_OF_ASYNC_SERVER = {"asynchronous"}, {"server"}
#: What waits, and is awaited.
AWAITED = {"start", "run", "stop", "destroy", "wait_for", "expect_stats", "story", "reset"}


def public(of: object) -> set[str]:
    """Return the public names of an object."""
    return {name for name in dir(of) if not name.startswith("_")}


def test_an_async_server_has_all_that_a_server_has(httpd: Server) -> None:
    """The same names, with the same parameters; what waits is awaited and nothing else."""
    server = httpd.asynchronous()
    assert public(httpd) - public(server) == ONLY_OF_SERVER
    assert public(server) - public(httpd) == ONLY_OF_ASYNC_SERVER
    for name in sorted(public(httpd) - ONLY_OF_SERVER):
        own, other = getattr(httpd, name), getattr(server, name)
        assert callable(own) == callable(other), name
        if callable(own):
            assert inspect.iscoroutinefunction(other) == (name in AWAITED), name
            # Annotations of what is native are in the stub alone.
            parameters = [
                [(parameter.name, parameter.kind, parameter.default) for parameter in signature.parameters.values()]
                for signature in (inspect.signature(own), inspect.signature(other))
            ]
            assert parameters[0] == parameters[1], name
        else:
            assert type(own) is type(other), name
            assert name in ("memory", "limits") or own == other, name
    assert repr(server) == f"<pooled_httpd.asynchronous.AsyncServer of {httpd!r}>"
    assert "127.0.0.1" in server._repr_html_()


def test_an_async_server_tells_what_its_server_tells(httpd: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that is not awaited is the server's own."""
    server = httpd.asynchronous()

    async def main() -> None:
        with server.record_stats() as recorder:
            await asyncio.to_thread(exchange, server.port, get("/a"))
        assert recorder.samples[-1].stats.total_requests == 1
        assert (server.open_connections, server.requests_forgotten) == (0, 0)
        assert (server.limits, server.memory) == (httpd.limits, httpd.memory)
        assert "pooled_httpd_requests_total 1" in server.prometheus()
        server.print_stats()
        assert "Total requests served: 1\n" in capsys.readouterr().out
        assert "Parsed: GET /a HTTP/1.1" in await server.story()

    asyncio.run(main())


def test_a_story_that_is_held_up_blocks_no_event_loop(tmp_path: Path) -> None:
    """A handler of the log takes its time, for which the story waits; tasks go on meanwhile."""
    go = threading.Event()

    class Slow(logging.Handler):
        """Waits until it may go on."""

        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
            go.wait(PATIENCE)

    logger, slow = logging.getLogger("pooled_httpd.conn"), Slow()
    level = logger.level
    logger.addHandler(slow)
    logger.setLevel(logging.DEBUG)

    async def main() -> tuple[int, float]:
        async with Server(tmp_path) as server:
            server.keep_story()
            await asyncio.to_thread(exchange, server.port, get("/a"))
            async with ticking() as ticks:
                begun = time.monotonic()
                asyncio.get_running_loop().call_later(0.3, go.set)
                story = await server.story()
                waited = time.monotonic() - begun
            while "Parsed: GET /a HTTP/1.1" not in story:
                assert time.monotonic() - begun < PATIENCE
                story = await server.story()
            return next(ticks), waited

    try:
        ticks, seconds = asyncio.run(main())
    finally:
        logger.removeHandler(slow)
        logger.setLevel(level)
    assert seconds > 0.2
    assert ticks > 40


def test_an_async_server_is_destroyed(tmp_path: Path) -> None:
    """Awaited, any number of times; waits of other tasks end at once."""

    async def main() -> None:
        async with Server(tmp_path) as server:
            server.record_requests()
            tasks = [asyncio.create_task(server.wait_for(1, path=path, timeout=PATIENCE)) for path in (None, "/a")]
            await asyncio.sleep(0.05)
            begun = time.monotonic()
            await server.destroy()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert time.monotonic() - begun < PATIENCE / 4
            assert [type(error) for error in ended] == [StateError] * 2
            await server.destroy()
            with pytest.raises(StateError, match="the server has been destroyed"):
                server.stats()
            with pytest.raises(StateError, match="the server has been destroyed"):
                await server.story()
        # Leaving what is destroyed is no error.

    asyncio.run(main())


def test_entering_a_server_that_runs_leaves_it_running(httpd: Server) -> None:
    """It is somebody else's."""

    async def enter() -> None:
        async with httpd.asynchronous():
            pytest.fail("it has been started already")

    with pytest.raises(pooled_httpd.StateError, match="started already"):
        asyncio.run(enter())
    assert httpd.is_running


def test_a_stop_iteration_of_a_check_is_told(httpd: Server) -> None:
    """As of any coroutine (PEP 479), and nobody waits for ever."""

    async def check() -> None:
        server = httpd.asynchronous()
        await asyncio.wait_for(server.expect_stats(responses=lambda responses: next(iter(responses))), PATIENCE)

    with pytest.raises(RuntimeError, match="raised StopIteration"):
        asyncio.run(check())


def test_a_run_ends_where_the_server_is_destroyed(tmp_path: Path) -> None:
    """As ``Server.run`` does."""

    async def run() -> None:
        server = Server(tmp_path).asynchronous()
        running = asyncio.create_task(server.run())
        while not server.is_running:
            await asyncio.sleep(0)
        await server.destroy()
        await asyncio.wait_for(running, PATIENCE)

    asyncio.run(run())


def test_statistics_of_a_server_that_has_stopped_are_told_at_once(tmp_path: Path) -> None:
    """Nothing changes them any more."""
    server = Server(tmp_path)
    server.start()
    server.stop()
    with pytest.raises(pooled_httpd.StatsMismatchError, match="total_requests"):
        server.expect_stats(total_requests=1, timeout=3600)
    with pytest.raises(pooled_httpd.StatsMismatchError, match="total_requests"):
        asyncio.run(server.asynchronous().expect_stats(total_requests=1, timeout=3600))
