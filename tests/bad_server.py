"""A server that does what it is told, well or badly, for tests that show that the attack kit can fail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from pooled_httpd.attack import Target
from pooled_httpd.attack.reference import Reading, read
from support import PATIENCE

#: What it has at /index.html.
CONTENT = b"<!doctype html><title>known</title>\n"
#: What nobody must ever get from it.
SECRET = b"the secret"


def response(status: int, content: bytes = b"", *fields: str, close: bool = False) -> bytes:
    """A response with a Content-Length."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(content)}", *fields]
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def well_behaved(reading: Reading, answered: int) -> tuple[bytes, bool]:
    """What a strict server sends after so many answers, and whether it closes then: the part that faults replace."""
    data = b""
    for message in reading.messages[answered:]:
        found = message.method in (b"GET", b"HEAD") and message.target == b"/index.html"
        status = 200 if found else 404 if message.method in (b"GET", b"HEAD") else 405
        content = CONTENT if found else b"no\n"
        whole = response(status, content, *(("Allow: GET, HEAD",) if status == 405 else ()), close=not message.persists)
        data += whole[: -len(content)] if message.method == b"HEAD" else whole
    if reading.fault is not None:
        whole = response(reading.fault.statuses[0], b"bad\n", close=True)
        is_head = reading.methods[len(reading.messages) :] == ("HEAD",)
        return data + (whole[: -len(b"bad\n")] if is_head else whole), True
    return data, bool(reading.messages) and not reading.messages[-1].persists


class BadServer:
    """Listens on a free port. ``react(received, answered)`` gives what to send next, and whether to close then.

    ``received`` is all that came on a connection, ``answered`` how many answers it had. Without ``react`` it is strict.
    """

    def __init__(
        self, react: Callable[[bytes, int], tuple[bytes, bool]] | None = None, *, hangs_on: bytes | None = None
    ) -> None:
        """Listen. Whoever has sent ``hangs_on`` is neither answered nor left, even at its end."""
        self._hangs_on = hangs_on
        self._react = react or (lambda received, answered: well_behaved(read(received), answered))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(0.05)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]
        #: Whether it takes no more connections: as if it had died.
        self.dies_after: int | None = None
        self.connections = 0

    @property
    def target(self) -> Target:
        """For the kit."""
        return Target.parse(f"127.0.0.1:{self.port}").with_options(secrets=(SECRET,), patience=PATIENCE)

    def __enter__(self) -> Self:
        """Serve."""
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait for every thread."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            if self.dies_after is not None and self.connections >= self.dies_after:
                self._listener.close()
                return
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        received, answered = b"", 0
        connection.settimeout(0.02)
        with connection, suppress(OSError):
            while not self._over.is_set():
                try:
                    data = connection.recv(65536)
                except TimeoutError:
                    continue
                received += data
                if self._hangs_on is not None and self._hangs_on in received:
                    self._over.wait()
                    return
                answer, closes = self._react(received, answered)
                answered += answer.count(b"HTTP/1.1 ") - answer.count(b"HTTP/1.1 100")
                connection.sendall(answer)
                if closes:
                    # Unread input would make a reset of the close.
                    connection.shutdown(socket.SHUT_WR)
                    while not self._over.is_set():
                        with suppress(TimeoutError):
                            if not connection.recv(65536):
                                return
                if not data:
                    return
