"""A document root with everything that the catalogue can ask for, to try it out on a server of one's own."""

from __future__ import annotations

from pathlib import Path

#: What stands outside the document root.
SECRET = b"a secret outside the document root"
#: What the options of a target are for this site.
KNOWLEDGE = {"known_path": "/index.html", "directory": "/directory", "escaping_link": "/link", "secrets": (SECRET,)}


def make_site(root: Path) -> None:
    """Make the root, which must not exist: a file, a directory, and a link that leads to a secret beside the root."""
    root.mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>known</title>\n" + "<p>known</p>\n" * 80)
    (root / "directory").mkdir()
    (root / "directory" / "index.html").write_text("<!doctype html><title>directory</title>\n")
    (root.parent / "secret").write_bytes(SECRET + b"\n")
    (root / "link").symlink_to("../secret")
