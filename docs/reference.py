"""Writes the API reference from the stubs and the docstrings: ``make docs``, then open ``docs/build/index.html``.

The native module is imported from its stub, so that what the reference says is what type checkers are told, and nothing
needs to be compiled. Every public module is in it, without a list to keep. A warning, a public name that nobody has
described, or a link that leads nowhere is an error.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import pkgutil
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pdoc
import pdoc.doc
import pdoc.render
from _pytest.fixtures import FixtureFunctionDefinition

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pooled_httpd"
#: Not for readers: what is private, the kit's tests, what its commands consist of, and its cases, which are data
#: (``catalogue list`` shows them).
HIDDEN = re.compile(
    r"(^|\.)_|\.test_|\.attack\.catalogue\.|\.attack\.(known_site|options|plugin|report_page|swarm_command|terminal)$"
)
#: What exceptions have from OSError is told in Python's own manual.
OF_OSERROR = re.compile(r'href="#\w+\.(errno|filename|strerror)"')
MANUAL = r'href="https://docs.python.org/3/library/exceptions.html#OSError.\1"'
#: What is private is named, for instance as a base, and led to nowhere.
TO_PRIVATE = re.compile(r'<a href="#_\w+">(.*?)</a>')
#: A value that takes more is not shown, in characters.
LONGEST_VALUE = 300
#: References of reStructuredText.
REFERENCE = re.compile(r":(?:py:)?(?:attr|class|data|exc|func|meth|mod):`~?([\w.]+)`")


def stand_in(source: Path, place: Path) -> None:
    """Copy the package from ``source`` to ``place``, the stub of the native module as its source.

    Options have a table of their own, and no room in a signature.
    """
    copy = place / PACKAGE
    shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    stub = (copy / "_native.pyi").read_text()
    summary, quotes, rest = stub.partition('"""\n')
    (copy / "_native.py").write_text(f"{summary}{quotes}\nfrom __future__ import annotations\n{rest}")
    (copy / "_native.pyi").unlink()
    for path in (copy / "_native.py", copy / "server.py"):
        path.write_text(path.read_text().replace("**options: Unpack[_Options]", "**options"))


def public_modules(place: Path) -> list[str]:
    """Return the names of all modules that the reference has, parents before children."""
    packages = sorted(path.parent.name for path in place.glob("*/__init__.py"))
    found = {module.name for name in packages for module in walk(place, name)}
    return sorted({name for name in (*packages, *found) if not HIDDEN.search(name)})


def walk(place: Path, package: str) -> Iterator[pkgutil.ModuleInfo]:
    """Find the modules of a package."""
    return pkgutil.walk_packages([str(place / package)], f"{package}.", onerror=_raise)


def _raise(name: str) -> None:
    raise ImportError(f"{name} cannot be imported, so it cannot be described") from sys.exc_info()[1]


def types_of_options(stub: str) -> dict[str, str]:
    """Return the type of each option, by its name, aliases spelled out."""
    types: dict[str, str] = {"port": "int | None"}
    aliases: dict[str, str] = {}
    for statement in ast.parse(stub).body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            aliases[statement.target.id] = ast.unparse(statement.value)
        if isinstance(statement, ast.ClassDef) and statement.name == "_Options":
            for option in statement.body:
                if isinstance(option, ast.AnnAssign) and isinstance(option.target, ast.Name):
                    spelled = ast.unparse(option.annotation)
                    types[option.target.id] = re.sub(r"\b_\w+", lambda name: aliases[name[0]], spelled)
    return types


def add_options(package: pdoc.doc.Module, types: dict[str, str]) -> None:
    """Put the README's table of options, which a test holds to the code, behind the package's docstring."""
    table = (ROOT / "README.md").read_text().partition("| option | default |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", table, re.M)
    lines = ["", "", "## Options", "", "| option | type | default | what it is |", "|---|---|---|---|"]
    for name, default, text in rows:
        spelled = types[name].replace("|", "\\|")
        lines.append(f"| `{name}` | `{spelled}` | {default} | {text} |")
    package.docstring += "\n".join([*lines, ""])


def adopt(module: pdoc.doc.Module) -> None:
    """Make what classes have from a private base their own, so that it is described with them."""
    for heir in vars(module.obj).values():
        if not isinstance(heir, type) or heir.__module__ != module.modulename:
            continue
        for base in heir.__mro__[1:]:
            if not HIDDEN.search(f"{base.__module__}.{base.__name__}") or not base.__module__.startswith(PACKAGE):
                continue
            for name, value in vars(base).items():
                if name not in vars(heir) and (not name.startswith("_") or name in ("__enter__", "__exit__")):
                    setattr(heir, name, value)


def tidy_plugin(module: pdoc.doc.Module) -> None:
    """Describe fixtures of pytest as the functions that they are, and leave out hooks, which only pytest calls."""
    for name, value in list(vars(module.obj).items()):
        if isinstance(value, FixtureFunctionDefinition):
            setattr(module.obj, name, value._get_wrapped_function())
        elif name.startswith("pytest_") and inspect.isfunction(value):
            delattr(module.obj, name)


def members(space: pdoc.doc.Module | pdoc.doc.Class) -> Iterator[pdoc.doc.Doc[Any]]:
    """All that the reference describes in a module or class."""
    for member in space.own_members:
        if not member.name.startswith("_") and not isinstance(member, pdoc.doc.Module):
            yield member
            if isinstance(member, pdoc.doc.Class):
                yield from members(member)


def undescribed(space: pdoc.doc.Module | pdoc.doc.Class) -> Iterator[str]:
    """Name what is public and has no docstring; a value may speak for itself, but a property may not."""
    # A class would else speak with its base's words.
    if not vars(space.obj).get("__doc__"):
        yield space.fullname
    for member in space.own_members:
        if member.name.startswith("_") or isinstance(member, pdoc.doc.Module):
            continue
        if isinstance(member, pdoc.doc.Class):
            yield from undescribed(member)
            continue
        is_property = isinstance(inspect.getattr_static(space.obj, member.name, None), property)
        if not member.docstring and (is_property or not isinstance(member, pdoc.doc.Variable)):
            yield member.fullname


def unresolved(module: pdoc.doc.Module, known: set[str]) -> Iterator[str]:
    """Name what a docstring refers to and the reference does not have."""
    for described in (module, *members(module)):
        places = [
            described.fullname.split("."),
            [*described.taken_from[0].split("."), *described.taken_from[1].split(".")],
        ]
        for target in REFERENCE.findall(described.docstring):
            names = {".".join([*place[:length], target]) for place in places for length in range(len(place) + 1)}
            if not names & known:
                yield f"{described.fullname} refers to {target}"


class Links(HTMLParser):
    """The links of a page and the places in it."""

    def __init__(self, page: Path) -> None:
        """Read a page."""
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            if name == "href" and tag == "a" and value:
                self.links.add(value)


def broken(build: Path) -> Iterator[str]:
    """Name the links within the reference that lead nowhere."""
    pages = {page.resolve(): Links(page) for page in build.rglob("*.html")}
    for page, content in pages.items():
        for link in sorted(content.links):
            path, _, place = link.partition("#")
            if re.match(r"\w+:", link):
                continue
            target = (page.parent / path).resolve() if path else page
            if target not in pages or (place and place not in pages[target].places):
                yield f"{page.relative_to(build)} links to {link}"


def write(source: Path, build: Path) -> list[str]:
    """Write the reference of the package in ``source`` below ``build``, and return what is wrong with it."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        stand_in(source, Path(place))
        sys.path.insert(0, place)
        try:
            names = public_modules(Path(place))
            modules = {name: pdoc.doc.Module.from_name(name) for name in names}
            if not inspect.getfile(modules[PACKAGE].obj).startswith(place):
                raise SystemExit("docs/reference.py has to be run on its own: the package is imported already")
            for module in modules.values():
                adopt(module)
                tidy_plugin(module)
            add_options(modules[PACKAGE], types_of_options((source / PACKAGE / "_native.pyi").read_text()))
            known = set(names)
            for module in modules.values():
                for member in members(module):
                    known.add(member.fullname)
                    if isinstance(member, pdoc.doc.Variable) and len(member.default_value_str) > LONGEST_VALUE:
                        vars(member)["default_value_str"] = ""
            wrong = [f"{name} is not described" for module in modules.values() for name in undescribed(module)]
            wrong += [text for module in modules.values() for text in unresolved(module, known)]
            # Without Node.js, which is not everywhere: the index is small, and the browser makes what it needs of it.
            vars(pdoc.render)["precompile_index"] = lambda documents, _script: json.dumps(documents)
            pdoc.render.configure(
                docformat="restructuredtext",
                footer_text=PACKAGE,
                show_source=False,
                template_directory=ROOT / "docs" / "templates",
            )
            shutil.rmtree(build, ignore_errors=True)
            build.mkdir(parents=True)
            for name, module in modules.items():
                page = build / f"{name.replace('.', '/')}.html"
                page.parent.mkdir(parents=True, exist_ok=True)
                content = pdoc.render.html_module(module, modules)
                page.write_text(TO_PRIVATE.sub(r"\1", OF_OSERROR.sub(MANUAL, content)))
            (build / "index.html").write_text(pdoc.render.html_index(modules))
            (build / "search.js").write_text(pdoc.render.search_index(modules))
        finally:
            sys.path.remove(place)
    return [*(str(warning.message) for warning in warned), *wrong, *broken(build)]


def main() -> int:
    """Write it, by itself where git does not look, and tell what is wrong with it."""
    parser = argparse.ArgumentParser(description="Writes the API reference and tells what is wrong with it.")
    parser.add_argument("--source", type=Path, default=ROOT / "python", help="the directory that has the package")
    parser.add_argument("--build", type=Path, default=ROOT / "docs" / "build", help="where the pages go")
    arguments = parser.parse_args()
    wrong = write(arguments.source, arguments.build)
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
