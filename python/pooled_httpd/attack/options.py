"""The options that say who is attacked and what is known of it: the same for the commands and for pytest."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from pooled_httpd.attack.target import PASSWD, Target


def seconds(low: float, high: float = 86_400.0) -> Callable[[str], float]:
    """A type for an option: a time in seconds from ``low`` to ``high``."""

    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is out of range: {low:g} to {high:g} seconds")
        return value

    parse.__name__ = "time in seconds"
    return parse


def count(low: int, high: int) -> Callable[[str], int]:
    """A type for an option: a whole number from ``low`` to ``high``."""

    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is out of range: {low} to {high:,}")
        return value

    parse.__name__ = "whole number"
    return parse


#: Names, and what argparse and pytest make of them.
_TARGET_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--target", {"metavar": "HOST:PORT", "help": "the server to attack, such as localhost:8080"}),
    ("--allow-remote", {"metavar": "HOST", "help": "name the host again where it is not this machine"}),
    (
        "--known-path",
        {"metavar": "PATH", "default": "/index.html", "help": "a file that it has (/index.html)"},
    ),
    ("--directory", {"metavar": "PATH", "help": "a directory that it has, without the final slash"}),
    ("--escaping-link", {"metavar": "PATH", "help": "a link in its document root that leads out of it"}),
    ("--secret", {"metavar": "TEXT", "action": "append", "help": "text that no answer may contain; repeatable"}),
    (
        "--patience",
        {"metavar": "SECONDS", "type": seconds(0.01), "default": 2.0, "help": "time for an answer (2)"},
    ),
    (
        "--wait",
        {
            "metavar": "SECONDS",
            "type": seconds(0.0),
            "default": 0.0,
            "help": "its longest timeout and some more: then what never becomes complete is tried too",
        },
    ),
)


def add_target_options(add: Callable[..., Any]) -> None:
    """Add them by ``add_argument`` of argparse or ``addoption`` of pytest."""
    for name, settings in _TARGET_OPTIONS:
        add(name, **settings)


def target_of(options: argparse.Namespace) -> Target:
    """The target that the options name. TargetError where they name none."""
    return Target.parse(options.target or "", allow_remote=options.allow_remote).with_options(
        known_path=options.known_path,
        directory=options.directory,
        escaping_link=options.escaping_link,
        secrets=(PASSWD, *(text.encode() for text in options.secret or ())),
        patience=options.patience,
        wait=options.wait,
    )
