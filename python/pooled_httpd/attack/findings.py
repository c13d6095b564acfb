"""What is kept of a finding: the bytes, a script that sends them and needs nothing else, and a minimal form of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

_SCRIPT = '''#!/usr/bin/env python3
"""{text}

Sends {length} bytes, closes the sending side and shows what comes back. Usage: {name} [host:port]
"""

import socket
import sys

DATA = (
{lines}
)

host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "{target}").rpartition(":")
with socket.create_connection((host.strip("[]"), int(port)), timeout={patience}) as connection:
    connection.sendall(DATA)
    connection.shutdown(socket.SHUT_WR)
    try:
        while data := connection.recv(65536):
            sys.stdout.buffer.write(data)
        print("\\n-- closed by the server")
    except TimeoutError:
        print("\\n-- neither answered nor closed in {patience} s")
    except ConnectionResetError:
        print("\\n-- reset by the server")
'''


def script(data: bytes, *, text: str, name: str, target: str, patience: float) -> str:
    """A stand-alone Python program that sends the bytes."""
    pieces = data.splitlines(keepends=True) or [b""]
    lines = "\n".join(f"    {piece!r}" for piece in pieces)
    # What is said of the bytes may quote them, and stands in a docstring.
    plain = text.encode("ascii", "backslashreplace").decode().replace("\\", "\\\\").replace('"""', '"\\""')
    return _SCRIPT.format(text=plain, length=len(data), name=name, lines=lines, target=target, patience=patience)


def write(directory: Path, name: str, data: bytes, *, text: str, target: str, patience: float) -> None:
    """Write ``name.bin`` and ``name.py`` into the directory, which is made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.bin").write_bytes(data)
    program = directory / f"{name}.py"
    program.write_text(script(data, text=text, name=program.name, target=target, patience=patience), encoding="utf-8")
    program.chmod(0o755)


def minimize(data: bytes, is_same: Callable[[bytes], bool], *, tries: int = 400, seconds: float = 10.0) -> bytes:
    """The shortest bytes found for which ``is_same`` holds still: parts are left out, large ones first (ddmin).

    It asks at most ``tries`` times and stops after so many seconds. What it returns was asked about and held, or is
    ``data``.
    """
    deadline = time.monotonic() + seconds
    size = max(len(data) // 2, 1)
    while size >= 1 and tries > 0 and time.monotonic() < deadline:
        shortened = False
        start = 0
        while start < len(data) and len(data) > 1 and tries > 0 and time.monotonic() < deadline:
            candidate = data[:start] + data[start + size :]
            tries -= 1
            if is_same(candidate):
                data = candidate
                shortened = True
            else:
                start += size
        if size == 1 and not shortened:
            break
        size = max(size // 2, 1)
    return data
