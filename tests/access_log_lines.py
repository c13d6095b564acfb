"""Lines of the access log, for its tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from support import Raw, get

KEYS = [
    *("time", "client", "port", "connection", "request", "line", "status", "bytes", "referer", "agent", "duration"),
]


def objects(lines: list[str]) -> list[dict[str, Any]]:
    """Read the lines of the JSON form, which must have exactly its keys and be of ASCII."""
    read = [json.loads(line) for line in lines]
    assert all(list(entry) == KEYS for entry in read)
    assert all(re.fullmatch(r"[ -~]+", line) for line in lines)
    return read


def file_objects(*paths: Path) -> list[dict[str, Any]]:
    """Read files of the JSON form, each of which must end with the end of a line."""
    texts = [path.read_text("ascii") for path in paths]
    assert all(text == "" or text.endswith("\n") for text in texts)
    return objects([line for text in texts for line in text.splitlines()])


def ask(port: int) -> None:
    """Get answers of several kinds on one connection."""
    with Raw(port) as raw:
        fields = ("Referer: http://a/?b", 'User-Agent: tester/1 ("x")')
        assert raw.send(get("/a.txt", *fields)).response().status == 200
        assert raw.send(get("/a.txt", method="HEAD")).response("HEAD").status == 200
        assert raw.send(get("/no-such")).response().status == 404
        assert raw.send(b"GET /a.txt HTTP/1.1\r\n\r\n").response().status == 400
        assert raw.closed()
