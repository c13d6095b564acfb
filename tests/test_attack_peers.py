"""The kit on other servers: known weaknesses are found, which shows that it can fail, and what they do well is ok."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from peers import SERVERS
from pooled_httpd.attack import Verdict
from pooled_httpd.attack.catalogue import CASES, FAMILIES
from support import ROOT
from verdicts import run

#: What is known of each: cases and their verdicts.
KNOWN = {
    "nginx": {
        "chunk_end_rejects_lf_behind_the_size": Verdict.DANGEROUS,
        "chunk_end_rejects_lf_behind_the_data": Verdict.DANGEROUS,
        "field_name_rejects_no_break_space_at_the_end": Verdict.DANGEROUS,
        "traversal_by_a_link_is_forbidden": Verdict.DANGEROUS,
        "line_end_rejects_bare_lf_behind_the_request_line": Verdict.OK,
        "smuggling_cl_te_length_first": Verdict.OK,
    },
    "lighttpd": {
        "content_length_rejects_empty_value": Verdict.DANGEROUS,
        "transfer_encoding_rejects_empty_value": Verdict.DANGEROUS,
        "traversal_by_a_link_is_forbidden": Verdict.DANGEROUS,
        "smuggling_cl_te_length_first": Verdict.OK,
    },
    "http.server": {
        "smuggling_content_of_a_head_is_no_request": Verdict.DANGEROUS,
        "smuggling_cl_te_length_first": Verdict.DANGEROUS,
        "host_repeated_with_another_value_is_refused": Verdict.DANGEROUS,
        "redirect_of_a_backslash_stays_here": Verdict.DANGEROUS,
        "half_close_in_the_head": Verdict.DANGEROUS,
        "time_the_head_is_not_ended": Verdict.HANGS,
        "time_nothing_is_sent": Verdict.HANGS,
        "request_line_is_served": Verdict.OK,
    },
}
#: How many cases each must at least pass: a kit that calls everything a fault finds nothing.
PASSED = {"nginx": 600, "lighttpd": 600, "http.server": 300}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", KNOWN)
def test_known_weaknesses_are_found(name: str, tmp_path: Path) -> None:
    """Each with its verdict, and no server is condemned for what it does well."""
    found = run(name, tmp_path)
    assert {case: found[case].verdict for case in KNOWN[name]} == KNOWN[name]
    assert sum(result.verdict is Verdict.OK for result in found.values()) >= PASSED[name]


def test_the_readme_shows_the_verdicts_of_this_catalogue() -> None:
    """A row for each family with its number of cases, and all of them ok in our own column."""
    readme = (ROOT / "README.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d+ \| \d+ ok) \|", readme, re.MULTILINE))
    wanted = {family.title: f"{len(family.cases)} | {len(family.cases)} ok" for family in FAMILIES}
    wanted["**all**"] = f"{len(CASES)} | {len(CASES)} ok"
    assert rows == wanted
    heads = re.search(r"^\| family \| cases \| (.+) \|$", readme, re.MULTILINE)
    assert heads
    assert [head.rpartition(" ")[0] for head in heads[1].split(" | ")] == list(SERVERS)
