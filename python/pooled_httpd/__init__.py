"""An HTTP/1.1 static-file server that allocates nothing while it serves, and is made to be attacked.

    with pooled_httpd.Server("www") as server:
        urllib.request.urlopen(server.url_for("/index.html"))
        print(server.stats().total_requests)

The same as functions: ``server_create``, ``server_run``, ``server_stop``, ``server_destroy`` and so on.
Options are those of the command line, with underscores; ``pooled_httpd.options()`` lists them.
"""

from pooled_httpd import faults
from pooled_httpd._native import (
    CannedAnswer,
    ServerStats,
    options,
    server_destroy,
    server_drain,
    server_get_stats,
    server_print_stats,
    server_run,
    server_set_max_connections,
    server_set_pool_size,
    server_set_timeout,
    server_stop,
)
from pooled_httpd.errors import (
    AccessLogError,
    BindError,
    ForkError,
    OptionError,
    PooledHttpdError,
    RootError,
    RootNotADirectoryError,
    RootNotFoundError,
    ServerFailedError,
    StateError,
    StatsMismatchError,
    SystemRefusedError,
    WaitTimeoutError,
)
from pooled_httpd.latency import latency_percentile
from pooled_httpd.received import Fields, ReceivedRequest
from pooled_httpd.recorder import StatsRecorder
from pooled_httpd.server import Server, server_create

__all__ = [
    "AccessLogError",
    "BindError",
    "CannedAnswer",
    "Fields",
    "ForkError",
    "OptionError",
    "PooledHttpdError",
    "ReceivedRequest",
    "RootError",
    "RootNotADirectoryError",
    "RootNotFoundError",
    "Server",
    "ServerFailedError",
    "ServerStats",
    "StateError",
    "StatsMismatchError",
    "StatsRecorder",
    "SystemRefusedError",
    "WaitTimeoutError",
    "faults",
    "latency_percentile",
    "options",
    "server_create",
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
