"""Files that a test puts beneath a document root."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from pooled_httpd.errors import OptionError

if sys.version_info >= (3, 12):
    from collections.abc import Buffer
else:
    Buffer = bytes | bytearray | memoryview

__all__ = ["bytes_of", "write_beneath"]


def bytes_of(content: str | Buffer) -> bytes:
    """Return content as bytes, text as UTF-8; refuse what is neither."""
    if isinstance(content, str):
        try:
            return content.encode()
        except UnicodeEncodeError as error:
            raise OptionError(f"content: {error.object[error.start]!r} has no bytes in UTF-8") from None
    if not isinstance(content, Buffer):
        raise TypeError(f"content: {content!r} is neither text nor bytes")
    return bytes(content)


def write_beneath(root: Path, path: str | os.PathLike[str], content: str | Buffer) -> Path:
    """Write a file beneath a root, with the directories on its way, whole at once, and return where it is."""
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"path: {name!r} is no text")
    root = root.resolve()
    file = _place_of(root, name)
    data = bytes_of(content)
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
    if parts[-1] in ("", ".") or ".." in parts or root not in file.resolve().parents:
        raise OptionError(f"path: {name!r} is not the name of a file beneath the document root {root}")
    return file
