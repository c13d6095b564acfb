"""The kinds of options: how an error tells what an option takes, and values that are none of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What an option takes: the end of the sentence that says so, and values that are wrong, each as it is shown."""

    expectation: str
    wrong: tuple[tuple[Any, str], ...]
    wrong_words: tuple[tuple[str, str], ...]
    #: What the command line shows for the value.
    placeholder: str
    needs_value: bool = True
    #: The least and the most, where it is a number.
    bounds: tuple[float, ...] = ()


def whole(low: int, high: int, *, optional: bool = False) -> Kind:
    """A whole number."""
    outside = tuple((value, str(value)) for value in (low - 1, high + 1, -(1 << 40)))
    others = (("1", '"1"'), (1.5, "1.5"), (True, "on"), ([1], "[1]"), (b"1", "b'1'"), (1 << 70, str(1 << 70)))
    words = ("", "x", "1.5", "0x10", "1_0", "1 ", "1k", "on")
    return Kind(
        f"{'none or ' if optional else ''}a whole number from {low} to {high}",
        (*outside, *others) if optional else (*outside, *others, (None, "none")),
        (*((shown, shown) for _, shown in outside), *((word, f'"{word}"') for word in words)),
        "<N>",
        bounds=(low, high),
    )


SECONDS = Kind(
    "a number of seconds from 0.001 to 86400",
    (
        (0, "0"),
        (0.0, "0"),
        (-1, "-1"),
        (0.0004, "0.0004"),
        (86_400.001, "86400.001"),
        (math.nan, "NaN"),
        (math.inf, "inf"),
        ("1", '"1"'),
        (None, "none"),
        (True, "on"),
        ([1], "[1]"),
    ),
    (("0", "0"), ("-1", "-1"), ("86401", "86401"), ("nan", "NaN"), ("inf", "inf"), ("1s", '"1s"'), ("", '""')),
    "<SECONDS>",
    bounds=(0.0005, 0.001, 86_400, 86_400.0),
)
SWITCH = Kind(
    "on or off",
    ((1, "1"), ("on", '"on"'), ("", '""'), (None, "none"), ([True], "[True]")),
    (("maybe", '"maybe"'), ("ON", '"ON"'), ("2", '"2"'), ("", '""')),
    "[=<on|off>]",
    needs_value=False,
)
TEXT = Kind(
    "a text that is not empty",
    (("", '""'), ("a\0b", '"a\\0b"'), (1, "1"), (None, "none"), (True, "on"), (["a"], '["a"]')),
    (("", '""'),),
    "<ADDRESS>",
)
FILE_NAME = Kind(
    "none or the name of a file",
    (("", '""'), ("a\0b", '"a\\0b"'), (1, "1"), (True, "on"), (["a"], '["a"]')),
    (("", '""'),),
    "<FILE>",
)
FIELD_VALUE = Kind(
    "none or a field value without control bytes",
    (("", '""'), (" ", '" "'), ("a\r\nX: b", '"a\\r\\nX: b"'), ("a\x7f", '"a\\u{7f}"'), (60, "60"), (True, "on")),
    (("", '""'), ("a\nX: b", '"a\\nX: b"')),
    "<VALUE>",
)
FIELD_LINES = Kind(
    'field lines of the form "Name: value"',
    (("X-A", '"X-A"'), (5, "5"), (True, "on"), ([5], "[5]"), ({"X": 1}, "{'X': 1}"), (["X-A"], '["X-A"]')),
    (("X-A", '["X-A"]'), ("", '[""]')),
    "<NAME: VALUE>",
)
ORIGINS = Kind(
    "off, * for any origin, or a list of origins such as https://example.org",
    (
        ("", '""'),
        ("a.example", '"a.example"'),
        ("https://a.example/", '"https://a.example/"'),
        (1, "1"),
        (None, "none"),
    ),
    (("a.example", '"a.example"'), ("https://", '"https://"'), ("*,https://a", '"*,https://a"'), ("", '""')),
    "[=<ORIGINS>]",
    needs_value=False,
)
URL_PATH = Kind(
    "none or a path such as /status",
    (("", '""'), ("status", '"status"'), ("/", '"/"'), ("/.", '"/."'), (1, "1"), (True, "on")),
    (("status", '"status"'), ("/", '"/"'), ("", '""')),
    "<PATH>",
)
LEVELS = ("off", "error", "warn", "info", "debug")
FORMATS = ("off", "common", "combined", "json")


def quoted(text: str) -> str:
    """Show a text as its owner's errors do."""
    return (
        '"'
        + text.replace("\\", "\\\\")
        .replace("\r", "\\r")
        .replace("\n", "\\n")
        .replace("\0", "\\0")
        .replace("\x7f", "\\u{7f}")
        + '"'
    )


def one_of(words: tuple[str, ...], placeholder: str) -> Kind:
    """One of these words."""
    wrong = ((1, "1"), (None, "none"), (True, "on"), ("", '""'), ("INFO", '"INFO"'), (["off"], '["off"]'))
    return Kind(", ".join(words), wrong, (("loud", '"loud"'), ("Off", '"Off"'), ("", '""')), placeholder)
