"""The document root that all servers share. Its content is the same in every run."""

from __future__ import annotations

import random
from pathlib import Path

SMALL_BYTES = 1_200
SMALL = "small.html"
#: Content by name, in bytes.
FILES = {SMALL: SMALL_BYTES, "10k.bin": 10_000, "100k.bin": 100_000, "64M.bin": 64 << 20}
#: Names nothing.
MISSING = "missing.html"

#: Many files of the small size, in a directory of their own.
MANY = 5_000
MANY_NAMES = [f"many/{number:04}.html" for number in range(MANY)]


def make_documents(root: Path) -> None:
    """Write the files. Each has content of its own, which differs from place to place."""
    root.mkdir()
    chance = random.Random(1)
    block = chance.randbytes(1 << 20)
    for name, size in FILES.items():
        with (root / name).open("wb") as file:
            for start in range(0, size, len(block)):
                file.write(block[: size - start])
    (root / "many").mkdir()
    for name in MANY_NAMES:
        (root / name).write_bytes(chance.randbytes(SMALL_BYTES))
