"""Files that are written beneath the document root."""

from __future__ import annotations

from pathlib import Path

import pooled_httpd
import pytest
from support import exchange, get

Server = pooled_httpd.Server


def test_write_writes_beneath_the_root(httpd: Server) -> None:
    """Text as UTF-8, bytes as they are, with directories; another time it is replaced, and never seen in part."""
    path = httpd.write("/deep/er/ü.txt", "ü")
    assert path == Path(httpd.docroot).resolve() / "deep/er/ü.txt"
    assert path.stat().st_mode & 0o777 == 0o644
    assert exchange(httpd.port, get("/deep/er/%C3%BC.txt")).content == "ü".encode()
    for content in (b"\x00\xff", b"", b"x" * 300_000):
        httpd.write(Path("deep/er/ü.txt"), content)
        assert exchange(httpd.port, get("/deep/er/%C3%BC.txt")).content == content
    assert [entry.name for entry in path.parent.iterdir()] == ["ü.txt"]


@pytest.mark.parametrize("path", ["", "/", "../x", "a/../../x", "."])
def test_write_stays_beneath_the_root(httpd: Server, path: str) -> None:
    """OptionError, and nothing is written."""
    with pytest.raises(pooled_httpd.OptionError, match="is not the name of a file beneath the document root"):
        httpd.write(path, "x")
    assert list(Path(httpd.docroot).iterdir()) == []


def test_write_keeps_to_the_root_that_the_server_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the current directory is by then."""
    (tmp_path / "www").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with Server("www") as server:
        monkeypatch.chdir(tmp_path / "other")
        assert server.write("a", "x") == tmp_path / "www" / "a"
