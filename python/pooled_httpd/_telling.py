"""How errors tell values."""

from __future__ import annotations

__all__ = ["shown"]

#: How much of a value an error shows, in characters.
_LONGEST_SHOWN = 200


def shown(value: object) -> str:
    """Show a value in an error, however long it is."""
    try:
        whole = repr(value)
    except ValueError:  # of a number with thousands of digits
        return f"<{type(value).__name__} too long to be shown>"
    return whole if len(whole) <= _LONGEST_SHOWN else f"{whole[:_LONGEST_SHOWN]}..."
