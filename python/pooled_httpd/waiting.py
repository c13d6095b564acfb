"""How long a wait may last."""

from __future__ import annotations

import math
from typing import SupportsFloat

from pooled_httpd._telling import shown
from pooled_httpd.errors import OptionError

__all__ = ["checked_seconds", "checked_timeout"]

#: The longest wait of a registered answer that is not for ever, in seconds.
_LONGEST = 86_400


def checked_timeout(timeout: float) -> float:
    """Return it where it is a number of seconds from 0 on; raise OptionError for anything else, NaN included."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or math.isnan(timeout) or timeout < 0:
        raise OptionError(f"timeout: {timeout!r} is not allowed; it takes a number of seconds from 0 on")
    return float(timeout)


def checked_seconds(name: str, seconds: object) -> float:
    """Return it where it is a number of seconds from 0 to 86,400; raise OptionError with the name for anything else."""
    if isinstance(seconds, bool) or not isinstance(seconds, SupportsFloat):
        raise OptionError(f"{name}: {shown(seconds)} is no number of seconds from 0 to 86,400")
    try:
        number = float(seconds)
    except OverflowError:
        number = math.inf
    if not 0 <= number <= _LONGEST:
        raise OptionError(f"{name}: {shown(seconds)} is not within 0 to 86,400 seconds")
    return number
