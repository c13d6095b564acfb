"""The live page as its tests see it."""

from __future__ import annotations

import json
from typing import Any, Self

import pooled_httpd
import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Response
from support import PATIENCE, exchange, get

#: How often the page asks, in milliseconds, and how much later still its figures may come, in seconds.
INTERVAL = 250
STATES = [
    "READING_REQUEST_LINE",
    "READING_HEADERS",
    "READING_CONTENT",
    "PROCESSING",
    "SENDING_RESPONSE",
    "CLOSING",
]


class Live:
    """The page in a browser, and all that it was told and that it said."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        """Open it. Everything that its console, or nobody, was told is kept."""
        self.page = context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", self._note_line)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("response", self._note_answer)
        self.page.goto(url)

    def _note_line(self, message: ConsoleMessage) -> None:
        place = message.location["url"]
        # The browser asks for the icon when it likes, which may be once the server has been stopped.
        is_its_own = place.endswith("/favicon.ico") and "ERR_CONNECTION_REFUSED" in message.text
        if message.type in ("error", "warning") and not is_its_own:
            self.said.append(f"{message.text} ({place})")

    def _note_answer(self, response: Response) -> None:
        if response.status == 200 and response.headers.get("content-type") == "application/json":
            self.last = response

    def settle(self, server: pooled_httpd.Server) -> dict[str, Any]:
        """Pause it at a moment when its last poll was the last request of all, and return the answer to that."""
        self.phase("live")
        for _ in range(20):
            self.page.get_by_role("button", name="Pause").click()
            # A poll that was under way, or the browser's own look for an icon, comes to its end.
            self.page.wait_for_timeout(60)
            document: dict[str, Any] = json.loads(self.last.body())
            total = document["total_requests"]
            # After an attack the last answer may be a look that is not shown.
            if self.number("#total-total_requests") == total == server.stats().total_requests - 1:
                return document
            self.resume()
            self.page.wait_for_timeout(1.2 * INTERVAL)
        pytest.fail("something else goes on all the time")

    def resume(self) -> None:
        """Let it ask again."""
        self.page.get_by_role("button", name="Pause").click()

    def phase(self, name: str) -> None:
        """Wait until it is in this phase."""
        self.page.wait_for_selector(f"#main[data-phase={name}]", timeout=1000 * PATIENCE)

    def text(self, selector: str) -> str:
        """The text of the one element."""
        return self.page.locator(selector).inner_text()

    def number(self, selector: str) -> int:
        """The whole number that is the text of the one element; -1 where it is none."""
        text = self.text(selector).replace(",", "")
        return int(text) if text.isdigit() else -1

    def states(self) -> dict[str, int]:
        """The connections by state."""
        return {name: self.number(f"#state-{name}") for name in STATES}

    def rows(self) -> list[list[str]]:
        """The table of the last connections."""
        found: list[list[str]] = self.page.evaluate(
            "[...document.querySelectorAll('#last tr')].map(row => [...row.cells].map(cell => cell.textContent))"
        )
        return found

    def bars(self, name: str) -> dict[str, int]:
        """One of the lists with bars."""
        found: list[list[str]] = self.page.evaluate(
            "name => [...document.querySelectorAll(`#${name} li:not(.none)`)]"
            ".map(item => [item.dataset.name, item.querySelector('.times').textContent])",
            name,
        )
        return {name: int(times.replace(",", "")) for name, times in found}

    def close(self) -> None:
        """Close it; nothing may have gone wrong in it."""
        self.page.close()
        assert self.said == [], self.said

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close it, and look at what it said unless there is something worse."""
        if kind is None:
            self.close()
        else:
            self.page.close()


def busy(port: int) -> None:
    """Let various things happen."""
    for request in (
        get("/about.txt"),
        get("/downloads/one-mebibyte.txt"),
        get("/nothing"),
        get("/nothing"),
        get("/", method="DELETE"),
        get("/%zz?secret=1"),
        get("/about.txt", "Range: bytes=1-2"),
    ):
        exchange(port, request)


def seconds(text: str) -> float:
    """A latency as the page writes it, in seconds."""
    value, unit = text.split(" ")
    return float(value) * {"µs": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
