"""Draws the picture that the README shows: a server under a crowd, a slowloris and a storm, for light and dark pages.

python -m notebooks.picture    # writes docs/recorder-light.png and docs/recorder-dark.png
"""

from __future__ import annotations

import http.client
import threading
import time
from pathlib import Path
from typing import Any, Literal, get_args

import pooled_httpd
from pooled_httpd.attack import Target
from pooled_httpd.attack.swarms import Kind, Swarm
from pooled_httpd.plotting import RecorderFigure

Theme = Literal["light", "dark"]
ROOT = Path(__file__).resolve().parent.parent
OPTIONS: dict[str, Any] = {"max_connections": 64, "pool_size": 512, "timeout": 0.8, "log_level": "off"}
PATHS = ("/index.html", "/states.html", "/memory.html", "/nothing")


def visit(port: int, seconds: float) -> None:
    """Ask for this and that on one connection, with a pause after each answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    ends_at = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < ends_at:
        connection.request("GET", PATHS[turn % len(PATHS)])
        connection.getresponse().read()
        turn += 1
        time.sleep(0.001)
    connection.close()


def main() -> None:
    """Let it happen, and draw it."""
    with (
        pooled_httpd.Server(ROOT / "www", **OPTIONS) as server,
        server.record_stats(interval=0.02) as recorder,
    ):
        target = Target.of(server)
        recorder.mark("12 visitors")
        visitors = [threading.Thread(target=visit, args=(server.port, 1.5)) for _ in range(12)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
        for kind, clients in ((Kind.SLOWLORIS, 100), (Kind.SLOW_BODY, 40), (Kind.RESET_STORM, 40)):
            recorder.mark(f"{clients} × {kind}")
            Swarm(target, kind, clients=clients, seconds=1.5, every=0.2).run()
    for theme in get_args(Theme):
        figure = recorder.plot(theme=theme)
        assert isinstance(figure, RecorderFigure)
        (ROOT / "docs" / f"recorder-{theme}.png").write_bytes(figure._repr_png_()[0])


if __name__ == "__main__":
    main()
