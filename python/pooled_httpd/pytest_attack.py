"""The door from pytest to the attack kit: it loads the kit's plugin where its tests are asked for, and else nothing.

``pytest --pyargs pooled_httpd.attack --target host:port``
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def pytest_load_initial_conftests(early_config: Any, args: Sequence[str]) -> None:  # noqa: ANN401 - pytest may be absent
    """Load the plugin, so that its options are known, where an argument names the kit."""
    if any(str(argument).startswith("pooled_httpd.attack") for argument in args):
        early_config.pluginmanager.import_plugin("pooled_httpd.attack.plugin")
