"""Listings of directories: as a page that people and browsers can use, as JSON, of any size and with any names."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import pooled_httpd
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import assert_sound
from playwright.sync_api import Browser
from support import PATIENCE, Raw, Site, exchange, get

#: Names that mean something to markup, URLs, scripts, terminals and paths.
NASTY = [
    b"<script>alert(1)<script>",
    b'"><img src=x onerror=alert(1)>',
    b'it\'s & "quoted"',
    b"javascript:alert(1)",
    b"?query#fragment",
    b"%2e%2e",
    b"new\nline",
    b"tab\tand\x1b[31mescape",
    b"&amp;",
    b" leading and trailing ",
    b"\xff\xfe not UTF-8",
    "\u202egnp.exe".encode(),
    "日本語 🚀".encode(),
    b"x" * 255,
    b"...",
    b"a:b@c",
]


@pytest.fixture
def listed(site: Site) -> Iterator[pooled_httpd.Server]:
    """A server of ``site`` that lists; afterwards its invariants must have held."""
    with pooled_httpd.Server(site.root, listing=True) as running:
        yield running
    assert_sound(running)


def read_chunked(port: int, request: bytes) -> tuple[dict[str, str], bytes]:
    """Send a request whose answer comes in chunks; return its fields and its content, read strictly."""
    with Raw(port) as raw:
        response = raw.send(request).half_close().response()
        assert response.status == 200
        assert response.fields["transfer-encoding"] == "chunked"
        assert raw.closed()
    return response.fields, response.content


def entries(port: int, path: str) -> list[dict[str, Any]]:
    """Return the listing of a directory as JSON has it."""
    fields, content = read_chunked(port, get(f"{path}?format=json"))
    assert fields["content-type"] == "application/json"
    listing: list[dict[str, Any]] = json.loads(content)
    return listing


def links(page: bytes) -> list[bytes]:
    """Return the names that the links of a listing's rows lead to."""
    hrefs = re.findall(r'<th scope="row"><a href="([^"]*)"', page.decode())
    assert all(href.startswith("./") for href in hrefs)
    return [unquote_to_bytes(html.unescape(href[2:])) for href in hrefs]


def test_a_directory_is_listed_only_where_asked_for_and_without_an_index(site: Site) -> None:
    """Off by default; ``index.html`` goes first; hidden names are left out, and links that leave the root."""
    (site.root / "bare" / "inside").symlink_to("../a.txt")
    (site.root / "bare" / "outside").symlink_to("/etc/passwd")
    (site.root / "bare" / "dangling").symlink_to("nothing")
    os.mkfifo(site.root / "bare" / "fifo")
    site.write("bare/.secret", b"")
    with pooled_httpd.Server(site.root) as server:
        assert exchange(server.port, get("/bare/")).status == 404
    with pooled_httpd.Server(site.root, listing=True) as server:
        assert exchange(server.port, get("/dir/")).content == (site.root / "dir/index.html").read_bytes()
        assert [entry["name"] for entry in entries(server.port, "/bare/")] == ["file.css", "inside"]
        assert exchange(server.port, get("/bare")).fields["location"] == "/bare/"
        assert exchange(server.port, get("/nothing/")).status == 404
    with pooled_httpd.Server(site.root, listing=True, hidden=True) as server:
        assert [entry["name"] for entry in entries(server.port, "/bare/")] == [".secret", "file.css", "inside"]


def test_json_has_the_shape_of_nginx(listed: pooled_httpd.Server, site: Site) -> None:
    """Name, type, mtime as an HTTP date, and the size of files; directories first, each sorted by name."""
    site.write("bare/sub/x", b"")
    os.utime(site.root / "bare/file.css", (0, 784_111_777))
    os.utime(site.root / "bare/sub", (0, 784_111_777))
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    expected = [
        {"name": "sub", "type": "directory", "mtime": date},
        {"name": "file.css", "type": "file", "mtime": date, "size": 7},
    ]
    assert entries(listed.port, "/bare/") == expected
    by_accept = read_chunked(listed.port, get("/bare/", "Accept: application/json"))
    assert json.loads(by_accept[1]) == expected
    assert by_accept[0]["vary"] == "Accept"
    fields, page = read_chunked(listed.port, get("/bare/", "Accept: text/html, application/json;q=0.9"))
    assert fields["content-type"] == "text/html; charset=utf-8"
    assert links(page) == [b"sub/", b"file.css"]


def test_nasty_names_are_linked_rightly_and_inject_nothing(listed: pooled_httpd.Server, site: Site) -> None:
    """Each file can be reached by its link, in the page and from JSON, and the page has no markup but its own."""
    root = os.fsencode(site.root / "bare")
    for number, name in enumerate(NASTY):
        Path(os.fsdecode(root + b"/" + name)).write_bytes(b"%d" % number)
    expected = sorted([*NASTY, b"file.css"])
    expected.remove(b"...")  # It begins with a dot.
    _, page = read_chunked(listed.port, get("/bare/"))
    assert sorted(links(page)) == expected
    text = page.decode()
    assert text.count("<script>") == text.count("</script>") == 1
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    for href in re.findall(r'<th scope="row"><a href="([^"]*)"', text):
        # Only characters that mean themselves, wherever a browser may find them.
        assert re.fullmatch(r"\./[A-Za-z0-9\-._~!$()*+,;=:@%]+", href), href
        name = unquote_to_bytes(href[2:])
        content = exchange(listed.port, get(f"/bare/{href[2:]}")).content
        assert content == (b"%d" % NASTY.index(name) if name in NASTY else b"body{}\n")
    for entry in entries(listed.port, "/bare/"):
        if "href" in entry:
            assert "\ufffd" in entry["name"]
            assert exchange(listed.port, get(f"/bare/{entry['href']}")).content == b"%d" % NASTY.index(NASTY[10])
        else:
            assert entry["name"].encode() in expected


def test_ten_thousand_entries_are_streamed_in_order_without_heap(site: Site) -> None:
    """In the smallest send buffer that a listing takes; to several clients at once, while others are served."""
    names = [f"{number:05}-{'n' * (number % 90)}.txt" for number in range(10_000)]
    (site.root / "many").mkdir()
    for name in names:
        (site.root / "many" / name).touch()
    with pooled_httpd.Server(site.root, listing=True, buffer_size=4096) as server:
        with Raw(server.port, receive_buffer=4096) as slow, Raw(server.port) as other:
            slow.send(get("/many/"))
            other.send(get("/many/?format=json"))
            assert [entry["name"] for entry in entries(server.port, "/many/")] == names
            assert exchange(server.port, get("/a.txt")).content == b"hello\n"
        _, page = read_chunked(server.port, get("/many/"))
        assert [name.decode() for name in links(page)] == names
    assert_sound(server)


def test_who_waits_for_the_others_listings_is_not_timed_out(site: Site) -> None:
    """The server is the one who is slow: the send timeout is for peers who take nothing. The head comes at once."""
    (site.root / "many").mkdir()
    for number in range(20_000):
        (site.root / "many" / f"{number:05}").touch()
    with pooled_httpd.Server(site.root, listing=True, send_timeout=0.1) as server, ExitStack() as stack:
        crowd = [stack.enter_context(Raw(server.port)).send(get("/many/?format=json")) for _ in range(30)]
        with ThreadPoolExecutor(len(crowd)) as pool:
            for response in pool.map(Raw.response, crowd):
                assert len(json.loads(response.content)) == 20_000
        assert server.stats().timeouts["send"] == 0
    assert_sound(server)


def test_http10_gets_it_until_the_close_and_head_gets_no_content(listed: pooled_httpd.Server) -> None:
    """Chunks are not for HTTP/1.0; HEAD has the fields of GET, and the connection goes on."""
    with Raw(listed.port) as raw:
        raw.send(get("/bare/", "Connection: keep-alive", version="HTTP/1.0"))
        received = b""
        while data := raw.socket.recv(65536):
            received += data
    head, _, page = received.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert b"\r\nConnection: close" in head
    assert page.startswith(b"<!DOCTYPE html>")
    assert page.endswith(b"</html>\n")
    with Raw(listed.port) as raw:
        raw.send(get("/bare/", method="HEAD"))
        response = raw.response("HEAD")
        assert response.fields["transfer-encoding"] == "chunked"
        assert raw.send(get("/a.txt")).response().content == b"hello\n"


def test_a_listing_needs_a_buffer(site: Site) -> None:
    """The longest entry must fit."""
    with pytest.raises(
        pooled_httpd.OptionError, match="listing: a listing needs a buffer_size of 4096 bytes; it is 4095"
    ):
        pooled_httpd.Server(site.root, listing=True, buffer_size=4095)


# In a browser.

#: Widths and heights of a desk and of a telephone.
SIZES = [(1200, 800), (360, 740)]


@pytest.fixture
def with_names(listed: pooled_httpd.Server, site: Site) -> pooled_httpd.Server:
    """The same server with something to see in ``/bare/``."""
    for name in NASTY:
        Path(os.fsdecode(os.fsencode(site.root / "bare") + b"/" + name)).write_bytes(b"")
    site.write("bare/directory/x", b"")
    site.write("bare/large", b"x" * 123_456)
    site.write("bare/middle", b"x" * 2000)
    return listed


@pytest.mark.parametrize("size", SIZES, ids=["desk", "telephone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_serious_accessibility_finding(
    chromium: Browser, with_names: pooled_httpd.Server, scheme: Literal["light", "dark"], size: tuple[int, int]
) -> None:
    """By axe, in both schemes and sizes; nothing is wider than the screen, and nothing that can be hit is too small."""
    viewport: Any = {"width": size[0], "height": size[1]}
    # The check itself is a script that the page's policy would not let run.
    context = chromium.new_context(viewport=viewport, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(with_names.url_for("/bare/"))
    found = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("Math.min(...[...document.querySelectorAll('a, button')].map(e => e.offsetHeight))") >= 24
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = sum(map(int, re.findall(r"\d+", background)[:3])) < 3 * 128
    assert is_dark == (scheme == "dark"), background
    context.close()


def test_the_page_sorts_and_runs_nothing_but_its_own_script(chromium: Browser, with_names: pooled_httpd.Server) -> None:
    """By each column, both ways, directories first; under its policy, without an error and without a dialog."""
    page = chromium.new_page()
    told: list[str] = []
    page.on("dialog", lambda dialog: told.append(dialog.message))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(with_names.url_for("/bare/"))

    def names() -> list[str]:
        texts: list[str] = page.evaluate("[...document.querySelectorAll('tbody a')].map(a => a.textContent)")
        return texts

    as_sent = names()
    assert as_sent[0] == "directory/"
    page.get_by_role("button", name="Size").click()
    assert names()[0] == "directory/"
    assert names()[-1] == "large"
    page.get_by_role("button", name="Size").click()
    assert names()[:3] == ["directory/", "large", "middle"]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Size")
    page.get_by_role("button", name="Name").click()
    assert names() == as_sent
    page.get_by_text("directory/").click()
    page.wait_for_url("**/bare/directory/")
    assert told == []
    page.close()
