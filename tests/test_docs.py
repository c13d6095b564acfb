"""What the documentation says is so: its examples run, its drawings are the code's, its reference has no hole."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pooled_httpd
import pooled_httpd_pytest
import pytest
from planted import FAULTS
from pooled_httpd.attack.catalogue import CASES
from support import PATIENCE, ROOT, Program, need

PAGE = ROOT / "docs" / "how-it-works.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)
#: What every Python example of the page begins with.
PRELUDE = next(code for language, code in BLOCKS if language == "python")
#: The other Python examples, each with what it prints, which stands right behind it.
EXAMPLES = [
    (code, BLOCKS[number + 1][1])
    for number, (language, code) in enumerate(BLOCKS)
    if language == "python" and code != PRELUDE
]
#: How often an example is run whose pieces a busy machine may receive as one.
TRIES = 5


def plain(story: str) -> str:
    """Leave out what differs from run to run: ports and times."""
    return re.sub(r"(?<=127\.0\.0\.1:)\d+|(?<=lifetime: )\d+", "N", story)


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the programs in ``docs``."""
    command = [sys.executable, ROOT / "docs" / name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("code", "printed"), EXAMPLES)
def test_the_examples_of_the_page_print_what_it_says(code: str, printed: str) -> None:
    """Each in the project's folder, with what every one of them begins with."""
    story = ""
    for _ in range(TRIES):
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 3,
            check=False,
        )
        story = plain(done.stdout)
        if done.returncode == 0 and story == plain(printed):
            break
    assert (done.returncode, done.stderr) == (0, "")
    assert story == plain(printed)


def test_the_page_has_all_of_its_examples() -> None:
    """None hides behind a fence that this does not read, and each Python example has its output behind it."""
    assert TEXT.count("```") == 2 * len(BLOCKS)
    assert len(EXAMPLES) >= 5
    languages = [language for language, _ in BLOCKS]
    for number, language in enumerate(languages):
        assert language != "python" or number == languages.index("python") or languages[number + 1] == "text"


def test_the_story_in_a_terminal_is_as_the_page_tells_it() -> None:
    """Its first two commands, but for the port; how much curl sends depends on its version and the port."""
    (_, commands), (_, story) = BLOCKS[:2]
    server, client = (line.split() for line in commands.splitlines())
    assert server == ["httpserver", "--port", "8080", "./www"]
    assert client == ["curl", "http://localhost:8080/about.txt"]

    def tidy(text: str) -> str:
        return re.sub(r"(?<=Read )\d+|(?<=buffer: )\d+", "N", plain(text))

    before = os.getcwd()
    os.chdir(ROOT)
    try:
        program = Program.start(server[-1])
    finally:
        os.chdir(before)
    try:
        url = f"http://127.0.0.1:{program.port}/about.txt"
        subprocess.run([need("curl"), "--silent", url], check=True, capture_output=True, timeout=PATIENCE)
        program.wait_for("Total lifetime")
    finally:
        assert program.finish() == 0
    lines = [line for line in program.lines if line.startswith("[CONN 0]")]
    assert tidy("\n".join(lines)) == tidy(story.rstrip("\n"))


def test_the_attacks_of_the_page_find_nothing(tmp_path: Path) -> None:
    """Its last commands, as they stand but for the port, on our server, with more patience for a busy machine."""
    commands = [line.split() for line in BLOCKS[-1][1].splitlines()]
    assert [command[0] for command in commands] == ["pooled-httpd-fuzz", "python"]
    with pooled_httpd.Server(ROOT / "www", log_level="off") as server:
        for command in commands:
            words = [word.replace("8080", str(server.port)) for word in command]
            words[0] = str(Path(sys.executable).parent / words[0])
            words += ["--patience", "10"]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_the_numbers_of_the_page_are_the_codes() -> None:
    """Cases, faults, seeds, invariants; and what the limits are called."""
    assert f"catalogue** of {len(CASES)} hostile requests" in TEXT.replace("\n", " ")
    assert f"**planted faults**: {len(FAULTS)} small bugs" in TEXT.replace("\n", " ")
    assert "Ten thousand seeds" in TEXT
    assert "const SEEDS: u64 = 10_000;" in (ROOT / "src/sim/mod.rs").read_text()
    assert "nine invariants" in TEXT
    assert "const NAMES: [&str; 9]" in (ROOT / "src/connection/invariants.rs").read_text()
    loop = "".join(path.read_text() for path in (ROOT / "src/net").rglob("*.rs"))
    assert "4 receives and 1 MiB of a file" in TEXT.replace("\n", " ")
    assert "const RECEIVES_PER_TURN: usize = 4;" in loop
    assert "const FILE_BYTES_PER_TURN: u64 = 1 << 20;" in loop
    assert "for a second, or 256 KiB at most" in TEXT.replace("\n", " ")
    assert "const LINGER: Duration = Duration::from_secs(1);" in (ROOT / "src/connection/core.rs").read_text()
    assert "const MAX_DRAINED: usize = 256 * 1024;" in (ROOT / "src/connection/sending.rs").read_text()
    limits = re.findall(r"^\| `(\w+)` \|", TEXT.partition("| limit |")[2], re.M)
    assert len(limits) == 11
    assert set(limits) <= {name for name, _, _ in pooled_httpd.options()}


def test_the_drawings_and_the_table_of_states_are_the_codes() -> None:
    """The files are what ``make drawings`` would write."""
    done = script("drawings.py", "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_links_between_the_documents_lead_somewhere() -> None:
    """Each file that the README and the page link to or show is there, and the README leads to the page."""
    readme = ROOT / "README.md"
    for document in (readme, PAGE):
        found = re.findall(r"\]\(([^)#:]+)\)|(?:src|srcset|href)=\"([^\"#:]+)\"", document.read_text())
        paths = [one or other for one, other in found]
        assert paths
        for path in paths:
            assert (document.parent / path).exists(), f"{path} in {document.name}"
    assert "(docs/how-it-works.md)" in readme.read_text()


def public_modules() -> Iterator[ModuleType]:
    """Every module of our packages that has docstrings for readers."""
    for package in (pooled_httpd, pooled_httpd_pytest):
        yield package
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "._" not in module.name and ".test_" not in module.name:
                yield importlib.import_module(module.name)


def docstrings(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The docstrings of a module, its functions, its classes and their methods, each with its name."""
    yield module.__name__, inspect.getdoc(module) or ""
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) == module.__name__ and (
            inspect.isfunction(value) or inspect.isclass(value)
        ):
            yield f"{module.__name__}.{name}", inspect.cleandoc(value.__doc__ or "")
            if inspect.isclass(value):
                for member, method in vars(value).items():
                    if text := getattr(method, "__doc__", None):
                        yield f"{module.__name__}.{name}.{member}", inspect.cleandoc(text)


def examples() -> Iterator[object]:
    """The examples in docstrings: what is indented behind an empty line."""
    for module in public_modules():
        for name, text in docstrings(module):
            for number, block in enumerate(re.findall(r"(?:\A|\n\n)((?: {4}.*(?:\n|\Z)|\n(?= {4}))+)", text)):
                yield pytest.param(module, textwrap.dedent(block).strip(), id=f"{name}-{number}")


@pytest.mark.parametrize(("module", "code"), list(examples()))
def test_the_examples_in_docstrings_run(module: ModuleType, code: str) -> None:
    """Each in a process of its own, with the names of its module and of the kit, and a server."""
    with_names = (
        "import importlib, sys, urllib.request\n"
        "import hypothesis, pooled_httpd, pooled_httpd.attack as kit\n"
        "from pooled_httpd.attack import strategies\n"
        "name, code = sys.argv[1:]\n"
        "module = importlib.import_module(name)\n"
        "names = {key: getattr(kit, key) for key in kit.__all__}\n"
        "names |= {'given': hypothesis.given, 'strategies': strategies}\n"
        "names |= {'urllib': urllib, 'pooled_httpd': pooled_httpd}\n"
        "with pooled_httpd.Server('www', log_level='off') as server:\n"
        "    code = code.replace('8080', str(server.port)).replace('9100', '0')\n"
        "    exec(compile(code, module.__file__, 'exec'), {**vars(module), **names, 'server': server})\n"
    )
    command = [sys.executable, "-c", with_names, module.__name__, code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE * 3, check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_examples_in_docstrings() -> None:
    """At least those that were there when this was written."""
    assert len(list(examples())) >= 5


def test_the_reference_is_whole(tmp_path: Path) -> None:
    """It has every public module without a list, what the stub says, and nothing to complain of."""
    done = script("reference.py", "--build", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pages = {str(page.relative_to(tmp_path)) for page in tmp_path.rglob("*.html")}
    assert {"index.html", "pooled_httpd.html", "pooled_httpd/errors.html", "pooled_httpd_pytest.html"} <= pages
    page = (tmp_path / "pooled_httpd.html").read_text()
    for name in pooled_httpd.__all__:
        is_module = inspect.ismodule(getattr(pooled_httpd, name))
        assert f"pooled_httpd/{name}.html" in pages if is_module else f'id="{name}"' in page, name
    for name in (name for name in dir(pooled_httpd.ServerStats) if not name.startswith("_")):
        assert f'id="ServerStats.{name}"' in page, name
    for name in (name for name in dir(pooled_httpd.Server) if not name.startswith("_")):
        assert f'id="Server.{name}"' in page, name
    for name, _, _ in pooled_httpd.options():
        assert f"<code>{name}</code>" in page, name
    assert "docroot" in page.partition('id="Server.__init__"')[2].partition("</section>")[0].partition("</div>")[0]
    assert all(f"pooled_httpd/attack/{name}.html" in pages for name in ("client", "strategies", "reference", "machine"))


#: A file, a text in it and what stands in its place, and what is told then.
HOLES = (
    ("new_module.py", "", "FIRST = 1\n", "pooled_httpd.new_module is not described"),
    ("errors.py", '    """The server belongs to the parent process."""', "    pass", "ForkError is not described"),
    ("_native.pyi", '        """The document root as it was given."""', "        ...", "docroot is not described"),
    ("server.py", "see :func:`options`", "see :func:`optoins`", "pooled_httpd.Server refers to optoins"),
    (
        "server.py",
        "str | PathLike[str], content",
        "str | Missing, content",
        "Error parsing type annotation str | Missing",
    ),
)


def changed_package(place: Path, file: str, right: str, wrong: str) -> None:
    """Put another text into a file of the package in ``place``, which gets one where it has none."""
    source = place / "pooled_httpd"
    if not source.exists():
        without = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / "python", place, ignore=without, dirs_exist_ok=True)
    text = (source / file).read_text() if right else ""
    assert right in text
    (source / file).write_text(text.replace(right, wrong) if right else wrong)


def test_every_hole_in_the_reference_is_an_error(tmp_path: Path) -> None:
    """What is not described, refers to nothing, or has a type that is none, is told and fails."""
    for file, right, wrong, _ in HOLES:
        changed_package(tmp_path, file, right, wrong)
    done = script("reference.py", "--source", tmp_path, "--build", tmp_path / "build")
    assert done.returncode == 1, done.stderr
    told = done.stderr.splitlines()
    for *_, expected in HOLES:
        assert any(expected in line for line in told), f"{expected}\n{done.stderr}"


def test_a_module_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    """It would else be missing in silence."""
    changed_package(tmp_path, "attack/crowd.py", "from pooled_httpd", "from pooled_http")
    done = script("reference.py", "--source", tmp_path, "--build", tmp_path / "build")
    assert done.returncode == 1
    assert "pooled_http" in done.stderr
