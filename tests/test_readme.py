"""The README says what is true: its table of options, its Python, its promises."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pooled_httpd
from support import PATIENCE, ROOT

README = (ROOT / "README.md").read_text()


def test_the_table_of_options_is_the_servers_own() -> None:
    """Names, defaults and texts, in the same order."""
    table = README.partition("| option | default |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", table, re.M)
    assert rows == pooled_httpd.options()


def test_the_options_on_the_site_are_the_servers_own() -> None:
    """The same list on the page that ``www`` has of it."""
    page = (ROOT / "www" / "docs" / "index.html").read_text()
    rows = re.findall(r'<tr><th scope="row"><code>(\w+)</code></th><td>(.+?)</td><td>(.+?)\.</td></tr>', page)
    assert [tuple(map(html.unescape, row)) for row in rows] == pooled_httpd.options()


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    """Each block as it stands, but for ports, a stop from another thread, and names that are the reader's own."""
    first, second, notebook, script, test = re.findall(r"```python\n(.*?)```", README, re.S)
    stop = "import threading; threading.Timer(0.2, lambda: pooled_httpd.server_stop(server)).start()\n"
    second = second.replace("8080", "0").replace("pooled_httpd.server_run", stop + "pooled_httpd.server_run")
    second = "import pooled_httpd\n" + second
    notebook = "import pooled_httpd, urllib.request\n" + notebook.replace(
        "recorder.png", str(tmp_path / "recorder.png")
    )
    refuses = "def my_parser_refuses(data):\n    return True\n"
    with pooled_httpd.Server(ROOT / "www", log_level="off") as server:
        script = script.replace("8080", str(server.port))
        for code, expected in (
            (first, "1 {200: 1} "),
            (second, "Pool Statistics:"),
            (notebook, ""),
            (script, "200\n"),
            (f"{refuses}{test}\ntest_my_parser_is_no_laxer()\nprint('held')", "held"),
        ):
            done = subprocess.run(
                [sys.executable, "-c", code],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=PATIENCE * 3,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert expected in done.stdout
    assert (tmp_path / "recorder.png").read_bytes().startswith(b"\x89PNG")


def test_the_commands_of_the_attack_kit_run(tmp_path: Path) -> None:
    """Each as it stands, but for the port and the swarms' time, on our server: nothing is found."""
    block = next(block for block in re.findall(r"```sh\n(.*?)```", README, re.S) if "pooled_httpd.attack" in block)
    commands = [line.partition("#")[0].split() for line in block.splitlines()]
    assert [command[0] for command in commands] == ["python", "pytest", "pooled-httpd-fuzz", "python"]
    with pooled_httpd.Server(ROOT / "www", log_level="off") as server:
        for command in commands:
            quick = ["--seconds", "0.2"] if "swarm" in command else []
            words = [word.replace("8080", str(server.port)) for word in (*command, *quick)]
            words[0] = str(Path(sys.executable).parent / words[0])
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_that_check_the_promises_exist() -> None:
    """Each path in the table of promises is there."""
    table = README.partition("| | promise |")[2].partition("\n\n")[0]
    paths = re.findall(r"`((?:src|tests)/[\w./]+)`", table)
    assert len(paths) >= 9
    for path in paths:
        assert (Path(ROOT) / path).exists(), path


def test_files_name_no_place_of_a_machine() -> None:
    """No absolute path of a machine gets into what is committed."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in listed:
        path = ROOT / name
        if path.suffix in {".py", ".pyi", ".rs", ".md", ".toml", ".html", ".svg", ""} and path.is_file():
            assert not re.search(r"/(root|work)/", path.read_text(errors="ignore")), name
