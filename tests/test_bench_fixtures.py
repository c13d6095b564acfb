"""The benchmark of servers for tests: it measures all of them, and judges what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benches import fixtures
from benches.fixtures import FIXTURES, MEASURES, OURS, PEERS, SERVERS, START, STARTS_IN_ROUND, Figures, main, rate, tell


def figures_of(ours: float, peers: float, cost: float) -> Figures:
    """Figures that are made up: one value for each of ours, one for each of the peers."""
    figures = Figures()
    for what in MEASURES:
        better, worse = (ours, peers) if what.less_is_better else (peers, ours)
        for name in SERVERS:
            figures.add(what, name, better if name in OURS else worse)
    for plugin in FIXTURES:
        figures.fixture_ms[plugin].append(cost)
    return figures


@pytest.mark.timeout(300)
def test_the_shortest_round_has_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each measure of each server, the cost of each fixture, a verdict on each bound, in the table and the file."""
    path = tmp_path / "results" / "fixtures.json"
    status = main(["--rounds", "1", "--seconds", "0.05", "--tests", "5", "--json", str(path)])
    written = json.loads(path.read_text())
    assert list(written["samples"]) == [what.name for what in MEASURES]
    for what, samples in written["samples"].items():
        assert list(samples) == list(SERVERS)
        taken = STARTS_IN_ROUND if what == START.name else 1
        assert all(len(values) == taken and min(values) > 0 for values in samples.values())
    assert {plugin: len(values) for plugin, values in written["fixture_ms"].items()} == dict.fromkeys(FIXTURES, 1)
    assert len(written["verdicts"]) == len(MEASURES) + 1
    assert status == (0 if all(written["verdicts"].values()) else 1)
    told = capsys.readouterr().out
    assert all(what.name in told for what in MEASURES)
    assert all(f"{name}: {'yes' if holds else 'NO'}" in told for name, holds in written["verdicts"].items())


def test_ours_is_judged_by_its_worse_and_the_peers_by_their_better() -> None:
    """Less time, or more requests, than the best of them."""
    figures = figures_of(1.0, 10.0, 0.5)
    assert all(figures.verdicts().values())
    assert figures.advantage(START) == 10
    figures.samples[START.name][OURS[1]] = [4.0]
    assert figures.advantage(START) == 2.5
    figures.samples[START.name][PEERS[0]] = [3.0, 1.0, 30.0]
    assert figures.advantage(START) == 0.75
    assert figures.verdicts()[f"ahead: {START.name}"] is False
    assert f"ahead: {START.name}: NO" in tell(figures)


def test_the_cost_of_a_fixture_has_a_bound() -> None:
    """One millisecond."""
    bound = "a test with the fixture under 1 ms"
    assert figures_of(1, 2, 0.99).verdicts()[bound] is True
    assert figures_of(1, 2, 1.0).verdicts()[bound] is False


@pytest.mark.parametrize("name", SERVERS)
def test_a_wrong_answer_fails_the_run(tmp_path: Path, name: str) -> None:
    """Every answer is checked: the content that is expected is another than what is served."""
    (tmp_path / fixtures.NAME.lstrip("/")).write_bytes(fixtures.CONTENT)
    running = fixtures.STARTS[name](tmp_path)
    try:
        assert rate(running.port, 0.01, 2) > 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fixtures, "CONTENT", b"another")
            with pytest.raises(RuntimeError, match=r"a client failed: .* answered 200 with 1024 bytes"):
                rate(running.port, 0.01, 2)
    finally:
        running.stop()


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seconds", "0"], ["--tests", "0"], ["--rounds", "x"]])
def test_wrong_arguments_are_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With what would be right."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err
