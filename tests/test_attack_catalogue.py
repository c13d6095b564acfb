"""Every case of the catalogue against our server: the strict outcome, however its bytes are sent."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pooled_httpd
import pytest
from conftest import assert_sound
from pooled_httpd.attack import Delivery, Ends, Judge, Target, Verdict
from pooled_httpd.attack.case import ALWAYS
from pooled_httpd.attack.catalogue import CASES, FAMILIES
from pooled_httpd.attack.judge import can_deliver
from pooled_httpd.attack.known_site import KNOWLEDGE, make_site
from support import PATIENCE

#: The timeout of the server, in seconds.
TIMEOUT = 2.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[pooled_httpd.Server, pooled_httpd.Server]]:
    """Our server twice: one takes its time, the other has short timeouts for what never becomes complete."""
    root = tmp_path_factory.mktemp("catalogue") / "root"
    make_site(root)
    with (
        pooled_httpd.Server(root, log_level="off") as patient,
        pooled_httpd.Server(root, timeout=TIMEOUT, log_level="off") as hasty,
    ):
        yield patient, hasty
    assert_sound(patient)
    assert_sound(hasty)


@pytest.fixture
def judges(servers: tuple[pooled_httpd.Server, pooled_httpd.Server]) -> Iterator[list[Judge]]:
    """Who judges each; afterwards every connection is gone on the servers' side too."""
    targets = [Target.of(server).with_options(**KNOWLEDGE, patience=PATIENCE) for server in servers]
    yield [Judge(targets[0]), Judge(targets[1].with_options(wait=PATIENCE))]
    deadline = time.monotonic() + PATIENCE
    while any(server.stats().active_connections for server in servers):
        assert time.monotonic() < deadline, "a connection is left"
        time.sleep(0.001)


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("family", [family.id for family in FAMILIES])
def test_our_server_is_strict(judges: list[Judge], family: str, delivery: Delivery) -> None:
    """None deviates, none is dangerous, none hangs, and none is merely acceptable."""
    cases = [case for case in CASES.values() if case.family == family and can_deliver(case, delivery)]
    # Those that wait for a timeout wait together.
    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(lambda case: judges[case.waits].run(case, delivery), cases))
    bad = [(result.case.id, result.verdict, result.seen, result.faults) for result in results if not result.is_strict]
    assert bad == []
    assert all(result.verdict is Verdict.OK for result in results)


def test_the_catalogue_is_large_and_whole() -> None:
    """At least 400 cases, in all families, each id once."""
    assert len(CASES) >= 400
    assert sum(len(family.cases) for family in FAMILIES) == len(CASES)
    assert min(len(family.cases) for family in FAMILIES) >= 10
    tested = Counter((repr(case.data), case.section, repr(case.checks)) for case in CASES.values())
    assert [what for what, count in tested.items() if count > 1] == [], "two cases test the same"


@pytest.mark.parametrize("case_id", CASES)
def test_a_case_says_what_it_is(case_id: str) -> None:
    """An id that reads as a rule, a section, a sentence of why, outcomes with final statuses, its dangers once."""
    case = CASES[case_id]
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+){2,}", case.id)
    assert re.match(r"RFC \d{4,5} section \d+(\.\d+)*", case.section)
    assert re.fullmatch(r"([A-Z0-9\"`'(]|[a-z]+\()[^\n]{20,}\.", case.why)
    for outcome in (case.strict, *case.accept):
        assert all(200 <= code < 600 for codes in outcome.statuses for code in codes)
        assert outcome.statuses or outcome.ends is Ends.CLOSED, "no answer and no close is a hang"
    assert not set(case.forbid) & set(ALWAYS)
    assert not case.waits or Ends.PERSISTS not in {outcome.ends for outcome in (case.strict, *case.accept)}
