"""The command line of the benchmark.

python -m benches --server target/release/httpserver --json bench-results/bench.json
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benches import BenchError, measuring, memory, results
from benches.checks import Connection, Prepared, prepare, request
from benches.documents import SMALL, make_documents
from benches.loads import LOADS
from benches.measuring import Samples, about, show_progress
from benches.processes import raise_descriptor_limit
from benches.report import report
from benches.results import Results
from benches.servers import CONNECTIONS, OURS, STORY, Server, Setting, running
from benches.statistics_page import Statistics

TOOLS = ("nginx", "h2o", "lighttpd", "wrk", "ab")


def write_answer(server: Server, path: Path) -> None:
    """Take one answer from ours for the null server to give: both send the same bytes."""
    with contextlib.closing(Connection(server.port)) as connection:
        connection.send(request(SMALL, server.port))
        path.write_bytes(connection.answer().raw)


def measure(arguments: argparse.Namespace) -> Results:
    """Start, check, measure, stop."""
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise BenchError(f"{tool} is not installed")
    cores = sorted(os.sched_getaffinity(0))
    server_core, client_core = cores[0], cores[-1]
    if server_core == client_core:
        print("bench: only one core: clients and servers share it, and rates mean little", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="pooled-bench-") as directory:
        run = Path(directory)
        # h2o may not be ours to read.
        run.chmod(0o755)
        make_documents(run / "www")
        setting = Setting(
            program=arguments.server,
            null_server=arguments.null_server,
            root=run / "www",
            run=run,
            core=server_core,
            # Beside the connections: the files under way, and what a program has open anyhow.
            descriptors=raise_descriptor_limit(2 * CONNECTIONS),
            answer=run / "answer",
        )
        facts = results.describe(arguments.server, server_core, client_core, arguments.rounds, arguments.seconds)
        samples = measure_loads(arguments, setting, client_core, facts)
        memories = {}
        for name in memory.SERVERS if arguments.memory else ():
            show_progress(f"memory: {name} ...")
            memories[name] = memory.measure(name, setting)
        show_progress("")
    return Results(facts, samples, memories)


def measure_loads(arguments: argparse.Namespace, setting: Setting, core: int, facts: dict[str, str]) -> Samples:
    """Start every server, check it, give it the loads; add what ours tell of themselves to the facts."""
    names = {name for load in arguments.loads for name in measuring.servers_of(load)} - {OURS}
    with contextlib.ExitStack() as stack:
        servers = {OURS: stack.enter_context(running(OURS, setting))}
        write_answer(servers[OURS], setting.answer)
        servers |= {name: stack.enter_context(running(name, setting)) for name in sorted(names)}
        prepared: dict[tuple[str, str], Prepared] = {}
        for load in arguments.loads:
            for name in measuring.servers_of(load):
                show_progress(f"checking {LOADS[load].title}, {name} ...")
                with about(load, name):
                    prepared[load, name] = prepare(servers[name].port, LOADS[load], setting.root)
        samples = measuring.run_all(
            servers, prepared, arguments.loads, arguments.rounds, arguments.seconds, core, setting.run
        )
        for name in (OURS, STORY):
            if name in servers:
                told = Statistics.of(servers[name].port)
                told.must_be_sound(name)
                facts[name] = str(told)
    return samples


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""

    def count(most: int) -> Callable[[str], int]:
        def read(text: str) -> int:
            value = int(text)
            if not 1 <= value <= most:
                raise argparse.ArgumentTypeError(f"{value} is not allowed; it takes a whole number from 1 to {most}")
            return value

        return read

    def chosen(text: str) -> list[str]:
        loads = text.split(",")
        if unknown := [load for load in loads if load not in LOADS]:
            raise argparse.ArgumentTypeError(f"no such load: {', '.join(unknown)}; there are {', '.join(LOADS)}")
        return list(dict.fromkeys(loads))

    target = Path("target/release")
    parser = argparse.ArgumentParser(prog="benches", description="Compares the server with others.")
    parser.add_argument("--server", type=Path, default=target / "httpserver", help="the program")
    parser.add_argument("--null-server", type=Path, default=target / "null_server", help="the null server")
    parser.add_argument("--rounds", type=count(100), default=5, help="how often each is measured")
    parser.add_argument("--seconds", type=count(60), default=2, help="how long each time")
    parser.add_argument("--loads", type=chosen, default=list(LOADS), help=f"some of {','.join(LOADS)}")
    parser.add_argument(
        "--memory", action=argparse.BooleanOptionalAction, default=True, help="whether memory is measured"
    )
    parser.add_argument("--json", type=Path, help="where the results go as JSON")
    parser.add_argument(
        "--chart", type=Path, metavar="DIRECTORY", help="where the chart goes, for light and dark pages"
    )
    parser.add_argument("--from", dest="earlier", type=Path, metavar="JSON", help="measure nothing: show these results")
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; 1 where a server answered wrongly or an error occurred, 130 where it was interrupted."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    arguments = parse_arguments()
    try:
        found = results.read(arguments.earlier) if arguments.earlier else measure(arguments)
        print(report(found))
        if arguments.json is not None:
            results.write(arguments.json, found)
        if arguments.chart is not None:
            # Only here: matplotlib is nothing that the measuring needs.
            from benches.chart import draw

            draw(found, arguments.chart)
    except (BenchError, OSError, subprocess.TimeoutExpired) as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbench: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
