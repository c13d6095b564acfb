"""What the arguments of methods may be: whatever is wrong with one is an OptionError that names it."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, SupportsFloat, cast

from pooled_httpd import _native
from pooled_httpd._telling import shown
from pooled_httpd.errors import OptionError

if TYPE_CHECKING:
    from pooled_httpd.server import Server

if sys.version_info >= (3, 12):
    from collections.abc import Buffer
else:
    Buffer = bytes | bytearray | memoryview

__all__ = ["Buffer", "content_bytes", "number_of_seconds", "server_itself", "text", "text_or_none", "whole_number"]


def whole_number(name: str, value: int, right: range, hint: str) -> None:
    """Refuse what is no whole number, or not within the range."""
    within = f"{right.start:,} to {right.stop - 1:,}; {hint}"
    if not isinstance(value, int) or isinstance(value, bool):
        raise OptionError(f"{name}: {shown(value)} is no whole number from {within}")
    if value not in right:
        raise OptionError(f"{name}: {shown(value)} is not within {within}")


def server_itself(name: str, value: object, right: str = "a Server or an AsyncServer") -> Server:
    """Return a server, and of one for asyncio what it wraps; refuse anything else."""
    if isinstance(value, _native.Server):
        return cast("Server", value)
    from pooled_httpd.asynchronous import AsyncServer  # asyncio is loaded where it is used

    if isinstance(value, AsyncServer):
        return value.server
    raise OptionError(f"{name}: {shown(value)} is no server; it takes {right}")


def number_of_seconds(name: str, value: object, low: float = 0, high: float = math.inf) -> float:
    """Return a number of seconds, infinity included where there is no other bound; refuse anything else."""
    seconds = math.nan
    if isinstance(value, SupportsFloat) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
        except (TypeError, ValueError):  # an array, a signalling NaN
            seconds = math.nan
    if not low <= seconds <= high:  # NaN is not
        right = f"from {low:,g} on" if high == math.inf else f"from {low:,g} to {high:,g}"
        raise OptionError(f"{name}: {shown(value)} is no number of seconds {right}")
    return seconds


def text(name: str, value: object) -> bytes:
    """Return text as UTF-8; refuse what is none."""
    if not isinstance(value, str):
        raise OptionError(f"{name}: {shown(value)} is not allowed; it takes text")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{name}: {shown(value)} has half a surrogate pair, which is no character (at {error.start})"
        ) from None


def text_or_none(name: str, value: object) -> None:
    """Refuse what is neither text nor None."""
    if value is not None:
        text(name, value)


def content_bytes(value: str | Buffer) -> bytes:
    """Return content as bytes, text as UTF-8; refuse what is neither."""
    if isinstance(value, str):
        return text("content", value)
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise OptionError(f"content: {shown(value)} is neither text nor bytes") from None
