"""What a notebook shows of servers, statistics and recorders: complete, escaped, and with nothing from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Protocol

import pooled_httpd
import pytest
from playwright.sync_api import sync_playwright
from pooled_httpd.html import _duration, server_html
from support import Raw, Site, eventually, exchange, get, need

#: HTML elements without an end.
VOID = {"br", "hr", "img", "input", "link", "meta"}


class Shown(Protocol):
    """What shows itself in a notebook."""

    def _repr_html_(self) -> str: ...


class Page(HTMLParser):
    """Reads HTML, sees that it is well formed and harmless, and keeps its text and its rows."""

    def __init__(self, html: str) -> None:
        """Read all of it."""
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element in."""
        assert tag not in {"script", "style", "link", "img", "iframe", "object"}, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in {"src", "srcset", "xlink:href"}, name
            assert "url(" not in (value or "")
            assert "javascript:" not in (value or "")
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"} and self.rows:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Elements of SVG end themselves."""
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """See that it is the one that is open."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def facts(self) -> dict[str, str]:
        """Rows of two cells."""
        return {row[0]: row[1] for row in self.rows if len(row) == 2}


def read(shown: Shown) -> Page:
    """What a notebook would show."""
    return Page(shown._repr_html_())


def busy(server: pooled_httpd.Server) -> pooled_httpd.StatsRecorder:
    """Let various things happen, recorded."""
    with server.record_stats(interval=0.005) as recorder:
        for path in ("/a.txt", "/nothing", "/large"):
            exchange(server.port, get(path))
        with Raw(server.port) as raw:
            raw.send(b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n").response()
        eventually(lambda: recorder.samples[-1].stats.active_connections == 0 and len(recorder) > 5)
    return recorder


def test_statistics_show_every_field(server: pooled_httpd.Server) -> None:
    """Each by its name, with its number."""
    busy(server)
    stats = server.stats()
    facts = read(stats).facts
    for name, value in stats.as_dict().items():
        if name in {"latency", "uptime"}:
            assert any(row.startswith(name) for row in facts)
        elif isinstance(value, dict):
            assert {row: shown for row, shown in facts.items() if row.startswith(f"{name}: ")} == {
                f"{name}: {key}": f"{count:,}" for key, count in value.items()
            }
        else:
            assert facts[name] in {f"{value:,}", f"{value:,} B"}, name
    empty = read(stats - stats).facts
    assert (empty["responses"], empty["latency, 50 %"]) == ("none", "–")


def test_a_fault_is_loud(site: Site) -> None:
    """What should be 0 stands out where it is not, and only there."""
    with pooled_httpd.Server(site.root, max_connections=1, log_level="off") as server:
        assert "<strong" not in server.stats()._repr_html_()
        with Raw(server.port) as raw:
            raw.send(b"GET / HT")
            eventually(lambda: server.stats().active_connections == 1)
            assert exchange(server.port, get("/a.txt")).status == 503
            assert re.findall(r"<strong[^>]*>(.*?)</strong>", server.stats()._repr_html_()) == ["1"]


def test_a_server_shows_its_life(site: Site) -> None:
    """Before its start, running, stopped and destroyed; and how much of its limits is used."""
    server = pooled_httpd.Server(site.root, max_connections=5, pool_size=2048)
    assert read(server).facts["state"] == "● not started"
    with server:
        with Raw(server.port) as raw:
            raw.send(get("/a.txt")).response()
            facts = read(server).facts
        assert facts["address"] == server.url
        assert facts["state"].startswith("● running, ")
        assert facts["connections"].strip() == "1 now, 1 at most, of 5"
        used = server.stats().peak_pool_usage
        assert facts["pool of a request"].strip() == f"{used} B on average, {used} B at most, of 2,048 B"
        assert facts["answers"] == "1 (2xx: 1)"
        assert facts["invariants"].endswith("checks held, none was violated")
        server.respond("/odd", status=600)
        exchange(server.port, get("/odd"))
        assert read(server).facts["answers"] == "2 (2xx: 1, other: 1)"
        assert facts["memory"].startswith(f"{server.memory['total'] / 2**20:,.1f} MiB")
    assert read(server).facts["state"].startswith("● stopped, ")
    server.destroy()
    assert read(server).facts["state"] == "the server has been destroyed"
    assert server_html(server.asynchronous()) == server._repr_html_()
    never_started = pooled_httpd.Server(site.root)
    never_started.stop()
    assert repr(never_started).endswith(" stopped>")
    assert read(never_started).facts["state"] == "● stopped"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0000024, "2 µs"),
        (0.0123, "12.3 ms"),
        (1.29, "1.2 s"),
        (59.96, "59 s"),
        (60, "1 min 0 s"),
        (3_599.9, "59 min 59 s"),
        (3_600, "1 h 0 min"),
        (172_799, "47 h 59 min"),
        (356_400, "4 d 3 h"),
    ],
)
def test_a_duration_is_told_in_two_units(seconds: float, told: str) -> None:
    """In two units at most, from a second on."""
    assert _duration(seconds) == told


def test_a_recorder_shows_curves(server: pooled_httpd.Server) -> None:
    """One for each thing that matters, each with its words; and it says where there is nothing."""
    recorder = pooled_httpd.StatsRecorder(server)
    assert "no samples yet, not recording" in read(recorder).text
    recorder = busy(server)
    page = read(recorder)
    assert f"{len(recorder)} samples over " in page.text
    assert [row[0] for row in page.rows[1:]] == [
        "connections",
        "answers a second",
        "bytes sent a second",
        "pool of a request",
        "latency",
    ]
    html = recorder._repr_html_()
    assert len(re.findall(r'<svg [^>]*role="img" aria-label="[^"]+: last ', html)) == 5
    assert "4 in all" in html
    assert len(html) < 30_000
    with server.record_stats() as running:
        assert ", recording" in read(running).text


def test_names_are_escaped(tmp_path: Path) -> None:
    """A document root and a socket's path may have any letters."""
    root = tmp_path / "<b onmouseover=alert(1)>&amp;"
    root.mkdir()
    path = tmp_path / "<i>&.sock"
    with pooled_httpd.Server(root, host=f"unix:{path}", log_level="off") as server:
        assert read(server).facts["document root"] == str(root)
        assert server.url in read(server).text
        with server.record_stats() as recorder:
            assert server.url in read(recorder).text


@pytest.mark.parametrize(("page", "text"), [("#ffffff", "#1f2328"), ("#0d1117", "#e6edf3")])
def test_it_reads_on_any_page(server: pooled_httpd.Server, tmp_path: Path, page: str, text: str) -> None:
    """In Chromium, on light and on dark: every text has the page's colour or one that stands off it.

    Without a doctype, where tables do not by themselves take the colour of what they are in.
    """
    recorder = busy(server)
    html = "".join(shown._repr_html_() for shown in (server, server.stats(), recorder))

    def luminance(colour: list[int]) -> float:
        parts = [(part / 255 / 12.92) if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 900, "height": 900})
        requested: list[str] = []
        file = tmp_path / "page.html"
        file.write_text(f"<meta charset='utf-8'><body style='background:{page}'><div style='color:{text}'>{html}</div>")
        tab.goto(file.as_uri())
        tab.on("request", lambda request: requested.append(request.url))
        tab.reload()
        # Colours as they are seen, the opacity of all that they are in taken into account.
        colours = tab.evaluate(
            """() => [...document.querySelectorAll('td,th,div,span,strong')].filter(e => e.innerText.trim()).map(e => {
                let opacity = 1;
                for (let outer = e; outer; outer = outer.parentElement) opacity *= getComputedStyle(outer).opacity;
                return [...getComputedStyle(e).color.match(/\\d+/g).slice(0, 3).map(Number), opacity];
            })"""
        )
        wide = tab.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert len(colours) > 60
    ground = [int(page[index : index + 2], 16) for index in (1, 3, 5)]
    for *colour, opacity in colours:
        seen = [round(opacity * part + (1 - opacity) * below) for part, below in zip(colour, ground, strict=True)]
        low, high = sorted((luminance(seen), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) > 3, (colour, opacity)
    assert wide <= 900
    assert requested == [file.as_uri()]
