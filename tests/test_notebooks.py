"""The notebooks run from clean, and what is kept of them in the repository is whole, small and of no machine."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support import ROOT

from notebooks.execute import clean

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: The most that a notebook takes, in bytes, and the most that it runs, in seconds.
MOST_BYTES = 400_000
MOST_SECONDS = 60

by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def read(path: Path) -> dict[str, Any]:
    """The notebook as it is kept."""
    notebook: dict[str, Any] = json.loads(path.read_text())
    return notebook


def outputs(path: Path) -> list[dict[str, Any]]:
    """All outputs of all cells."""
    return [output for cell in read(path)["cells"] for output in cell.get("outputs", [])]


def test_they_are_there() -> None:
    """The four, in their order."""
    assert [path.stem for path in NOTEBOOKS] == [
        "1-a-first-look",
        "2-under-attack",
        "3-how-many-pools",
        "4-the-story-of-a-connection",
    ]


@by_name
def test_each_runs_from_clean(path: Path) -> None:
    """By nbmake, with a kernel of its own: no cell fails, and what cells assert holds. The file stays as it is."""
    before = path.read_bytes()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "nbmake", "--nbmake"]
    limits = [f"--nbmake-timeout={MOST_SECONDS}", f"--timeout={MOST_SECONDS + 30}"]
    # The kernel's ports are chosen before it has them: one that somebody took meanwhile is no fault of a notebook's.
    for _ in range(3):
        done = subprocess.run(
            [*command, *limits, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
        )
        if not re.search("Address already in use|Kernel died before replying", done.stdout + done.stderr):
            break
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert path.read_bytes() == before


@by_name
def test_what_is_kept_is_whole(path: Path) -> None:
    """Executed in order, without an error or a word on standard error; every picture is one; asserts are in it."""
    cells = read(path)["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert {output["output_type"] for output in outputs(path)} <= {"stream", "display_data", "execute_result"}
    assert all(output.get("name", "stdout") == "stdout" for output in outputs(path))
    assert sum("".join(cell["source"]).count("assert ") for cell in code) >= 4
    prose = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert len(prose) > 2000
    for output in outputs(path):
        if picture := output.get("data", {}).get("image/png"):
            assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert any("data" in output for output in outputs(path)) or "story" in path.stem


@by_name
def test_what_is_kept_is_of_no_machine(path: Path) -> None:
    """No paths, no times of execution, stable names of cells, and not large. Executed anew it would look the same."""
    text = path.read_text()
    without_pictures = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"/(root|work|home|tmp|usr|opt|Users)/|\.venv|site-packages", without_pictures)
    assert path.stat().st_size < MOST_BYTES
    notebook = read(path)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert ids == [f"{path.stem[0]}-{index:02}" for index in range(len(ids))]
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    again = nbformat.read(path, as_version=4)
    clean(again)
    assert nbformat.writes(again) + "\n" == text


def test_cleaning_leaves_the_cells_and_their_outputs() -> None:
    """And nothing that a kernel or an editor adds."""
    notebook = nbformat.from_dict(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": "mine", "display_name": "Mine"}, "language_info": {"version": "3.99"}},
            "cells": [
                {
                    "id": "1-00",
                    "cell_type": "code",
                    "execution_count": 1,
                    "metadata": {"execution": {"iopub.status.busy": "2026-01-01T00:00:00Z"}, "collapsed": True},
                    "source": "print(1)",
                    "outputs": [
                        {"output_type": "stream", "name": "stdout", "text": "1\n"},
                        {"output_type": "stream", "name": "stdout", "text": "2\n"},
                    ],
                }
            ],
        }
    )
    clean(notebook)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert notebook.cells[0].metadata == {}
    assert notebook.cells[0].outputs == [{"output_type": "stream", "name": "stdout", "text": "1\n2\n"}]


def test_the_extra_has_all_that_they_use() -> None:
    """`notebook` takes in what `observe` and `attack` are, by the same versions."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras["observe"]) | set(extras["attack"]) <= set(extras["notebook"])
