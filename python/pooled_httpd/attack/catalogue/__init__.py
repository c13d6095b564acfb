"""The catalogue: raw requests by family, each with its rule, what a server may do with it and what it must never do."""

from __future__ import annotations

from dataclasses import replace

from pooled_httpd.attack.case import Case, Family
from pooled_httpd.attack.catalogue import (
    chunk_extensions,
    chunked,
    conditions,
    content_length,
    control_bytes,
    expect,
    field_name,
    field_value,
    folding,
    head,
    host,
    http10,
    if_range,
    line_ends,
    method,
    persistence,
    pipelining,
    ranges,
    redirect,
    request_line,
    sizes,
    smuggling,
    target,
    time,
    transfer_encoding,
    traversal,
    version,
)

#: Every family, in the order of the report.
FAMILIES: tuple[Family, ...] = (
    request_line.FAMILY,
    line_ends.FAMILY,
    control_bytes.FAMILY,
    version.FAMILY,
    method.FAMILY,
    target.FAMILY,
    redirect.FAMILY,
    traversal.FAMILY,
    host.FAMILY,
    field_name.FAMILY,
    field_value.FAMILY,
    folding.FAMILY,
    content_length.FAMILY,
    transfer_encoding.FAMILY,
    chunked.FAMILY,
    chunk_extensions.FAMILY,
    smuggling.FAMILY,
    sizes.FAMILY,
    pipelining.FAMILY,
    persistence.FAMILY,
    http10.FAMILY,
    expect.FAMILY,
    head.FAMILY,
    ranges.FAMILY,
    conditions.FAMILY,
    if_range.FAMILY,
    time.FAMILY,
)

#: Every case by its id.
CASES: dict[str, Case] = {case.id: replace(case, family=family.id) for family in FAMILIES for case in family.cases}
