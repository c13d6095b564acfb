"""Real peers against the program: load generators, curl, the clients of the standard library, and a browser."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from support import ROOT, Program, need

WWW = ROOT / "www"
#: Every file of the site, as paths beneath it.
FILES = sorted(str(path.relative_to(WWW)) for path in WWW.rglob("*") if path.is_file())
#: How long a peer may take, in seconds: generous, because the machine may be busy.
LONG = 60


@pytest.fixture
def program() -> Iterator[Program]:
    """The program, serving ``www`` with a log that does not outgrow the pipe; nothing may go wrong inside it."""
    with Program.start("--max-connections", "128", "--log-level", "info", WWW) as running:
        yield running
        if running.process.poll() is None:
            assert running.finish() == 0
        assert "Invariant Violations: 0" in running.lines
        assert "  malloc() calls during runtime: 0" in running.lines
        assert "  free() calls during runtime: 0" in running.lines


def run(*command: str | Path) -> str:
    """Run a peer that must succeed, and return what it says. Whatever it has started ends with it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        output, errors = process.communicate(timeout=LONG)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 0, errors.decode(errors="replace")[-2000:]
    return output.decode(errors="replace")


def served(program: Program) -> int:
    """Stop the program and return how many requests it says that it served."""
    assert program.finish() == 0
    line = next(line for line in program.lines if line.startswith("Total requests served: "))
    return int(line.partition(": ")[2].replace(",", ""))


# Load generators.


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep_alive", "close"])
def test_ab_sees_no_failed_request(keep_alive: bool) -> None:
    """``ab -n 10000 -c 100``: every request is answered with a 2xx of the right length."""
    ab = need("ab")
    with Program.start("--max-connections", "128", "--log-level", "info", WWW) as program:
        options = ["-k"] if keep_alive else []
        url = f"http://127.0.0.1:{program.port}/index.html"
        told = run(ab, "-q", *options, "-n", "10000", "-c", "100", url)
        numbers = dict(re.findall(r"^([A-Z][^:\n]*):\s+(\d+)", told, re.MULTILINE))
        assert numbers["Complete requests"] == "10000"
        assert numbers["Failed requests"] == "0"
        assert numbers.get("Keep-Alive requests") == ("10000" if keep_alive else None)
        assert "Non-2xx" not in told
        assert "Write errors" not in told
        size = (WWW / "index.html").stat().st_size
        assert numbers["Document Length"] == str(size)
        # ab may have begun a few more than it waited for.
        assert int(numbers["HTML transferred"]) >= 10_000 * size
        assert served(program) >= 10_000


def test_wrk_sees_no_socket_error(program: Program) -> None:
    """A second of ``wrk`` on 100 connections: no connect, read, write or timeout error, and no status but 2xx."""
    told = run(
        need("wrk"), "-t", "2", "-c", "100", "-d", "1", "--timeout", "60s", f"http://127.0.0.1:{program.port}/about.txt"
    )
    count = re.search(r"(\d+) requests in", told)
    assert count
    assert int(count[1]) > 100
    assert "Socket errors" not in told
    assert "Non-2xx" not in told


# curl.


def test_curl_gets_every_file_byte_for_byte_on_one_connection(program: Program, tmp_path: Path) -> None:
    """All files in one call: each is as on disk, with a Content-Type, and one connection is enough for all."""
    command: list[str] = [
        need("curl"),
        "-sS",
        "--fail",
        "-w",
        "%{http_version} %{http_code} %{num_connects} %{content_type}\\n",
    ]
    for index, name in enumerate(FILES):
        command += ["-o", str(tmp_path / str(index)), f"http://127.0.0.1:{program.port}/{quote(name)}"]
    lines = run(*command).splitlines()
    assert len(lines) == len(FILES) > 10
    for index, (name, line) in enumerate(zip(FILES, lines, strict=True)):
        version, status, connects, media_type = line.split(maxsplit=3)
        assert (version, status) == ("1.1", "200"), name
        assert connects == ("1" if index == 0 else "0"), name
        assert "/" in media_type
        assert (tmp_path / str(index)).read_bytes() == (WWW / name).read_bytes(), name
    assert served(program) == len(FILES)


def test_curl_by_http_1_0_gets_the_file_and_the_end(program: Program, tmp_path: Path) -> None:
    """``curl --http1.0``: the same content; the connection ends after it."""
    target = tmp_path / "file"
    url = f"http://127.0.0.1:{program.port}/downloads/one-mebibyte.txt"
    told = run(need("curl"), "-sS", "--fail", "--http1.0", "-D", "-", "-o", target, url)
    assert "\r\nConnection: close\r\n" in told
    assert target.read_bytes() == (WWW / "downloads" / "one-mebibyte.txt").read_bytes()


def test_curl_head_gets_the_fields_of_get(program: Program) -> None:
    """``curl -I``: the head of the same request by GET, and nothing after it."""
    curl = need("curl")
    for name in FILES:
        url = f"http://127.0.0.1:{program.port}/{quote(name)}"
        # Both in one call: curl would wait for content that HEAD had promised, or trip over content that came.
        heads = run(curl, "-sS", "--fail", "-I", url, "--next", "-sS", "--fail", "-D", "-", "-o", "/dev/null", url)
        by_head, by_get = re.sub(r"\r\nDate: [^\r]+", "", heads).removesuffix("\r\n\r\n").split("\r\n\r\n")
        assert by_head == by_get
        assert f"\r\nContent-Length: {(WWW / name).stat().st_size}\r\n" in by_head


# The standard library.


def test_http_client_reads_every_file_on_one_connection(program: Program) -> None:
    """``http.client`` with a persistent connection, GET and HEAD in turn."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=LONG)
    try:
        connection.connect()
        first = connection.sock
        for name in FILES:
            expected = (WWW / name).read_bytes()
            for method, content in (("HEAD", b""), ("GET", expected)):
                connection.request(method, "/" + quote(name))
                response = connection.getresponse()
                assert (response.status, response.version) == (200, 11)
                assert response.headers["Content-Length"] == str(len(expected))
                assert response.read() == content
        assert connection.sock is first
    finally:
        connection.close()
    assert served(program) == 2 * len(FILES)


def test_urllib_reads_every_file_and_follows_to_a_directory(program: Program) -> None:
    """``urllib.request``: each file, and a directory named without its slash."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    here = f"http://127.0.0.1:{program.port}/"
    for name in FILES:
        with opener.open(here + quote(name), timeout=LONG) as response:
            assert response.read() == (WWW / name).read_bytes(), name
    with opener.open(here + "docs", timeout=LONG) as response:
        assert response.url == here + "docs/"
        assert response.read() == (WWW / "docs" / "index.html").read_bytes()


# A browser.

CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1000,800",
    # The page's own clock: it goes on only while nothing is being loaded, so that everything is.
    "--virtual-time-budget=10000",
]


def test_a_browser_shows_the_page_with_everything_on_it(tmp_path: Path) -> None:
    """Headless Chromium loads the page, its style sheet, script, images and font, all with 200, and can draw it."""
    chromium = need("chromium")
    picture = tmp_path / "page.png"
    with Program.start("--max-connections", "128", WWW) as program:
        url = f"http://127.0.0.1:{program.port}/"
        page = run(chromium, *CHROMIUM, f"--user-data-dir={tmp_path / 'first'}", "--dump-dom", url)
        # The script has run too: it adds a button to each snippet.
        assert "<h1>A server made to be attacked</h1>" in page
        assert '<button type="button" class="copy"' in page
        run(chromium, *CHROMIUM, f"--user-data-dir={tmp_path / 'second'}", f"--screenshot={picture}", url)
        assert program.finish() == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 5000
    shown = {line.partition("/www/")[2].partition(" (")[0] for line in program.lines if "Serving file: " in line}
    asked = [line.split()[4] for line in program.lines if "Parsed: " in line]
    for name in ("css/style.css", "js/site.js", "images/logo.svg", "images/logo.png", "fonts/pooled-blocks.woff2"):
        assert name in shown, shown
        assert f"/{name}" in asked
    assert {"index.html", "favicon.ico"} <= shown
    # Whatever is not a file of 200 is told as "Answering" or "Rejected".
    assert not [line for line in program.lines if "Answering: " in line or "Rejected: " in line]
    assert f"Total requests served: {len(asked)}" in program.lines
    assert sum("Serving file: " in line for line in program.lines) == len(asked)
