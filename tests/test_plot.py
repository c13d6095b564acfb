"""The plot of a recording: what it shows, and who can read it."""

from __future__ import annotations

import io
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas  # noqa: F401 - it starts threads, which are not those of a test
import pooled_httpd
import pyarrow  # noqa: F401 - so does it
import pytest
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import StepPatch
from pooled_httpd import faults, plotting
from pooled_httpd.recorder import Sample, windows
from recordings import recorded, values
from support import ROOT, Raw, Site, eventually, exchange, get


@pytest.fixture(scope="module", autouse=True)
def fonts() -> None:
    """Draw once: matplotlib keeps the files of its fonts open."""
    with pooled_httpd.Server(ROOT / "www", log_level="off") as server:
        recorded(server).plot().savefig(io.BytesIO())


def charts(recorder: pooled_httpd.StatsRecorder) -> dict[str, Axes]:
    """The charts of the plot by their titles."""
    return {axis.get_title(loc="left"): axis for axis in recorder.plot().get_axes()}


def test_the_plot_shows_what_was_recorded(site: Site) -> None:
    """Five charts with units; the numbers in them are those of the record; limits and marks are named."""
    options = {"max_connections": 2, "pool_size": 512}
    with (
        pooled_httpd.Server(site.root, log_level="off", **options) as server,  # type: ignore[arg-type]
        server.record_stats(interval=0.005) as recorder,
    ):
        recorder.mark("two wait")
        with Raw(server.port) as one, Raw(server.port) as two:
            for raw in (one, two):
                raw.send(b"GET / HTTP/1.1\r\nHo")
            eventually(lambda: recorder.samples[-1].stats.states["READING_HEADERS"] == 2)
            assert exchange(server.port, get("/a.txt")).status == 503
        eventually(lambda: recorder.samples[-1].stats.active_connections == 0)
        assert exchange(server.port, get("/a.txt", *(f"X-{i}: {'v' * 40}" for i in range(40)))).status == 507
        assert exchange(server.port, get("/a.txt")).status == 200
    found = charts(recorder)
    assert {title: axis.get_ylabel() for title, axis in found.items()} == {
        "Connections by state": "connections",
        "Answers by class": "answers per second",
        "Throughput": "bytes per second",
        "Pool of a request": "bytes",
        "Latency percentiles": "seconds",
    }
    assert all(axis.get_xlabel() == "time (s)" for axis in found.values())

    def legend(title: str) -> list[str]:
        labels = found[title].get_legend()
        return [text.get_text() for text in labels.get_texts()] if labels else []

    def texts(title: str) -> list[str]:
        return [text.get_text().strip() for text in found[title].texts]

    assert "READING_HEADERS" in legend("Connections by state")
    assert "PROCESSING" not in legend("Connections by state")
    assert {"max_connections 2", "two wait"} <= set(texts("Connections by state"))
    assert legend("Answers by class") == ["2xx", "5xx"]
    assert legend("Throughput") == ["sent", "received"]
    assert legend("Pool of a request") == ["highest", "average", "overflow (507)"]
    assert "pool_size 512" in texts("Pool of a request")
    assert legend("Latency percentiles") == ["50 %", "90 %", "99 %"]
    peak = next(line for line in found["Pool of a request"].lines if line.get_label() == "highest")
    assert values(peak)[-1] == recorder.samples[-1].stats.peak_pool_usage
    sent = next(line for line in found["Throughput"].lines if line.get_label() == "sent")
    spans = [later.monotonic - earlier.monotonic for earlier, later in windows(recorder.samples, plotting.MOST_WINDOWS)]
    total = sum(rate * span for rate, span in zip(values(sent), spans, strict=True))
    assert total == pytest.approx(recorder.samples[-1].stats.bytes_sent, rel=1e-6)


def test_every_answer_is_drawn(server: pooled_httpd.Server) -> None:
    """Also those of a status of no class, and those without one: together they are ``other``."""
    server.respond("/odd", status=999, times=2)
    server.respond("/closed", fault=faults.Close(), times=1)
    with server.record_stats() as recorder:
        assert [exchange(server.port, get(path)).status for path in ("/odd", "/odd", "/a.txt")] == [999, 999, 200]
        with Raw(server.port) as raw:
            assert raw.send(get("/closed")).closed()
    assert recorder.samples[-1].stats.as_dict()["responses"] == {0: 1, 200: 1, 999: 2}
    assert recorder.to_dicts()[-1]["responses.0"] == 1
    axis = charts(recorder)["Answers by class"]
    drawn = {}
    for stairs in axis.findobj(StepPatch):
        tops, edges, bottoms = stairs.get_data()
        drawn[stairs.get_label()] = sum((tops - bottoms) * np.diff(edges))
    assert drawn == {"2xx": pytest.approx(1), "other": pytest.approx(3)}
    assert axis.get_legend_handles_labels()[1] == list(drawn)


def test_marks_stand_as_they_were_written(server: pooled_httpd.Server) -> None:
    """Whatever a formula of matplotlib or TeX would make of them; one that is none is no error."""
    notes = ["$$", "costs $5, then $6", r"\frac", "100 % of max_connections"]
    with server.record_stats() as recorder:
        for note in notes:
            recorder.mark(note)
    with mpl.rc_context({"text.usetex": True}):
        axis = charts(recorder)["Connections by state"]
    drawn = [text for text in axis.texts if text.get_text() in notes]
    assert [text.get_text() for text in drawn] == notes
    assert not any(text.get_parse_math() or text.get_usetex() for text in drawn)
    recorder.plot().savefig(io.BytesIO())


def test_the_plot_follows_the_page(server: pooled_httpd.Server, tmp_path: Path) -> None:
    """Light, dark, or matplotlib's own style; and only those."""
    recorder = recorded(server)
    for theme, is_dark in (("light", False), ("dark", True), (None, False)):
        path = tmp_path / "plot.png"
        recorder.plot(theme=theme).savefig(path)  # type: ignore[arg-type]
        picture = image.imread(path)
        assert bool(picture[0, 0, :3].mean() < 0.5) is is_dark
        # Something is drawn, in many colours.
        assert len({tuple(pixel) for pixel in (picture[::3, ::3, :3] * 255).astype(int).reshape(-1, 3)}) > 20
    with mpl.rc_context({"figure.facecolor": "black", "text.color": "white"}):
        assert recorder.plot().get_facecolor()[:3] == (0, 0, 0)
    before = mpl.rcParams.copy()
    recorder.plot(theme="dark")
    assert mpl.rcParams.copy() == before
    with pytest.raises(
        pooled_httpd.OptionError, match="theme: 'blue' is not allowed; it takes 'light', 'dark' or None"
    ):
        recorder.plot(theme="blue")  # type: ignore[arg-type]


def test_a_notebook_shows_the_plot(server: pooled_httpd.Server) -> None:
    """As a PNG of its own, twice as fine as it is shown; also where there is nothing to show."""
    empty = pooled_httpd.StatsRecorder(server)
    for recorder in (recorded(server), empty):
        figure = recorder.plot()
        assert isinstance(figure, plotting.RecorderFigure)
        picture, size = figure._repr_png_()
        assert image.imread(io.BytesIO(picture)).shape[:2] == (2 * size["height"], 2 * size["width"])
        assert len(picture) < 90_000


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


#: How a colour looks to who lacks one kind of cone (Viénot, Brettel and Mollon 1999), on linear RGB.
BLIND = {
    "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


def distance(one: str, other: str, matrix: tuple[tuple[float, ...], ...]) -> float:
    """How far apart two colours are to such an eye, from 0 to about 1.7."""

    def seen(colour: str) -> list[float]:
        linear = [part**2.2 for part in to_rgb(colour)]
        mixed = [sum(weight * part for weight, part in zip(row, linear, strict=True)) for row in matrix]
        return [min(max(part, 0), 1) ** (1 / 2.2) for part in mixed]

    return float(sum((a - b) ** 2 for a, b in zip(seen(one), seen(other), strict=True)) ** 0.5)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_colours_can_be_told_apart(name: str) -> None:
    """Text and lines from the page, and what shares a chart from each other, by colour-blind eyes too."""
    theme = plotting.THEMES[name]
    assert contrast(theme.text, theme.page) > 7
    for colour in (theme.blue, theme.green, theme.orange, theme.purple):
        assert contrast(colour, theme.page) > 4.5
    for matrix in BLIND.values():
        for one, other in combinations(theme.states, 2):
            assert distance(one, other, matrix) > 0.13, (one, other)
        for one, other in combinations((theme.blue, theme.green, theme.orange, theme.purple, theme.text), 2):
            assert distance(one, other, matrix) > 0.13, (one, other)


def test_windows_span_everything(server: pooled_httpd.Server) -> None:
    """However many samples: no more windows than asked for and one, none left out, none of no length."""
    stats = server.stats()
    for count in (0, 1, 2, 3, 10, 150, 151, 152, 301, 2000):
        samples = tuple(Sample(float(index), float(index), stats) for index in range(count))
        pairs = windows(samples, 150)
        assert len(pairs) <= 151
        if count < 2:
            assert pairs == []
            continue
        assert (pairs[0][0], pairs[-1][1]) == (samples[0], samples[-1])
        assert all(one[1] is two[0] for one, two in pairwise(pairs))
    late = (Sample(0.0, 0.0, stats), Sample(1.0, 1.0, stats), Sample(2.0, 2.0, stats), Sample(2.001, 2.001, stats))
    assert [later.monotonic for _, later in windows(late, 150)] == [1.0, 2.001]
