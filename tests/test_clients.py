"""Clients that people use, doing what ranges, conditions and content codings are for."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import os
import struct
import subprocess
import time
from pathlib import Path

import aiohttp
import brotli
import httpx
import pooled_httpd
import pytest
import requests
import zstandard
from playwright.sync_api import sync_playwright
from support import ROOT, Site, need, settled_tag

WWW = ROOT / "www"
FILES = sorted(str(path.relative_to(WWW)) for path in WWW.rglob("*") if path.is_file())
#: How long a client may take, in seconds.
LIMIT = 60.0


def run(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run a client without a proxy and without asking anybody."""
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, env=environment)


def curl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run curl, quiet and without a configuration file."""
    return run(need("curl"), "-q", "--silent", "--show-error", "--noproxy", "*", *arguments)


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ("0-5", [(0, 5)]),
        ("-100", [(319_900, 319_999)]),
        ("319990-", [(319_990, 319_999)]),
        ("0-0,100-199,-1", [(0, 0), (100, 199), (319_999, 319_999)]),
    ],
)
def test_curl_range(server: pooled_httpd.Server, site: Site, asked: str, parts: list[tuple[int, int]]) -> None:
    """``curl --range``: one range is the content, several are parts of a multipart content."""
    large = (site.root / "large").read_bytes()
    done = curl("--range", asked, "--write-out", "%{stderr}%{http_code}", server.url_for("large"))
    assert (done.returncode, done.stderr) == (0, b"206")
    pieces = [large[first : last + 1] for first, last in parts]
    if len(parts) == 1:
        assert done.stdout == pieces[0]
    else:
        at = 0
        for (first, last), piece in zip(parts, pieces, strict=True):
            head = f"Content-Range: bytes {first}-{last}/320000\r\n\r\n".encode()
            at = done.stdout.index(head, at) + len(head)
            assert done.stdout[at : at + len(piece)] == piece


def test_curl_continues_a_download(server: pooled_httpd.Server, site: Site, tmp_path: Path) -> None:
    """``curl --continue-at -`` fetches what is missing, and nothing where nothing is."""
    large = (site.root / "large").read_bytes()
    target = tmp_path / "large"
    target.write_bytes(large[:123_456])
    before = server.stats()
    assert curl("--continue-at", "-", "--output", target, server.url_for("large")).returncode == 0
    assert target.read_bytes() == large
    delta = server.stats() - before
    assert delta.responses == {206: 1}
    assert delta.bytes_sent < len(large) - 123_456 + 1000
    # Curl asks for what lies behind the end, and takes the 416 for what it is.
    curl("--continue-at", "-", "--output", target, server.url_for("large"))
    assert target.read_bytes() == large
    assert server.stats().responses[416] == 1


def test_curl_compressed_gets_the_sidecar_it_likes(site: Site) -> None:
    """``curl --compressed`` takes br; told to take less, it gets zst, gz or the file; the content stays the same."""
    text = b"the same line again and again\n" * 1000
    site.write("t.txt", text)
    site.write("t.txt.gz", gzip.compress(text))
    site.write("t.txt.br", brotli.compress(text))
    site.write("t.txt.zst", zstandard.compress(text))
    with pooled_httpd.Server(site.root, precompressed=True) as server:
        for fields, coding in (
            ([], "br"),
            (["-H", "Accept-Encoding: gzip, zstd"], "zstd"),
            (["-H", "Accept-Encoding: gzip"], "gzip"),
            (["-H", "Accept-Encoding: identity"], ""),
        ):
            told = "%{stderr}%header{content-encoding} %header{vary} %{size_download}"
            done = curl("--compressed", *fields, "--write-out", told, server.url_for("t.txt"))
            assert done.stdout == text, coding
            content_encoding, vary, size = done.stderr.decode().split(" ")
            assert (content_encoding, vary) == (coding, "Accept-Encoding")
            suffix = {"br": ".br", "zstd": ".zst", "gzip": ".gz", "": ""}[coding]
            assert int(size) == (site.root / f"t.txt{suffix}").stat().st_size


def test_curl_time_condition(server: pooled_httpd.Server, site: Site) -> None:
    """``curl -z``: 304 where the file is not newer than a date or than a file here, 200 where it is."""
    path = site.root / "a.txt"
    hour = 3600
    os.utime(path, (time.time() - hour, time.time() - hour))

    def code(condition: str) -> bytes:
        done = curl("-z", condition, "--output", os.devnull, "--write-out", "%{http_code}", server.url_for("a.txt"))
        return done.stdout

    assert code(email.utils.formatdate(time.time(), usegmt=True)) == b"304"
    assert code(str(path)) == b"304"
    assert code(email.utils.formatdate(time.time() - 2 * hour, usegmt=True)) == b"200"
    # If-Unmodified-Since.
    assert code("-" + email.utils.formatdate(time.time() - 2 * hour, usegmt=True)) == b"412"


def test_curl_keeps_an_etag(server: pooled_httpd.Server, tmp_path: Path) -> None:
    """``curl --etag-save`` and ``--etag-compare``: 304 as long as the file is the same."""
    settled_tag(server.port, "/a.txt")
    tag = tmp_path / "tag"
    url = server.url_for("a.txt")
    assert curl("--etag-save", tag, "--output", os.devnull, url).returncode == 0
    done = curl("--etag-compare", tag, "--output", os.devnull, "--write-out", "%{http_code}", url)
    assert done.stdout == b"304"


def test_wget_continues_a_download(server: pooled_httpd.Server, site: Site, tmp_path: Path) -> None:
    """``wget -c`` fetches what is missing, and finds that nothing is."""
    large = (site.root / "large").read_bytes()
    (tmp_path / "large").write_bytes(large[:200_000])
    command = (need("wget"), "--no-config", "--quiet", "-c", "--directory-prefix", tmp_path, server.url_for("large"))
    for _ in range(2):
        assert run(*command).returncode == 0
        assert (tmp_path / "large").read_bytes() == large
    assert server.stats().responses == {206: 1, 416: 1}


def test_requests_reads_every_file(www: pooled_httpd.Server) -> None:
    """requests, over one session: each file, a 304 with its ETag, and a part of it."""
    with requests.Session() as session:
        session.trust_env = False
        for name in FILES:
            expected = (WWW / name).read_bytes()
            response = session.get(www.url_for(name), timeout=LIMIT)
            assert (response.status_code, response.content) == (200, expected), name
            again = session.get(www.url_for(name), headers={"If-None-Match": response.headers["ETag"]}, timeout=LIMIT)
            assert (again.status_code, again.content) == (304, b""), name
            part = session.get(www.url_for(name), headers={"Range": "bytes=1-3"}, timeout=LIMIT)
            assert (part.status_code, part.content) == (206, expected[1:4]), name
    assert www.stats().total_connections == 1


def test_httpx_reads_every_file(www: pooled_httpd.Server) -> None:
    """httpx, over one client: each file, and a HEAD of it."""
    with httpx.Client(trust_env=False, base_url=www.url) as client:
        for name in FILES:
            response = client.get(f"/{name}")
            assert (response.status_code, response.content) == (200, (WWW / name).read_bytes()), name
            head = client.head(f"/{name}")
            assert head.headers["Content-Length"] == str(len(response.content))
        assert client.get("/docs").headers["Location"] == "/docs/"
        assert client.get("/docs", follow_redirects=True).status_code == 200
    assert www.stats().total_connections == 1


def test_aiohttp_reads_every_file_at_once(www: pooled_httpd.Server) -> None:
    """aiohttp: all files at the same time."""

    async def read_all() -> list[bytes]:
        async with aiohttp.ClientSession() as session:

            async def read(name: str) -> bytes:
                async with session.get(www.url_for(name)) as response:
                    assert response.status == 200
                    return await response.read()

            return await asyncio.gather(*(read(name) for name in FILES))

    assert asyncio.run(read_all()) == [(WWW / name).read_bytes() for name in FILES]


def write_sound(path: Path, size: int = 1 << 30) -> int:
    """Write an hour and a half of silence: no player has read what it is moved to, nor is about to. Return its size."""
    channels, rate, octets = 2, 48_000, 2
    sound = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * octets, channels * octets, 8 * octets)
    riff = struct.pack("<4sI8sI", b"RIFF", size - 8, b"WAVEfmt ", len(sound)) + sound
    with path.open("wb") as file:
        file.write(riff + struct.pack("<4sI", b"data", size - len(riff) - 8))
        return file.truncate(size)


#: Where the video is moved to, in parts of its duration.
PLACES = (0.9, 0.1, 0.5)

SEEK = """
async (places) => {
    const video = document.querySelector("video");
    const until = (name) => new Promise((resolve, reject) => {
        video.addEventListener(name, resolve, {once: true});
        video.addEventListener("error", () => reject(new Error(video.error.message)), {once: true});
    });
    if (video.readyState < 1) await until("loadedmetadata");
    const shown = [];
    for (const fraction of places) {
        video.currentTime = video.duration * fraction;
        await until("seeked");
        shown.push(video.currentTime / video.duration);
    }
    return shown;
}
"""


def test_a_video_element_seeks_by_ranges(site: Site) -> None:
    """Chromium's ``<video>``: it can be moved to any place, here of a sound, and asks for ranges to get there."""
    chromium = need("chromium")
    size = write_sound(site.root / "silence.wav")
    site.write("video.html", b'<!doctype html><video src="silence.wav" preload="metadata"></video>')
    with pooled_httpd.Server(site.root) as server, sync_playwright() as playwright:
        server.record_requests()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(server.url_for("video.html"))
        shown = page.evaluate(SEEK, PLACES)
        browser.close()
    assert shown == pytest.approx(list(PLACES), abs=0.001)
    asked = server.requests(path="/silence.wav")
    # 304 is for what Chromium has kept, and asks about before it goes on from there.
    assert {request.status for request in asked if "If-None-Match" not in request.fields} == {206}
    assert {request.status for request in asked} <= {206, 304}
    starts = [int(request.fields["Range"].removeprefix("bytes=").partition("-")[0]) for request in asked]
    for place in PLACES:
        assert any(abs(start - place * size) < size // 100 for start in starts), (place, size, starts)
