"""A record of several samples, for tests."""

from __future__ import annotations

import numpy as np
import pandas  # noqa: F401 - it starts threads, which are not those of a test
import pooled_httpd
import pyarrow  # noqa: F401 - so does it
from matplotlib.lines import Line2D
from support import Raw, eventually, exchange, get


def recorded(server: pooled_httpd.Server) -> pooled_httpd.StatsRecorder:
    """A record of several samples in which various things happened."""
    recorder = server.record_stats(interval=0.005)
    with recorder:
        for count, path in enumerate(("/a.txt", "/nothing", "/large", "/a.txt")):
            recorder.mark(f"asked for {path}")
            exchange(server.port, get(path))
            eventually(lambda count=count: len(recorder) > 2 * count)  # type: ignore[misc]
        with Raw(server.port) as raw:
            raw.send(b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n").response()
    return recorder


def values(line: Line2D) -> list[float]:
    """What a line is drawn through."""
    drawn: list[float] = np.asarray(line.get_ydata(), dtype=float).tolist()
    return drawn
