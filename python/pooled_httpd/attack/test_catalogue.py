"""Each case of the catalogue against the target."""

from __future__ import annotations

import pytest

from pooled_httpd.attack.catalogue import CASES
from pooled_httpd.attack.judge import Delivery, Judge, Verdict


def test_case(attack_judge: Judge, case_id: str, delivery: Delivery) -> None:
    """The verdict is ok. A case that the target has nothing for does not apply and is skipped."""
    case = CASES[case_id]
    if not attack_judge.applies(case, delivery):
        pytest.skip("it needs what is not known of the target")
    result = attack_judge.run(case, delivery)
    if result.verdict is not Verdict.OK:
        pytest.fail(
            f"{result.verdict}: {'; '.join(result.faults)}\nseen: {result.seen}\n"
            f"{case.section} {case.level}: {case.why}",
            pytrace=False,
        )
