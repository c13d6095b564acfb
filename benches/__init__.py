"""The benchmark: this server beside a null server, nginx, h2o and lighttpd, in one run. ``make bench`` runs it.

Beside it are the micro-benchmarks, and in ``instructions`` what counts the instructions that parts of the server take.

What counts is the CPU time of the server per answer. All servers run throughout, pinned to one core; the client runs on
another. Each round gives each load to each server in turn, in an order that changes from round to round, so that what
else the machine does meets all of them alike; ratios are taken round by round. Before anything is timed, the answers of
every server are checked, and a load that meets a single error fails the run. Times never do.

Needs nginx, h2o, lighttpd, wrk and ab. Everything that is started is stopped, and everything that is written goes into
a temporary directory, the results aside.
"""


class BenchError(Exception):
    """Something that makes the numbers worthless: a wrong answer, a client's error, a server that does not run."""
