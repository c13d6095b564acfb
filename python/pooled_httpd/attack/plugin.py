"""The catalogue as tests: ``pytest --pyargs pooled_httpd.attack --target host:port``.

Without a target each worker of pytest-xdist starts a server of its own, so that nobody disturbs the statistics of
another.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pooled_httpd
from pooled_httpd.attack.campaign import parse_part
from pooled_httpd.attack.catalogue import CASES
from pooled_httpd.attack.judge import Delivery, Judge, can_deliver
from pooled_httpd.attack.known_site import KNOWLEDGE, make_site
from pooled_httpd.attack.options import add_target_options, target_of
from pooled_httpd.attack.target import Target

#: The timeout of a server that is started here, in seconds.
_TIMEOUT = 0.4
_DELIVERIES = tuple(str(delivery) for delivery in Delivery)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command ``catalogue``, as far as tests need them."""
    group = parser.getgroup("pooled_httpd.attack", "the attack catalogue")
    add_target_options(group.addoption)
    group.addoption("--part", metavar="K/N", default="1/1", help="only this part of the cases, such as 3/8")
    group.addoption("--seed", metavar="NUMBER", type=int, default=0, help="where the bytes of a case are split")
    group.addoption("--delivery", action="append", choices=_DELIVERIES, help="how the bytes are sent; repeatable")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each case and delivery of this part."""
    if {"case_id", "delivery"} <= set(metafunc.fixturenames):
        try:
            part, parts = parse_part(metafunc.config.getoption("--part"))
        except ValueError as error:
            raise pytest.UsageError(f"--part: {error}") from error
        deliveries = metafunc.config.getoption("--delivery") or [Delivery.WHOLE]
        every = [(case_id, Delivery(delivery)) for case_id in CASES for delivery in deliveries]
        runs = [(case_id, delivery) for case_id, delivery in every if can_deliver(CASES[case_id], delivery)]
        names = [f"{case_id}-{delivery}" for case_id, delivery in runs]
        metafunc.parametrize(("case_id", "delivery"), runs[part - 1 :: parts], ids=names[part - 1 :: parts])


@pytest.fixture(scope="session")
def attack_judge(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """Who sends the cases and judges the answers."""
    if pytestconfig.getoption("--target"):
        try:
            judge = Judge(target_of(pytestconfig.option), seed=pytestconfig.getoption("--seed"))
        except (ValueError, OSError) as error:
            # One line says it better than an error for each case.
            pytest.exit(
                f"--target {pytestconfig.getoption('--target')}: {error}", returncode=pytest.ExitCode.USAGE_ERROR
            )
        yield judge
        return
    root = tmp_path_factory.mktemp("attack") / "root"
    make_site(root)
    with pooled_httpd.Server(root, timeout=_TIMEOUT, log_level="off") as server:
        target = Target.of(server).with_options(**KNOWLEDGE, wait=3 * _TIMEOUT + 1)
        yield Judge(target, seed=pytestconfig.getoption("--seed"))
        stats = server.stats()
    assert stats.invariant_violations == 0
    assert (stats.malloc_calls, stats.free_calls) == (0, 0)
