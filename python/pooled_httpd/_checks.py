"""What the arguments of methods may be: another kind of thing is a TypeError, another value an OptionError."""

from __future__ import annotations

import math

from pooled_httpd.errors import OptionError

__all__ = ["number_of_seconds", "text_or_none", "whole_number"]


def whole_number(name: str, value: int, right: range, hint: str) -> None:
    """Refuse what is no whole number, or not within the range."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: {value!r} is no whole number")
    if value not in right:
        raise OptionError(f"{name}: {value} is not within {right.start:,} to {right.stop - 1:,}; {hint}")


def number_of_seconds(name: str, value: float, low: float = 0.0, high: float = math.inf) -> float:
    """Return a number of seconds, infinity included where there is no other bound; refuse anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name}: {value!r} is no number of seconds")
    if not low <= value <= high:  # NaN is not
        right = f"from {low:g} on" if high == math.inf else f"from {low:g} to {high:g}"
        raise OptionError(f"{name}: {value} is not allowed; it takes a number of seconds {right}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def text_or_none(name: str, value: str | None) -> None:
    """Refuse what is neither text nor None."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name}: {value!r} is neither text nor None")
