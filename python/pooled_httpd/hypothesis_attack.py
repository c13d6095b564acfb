"""The door from Hypothesis to the attack kit: it registers the kit's types where the kit can be imported."""

from __future__ import annotations

from importlib.util import find_spec


def register() -> None:
    """Register the types of :mod:`pooled_httpd.attack.strategies`, unless the extra ``[attack]`` is missing."""
    if find_spec("h11") is not None:
        from pooled_httpd.attack import strategies

        strategies.register()
