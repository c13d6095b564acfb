"""The README says what is true: its table of options, its Python, its promises."""

from __future__ import annotations

import html
import os
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


def part(heading: str) -> str:
    """The text below a heading, up to the next one of its kind or above."""
    level, _, _ = heading.partition(" ")
    rest = README.partition(f"\n{heading}\n")[2]
    assert rest, heading
    return re.split(rf"^#{{2,{len(level)}}} ", rest, maxsplit=1, flags=re.M)[0]


def blocks(text: str, language: str = "python") -> list[str]:
    """The blocks of code in it."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def environment() -> dict[str, str]:
    """An environment whose commands are those of this interpreter's."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def paste(code: str, directory: Path) -> str:
    """Paste it line by line into an interactive interpreter, and return all that is printed there."""
    (directory / "www").symlink_to(ROOT / "www")
    done = subprocess.run(
        [sys.executable, "-q", "-i"],
        input=code,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Error" not in done.stderr, done.stderr
    return done.stdout


def test_the_tour_of_who_writes_tests(tmp_path: Path) -> None:
    """The test passes as it stands, and once it is wrong its report tells what the text says."""
    (code,) = blocks(part("### For who writes tests"))
    test = tmp_path / "test_prices.py"
    for text, passes in ((code, True), (code.replace("total_requests=3", "total_requests=4"), False)):
        test.write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(test)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode == 0) == passes, done.stdout
    for told in (
        "total_requests  is 3, not 4",
        "GET /prices.json -> 503",
        "Answering as registered: 503",
        "Statistics",
    ):
        assert told in done.stdout


def test_the_tour_of_who_attacks_servers(tmp_path: Path) -> None:
    """The commands in a shell as they stand, but for the port; then the lines in an interpreter."""
    text = part("### For who attacks servers")
    (tmp_path / "www").symlink_to(ROOT / "www")
    (commands,) = blocks(text, "sh")
    serve, *rest = commands.splitlines()
    with subprocess.Popen(
        ["bash", "-e", "-m"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(serve.replace("8080", "0") + "\n")
        shell.stdin.flush()
        port = next(line.strip().rpartition(":")[2] for line in shell.stdout if "Listening on" in line)
        printed, _ = shell.communicate("\n".join(rest).replace("8080", port) + "\nwait\n", timeout=60)
    assert shell.returncode == 0, printed
    (tmp_path / "www").unlink()
    (code,) = blocks(text)
    printed = paste(code, tmp_path)
    assert "400\n" in printed
    assert "Rejected: 400 Bad Request" in printed
    assert "{'content_length_invalid': 1}" in printed


def test_the_tour_of_who_wants_to_see(tmp_path: Path) -> None:
    """The lines as they stand draw a picture."""
    (code,) = blocks(part("### For who wants to see"))
    paste(code, tmp_path)
    assert (tmp_path / "slowloris.png").read_bytes().startswith(b"\x89PNG")


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    """Each block as it stands, but for ports, a stop from another thread, and names that are the reader's own."""
    first, second, notebook = blocks(part("## From Python"))
    script, test = blocks(part("## The attack kit"))
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


def test_no_python_of_the_readme_is_left_out() -> None:
    """Every block is in a part that a test of this module runs."""
    parts = ("## Five minutes", "## From Python", "## The attack kit")
    assert sum(len(blocks(part(heading))) for heading in parts) == len(blocks(README))


def test_the_commands_of_the_attack_kit_run(tmp_path: Path) -> None:
    """Each as it stands, but for the port and the swarms' time, on our server: nothing is found."""
    (block,) = blocks(part("## The attack kit"), "sh")
    commands = [line.partition("#")[0].split() for line in block.splitlines()]
    assert [command[0] for command in commands] == ["python", "pytest", "pooled-httpd-fuzz", "python"]
    with pooled_httpd.Server(ROOT / "www", log_level="off") as server:
        for command in commands:
            quick = ["--seconds", "0.2"] if "swarm" in command else []
            words = [word.replace("8080", str(server.port)) for word in (*command, *quick)]
            words[0] = str(Path(sys.executable).parent / words[0])
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_each_promise_has_a_command_that_runs_what_it_says() -> None:
    """What a row names is there, and is what its command runs."""
    rows = re.findall(r"^\| (P\d) \| .* \| `make (promise-P\d)` \| (.*) \|$", part("## What it promises"), re.M)
    assert [row[0] for row in rows] == [f"P{number}" for number in range(1, 10)]
    for name, target, named in rows:
        assert target == f"promise-{name}"
        shown = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for path in re.findall(r"`((?:src|tests)/[\w./]+)`", named):
            assert (ROOT / path).exists(), path
            module = path.removeprefix("src/").removesuffix(".rs").removesuffix("/mod").replace("/", "::")
            assert (path if path.startswith("tests/") else module) in shown, f"{target} leaves out {path}"


def test_files_name_no_place_of_a_machine() -> None:
    """No absolute path of a machine gets into what is committed."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in listed:
        path = ROOT / name
        if path.suffix in {".py", ".pyi", ".rs", ".md", ".toml", ".html", ".svg", ""} and path.is_file():
            assert not re.search(r"/(root|work)/", path.read_text(errors="ignore")), name
