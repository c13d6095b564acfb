"""The program as a person or a script has it: in a terminal of 80 columns with Ctrl+C, or with pipes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from listening import port_of
from support import PATIENCE, PROGRAM, ROOT, Program, exchange, get

#: What has its say about colours, or gives options, and must come from the test alone.
DECIDING = re.compile(r"NO_COLOR|CLICOLOR|CLICOLOR_FORCE|TERM|COLORTERM|CI|BROWSER|COLUMNS|LINES|POOLED_HTTPD_.*")
#: What a terminal that knows colours says of itself.
TERMINAL = {"TERM": "xterm-256color"}
#: A free port that only this machine reaches.
HERE = ("--host", "127.0.0.1", "--port", "0")
#: What follows the error of a wrong command line.
USAGE = "\n\nUsage: httpserver [OPTIONS] [PORT] [DOCROOT]\n\nFor more information, try '--help'.\n"
#: The escape sequences of colours and the like: SGR of ECMA-48.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with these variables in place of all that have a say in what is tested."""
    rest = {name: value for name, value in os.environ.items() if not DECIDING.fullmatch(name)}
    return {**rest, **variables}


def built() -> str:
    """Return the path of the program, or skip the test."""
    if not PROGRAM.exists():
        pytest.skip("the program is not built: run it by `make test`")
    return str(PROGRAM)


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, with pipes and these variables."""
    command = [built(), *map(str, words)]
    return subprocess.run(
        command, env=environment(variables), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def piped(*words: str | Path, cwd: str | Path = ROOT, **variables: str) -> Iterator[Program]:
    """The program with a pipe for all that it says, ready, until it stops as it should."""
    command = [built(), *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(variables), cwd=cwd
    )
    with Program(process) as program:
        program.port = port_of(process) or 0
        assert program.port, program.process.communicate()[0]
        yield program
        assert program.finish() == 0


def one_request(port: int) -> None:
    """Ask for a file, so that there is a whole story to tell."""
    assert exchange(port, get("/a.txt", "Connection: close")).status == 200


class Terminal:
    """A process whose standard streams are a terminal, which is its controlling one. ``told`` is what it has shown."""

    def __init__(self, *command: str | Path, variables: Mapping[str, str], cwd: Path | None = None) -> None:
        """Start the command with these variables."""
        self.told = ""
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
        try:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=side,
                stdout=side,
                stderr=side,
                cwd=cwd,
                env=environment(variables),
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        except BaseException:
            os.close(self._main)
            raise
        finally:
            os.close(side)
        os.set_blocking(self._main, False)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the session's processes, whatever happened."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._main)

    def _more(self) -> bool:
        """Take what has come; false at the end."""
        try:
            data = os.read(self._main, 1 << 16)
        except BlockingIOError:
            time.sleep(0.002)
            return True
        except OSError:
            # EIO: nobody has the other side any more.
            return False
        self.told += data.decode()
        return data != b""

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until what was told, without colours, has this in it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if found := re.search(pattern, self.plain()):
                return found
            assert time.monotonic() < deadline, f"no {pattern!r}: {self.told!r}"
            assert self._more(), f"it ended without {pattern!r}: {self.told!r}"

    def type(self, keys: str) -> None:
        """Type these keys; ``\\x03`` is Ctrl+C."""
        os.write(self._main, keys.encode())

    def finish(self, keys: str = "\x03") -> int:
        """Type these keys, read all that comes and return the exit status."""
        self.type(keys)
        deadline = time.monotonic() + PATIENCE
        while self._more():
            assert time.monotonic() < deadline, f"it does not end: {self.told!r}"
        return self.process.wait(PATIENCE)

    def plain(self) -> str:
        """What was told without colours, and with line ends as they were written."""
        return COLOUR.sub("", self.told).replace("\r\n", "\n")
