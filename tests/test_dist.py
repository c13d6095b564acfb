"""What ``make dist`` makes is whole and works where there is neither a compiler nor the source.

It builds the extension once as it is released, and once more without link-time optimization for what is built from the
source distribution and for free-threaded interpreters, which load no wheel of the stable ABI.
"""

from __future__ import annotations

import base64
import csv
import email.parser
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import ROOT, need

pytestmark = pytest.mark.timeout(600)

VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
SOURCE = ROOT / "python"
#: The largest that a wheel may be, in bytes: one with its symbols left in has over three times that.
LARGEST = 1_500_000
#: Fast to build: who tests how a build goes does not need its result to be fast.
QUICK = {
    "CARGO_PROFILE_WHEEL_LTO": "off",
    "CARGO_PROFILE_WHEEL_CODEGEN_UNITS": "16",
    "CARGO_TARGET_DIR": str(ROOT / "target" / "quick"),
}
#: What is run where the wheel was installed; it prints where the package came from, and what it served.
FIRST_USE = """
import pathlib, sys, threading, urllib.request
import pooled_httpd

pathlib.Path("www").mkdir()
pathlib.Path("www/a.txt").write_text("as it is")
with pooled_httpd.Server("www") as server:
    answers = []
    def fetch():
        answers.append(urllib.request.urlopen(server.url_for("/a.txt")).read())
    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = server.stats()
assert answers == [b"as it is"] * 8, answers
assert stats.total_requests == 8 and stats.malloc_calls == 0 and stats.invariant_violations == 0, stats
print(pooled_httpd.__file__)
print(getattr(sys, "_is_gil_enabled", lambda: True)())
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython that was found."""

    path: Path
    version: tuple[int, int]
    free_threaded: bool

    def __str__(self) -> str:
        """Return its name as ``3.14t``."""
        return f"{self.version[0]}.{self.version[1]}{'t' if self.free_threaded else ''}"


def _interpreter(path: Path) -> Interpreter | None:
    """Ask the interpreter at ``path`` what it is; nothing where it does not run, or is too old."""
    ask = "import sys, sysconfig as s; print(*sys.version_info[:2], int(bool(s.get_config_var('Py_GIL_DISABLED'))))"
    done = subprocess.run([path, "-c", ask], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        return None
    major, minor, free_threaded = map(int, done.stdout.split())
    if (major, minor) < (3, 11) or (free_threaded and (major, minor) < (3, 14)):
        return None
    return Interpreter(path, (major, minor), bool(free_threaded))


def _interpreters() -> list[Interpreter]:
    """One of each kind: that which this runs on, those on the PATH, and those that pyenv has."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin"))
    found: dict[str, Interpreter] = {}
    names = re.compile(r"python3\.\d+t?")
    own = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [
        path for folder in folders if folder.is_dir() for path in folder.iterdir() if names.fullmatch(path.name)
    ]
    for path in (own, *candidates):
        if (interpreter := _interpreter(path)) is not None:
            found.setdefault(str(interpreter), interpreter)
    return list(found.values())


INTERPRETERS = _interpreters()
STABLE = [interpreter for interpreter in INTERPRETERS if not interpreter.free_threaded]
FREE_THREADED = [interpreter for interpreter in INTERPRETERS if interpreter.free_threaded]


def run(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str], status: int = 0) -> str:
    """Run a command to its end, with this exit status, and return what it wrote to both outputs."""
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == status, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Clean:
    """A virtual environment with nothing on its PATH but itself, used from an empty directory."""

    def __init__(self, place: Path, interpreter: Interpreter) -> None:
        """Make it."""
        self.home = place / "home"
        self.home.mkdir(parents=True)
        self.bin = place / "venv" / "bin"
        run([interpreter.path, "-m", "venv", place / "venv"], self.home, dict(os.environ))
        self.environment = {"PATH": str(self.bin), "HOME": str(self.home), "LANG": "C.UTF-8"}

    def run(self, *command: str | Path, status: int = 0) -> str:
        """Run one of its programs."""
        return run([self.bin / command[0], *command[1:]], self.home, self.environment, status)

    def install(self, file: Path) -> None:
        """Install a wheel without asking an index."""
        self.run("pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", file)

    def use(self) -> bool:
        """Serve with what was installed and return whether the interpreter's lock is on."""
        origin, lock = self.run("python", "-c", FIRST_USE).splitlines()
        assert Path(origin).is_relative_to(self.bin.parent)
        return lock == "True"


@dataclass(frozen=True)
class Built:
    """What ``make dist`` made."""

    wheel: Path
    source: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Run ``make dist``."""
    place = tmp_path_factory.mktemp("dist")
    need("cargo")
    run([need("make"), "dist", f"DIST={place}", "FREE_THREADED="], ROOT, os.environ)
    (wheel,), (source,) = place.glob("*.whl"), place.glob("*.tar.gz")
    return Built(wheel, source)


def files_of_package() -> set[str]:
    """Return what a wheel must have of the packages, besides the extension: all that is no by-product."""
    paths = [path for path in SOURCE.rglob("*") if path.is_file() and path.suffix not in (".so", ".pyc")]
    return {str(path.relative_to(SOURCE)) for path in paths}


def assert_whole(wheel: Path, extension: str) -> None:
    """Assert that a wheel has the package, what tells of it, and nothing else, and that its RECORD is complete."""
    about = f"pooled_httpd-{VERSION}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    licences = {f"{about}/licenses/{name}" for name in ("LICENSE", "LICENSE-MIT", "LICENSE-APACHE")}
    told = {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")} | licences
    assert set(contents) == files_of_package() | {f"pooled_httpd/{extension}"} | told
    record = f"{about}/RECORD"
    for name, digest, size in csv.reader(contents[record].decode().splitlines()):
        content = contents.pop(name)
        if name != record:
            assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert int(size) == len(content)
    assert not contents, "the RECORD does not tell of them"


def test_the_wheel_is_whole_small_and_for_old_systems_too(built: Built) -> None:
    """Its name says the stable ABI of 3.11 and the glibc of manylinux2014; it has what it should and nothing else."""
    assert re.fullmatch(
        rf"pooled_httpd-{re.escape(VERSION)}-cp311-abi3-manylinux2014_\w+\.manylinux_2_17_\w+\.whl", built.wheel.name
    )
    assert_whole(built.wheel, "_native.abi3.so")
    assert built.wheel.stat().st_size < LARGEST


def test_the_readme_tells_how_large_they_are(built: Built) -> None:
    """In megabytes, to a tenth; another compiler may make a little more or less of it."""
    with zipfile.ZipFile(built.wheel) as archive:
        installed = sum(entry.file_size for entry in archive.infolist())
    packed = [archive.stat().st_size for archive in (built.wheel, built.source)]
    readme = (ROOT / "README.md").read_text()
    told = re.search(
        r"both commands: ([\d.]+) MB, ([\d.]+) MB installed.*source distribution has ([\d.]+) MB", readme, re.S
    )
    assert told
    assert [float(size) for size in told.groups()] == pytest.approx(
        [size / 1e6 for size in (packed[0], installed, packed[1])], abs=0.1
    )


def test_the_wheel_tells_nothing_of_the_machine_that_built_it(built: Built) -> None:
    """No path of the builder's is in it, so that others can make the same bytes."""
    with zipfile.ZipFile(built.wheel) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            for path in (ROOT, Path.home() / ".cargo", os.environ.get("CARGO_HOME", ROOT)):
                assert os.fsencode(path) not in content, f"{path} in {name}"
            assert archive.getinfo(name).date_time == (1980, 1, 1, 0, 0, 0)


def test_an_index_would_take_both(built: Built) -> None:
    """Twine finds nothing to complain of, and the metadata are the project's."""
    run([sys.executable, "-m", "twine", "check", "--strict", built.wheel, built.source], ROOT, os.environ)
    with zipfile.ZipFile(built.wheel) as archive:
        text = archive.read(f"pooled_httpd-{VERSION}.dist-info/METADATA").decode()
        scripts = archive.read(f"pooled_httpd-{VERSION}.dist-info/entry_points.txt").decode()
    metadata = email.parser.Parser().parsestr(text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (metadata["Name"], metadata["Version"]) == ("pooled_httpd", VERSION)
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata["License-Expression"] == "MIT OR Apache-2.0"
    assert set(metadata.get_all("Provides-Extra") or []) == set(project["optional-dependencies"])
    assert str(metadata.get_payload()).rstrip() == (ROOT / "README.md").read_text().rstrip()
    for name, target in project["scripts"].items():
        assert f"{name}={target}" in scripts.replace(" ", "")


@pytest.mark.parametrize("interpreter", STABLE, ids=str)
def test_the_wheel_works_where_there_is_nothing_else(built: Built, tmp_path: Path, interpreter: Interpreter) -> None:
    """On each interpreter that was found: it installs without an index, serves, and its commands run."""
    clean = Clean(tmp_path, interpreter)
    clean.install(built.wheel)
    assert clean.use(), "the lock is on"
    assert clean.run("httpserver", "--version").splitlines()[0] == f"httpserver {VERSION}"
    assert clean.run("python", "-m", "pooled_httpd", "--version").splitlines()[0] == f"httpserver {VERSION}"
    assert "--pool-size" in clean.run("httpserver", "--help")
    hint = "pooled-httpd-fuzz: pooled_httpd.attack needs h11, hypothesis, rich: pip install 'pooled_httpd[attack]'\n"
    assert clean.run("pooled-httpd-fuzz", "--help", status=2) == hint
    (package,) = clean.bin.parent.glob("lib/python3*/site-packages/pooled_httpd")
    assert all((package / name).is_file() for name in ("py.typed", "_native.pyi", "attack/client.py"))
    clean.run("pip", "check")
    clean.run("pip", "uninstall", "--quiet", "--yes", "pooled_httpd")
    assert not package.exists(), "RECORD tells of every file"


def test_the_wheel_brings_the_attack_kit(built: Built, tmp_path: Path) -> None:
    """With the extra ``[attack]``, whose packages come from the index that pip has."""
    clean = Clean(tmp_path, STABLE[0])
    done = subprocess.run(
        [
            clean.bin / "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--retries",
            "10",
            f"{built.wheel}[attack]",
        ],
        env={**os.environ, **clean.environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no index to be had: {done.stderr}")
    assert "--malformed-requests" in clean.run("pooled-httpd-fuzz", "--help")
    attack = (
        "import pathlib, sys\n"
        "import pooled_httpd\n"
        "from pooled_httpd.attack.__main__ import fuzz_main\n"
        "pathlib.Path('site').mkdir()\n"
        "pathlib.Path('site/index.html').write_text('<p>here</p>')\n"
        "with pooled_httpd.Server('site') as server:\n"
        "    target = f'127.0.0.1:{server.port}'\n"
        "    sys.exit(fuzz_main(['--target', target, '--malformed-requests', '20', '--seed', '1']))\n"
    )
    clean.run("python", "-c", attack)


def test_the_source_distribution_is_enough_to_build_from(built: Built, tmp_path: Path) -> None:
    """Unpacked where there is no repository, it builds, without asking an index, a wheel that works."""
    with tarfile.open(built.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    needed = {
        "Cargo.toml",
        "Cargo.lock",
        "pyproject.toml",
        "PKG-INFO",
        "README.md",
        "CHANGELOG.md",
        "src/lib.rs",
        "LICENSE",
    }
    assert needed <= names
    assert {f"python/{name}" for name in files_of_package()} <= names
    tops = {name.partition("/")[0] for name in names}
    assert not tops & {
        ".ci",
        ".gitignore",
        "Makefile",
        "benches",
        "fuzz",
        "notebooks",
        "sanitize",
        "target",
        "tests",
        "www",
    }
    assert not [name for name in names if name.startswith("docs/build") or name.endswith((".so", ".pyc"))]
    environment = {**os.environ, **QUICK, "CARGO_NET_OFFLINE": "true"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    run([*pip, "--wheel-dir", tmp_path, tmp_path / f"pooled_httpd-{VERSION}"], tmp_path, environment)
    (wheel,) = tmp_path.glob("*.whl")
    assert_whole(wheel, "_native.abi3.so")
    clean = Clean(tmp_path / "clean", STABLE[0])
    clean.install(wheel)
    clean.use()


def test_a_wheel_for_free_threaded_python_is_a_build_away(tmp_path: Path) -> None:
    """No other setting than the interpreter's name, which need not be there; each that was found serves with it.

    One test, so that nothing is skipped where there is none. Importing the extension does not turn the lock on.
    """
    need("cargo")
    maturin = need(str(Path(sys.executable).parent / "maturin"))
    for name in sorted({"3.14t", *map(str, FREE_THREADED)}):
        run([maturin, "build", "--locked", "--out", tmp_path, "-i", f"python{name}"], ROOT, {**os.environ, **QUICK})
        digits = name.replace(".", "").removesuffix("t")
        (wheel,) = tmp_path.glob(f"*-cp{digits}-cp{digits}t-*.whl")
        assert_whole(wheel, f"_native.cpython-{digits}t-{os.uname().machine}-linux-gnu.so")
        for interpreter in FREE_THREADED:
            if str(interpreter) == name:
                clean = Clean(tmp_path / name, interpreter)
                clean.install(wheel)
                assert not clean.use(), "the lock stays off"
