"""The door from Hypothesis to the attack kit of pooled_httpd, which registers the kit's types once both are imported.

Hypothesis loads this whenever it is imported, so it is a package of its own and imports nothing by itself.
"""

from __future__ import annotations

import sys


def register() -> None:
    """Register the types of :mod:`pooled_httpd.attack.strategies` where the kit is there; if not, its import will."""
    if "pooled_httpd.attack" in sys.modules:
        import pooled_httpd.attack.strategies  # noqa: F401 - it registers them
