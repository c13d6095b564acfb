"""Files that change while they are sent and between requests: answers are of one state, or short and counted."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pooled_httpd
import pytest
from faults import settled
from support import Program, Raw, Site, eventually, exchange, get, need

CLIENTS = 8
#: More than the kernel takes of an answer whose reader has taken no more than its head.
SIZE = 6_000_000
#: What the cache takes.
SMALL = 3000


def content_of(number: int, size: int = SIZE) -> bytes:
    """Return a content that shows in each of its bytes whose it is: no two of them agree in any byte."""
    return bytes([number % 251 + 1]) * size


class Changing:
    """A file, what it was when it was asked for, and what an answer to that may be."""

    def __init__(self, path: Path, number: int, size: int) -> None:
        """Make the file."""
        self.path, self.number, self.size = path, number, size
        self.old = content_of(number, size)
        path.write_bytes(self.old)
        #: What may stand where the file has been cut off or written over: pages are shared with what is on its way.
        self.foreign = b""
        self.may_be_short = False
        #: What the next request gets.
        self.next: tuple[int, bytes | None] = (200, self.old)

    def check(self, content: bytes, *, is_whole: bool) -> None:
        """Check an answer that was begun before the change."""
        assert is_whole or self.may_be_short, f"short after {len(content)} of {self.size} bytes"
        assert len(content) <= self.size
        allowed = self.old[:1] + self.foreign
        assert content.translate(None, allowed) == b"", {*content}
        if not self.foreign:
            assert content == self.old[: len(content)]


Change = Callable[[Changing], None]


def truncated(file: Changing) -> None:
    """Cut to a third: the answer ends somewhere behind that, its rest is not made up."""
    os.truncate(file.path, file.size // 3)
    file.may_be_short, file.foreign = True, b"\0"
    file.next = (200, file.old[: file.size // 3])


def emptied(file: Changing) -> None:
    """Cut to nothing."""
    os.truncate(file.path, 0)
    file.may_be_short, file.foreign = True, b"\0"
    file.next = (200, b"")


def grown(file: Changing) -> None:
    """Appended to: an answer has the length that it announced."""
    with file.path.open("ab") as out:
        out.write(b"\xff" * 100_000)
    file.next = (200, file.old + b"\xff" * 100_000)


def replaced(file: Changing) -> None:
    """Another file by its name: an answer that has begun is of the first one to its end."""
    other = file.path.with_name(f".{file.path.name}")
    other.write_bytes(content_of(file.number + 1, file.size))
    other.rename(file.path)
    file.next = (200, content_of(file.number + 1, file.size))


def rewritten(file: Changing) -> None:
    """Written over in place: each byte is as it was or as it is, and each is at its place."""
    with file.path.open("r+b") as out:
        out.write(content_of(file.number + 1, file.size))
    file.foreign = content_of(file.number + 1, 1)
    file.next = (200, content_of(file.number + 1, file.size))


def removed(file: Changing) -> None:
    """Its name goes: whoever has it open has it."""
    file.path.unlink()
    file.next = (404, None)


def made_a_directory(file: Changing) -> None:
    """A directory in its place."""
    file.path.unlink()
    file.path.mkdir()
    file.next = (301, None)


def made_a_fifo(file: Changing) -> None:
    """A FIFO in its place, which nobody ever writes to."""
    file.path.unlink()
    os.mkfifo(file.path)
    file.next = (403, None)


def made_a_link_outside(file: Changing) -> None:
    """A link that leaves the root in its place."""
    file.path.unlink()
    file.path.symlink_to("/etc/passwd")
    file.next = (403, None)


def made_unreadable(file: Changing) -> None:
    """Its permissions go; the superuser needs none."""
    file.path.chmod(0)
    file.next = (200, file.old) if os.geteuid() == 0 else (403, None)


CHANGES: list[Change] = [
    *(truncated, emptied, grown, replaced, rewritten, removed),
    *(made_a_directory, made_a_fifo, made_a_link_outside, made_unreadable),
]


def read_to_end(raw: Raw, size: int) -> tuple[bytes, bool]:
    """Read the rest of an answer that has begun: its content, and whether all of it came."""
    head, _, _ = raw.received.partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % size in head + b"\r\n"
    end = len(head) + 4 + size
    parts, length = [raw.received], len(raw.received)
    while length < end and (data := raw.socket.recv(1 << 20)):
        parts.append(data)
        length += len(data)
    content = b"".join(parts)[len(head) + 4 :]
    assert len(content) <= size, "more came than was announced"
    return content, len(content) == size


def clear(path: Path) -> None:
    """Remove whatever is there."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


class Client(threading.Thread):
    """Asks for a file of its own, has it changed under way, and asks again."""

    def __init__(self, port: int, directory: Path, number: int, seed: int) -> None:
        """Take the changes in an order of its own."""
        super().__init__()
        self._port, self._directory, self._number = port, directory, number
        self._changes = random.Random(seed * CLIENTS + number).sample(CHANGES, len(CHANGES))
        self.short = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Go through all changes."""
        try:
            for round_, change in enumerate(self._changes):
                self._while_sent(change, round_)
                self._between_requests(change, round_)
        except BaseException as error:
            self.failure = error

    def _path(self) -> Path:
        path = self._directory / f"f{self._number}"
        clear(path)
        return path

    def _while_sent(self, change: Change, round_: int) -> None:
        file = Changing(self._path(), self._number * 20 + round_, SIZE)
        with Raw(self._port, receive_buffer=4096) as raw:
            raw.send(get(f"/{file.path.name}"))
            while b"\r\n\r\n" not in raw.received:
                assert raw._more()
            change(file)
            content, is_whole = read_to_end(raw, SIZE)
            file.check(content, is_whole=is_whole)
            self.short += not is_whole
        self._ask_again(file)

    def _between_requests(self, change: Change, round_: int) -> None:
        file = Changing(self._path(), self._number * 20 + round_, SMALL)
        with Raw(self._port) as raw:
            for _ in range(4):
                assert raw.send(get(f"/{file.path.name}")).response().content == file.old
            change(file)
            response = raw.send(get(f"/{file.path.name}")).response()
            assert (response.status, response.content) == (file.next[0], file.next[1] or response.content)

    def _ask_again(self, file: Changing) -> None:
        response = exchange(self._port, get(f"/{file.path.name}"))
        assert (response.status, response.content) == (file.next[0], file.next[1] or response.content)


def test_eight_clients_whose_files_change_get_what_the_rules_allow(server: pooled_httpd.Server, site: Site) -> None:
    """Each change in the middle of an answer and between two; short answers are counted exactly, nothing is left."""
    clients = [Client(server.port, site.root, number, seed=1) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    failures = [client.failure for client in clients if client.failure]
    assert failures == []
    stats = settled(server)
    assert stats.files_truncated == sum(client.short for client in clients)
    # Two of the changes cut each client's file.
    assert stats.files_truncated == 2 * CLIENTS
    assert stats.file_cache_hits > 0


def test_a_small_file_cut_while_it_waits_ends_short(site: Site) -> None:
    """Behind a long answer waits the answer to a pipelined request: it shows its file as it is when its turn comes."""
    site.write("big", content_of(1))
    path = site.write("small", content_of(2, SMALL))
    with pooled_httpd.Server(site.root) as server, Raw(server.port, receive_buffer=4096) as raw:
        raw.send(get("/small")).response()
        raw.send(get("/big") + get("/small"))
        while b"\r\n\r\n" not in raw.received:
            raw._more()
        os.truncate(path, 10)
        assert raw.response().content == content_of(1)
        assert raw.response().content == content_of(2, 10)
        assert server.stats().files_truncated == 0


def test_an_unreadable_file_is_forbidden_though_it_was_in_memory(site: Site) -> None:
    """To a server without the superuser's right to read everything; readable again, it is served again."""
    setpriv = (need("setpriv"), "--bounding-set", "-dac_override,-dac_read_search")
    wrapper = setpriv if os.geteuid() == 0 else ()
    path, directory = site.root / "a.txt", site.root / "dir"
    with Program.start("--log-level", "info", site.root, wrapper=wrapper) as program, Raw(program.port) as raw:
        for _ in range(3):
            for _ in range(3):
                assert raw.send(get("/a.txt")).response().content == b"hello\n"
                assert raw.send(get("/dir/")).response().status == 200
            path.chmod(0)
            directory.chmod(0o600)
            assert raw.send(get("/a.txt")).response().status == 403
            assert raw.send(get("/dir/")).response().status == 403
            path.chmod(0o644)
            directory.chmod(0o755)


def test_out_of_descriptors_for_files_one_request_gets_503_and_it_recovers(site: Site) -> None:
    """With the last descriptor in use a large file cannot be opened; what is in memory is served on."""
    with Program.start("--log-level", "info", site.root) as program, Raw(program.port) as raw:
        for _ in range(3):
            assert raw.send(get("/a.txt")).response().content == b"hello\n"
        fds = Path(f"/proc/{program.process.pid}/fd")
        used = len(list(fds.iterdir()))
        _, hard = resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (used, hard))
        assert raw.send(get("/a.txt")).response().content == b"hello\n"
        for _ in range(3):
            refused = raw.send(get("/large")).response()
            assert (refused.status, refused.fields["retry-after"]) == (503, "1")
            assert b"descriptors" in refused.content
            # The connection persists: it may ask for something that is in memory, or once more.
            assert raw.send(get("/a.txt")).response().content == b"hello\n"
        resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert len(raw.send(get("/large")).response().content) == 320_000
        raw.socket.close()
        eventually(lambda: len(list(fds.iterdir())) == used - 1)
        assert program.finish() == 0
        assert "Invariant Violations: 0" in program.lines
        assert "  malloc() calls during runtime: 0" in program.lines


@pytest.mark.parametrize("kind", ["nothing", "link"])
def test_a_listing_whose_directory_goes_is_ended_in_order(site: Site, kind: str) -> None:
    """A directory removed while it is listed has no more entries; what was told before is right."""
    names = [f"{number:0200}" for number in range(2500)]
    directory = site.root / "many"
    directory.mkdir()
    for name in names:
        (directory / name).touch()
    with pooled_httpd.Server(site.root, listing=True) as server:
        with Raw(server.port, receive_buffer=32768) as raw:
            raw.send(get("/many/?format=json"))
            while len(raw.received) < 10_000:
                assert raw._more()
            shutil.rmtree(directory)
            if kind == "link":
                directory.symlink_to("dir")
            listed = [entry["name"] for entry in json.loads(raw.response().content)]
            # Each once and in order, whichever of them were gone by then.
            assert listed == sorted({*listed} & {*names})
            assert raw.send(get("/many/")).response().status == (200 if kind == "link" else 404)
        stats = settled(server)
        assert (stats.invariant_violations, stats.malloc_calls) == (0, 0)


def test_more_changes_than_the_kernel_tells_of_leave_nothing_stale(site: Site) -> None:
    """The process is stopped while its queue of events overflows: a change that is not told any more is seen."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with Program.start("--log-level", "info", site.root) as program, Raw(program.port) as raw:
        for name in ("a.txt", "b.txt", "c.txt"):
            site.write(name, b"first\n")
            for _ in range(4):
                assert raw.send(get(f"/{name}")).response().content == b"first\n"
        program.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, program.process.pid, os.WSTOPPED)
        files = [os.open(site.root / name, os.O_WRONLY) for name in ("b.txt", "c.txt")]
        # The same event twice in a row is told once.
        for number in range(most + 10):
            os.pwrite(files[number % 2], b"%d\n" % (number % 10), 0)
        for file in files:
            os.close(file)
        site.write("a.txt", b"second\n")
        raw.send(get("/a.txt"))
        program.process.send_signal(signal.SIGCONT)
        assert raw.response().content == b"second\n"
        assert raw.send(get("/b.txt")).response().content == (site.root / "b.txt").read_bytes()
        assert program.finish() == 0
        assert "Invariant Violations: 0" in program.lines
