"""The exceptions of pooled_httpd: each also derives from the builtin that fits it."""


class PooledHttpdError(Exception):
    """The base of every exception of this package."""


class OptionError(PooledHttpdError, ValueError):
    """An option or an argument is not known or does not take the value; the message names it, the value, the range."""


class BindError(PooledHttpdError, OSError):
    """The address cannot be bound; ``errno`` says why: EADDRINUSE where the port is taken, None for an unknown name."""


class RootError(PooledHttpdError, OSError):
    """The document root cannot be served; ``errno`` says why."""


class RootNotFoundError(RootError, FileNotFoundError):
    """There is no such document root."""


class RootNotADirectoryError(RootError, NotADirectoryError):
    """The document root is not a directory."""


class AccessLogError(PooledHttpdError, OSError):
    """The file of the access log cannot be written; ``errno`` says why."""


class SystemRefusedError(PooledHttpdError, OSError):
    """The system refused something else that a server needs; ``errno`` says why."""


class StateError(PooledHttpdError, RuntimeError):
    """The server's life does not allow it.

    Started twice, used after destroy, an option set while it runs, a wait for one that has stopped, requests asked for
    that were not recorded.
    """


class ForkError(StateError):
    """The server belongs to the parent process."""


class ServerFailedError(PooledHttpdError, RuntimeError):
    """The server ended without being told to: a fault of its own or of the system."""


class WaitTimeoutError(PooledHttpdError, TimeoutError):
    """What was waited for did not come in time; the message says what came."""


class StatsMismatchError(PooledHttpdError, AssertionError):
    """The statistics are not as a test expects them; the message tells each difference."""
