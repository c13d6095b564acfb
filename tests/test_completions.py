"""Completions, by the shells themselves: the script is loaded as it is printed, and then the Tab key is pressed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from option_table import OPTIONS
from support import PATIENCE, PROGRAM, Site, need
from terminal import Terminal, environment, run

FLAGS = [f"--{name.replace('_', '-')}" for name in OPTIONS]
#: What each of these is completed to, up to the point where it is no longer certain.
CASES = [
    ("--log-l", "--log-level"),
    ("--max-req", "--max-request"),
    ("--comp", "--completions"),
    ("--log-level de", "--log-level debug"),
    ("--access-log js", "--access-log json"),
    ("--listing of", "--listing off"),
    ("--protocol HTTP/1.1 --dire", "--protocol HTTP/1.1 --directory"),
    ("--directory bar", "--directory bare/"),
    ("--completions po", "--completions powershell"),
    ("--port 0 bar", "--port 0 bare/"),
]


def script(shell: str) -> str:
    """What ``--completions`` prints."""
    done = run("--completions", shell)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def prepared(tmp_path: Path, shell: str) -> dict[str, str]:
    """Write the script where each shell looks for it, and return the variables to start the shell with."""
    (tmp_path / "_httpserver").write_text(script(shell))
    (tmp_path / "inputrc").write_text("set bell-style none\nset enable-bracketed-paste off\n")
    return {
        "TERM": "xterm",
        "HOME": str(tmp_path),
        "PATH": f"{PROGRAM.parent}:/usr/bin:/bin",
        "PS1": "> ",
        "HISTFILE": "",
        "INPUTRC": str(tmp_path / "inputrc"),
        "SCRIPT": str(tmp_path / "_httpserver"),
    }


def completed(terminal: Terminal, typed: str, expected: str) -> None:
    """Type a command line, press Tab, and see what stands in the line; then give the line up."""
    terminal.told = ""
    terminal.type(f"httpserver {typed}\t")
    terminal.wait_for(f"httpserver {expected}")
    # Whatever the shell would still show belongs to this line.
    terminal.type("\x15echo done-$((40+2))\r")
    terminal.wait_for("done-42")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_tab_key_completes(site: Site, tmp_path: Path, shell: str) -> None:
    """Options, values that are one of a few, and directories."""
    variables = prepared(tmp_path, shell)
    if shell == "bash":
        command = [need("bash"), "--noprofile", "--norc", "-i"]
        load = 'source "$SCRIPT"'
    else:
        command = [need("zsh"), "-f", "-i"]
        # Where zsh looks for functions of that name.
        load = 'PS1="> "; unsetopt PROMPT_SP BEEP; fpath=("$HOME" $fpath); autoload -U compinit; compinit -u -D'
    with Terminal(*command, variables=variables, cwd=site.root) as terminal:
        terminal.type(f"{load}; echo loaded-$((1+1))\r")
        terminal.wait_for("loaded-2")
        for typed, expected in CASES:
            completed(terminal, typed, expected)
        terminal.finish("\x15exit\r")


def test_fish_completes(site: Site, tmp_path: Path) -> None:
    """The same by fish's own builtin, and every option of the table with its description."""
    variables = prepared(tmp_path, "fish")

    def asked(typed: str) -> list[str]:
        code = 'source "$SCRIPT"; complete --do-complete "$LINE"'
        done = subprocess.run(
            [need("fish"), "--no-config", "-c", code],
            env=environment({**variables, "LINE": f"httpserver {typed}"}),
            cwd=site.root,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    for typed, expected in CASES:
        words = [line.partition("\t")[0] for line in asked(typed)]
        end = expected.rpartition(" ")[2]
        assert words, typed
        assert all(word.startswith(end) for word in words), (typed, words)
    told = {line.partition("\t")[0] for line in asked("--")}
    assert {*FLAGS, "--open", "--bind", "--directory"} <= told
    assert not {"--cgi", "--tls-cert"} & told


@pytest.mark.parametrize("shell", ["elvish", "powershell"])
def test_there_are_scripts_for_others_too(shell: str) -> None:
    """For shells that this does not run: every option is in them."""
    text = script(shell)
    for flag in FLAGS:
        assert f"'{flag}'" in text or f" {flag} " in text, flag


def test_completions_stand_alone_and_know_their_shells() -> None:
    """A shell that is not known is told with those that are; nothing else may stand beside it."""
    for words, message in (
        (["--completions", "csh"], "[possible values: bash, elvish, fish, powershell, zsh]"),
        (["--completions", "bash", "www"], "cannot be used with one or more of the other specified arguments"),
        (["--completions"], "a value is required for '--completions <SHELL>' but none was supplied"),
    ):
        done = run(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
