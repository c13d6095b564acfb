"""What can be made to go wrong with a registered answer: see ``Server.respond(..., fault=...)``.

Where a place in the response is to be told, it is ``"start"`` (before its first byte), ``"head"`` (behind its head),
``"middle"`` (behind half of its content), or a number: so many bytes of content have been sent by then.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from pooled_httpd.errors import OptionError

__all__ = ["Close", "CutShort", "Dribble", "Fault", "Garbage", "Place", "Reset", "Stall"]

Place: TypeAlias = Literal["start", "head", "middle"] | int

#: How much garbage is made where none is given, in bytes.
_GARBAGE_BYTES = 512
#: Behind every content there can be.
_FARTHEST = 1 << 62


@dataclass(frozen=True, slots=True)
class Dribble:
    """The response comes in pieces of ``size`` bytes (at least 1), one every ``interval`` seconds (0 to 86,400)."""

    size: int = 1
    interval: float = 0.01


@dataclass(frozen=True, slots=True)
class CutShort:
    """The connection is closed at this place, although the head promises more (RFC 9112 section 8).

    It does so where there is content behind the place: without content only ``"start"`` leaves something out.
    """

    at: Place = "middle"


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset at this place, so that the client sees ECONNRESET."""

    at: Place = "middle"


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """These bytes come in place of a response, and the connection is closed behind them.

    Where none are given they are 512 random ones by ``seed``, the same ones each time.
    """

    data: bytes | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more comes from this place on, for so many seconds (0 to 86,400); None: until the client gives up."""

    at: Place = "head"
    seconds: float | None = None


Fault: TypeAlias = Dribble | CutShort | Reset | Close | Garbage | Stall


@dataclass(slots=True)
class Plan:
    """What faults come to, as the native module takes it. Not for users."""

    raw: bytes | None = None
    stall: tuple[int, float | None] | None = None
    delay: float | None = 0.0
    dribble: tuple[int, float] | None = None
    cut: tuple[int, bool] | None = None


def _place(place: Place, length: int, fault: Fault) -> int:
    if isinstance(place, int) and not isinstance(place, bool) and place >= 0:
        return min(place, _FARTHEST)
    places = {"start": -1, "head": 0, "middle": length // 2}
    if not isinstance(place, str) or place not in places:
        raise OptionError(f"fault: {fault!r} has no such place; it is 'start', 'head', 'middle' or a number from 0 on")
    return places[place]


def plan_of(faults: Fault | Iterable[Fault] | None, delay: float, content: bytes) -> Plan:
    """Put faults together; each kind goes once, and what ends a response goes once altogether."""
    plan = Plan(delay=delay)
    chosen: list[Fault] = []
    if faults is not None:
        is_one = isinstance(faults, Fault | str | type) or not isinstance(faults, Iterable)
        chosen = [cast("Fault", faults)] if is_one else list(cast("Iterable[Fault]", faults))
    for fault in chosen:
        if isinstance(fault, Garbage) and plan.raw is None:
            data = random.Random(fault.seed).randbytes(_GARBAGE_BYTES) if fault.data is None else fault.data
            if not isinstance(data, bytes):
                raise OptionError(f"fault: {fault!r}: the data are bytes")
            plan.raw = content = data
    for fault in chosen:
        match fault:
            case Garbage():
                pass
            case Stall(_, seconds) if not isinstance(seconds, int | float | None):
                raise OptionError(f"fault: {fault!r}: the seconds are a number, or None for ever")
            case Dribble(size, interval) if plan.dribble is None:
                if not isinstance(size, int) or size < 1:
                    raise OptionError(f"fault: {fault!r}: the size of a piece is at least 1 byte")
                plan.dribble = (size, interval)
            case CutShort(at) | Reset(at) if plan.cut is None:
                plan.cut = (_place(at, len(content), fault), isinstance(fault, Reset))
            case Close() if plan.cut is None:
                plan.cut = (-1, False)
            case Stall(at, seconds) if plan.stall is None and _place(at, len(content), fault) >= 0:
                plan.stall = (_place(at, len(content), fault), seconds)
            case Stall(_, seconds) if plan.delay == 0.0:
                # Before the first byte: the request is being processed, as far as anybody can see.
                plan.delay = seconds
            case Dribble() | CutShort() | Reset() | Close() | Stall():
                raise OptionError(f"fault: {fault!r} does not go together with what is before it in {chosen!r}")
            case _:
                kinds = ", ".join(kind.__name__ for kind in (Dribble, CutShort, Reset, Close, Garbage, Stall))
                raise OptionError(f"fault: {fault!r} is none; they are {kinds}")
    if sum(isinstance(fault, Garbage) for fault in chosen) > 1:
        raise OptionError(f"fault: {chosen!r} has garbage twice")
    return plan
