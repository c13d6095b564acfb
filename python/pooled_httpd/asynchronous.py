"""A server for asyncio: whatever waits is awaited, on a thread of its own, and blocks no event loop.

async with pooled_httpd.Server("www") as httpd:
    await client.get(httpd.url_for("/index.html"))
    await httpd.wait_for(1)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from pooled_httpd import _native
from pooled_httpd._checks import number_of_seconds
from pooled_httpd._waiting import Wait, Wanted
from pooled_httpd.errors import ForkError, StateError, StatsMismatchError
from pooled_httpd.received import ReceivedRequest

if TYPE_CHECKING:
    from types import TracebackType

    from pooled_httpd._native import ServerStats, _Limits, _Memory
    from pooled_httpd.server import Server

__all__ = ["AsyncServer"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: How long one wait on another thread may last: after that a cancelled task leaves nothing behind.
_LONGEST_WAIT = 0.05


async def _elsewhere(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call it on a thread of its own. Where the task is cancelled, what was begun is brought to its end first.

    Not on the event loop's own pool of threads: whoever is waited for may have taken all of them.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[_T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        # A loop that has been closed meanwhile has nobody who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(outcome)

    def call() -> None:
        try:
            result = function(*args, **kwargs)
        except StopIteration as error:
            # No future takes it; of a coroutine it comes as this (PEP 479).
            told = RuntimeError(f"{getattr(function, '__name__', function)} raised StopIteration")
            told.__cause__ = error
            settle(functools.partial(ended.set_exception, told))
        except BaseException as error:
            settle(functools.partial(ended.set_exception, error))
        else:
            settle(functools.partial(ended.set_result, result))

    threading.Thread(target=call, name="pooled-httpd-wait", daemon=True).start()
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        await asyncio.wait([ended])
        if not ended.cancelled():
            # Looked at, so that nobody is told of an exception that was never retrieved.
            ended.exception()
        raise


class AsyncServer:
    """A :class:`pooled_httpd.Server` for asyncio, with all that it has, and ``server``, which is the server itself.

    What waits for others is a coroutine: ``start``, ``run``, ``stop``, ``destroy``, ``wait_for``, ``expect_stats``,
    ``story``, ``reset``. It waits on a thread of its own, and a task that is cancelled leaves none behind. All else is
    the server's own and returns at once, or after a turn of the server's loop.
    """

    def __init__(self, server: Server) -> None:
        """Make it of a server, which may be running or not."""
        self.server = server
        self.url_for = server.url_for
        self.drain = server.drain
        self.reopen_access_log = server.reopen_access_log
        self.write = server.write
        self.respond = server.respond
        self.clear_responses = server.clear_responses
        self.record_requests = server.record_requests
        self.requests = server.requests
        self.keep_story = server.keep_story
        self.stats = server.stats
        self.record_stats = server.record_stats
        self.prometheus = server.prometheus
        self.print_stats = server.print_stats

    def __repr__(self) -> str:
        """Tell whose it is."""
        return f"<pooled_httpd.asynchronous.AsyncServer of {self.server!r}>"

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        return self.server._repr_html_()

    @property
    def url(self) -> str:
        """The URL of the document root; see Server.url."""
        return self.server.url

    @property
    def host(self) -> str:
        """The address to connect to; see Server.host."""
        return self.server.host

    @property
    def port(self) -> int:
        """The port that it listens on; see Server.port."""
        return self.server.port

    @property
    def docroot(self) -> str:
        """The document root as it was given."""
        return self.server.docroot

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections now."""
        return self.server.is_running

    @property
    def limits(self) -> _Limits:
        """What bounds it; see Server.limits."""
        return self.server.limits

    @property
    def memory(self) -> _Memory:
        """The memory that it takes; see Server.memory."""
        return self.server.memory

    @property
    def requests_forgotten(self) -> int:
        """How many recorded requests have given way to newer ones; see Server.requests_forgotten."""
        return self.server.requests_forgotten

    @property
    def open_connections(self) -> int:
        """How many connections are open at both ends; see Server.open_connections."""
        return self.server.open_connections

    async def start(self) -> None:
        """Start serving; see Server.start."""
        await _elsewhere(self.server.start)

    async def run(self) -> None:
        """Serve until it is stopped, or the task is cancelled, which stops it; see Server.run for what it raises."""
        try:
            if not (self.server.is_running or _native._has_ended(self.server)):
                await self.start()
            while not self._is_gone():
                await asyncio.sleep(_LONGEST_WAIT)
        finally:
            await _elsewhere(self.server.__exit__)

    def _is_gone(self) -> bool:
        """Whether it has ended, or was destroyed."""
        try:
            return _native._has_ended(self.server)
        except ForkError:
            raise
        except StateError:
            return True

    async def stop(self) -> None:
        """Stop it and return when its threads have ended; see Server.stop."""
        await _elsewhere(self.server.stop)

    async def destroy(self) -> None:
        """Stop it and give everything back; see Server.destroy."""
        await _elsewhere(self.server.destroy)

    async def wait_for(
        self,
        count: int = 1,
        *,
        path: str | None = None,
        method: str | None = None,
        status: int | None = None,
        timeout: float = 5.0,
    ) -> list[ReceivedRequest]:
        """Wait until so many requests have been answered; see Server.wait_for."""
        wait = Wait(self.server, count, Wanted(path, method, status), timeout)
        # In slices, so that a task that is cancelled leaves no thread behind.
        while (found := await _elsewhere(wait.go_on, _LONGEST_WAIT)) is None:
            if wait.is_over:
                raise await _elsewhere(wait.too_late)
        return found

    async def expect_stats(self, *, timeout: float = 5.0, **expected: Any) -> ServerStats:  # noqa: ANN401
        """Check statistics; see Server.expect_stats."""
        deadline = time.monotonic() + number_of_seconds("timeout", timeout)
        while True:
            left = deadline - time.monotonic()
            try:
                # In slices, as above.
                seconds = max(0.0, min(left, _LONGEST_WAIT))
                return await _elsewhere(self.server.expect_stats, timeout=seconds, **expected)
            except StatsMismatchError:
                if left <= _LONGEST_WAIT or self._is_gone():
                    raise

    async def story(self) -> str:
        """Return the lines of the story that were kept; see Server.story."""
        return await _elsewhere(self.server.story)

    async def reset(self) -> int:
        """Begin anew; see Server.reset."""
        return await _elsewhere(self.server.reset)

    async def __aenter__(self) -> Self:
        """Start it."""
        was_running = self.server.is_running
        try:
            await self.start()
        except BaseException:
            # Cancelled, say: nobody will leave what was not entered. What somebody else has started is theirs.
            if not was_running:
                await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it, unless it was destroyed meanwhile."""
        await _elsewhere(self.server.__exit__)
