"""The native module: private; ``pooled_httpd`` is its public face."""

from collections.abc import Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypedDict, Unpack, final

from typing_extensions import disjoint_base

__all__ = [
    "CannedAnswer",
    "Server",
    "ServerStats",
    "_PathPattern",
    "_has_ended",
    "_keep_requests",
    "_keep_story",
    "_legal_changes",
    "_open_connections",
    "_read_target",
    "_requests",
    "_reset",
    "_respond",
    "_stop_all",
    "_story",
    "_wait_for_answers",
    "_withdraw_all",
    "options",
    "run_command_line",
    "server_destroy",
    "server_drain",
    "server_get_stats",
    "server_print_stats",
    "server_run",
    "server_set_max_connections",
    "server_set_pool_size",
    "server_set_timeout",
    "server_stop",
]

_Path: TypeAlias = str | PathLike[str]
_LogLevel: TypeAlias = Literal["off", "error", "warn", "info", "debug"]
_AccessFormat: TypeAlias = Literal["off", "common", "combined", "json"]

class _Options(TypedDict, total=False):
    host: str
    listen_fd: int | None
    deferred: bool
    max_connections: int
    pool_size: int
    buffer_size: int
    timeout: float
    header_timeout: float
    keepalive_timeout: float
    content_timeout: float
    send_timeout: float
    max_content: int
    max_request_line: int
    max_field_lines: int
    keep_alive: bool
    max_requests_per_connection: int | None
    cache_size: int
    listing: bool
    hidden: bool
    precompressed: bool
    header: str | Sequence[str] | Mapping[str, str] | None
    cache_control: str | None
    cors: bool | str
    spa: bool
    error_pages: bool
    status_path: str | None
    access_log: _AccessFormat
    access_log_file: _Path | None
    log_level: _LogLevel

_RecordedFacts: TypeAlias = tuple[int, int, tuple[str, int] | None, int, int, int | None, int, int, bytes, bytes, bool]

class _Limits(TypedDict):
    max_connections: int
    pool_size: int
    buffer_size: int
    header_timeout: float
    keepalive_timeout: float
    content_timeout: float
    send_timeout: float
    max_content: int
    max_request_line: int
    max_field_lines: int
    max_requests_per_connection: int | None
    cache_size: int

class _Memory(TypedDict):
    connections: int
    receive_buffer: int
    send_buffer: int
    pool: int
    slot: int
    tables: int
    cache: int
    log_ring: int
    total: int

@disjoint_base
class Server:
    """What ``pooled_httpd.Server`` derives from, which is the one to use, and where its errors are told."""

    def __new__(cls, docroot: _Path, *, port: int | None = None, **options: Unpack[_Options]) -> Self:
        """Bind the port, 0 or None for any; nothing is served yet."""
    @property
    def port(self) -> int:
        """The TCP port that it listens on; true before it runs. 0 where it listens on a Unix socket."""
    @property
    def host(self) -> str:
        """The address to connect to, IPv6 in brackets; ``unix:`` and the path of a Unix socket."""
    @property
    def docroot(self) -> str:
        """The document root as it was given."""
    @property
    def url(self) -> str:
        """The URL of the document root, without its final slash.

        That of a Unix socket is ``http+unix://`` and the encoded path, as requests-unixsocket reads it.
        """
    @property
    def is_running(self) -> bool:
        """Whether it accepts connections now."""
    @property
    def limits(self) -> _Limits:
        """What bounds it, by the names of the options: sizes in bytes, timeouts in seconds, None for no bound.

        Those that it runs with, or would if it were started now: a setter is seen at once.
        """
    @property
    def memory(self) -> _Memory:
        """The memory that it takes at its start, in bytes, term by term.

        ``total`` is ``connections`` (a count) times ``receive_buffer``, ``send_buffer``, ``pool`` and ``slot``, and
        ``tables``, ``cache`` and ``log_ring`` besides. Nothing is taken beyond it.
        """
    def url_for(self, path: _Path) -> str:
        """The URL of a path, which may begin with a slash or not, and may have a query.

        It is taken as it is: what a URL cannot hold has been percent-encoded already. Raises OptionError for what is
        neither text nor a path.
        """
    def start(self) -> None:
        """Start serving on threads of its own and return once connections are accepted.

        What is raised meanwhile by a handler of a signal or of a log record stops it again and is raised here.
        """
    def run(self) -> None:
        """Serve until it is stopped, the interpreter's lock released; Ctrl+C stops it and raises KeyboardInterrupt.

        Handlers of signals run meanwhile, and whatever one raises stops it and is raised here. Starts it where it was
        not started. Raises ServerFailedError where it ended without being told to.
        """
    def drain(self) -> None:
        """Prepare for the stop, for a balancer that is to send its requests elsewhere, and return at once.

        From the event loop's next turn on every response ends its connection and health answers 503. Idle connections
        stay and newcomers are served. Any thread or signal handler may call it, any number of times; before
        :meth:`start` it is remembered. :meth:`stop` ends the server as ever.
        """
    def stop(self) -> None:
        """Stop it and return when its threads have ended.

        Any thread or signal handler may call it, any number of times. Idle connections are closed at once; responses
        under way get one second to finish.
        """
    def destroy(self) -> None:
        """Stop it and give everything back. Every later use raises StateError; another destroy does nothing."""
    def reopen_access_log(self) -> None:
        """Open the file of the access log (option ``access_log_file``) anew by its name and return at once.

        For whoever has renamed it: what is logged from now on may go to the old file for a moment, then it goes to a
        new one. Where that cannot be opened, a warning says so and the old one stays in use. Nothing happens where
        there is no such file.
        """
    def stats(self) -> ServerStats:
        """A consistent copy of the statistics; it includes every response that a client has read."""
    def prometheus(self) -> str:
        """The statistics in the text format of Prometheus (0.0.4), as ``status_path`` has them; a consistent copy."""
    def print_stats(self) -> None:
        """Write the statistics block to sys.stdout."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None = None,
        exception: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

@final
class ServerStats:
    """A consistent copy of a server's statistics.

    Subtract an earlier one for what happened between them: counters are subtracted, gauges stay as they are in the
    later one. ``str()`` gives the block that ``server_print_stats`` writes.
    """

    @property
    def total_requests(self) -> int:
        """Answers given, refusals included."""
    @property
    def total_connections(self) -> int:
        """Connections accepted into a slot."""
    @property
    def bytes_received(self) -> int:
        """Bytes received from peers, drained ones included."""
    @property
    def bytes_sent(self) -> int:
        """Bytes handed to the kernel for peers."""
    @property
    def pool_resets(self) -> int:
        """Requests that ended and so emptied their pool, answered or not."""
    @property
    def pool_usage_total(self) -> int:
        """Pool memory used by all those requests together, in bytes."""
    @property
    def pool_overflows(self) -> int:
        """Requests that needed more than their pool had."""
    @property
    def connections_refused(self) -> int:
        """Newcomers that got a 503 for want of a slot or a descriptor."""
    @property
    def connections_reclaimed(self) -> int:
        """Idle persistent connections closed to make room for a newcomer."""
    @property
    def files_truncated(self) -> int:
        """Files that were shorter, or could no longer be read, when they were sent."""
    @property
    def file_cache_hits(self) -> int:
        """File answers that needed no open."""
    @property
    def file_cache_misses(self) -> int:
        """File answers that opened their file."""
    @property
    def log_records_dropped(self) -> int:
        """Log records that found the ring full."""
    @property
    def malloc_calls(self) -> int:
        """Heap allocations of the loop's thread since "Server ready"."""
    @property
    def free_calls(self) -> int:
        """Heap frees of the loop's thread since "Server ready"."""
    @property
    def invariant_checks_passed(self) -> int:
        """Invariant checks that held."""
    @property
    def invariant_violations(self) -> int:
        """Invariant checks that did not."""
    @property
    def active_connections(self) -> int:
        """Connections in any state but FREE (a gauge)."""
    @property
    def peak_connections(self) -> int:
        """The most connections at one time (a gauge)."""
    @property
    def peak_pool_usage(self) -> int:
        """The most pool memory that one request used, in bytes (a gauge)."""
    @property
    def heap_bytes(self) -> int:
        """Heap memory that the loop's thread holds beyond that at "Server ready", in bytes (a gauge)."""
    @property
    def uptime(self) -> float:
        """Time since the server began to serve, in seconds (a gauge)."""
    @property
    def responses(self) -> dict[int, int]:
        """Answers by status code; only those that occurred.

        Code 0 counts what was registered to be sent without a status line, or not at all (see ``Server.respond``).
        """
    @property
    def rejects(self) -> dict[str, int]:
        """Refused requests by reason; only those that occurred."""
    @property
    def timeouts(self) -> dict[str, int]:
        """Timeouts by kind: header, keepalive, content, send."""
    @property
    def states(self) -> dict[str, int]:
        """Connections by state, FREE left out (a gauge)."""
    @property
    def latency(self) -> list[tuple[float, float, int]]:
        """The latency histogram, from the first byte of a request until its response was handed over.

        (from, to, count): both bounds in seconds, the upper one excluded; only buckets that are not empty.
        """
    def as_dict(self) -> dict[str, Any]:
        """Everything as plain dicts, lists and numbers, by the names of the properties.

        ``responses`` has every code that occurred: also 600 to 999, where they were registered, and 0 for what was
        registered to be sent without a status line, or not at all.
        """
    def __sub__(self, earlier: ServerStats, /) -> ServerStats: ...
    def __rsub__(self, later: ServerStats, /) -> ServerStats: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def _repr_html_(self) -> str: ...

@final
class CannedAnswer:
    """An answer that was registered by :meth:`pooled_httpd.Server.respond`."""

    @property
    def path(self) -> str:
        """The path as it was registered."""
    @property
    def served(self) -> int:
        """How often it was given; every answer that a client has read is counted."""
    def withdraw(self) -> None:
        """Give it no more, except where it is being sent already. Nothing happens where it is gone already."""

def server_run(server: Server) -> None:
    """Serve until the server is stopped; see Server.run."""

def server_stop(server: Server) -> None:
    """Stop a server, from any thread or signal handler, any number of times; see Server.stop."""

def server_drain(server: Server) -> None:
    """Let every connection end with its next response and health answer 503; see Server.drain."""

def server_destroy(server: Server) -> None:
    """Give everything back; later use raises StateError."""

def server_set_pool_size(server: Server, size: int) -> None:
    """Set the pool size in bytes, from 256 to 16,777,216, before the server runs."""

def server_set_max_connections(server: Server, max: int) -> None:
    """Set how many connections are served at the same time, from 1 to 65,536, before the server runs."""

def server_set_timeout(server: Server, seconds: float) -> None:
    """Set the four timeouts, from 0.001 to 86,400 seconds, before the server runs."""

def server_get_stats(server: Server) -> ServerStats:
    """A consistent copy of the statistics; see Server.stats."""

def server_print_stats(server: Server) -> None:
    """Write the statistics block to sys.stdout."""

def options() -> list[tuple[str, str, str]]:
    """Options as (name, default, help), in the order of the documentation."""

def run_command_line(arguments: Sequence[str]) -> int:
    """Run the command line, the program's name first, and return its exit status, with which the process is to end."""

def _legal_changes() -> list[tuple[str, str]]:
    """The table of the legal changes of a connection's state, as pairs of names, for what draws it."""

def _stop_all() -> None: ...
def _respond(
    server: Server,
    path: str,
    *,
    method: str | None,
    status: int,
    reason: str | None,
    fields: list[tuple[str, str]],
    content: bytes,
    is_raw: bool,
    times: int | None,
    delay: float | None,
    stall: tuple[int, float | None] | None,
    dribble: tuple[int, float] | None,
    cut: tuple[int, bool] | None,
) -> CannedAnswer: ...
def _withdraw_all(server: Server) -> None: ...
def _keep_requests(server: Server, max_bytes: int) -> None: ...
def _requests(server: Server) -> tuple[list[_RecordedFacts], int] | None: ...
def _keep_story(server: Server, lines: int) -> None: ...
def _story(server: Server) -> tuple[list[str], int]: ...
def _has_ended(server: Server) -> bool: ...
def _open_connections(server: Server) -> int: ...
def _read_target(method: str, target: str) -> tuple[bytes, bytes | None] | None: ...

@final
class _PathPattern:
    def __new__(cls, path: str) -> Self: ...
    def matches(self, method: str, target: str) -> bool: ...

def _reset(server: Server) -> int: ...
def _wait_for_answers(server: Server, count: int, seconds: float) -> bool: ...
