"""Draws what ``how-it-works.md`` shows, for light pages and dark ones: ``make drawings``.

The states and their changes are read from the server's own table; a change that nobody has described here is an error.
``tests/test_docs.py`` fails where a file differs from what is drawn here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from pooled_httpd import _native

HERE = Path(__file__).resolve().parent
PAGE = HERE / "how-it-works.md"
#: Where the page has the table of changes.
BEGIN, END = "<!-- changes: make drawings -->\n", "<!-- /changes -->\n"

#: When a connection goes from one state to another.
WHEN = {
    ("FREE", "READING_REQUEST_LINE"): "A connection is accepted into the slot.",
    ("READING_REQUEST_LINE", "READING_HEADERS"): "The request line is whole and well formed.",
    ("READING_REQUEST_LINE", "PROCESSING"): "The request line is refused, or took too long.",
    ("READING_REQUEST_LINE", "CLOSING"): "The peer is gone, was idle too long, or the server stops.",
    ("READING_HEADERS", "READING_CONTENT"): "The head is whole and says that content follows.",
    ("READING_HEADERS", "PROCESSING"): "The head is whole and nothing follows; or it is refused, or took too long.",
    ("READING_HEADERS", "CLOSING"): "The peer is gone, or the server stops.",
    ("READING_CONTENT", "PROCESSING"): "The content has been taken in; or it is refused, or took too long.",
    ("READING_CONTENT", "CLOSING"): "The peer is gone, or the server stops.",
    ("PROCESSING", "SENDING_RESPONSE"): "The head of the response is made, and the file, if any, is at hand.",
    (
        "PROCESSING",
        "CLOSING",
    ): "The peer is gone before its answer is made, or the server stops while a test lets it wait.",
    ("SENDING_RESPONSE", "READING_REQUEST_LINE"): "All is sent and the connection persists.",
    (
        "SENDING_RESPONSE",
        "CLOSING",
    ): "All is sent and it was the last; the peer is gone or takes no more; a test breaks it.",
    ("CLOSING", "FREE"): "The peer has closed too, or a second is over, or there is nothing to wait for.",
}
#: What stands beside an arrow down to the next state.
ARROWS = {
    "READING_REQUEST_LINE": "accepted",
    "READING_HEADERS": "request line is whole",
    "READING_CONTENT": "content follows",
    "PROCESSING": "content is taken in",
    "SENDING_RESPONSE": "answer is made",
    "CLOSING": "all is sent, and it was the last",
}
#: What stands beside the line that leads to a state from further above; from below.
LINES_DOWN = {"PROCESSING": "no content follows, or refused", "CLOSING": "peer gone, too slow, or server stops"}
LINES_UP = {"READING_REQUEST_LINE": "all is sent: the next request", "FREE": "slot is free again"}


@dataclass(frozen=True)
class Palette:
    """The colours of one kind of page."""

    page: str
    text: str
    quiet: str
    line: str
    fills: tuple[str, str, str, str]
    strokes: tuple[str, str, str, str]


#: Grey for rest, blue for reading, green for answering, orange for what is used up.
PALETTES = {
    "light": Palette(
        "#ffffff",
        "#1f2328",
        "#59636e",
        "#6e7781",
        ("#f6f8fa", "#ddf4ff", "#dafbe1", "#ffe2c8"),
        ("#818b98", "#0969da", "#1a7f37", "#bc4c00"),
    ),
    "dark": Palette(
        "#0d1117",
        "#e6edf3",
        "#9198a1",
        "#8b949e",
        ("#212830", "#0f2a4a", "#11301a", "#46240c"),
        ("#768390", "#4493f8", "#3fb950", "#f0883e"),
    ),
}
REST, READING, ANSWERING, USED = range(4)
KINDS = {"FREE": REST, "CLOSING": REST, "PROCESSING": ANSWERING, "SENDING_RESPONSE": ANSWERING}


@dataclass
class Drawing:
    """Shapes and texts, coloured when they are written."""

    title: str
    width: int
    height: int
    shapes: list[str] = field(default_factory=list)

    def box(
        self, x: float, y: float, width: float, height: float, kind: int, text: str = "", style: str = "name"
    ) -> None:
        """Draw a box of a kind with a text in its middle, of several lines where it has them."""
        self.shapes.append(f'<rect class="k{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5"/>')
        lines = text.split("\n") if text else []
        for number, line in enumerate(lines):
            below = (number - (len(lines) - 1) / 2) * 17
            self.text(x + width / 2, y + height / 2 + 4.5 + below, line, f"{style} middle")

    def text(self, x: float, y: float, text: str, style: str = "", turn: bool = False) -> None:
        """Write a text, from below to above where it is turned."""
        turned = f' transform="rotate(-90 {x:g} {y:g})"' if turn else ""
        self.shapes.append(f'<text class="{style}" x="{x:g}" y="{y:g}"{turned}>{escape(text)}</text>')

    def line(self, path: str, *, arrow: bool = True, dashed: bool = False) -> None:
        """Draw a line along an SVG path."""
        style = "line dashed" if dashed else "line"
        tip = ' marker-end="url(#tip)"' if arrow else ""
        self.shapes.append(f'<path class="{style}" d="{path}"{tip}/>')

    def svg(self, palette: Palette) -> str:
        """Return the file for pages of one kind."""
        kinds = "".join(
            f".k{kind}{{fill:{fill};stroke:{stroke}}}"
            for kind, (fill, stroke) in enumerate(zip(palette.fills, palette.strokes, strict=True))
        )
        style = (
            f"text{{fill:{palette.text};font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}}"
            ".name{font:600 13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
            f".strong{{font-weight:600}}.quiet{{fill:{palette.quiet};paint-order:stroke;stroke:{palette.page};stroke-width:4px}}.middle{{text-anchor:middle}}.end{{text-anchor:end}}"
            f".line{{fill:none;stroke:{palette.line};stroke-width:1.5}}.dashed{{stroke-dasharray:5 4}}"
            f".tip{{fill:{palette.line}}}{kinds}"
        )
        marker = (
            '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
            'markerUnits="userSpaceOnUse"><path class="tip" d="M0 0 8 4 0 8z"/></marker>'
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(self.title)}">'
        )
        return "\n".join([head, f"<style>{style}</style>", f"<defs>{marker}</defs>", *self.shapes, "</svg>", ""])


def draw_states(changes: list[tuple[str, str]]) -> Drawing:
    """Draw the states in a column, with lines at its right for leaps down and at its left for ways back."""
    states = list(dict.fromkeys(source for source, _ in changes))
    place = {state: number for number, state in enumerate(states)}
    left, width, high, pitch, top = 190, 250, 42, 84, 14
    drawing = Drawing(
        "The states of a connection and their legal changes", 660, top * 2 + high + pitch * (len(states) - 1)
    )

    def lanes(targets: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
        reach = {to: max(abs(place[to] - place[source]) for source in sources) for to, sources in targets.items()}
        return sorted(targets.items(), key=lambda item: reach[item[0]])

    down: dict[str, list[str]] = {}
    up: dict[str, list[str]] = {}
    for source, to in changes:
        if place[to] == place[source] + 1:
            start = top + pitch * place[source] + high
            drawing.line(f"M{left + width / 2:g} {start}V{start + pitch - high - 1}")
            drawing.text(left + width / 2 + 12, start + 26, ARROWS[to], "quiet")
        else:
            (down if place[to] > place[source] else up).setdefault(to, []).append(source)
    for side, targets, words in ((1, down, LINES_DOWN), (-1, up, LINES_UP)):
        edge = left + width if side > 0 else left
        ordered = lanes(targets)
        for number, (to, sources) in enumerate(ordered):
            lane = edge + side * (62 + 62 * number)
            # Whoever goes further leaves higher up, and arrives lower down, so that few lines cross.
            leaves, arrives = 26 - 12 * number, high - 8 - 6 * (len(ordered) - 1 - number)
            dashed = to == "CLOSING"
            end = top + pitch * place[to] + (arrives if side > 0 else high / 2)
            begins = [top + pitch * place[source] + (leaves if side > 0 else high / 2) for source in sources]
            for begin in begins:
                drawing.line(f"M{edge} {begin:g}H{lane}", arrow=False, dashed=dashed)
            far = max(begins, key=lambda begin: abs(begin - end))
            drawing.line(f"M{lane} {far:g}V{end:g}H{edge + side}", dashed=dashed)
            centre = (place[to] + sum(place[source] for source in sources) / len(sources)) / 2
            drawing.text(
                lane + (16 if side > 0 else -8), top + high / 2 + pitch * centre, words[to], "quiet middle", True
            )
    for state, number in place.items():
        drawing.box(left, top + pitch * number, width, high, KINDS.get(state, READING), state)
    return drawing


def draw_turn() -> Drawing:
    """Draw one turn of the event loop."""
    drawing = Drawing("One turn of the event loop: first everything is received, then everything is answered", 800, 236)
    steps = [
        (16, 108, REST, "wait\nfor events"),
        (158, 140, READING, "receive and parse,\neach that is ready"),
        (332, 84, READING, "accept\nnewcomers"),
        (450, 98, USED, "learn which\nfiles changed"),
        (582, 112, ANSWERING, "answer,\neach that asks"),
    ]
    for x, width, kind, text in steps:
        drawing.box(x, 66, width, 56, kind, text, "")
    for x, width in ((124, 158), (298, 332), (416, 450), (548, 582)):
        drawing.line(f"M{x} 94H{width - 1}")
    drawing.line("M694 94H740V180H70V123")
    drawing.text(405, 172, "deadlines that have passed, invariants, statistics", "quiet middle")
    drawing.line("M158 52V44H416V52", arrow=False)
    drawing.text(287, 32, "first half", "strong middle")
    drawing.line("M582 52V44H694V52", arrow=False)
    drawing.text(638, 32, "second half", "strong middle")
    drawing.text(16, 206, "it sleeps here, and nowhere else", "quiet")
    return drawing


def draw_buffer() -> Drawing:
    """Draw the receive buffer while a second request comes in."""
    drawing = Drawing("The receive buffer and its three cursors", 800, 164)
    spans = [
        (20, 250, REST, "first request: over"),
        (270, 190, READING, "seen: GET /b HTTP/1.1"),
        (460, 120, USED, "new: Host: loc"),
        (580, 200, REST, "free"),
    ]
    for x, width, kind, text in spans:
        drawing.box(x, 30, width, 44, kind, text, "")
    for x, name in ((270, "consumed"), (460, "scanned"), (580, "filled"), (780, "capacity")):
        drawing.line(f"M{x} 104V77")
        drawing.text(x, 122, name, "name end" if x == 780 else "name middle")
    drawing.text(270, 144, "this request begins", "quiet middle")
    drawing.text(460, 144, "parse from here", "quiet middle")
    drawing.text(580, 144, "receive to here", "quiet middle")
    return drawing


def draw_memory() -> Drawing:
    """Draw slots, and what those that have a request in progress borrow."""
    drawing = Drawing("Slots, and the leases that requests in progress borrow", 800, 250)
    drawing.text(20, 26, "Slots, one for each connection: some hundred bytes each", "strong")
    busy, idle = {0, 1, 3, 8}, {2, 4, 5, 6, 7, 9, 11}
    for slot in range(28):
        kind = USED if slot in busy else READING if slot in idle else REST
        drawing.box(20 + 27 * slot, 38, 21, 21, kind)
    for x, kind, text in ((20, USED, "a request in progress"), (220, READING, "open and idle"), (372, REST, "free")):
        drawing.box(x, 74, 14, 14, kind)
        drawing.text(x + 22, 86, text, "quiet")
    drawing.text(20, 128, "Leases, as many as slots: only requests in progress hold one", "strong")
    for y, kind in ((142, USED), (192, REST)):
        for x, width, text in ((20, 290, "receive buffer"), (316, 290, "send buffer"), (612, 130, "pool")):
            drawing.box(x, y, width, 38, kind, text, "")
    drawing.text(752, 166, "lent", "quiet")
    drawing.text(752, 216, "next", "quiet")
    return drawing


def table_of_changes(changes: list[tuple[str, str]]) -> str:
    """Return the table as Markdown."""
    rows = [f"| `{source}` | `{to}` | {WHEN[source, to]} |" for source, to in changes]
    return "\n".join(["| from | to | when |", "|---|---|---|", *rows, ""])


def files() -> dict[Path, str]:
    """Return every file that is made here, and what must be in it."""
    changes = _native._legal_changes()
    if set(changes) != set(WHEN):
        wrong = ", ".join(f"{source} to {to}" for source, to in sorted(set(changes) ^ set(WHEN)))
        raise SystemExit(f"docs/drawings.py: WHEN and the server's table of states differ in: {wrong}")
    drawings = {"states": draw_states(changes), "turn": draw_turn(), "buffer": draw_buffer(), "memory": draw_memory()}
    made = {
        HERE / f"{name}-{shade}.svg": drawing.svg(palette)
        for name, drawing in drawings.items()
        for shade, palette in PALETTES.items()
    }
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"docs/how-it-works.md has no place for the table of changes: {BEGIN}{END}")
    made[PAGE] = before + begin + table_of_changes(changes) + end + after
    return made


def main() -> int:
    """Write them all; or, with ``--check``, only tell which are not as they would be written."""
    stale = [(path, content) for path, content in files().items() if not path.exists() or path.read_text() != content]
    if sys.argv[1:] == ["--check"]:
        for path, _ in stale:
            print(f"{path.relative_to(HERE.parent)} is not what docs/drawings.py draws: make drawings", file=sys.stderr)
        return 1 if stale else 0
    for path, content in stale:
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
