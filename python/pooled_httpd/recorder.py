"""A record of a server's statistics over time, taken by a thread of its own.

The thread knows the server and the recorder by weak references only: neither lives longer because it is recorded, and
the interpreter's exit ends every recording first.
"""

from __future__ import annotations

import atexit
import importlib
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from pooled_httpd import _checks, _native
from pooled_httpd._checks import number_of_seconds, server_itself, whole_number
from pooled_httpd.errors import PooledHttpdError, ServerFailedError, StateError
from pooled_httpd.latency import latency_percentile

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as _pyarrow
    from matplotlib.figure import Figure

    from pooled_httpd._native import ServerStats, _Limits
    from pooled_httpd.asynchronous import AsyncServer
    from pooled_httpd.server import Server

__all__ = ["Mark", "Sample", "StatsRecorder"]

#: The shortest and the longest time between two samples, in seconds.
INTERVALS = (0.001, 3600.0)
#: The fewest and the most samples that a recorder may be told to keep; one takes about 4 kB.
SAMPLES = (16, 1_000_000)
#: The most marks that are kept; the oldest go first.
MOST_MARKS = 100
#: The percentiles of the latencies in tables, by the column's name.
PERCENTILES = {"latency_p50": 50.0, "latency_p90": 90.0, "latency_p99": 99.0}
#: How long the interpreter's exit waits for one recording to end, in seconds; it takes microseconds.
_EXIT_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The statistics at one moment.

    ``monotonic`` is that of time.monotonic() and ``wall`` that of time.time(), in seconds, just before they were taken.
    """

    monotonic: float
    wall: float
    stats: ServerStats


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody noted at one moment; the times are those of :class:`Sample`."""

    monotonic: float
    wall: float
    text: str


class _Recording:
    """What the thread works on."""

    def __init__(self, server: Server, interval: float, max_samples: int) -> None:
        self.over = threading.Event()
        # A server that is gone has nothing more to tell: the thread ends at once, not with its next sample.
        over = self.over
        self.server = weakref.ref(server, lambda _: over.set())
        self.interval = interval
        self.max_samples = max_samples
        #: Held for as long as it takes to add or copy, never while the server is asked.
        self.lock = threading.Lock()
        self.samples: list[Sample] = []

    def take(self) -> bool:
        """Take a sample. False where there will be nothing new after it."""
        server = self.server()
        if server is None:
            return False
        try:
            # In this order: what is counted last is in the last sample.
            is_over = has_ended(server)
            sample = Sample(time.monotonic(), time.time(), server.stats())
        except PooledHttpdError:
            # It was destroyed, or this is a forked child.
            return False
        with self.lock:
            if len(self.samples) >= self.max_samples:
                # The whole span stays, at half the resolution.
                self.samples = self.samples[::2]
                self.interval *= 2
            self.samples.append(sample)
        return not is_over

    def run(self) -> None:
        """Take samples until it is over."""
        due = time.monotonic() + self.interval
        while not self.over.wait(max(due - time.monotonic(), 0)):
            if not self.take():
                return
            now = time.monotonic()
            # Who comes late leaves out what was missed, and rests for an interval.
            due = due + self.interval if due + self.interval > now else now + self.interval


class StatsRecorder:
    """Samples a server's statistics every ``interval`` seconds (0.001 to 3600), in a thread of its own.

        with pooled_httpd.StatsRecorder(server) as recorder:
            ...
        recorder.plot()

    At most ``max_samples`` (16 to 1,000,000) are kept, of about 4 kB each. When they are reached every other one goes
    and from then on the interval is twice as long, so that the whole span stays. The first sample is taken by
    :meth:`start`, the last by :meth:`stop`, or when the server stops; what was recorded stays, whatever becomes of the
    server. A recorder that nobody refers to any more stops.

    Of a server for asyncio it is the server itself that is recorded. Every method may be called from any thread.
    Raises OptionError (a ValueError) for what is no server, and for an interval or a number out of its range.
    """

    def __init__(self, server: Server | AsyncServer, *, interval: float = 0.05, max_samples: int = 2000) -> None:
        """Prepare it; nothing is recorded yet."""
        server = server_itself("server", server)
        interval = number_of_seconds("interval", interval, *INTERVALS)
        whole_number("max_samples", max_samples, range(SAMPLES[0], SAMPLES[1] + 1), "each takes about 4 kB")
        self._recording = _Recording(server, interval, max_samples)
        self._url = server.url
        self._limits = server.limits
        self._marks: deque[Mark] = deque(maxlen=MOST_MARKS)
        self._thread: threading.Thread | None = None
        #: Held while it is started or stopped.
        self._life = threading.Lock()
        forgotten = weakref.finalize(self, self._recording.over.set)
        # At the interpreter's exit _end_all() does it, and waits for the thread.
        forgotten.atexit = False

    @property
    def url(self) -> str:
        """The URL of the server's document root."""
        return self._url

    @property
    def interval(self) -> float:
        """The time between two samples now, in seconds: what was asked for, or longer where samples were thinned."""
        return self._recording.interval

    @property
    def limits(self) -> _Limits:
        """The limits of the server when the recording began last (see :attr:`Server.limits`)."""
        return self._limits

    @property
    def is_recording(self) -> bool:
        """Whether samples are being taken: not before its start, and not after its end or that of the server."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What was recorded so far, the oldest first."""
        with self._recording.lock:
            return tuple(self._recording.samples)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What was noted so far, the oldest first."""
        with self._recording.lock:
            return tuple(self._marks)

    def start(self) -> None:
        """Take the first sample and go on; while it records nothing happens.

        After :meth:`stop` it goes on with the same record. Where the server has been stopped the one sample is all
        there is, and nothing goes on. Raises StateError (a RuntimeError) where the server was destroyed or is gone.
        """
        with self._life:
            if self.is_recording:
                return
            recording = self._recording
            server = recording.server()
            if server is None:
                raise StateError("the server that this recorder was made for is gone; make another one")
            self._limits = server.limits
            recording.over.clear()
            if not recording.take():
                return
            self._thread = threading.Thread(target=recording.run, name="pooled-recorder", daemon=True)
            self._thread.start()
            _RUNNING[recording] = self._thread

    def stop(self) -> None:
        """Take the last sample and end the thread; any number of times. The record stays."""
        with self._life:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            was_recording = thread.is_alive()
            self._recording.over.set()
            thread.join()
            if was_recording:
                self._recording.take()

    def mark(self, text: str) -> None:
        """Note what happens now: the plot shows it, letter by letter. Of more than 100 marks the oldest go.

        Raises OptionError (a ValueError) for what is no text, or none that UTF-8 can hold.
        """
        _checks.text("text", text)
        note = Mark(time.monotonic(), time.time(), text)
        with self._recording.lock:
            self._marks.append(note)

    def clear(self) -> None:
        """Forget what was recorded and noted; a running recording goes on."""
        with self._recording.lock:
            self._recording.samples = []
            self._marks.clear()

    def __len__(self) -> int:
        """How many samples there are."""
        with self._recording.lock:
            return len(self._recording.samples)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a row for each sample, every row with the same columns, fit for JSON.

        ``seconds`` since the first sample; ``monotonic`` and ``wall``, in seconds; the statistics by their names, with
        those of a group flat, such as ``states.PROCESSING``, ``responses.200``, ``rejects.bare_lf`` (0 where they
        appear later only) and ``timeouts.header``, with ``responses.0`` for registered answers without a status line;
        ``latency``, the histogram; and ``latency_p50``, ``latency_p90`` and ``latency_p99`` in seconds, of the requests
        since the row before (None where there was none). Counters count from the server's start, or its last
        :meth:`Server.reset`.
        """
        samples = self.samples
        told = [sample.stats.as_dict() for sample in samples]
        groups = [name for name, value in (told[0].items() if told else ()) if isinstance(value, dict)]
        columns = {group: _in_order(key for row in told for key in row[group]) for group in groups}
        rows = []
        for index, (sample, stats) in enumerate(zip(samples, told, strict=True)):
            earlier = samples[index - 1].stats if index else None
            row: dict[str, Any] = {
                "seconds": sample.monotonic - samples[0].monotonic,
                "monotonic": sample.monotonic,
                "wall": sample.wall,
            }
            row |= {name: value for name, value in stats.items() if name not in columns and name != "latency"}
            for group, keys in columns.items():
                row |= {f"{group}.{key}": stats[group].get(key, 0) for key in keys}
            row["latency"] = stats["latency"]
            between = (change(earlier, sample.stats) if earlier else sample.stats).latency
            row |= {name: latency_percentile(between, percent) for name, percent in PERCENTILES.items()}
            rows.append(row)
        return rows

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows of :meth:`to_dicts` as a DataFrame, ``wall`` its index of times in UTC.

        Needs pandas, of the extra ``observe``; ImportError says so.
        """
        pandas = _needed("pandas", "to_pandas()", "observe")
        rows = self.to_dicts()
        frame: pd.DataFrame = pandas.DataFrame(rows)
        frame.index = pandas.to_datetime([row["wall"] for row in rows], unit="s", utc=True)
        frame.index.name = "wall"
        return frame.drop(columns="wall", errors="ignore").astype(dict.fromkeys(PERCENTILES, float) if rows else {})

    def to_arrow(self) -> _pyarrow.Table:
        """Return the rows of :meth:`to_dicts` as an Arrow table, ``wall`` in microseconds since 1970 in UTC.

        ``latency`` is a list of (from, to, count). Needs pyarrow, of the extra ``arrow``; ImportError says so.
        """
        arrow = _needed("pyarrow", "to_arrow()", "arrow")
        rows = self.to_dicts()
        bucket = arrow.struct([("from", arrow.float64()), ("to", arrow.float64()), ("count", arrow.int64())])
        kinds = {"wall": arrow.timestamp("us", tz="UTC"), "latency": arrow.list_(bucket)}
        floats = {"seconds", "monotonic", "uptime", *PERCENTILES}
        columns = list(rows[0]) if rows else ["seconds", "monotonic", "wall", "latency"]
        for name in columns:
            kinds.setdefault(name, arrow.float64() if name in floats else arrow.int64())
        schema = arrow.schema([(name, kinds[name]) for name in columns])
        keys = ("from", "to", "count")
        for row in rows:
            row["wall"] = round(row["wall"] * 1_000_000)
            row["latency"] = [dict(zip(keys, bucket, strict=True)) for bucket in row["latency"]]
        table: _pyarrow.Table = arrow.Table.from_pylist(rows, schema=schema)
        return table

    def plot(self, *, theme: Literal["light", "dark"] | None = None) -> Figure:
        """Draw connections by state, answers, bytes, pools and latencies over time, and return the figure.

        Answers are drawn by class, 2xx to 5xx; those that were registered with another status, or without a status
        line, are ``other``.

        ``theme`` is that of the page; without it the figure follows matplotlib's own style, such as
        ``dark_background``. The figure is not one of pyplot's: nothing needs to be closed, and no display is needed. A
        notebook shows it where it is a cell's last value; ``savefig`` writes it to a file.

        Needs matplotlib, of the extra ``observe``; ImportError says so. Raises OptionError (a ValueError) for another
        theme.
        """
        _needed("matplotlib", "plot()", "observe")
        from pooled_httpd.plotting import draw

        return draw(self, theme)

    def __repr__(self) -> str:
        """Tell the server, the number of samples, their span and whether it records."""
        samples = self.samples
        span = samples[-1].monotonic - samples[0].monotonic if samples else 0.0
        life = "recording" if self.is_recording else "not recording"
        return f"<pooled_httpd.StatsRecorder of {self.url}, {len(samples)} samples over {span:.1f} s, {life}>"

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from pooled_httpd.html import recorder_html

        return recorder_html(self)


def has_ended(server: Server) -> bool:
    """Whether a server has been stopped, before its start or after it, or has ended by itself."""
    try:
        return _native._has_ended(server)
    except ServerFailedError:
        return True


def windows(samples: tuple[Sample, ...], most: int) -> list[tuple[Sample, Sample]]:
    """Pairs of samples that follow each other and span everything, ``most`` at most: each is drawn as one point."""
    stride = max(-(-(len(samples) - 1) // most), 1)
    chosen = list(samples[::stride])
    if samples and chosen[-1] is not samples[-1]:
        chosen.append(samples[-1])
    # The last sample may follow at once: no rate is taken over so short a time.
    if (
        len(chosen) > 2
        and 2 * (chosen[-1].monotonic - chosen[-2].monotonic) < chosen[-2].monotonic - chosen[-3].monotonic
    ):
        del chosen[-2]
    return list(pairwise(chosen))


def change(earlier: ServerStats, later: ServerStats) -> ServerStats:
    """What happened between two samples; where the server began anew meanwhile, what was counted since."""
    difference = later - earlier
    counted = (difference.invariant_checks_passed, difference.bytes_received, difference.pool_resets)
    return later if min(counted) < 0 else difference


def by_class(responses: dict[int, int]) -> dict[str, int]:
    """Answers by class, as far as they occurred: 2xx to 5xx, and ``other`` for other codes and no status line (0)."""
    counts = dict.fromkeys(("2xx", "3xx", "4xx", "5xx", "other"), 0)
    for code, count in responses.items():
        counts[f"{code // 100}xx" if 200 <= code < 600 else "other"] += count
    return {name: count for name, count in counts.items() if count}


def _in_order(keys: Iterable[int | str]) -> list[int | str]:
    """Each key once, sorted where they are numbers, else as they came."""
    unique = list(dict.fromkeys(keys))
    numbers = [key for key in unique if isinstance(key, int)]
    return [*sorted(numbers), *(key for key in unique if not isinstance(key, int))]


def _needed(module: str, what: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"{what} needs {module}, which cannot be imported ({error}): pip install 'pooled_httpd[{extra}]'"
        raise ImportError(message, name=module) from error


#: Recordings under way and their threads.
_RUNNING: weakref.WeakKeyDictionary[_Recording, threading.Thread] = weakref.WeakKeyDictionary()


@atexit.register
def _end_all() -> None:
    """Before the interpreter ends: a thread that is in a server's code then could not come back from it."""
    running = list(_RUNNING.items())
    for recording, _ in running:
        recording.over.set()
    for _, thread in running:
        thread.join(_EXIT_PATIENCE)
