"""The recorder: what it records, how it ends, what it keeps alive, its tables and its plot."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from itertools import pairwise

import pandas  # noqa: F401 - it starts threads, which are not those of a test
import pooled_httpd
import pyarrow  # noqa: F401 - so does it
import pytest
from pooled_httpd.recorder import _end_all, change
from recordings import recorded, values
from support import PATIENCE, Site, eventually, exchange, get


def run(code: str, *, limit: float = PATIENCE * 3) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=limit, check=False)


def test_it_records_while_it_runs(server: pooled_httpd.Server) -> None:
    """The first sample at once, the last at its stop, and times that ascend; what happened between is in it."""
    with server.record_stats(interval=0.005) as recorder:
        assert len(recorder) >= 1
        assert recorder.is_recording
        exchange(server.port, get("/a.txt"))
        eventually(lambda: len(recorder) >= 5)
        exchange(server.port, get("/nothing"))
    assert not recorder.is_recording
    samples = recorder.samples
    assert samples[0].stats.total_requests == 0
    assert samples[-1].stats.responses == {200: 1, 404: 1}
    assert all(one.monotonic < two.monotonic and one.stats.uptime <= two.stats.uptime for one, two in pairwise(samples))
    assert abs((samples[-1].wall - samples[0].wall) - (samples[-1].monotonic - samples[0].monotonic)) < 0.5
    assert abs(samples[-1].wall - time.time()) < 60
    count = len(recorder)
    recorder.stop()
    assert len(recorder) == count


def test_the_interval_is_kept(server: pooled_httpd.Server) -> None:
    """Samples come by the interval and not as fast as they can, and its wait does not delay the stop."""
    recorder = pooled_httpd.StatsRecorder(server, interval=3600)
    recorder.start()
    started = time.monotonic()
    recorder.stop()
    assert time.monotonic() - started < PATIENCE
    assert len(recorder) == 2
    with server.record_stats(interval=0.02) as recorder:
        eventually(lambda: len(recorder) >= 6)
    first, *_, before_last, _ = recorder.samples
    assert before_last.monotonic - first.monotonic >= 0.02 * (len(recorder) - 2) * 0.9


def test_a_full_record_keeps_its_span(server: pooled_httpd.Server) -> None:
    """Where there are too many samples every other one goes, and those to come are as far apart."""
    recorder = pooled_httpd.StatsRecorder(server, interval=0.001, max_samples=16)
    recorder.start()
    first = recorder.samples[0]
    eventually(lambda: recorder.interval >= 0.004)
    assert len(recorder) <= 16
    assert recorder.samples[0] is first
    recorder.stop()
    assert len(recorder) <= 16
    assert recorder.samples[-1].monotonic - first.monotonic > 0.03


def test_it_survives_the_servers_stop(site: Site) -> None:
    """The recording ends by itself, with everything in it; the record stays when the server is destroyed and gone."""
    server = pooled_httpd.Server(site.root)
    recorder = pooled_httpd.StatsRecorder(server, interval=0.005)
    recorder.start()
    assert recorder.is_recording, "it also waits for a server that has not been started"
    server.start()
    exchange(server.port, get("/a.txt"))
    eventually(lambda: recorder.samples[-1].stats.uptime > 0)
    server.stop()
    eventually(lambda: not recorder.is_recording)
    assert recorder.samples[-1].stats == server.stats()
    assert recorder.samples[-1].stats.total_requests == 1
    url = server.url
    server.destroy()
    with pytest.raises(pooled_httpd.StateError):
        recorder.start()
    del server
    gc.collect()
    with pytest.raises(pooled_httpd.StateError, match="gone"):
        recorder.start()
    recorder.stop()
    assert recorder.url == url
    assert recorder.limits["pool_size"] == 4096
    assert recorder.to_dicts()[-1]["responses.200"] == 1
    assert recorder.plot().get_axes()


@pytest.mark.parametrize("was_started", [True, False])
def test_a_server_that_has_ended_is_not_recorded_for_ever(site: Site, was_started: bool) -> None:
    """Its last statistics are one sample, and no thread waits for more, whether it ever ran or not."""
    server = pooled_httpd.Server(site.root, log_level="off")
    if was_started:
        with server:
            exchange(server.port, get("/a.txt"))
    server.stop()
    with server.record_stats(interval=0.001) as recorder:
        assert not recorder.is_recording
        assert not any(thread.name == "pooled-recorder" for thread in threading.enumerate())
    assert [sample.stats.total_requests for sample in recorder.samples] == [int(was_started)]
    waiting = pooled_httpd.Server(site.root, log_level="off")
    with waiting.record_stats(interval=0.001) as recorder:
        eventually(lambda: len(recorder) > 2)
        waiting.stop()
        eventually(lambda: not recorder.is_recording)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_destroyed_server_ends_it(site: Site) -> None:
    """Whatever the recorder is at then, nothing is raised in its thread."""
    for _ in range(20):
        server = pooled_httpd.Server(site.root, log_level="off")
        server.start()
        with server.record_stats(interval=0.001) as recorder:
            server.destroy()
            eventually(lambda recorder=recorder: not recorder.is_recording)  # type: ignore[misc]
        assert len(recorder) >= 1


def test_it_keeps_nothing_alive(site: Site) -> None:
    """Neither the server that is recorded nor a recorder that nobody has any more."""
    server = pooled_httpd.Server(site.root)
    server.start()
    recorder = pooled_httpd.StatsRecorder(server, interval=3600)
    recorder.start()
    gone = weakref.ref(server)
    del server
    gc.collect()
    assert gone() is None
    # At once, and not in an hour.
    eventually(lambda: not recorder.is_recording)
    with pooled_httpd.Server(site.root) as server:
        forgotten = pooled_httpd.StatsRecorder(server, interval=3600)
        forgotten.start()
        thread = next(thread for thread in threading.enumerate() if thread.name == "pooled-recorder")
        del forgotten
        gc.collect()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_interpreter_ends_while_it_records() -> None:
    """However often it samples, and with the server running: its threads end first, and nothing goes wrong."""
    code = (
        "import atexit, threading\n"
        # Last in, first out: this is called when all of the package's own have been.
        "atexit.register(lambda: print(threading.active_count()))\n"
        "import pooled_httpd\n"
        "server = pooled_httpd.Server('.', log_level='off'); server.start()\n"
        "kept = [server.record_stats(interval=seconds) for seconds in (0.001, 0.001, 0.001, 3600)]\n"
        "[recorder.start() for recorder in kept]\n"
        "while len(kept[0]) < 20: pass\n"
        "print(threading.active_count())"
    )
    for _ in range(5):
        started = time.monotonic()
        done = run(code)
        assert (done.returncode, done.stdout, done.stderr) == (0, "5\n1\n", "")
        assert time.monotonic() - started < PATIENCE


def test_the_exit_waits_for_the_threads(server: pooled_httpd.Server) -> None:
    """What the interpreter's exit calls returns when no recording has a thread any more."""
    recorders = [server.record_stats(interval=0.001) for _ in range(8)]
    for recorder in recorders:
        recorder.start()
    assert all(recorder.is_recording for recorder in recorders)
    _end_all()
    assert not any(recorder.is_recording for recorder in recorders)
    for recorder in recorders:
        recorder.stop()


def test_a_forked_child_has_the_record_and_no_more(server: pooled_httpd.Server) -> None:
    """It may look at it, draw and end; to record is an error there."""
    with server.record_stats(interval=0.005) as recorder:
        eventually(lambda: len(recorder) >= 3)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert not recorder.is_recording
                assert len(recorder) >= 3
                recorder.stop()
                try:
                    recorder.start()
                except pooled_httpd.ForkError:
                    status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert recorder.is_recording


def test_many_threads_use_one_recorder(server: pooled_httpd.Server) -> None:
    """Starts, stops, marks, reads and clearing at once leave a sound record and one thread at most."""
    recorder = pooled_httpd.StatsRecorder(server, interval=0.001, max_samples=16)
    failures: list[BaseException] = []
    over = threading.Event()

    def use(number: int) -> None:
        try:
            while not over.is_set():
                (recorder.start, recorder.stop, recorder.clear, lambda: recorder.mark("x"), recorder.to_dicts)[number]()
                assert len(recorder) <= 16
                assert all(one.monotonic <= two.monotonic for one, two in pairwise(recorder.samples))
                assert sum(thread.name == "pooled-recorder" for thread in threading.enumerate()) <= 2
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    over.set()
    for thread in threads:
        thread.join()
    recorder.stop()
    assert failures == []
    assert not any(thread.name == "pooled-recorder" for thread in threading.enumerate())
    assert len(recorder.marks) <= 100


@pytest.mark.parametrize(
    ("name", "value", "range_"),
    [
        ("interval", 0, "is no number of seconds from 0.001 to 3,600"),
        ("interval", -1.0, "is no number of seconds from 0.001 to 3,600"),
        ("interval", float("nan"), "is no number of seconds from 0.001 to 3,600"),
        ("interval", float("inf"), "is no number of seconds from 0.001 to 3,600"),
        ("max_samples", 15, "is not within 16 to 1,000,000"),
        ("max_samples", 1_000_001, "is not within 16 to 1,000,000"),
    ],
)
def test_wrong_values_are_told(server: pooled_httpd.Server, name: str, value: object, range_: str) -> None:
    """By name, value and range."""
    with pytest.raises(pooled_httpd.OptionError, match=f"{name}: {value} .*{range_}"):
        server.record_stats(**{name: value})  # type: ignore[arg-type]


def test_a_server_for_asyncio_is_recorded_itself(server: pooled_httpd.Server) -> None:
    """Also where nobody keeps what was given; what is no server is told."""
    with pooled_httpd.StatsRecorder(server.asynchronous(), interval=0.005) as recorder:
        gc.collect()
        exchange(server.port, get("/a.txt"))
        assert recorder.is_recording
    assert recorder.samples[-1].stats.total_requests == 1
    for wrong in ("x", None):
        with pytest.raises(pooled_httpd.OptionError, match=f"server: {wrong!r} is no server; it takes a Server or an"):
            pooled_httpd.StatsRecorder(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [3, None, b"bytes", "half a pair: \ud800"])
def test_a_mark_is_text(server: pooled_httpd.Server, value: object) -> None:
    """What is none is told at once, and no plot fails because of it afterwards."""
    with server.record_stats() as recorder, pytest.raises(pooled_httpd.OptionError, match=r"^text: "):
        recorder.mark(value)  # type: ignore[arg-type]
    assert recorder.marks == ()


def test_rows_have_the_same_columns_and_the_statistics(server: pooled_httpd.Server) -> None:
    """All of the statistics are in each row, groups flat, and the rows fit JSON."""
    recorder = recorded(server)
    rows = recorder.to_dicts()
    assert len(rows) == len(recorder)
    assert all(list(row) == list(rows[0]) for row in rows)
    json.dumps(rows)
    assert rows[0]["seconds"] == 0
    for row, sample in zip(rows, recorder.samples, strict=True):
        told = sample.stats.as_dict()
        for name, value in told.items():
            if isinstance(value, dict):
                flat = {key: count for key, count in row.items() if key.startswith(f"{name}.") and count}
                assert flat == {f"{name}.{key}": count for key, count in value.items() if count}
            else:
                assert row[name] == value
    assert (rows[0]["responses.200"], rows[-1]["responses.200"], rows[-1]["responses.404"]) == (0, 3, 1)
    assert rows[-1]["rejects.field_name"] == 1
    percentiles = [row["latency_p50"] for row in rows if row["latency_p50"] is not None]
    assert percentiles
    assert all(0 < value < 1 for value in percentiles)
    assert any(row["latency_p50"] is None for row in rows)
    assert pooled_httpd.StatsRecorder(server).to_dicts() == []


def test_pandas_has_the_rows(server: pooled_httpd.Server) -> None:
    """Integers as integers, percentiles as numbers with gaps, and the time as its index."""
    recorder = recorded(server)
    frame, rows = recorder.to_pandas(), recorder.to_dicts()
    assert list(frame.columns) == [name for name in rows[0] if name != "wall"]
    assert frame["total_requests"].tolist() == [row["total_requests"] for row in rows]
    assert str(frame["total_requests"].dtype) == "int64"
    assert str(frame["latency_p99"].dtype) == "float64"
    assert str(frame.index.tz) == "UTC"  # type: ignore[attr-defined]
    assert abs(frame.index[0].timestamp() - rows[0]["wall"]) < 1e-5
    assert frame["responses.200"].max() == 3
    assert len(pooled_httpd.StatsRecorder(server).to_pandas()) == 0


def test_arrow_has_the_rows(server: pooled_httpd.Server) -> None:
    """Typed columns, nulls where there is no percentile, the histogram as a list."""
    recorder = recorded(server)
    table, rows = recorder.to_arrow(), recorder.to_dicts()
    assert table.column_names == list(rows[0])
    assert table.num_rows == len(rows)
    assert str(table.schema.field("wall").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("total_requests").type) == "int64"
    assert table["bytes_sent"].to_pylist() == [row["bytes_sent"] for row in rows]
    assert table["latency_p50"].to_pylist() == [row["latency_p50"] for row in rows]
    buckets = table["latency"].to_pylist()[-1]
    assert [(bucket["from"], bucket["to"], bucket["count"]) for bucket in buckets] == rows[-1]["latency"]
    assert table["wall"].to_pylist()[0].timestamp() == pytest.approx(rows[0]["wall"], abs=1e-5)
    assert pooled_httpd.StatsRecorder(server).to_arrow().num_rows == 0


@pytest.mark.parametrize(
    ("module", "use", "extra"),
    [
        ("pandas", "recorder.to_pandas()", "observe"),
        ("pyarrow", "recorder.to_arrow()", "arrow"),
        ("matplotlib", "recorder.plot()", "observe"),
        ("prometheus_client", "import pooled_httpd.prometheus", "observe"),
    ],
)
def test_what_is_missing_is_named(module: str, use: str, extra: str) -> None:
    """With the extra that has it; everything else goes on without."""
    code = (
        "import sys, pooled_httpd\n"
        f"sys.modules[{module!r}] = None\n"
        "with pooled_httpd.Server('.', log_level='off') as server, server.record_stats() as recorder: pass\n"
        "recorder.to_dicts(), recorder._repr_html_(), server._repr_html_()\n"
        f"try:\n    {use}\nexcept ImportError as error:\n    print(error.name, error)\n"
    )
    done = run(code)
    assert done.stdout.startswith(f"{module} "), done.stderr
    assert f"needs {module}, which cannot be imported" in done.stdout
    assert f"pip install 'pooled_httpd[{extra}]'" in done.stdout


def test_nothing_is_imported_before_it_is_used() -> None:
    """Neither by the package nor by a recording and what it shows."""
    code = (
        "import sys, pooled_httpd\n"
        "with pooled_httpd.Server('.', log_level='off') as server, server.record_stats() as recorder: pass\n"
        "recorder.to_dicts(), recorder._repr_html_(), server._repr_html_(), server.stats()._repr_html_()\n"
        "large = {'matplotlib', 'pandas', 'pyarrow', 'numpy', 'prometheus_client', 'IPython'}\n"
        "print(sorted(large & sys.modules.keys()))\n"
        "recorder.plot()\n"
        "print(sorted({*large, 'matplotlib.pyplot'} & sys.modules.keys()))"
    )
    done = run(code)
    assert done.stdout.splitlines() == ["[]", "['matplotlib', 'numpy']"], done.stderr


def test_a_server_that_begins_anew_is_recorded_on(server: pooled_httpd.Server) -> None:
    """Its counters go back to zero; rates and percentiles do not go below."""
    with server.record_stats(interval=0.005) as recorder:
        for _ in range(20):
            exchange(server.port, get("/a.txt"))
        eventually(lambda: recorder.samples[-1].stats.total_requests == 20)
        server.reset()
        exchange(server.port, get("/a.txt"))
        eventually(lambda: recorder.samples[-1].stats.total_requests == 1)
    steps = [change(earlier.stats, later.stats) for earlier, later in pairwise(recorder.samples)]
    assert all(min(step.total_requests, step.bytes_sent, step.invariant_checks_passed) >= 0 for step in steps)
    assert sum(step.total_requests for step in steps) == 21
    assert all(percent is None or percent > 0 for percent in (row["latency_p99"] for row in recorder.to_dicts()))
    assert min(value for axis in recorder.plot().get_axes() for line in axis.lines for value in values(line)) >= 0
    assert ": last -" not in recorder._repr_html_()


def test_percentiles_are_within_their_bucket() -> None:
    """Ordered, bounded by the histogram, none where there is nothing, and an error out of range."""
    histogram = [(0.001, 0.002, 50), (0.002, 0.004, 40), (0.1, 0.2, 10)]
    assert pooled_httpd.latency_percentile(histogram, 0) == 0.001
    assert pooled_httpd.latency_percentile(histogram, 50) == 0.002
    assert pooled_httpd.latency_percentile(histogram, 90) == 0.004
    assert pooled_httpd.latency_percentile(histogram, 99) == pytest.approx(0.19)
    assert pooled_httpd.latency_percentile(histogram, 100) == 0.2
    assert pooled_httpd.latency_percentile([], 50) is None
    assert pooled_httpd.latency_percentile([(0.1, 0.2, 0)], 50) is None
    for wrong in (-1, 101, float("nan")):
        with pytest.raises(ValueError, match="it takes a number from 0 to 100"):
            pooled_httpd.latency_percentile(histogram, wrong)


def test_limits_and_memory_are_what_the_server_runs_with(site: Site) -> None:
    """The options as given or set, the sum of the memory as it is told at the start, also after the stop."""
    server = pooled_httpd.Server(site.root, max_connections=7, timeout=1.5, send_timeout=2)
    assert server.limits == {
        "max_connections": 7,
        "pool_size": 4096,
        "buffer_size": 16384,
        "header_timeout": 1.5,
        "keepalive_timeout": 1.5,
        "content_timeout": 1.5,
        "send_timeout": 2.0,
        "max_content": 1 << 20,
        "max_request_line": 8000,
        "max_field_lines": 100,
        "max_requests_per_connection": None,
        "cache_size": 16 << 20,
    }
    pooled_httpd.server_set_pool_size(server, 1024)
    assert server.limits["pool_size"] == 1024
    memory = server.memory
    each = memory["receive_buffer"] + memory["send_buffer"] + memory["pool"] + memory["slot"]
    rest = memory["tables"] + memory["cache"] + memory["log_ring"]
    assert memory["connections"] == 7
    assert memory["total"] == memory["connections"] * each + rest
    assert memory["pool"] >= 1024
    with server:
        pass
    assert server.memory == memory
    server.destroy()
    with pytest.raises(pooled_httpd.StateError):
        _ = server.limits
    with pytest.raises(pooled_httpd.StateError):
        _ = server.memory
