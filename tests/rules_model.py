"""What a table of rules is made of: a rule with its RFC section, its cases, and the sites and options they run on."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

#: When every file of every site changed last: the date that RFC 9110 section 5.6.7 has as its example. Sidecars are a
#: minute younger.
MODIFIED = 784_111_777
SIDECAR_MODIFIED = MODIFIED + 60
#: What stands for these names, in braces, in the fields of requests and expected answers. The tags of the file that the
#: case asks for are added: {etag}, {br}, {zstd} and {gzip}; {inside}, without quotes; {cut}, without its last
#: character; {large}, of another file.
DATES = {
    "date": "Sun, 06 Nov 1994 08:49:37 GMT",
    "rfc850": "Sunday, 06-Nov-94 08:49:37 GMT",
    "asctime": "Sun Nov  6 08:49:37 1994",
    "before": "Sun, 06 Nov 1994 08:49:36 GMT",
    "before_rfc850": "Sunday, 06-Nov-94 08:49:36 GMT",
    "before_asctime": "Sun Nov  6 08:49:36 1994",
    "after": "Sun, 06 Nov 1994 08:49:38 GMT",
    "sidecar_date": "Sun, 06 Nov 1994 08:50:37 GMT",
    "future": "Fri, 31 Dec 9999 23:59:59 GMT",
}
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".gz": "application/gzip",
    "": "application/octet-stream",
}
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
EXPOSED = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, Date, ETag"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request and its answer.

    An answer has exactly the fields that its status and setup ask for, those of ``has``, and not those of ``lacks``.
    """

    status: int
    fields: tuple[str, ...] = ()
    #: These three are the rule's where the case has none.
    path: str = ""
    method: str = ""
    setup: str = ""
    version: str = "HTTP/1.1"
    content: bytes = b""
    has: Mapping[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    #: The file that answers, relative to the root; without it the one that the path names.
    file: str | None = None
    coding: str | None = None
    #: The first and last byte of each part; several of them are a multipart content.
    ranges: tuple[tuple[int, int], ...] = ()
    closes: bool = False


class Details(TypedDict, total=False):
    """What a case may have besides its status, its field lines and its ranges; see there."""

    path: str
    method: str
    setup: str
    version: str
    content: bytes
    has: Mapping[str, str]
    lacks: tuple[str, ...]
    file: str
    coding: str
    closes: bool


@dataclass(frozen=True)
class Rule:
    """A rule: its name reads as one, and its section is where it is written."""

    name: str
    section: str
    cases: tuple[Case, ...]


def rule(
    name: str, section: str, *cases: Case, path: str = "/hundred", method: str = "GET", setup: str = "plain"
) -> Rule:
    """Make a rule, whose path, method and setup are those of every case that has none of its own."""
    return Rule(
        name,
        section,
        tuple(
            replace(case, path=case.path or path, method=case.method or method, setup=case.setup or setup)
            for case in cases
        ),
    )


def answer(status: int, *fields: str, **other: Unpack[Details]) -> Case:
    """Answer with this status to a request with these field lines."""
    return Case(status=status, fields=fields, **other)


def ok(*fields: str, **other: Unpack[Details]) -> Case:
    """Answer 200 with the whole file."""
    return answer(200, *fields, **other)


def not_modified(*fields: str, **other: Unpack[Details]) -> Case:
    """Answer 304."""
    return answer(304, *fields, **other)


def failed(*fields: str, **other: Unpack[Details]) -> Case:
    """Answer 412."""
    return answer(412, *fields, **other)


def partial(fields: str | tuple[str, ...], *ranges: tuple[int, int], **other: Unpack[Details]) -> Case:
    """Answer 206 with these parts of the file."""
    return Case(status=206, fields=(fields,) if isinstance(fields, str) else fields, ranges=ranges, **other)


def unsatisfiable(size: int, *fields: str, **other: Unpack[Details]) -> Case:
    """Answer 416 and tell the size."""
    other["has"] = {"content-range": f"bytes */{size}", **other.get("has", {})}
    return answer(416, *fields, **other)


@dataclass(frozen=True)
class Setup:
    """A site, the options it is served with, and the fields that these add to answers."""

    site: str
    options: dict[str, Any]
    #: The fields of every answer, and those of 200, 206 and 304 for a file, which go before them.
    everywhere: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


HEADERS = {"header": ["X-Frame-Options: DENY", "X-Empty:", 'x-lower: a: b, "c"']}
HEADERS_SENT = {"x-frame-options": "DENY", "x-empty": "", "x-lower": 'a: b, "c"'}
ANY_ORIGIN = {"access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED}

SETUPS = {
    "plain": Setup("plain", {}),
    "hidden": Setup("plain", {"hidden": True}),
    "headers": Setup("plain", HEADERS, HEADERS_SENT),
    "cache_control": Setup("plain", {"cache_control": "max-age=60"}, files={"cache-control": "max-age=60"}),
    "coded": Setup("coded", {"precompressed": True}, files={"vary": "Accept-Encoding"}),
    "not_coded": Setup("coded", {}),
    "any_origin": Setup("plain", {"cors": "*"}, ANY_ORIGIN),
    "origins": Setup("plain", {"cors": "https://a.example http://b:3000"}, {"vary": "Origin"}),
    "null_origin": Setup("plain", {"cors": "null"}, {"vary": "Origin"}),
    "spa": Setup("plain", {"spa": True}),
    "spa_without_index": Setup("bare", {"spa": True}),
    "pages": Setup("pages", {"error_pages": True}),
    "pages_missing": Setup("plain", {"error_pages": True}),
    "everything": Setup(
        "everything",
        {
            "cache_control": "no-cache",
            "cors": "https://a.example",
            "error_pages": True,
            "hidden": True,
            "precompressed": True,
            "spa": True,
            **HEADERS,
        },
        {"vary": "Origin", **HEADERS_SENT},
        {"vary": "Accept-Encoding, Origin", "cache-control": "no-cache"},
    ),
}

#: The plain request behind every case: it has sidecars wherever there are any, so that a leaked coding shows.
FOLLOWING = "following.txt"


def fill(root: Path, files: Mapping[str, bytes], modified: int = MODIFIED) -> None:
    """Write files, the directories above them included, and date them."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (modified, modified))


PLAIN = {
    FOLLOWING: b"the next answer\n",
    "index.html": b"<!doctype html><title>index</title>\n",
    "a.txt": b"hello\n",
    "empty": b"",
    "one": b"1",
    # Every byte its own place, CR and LF among them.
    "hundred": bytes(range(100)),
    # Line i holds its own offset.
    "large": b"".join(b"%015d\n" % (16 * line) for line in range(20_000)),
    "dir/index.html": b"<!doctype html><title>dir</title>\n",
    "bare/file.css": b"body{}\n",
    ".hidden": b"hidden\n",
    ".git/config": b"hidden\n",
    "dir/.hidden": b"hidden\n",
    ".well-known/security.txt": b"Contact: nobody\n",
    ".well-known/.hidden": b"hidden\n",
    # What looks like the end of a part is content all the same.
    "mime": b"\r\n--\r\n--pooled-httpd---\r\nContent-Range: bytes 0-0/1\r\n\r\n" * 10,
}
#: A name so long that no sidecar's fits.
LONG = "n" * 252 + ".js"
CODED = {
    LONG: b"long()\n",
    FOLLOWING: b"the next answer\n",
    "page.html": b"<!doctype html><title>page</title>\n" * 10,
    "style.css": b"body{}\n" * 20,
    "stale.js": b"new()\n" * 20,
    "same.txt": b"of one age\n" * 20,
    "directory.txt": b"the file\n" * 20,
    "outside.txt": b"the file\n" * 20,
    "inside.txt": b"the file\n" * 20,
    "fifo.txt": b"the file\n" * 20,
    "alone.txt": b"no sidecar\n" * 20,
    "dir/index.html": b"<!doctype html><title>dir</title>\n" * 10,
    "index.html": b"<!doctype html><title>index</title>\n" * 10,
}


def coded(
    root: Path, *names: str, codings: tuple[str, ...] = ("br", "zstd", "gzip"), at: int = SIDECAR_MODIFIED
) -> None:
    """Write sidecars. Only gzip is what it says it is: the server sends them as they are."""
    for name in names:
        for coding in codings:
            content = (root / name).read_bytes()
            made = gzip.compress(content, mtime=0) if coding == "gzip" else f"in {coding}: ".encode() + content[::-1]
            fill(root, {name + SUFFIXES[coding]: made}, at)


def pages(root: Path) -> None:
    """Write error pages of every kind, those that cannot be sent among them."""
    statuses = (400, 404, 405, 412, 416, 417, 501)
    fill(root, {f"{status}.html": b"<!doctype html><title>%d</title>\n" % status for status in statuses})
    # Larger than every buffer; and as small as can be.
    fill(root, {"413.html": b"<p>too large\n" * 10_000, "505.html": b""})
    (root / "403.html").mkdir()
    (root / "414.html").symlink_to("../outside.txt")
    os.mkfifo(root / "431.html")


def make_sites(parent: Path) -> None:
    """Make the document roots, each a directory of its name, with a file beside them that none may show."""
    fill(parent, {"outside.txt": b"outside\n", "outside.txt.br": b"outside\n"}, SIDECAR_MODIFIED)
    for name in ("plain", "pages", "everything"):
        fill(parent / name, PLAIN)
        (parent / name / "outside").symlink_to("../outside.txt")
    fill(parent / "bare", {FOLLOWING: PLAIN[FOLLOWING], "dir/a.txt": b"a\n"})
    pages(parent / "pages")
    pages(parent / "everything")
    coded(parent / "everything", FOLLOWING, "index.html", "404.html")
    root = parent / "coded"
    fill(root, CODED)
    coded(root, FOLLOWING, "page.html", "dir/index.html")
    coded(root, "style.css", codings=("gzip",))
    coded(root, "stale.js", codings=("br",), at=MODIFIED - 1)
    coded(root, "stale.js", codings=("gzip",))
    coded(root, "same.txt", codings=("br",), at=MODIFIED)
    fill(root, {"orphan.txt.br": b"no file\n", "dir.gz": b"beside a directory\n"})
    (root / "directory.txt.br").mkdir()
    (root / "outside.txt.br").symlink_to("../outside.txt.br")
    os.mkfifo(root / "fifo.txt.br")
    (root / "inside.txt.gz").symlink_to("style.css.gz")
