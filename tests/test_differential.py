"""Conditions and ranges held against nginx on the same tree: equal, or different for a reason that is written down."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import pooled_httpd
import pytest
from conftest import assert_sound
from listening import port_of
from representations import parts_of, settle
from rules_model import DATES, MODIFIED
from support import PATIENCE, Raw, Response, get, need

SEED = 13
REQUESTS = 3000
FILES = {
    "empty": b"",
    "one": b"1",
    "six": b"hello\n",
    "large": b"".join(b"%015d\n" % (16 * line) for line in range(20_000)),
}
#: One process, of the user who started it, and nothing outside its own directory. nginx is told what it can be told
#: to do as RFC 9110 says: a date later than the file's is a match too (`if_modified_since before`; its default is
#: `exact`), and there is the same limit of ranges.
CONFIGURATION = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/octet-stream;
    keepalive_requests 1000000;
    if_modified_since before;
    max_ranges 16;
    server {{
        listen 127.0.0.1:{port};
        root {root};
    }}
}}
"""
#: The values of each condition, by what they are.
LISTS = {
    "own": "{etag}",
    "weak": "W/{etag}",
    "other": '"x"',
    "any": "*",
    "list with": '"x", {etag} ,W/"y"',
    "list without": '"x","y"',
    "empty": "",
    "malformed with": "{etag}, x",
    "malformed without": "x",
    "malformed any": "{etag}, *",
}
SINCE = {
    "before": "{before}",
    "exact": "{date}",
    "after": "{after}",
    "exact, rfc850": "{rfc850}",
    "exact, asctime": "{asctime}",
    "invalid": "yesterday",
}
IF_RANGE = {
    "own": "{etag}",
    "weak": "W/{etag}",
    "other": '"x"',
    "before": "{before}",
    "exact": "{date}",
    "exact, rfc850": "{rfc850}",
    "after": "{after}",
    "list": '{etag}, "x"',
    "invalid": "x",
}
CONDITIONS = {
    "If-Match": LISTS,
    "If-None-Match": LISTS,
    "If-Modified-Since": SINCE,
    "If-Unmodified-Since": SINCE,
    "If-Range": IF_RANGE,
}
MALFORMED = ("-", "x", "1", "1-x", "--1", "1-2-3", "+1-2", "0x1-2", "1/2")
SPACED = ("0 -1", "0- 1", " 0-1 ", "0-1\t", "- 1", "\t1-", " ", "")

#: What nginx does otherwise: when, with the section that it is about, and why this server does not.
QUIRKS = {
    "if_unmodified_since_counts_beside_if_match": (
        "13.2.2",
        "The date is evaluated only where there is no If-Match: two clocks say less than one tag.",
    ),
    "if_modified_since_counts_beside_if_none_match": (
        "13.2.2",
        "nginx answers 304 only where both agree, and takes an invalid date for a modification; the date is ignored.",
    ),
    "an_invalid_if_unmodified_since_fails": ("13.1.4", "What is not a valid date MUST be ignored; nginx answers 412."),
    "a_malformed_list_matches_by_its_good_elements": (
        "8.8.3",
        "nginx looks for its tag between commas, whatever stands around it, and takes no asterisk among others.",
    ),
    "head_has_ranges": ("14.2", "Range handling is defined for GET only; nginx answers HEAD with 206 and 416."),
    "a_repeated_range_counts": ("5.3", "A field that is no list has one value or no valid one; nginx takes the first."),
    "a_malformed_range_is_416": ("14.2", "The section allows both; ignored, the peer gets what it wants and more."),
    "an_empty_element_is_malformed": ("5.6.1", "A recipient MUST accept empty list elements."),
    "spaces_are_skipped_and_tabs_are_not": (
        "14.1.1",
        "White space is OWS around the commas and nowhere else; nginx skips SP within a range-spec and no HTAB.",
    ),
    "a_number_that_does_not_fit_is_416": (
        "14.1.2",
        "A last position past the end is the end, and a suffix longer than all is all, however many digits they have.",
    ),
    "a_reversed_range_is_unsatisfiable": (
        "14.1.1",
        "A last position less than the first makes the whole field invalid; nginx leaves that range out.",
    ),
    "an_empty_file_has_no_ranges": ("14.1.2", "No byte can be at or behind the first position; nginx answers 200."),
    "only_satisfiable_ranges_count": (
        "14.2",
        "Both take 16 at most. This server counts what it has to read, nginx what it would send.",
    ),
    "ranges_are_not_merged": ("15.3.7.2", "A server MAY merge what overlaps or touches; nginx sends it part by part."),
    "more_than_the_file_is_ignored": (
        "14.2",
        "Unmerged, ranges can add up to more than the file; then nginx sends it.",
    ),
}
MOST_RANGES = 16


@dataclass(frozen=True)
class Request:
    """A request, with what its parts are."""

    path: str
    method: str
    #: The kind of each condition, by its field's name, in the order of their lines.
    conditions: dict[str, str]
    #: What stands before the range-specs; none without a Range.
    unit: str | None = None
    specs: tuple[str, ...] = ()
    is_repeated: bool = False

    @property
    def file(self) -> bytes:
        """The content of the file."""
        return FILES[self.path.lstrip("/")]

    def data(self, etag: str) -> bytes:
        """What goes over the wire, where the file's tag is this."""
        lines = [
            f"{name}: {CONDITIONS[name][kind]}".format(etag=etag, **DATES) for name, kind in self.conditions.items()
        ]
        if self.unit is not None:
            lines += [f"Range: {self.unit}{','.join(self.specs)}"] * (2 if self.is_repeated else 1)
        return get(self.path, *lines, method=self.method)


@dataclass(frozen=True)
class Outcome:
    """What of an answer can be compared: the content of an error is each server's own, and so is a boundary."""

    status: int
    content_range: str | None = None
    content_length: int | None = None
    content: bytes | None = field(default=None, repr=False)
    #: The first and last byte of each part of a multipart content, and the size; the bytes of each.
    ranges: tuple[tuple[int, int, int], ...] = ()
    contents: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, response: Response, method: str, preamble: bytes) -> Outcome:
        """Take an answer apart."""
        content_range = response.fields.get("content-range")
        if response.status not in (200, 206):
            return cls(response.status, content_range)
        if response.fields["content-type"].startswith("multipart/"):
            parts = parts_of(response, preamble) if method == "GET" else []
            ranges = tuple((part.first, part.last, part.size) for part in parts)
            return cls(206, ranges=ranges, contents=tuple(part.content for part in parts))
        return cls(response.status, content_range, int(response.fields["content-length"]), response.content)

    @classmethod
    def selecting(cls, request: Request, ranges: list[tuple[int, int]]) -> Outcome:
        """The answer with these ranges of the file, or with all of it where there are none."""
        file = request.file
        size, is_head = len(file), request.method == "HEAD"
        if len(ranges) > 1:
            parts = [] if is_head else ranges
            contents = tuple(file[first : last + 1] for first, last in parts)
            return cls(206, ranges=tuple((*part, size) for part in parts), contents=contents)
        first, last = ranges[0] if ranges else (0, size - 1)
        content_range = f"bytes {first}-{last}/{size}" if ranges else None
        content = b"" if is_head else file[first : last + 1]
        return cls(206 if ranges else 200, content_range, last - first + 1, content)


def is_listed(kind: str, quirks: AbstractSet[str], *, is_strong: bool) -> bool:
    """Whether a list of entity-tags names the representation."""
    if kind in ("malformed with", "malformed any"):
        return "a_malformed_list_matches_by_its_good_elements" in quirks
    return kind in ("own", "any", "list with") or (kind == "weak" and not is_strong)


def precondition(request: Request, quirks: AbstractSet[str]) -> int | None:
    """The status that the conditions lead to, by the steps of RFC 9110 section 13.2.2; none where they let through."""
    given = request.conditions.get
    if_match, if_none_match = given("If-Match"), given("If-None-Match")
    unmodified_since, modified_since = given("If-Unmodified-Since"), given("If-Modified-Since")
    if unmodified_since == "invalid" and "an_invalid_if_unmodified_since_fails" not in quirks:
        unmodified_since = None
    if if_match is not None and "if_unmodified_since_counts_beside_if_match" not in quirks:
        unmodified_since = None
    if if_match is not None and not is_listed(if_match, quirks, is_strong=True):
        return 412
    if unmodified_since in ("before", "invalid"):
        return 412
    is_unmodified = modified_since not in ("before", "invalid")
    if if_none_match is not None:
        both = "if_modified_since_counts_beside_if_none_match" in quirks
        is_known = is_listed(if_none_match, quirks, is_strong=False) and (is_unmodified or not both)
        return 304 if is_known else None
    return 304 if modified_since is not None and is_unmodified else None


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges with those that touch made one, in the place of the first of them."""
    whole: list[tuple[int, int]] = []
    for first, last in ranges:
        joined = [other for other in whole if first <= other[1] + 1 and other[0] <= last + 1]
        union = (min([first, *(other[0] for other in joined)]), max([last, *(other[1] for other in joined)]))
        place = whole.index(joined[0]) if joined else len(whole)
        whole = [other for other in whole if other not in joined]
        whole.insert(place, union)
    return whole


def selected(request: Request, quirks: AbstractSet[str]) -> list[tuple[int, int]] | None:
    """The ranges that a Range in bytes selects; an empty list for the whole file, none for 416."""
    size, is_ignored, specs, ranges = len(request.file), False, 0, []
    skips_spaces = "spaces_are_skipped_and_tabs_are_not" in quirks
    value = ",".join(request.specs).rstrip(" " if skips_spaces else " \t")
    if value == "":
        return []
    for place, raw in enumerate(value.split(",")):
        if skips_spaces:
            element = re.sub(r"(?<=\d) *- *", "-", raw.strip(" "))
        elif place == 0:
            # Nothing may stand between "bytes=" and the first range-spec.
            element = raw.rstrip(" \t") if raw.strip(" \t") else ""
        else:
            element = raw.strip(" \t")
        if element == "" and "an_empty_element_is_malformed" not in quirks:
            continue
        specs += 1
        found = re.fullmatch(r"(\d+)-(\d*)|-(\d+)", element)
        if not found:
            if "a_malformed_range_is_416" in quirks:
                return None
            is_ignored = True
            continue
        first, last, suffix = (None if text in (None, "") else int(text) for text in found.groups())
        if "a_number_that_does_not_fit_is_416" in quirks and max(first or 0, last or 0, suffix or 0) >= 1 << 63:
            return None
        if first is not None and last is not None and first > last:
            is_ignored |= "a_reversed_range_is_unsatisfiable" not in quirks
            continue
        if suffix is not None:
            first = max(size - suffix, 0)
        assert first is not None
        if size == 0:
            if first == 0 and "an_empty_file_has_no_ranges" in quirks:
                return []
            # A suffix of nothing that is there is satisfiable, and nothing can say so: the whole is sent.
            is_ignored |= bool(suffix)
            continue
        last = size - 1 if last is None else min(last, size - 1)
        if first <= last:
            ranges.append((first, last))
        if len(ranges) > MOST_RANGES and "only_satisfiable_ranges_count" in quirks:
            return []
    is_ignored |= specs > MOST_RANGES and "only_satisfiable_ranges_count" not in quirks
    if is_ignored or specs == 0:
        return []
    if not ranges:
        return None
    if "more_than_the_file_is_ignored" in quirks and sum(last - first + 1 for first, last in ranges) > size:
        return []
    return ranges if "ranges_are_not_merged" in quirks else merged(ranges)


def predicted(request: Request, quirks: AbstractSet[str]) -> Outcome:
    """The answer by RFC 9110, and where it leaves a choice by the one that this server made; or with quirks."""
    status = precondition(request, quirks)
    if status is not None:
        return Outcome(status)
    is_ranged = request.unit is not None and request.unit.lower() == "bytes="
    is_ranged &= request.method == "GET" or "head_has_ranges" in quirks
    is_ranged &= not request.is_repeated or "a_repeated_range_counts" in quirks
    is_ranged &= request.conditions.get("If-Range", "own") in ("own", "exact", "exact, rfc850")
    ranges = selected(request, quirks) if is_ranged else []
    if ranges is None:
        return Outcome(416, f"bytes */{len(request.file)}")
    return Outcome.selecting(request, ranges)


def choose_spec(chance: random.Random, size: int) -> str:
    """Make a range-spec, most of them near the file's ends."""
    first = chance.choice([0, 0, 1, size // 3, max(size - 1, 0), size, size + 1, chance.randrange(size + 1)])
    last = max(first, chance.choice([first, first + 1, first + chance.randrange(size + 1), size - 1, size]))
    kind = chance.choices(
        ["both", "open", "suffix", "reversed", "overflowing", "malformed", "spaced"], [55, 15, 15, 4, 4, 4, 4]
    )[0]
    return {
        "both": f"{first}-{last}",
        "open": f"{first}-",
        "suffix": f"-{chance.choice([0, 1, 2, size // 2, size, size + 5])}",
        "reversed": f"{first + 1 + chance.randrange(2)}-{first}",
        "overflowing": chance.choice([f"0-{1 << 64}", f"{1 << 64}-", f"-{1 << 64}", f"0-{(1 << 63) - 1}"]),
        "malformed": chance.choice(MALFORMED),
        "spaced": chance.choice(SPACED),
    }[kind]


def choose(chance: random.Random) -> Request:
    """Make a request."""
    name = chance.choice(list(FILES))
    method = chance.choice(["GET"] * 7 + ["HEAD"])
    conditions = {field_: chance.choice(list(CONDITIONS[field_])) for field_ in CONDITIONS if chance.random() < 0.2}
    if chance.random() < 0.2:
        return Request(f"/{name}", method, conditions)
    unit = chance.choice(["bytes="] * 16 + ["BYTES=", "lines=", "bytes =", "bytes"])
    count = chance.choice([1] * 6 + [2] * 4 + [3, 4, 16, 17])
    # Long sets are mostly plain: one malformed element decides for all.
    specs = [choose_spec(chance, len(FILES[name])) for _ in range(count)]
    if count > MOST_RANGES - 1 and chance.random() < 0.8:
        specs = [f"{2 * place}-{2 * place}" for place in range(count)]
        specs[chance.randrange(count)] = "900000-"
    return Request(f"/{name}", method, conditions, unit, tuple(specs), chance.random() < 0.04)


def start_nginx(program: str, directory: Path, root: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start nginx on a port that was free a moment ago, and on another one where somebody else was quicker."""
    for _ in range(20):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        (directory / "nginx.conf").write_text(CONFIGURATION.format(port=port, root=root))
        command = [program, "-p", str(directory), "-c", "nginx.conf", "-e", "error.log"]
        with (directory / "output").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        if port_of(process) == port:
            return process, port
    pytest.fail(f"nginx does not start: {(directory / 'output').read_text()}{(directory / 'error.log').read_text()}")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that both serve."""
    root = tmp_path_factory.mktemp("tree")
    for name, content in FILES.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (MODIFIED, MODIFIED))
    return root


@pytest.fixture(scope="module")
def nginx(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an nginx that serves the tree."""
    process, port = start_nginx(need("nginx"), tmp_path_factory.mktemp("nginx"), tree)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Peer:
    """One of the two servers, asked over one connection as far as it persists."""

    def __init__(self, port: int, *, preamble: bytes = b"", is_closed_by_errors: bool = False) -> None:
        """Know the port, what stands before the first part of a multipart content, and what an error does."""
        self.port, self.preamble, self.is_closed_by_errors = port, preamble, is_closed_by_errors
        self.raw: Raw | None = None
        self.etags: dict[str, str] = {}

    def ask(self, request: Request) -> Outcome:
        """Send a request with the server's own tag in it."""
        if request.path not in self.etags:
            self.etags[request.path] = self.exchange(get(request.path), "GET").fields["etag"]
        data = request.data(self.etags[request.path])
        return Outcome.of(self.exchange(data, request.method), request.method, self.preamble)

    def exchange(self, data: bytes, method: str) -> Response:
        """Send bytes and read the answer."""
        if self.raw is None:
            self.raw = Raw(self.port)
        response = self.raw.send(data).response(method)
        if response.fields.get("connection") == "close" or (self.is_closed_by_errors and response.status >= 400):
            self.close()
        return response

    def close(self) -> None:
        """Close the connection."""
        if self.raw is not None:
            self.raw.socket.close()
            self.raw = None


def test_conditions_and_ranges_are_answered_as_by_nginx(tree: Path, nginx: int) -> None:
    """Both are asked the same, each with its own tags: equal, or different by known quirks, each of which occurs.

    What is explained is explained to the byte: this server answers what the model of RFC 9110 says, nginx what the same
    model says with all quirks; and without any one of them it could not be told what nginx answers.
    """
    chance = random.Random(SEED)
    everything = frozenset(QUIRKS)
    occurred: Counter[str] = Counter()
    unexplained, equal = [], 0
    with pooled_httpd.Server(tree) as server:
        for name in FILES:
            settle(server, f"/{name}")
        ours = Peer(server.port)
        # Behind a 412 nginx says keep-alive and closes.
        theirs = Peer(nginx, preamble=b"\r\n", is_closed_by_errors=True)
        for number in range(REQUESTS):
            request = choose(chance)
            our, their = ours.ask(request), theirs.ask(request)
            equal += our == their
            if (our, their) != (predicted(request, frozenset()), predicted(request, everything)):
                unexplained.append(f"{number}: {request}\n  ours   {our}\n  theirs {their}")
            elif our != their:
                occurred.update(quirk for quirk in QUIRKS if predicted(request, everything - {quirk}) != their)
        ours.close()
        theirs.close()
    assert_sound(server)
    assert not unexplained, f"{len(unexplained)} of seed {SEED} without a reason:\n" + "\n".join(unexplained[:20])
    never = [quirk for quirk in QUIRKS if not occurred[quirk]]
    assert not never, f"these differences never occur: {never}"
    assert equal > REQUESTS / 2, "most are answered alike"


def test_each_known_difference_has_a_section_and_a_reason() -> None:
    """A difference without a reason is a fault."""
    for section, reason in QUIRKS.values():
        assert re.fullmatch(r"\d+(\.\d+)+", section)
        assert reason.endswith(".")
