"""What tests know of representations: validators once they hold, and the parts of multipart content, read strictly."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import pooled_httpd
from support import PATIENCE, Raw, Response, get

#: What of 1*70<bchars> (RFC 2046 section 5.1.1) needs no quotes as a parameter.
BOUNDARY = r"[0-9A-Za-z'+_.-]{1,70}"


def settle(server: pooled_httpd.Server, path: str, *fields: str) -> Response:
    """Ask for ``path`` until its ETag holds, and return the answer.

    The tag of a file that changed less than a tick of its file system's clock ago is good for one answer only. No
    program can set that time back, so this waits: two answers with the same tag have the tag of a settled file.
    """
    deadline = time.monotonic() + PATIENCE
    request = get(path, *fields)
    with Raw(server.port) as raw:
        before = raw.send(request).response()
        while True:
            after = raw.send(request).response()
            if after.fields["etag"] == before.fields["etag"]:
                return after
            assert time.monotonic() < deadline, f"the ETag of {path} never holds: {after.fields['etag']}"
            before = after


@dataclass(frozen=True)
class Part:
    """One part of a multipart/byteranges content, with its own Content-Type and Content-Range."""

    media_type: str
    first: int
    last: int
    size: int
    content: bytes


def content_range(value: str) -> tuple[int, int, int]:
    """Read ``bytes first-last/size`` (RFC 9110 section 14.4)."""
    found = re.fullmatch(r"bytes (0|[1-9]\d*)-(0|[1-9]\d*)/([1-9]\d*)", value)
    assert found, f"not a Content-Range: {value!r}"
    first, last, size = map(int, found.groups())
    assert first <= last < size, value
    return first, last, size


def parts_of(response: Response, preamble: bytes = b"") -> list[Part]:
    """Take apart a multipart/byteranges content byte for byte (RFC 9110 section 14.6, RFC 2046 section 5.1.1).

    Before the first delimiter stands ``preamble`` and nothing else, behind the last one CRLF and nothing else. Each
    part has Content-Type and Content-Range and no other field, and is as long as it says. The whole has no
    Content-Range of its own (section 15.3.7.2).
    """
    found = re.fullmatch(f"multipart/byteranges; boundary=({BOUNDARY})", response.fields["content-type"])
    assert found, response.fields["content-type"]
    assert "content-range" not in response.fields
    assert int(response.fields["content-length"]) == len(response.content)
    delimiter, rest = b"--" + found[1].encode(), response.content
    assert rest.startswith(preamble + delimiter), rest[:100]
    rest = rest[len(preamble + delimiter) :]
    parts: list[Part] = []
    while not rest.startswith(b"--"):
        head, _, rest = rest.partition(b"\r\n\r\n")
        before, *lines = head.decode("ascii").split("\r\n")
        assert before == "", f"behind a delimiter stands {before!r}"
        fields = dict(line.split(": ", 1) for line in lines)
        assert len(fields) == len(lines)
        assert {name.lower() for name in fields} == {"content-type", "content-range"}, fields
        first, last, size = content_range(fields["Content-Range"])
        content, rest = rest[: last - first + 1], rest[last - first + 1 :]
        assert rest.startswith(b"\r\n" + delimiter), f"part {len(parts)} is longer or shorter than it says"
        assert delimiter not in content
        rest = rest[len(b"\r\n" + delimiter) :]
        parts.append(Part(fields["Content-Type"], first, last, size, content))
    assert rest == b"--\r\n", f"behind the last part stands {rest!r}"
    assert parts
    return parts
