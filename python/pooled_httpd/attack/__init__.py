"""An attack kit for HTTP/1.1 servers: raw requests, a catalogue of them with verdicts, fuzzing, and swarms."""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Danger, Ends, Family, Level, Outcome
from pooled_httpd.attack.client import NoResponse, RawClient
from pooled_httpd.attack.judge import Delivery, Judge, Result, Verdict
from pooled_httpd.attack.reading import Ending, Response, Transcript
from pooled_httpd.attack.target import Target, TargetError

__all__ = [
    "Case",
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
    "Response",
    "Result",
    "Target",
    "TargetError",
    "Transcript",
    "Verdict",
]
