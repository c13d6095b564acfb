"""Faults patched into the server, one at a time: the attack kit finds every one, and none in the server as it is.

The extension is built from a copy of the source and tested in a process of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from planted import FAULTS, Fault
from support import ROOT, need

#: What the kit runs against each, the quickest first: 20,000 requests by the fuzzer, the machine, the catalogue.
KIT = (
    "tests/test_attack_fuzzer.py::test_our_server_has_no_findings",
    "tests/test_attack_machine.py::test_statistics_equal_the_model_after_every_step",
    "tests/test_attack_catalogue.py::test_our_server_is_strict",
)
#: What they need of pytest's plugins; to load all that are installed takes longer than most faults take to be found.
PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout", "_hypothesis_pytestplugin", "pooled_httpd_pytest")
#: As the release build but quick to build: no debug assertion helps to find a fault.
PROFILE = {"opt-level": "1", "debug": "false", "debug-assertions": "false", "incremental": "true"}


class Workshop:
    """A copy of the source, what is built of it, and a package that has the result."""

    def __init__(self, directory: Path) -> None:
        """Copy what a build needs, always to the same place, and link the Python part of the package."""
        self.cargo = need("cargo")
        self.target, self.packages = ROOT / "target" / "planted", directory / "packages"
        self.source = self.target / "source"
        shutil.rmtree(self.source, ignore_errors=True)
        for name in ("Cargo.toml", "Cargo.lock", "README.md", "benches", "src"):
            # Without the times of the original, so that the build takes all of it for new.
            self.source.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.source / name, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(ROOT / name, self.source / name)
        package = self.packages / "pooled_httpd"
        package.mkdir(parents=True)
        for entry in (ROOT / "python" / "pooled_httpd").iterdir():
            if not entry.name.startswith(("_native.abi3", "__pycache__")):
                (package / entry.name).symlink_to(entry)
        self.module = package / "_native.abi3.so"

    def build(self) -> None:
        """Build the extension from the copy."""
        settings = [part for name, value in PROFILE.items() for part in ("--config", f"profile.dev.{name}={value}")]
        command = [self.cargo, "build", "--quiet", "--locked", "--lib", "--features", "python", *settings]
        environment = {**os.environ, "CARGO_TARGET_DIR": str(self.target)}
        built = subprocess.run(command, cwd=self.source, env=environment, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        self.module.unlink(missing_ok=True)
        shutil.copy(self.target / "debug" / "libpooled_httpd.so", self.module)

    def run(self, *tests: str) -> subprocess.CompletedProcess[str]:
        """Run tests against what was built, up to the first failure."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", "60"]
        command += [
            "--hypothesis-profile",
            "no shrinking",
            *(part for name in PLUGINS for part in ("-p", name)),
            *tests,
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.packages}:{ROOT / 'tests'}",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One for all faults: only what a fault changes is built anew."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.timeout(600)
def test_nothing_is_found_without_a_fault(workshop: Workshop) -> None:
    """The copy as it is passes what every fault must fail."""
    workshop.build()
    extra = {test for fault in FAULTS for test in fault.caught_by}
    done = workshop.run(*KIT, *sorted(extra))
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(workshop: Workshop, fault: Fault) -> None:
    """The tests that must find it fail, in what they check or in what they leave behind."""
    path = workshop.source / "src" / fault.file
    whole = path.read_text()
    assert whole.count(fault.right) == 1, "the text that the fault replaces must be there once"
    path.write_text(whole.replace(fault.right, fault.wrong))
    try:
        workshop.build()
        done = workshop.run(*(fault.caught_by or KIT))
    finally:
        path.write_text(whole)
    assert done.returncode == 1, f"nobody noticed: {fault.name}\n{done.stdout}"
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    assert found, done.stdout
    print(f"{fault.name}: {found[1]}")
