"""The benchmark: what it reads of clients, what it computes, what it tells."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from support import PATIENCE

from benches import BenchError, clients, processes, report, results
from benches.bounds import BOUNDS, Verdict, judge
from benches.checks import Prepared
from benches.loads import LOADS
from benches.measuring import CPU, RATE, Sample, Samples, best_peer, in_turn, ratio, servers_of
from benches.memory import Memory
from benches.results import Results
from benches.servers import NULL, OURS, PEERS, STORY

#: A load's answers of 1,000 bytes, the head included.
PREPARED = Prepared((), 1000, 1000.0, 1000)
WRK = (
    "Running 1s test @ http://127.0.0.1:1/\n\n"
    'BENCH {"requests": 100, "bytes": 100500, "duration_us": 500000, "p99_us": 1500, '
    '"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0}\n'
)
AB = """
Time taken for tests:   0.500 seconds
Complete requests:      100
Failed requests:        0
Total transferred:      144700 bytes
HTML transferred:       120000 bytes
Requests per second:    200.00 [#/sec] (mean)

Percentage of the requests served within a certain time (ms)
  50%      2
  99%      7
 100%      9 (longest request)
"""


def test_wrk_is_read_by_its_bytes() -> None:
    """An answer under way at the end counts in part."""
    assert clients.told_by_wrk(WRK, LOADS["small"], PREPARED) == clients.Told(100.5, 0.5, 1.5)


def test_wrk_tells_no_latency_of_pipelined_requests() -> None:
    """What it makes up for waits is nonsense there."""
    assert clients.told_by_wrk(WRK, LOADS["pipelined"], PREPARED).p99_ms is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BENCH", "bench"),
        ('"connect": 0', '"connect": 1'),
        ('"read": 0', '"read": 1'),
        ('"write": 0', '"write": 1'),
        ('"status": 0', '"status": 1'),
        ('"timeout": 0', '"timeout": 1'),
        # Less than the answers come to, and more than all that can be under way.
        ('"bytes": 100500', '"bytes": 99999'),
        ('"bytes": 100500', '"bytes": 164001'),
        ('"requests": 100, "bytes": 100500', '"requests": 0, "bytes": 0'),
    ],
)
def test_an_error_of_wrk_fails_the_run(old: str, new: str) -> None:
    """Each alone."""
    assert old in WRK
    with pytest.raises(BenchError):
        clients.told_by_wrk(WRK.replace(old, new), LOADS["small"], PREPARED)


@pytest.mark.parametrize(("errors", "fine"), [(100, True), (99, False), (0, False)])
def test_every_answer_of_the_404_load_is_an_error_to_wrk(errors: int, fine: bool) -> None:
    """One that is none is a wrong answer."""
    printed = WRK.replace('"status": 0', f'"status": {errors}')
    with contextlib.nullcontext() if fine else pytest.raises(BenchError):
        clients.told_by_wrk(printed, LOADS["404"], PREPARED)


def test_ab_is_read() -> None:
    """Its answers, its time, its 99th percentile."""
    assert clients.told_by_ab(AB, LOADS["closing"], 100) == clients.Told(100.0, 0.5, 7.0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Failed requests:        0", "Failed requests:        1"),
        ("Failed requests:        0", "Failed requests:        0\nNon-2xx responses:      1"),
        ("Failed requests:        0", "Failed requests:        0\nWrite errors:           1"),
        ("Complete requests:      100", "Complete requests:      99"),
        ("HTML transferred:       120000", "HTML transferred:       119999"),
    ],
)
def test_an_error_of_ab_fails_the_run(old: str, new: str) -> None:
    """Each alone."""
    assert old in AB
    with pytest.raises(BenchError):
        clients.told_by_ab(AB.replace(old, new), LOADS["closing"], 100)


def test_a_client_that_fails_fails_the_run() -> None:
    """With what it said."""
    with pytest.raises(BenchError, match="status 3: no luck"):
        processes.run_client([sys.executable, "-c", "print('no luck'); raise SystemExit(3)"], PATIENCE, 0)


def sample(cpu_us: float, rate: float = 1000.0) -> Sample:
    """A second's sample."""
    return Sample(answers=rate, wall_seconds=1.0, cpu_seconds=cpu_us * rate / 1e6, p99_ms=None)


def samples_of(load: str, ours: float, others: float, **named: float) -> Samples:
    """Two rounds of a load in which every server takes the same, but those that are named."""
    values = {name: named.get(name.replace(" ", "_"), others) for name in servers_of(load)} | {OURS: ours}
    return {load: {name: [sample(value), sample(value)] for name, value in values.items()}}


def test_the_best_peer_is_the_best_in_the_middle() -> None:
    """Its median counts, not its best round; neither we nor the null server are peers."""
    by_server = {
        OURS: [sample(1), sample(1), sample(1)],
        NULL: [sample(1), sample(1), sample(1)],
        "nginx": [sample(2, 50), sample(9, 50), sample(9, 50)],
        "h2o": [sample(5, 70), sample(4, 70), sample(6, 10)],
        "lighttpd": [sample(6, 60), sample(6, 60), sample(6, 90)],
    }
    assert best_peer(by_server, CPU) == "h2o"
    assert best_peer(by_server, RATE) == "h2o"


def test_ratios_are_taken_round_by_round() -> None:
    """Not of medians."""
    by_server = {OURS: [sample(2), sample(30), sample(9)], "h2o": [sample(4), sample(10), sample(10)]}
    found = ratio(by_server, OURS, "h2o", CPU)
    assert found.rounds == pytest.approx((0.5, 3.0, 0.9))
    assert str(found) == "0.900 (0.50-3.00)"


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"], servers_of("pipelined")])
def test_every_server_comes_first_and_last_in_its_turn(names: list[str]) -> None:
    """The order is another one in each round until all have been."""
    orders = [in_turn(names, turn) for turn in range(2 * len(names))]
    assert all(sorted(order) == sorted(names) for order in orders)
    assert len(names) == 1 or all(one != next_one for one, next_one in pairwise(orders))
    assert {order[0] for order in orders} == {order[-1] for order in orders} == set(names)


def verdict(samples: Samples, what: str, to: str) -> Verdict:
    """The one verdict on this."""
    (found,) = [one for one in judge(samples, {}) if one.what == what and one.to.startswith(to)]
    return found


@pytest.mark.parametrize(
    ("load", "to", "limit"),
    [
        ("small", "null", 1.10),
        ("small", "best peer", 0.90),
        ("pipelined", "null", 0.35),
        ("closing", "best peer", 0.90),
        *((load, "best peer", 0.90) for load in ("10k", "404", "range", "304", "files", "1000")),
        ("100k", "best peer", 1.00),
        ("64M", "best peer", 1.00),
    ],
)
def test_cpu_time_is_held_against_its_bound(load: str, to: str, limit: float) -> None:
    """The bound itself is met; a hundredth more is over."""
    for value, word in ((limit * 10 - 0.001, "met"), (limit * 10 + 0.1, "over")):
        found = verdict(samples_of(load, ours=value, others=10.0), CPU.title, to)
        assert (found.word, found.limit) == (word, f"at most {limit:.2f}")


@pytest.mark.parametrize("load", ["100k", "64M"])
def test_rates_are_held_against_their_bound(load: str) -> None:
    """They are to be at least the best peer's."""
    for rate, word in ((1001.0, "met"), (999.0, "over")):
        samples = samples_of(load, ours=1.0, others=1.0)
        samples[load][OURS] = [sample(1.0, rate), sample(1.0, rate)]
        assert verdict(samples, RATE.title, "best peer").word == word


def test_the_story_is_held_against_the_log_off() -> None:
    """Twice its CPU time is met."""
    for story, word in ((19.9, "met"), (20.1, "over")):
        samples = samples_of("small", ours=10.0, others=10.0, story=story)
        assert verdict(samples, f"{CPU.title}, {STORY}", OURS).word == word


@pytest.mark.parametrize(
    ("resident", "heap", "calls", "words"),
    [
        (199, 0, 0, ["met", "met"]),
        (200, 0, 0, ["over", "met"]),
        (0, 1, 0, ["met", "over"]),
        (0, 0, 2, ["met", "over"]),
    ],
)
def test_memory_is_held_against_its_bounds(resident: int, heap: int, calls: int, words: list[str]) -> None:
    """Under 200 bytes resident for each connection, and nothing of the heap at all."""
    ours = Memory(1, 1000, 1000 + 10 * resident, 10, heap, calls)
    assert [one.word for one in judge({}, {OURS: ours})] == words


def test_every_bound_is_of_a_load_that_its_servers_get() -> None:
    """A bound that no run can judge is none."""
    for bound in BOUNDS:
        assert bound.of in servers_of(bound.load)
        assert bound.to == "best peer" or bound.to in servers_of(bound.load)


def made_up() -> Results:
    """Results of a run of everything."""
    samples: Samples = {}
    for load in LOADS:
        scale = 1000.0 if load == "64M" else 1.0
        samples |= samples_of(load, ours=9 * scale, others=10 * scale, null=5.0)
    facts = dict.fromkeys(("date", "pooled_httpd", "nginx", "h2o", "lighttpd", "kernel", "processor", "rounds"), "x")
    memory = {name: Memory(20_000_000, 1000, 2000, 4000) for name in PEERS} | {
        OURS: Memory(20_000_000, 1000, 2000, 4000, 0, 0)
    }
    return Results(facts, samples, memory)


def test_results_survive_the_json(tmp_path: Path) -> None:
    """Every sample, every fact."""
    results.write(tmp_path / "new" / "bench.json", made_up())
    assert results.read(tmp_path / "new" / "bench.json") == made_up()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"facts": {}, "loads": {"small": {}}, "memory": {}}'])
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    """By a plain error."""
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(BenchError, match="no results"):
        results.read(tmp_path / "other.json")


def test_results_of_a_load_that_is_no_more_are_refused(tmp_path: Path) -> None:
    """It has no title to be shown by."""
    older = dataclasses.replace(made_up(), samples={"small": made_up().samples["small"]})
    results.write(tmp_path / "older.json", older)
    text = (tmp_path / "older.json").read_text().replace('"small"', '"tiny"')
    (tmp_path / "older.json").write_text(text)
    with pytest.raises(BenchError, match="tiny"):
        results.read(tmp_path / "older.json")


def test_the_report_has_everything_and_fits() -> None:
    """Every load and every bound, in 120 columns."""
    printed = report.report(made_up())
    for load in LOADS.values():
        assert re.search(rf"^{re.escape(load.title)} .* 0\.900 \(0\.90-0\.90\)", printed, re.M)
    assert len(re.findall(r"(?:at most|at least|under) [\d.]+ ", printed)) == len(BOUNDS) + 1
    assert max(map(len, printed.splitlines())) <= 120
