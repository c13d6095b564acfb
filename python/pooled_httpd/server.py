"""The server as Python has it: the native one, and what is pleasant to have beside it."""

from __future__ import annotations

import os
import tempfile
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from pooled_httpd import _native
from pooled_httpd.errors import OptionError

if TYPE_CHECKING:
    from typing import Unpack

    from pooled_httpd._native import _Options

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

    Every method raises StateError (a RuntimeError) after :meth:`destroy`, and ForkError in a forked child.
    """

    def write(self, path: str | PathLike[str], content: str | bytes) -> Path:
        """Write a file beneath the document root, with the directories on its way, and return where it is.

        Text is written as UTF-8. ``path`` is the file's path below the root, as in a URL but not encoded; a slash at
        its beginning does not matter. Raises OptionError (a ValueError) where it leaves the root.
        """
        root = Path(self.docroot).resolve()
        name = os.fspath(path).lstrip("/")
        file = root / name
        if not name or not file.resolve().is_relative_to(root):
            raise OptionError(f"path: {os.fspath(path)!r} is not the name of a file beneath the document root {root}")
        file.parent.mkdir(parents=True, exist_ok=True)
        # Moved into its place whole, so that no request sees half of it.
        descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as output:
                os.fchmod(descriptor, 0o644)
                output.write(content.encode() if isinstance(content, str) else content)
            os.replace(unfinished, file)
        except BaseException:
            os.unlink(unfinished)
            raise
        return file


def server_create(port: int, docroot: str | PathLike[str], **options: Unpack[_Options]) -> Server:
    """Create a server and bind its port (0 for any); nothing is served yet. For options and errors see Server."""
    return Server(docroot, port=port, **options)
