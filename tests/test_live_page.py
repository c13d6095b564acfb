"""The live page (``www/live``) in Chromium: what it shows is what the statistics say, whatever happens to the server.

Its polls come from a worker, so that not even an unreachable server leaves a line in the console: none is accepted.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pooled_httpd
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import assert_sound
from live import INTERVAL, STATES, Live, busy, seconds
from playwright.sync_api import Browser, BrowserContext, Locator
from pooled_httpd import faults
from pooled_httpd.html import _duration
from support import ROOT, Raw, eventually, exchange, get

WWW = ROOT / "www"


@pytest.fixture
def live() -> Iterator[pooled_httpd.Server]:
    """A server of the site in ``www`` with its statistics at ``/status``."""
    with pooled_httpd.Server(WWW, status_path="/status", log_level="off") as running:
        yield running
        eventually(lambda: running.stats().active_connections == 0)
    assert_sound(running)


@pytest.fixture
def open_page(chromium: Browser, live: pooled_httpd.Server) -> Iterator[Callable[..., Live]]:
    """Return a function that opens the page of ``live``, asking every quarter of a second, in a context of its own."""
    contexts: list[BrowserContext] = []

    def open_it(options: dict[str, Any] | None = None) -> Live:
        contexts.append(chromium.new_context(**(options or {})))
        page = Live(contexts[-1], live.url_for("/live/"))
        page.page.locator("#interval").select_option(str(INTERVAL))
        return page

    yield open_it
    for context in contexts:
        context.close()


def test_the_figures_are_those_of_the_statistics(live: pooled_httpd.Server, open_page: Callable[..., Live]) -> None:
    """Each of them, with the last poll's own answer as the only difference, to the byte."""
    busy(live.port)
    with Raw(live.port) as slow, Raw(live.port) as idle, open_page() as page:
        slow.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n")
        assert idle.send(get("/about.txt")).response().status == 200
        told = page.settle(live)
        stats = live.stats()
        head = exchange(live.port, get("/status")).head

        assert page.number("#total-total_requests") == told["total_requests"] == stats.total_requests - 1
        # The length of a head depends on no more than the digits of its Content-Length.
        own = len(head) + 4 + int(page.last.headers["content-length"])
        assert page.number("#total-bytes_sent") == told["bytes_sent"] == stats.bytes_sent - own
        assert page.number("#total-bytes_received") == told["bytes_received"] == stats.bytes_received
        for name in (
            "total_connections",
            "connections_refused",
            "connections_reclaimed",
            "file_cache_hits",
            "file_cache_misses",
            "log_records_dropped",
        ):
            assert page.number(f"#total-{name}") == getattr(stats, name), name
        checks = page.number("#total-invariant_checks_passed")
        assert checks == told["invariant_checks_passed"] < stats.invariant_checks_passed
        assert (page.number("#heap-calls"), page.number("#violations")) == (0, 0)

        # This page's own connection is being answered in what it shows, and idle in what it is compared with.
        others = {**stats.states, "READING_REQUEST_LINE": stats.states["READING_REQUEST_LINE"] - 1}
        assert page.states() == others
        assert others["READING_HEADERS"] == 1
        assert page.number("#connections-open") == stats.active_connections - 1
        assert page.number("#pools-in-use") == 1
        assert (page.number("#connections-most"), page.number("#pools-total")) == (128, 128)
        page.page.get_by_label("Count this page’s own polls").check()
        assert page.states() == {**others, "PROCESSING": 1}
        assert page.number("#connections-open") == stats.active_connections
        assert page.number("#pools-in-use") == told["pools"]["in_use"] == 2

        assert page.text("#pool-peak").replace(",", "") == f"{stats.peak_pool_usage} of 4096 bytes"
        average = told["pool_usage_total"] // told["pool_resets"]
        assert page.text("#pool-average") == f"{average} bytes"
        assert page.number("#peak-connections") == stats.peak_connections
        assert page.number("#pool-overflows") == 0

        responses = {**stats.responses, 200: stats.responses[200] - 1}
        assert page.bars("responses") == {str(status): times for status, times in responses.items()}
        assert page.bars("rejects") == stats.rejects
        cells = page.page.locator("#latency-all td").all_inner_texts()
        assert int(cells[3].replace(",", "")) == sum(bucket[2] for bucket in told["latency"])
        for cell, percent in zip(cells, (50, 90, 99), strict=False):
            told_by_python = pooled_httpd.latency_percentile(told["latency"], percent)
            assert seconds(cell) == pytest.approx(told_by_python, rel=0.005), "three digits are shown"


def test_its_percentiles_are_those_of_python(open_page: Callable[..., Live]) -> None:
    """Of any histogram; and three digits of them are written, however short they are."""
    histograms: list[list[tuple[float, float, int]]] = [
        [],
        [(3e-6, 4e-6, 25)],
        [(0.001, 0.002, 50), (0.002, 0.004, 40), (0.1, 0.2, 10)],
        [(0.0, 1e-6, 1), (0.000896, 0.001024, 999), (1.0, 1.25, 1)],
    ]
    percents = [0, 1, 50, 72, 90, 99, 99.9, 100]
    with open_page() as page:
        found, written = page.page.evaluate(
            "async ([histograms, percents]) => { const { percentile } = await import('/live/statistics.js');"
            " const { latency } = await import('/live/format.js'); const found = histograms.map(histogram =>"
            " percents.map(percent => percentile(histogram, percent / 100)));"
            " return [found, found.map(some => some.map(latency))]; }",
            [histograms, percents],
        )
    for histogram, values, texts in zip(histograms, found, written, strict=True):
        expected = [pooled_httpd.latency_percentile(histogram, percent) for percent in percents]
        assert values == ([pytest.approx(value) for value in expected] if histogram else expected)
        assert [seconds(text) for text in texts if histogram] == [
            pytest.approx(value, rel=0.005) for value in values if histogram
        ]
    assert written[1][3] == "3.72 µs"
    assert written[0] == ["–"] * len(percents)


def test_it_writes_durations_as_notebooks_do(open_page: Callable[..., Live]) -> None:
    """From a second on, where there is no more than one way to say it."""
    lengths = [1, 1.29, 9.99, 10, 59.96, 60, 3_599.9, 3_600, 172_799, 172_800, 356_400, 100_000_000]
    with open_page() as page:
        written = page.page.evaluate(
            "async lengths => { const { lasting } = await import('/live/format.js');"
            " return lengths.map(seconds => lasting(seconds * 1000)); }",
            lengths,
        )
    assert written == [_duration(seconds) for seconds in lengths]


def test_the_rates_are_what_happened_between_two_answers(
    live: pooled_httpd.Server, open_page: Callable[..., Live]
) -> None:
    """By the server's own clock; without the page's polls, or with them."""
    with open_page() as page:
        eventually(lambda: page.text("#request-rate") == "0" and page.text("#sent-rate") == "0 B", "nothing happens")
        assert page.text("#received-now") == "0 B/s"
        page.page.get_by_label("Count this page’s own polls").check()
        eventually(lambda: 1 < float(page.text("#request-rate")) <= 1000 / INTERVAL + 0.5, "its own polls are counted")
        page.page.get_by_label("Count this page’s own polls").uncheck()
        before = page.settle(live)
        for _ in range(30):
            exchange(live.port, get("/downloads/one-mebibyte.txt"))
        page.page.locator("#interval").select_option("5000")
        page.resume()
        eventually(lambda: page.number("#total-total_requests") > before["total_requests"])
        after = page.settle(live)
        passed = after["uptime"] - before["uptime"]
        assert after["total_requests"] - before["total_requests"] == 31
        assert float(page.text("#request-rate")) == pytest.approx(30 / passed, abs=0.5)
        value, unit = page.text("#sent-rate").split(" ")
        sent = float(value) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
        assert sent == pytest.approx(30 * (1 << 20) / passed, rel=0.01)


def test_a_slow_connection_is_seen_in_each_of_its_states(
    live: pooled_httpd.Server, open_page: Callable[..., Live]
) -> None:
    """By the figures and in the table, from its first byte to after its end."""
    with open_page() as page, Raw(live.port) as slow:
        port = slow.socket.getsockname()[1]

        def row() -> list[str]:
            return next((row for row in page.rows() if row[1] == f"127.0.0.1:{port}"), [""] * 9)

        slow.send(b"PO")
        eventually(lambda: row()[2::5] == ["READING_REQUEST_LINE", "PO"])
        slow.send(b"ST /slow?key=secret HT")
        eventually(lambda: row()[2::5] == ["READING_REQUEST_LINE", "POST /slow?..."])
        slow.send(b"TP/1.1\r\nHost: a\r\n")
        eventually(lambda: page.states()["READING_HEADERS"] == 1)
        assert page.number("#pools-in-use") == 1
        assert row()[2::5] == ["READING_HEADERS", "POST /slow?..."]
        assert row()[8] == "–"
        slow.send(b"Content-Length: 3\r\n\r\na")
        eventually(lambda: page.states()["READING_CONTENT"] == 1)
        slow.send(b"bc").response()
        eventually(lambda: row()[2] == "READING_REQUEST_LINE" and row()[8] == "405")
        assert page.number("#pools-in-use") == 0
        slow.socket.close()
        eventually(lambda: row()[2] == "CLOSED")
        assert row()[4] == "1"
        assert row()[7] == "POST /slow?..."
        with Raw(live.port) as hostile:
            port = hostile.socket.getsockname()[1]
            assert hostile.send(b"GET /<img/src=x> HTTP/1.1\r\n\r\n").response().status == 400
            eventually(lambda: row()[7:] == ["GET /<img/src=x> HTTP/1.1", "400"])
        assert page.page.locator("#last img").count() == 0
        assert "secret" not in page.page.content()


def test_its_own_connection_is_marked_and_can_be_hidden(
    live: pooled_httpd.Server, open_page: Callable[..., Live]
) -> None:
    """The one that asks, and no other."""
    with open_page() as page:
        page.settle(live)
        own = [row for row in page.rows() if row[7] == "GET /status (this page)"]
        assert len(own) == page.page.locator("#last tr.own").count() == 1
        assert page.rows()[0] == own[0]
        page.page.get_by_label("Show this page’s own").uncheck()
        assert own[0] not in page.rows()
        assert page.page.locator("#last tr.own").count() == 0


@pytest.fixture
def reserved_port() -> Iterator[int]:
    """A port that nobody else is given while no server has it: bound, but not listened on."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_it_survives_the_restart_of_the_server(chromium: Browser, reserved_port: int) -> None:
    """It says that the server is away, comes back by itself, and begins anew, without a line in the console."""
    context = chromium.new_context()
    port = reserved_port
    with pooled_httpd.Server(WWW, port=port, status_path="/status", log_level="off") as first:
        busy(port)
        page = Live(context, first.url_for("/live/"))
        page.page.locator("#interval").select_option(str(INTERVAL))
        page.phase("live")
        eventually(lambda: page.number("#total-total_requests") > 10)
    assert_sound(first)
    page.phase("away")
    assert page.text("#phase") == "The server is away"
    assert "Nothing answers at its address." in page.text("#away-reason")
    assert page.number("#total-total_requests") > 10, "what was told before is still shown"
    assert page.page.get_by_role("button", name="Try now").is_visible()
    with pooled_httpd.Server(WWW, port=port, status_path="/status", log_level="off") as second:
        # Seen, and pressed however soon the page finds the server by itself.
        page.page.locator("#again").dispatch_event("click")
        page.phase("live")
        assert page.text("#phase").endswith(", begun anew once")
        eventually(lambda: page.number("#total-total_requests") > 0)
        told = page.settle(second)
        assert page.number("#total-total_requests") == told["total_requests"] == second.stats().total_requests - 1
        numbers = [int(row[0].replace(",", "")) for row in page.rows()]
        assert set(numbers) == {connection["number"] for connection in told["connections"]}
        page.resume()
        eventually(lambda: page.text("#request-rate") == "0")

        # Nothing was asked in between, so that only the figures can tell.
        page.settle(second)
        second.stop()
        with pooled_httpd.Server(WWW, port=port, status_path="/status", log_level="off") as third:
            page.resume()
            eventually(lambda: page.text("#phase").endswith(", begun anew 2 times"))
            told = page.settle(third)
            assert told["total_requests"] == third.stats().total_requests - 1
            charts = page.page.evaluate(
                "[...document.querySelectorAll('path')].map(path => path.getAttribute('d')).join()"
            )
            assert "NaN" not in charts
            assert "Infinity" not in charts
            assert "-" not in page.text("#request-rate")
            page.close()
            context.close()
            eventually(lambda: third.stats().active_connections == 0)
        assert_sound(third)


def test_without_statistics_it_says_how_to_get_them(chromium: Browser) -> None:
    """It names the option, takes another path, and never asks another host."""
    context = chromium.new_context()
    with pooled_httpd.Server(WWW, log_level="off") as server, Live(context, server.url_for("/live/")) as page:
        page.phase("missing")
        assert "httpserver --status-path /status ./www" in page.text("#missing")
        assert not page.page.locator(".tiles").is_visible()
        page.page.close()
    with pooled_httpd.Server(WWW, log_level="off", status_path="/inner/numbers") as server:
        with Live(context, server.url_for("/live/")) as page:
            page.phase("missing")
            page.page.get_by_label("Status path").fill("inner")
            page.page.get_by_role("button", name="Look there").click()
            assert page.text("#path-fault") == "A path begins with a slash, such as /status."
            page.page.get_by_label("Status path").fill("/inner/numbers")
            page.page.keyboard.press("Enter")
            page.phase("live")
            assert page.page.url.endswith("/live/?status=%2Finner%2Fnumbers")
            page.page.reload()
            page.phase("live")
            assert page.page.locator("#source").get_attribute("href") == server.url_for("/inner/numbers")
        with Live(context, server.url_for("/live/?status=//example.org/x")) as page:
            page.phase("missing")
            assert {url.split("/")[2] for url in page.asked} == {f"127.0.0.1:{server.port}"}
    context.close()


def focused(page: Live) -> tuple[str, bool]:
    """What has the focus, by its id or text, and whether that is to be seen."""
    found: list[Any] = page.page.evaluate(
        "(() => { const on = document.activeElement; const style = getComputedStyle(on);"
        " const name = on.id || on.value || on.textContent.trim();"
        " return [name, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]; })()"
    )
    return str(found[0]), bool(found[1])


def test_it_is_used_by_keyboard_alone(live: pooled_httpd.Server, open_page: Callable[..., Live]) -> None:
    """In the order in which it reads, with the focus always to be seen, up to the attack and its outcome."""
    with open_page() as page:
        page.phase("live")
        order: list[str] = []
        while not order or order[-1] != "source":
            page.page.keyboard.press("Tab")
            name, is_visible = focused(page)
            assert is_visible, name
            order.append(name)
            assert len(order) < 60, order
            if name == "pause":
                page.page.keyboard.press("Space")
                assert page.page.locator("#pause").get_attribute("aria-pressed") == "true"
                page.page.keyboard.press("Space")
                assert page.page.locator("#pause").get_attribute("aria-pressed") == "false"
        main = order[order.index("pause") :]
        assert main[:5] == ["pause", "interval", "count-own", "show-own", "last-table"]
        assert main[-5:] == ["all", "none", "count", "go", "source"]
        assert main[5:-5] == page.page.locator("#kinds input").evaluate_all("boxes => boxes.map(box => box.value)")
        for name, key in (("none", "Enter"), ("encoding", "Space"), ("go", "Enter")):
            while focused(page)[0] != name:
                page.page.keyboard.press("Shift+Tab" if name in ("none", "encoding") else "Tab")
            page.page.keyboard.press(key)
        page.page.wait_for_selector("#verdict:not(:empty)")
        assert focused(page)[0] == "go", "the focus stays where it was"
        assert page.page.locator("#answers tr").count() == 1
        assert page.text("#verdict").startswith("10 requests in ")
    assert live.stats().responses[400] == 10


def outcomes(rows: Locator) -> dict[str, dict[str, int]]:
    """How often each kind of the attack got what."""
    found = {}
    for row in rows.all():
        cells = row.locator("td").all_inner_texts()
        pairs = [outcome.split(" × ") for outcome in cells[1].split(", ")]
        found[row.get_attribute("data-kind") or ""] = {outcome: int(times) for outcome, times in pairs}
        assert cells[2] == "yes", cells
        assert int(cells[0]) == sum(found[row.get_attribute("data-kind") or ""].values())
    return found


def test_the_attack_is_bounded_and_its_summary_is_true(
    live: pooled_httpd.Server, open_page: Callable[..., Live]
) -> None:
    """200 requests of ten kinds; each answer as it should be; what the page counted is what the server counted."""
    with open_page() as page:
        before = page.settle(live)
        page.page.locator("#count").select_option("20")
        page.page.get_by_role("button", name="Attack me").click()
        page.page.wait_for_selector("#verdict:not(:empty)", timeout=60_000)
        verdict = page.text("#verdict")
        assert verdict.startswith("200 requests in ")
        assert "Every answer was as it should be." in verdict
        assert "violations 0, heap calls 0. It is still serving." in verdict
        got = outcomes(page.page.locator("#answers tr"))
        assert len(got) == 10
        assert got["encoding"] == got["climbing"] == {"400": 20}
        assert got["hidden"] == {"404": 20}
        assert got["methods"] == {"501": 12, "405": 8}
        assert got["target"] == {"414": 20}
        assert got["fields"] == {"431": 20}
        assert got["ranges"] == {"206": 10, "200": 7, "416": 3}
        assert got["aborts"] == {"broken off": 20}
        stats = live.stats()
        seen: dict[int, int] = {}
        for result in got.values():
            for outcome, times in result.items():
                if outcome.isdigit():
                    seen[int(outcome)] = seen.get(int(outcome), 0) + times
        counted = {status: times - before["responses"].get(str(status), 0) for status, times in stats.responses.items()}
        # A content that is too large may be refused and its connection closed before the browser has read why.
        unread = {405, 413} if "closed without an answer" in got["content"] else set()
        refusals = {status for status in {*counted, *seen} if status >= 300}
        different = {status for status in refusals if counted.get(status) != seen.get(status, 0)}
        assert different <= unread, (counted, seen)
        assert all(counted[status] >= seen.get(status, 0) for status in different)
        assert counted[206] == seen[206]
        # The answers that were broken off are 200, and so are the page's own polls and its looks after the attack.
        looks = counted[200] - seen[200] - 20
        passed = float(re.findall(r" in ([0-9.]+) s\.", verdict)[0])
        assert 1 <= looks <= 25 + 1000 * passed / INTERVAL
        assert stats.total_requests - before["total_requests"] <= 200 + looks + 1


def test_a_full_server_may_say_so(chromium: Browser) -> None:
    """With a 503, which is no wrong answer to anything; and it is still told what came of the attack."""
    context = chromium.new_context()
    with (
        pooled_httpd.Server(WWW, status_path="/status", max_connections=8, log_level="off") as server,
        Live(context, server.url_for("/live/")) as page,
        contextlib.ExitStack() as stack,
    ):
        # The one place that is left is taken by the attack's first request, for longer than the others need to come.
        server.respond("/.git/config", status=404, delay=2, times=1)
        page.phase("live")
        page.page.get_by_role("button", name="None").click()
        page.page.get_by_label("Names that scanners try").check()
        page.page.locator("#count").select_option("20")
        for _ in range(7):
            stack.enter_context(Raw(server.port)).send(b"GET / HTTP/1.1\r\nHo")
        eventually(lambda: server.stats().states["READING_HEADERS"] == 7)
        page.page.get_by_role("button", name="Attack me").click()
        page.page.wait_for_selector("#verdict:not(:empty)", timeout=60_000)
        got = outcomes(page.page.locator("#answers tr"))["hidden"]
        assert got.keys() == {"404", "503"}
        assert sum(got.values()) == 20
        assert "20 requests in " in page.text("#verdict")
        assert "Every answer was as it should be." in page.text("#verdict")
        assert page.page.locator("#verdict.good").count() == 1
    context.close()
    assert_sound(server)


def test_the_attack_can_be_stopped_and_wants_a_kind(live: pooled_httpd.Server, open_page: Callable[..., Live]) -> None:
    """What was sent until then is told; nothing goes on."""
    with open_page() as page:
        page.phase("live")
        page.page.get_by_role("button", name="None").click()
        page.page.get_by_role("button", name="Attack me").click()
        assert page.text("#verdict") == "Choose at least one kind."
        page.page.get_by_role("button", name="All").click()
        page.page.locator("#count").select_option("20")
        # Whoever of the four asks for it waits until it is stopped, so that the attack is not over before.
        live.respond("/.env", fault=faults.Stall("start"))
        page.page.get_by_role("button", name="Attack me").click()
        page.page.get_by_role("button", name="Stop").click()
        page.page.wait_for_selector("#verdict:not(:empty)")
        sent = int(page.text("#verdict").split(" ")[0])
        assert sent < 200
        assert page.page.get_by_role("button", name="Stop").is_disabled()
        page.settle(live)
        total = live.stats().total_requests
        page.page.wait_for_timeout(100)
        assert live.stats().total_requests == total


def findings(page: Live) -> list[tuple[str, list[str]]]:
    """What axe finds, of whatever severity, and where."""
    found = Axe().run(page.page).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_everybody(
    live: pooled_httpd.Server, open_page: Callable[..., Live], scheme: Literal["light", "dark"], width: int
) -> None:
    """By axe, in both schemes and widths, with everything on it; nothing is too wide, or too small to be hit."""
    busy(live.port)
    # The check itself is a script that the page's policy would not let run.
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "bypass_csp": True}
    with Raw(live.port) as slow, open_page(options) as page:
        slow.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n")
        page.phase("live")
        page.page.locator("#count").select_option("5")
        page.page.get_by_role("button", name="Attack me").click()
        page.page.wait_for_selector("#verdict:not(:empty)", timeout=60_000)
        eventually(lambda: page.states()["READING_HEADERS"] == 1)
        page.settle(live)
        assert findings(page) == []
        assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        heights = page.page.evaluate(
            "[...document.querySelectorAll('button, select')].map(e => e.offsetHeight).filter(height => height > 0)"
        )
        assert min(heights) >= 24
        background = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
        is_dark = sum(map(int, re.findall(r"\d+", background)[:3])) < 3 * 128
        assert is_dark == (scheme == "dark"), background
        drawn = page.page.evaluate(
            "[...document.querySelectorAll('#states-chart path')].map(path => getComputedStyle(path).fill)"
        )
        assert len(set(drawn)) == len(STATES), "each state has a colour of its own"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_stands_in_its_place_can_be_read_too(chromium: Browser, scheme: Literal["light", "dark"]) -> None:
    """Without statistics, and without a server; on a telephone."""
    context = chromium.new_context(viewport={"width": 400, "height": 800}, color_scheme=scheme, bypass_csp=True)
    with pooled_httpd.Server(WWW, log_level="off") as server:
        page = Live(context, server.url_for("/live/"))
        page.phase("missing")
        page.page.get_by_label("Status path").fill("x")
        page.page.keyboard.press("Enter")
        assert findings(page) == []
        assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with pooled_httpd.Server(WWW, log_level="off", status_path="/status") as server:
        page.close()
        page = Live(context, server.url_for("/live/"))
        page.phase("live")
    page.phase("away")
    assert findings(page) == []
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
    context.close()


def test_nothing_moves_for_whoever_wants_it_still(open_page: Callable[..., Live]) -> None:
    """By ``prefers-reduced-motion``."""
    for motion, still in (("reduce", True), ("no-preference", False)):
        with open_page({"reduced_motion": motion}) as page:
            page.phase("live")
            durations = page.page.evaluate(
                "[...document.querySelectorAll('*')].map(e => getComputedStyle(e))"
                ".flatMap(s => [s.transitionDuration, s.animationDuration]).filter(d => /[1-9]/.test(d))"
            )
            assert (durations == []) is still


def test_every_page_leads_to_it(chromium: Browser, live: pooled_httpd.Server) -> None:
    """By a link in the navigation that works."""
    context = chromium.new_context()
    page = context.new_page()
    for path in ("/", "/states.html", "/attacks.html", "/memory.html", "/docs/"):
        page.goto(live.url_for(path))
        page.get_by_role("navigation").get_by_role("link", name="Live").click()
        page.wait_for_url(live.url_for("/live/"))
    assert page.locator("nav [aria-current=page]").inner_text() == "Live"
    context.close()
