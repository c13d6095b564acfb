"""Options from the environment: each by right use and by wrong use, and what the command line says against them."""

from __future__ import annotations

import pytest
from option_table import OPTIONS, Use
from program_output import assert_lines, first_block
from support import Site, exchange, get
from terminal import HERE, USAGE, piped, run


def variables_of(use: Use) -> dict[str, str] | None:
    """The variables that say the same as these words; none where a switch is on for want of a value."""
    name, values = "", []
    for word in use.words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            name = f"POOLED_HTTPD_{flag[2:].replace('-', '_').upper()}"
            values += [value] if equals else []
        else:
            values.append(word)
    return {name: "\n".join(values)} if values else None


USES = [
    pytest.param(use, id=f"{name}-{place}")
    for name, option in OPTIONS.items()
    for place, use in enumerate(option.uses)
    if variables_of(use)
]


@pytest.mark.parametrize("use", USES)
def test_every_option_is_taken_from_the_environment(site: Site, use: Use) -> None:
    """The same values as on the command line have the same effect."""
    variables = {"POOLED_HTTPD_DOCROOT": str(site.root), "POOLED_HTTPD_PORT": "0", "POOLED_HTTPD_HOST": "127.0.0.1"}
    variables |= variables_of(use) or {}
    with piped(**variables) as program:
        use.effect(program.port, site)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_variable_is_told_by_its_name(name: str) -> None:
    """Exit status 2, and the error of the command line with the variable in place of the option."""
    kind, variable = OPTIONS[name].kind, f"POOLED_HTTPD_{name.upper()}"
    for word, shown in kind.wrong_words:
        done = run("www", **{variable: word})
        shown = shown if word or name != "header" else '""'
        message = f"error: {variable}: {shown} is not allowed; it takes {kind.expectation}{USAGE}"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


def test_the_command_line_wins_over_the_environment(site: Site) -> None:
    """Option by option, the document root included; what it does not say comes from the environment."""
    variables = {
        "POOLED_HTTPD_DOCROOT": str(site.root / "dir"),
        "POOLED_HTTPD_HEADER": "X-A: 1\nX-B: 2",
        "POOLED_HTTPD_CACHE_CONTROL": "no-store",
        "POOLED_HTTPD_MAX_CONNECTIONS": "many",
    }
    with piped(*HERE, "--max-connections", "3", **variables) as program:
        fields = exchange(program.port, get("/index.html")).fields
        assert (fields["x-a"], fields["x-b"], fields["cache-control"]) == ("1", "2", "no-store")
    with piped(*HERE, "--max-connections=3", "--header", "X-C: 3", "-d", site.root, **variables) as program:
        fields = exchange(program.port, get("/a.txt")).fields
        assert (fields.get("x-a"), fields["x-c"], fields["cache-control"]) == (None, "3", "no-store")


def test_a_variable_of_no_option_is_told_and_changes_nothing(site: Site) -> None:
    """A warning with the one that was meant, but none for the variable that the tests themselves have."""
    with piped(*HERE, site.root, POOLED_HTTPD_POOLSIZE="1", POOLED_HTTPD_NO_SKIPS="1") as program:
        program.wait_for("Server ready")
    warning = (
        r"\[WARN\] POOLED_HTTPD_POOLSIZE is the variable of no option and changes nothing; "
        "POOLED_HTTPD_POOL_SIZE is one"
    )
    assert_lines(program.lines[:8], [warning, *first_block(site.root)])
    with piped(*HERE, site.root, POOLED_HTTPD_NO_SKIPS="1") as program:
        program.wait_for("Server ready")
    assert_lines(program.lines[:7], first_block(site.root))
