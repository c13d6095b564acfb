"""Files, with openat2 and where a system-call filter refuses it."""

from __future__ import annotations

import errno
import os
import platform
import re
import sys
from pathlib import Path

import pytest
from program_output import blocks
from support import Program, Raw, Site, exchange, get, need

#: Makes openat2 fail with the error number in its first argument, sees that it does, and becomes the other arguments.
#: The filter loads the number of the call: SECCOMP_RET_ERRNO with that number for openat2, else SECCOMP_RET_ALLOW.
LAUNCHER = """
import ctypes, os, struct, sys
refusal, OPENAT2 = int(sys.argv[1]), 437
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, OPENAT2), (0x06, 0, 0, 0x00050000 | refusal), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
program = ctypes.c_char_p(struct.pack("@HP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0
assert libc.syscall(OPENAT2, -100, b".", None, 0) == -1 and ctypes.get_errno() == refusal
os.execv(sys.argv[2], sys.argv[2:])
"""

REFUSALS = [None, errno.ENOSYS, errno.EPERM]


def refusing(refusal: int | None) -> tuple[str, ...]:
    """Return what to put before a command so that openat2 is refused to it."""
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("the number of openat2 is not known here")
    return () if refusal is None else (sys.executable, "-c", LAUNCHER, str(refusal))


@pytest.mark.parametrize("refusal", REFUSALS)
def test_files_are_resolved_the_same_where_openat2_is_refused(site: Site, refusal: int | None) -> None:
    """What is beneath the root is served, what is not is not, and a FIFO stalls nothing, by whatever way."""
    root, outer = site.root, site.root.parent
    (outer / "secret").mkdir()
    (outer / "secret" / "file").write_text("secret")
    (outer / "site-secret").write_text("secret")
    site.write("deep/er/file", b"deep\n")
    for name, aim in {
        "inside": "a.txt",
        "deep/er/up": "../../a.txt",
        "linked": "deep/er",
        "dots": "./deep/../deep//er/file",
        "here": ".",
        "outside": "../secret/file",
        "sibling": "../site-secret",
        "through": "deep/../../secret/file",
        "up": "..",
        "absolute": str(outer / "secret" / "file"),
        "absolute-inside": str(root / "a.txt"),
        "etc": "/etc",
        "magic": "/proc/self/root",
        "loop": "loop",
        "dangling": "nothing",
    }.items():
        (root / name).symlink_to(aim)
    os.mkfifo(root / "fifo")
    cases: list[tuple[str, int, bytes | None]] = [
        ("/a.txt", 200, b"hello\n"),
        ("/", 200, b"<!doctype html><title>index</title>\n"),
        ("/dir/", 200, b"<!doctype html><title>dir</title>\n"),
        ("/dir", 301, None),
        ("/linked", 301, None),
        ("/bare/", 404, None),
        ("/bare/file.css", 200, b"body{}\n"),
        ("/a%20b+%25.txt", 200, b"space\n"),
        ("/empty", 200, b""),
        ("/nothing", 404, None),
        ("/nothing/at/all", 404, None),
        ("/a.txt/", 404, None),
        ("/a.txt/more", 404, None),
        ("/" + "n" * 300, 404, None),
        ("/inside", 200, b"hello\n"),
        ("/deep/er/up", 200, b"hello\n"),
        ("/linked/up", 200, b"hello\n"),
        ("/linked/file", 200, b"deep\n"),
        ("/dots", 200, b"deep\n"),
        ("/here/here/a.txt", 200, b"hello\n"),
        ("/outside", 403, None),
        ("/sibling", 403, None),
        ("/through", 403, None),
        ("/up", 403, None),
        ("/up/site-secret", 403, None),
        ("/absolute", 403, None),
        ("/absolute-inside", 403, None),
        ("/etc/passwd", 403, None),
        ("/magic/etc/passwd", 403, None),
        ("/loop", 403, None),
        ("/dangling", 404, None),
        ("/fifo", 403, None),
    ]
    with Program.start(root, wrapper=refusing(refusal)) as program, Raw(program.port) as raw:
        for path, status, content in cases:
            response = raw.send(get(path)).response()
            assert response.status == status, path
            assert content is None or response.content == content, path
            assert b"secret" not in response.content
            assert status != 301 or response.fields["location"] == f"{path}/"
        with (root / "large").open("rb") as large:
            assert raw.send(get("/large")).response().content == large.read()
        assert program.finish() == 0
    assert blocks(program)[0]["Total requests served"] == len(cases) + 1


@pytest.mark.parametrize("refusal", REFUSALS)
def test_openat2_is_asked_for_each_file_or_given_up_at_the_start(
    site: Site, tmp_path: Path, refusal: int | None
) -> None:
    """Where openat2 works it opens every file that is not kept; refused at the start it is not tried again."""
    log = tmp_path / "calls"
    # As a grandchild, so that the program itself stays the child that the signals go to.
    strace = (need("strace"), "-D", "-f", "-qq", "-e", "trace=openat2", "-e", "signal=none", "-o", str(log))
    with Program.start("--cache-size", "0", site.root, wrapper=(*strace, *refusing(refusal))) as program:
        for _ in range(5):
            assert exchange(program.port, get("/a.txt")).status == 200
        assert program.finish() == 0
    calls = log.read_text()
    asked = calls.count('"a.txt", {flags=O_RDONLY')
    probed = re.findall(r'openat2\(\d+, "\.", .*\) += (?:\d+|-1 (E\w+))', calls)
    assert probed == ["" if refusal is None else errno.errorcode[refusal]]
    assert asked == (5 if refusal is None else 0)
