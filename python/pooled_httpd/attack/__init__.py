"""An attack kit for HTTP/1.1 servers: raw requests, a catalogue of them with verdicts, fuzzing, and swarms."""

from __future__ import annotations

import sys
from importlib.util import find_spec

if _missing := [name for name in ("h11", "hypothesis", "rich") if find_spec(name) is None]:
    raise ModuleNotFoundError(
        f"pooled_httpd.attack needs {', '.join(_missing)}: pip install 'pooled_httpd[attack]'", name=_missing[0]
    )

from pooled_httpd.attack.case import Case, Danger, Ends, Family, Level, Outcome
from pooled_httpd.attack.client import NoResponse, RawClient
from pooled_httpd.attack.crowd import Crowd
from pooled_httpd.attack.judge import Delivery, Judge, Result, Verdict
from pooled_httpd.attack.reading import Ending, Response, Transcript
from pooled_httpd.attack.schedule import Reset, Schedule
from pooled_httpd.attack.target import Target, TargetError

__all__ = [
    "Case",
    "Crowd",
    "Danger",
    "Delivery",
    "Ending",
    "Ends",
    "Family",
    "Judge",
    "Level",
    "NoResponse",
    "Outcome",
    "RawClient",
    "Reset",
    "Response",
    "Result",
    "Schedule",
    "Target",
    "TargetError",
    "Transcript",
    "Verdict",
]

if "hypothesis" in sys.modules:
    import pooled_httpd.attack.strategies  # noqa: F401 - it registers the kit's types
