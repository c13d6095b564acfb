"""What a client does on one connection, in order, as a value: generated, shrunk, kept, and played again."""

from __future__ import annotations

from dataclasses import dataclass

from pooled_httpd.attack.case import HalfClose, Send, Stall


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Sends and stalls, and at the end a half-close, a reset, or neither: then the client reads on.

    :meth:`pooled_httpd.attack.RawClient.play` does what it says.
    """

    steps: tuple[Send | Stall | HalfClose | Reset, ...]

    @property
    def data(self) -> bytes:
        """All that is sent."""
        return b"".join(step.data for step in self.steps if isinstance(step, Send))
