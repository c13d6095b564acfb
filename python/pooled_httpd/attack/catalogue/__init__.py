"""The catalogue: raw requests by family, each with its rule, what a server may do with it and what it must never do."""

from __future__ import annotations

from dataclasses import replace

from pooled_httpd.attack.case import Case, Family
from pooled_httpd.attack.catalogue import (
    conditions,
    host,
    if_range,
    method,
    ranges,
    redirect,
    request_line,
    target,
    traversal,
    version,
)

#: Every family, in the order of the report.
FAMILIES: tuple[Family, ...] = (
    request_line.FAMILY,
    method.FAMILY,
    target.FAMILY,
    redirect.FAMILY,
    traversal.FAMILY,
    version.FAMILY,
    host.FAMILY,
    ranges.FAMILY,
    conditions.FAMILY,
    if_range.FAMILY,
)

#: Every case by its id.
CASES: dict[str, Case] = {case.id: replace(case, family=family.id) for family in FAMILIES for case in family.cases}
