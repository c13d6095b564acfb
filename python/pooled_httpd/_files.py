"""Files that a test puts beneath a document root."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pooled_httpd._checks import Buffer, content_bytes
from pooled_httpd._telling import shown
from pooled_httpd.errors import OptionError

__all__ = ["write_beneath"]


def write_beneath(root: Path, path: str | os.PathLike[str], content: str | Buffer) -> Path:
    """Write a file beneath a root, with the directories on its way, whole at once, and return where it is."""
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        raise OptionError(f"path: {shown(name)} is not allowed; it takes text or a path")
    root = root.resolve()
    file = _place_of(root, name)
    data = content_bytes(content)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Moved into its place whole, so that no request sees half of it.
    descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as output:
            os.fchmod(descriptor, 0o644)
            output.write(data)
        os.replace(unfinished, file)
    except BaseException:
        os.unlink(unfinished)
        raise
    return file


def _place_of(root: Path, name: str) -> Path:
    """Return where a file of that name is; refuse what is no name of a file, and what leaves the root."""
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError as error:
        raise OptionError(f"path: {name!r} has {name[error.start]!r}, which no file's name can have") from None
    if b"\0" in encoded:
        raise OptionError(f"path: {name!r} has a NUL, which no file's name can have")
    parts = name.lstrip("/").split("/")
    file = root.joinpath(*parts)
    try:
        is_beneath = root in file.resolve().parents
    except (OSError, RuntimeError):  # a link that leads to itself
        is_beneath = False
    if parts[-1] in ("", ".") or ".." in parts or not is_beneath:
        raise OptionError(f"path: {name!r} is not the name of a file beneath the document root {root}")
    return file
