"""How long a wait may last."""

from __future__ import annotations

import math

from pooled_httpd.errors import OptionError

__all__ = ["checked_timeout"]


def checked_timeout(timeout: float) -> float:
    """Return it where it is a number of seconds from 0 on; raise OptionError for anything else, NaN included."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or math.isnan(timeout) or timeout < 0:
        raise OptionError(f"timeout: {timeout!r} is not allowed; it takes a number of seconds from 0 on")
    return float(timeout)
