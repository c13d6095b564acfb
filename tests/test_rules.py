"""Each rule of the table over real sockets: whole, byte by byte, without a cache; a plain request behind each case."""

from __future__ import annotations

import email.utils
import os
import random
import re
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from conftest import assert_sound
from representations import Part, content_range, parts_of, settle
from rules import RULES
from rules_model import DATES, FOLLOWING, MEDIA_TYPES, SETUPS, SUFFIXES, Case, Rule, make_sites
from support import PATIENCE, Raw, Response, Site, exchange, get

#: The fields that an answer has by its status; by what is in `Case.has` and in its setup it has others.
FIELDS = {
    200: {"content-type", "content-length", "last-modified", "etag", "accept-ranges"},
    204: {"allow"},
    206: {"content-type", "content-length", "last-modified", "etag", "accept-ranges"},
    301: {"content-type", "content-length", "location"},
    304: {"etag"},
    405: {"content-type", "content-length", "allow"},
    416: {"content-type", "content-length", "content-range"},
}
FIELDS_OF_ERRORS = {"content-type", "content-length"}
TEXT = "text/plain; charset=utf-8"
ENTITY_TAG = r'"[!#-~]+"'
#: What is enough for these tests, so that many servers take little memory.
SMALL = {"max_connections": 16, "cache_size": 1 << 20}


class Tags(dict[str, str]):
    """What stands for the names in braces: dates, and the tags of one file, each asked for when it is first wanted."""

    def __init__(self, server: pooled_httpd.Server, path: str) -> None:
        """Know the dates."""
        super().__init__(DATES)
        self.server, self.path = server, path

    def __missing__(self, name: str) -> str:
        """Ask the server for a tag."""
        if name in ("inside", "cut"):
            self[name] = self["etag"].strip('"') if name == "inside" else self["etag"][:-2] + '"'
        else:
            path = "/large" if name == "large" else self.path
            fields = (f"Accept-Encoding: {name}",) if name in SUFFIXES else ()
            self[name] = settle(self.server, path, *fields).fields["etag"]
        return self[name]


@dataclass
class Bench:
    """The running servers of every setup, and what was learned of them."""

    sites: Path
    servers: dict[str, pooled_httpd.Server]
    tags: dict[tuple[str, str], Tags] = field(default_factory=dict)
    followed: dict[str, Response] = field(default_factory=dict)

    def tags_of(self, case: Case) -> Tags:
        """The tags of the file that a case asks for."""
        key = (case.setup, case.path)
        if key not in self.tags:
            self.tags[key] = Tags(self.servers[case.setup], case.path)
        return self.tags[key]

    def following(self, setup: str) -> Response:
        """The answer to the plain request behind every case, asked for alone."""
        if setup not in self.followed:
            self.followed[setup] = settle(self.servers[setup], f"/{FOLLOWING}")
        return self.followed[setup]


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bench]]:
    """A server for each setup, with its cache and without; afterwards the invariants of all must have held."""
    sites = tmp_path_factory.mktemp("sites")
    make_sites(sites)
    with ExitStack() as stack:
        made = {}
        for name, cache in (("cached", {}), ("uncached", {"cache_size": 0})):
            servers = {}
            for setup_name, setup in SETUPS.items():
                options: dict[str, Any] = {**SMALL, **setup.options, **cache}
                servers[setup_name] = stack.enter_context(pooled_httpd.Server(sites / setup.site, **options))
            made[name] = Bench(sites, servers)
        yield made
    for one in made.values():
        for server in one.servers.values():
            assert_sound(server)


@pytest.fixture
def bench(benches: dict[str, Bench]) -> Iterator[dict[str, Bench]]:
    """The benches; afterwards every connection is closed on the servers' side too."""
    yield benches
    deadline = time.monotonic() + PATIENCE
    for one in benches.values():
        for name, server in one.servers.items():
            while server.stats().active_connections > 0:
                assert time.monotonic() < deadline, f"{name} still has a connection"
                time.sleep(0.0005)


def request(case: Case, tags: Tags) -> bytes:
    """Make the bytes of a case's request."""
    fields = [line.format_map(tags) for line in case.fields]
    return get(case.path, *fields, method=case.method, version=case.version) + case.content


def file_of(bench: Bench, case: Case) -> Path:
    """The file that a case is answered with: its own, the one that the path names, or the index of an application."""
    setup = SETUPS[case.setup]
    root = bench.sites / setup.site
    name = urllib.parse.unquote(case.path.partition("?")[0]).lstrip("/")
    if name == "" or name.endswith("/"):
        name += "index.html"
    if case.file is not None:
        name = case.file
    elif setup.options.get("spa") and not (root / name).exists():
        name = "index.html"
    return root / name


def expected_fields(case: Case) -> set[str]:
    """The names of all fields that the answer must have, and no other."""
    setup = SETUPS[case.setup]
    names = {"date", *FIELDS.get(case.status, FIELDS_OF_ERRORS), *setup.everywhere, *case.has}
    if case.status in (200, 206, 304):
        names |= set(setup.files)
    if case.status in (200, 206) and case.coding:
        names.add("content-encoding")
    if len(case.ranges) == 1:
        names.add("content-range")
    if case.closes:
        names.add("connection")
    return names


def judge_file(bench: Bench, case: Case, response: Response) -> None:
    """Hold a 200, 206 or 304 against the file."""
    path, tags, fields = file_of(bench, case), bench.tags_of(case), response.fields
    assert fields["etag"] == tags[case.coding or "etag"]
    assert re.fullmatch(ENTITY_TAG, fields["etag"]), "a strong entity-tag"
    if case.status == 304:
        assert response.content == b""
        return
    media_type = MEDIA_TYPES[path.suffix if path.suffix in MEDIA_TYPES else ""]
    if case.coding:
        path = path.with_name(path.name + SUFFIXES[case.coding])
        assert fields["content-encoding"] == case.coding
    content = path.read_bytes()
    assert fields["last-modified"] == email.utils.formatdate(path.stat().st_mtime, usegmt=True)
    assert fields["accept-ranges"] == "bytes"
    expected = [Part(media_type, first, last, len(content), content[first : last + 1]) for first, last in case.ranges]
    if len(expected) > 1:
        assert parts_of(response) == expected
        return
    assert fields["content-type"] == media_type
    if expected:
        assert content_range(fields["content-range"]) == (expected[0].first, expected[0].last, len(content))
        content = expected[0].content
    assert fields["content-length"] == str(len(content))
    assert response.content == (b"" if case.method == "HEAD" else content)


def judge_error(bench: Bench, case: Case, response: Response) -> None:
    """Hold an answer without a file against its page, or against plain text."""
    if case.status == 204:
        assert response.content == b""
        return
    length = int(response.fields["content-length"])
    if case.file is None:
        assert response.fields["content-type"] == TEXT
        assert length > 0
        if case.method != "HEAD":
            assert re.fullmatch(rb"[ -~]+\n", response.content), "a line of text"
    else:
        content = file_of(bench, case).read_bytes()
        assert response.fields["content-type"] == "text/html; charset=utf-8"
        assert length == len(content)
        assert response.content == (b"" if case.method == "HEAD" else content)
    if case.method == "HEAD":
        assert response.content == b""


def judge(bench: Bench, case: Case, response: Response) -> None:
    """Hold an answer against its case."""
    assert response.status == case.status
    setup, fields, tags = SETUPS[case.setup], response.fields, bench.tags_of(case)
    assert set(fields) == expected_fields(case)
    assert set(case.lacks).isdisjoint(fields)
    is_file = case.status in (200, 206, 304)
    wanted = {**setup.everywhere, **(setup.files if is_file else {})}
    wanted |= {name: value.format_map(tags) for name, value in case.has.items()}
    wanted |= {"connection": "close"} if case.closes else {}
    assert {name: fields[name] for name in wanted} == wanted
    (judge_file if is_file else judge_error)(bench, case, response)


def untouched(response: Response) -> tuple[int, bytes, dict[str, str]]:
    """What of an answer may not depend on the request before it."""
    return response.status, response.content, {name: value for name, value in response.fields.items() if name != "date"}


def run(bench: Bench, rule: Rule, step: int) -> None:
    """Send all cases of a rule, each with a plain request behind it, on one connection as far as it persists."""
    with ExitStack() as stack:
        raws: dict[str, Raw] = {}
        for number, case in enumerate(rule.cases):
            # A file or a tag that is not settled yet must not fail the case.
            alone = bench.following(case.setup)
            data = request(case, bench.tags_of(case)) + get(f"/{FOLLOWING}")
            raw = raws.get(case.setup)
            if raw is None:
                raw = raws[case.setup] = stack.enter_context(Raw(bench.servers[case.setup].port))
            try:
                raw.send_slowly(data, step)
                judge(bench, case, raw.response(case.method))
                if case.closes:
                    assert raw.closed()
                    raws.pop(case.setup).socket.close()
                else:
                    assert untouched(raw.response()) == untouched(alone), "the answer behind it"
            except (AssertionError, KeyError, TimeoutError) as error:
                error.add_note(f"case {number} of {rule.name} ({rule.section}), on {case.setup}: {data[:400]!r}")
                raise


@pytest.mark.parametrize("way", ["whole", "byte_by_byte", "uncached"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_is_kept(bench: dict[str, Bench], rule: Rule, way: str) -> None:
    """Every case of the rule is answered as it says, and the plain request behind it as if it came alone."""
    run(bench["uncached" if way == "uncached" else "cached"], rule, 1 if way == "byte_by_byte" else 1 << 20)


def test_each_rule_has_a_name_a_section_and_cases() -> None:
    """Names are unique; sections are of an RFC, the Fetch Standard or an option; every setup and status is used."""
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    options = {name for name, _, _ in pooled_httpd.options()}
    for rule in RULES:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", rule.name), rule.name
        assert rule.cases, rule.name
        form = r"RFC \d{4} section \d+(\.\d+)*|Fetch Standard, HTTP CORS protocol|option (?P<option>[a-z_]+)"
        found = re.fullmatch(form, rule.section)
        assert found, rule.section
        assert found["option"] is None or found["option"] in options
        for case in rule.cases:
            assert (case.status == 206) == bool(case.ranges), rule.name
            assert case.path.startswith("/") or case.path == "*"
            assert all(re.match(r"[A-Za-z-]+ ?:", line) for line in case.fields), case.fields
    assert {case.setup for rule in RULES for case in rule.cases} == set(SETUPS)
    statuses = {case.status for rule in RULES for case in rule.cases}
    assert statuses == {200, 204, 206, 301, 304, 400, 403, 404, 405, 412, 413, 414, 416, 417, 431, 501, 505, 507}


def test_each_answer_is_its_own_among_all_others(bench: dict[str, Bench]) -> None:
    """All cases of a setup in one shuffled stream, many in a segment: each answer is as if its request came alone."""
    shuffle = random.Random(9110)
    for setup in SETUPS:
        cases = [case for rule in RULES for case in rule.cases if case.setup == setup and not case.closes]
        shuffle.shuffle(cases)
        one = bench["cached"]
        requests = [request(case, one.tags_of(case)) for case in cases]
        with Raw(one.servers[setup].port) as raw:
            for start in range(0, len(cases), 25):
                raw.send(b"".join(requests[start : start + 25]))
                for case, data in zip(cases[start : start + 25], requests[start:], strict=False):
                    try:
                        judge(one, case, raw.response(case.method))
                    except (AssertionError, KeyError, TimeoutError) as error:
                        error.add_note(f"on {setup}: {data[:400]!r}")
                        raise


def test_every_representation_has_a_tag_of_its_own(bench: dict[str, Bench]) -> None:
    """The codings of one file, and files of one size and date, are told apart (RFC 9110 section 8.8.3)."""
    one = bench["cached"]
    coded = Tags(one.servers["coded"], "/page.html")
    tags = [coded[name] for name in ("etag", "br", "zstd", "gzip")]
    plain = [Tags(one.servers["plain"], f"/{name}")["etag"] for name in (".well-known/security.txt", "a.txt", "empty")]
    assert len({*tags, *plain}) == 7
    for tag in (*tags, *plain):
        assert re.fullmatch(ENTITY_TAG, tag)


def test_no_two_answers_have_one_boundary(bench: dict[str, Bench]) -> None:
    """A boundary is used once: what was seen of one answer ends no part of another (RFC 2046 section 5.1.1)."""
    server = bench["cached"].servers["plain"]
    with Raw(server.port) as raw:
        raw.send(get("/hundred", "Range: bytes=0-1,3-4") * 20)
        boundaries = [raw.response().fields["content-type"].partition("boundary=")[2] for _ in range(20)]
    assert len(set(boundaries)) == 20
    other = exchange(bench["cached"].servers["headers"].port, get("/hundred", "Range: bytes=0-1,3-4"))
    assert other.fields["content-type"].partition("boundary=")[2] not in boundaries


def test_extra_field_lines_are_in_408(site: Site) -> None:
    """An answer that a deadline makes has them like any other."""
    options: dict[str, Any] = {"header": ["X-A: b"], "cors": "*", "header_timeout": 0.2, "error_pages": True}
    with pooled_httpd.Server(site.root, **options) as server, Raw(server.port) as raw:
        raw.send(b"GET /a.txt HTTP/1.1\r\n")
        response = raw.response()
        assert response.status == 408
        assert response.fields["x-a"] == "b"
        assert response.fields["access-control-allow-origin"] == "*"
        assert raw.closed()


def test_extra_field_lines_are_in_503(site: Site) -> None:
    """So has the answer to a newcomer that finds every slot in use."""
    options: dict[str, Any] = {"header": ["X-A: b"], "cors": "*", "max_connections": 1}
    with pooled_httpd.Server(site.root, **options) as server, Raw(server.port) as busy:
        busy.send(b"GET /a.txt")
        deadline = time.monotonic() + PATIENCE
        while server.stats().bytes_received < 10:
            assert time.monotonic() < deadline
        with Raw(server.port) as raw:
            response = raw.response()
            assert response.status == 503
            assert raw.closed()
    assert response.fields.get("x-a") == "b"
    assert response.fields.get("access-control-allow-origin") == "*"


@pytest.mark.parametrize("buffer_size", [2048, 16_384])
def test_parts_arrive_whole_at_a_slow_reader(site: Site, buffer_size: int) -> None:
    """A peer that takes little at a time gets every byte of every part, and the next answer behind them."""
    content = (site.root / "large").read_bytes()
    ranges = [(0, 99_999), (150_000, 150_000), (100_001, 149_998), (310_000, 319_999)]
    field_ = "Range: bytes=" + ",".join(f"{first}-{last}" for first, last in ranges)
    with (
        pooled_httpd.Server(site.root, buffer_size=buffer_size) as server,
        Raw(server.port, receive_buffer=2048) as raw,
    ):
        raw.send(get("/large", field_) + get("/a.txt"))
        while len(raw.received) < 150_000:
            raw.received += raw.socket.recv(1000)
        parts = parts_of(raw.response())
        assert [(part.first, part.last) for part in parts] == ranges
        assert all(part.content == content[part.first : part.last + 1] for part in parts)
        assert raw.response().content == b"hello\n"
    assert_sound(server)


def test_a_file_that_shrinks_while_its_parts_are_sent_ends_the_connection(
    server: pooled_httpd.Server, site: Site
) -> None:
    """Short of Content-Length, counted, never padded; a part that is no longer there is not made up."""
    path = site.write("shrinking", b"x" * 16)
    os.truncate(path, 50_000_000)
    with Raw(server.port, receive_buffer=4096) as raw:
        raw.send(get("/shrinking", "Range: bytes=0-39999999,40000001-49999999"))
        while b"\r\n\r\n" not in raw.received:
            assert raw._more()
        os.truncate(path, 1_000_000)
        raw.closed()
        head, _, content = raw.received.partition(b"\r\n\r\n")
        assert b"206 Partial Content" in head
        assert len(content) < 49_999_999
        assert b"bytes 40000001-" not in content
    assert server.stats().files_truncated == 1
    assert exchange(server.port, get("/a.txt")).status == 200


def test_a_range_may_lie_behind_four_gibibytes(server: pooled_httpd.Server, site: Site) -> None:
    """No number is cut to 32 bits: not of a single range, of parts, of a suffix, nor of the length of all."""
    size, place = 9 << 30, 5 << 30
    with (site.root / "sparse").open("wb") as file:
        file.truncate(size)
        file.seek(place)
        file.write(b"here")
        file.seek(size - 3)
        file.write(b"end")
    with Raw(server.port) as raw:
        raw.send(get("/sparse", method="HEAD"))
        assert raw.response("HEAD").fields["content-length"] == str(size)
        response = raw.send(get("/sparse", f"Range: bytes={place}-{place + 3}")).response()
        assert response.content == b"here"
        assert response.fields["content-range"] == f"bytes {place}-{place + 3}/{size}"
        parts = parts_of(raw.send(get("/sparse", f"Range: bytes=-3,{place}-{place + 3},{size}-,0-0")).response())
        assert [(part.first, part.content) for part in parts] == [(size - 3, b"end"), (place, b"here"), (0, b"\0")]
        response = raw.send(get("/sparse", f"Range: bytes={size}-")).response()
        assert (response.status, response.fields["content-range"]) == (416, f"bytes */{size}")
