"""Many raw clients at once: they connect, send and read together, within one bound of time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from pooled_httpd.attack.client import RawClient
from pooled_httpd.attack.reading import Transcript
from pooled_httpd.attack.target import Target


class Crowd(Sequence[RawClient]):
    """So many connections to one target, each a :class:`RawClient` that can also be used by itself.

        with Crowd("localhost:8080", 50) as crowd:
            crowd.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
            print([transcript.statuses for transcript in crowd.read_responses(1)])

    ``patience`` bounds a reading for all of them together, and a sending for each of them, in seconds. Where one
    cannot connect, none stays connected.
    """

    def __init__(self, target: Target | str, count: int, *, patience: float | None = None) -> None:
        """Connect all of them. Raises OSError where one cannot be connected."""
        self.target = Target.parse(target) if isinstance(target, str) else target
        self.patience = self.target.patience if patience is None else patience
        self._stack = ExitStack()
        try:
            self._clients = [
                self._stack.enter_context(RawClient(self.target, patience=self.patience)) for _ in range(count)
            ]
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all of them."""
        self._stack.close()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._clients)

    def __getitem__(self, index: int) -> RawClient:  # type: ignore[override]
        """One of them."""
        return self._clients[index]

    def __iter__(self) -> Iterator[RawClient]:
        """Each of them."""
        return iter(self._clients)

    def send(self, data: bytes) -> Self:
        """Send the same on every connection."""
        for client in self._clients:
            client.send(data)
        return self

    def half_close(self) -> Self:
        """Close the sending side of every connection."""
        for client in self._clients:
            client.half_close()
        return self

    def reset(self) -> None:
        """Reset every connection."""
        for client in self._clients:
            client.reset()

    def read_responses(self, count: int) -> list[Transcript]:
        """Read from each until it has so many final responses in all, its connection ends, or patience does."""
        deadline = time.monotonic() + self.patience
        # While one is read from, what comes for the others waits in the kernel.
        return [
            client.read_responses(count, patience=max(deadline - time.monotonic(), 0.0)) for client in self._clients
        ]

    def read_all(self) -> list[Transcript]:
        """Read from each until the server ends its connection, or patience ends."""
        deadline = time.monotonic() + self.patience
        return [client.read_all(patience=max(deadline - time.monotonic(), 0.0)) for client in self._clients]
