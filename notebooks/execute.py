"""Executes the notebooks anew, in place, and keeps what is theirs: cells and outputs, and no trace of a machine.

Run by `make notebooks`. The tests execute them as well, and look at what is kept in the repository.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
#: The most that one cell may take, in seconds.
PATIENCE = 60
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(path: Path) -> Any:  # noqa: ANN401
    """Execute a notebook with a new kernel, in its own directory. An error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name=KERNEL["name"], resources=resources).execute()
    return notebook


def clean(notebook: Any) -> None:  # noqa: ANN401
    """Take out what tells of the machine and the moment, and join pieces of text that came one after the other."""
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        joined: list[Any] = []
        for output in cell.get("outputs", []):
            last = joined[-1] if joined else None
            if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
                last.text += output.text
            else:
                joined.append(output)
        if cell.cell_type == "code":
            cell.outputs = joined


def main(names: list[str]) -> None:
    """Execute those that are named, or all."""
    paths = [Path(name) for name in names] or sorted(HERE.glob("*.ipynb"))
    for path in paths:
        started = time.monotonic()
        notebook = execute(path)
        clean(notebook)
        nbformat.validate(notebook)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        print(f"{path.name}: {time.monotonic() - started:.1f} s, {path.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
