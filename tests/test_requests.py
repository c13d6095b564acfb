"""The table of answers, over real sockets: each row, whole and byte by byte, followed by a request of its own."""

from __future__ import annotations

import email.utils
import os
import time

import pooled_httpd
import pytest
from support import Raw, Site, exchange, get, settled_tag

#: A request, its status, and whether the connection persists.
ROWS = {
    "get": (get("/a.txt"), 200, True),
    "head": (get("/a.txt", method="HEAD"), 200, True),
    "options": (get("/a.txt", method="OPTIONS"), 204, True),
    "options_asterisk": (get("*", method="OPTIONS"), 204, True),
    "post": (get("/a.txt", "Content-Length: 3", method="POST") + b"abc", 405, True),
    "put_chunked": (get("/", "Transfer-Encoding: chunked", method="PUT") + b"3\r\nabc\r\n0\r\n\r\n", 405, True),
    "delete": (get("/a.txt", method="DELETE"), 405, True),
    "trace": (get("/a.txt", method="TRACE"), 405, True),
    "connect": (get("localhost:80", method="CONNECT"), 405, True),
    "unknown_method": (get("/a.txt", method="BREW"), 501, True),
    "lower_case_method": (get("/a.txt", method="get"), 501, True),
    "http10": (get("/a.txt", version="HTTP/1.0"), 200, False),
    "http10_keep_alive": (get("/a.txt", "Connection: keep-alive", version="HTTP/1.0"), 200, True),
    "http19": (get("/a.txt", version="HTTP/1.9"), 200, True),
    "http20": (get("/a.txt", version="HTTP/2.0"), 505, False),
    "http09": (b"GET /a.txt\r\n", 400, False),
    "two_empty_lines": (b"\r\n\r\n" + get("/a.txt"), 200, True),
    "three_empty_lines": (b"\r\n\r\n\r\n" + get("/a.txt"), 400, False),
    "bare_lf": (get("/a.txt").replace(b"\r\n", b"\n"), 400, False),
    "bare_cr": (get("/a.txt", "X: a\rb"), 400, False),
    "obs_fold": (get("/a.txt", "X: a", " b"), 400, False),
    "space_before_colon": (get("/a.txt", "X : a"), 400, False),
    "nul_in_a_field": (get("/a.txt", "X: a\0b"), 400, False),
    "empty_field_name": (get("/a.txt", ": a"), 400, False),
    "field_name_not_a_token": (get("/a.txt", "X(: a"), 400, False),
    "request_line_too_long": (get("/" + "p" * 10_240), 414, False),
    "header_section_too_large": (get("/a.txt", "X: " + "y" * 17_000), 431, False),
    "too_many_field_lines": (get("/a.txt", *["X: y"] * 100), 431, False),
    "host_missing": (b"GET /a.txt HTTP/1.1\r\n\r\n", 400, False),
    "host_empty": (b"GET /a.txt HTTP/1.1\r\nHost:\r\n\r\n", 400, False),
    "host_repeated": (get("/a.txt", "Host: localhost"), 400, False),
    "host_malformed": (b"GET /a.txt HTTP/1.1\r\nHost: a b\r\n\r\n", 400, False),
    "value_with_nbsp": (get("/a.txt", "Content-Length: \xa05", method="POST"), 400, False),
    "absolute_form": (get("http://elsewhere:81/a.txt"), 200, True),
    "absolute_form_https": (get("https://elsewhere/a.txt"), 400, False),
    "content_length_not_digits": (get("/", "Content-Length: 5a", method="POST"), 400, False),
    "content_length_repeated": (get("/", "Content-Length: 1", "Content-Length: 1", method="POST") + b"x", 400, False),
    "content_length_too_large": (get("/", "Content-Length: 99999999999", method="POST"), 413, False),
    "both_lengths": (get("/", "Content-Length: 1", "Transfer-Encoding: chunked", method="POST"), 400, False),
    "chunked_in_http10": (get("/", "Transfer-Encoding: chunked", method="POST", version="HTTP/1.0"), 400, False),
    "chunked_twice": (get("/", "Transfer-Encoding: chunked, chunked", method="POST"), 400, False),
    "unknown_coding": (get("/", "Transfer-Encoding: gzip, chunked", method="POST"), 501, False),
    "chunk_fault": (get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabcX", 400, False),
    "chunked_too_large": (get("/", "Transfer-Encoding: chunked", method="POST") + b"100001\r\n", 413, False),
    "connection_close": (get("/a.txt", "Connection: x, Close"), 200, False),
    "expectation": (get("/a.txt", "Expect: a-miracle"), 417, True),
    "encoded_nul": (get("/%00"), 400, True),
    "bad_percent_encoding": (get("/%4"), 400, True),
    "encoded_slash": (get("/dir%2findex.html"), 400, True),
    "backslash": (get("/dir\\index.html"), 400, True),
    "climbing": (get("/../a.txt"), 400, True),
    "fragment": (get("/a.txt#b"), 400, True),
    "not_there": (get("/nothing"), 404, True),
    "a_file_as_a_directory": (get("/a.txt/"), 404, True),
    "a_very_long_name": (get("/" + "n" * 256), 404, True),
    "a_directory_without_slash": (get("/dir"), 301, True),
    "a_directory_with_index": (get("/dir/"), 200, True),
    "a_directory_without_index": (get("/bare/"), 404, True),
    "hidden": (get("/.hidden"), 404, True),
    "well_known": (get("/.well-known/security.txt"), 200, True),
    "pool_exhausted": (get("/" + "p" * 7900), 507, False),
}


@pytest.mark.parametrize("step", [1 << 20, 1], ids=["whole", "byte_by_byte"])
@pytest.mark.parametrize("name", ROWS)
def test_each_row_is_answered_as_the_table_says(server: pooled_httpd.Server, name: str, step: int) -> None:
    """Each row, and a second request that is answered or not, as the connection persists or not."""
    data, status, persists = ROWS[name]
    if step == 1 and len(data) > 2000:
        step = 7
    method = data.lstrip().split(b" ")[0].decode()
    following = get("/a.txt")
    with Raw(server.port) as raw:
        raw.send_slowly(data + following, step)
        assert raw.response(method).status == status
        if persists:
            assert raw.response().content == b"hello\n"
            raw.half_close()
        assert raw.closed()


def test_a_file_is_served_with_its_fields(server: pooled_httpd.Server, site: Site) -> None:
    """200 carries Date, Content-Type, Content-Length, Last-Modified, ETag and Accept-Ranges."""
    response = exchange(server.port, get("/a.txt"))
    assert response.content == b"hello\n"
    assert response.fields["content-type"] == "text/plain; charset=utf-8"
    assert response.fields["last-modified"] == email.utils.formatdate(
        (site.root / "a.txt").stat().st_mtime, usegmt=True
    )
    assert response.fields["etag"].startswith('"')
    assert response.fields["accept-ranges"] == "bytes"
    date = email.utils.parsedate_to_datetime(response.fields["date"]).timestamp()
    assert abs(date - time.time()) < 5
    assert "connection" not in response.fields
    assert exchange(server.port, get("/a.txt", "Connection: close")).fields["connection"] == "close"
    persistent = exchange(server.port, get("/a.txt", "Connection: keep-alive", version="HTTP/1.0"))
    assert persistent.fields["connection"] == "keep-alive"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/bare/file.css", "text/css; charset=utf-8"),
        ("/empty", "application/octet-stream"),
    ],
)
def test_media_types(server: pooled_httpd.Server, path: str, media_type: str) -> None:
    """The media type follows from the extension; text has a charset."""
    assert exchange(server.port, get(path)).fields["content-type"] == media_type


def test_head_is_get_without_content(server: pooled_httpd.Server) -> None:
    """The same fields, the same length, no content; errors too."""
    settled_tag(server.port, "/large")
    for path in ("/large", "/nothing", "/dir"):
        head = exchange(server.port, get(path, method="HEAD"), "HEAD")
        full = exchange(server.port, get(path))
        assert head.status == full.status
        assert {k: v for k, v in head.fields.items() if k != "date"} == {
            k: v for k, v in full.fields.items() if k != "date"
        }
        assert int(head.fields["content-length"]) == len(full.content)


def test_a_file_that_has_just_changed_has_tags_that_hold_once(server: pooled_httpd.Server, site: Site) -> None:
    """It could change again within the same tick of the file system's clock: nothing may match until that is over."""
    second = None
    # Where this process had to wait for more than a tick between writing and asking, it tries again.
    for _ in range(1000):
        site.write("young", b"a")
        first = exchange(server.port, get("/young")).fields["etag"]
        second = exchange(server.port, get("/young", f"If-None-Match: {first}"))
        if second.status == 200:
            break
    assert second is not None
    assert second.status == 200
    assert first != second.fields["etag"]
    settled = settled_tag(server.port, "/young")
    assert exchange(server.port, get("/young", f"If-None-Match: {settled}")).status == 304


def test_an_etag_follows_the_file(server: pooled_httpd.Server, site: Site) -> None:
    """The same file has the same ETag; a changed one another, its size and modification time set back included."""
    first = settled_tag(server.port, "/a.txt")
    assert exchange(server.port, get("/a.txt")).fields["etag"] == first
    path = site.root / "a.txt"
    before = path.stat()
    time.sleep(0.02)  # More than the granularity of the file system's clock.
    path.write_bytes(b"HELLO\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = exchange(server.port, get("/a.txt"))
    assert second.content == b"HELLO\n"
    assert second.fields["etag"] != first


def test_405_and_options_tell_what_is_allowed(server: pooled_httpd.Server) -> None:
    """405 and the answer to OPTIONS carry Allow; 204 carries no length."""
    assert exchange(server.port, get("/", method="DELETE")).fields["allow"] == "GET, HEAD, OPTIONS"
    options = exchange(server.port, get("*", method="OPTIONS"))
    assert options.fields["allow"] == "GET, HEAD, OPTIONS"
    assert "content-length" not in options.fields


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/dir", "/dir/"),
        ("/dir?a=b&c", "/dir/?a=b&c"),
        ("//dir", "/dir/"),
        ("///dir//.//sub%20dir", "/dir/sub%20dir/"),
        ("/x/../dir", "/dir/"),
        ("http://elsewhere/dir", "/dir/"),
        ("/d%C3%A9", "/d%C3%A9/"),
    ],
)
def test_a_redirect_stays_on_the_site(server: pooled_httpd.Server, site: Site, path: str, location: str) -> None:
    """301 leads to the same path with a final slash, and begins with exactly one."""
    (site.root / "dir" / "sub dir").mkdir()
    (site.root / "dé").mkdir()
    response = exchange(server.port, get(path))
    assert (response.status, response.fields["location"]) == (301, location)


def test_names_are_decoded_once(server: pooled_httpd.Server, site: Site) -> None:
    """Percent-encoding is undone once; what it makes is a name and nothing else."""
    site.write("%41", b"percent\n")
    assert exchange(server.port, get("/a%20b%2B%25.txt")).content == b"space\n"
    assert exchange(server.port, get("/%2541")).content == b"percent\n"
    assert exchange(server.port, get("/%252e%252e/a.txt")).status == 404
    assert exchange(server.port, get("/dir/%2e%2e/a.txt")).content == b"hello\n"


def test_expect_continue(server: pooled_httpd.Server) -> None:
    """100 comes before the content is sent, the final answer after it."""
    with Raw(server.port) as raw:
        raw.send(get("/", "Expect: 100-continue", "Content-Length: 5", method="POST"))
        assert raw.response().status == 100
        raw.send(b"hello" + get("/a.txt"))
        assert raw.response().status == 405
        assert raw.response().status == 200


def test_pipelined_requests_are_answered_in_order(server: pooled_httpd.Server) -> None:
    """Many requests in one segment, small and large files mixed, each answered whole and in order."""
    paths = ["/a.txt", "/large", "/empty", "/nothing", "/dir/", "/large"] * 5
    with Raw(server.port) as raw:
        raw.send(b"".join(get(path) for path in paths)).half_close()
        contents = [raw.response().content for _ in paths]
        assert raw.closed()
    alone = {path: exchange(server.port, get(path)).content for path in set(paths)}
    assert contents == [alone[path] for path in paths]


def test_a_large_file_arrives_byte_for_byte(server: pooled_httpd.Server, site: Site) -> None:
    """A file larger than every buffer, and those around the size of the send buffer."""
    for size in (1, 16_000, 16_100, 16_384, 16_385, 40_000, 3_000_000):
        content = bytes((offset * 7 + offset // 251) % 256 for offset in range(size))
        site.write("sized", content)
        with Raw(server.port) as raw:
            raw.send(get("/sized") * 2)
            assert raw.response().content == content
            assert raw.response().content == content


def test_keep_alive_and_the_number_of_requests_can_be_limited(site: Site) -> None:
    """``keep_alive`` off closes after each response, ``max_requests_per_connection`` after so many."""
    with pooled_httpd.Server(site.root, keep_alive=False) as server, Raw(server.port) as raw:
        raw.send(get("/a.txt") * 2)
        assert raw.response().fields["connection"] == "close"
        assert raw.closed()
    with pooled_httpd.Server(site.root, max_requests_per_connection=3) as server, Raw(server.port) as raw:
        raw.send(get("/a.txt") * 5)
        assert ["connection" in raw.response().fields for _ in range(3)] == [False, False, True]
        assert raw.closed()


def test_limits_can_be_changed(site: Site) -> None:
    """The limits of a request are those of the options."""
    options = {"max_content": 4, "max_field_lines": 2, "max_request_line": 100, "buffer_size": 2048}
    with pooled_httpd.Server(site.root, **options) as server:  # type: ignore[arg-type]
        assert exchange(server.port, get("/", "Content-Length: 4", method="POST") + b"four").status == 405
        assert exchange(server.port, get("/", "Content-Length: 5", method="POST")).status == 413
        assert exchange(server.port, get("/a.txt", "A: b")).status == 200
        assert exchange(server.port, get("/a.txt", "A: b", "A: b")).status == 431
        assert exchange(server.port, get("/" + "p" * 86)).status == 404
        assert exchange(server.port, get("/" + "p" * 87)).status == 414
        assert exchange(server.port, get("/a.txt", "A: " + "b" * 2048)).status == 431


def test_a_file_that_shrinks_or_goes_ends_its_connection_only(server: pooled_httpd.Server, site: Site) -> None:
    """A file truncated while it is sent: the connection ends short of Content-Length and is counted, never padded."""
    path = site.write("shrinking", b"x" * 50_000_000)
    with Raw(server.port, receive_buffer=4096) as raw:
        raw.send(get("/shrinking"))
        while b"\r\n\r\n" not in raw.received:
            raw._more()
        with path.open("r+b") as file:
            file.truncate(1_000_000)
        assert not raw.closed()
        head, _, content = raw.received.partition(b"\r\n\r\n")
        assert b"Content-Length: 50000000" in head
        assert len(content) < 50_000_000
        assert set(content[:1_000_000]) == {ord("x")}
        # sendfile shares the file's pages; what was on its way of those that were cut off, the kernel may have zeroed.
        assert set(content) <= {ord("x"), 0}
    assert server.stats().files_truncated == 1
    path = site.write("going", b"y" * 8_000_000)
    with Raw(server.port, receive_buffer=65536) as raw:
        raw.send(get("/going"))
        while b"\r\n\r\n" not in raw.received:
            raw._more()
        path.unlink()
        assert len(raw.response().content) == 8_000_000, "an open file outlives its name"
    assert exchange(server.port, get("/a.txt")).status == 200


def test_a_response_shows_the_file_as_it_is(server: pooled_httpd.Server, site: Site) -> None:
    """Write, ask, compare: in place and by rename, the same size within one tick of the clock."""
    path = site.root / "a.txt"
    other = site.root / "other"
    with Raw(server.port) as raw:
        for round_ in range(2000):
            content = b"%06d" % round_
            if round_ % 2:
                path.write_bytes(content)
            else:
                other.write_bytes(content)
                other.rename(path)
            assert raw.send(get("/a.txt")).response().content == content
