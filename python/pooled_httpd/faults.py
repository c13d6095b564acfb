"""What can be made to go wrong with a registered answer: see ``Server.respond(..., fault=...)``.

Where a place in the response is to be told, it is ``"start"`` (before its first byte), ``"head"`` (behind its head),
``"middle"`` (behind half of its content), or a number: so many bytes of content have been sent by then.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from pooled_httpd._checks import number_of_seconds
from pooled_httpd._telling import shown
from pooled_httpd.errors import OptionError

__all__ = ["Close", "CutShort", "Dribble", "Fault", "Garbage", "Place", "Reset", "Stall"]

#: The longest wait that is not for ever, in seconds.
LONGEST_WAIT = 86_400

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

    Where there is no content and the headers promise none, ``"head"`` and ``"middle"`` are errors: nothing is left out.
    A number at or behind the end of the content closes the connection behind the whole response, which has not said so.
    """

    at: Place = "middle"


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset at this place, so that the client sees ECONNRESET.

    Where there is no content and the headers promise none, ``"head"`` and ``"middle"`` are errors: nothing is left out.
    """

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
    """Nothing more comes from this place on, for so many seconds (0 to 86,400); None: until the client gives up.

    ``"head"`` and ``"middle"`` are errors where there is no content and the headers promise none, for they hold nothing
    back; and so is a place that the response does not come to.
    """

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
        raise OptionError(
            f"fault: {shown(fault)} has no such place; it is 'start', 'head', 'middle' or a number from 0 on"
        )
    return places[place]


def _chosen(faults: Fault | Iterable[Fault] | None) -> list[Fault]:
    """Return one fault or several as a list."""
    if faults is None:
        return []
    is_one = isinstance(faults, Fault | str | type) or not isinstance(faults, Iterable)
    return [cast("Fault", faults)] if is_one else list(cast("Iterable[Fault]", faults))


def _garbage(chosen: list[Fault]) -> bytes | None:
    """Return what is to be sent in place of a response, if that is asked for."""
    garbage = [fault for fault in chosen if isinstance(fault, Garbage)]
    if len(garbage) > 1:
        raise OptionError(f"fault: {shown(chosen)} has garbage twice")
    if not garbage:
        return None
    (fault,) = garbage
    if not isinstance(fault.seed, int):
        raise OptionError(f"fault: {shown(fault)}: the seed is a whole number")
    if fault.data is None:
        return random.Random(fault.seed).randbytes(_GARBAGE_BYTES)
    if not isinstance(fault.data, bytes):
        raise OptionError(f"fault: {shown(fault)}: the data are bytes")
    return fault.data


def plan_of(faults: Fault | Iterable[Fault] | None, delay: float, content: bytes, *, is_open: bool = False) -> Plan:
    """Put faults together; each kind goes once, and what ends a response goes once altogether.

    ``is_open``: the head promises what need not be there, so that a client waits behind the content.
    """
    plan = Plan(delay=delay)
    chosen = _chosen(faults)
    plan.raw = _garbage(chosen)
    length = len(content if plan.raw is None else plan.raw)
    for fault in chosen:
        told = f"fault: {shown(fault)}"
        match fault:
            case Garbage():
                pass
            case Dribble(size, interval) if plan.dribble is None:
                if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                    raise OptionError(f"{told}: the size of a piece is a whole number, at least 1 byte")
                plan.dribble = (min(size, _FARTHEST), number_of_seconds(told, interval, high=LONGEST_WAIT))
            case CutShort(at) | Reset(at) if plan.cut is None:
                plan.cut = (_place(at, length, fault), isinstance(fault, Reset))
            case Close() if plan.cut is None:
                plan.cut = (-1, False)
            case Stall(at, seconds) if plan.stall is None and _place(at, length, fault) >= 0:
                plan.stall = (
                    _place(at, length, fault),
                    None if seconds is None else number_of_seconds(told, seconds, high=LONGEST_WAIT),
                )
            case Stall(_, seconds) if plan.delay == 0.0:
                # Before the first byte: the request is being processed, as far as anybody can see.
                plan.delay = None if seconds is None else number_of_seconds(told, seconds, high=LONGEST_WAIT)
            case Dribble() | CutShort() | Reset() | Close() | Stall():
                raise OptionError(f"{told} does not go together with what is before it in {shown(chosen)}")
            case _:
                kinds = ", ".join(kind.__name__ for kind in (Dribble, CutShort, Reset, Close, Garbage, Stall))
                raise OptionError(f"{told} is none; they are {kinds}")
    for fault in chosen:
        _refuse_what_never_shows(fault, plan, length, is_open)
    return plan


def _refuse_what_never_shows(fault: Fault, plan: Plan, length: int, is_open: bool) -> None:
    """Refuse a fault that no client could tell from none."""
    told = f"fault: {shown(fault)}"
    what_to_do = "there is no content; give some, or at='start'"
    cut = plan.cut[0] if plan.cut else _FARTHEST
    match fault:
        case CutShort("head" | "middle") | Reset("head" | "middle") if length == 0 and not is_open:
            raise OptionError(f"{told} leaves nothing out: {what_to_do}")
        case Stall("head" | "middle") if length == 0 and not is_open and plan.raw is None:
            raise OptionError(f"{told} holds nothing back: {what_to_do}")
        case Stall(at) if cut < _place(at, length, fault):
            raise OptionError(f"{told} is never come to: the response ends before it")
        case Stall(int(at)) if at > length:
            raise OptionError(f"{told} is never come to: the content has {length} bytes")
        case Dribble() if cut < 0 or (plan.raw is not None and 0 in (cut, length)):
            raise OptionError(f"{told}: nothing is sent that could dribble")
