"""The server as Python has it: the native one, and what is pleasant to have beside it."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pooled_httpd import _native
from pooled_httpd._answers import LEFT_OUT, FieldLines, register
from pooled_httpd._checks import Buffer, number_of_seconds, whole_number
from pooled_httpd._files import write_beneath
from pooled_httpd._waiting import LOOK_EVERY, NOT_RECORDED, Wait, Wanted, last_requests
from pooled_httpd.errors import OptionError, StateError, StatsMismatchError
from pooled_httpd.faults import Fault
from pooled_httpd.received import ReceivedRequest, recorded_requests
from pooled_httpd.recorder import StatsRecorder

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Unpack

    from pooled_httpd._native import CannedAnswer, ServerStats, _Options
    from pooled_httpd.asynchronous import AsyncServer

__all__ = ["Server", "server_create"]


class Server(_native.Server):
    """An HTTP/1.1 static-file server.

    ``Server(docroot)`` binds 127.0.0.1 and a free port (``port=0``) at once, so that :attr:`port` is true before it
    serves. As a context manager it serves from ``with`` to its end. The options are those of the command line, with
    underscores (see :func:`options`).

    Raises OptionError (a ValueError) for a wrong option, RootNotFoundError (a FileNotFoundError) or
    RootNotADirectoryError (a NotADirectoryError) for the document root, BindError (an OSError) for the address,
    AccessLogError (an OSError) for the file of the access log.

    ``host="unix:/run/x.sock"`` listens on a Unix socket: a stale file is replaced, a live one is a BindError with
    EADDRINUSE, anything else that stands there one with ENOTSOCK; the file goes when the server stops. Its permissions
    are those that the umask leaves.

    ``listen_fd=sock.detach()`` takes over a listening TCP or Unix socket in place of host and port. The server owns it
    from then on and closes it when it stops, but does not shut it down: who holds a copy listens on. It becomes
    non-blocking for them too. A descriptor that is not such a socket is an OptionError and stays the caller's, as it
    does with every other error.

    ``deferred=True`` leaves a connection to the system until its first bytes have come (TCP_DEFER_ACCEPT), so that
    short connections cost less; one that sends nothing is not seen, nor counted, for a second or more. For TCP only.

    Every method and property raises StateError (a RuntimeError) after :meth:`destroy`, and ForkError in a forked child.
    There, what tells of the address and the root goes on to do so: the child may be a client of its parent's server.
    Wrong values of answers, waits, records and files are OptionErrors (ValueErrors) that name the argument.
    """

    def record_stats(self, *, interval: float = 0.05, max_samples: int = 2000) -> StatsRecorder:
        """Return a recorder of this server's statistics, for ``with`` or its ``start``: see :class:`StatsRecorder`."""
        return StatsRecorder(self, interval=interval, max_samples=max_samples)

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from pooled_httpd.html import server_html

        return server_html(self)

    def __init__(self, docroot: str | PathLike[str], *, port: int | None = None, **options: Unpack[_Options]) -> None:
        """Take what the native class has been made of, and keep what is wanted here."""
        del docroot, port, options
        #: As it was when the server opened it: the current directory may change.
        self._root = Path(os.path.abspath(self.docroot))
        #: Where it listens, or has listened: for what is told of one that has been destroyed.
        self._url = self.url
        #: Whether it was told to drain, which nothing takes back.
        self._drains = False
        #: In how much memory requests are recorded, in bytes.
        self._record_bytes = 0

    def drain(self) -> None:
        """Let every connection end with its next response and health answer 503, and return at once.

        For a balancer that is to send its requests elsewhere. Idle connections stay and newcomers are served. Any
        thread or signal handler may call it, any number of times; before :meth:`start` it is remembered.
        :meth:`stop` ends the server as ever.
        """
        self._drains = True
        super().drain()

    def write(self, path: str | PathLike[str], content: str | Buffer) -> Path:
        """Write a file beneath the document root, with the directories on its way, and return where it is.

        It is moved into its place whole, over another one of that name. Text is written as UTF-8. ``path`` is the
        file's path below the root, as in a URL but not encoded; slashes at its beginning do not matter.

        Raises OptionError (a ValueError) where it names no file (``""``, ``"a/"``), has ``..`` in it, leads out of the
        root by a link, or is no name that a file can have; for text that UTF-8 cannot hold; and OSError where the
        system does not write it.
        """
        _ = self.is_running  # StateError where it has been destroyed
        return write_beneath(self._root, path, content)

    def respond(
        self,
        path: str,
        *,
        method: str | None = None,
        status: int = 200,
        reason: str | None = None,
        headers: FieldLines | None = None,
        content: str | Buffer = b"",
        json: Any = LEFT_OUT,  # noqa: ANN401 - whatever JSON can hold
        delay: float = 0.0,
        times: int | None = None,
        fault: Fault | Iterable[Fault] | None = None,
    ) -> CannedAnswer:
        """Answer requests for a path like this from now on, in place of a file; before it runs, or while it does.

        ``path``: that of the URL; ``*`` at its end stands for whatever follows, and with a query (``/a?b=c``) only that
        one will do. Both are compared decoded, so ``/a?q=é b`` is what a client sends as ``/a?q=%C3%A9%20b`` (or with a
        ``+``, as forms send a space); but ``&``, ``=``, ``;`` and ``+`` that are encoded in a query are others than
        those that are not. ``method``: None is any, known to the server or not, HEAD included, which gets a head alone;
        CONNECT and ``OPTIONS *`` ask for no path, so no answer can be for them. The request must be valid: what the
        server refuses (400 and the like) it refuses.

        ``status`` (200 to 999) and ``reason``: the status line. ``headers``: its field lines; Date, Content-Length,
        Content-Type and Connection are added where they are not among them, and ``Connection: close`` closes. A wrong
        Content-Length is sent as it is. ``content``: text is UTF-8, here and in the head; ``json``: what is to be sent
        as JSON in its place, None as ``null``. ``delay``: seconds before the answer (0 to 86,400). ``fault``: what is
        to go wrong, one or several of ``pooled_httpd.faults``. A client that closes meanwhile keeps its connection
        until a wait of so many seconds is over, for it may only have shut down its sending side; one that resets is
        gone at once.

        ``times``: how often, at least 1; then the next answer for the request has its turn, or the file. None is for
        ever, and takes the place of another for ever for the same method, path and query. Of several for a request,
        one with ``times`` goes before one for ever; of two of a kind the more particular one goes first (a whole path
        before one with ``*``, the longer one with ``*``, a method or a query before none), and of two as particular the
        one that was registered first. So several with ``times=1`` for one path are given in their order.

        Everything is prepared here and sent by the event loop, without Python and without heap. At most 1,024 answers
        are registered at the same time, and they take at most 64 MiB with those that are still being sent. Raises
        OptionError (a ValueError) that names the argument, what is wrong with it, a wrong type included, and what would
        be right.
        """
        return register(
            self,
            path,
            method=method,
            status=status,
            reason=reason,
            headers=headers,
            content=content,
            json=json,
            delay=delay,
            times=times,
            fault=fault,
        )

    def clear_responses(self) -> None:
        """Give no registered answer any more, except where it is being sent already."""
        _native._withdraw_all(self)

    def record_requests(self, max_bytes: int = 1 << 20) -> None:
        """Keep what is received from now on, for :meth:`requests`, in so much memory (65,536 to 1,073,741,824 bytes).

        Rounded down to a power of two. The oldest requests give way to new ones, and what was recorded before is
        forgotten. 0 keeps none, as at first. Raises OptionError for another number.
        """
        if max_bytes != 0:
            whole_number("max_bytes", max_bytes, range(1 << 16, (1 << 30) + 1), "0 keeps none")
        _native._keep_requests(self, max_bytes)
        self._record_bytes = max_bytes

    def requests(
        self, *, path: str | None = None, method: str | None = None, status: int | None = None
    ) -> list[ReceivedRequest]:
        """Return the requests that were recorded, the oldest first: every one whose answer a client has read.

        Also those that ended without an answer. Where these are given, only those of that path, read as
        :meth:`respond` reads it (a ``*`` at its end stands for whatever follows, without a query any will do, and
        ``/x/../a`` is ``/a``), of that method, in its case, and of that status (0 to 999).

        Raises StateError where nothing is recorded (see :meth:`record_requests`), and OptionError for what can be no
        path or status.
        """
        wanted = Wanted(path, method, status)
        received = recorded_requests(self)
        if received is None:
            raise StateError(NOT_RECORDED)
        return [request for request in received if wanted.fits(request)]

    @property
    def requests_forgotten(self) -> int:
        """How many recorded requests have given way to newer ones; 0 where none are recorded."""
        kept = _native._requests(self)
        return 0 if kept is None else kept[1]

    def wait_for(
        self,
        count: int = 1,
        *,
        path: str | None = None,
        method: str | None = None,
        status: int | None = None,
        timeout: float = 5.0,
    ) -> list[ReceivedRequest]:
        """Wait until ``count`` requests have been answered since the start or the last reset.

        Returns those that are still recorded; none where nothing is. An answer that is still being sent, as one that
        stalls, is none yet.

        With a path, a method or a status, wait until so many requests like these (see :meth:`requests`) are over since
        they have been recorded, or since the last reset, and return them. Each is counted as it comes, though it may
        give way in the record afterwards; what gave way before anybody looked is not, and the error tells of it.

        ``timeout``: seconds from 0 on, ``math.inf`` for ever. Ctrl+C works meanwhile, and other threads go on.

        Raises WaitTimeoutError (a TimeoutError) that says what came instead; StateError at once where the server has
        been stopped or destroyed, or is meanwhile, and has not answered as many, or where something is to be told of
        requests that are not recorded; ServerFailedError where it has ended by itself.
        """
        wait = Wait(self, count, Wanted(path, method, status), timeout)
        found = wait.go_on()
        if found is None:
            raise wait.too_late()
        return found

    def expect_stats(self, *, timeout: float = 5.0, **expected: Any) -> ServerStats:  # noqa: ANN401 - any comparable
        """Check statistics: ``expect_stats(total_requests=3, responses={200: 2, 404: 1})``.

        The names are those of ServerStats. A value is compared by ``==``; a ``range`` must hold the number, of seconds
        too (0.5 is in ``range(2)``), and a function must return true for it; one that looks for what is not there yet
        (KeyError, IndexError) does not. What does not hold yet is waited for, for so many seconds (from 0 on): counters
        include every answer that a client has read at once, but an end of a connection takes a moment to be seen.

        Returns the statistics. Raises StatsMismatchError (an AssertionError) that tells each difference, and
        OptionError for a name that the statistics do not have.
        """
        deadline = time.monotonic() + number_of_seconds("timeout", timeout)
        while True:
            # First, so that what came last is in the statistics.
            has_ended = _native._has_ended(self)
            stats = self.stats()
            there = stats.as_dict()
            for name in expected:
                if name not in there:
                    near = difflib.get_close_matches(name, there, n=1)
                    hint = f"; did you mean {near[0]}?" if near else f"; they are {', '.join(there)}"
                    raise OptionError(f"{name}: the statistics have no such name{hint}")
            wrong = {name: value for name, value in expected.items() if not _holds(value, there[name])}
            if not wrong:
                return stats
            if has_ended or time.monotonic() >= deadline:
                width = max(map(len, wrong))
                lines = (f"  {name:{width}}  is {there[name]!r}, not {_shown(value)}" for name, value in wrong.items())
                told = "\n".join(lines)
                raise StatsMismatchError(f"the statistics are not as expected:\n{told}{last_requests(self)}")
            time.sleep(LOOK_EVERY)

    def keep_story(self, lines: int = 5000) -> None:
        """Keep the last lines of the story of every connection in memory from now on, for :meth:`story`; 0 keeps none.

        ``lines``: 0 to 4,294,967,295; OptionError for another number. It does not depend on ``log_level``, nor does it
        pass through ``logging``.
        """
        whole_number("lines", lines, range(1 << 32), "0 keeps none")
        _native._keep_story(self, lines)

    def story(self) -> str:
        """Return the lines of the story that were kept, everything that was told before the call among them.

        Not among them is what the log lost at full speed (``log_records_dropped`` counts it). Handlers of ``logging``
        are waited for, for a second; what they hold up longer is not among them either.

        Empty where none are kept; see :meth:`keep_story`.
        """
        lines, forgotten = _native._story(self)
        if forgotten:
            lines.insert(0, f"({forgotten:,} lines before these have given way)")
        return "\n".join(lines)

    @property
    def open_connections(self) -> int:
        """How many connections are open at both ends; whatever a client did before is seen first.

        There are none where the server does not run. One that the client has closed, or half-closed, is not among them,
        unless a registered delay or a full buffer still keeps the server from seeing that.
        """
        return _native._open_connections(self)

    def reset(self) -> int:
        """Begin anew without a restart: for the next test, on the same port.

        Every registered answer is withdrawn, every connection is closed, the statistics count from zero (gauges show
        what is there), and recorded requests and kept lines are forgotten; connections are numbered from 0 again. Files
        and options stay. What handlers of ``logging`` hold up of before still reaches them, but not :meth:`story`.
        Returns how many connections were open at both ends.
        """
        return _native._reset(self)

    def asynchronous(self) -> AsyncServer:
        """Return the same server for asyncio: whatever waits is awaited and blocks no event loop."""
        from pooled_httpd.asynchronous import AsyncServer  # asyncio is loaded where it is used

        return AsyncServer(self)

    async def __aenter__(self) -> AsyncServer:
        """Start it; ``async with Server("www") as httpd:`` gives what :meth:`asynchronous` does."""
        server = self.asynchronous()
        return await server.__aenter__()

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it, unless it was destroyed meanwhile."""
        await self.asynchronous().__aexit__(exception_type, exception, traceback)


def _holds(expected: Any, there: Any) -> bool:  # noqa: ANN401 - any comparable
    if isinstance(expected, range):
        between = isinstance(there, float) and expected.step == 1 and expected.start <= there < expected.stop
        return between or there in expected
    if callable(expected):
        try:
            return bool(expected(there))
        except LookupError:  # such as the count of a status that no answer has had yet
            return False
    return bool(expected == there)


def _shown(expected: Any) -> str:  # noqa: ANN401 - any comparable
    if isinstance(expected, range):
        return f"within {expected}"
    return f"as {getattr(expected, '__name__', expected)} wants it" if callable(expected) else repr(expected)


def server_create(port: int, docroot: str | PathLike[str], **options: Unpack[_Options]) -> Server:
    """Create a server and bind its port (0 for any); nothing is served yet. For options and errors see Server."""
    if port is None:
        raise OptionError("port: none is not allowed; it takes a whole number from 0 to 65535")
    return Server(docroot, port=port, **options)
