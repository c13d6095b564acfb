"""What a campaign found, as a value: written as JSON, JSON lines and JUnit XML, read again, and merged from its parts.

A campaign that was divided comes as several parts, each a record of its own with its share of the entries; merging
checks that no part is missing, none is there twice, and all are of one campaign.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pooled_httpd.attack.judge import Verdict

#: From good to bad.
ORDER = (Verdict.OK, Verdict.DEVIATES, Verdict.HANGS, Verdict.DANGEROUS)
#: The exit status for the worst verdict; 2 is the usage error's.
EXIT_STATUS = {Verdict.OK: 0, Verdict.DEVIATES: 1, Verdict.HANGS: 3, Verdict.DANGEROUS: 4}
#: What XML 1.0 cannot hold.
_NOT_IN_XML = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}
#: A campaign has at most so many parts.
MOST_PARTS = 100_000


class MergeError(ValueError):
    """The parts do not make up one campaign."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One case or finding: where it belongs, its verdict, what was seen, what was wrong, and its source."""

    family: str
    name: str
    verdict: Verdict
    seen: str = ""
    faults: tuple[str, ...] = ()
    section: str = ""
    level: str = ""
    why: str = ""
    seconds: float = 0.0
    data: str = ""
    """The bytes that were sent, as Python writes them."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a campaign: which, on what, with what seed, when, how long, and what was counted."""

    campaign: str
    target: str
    seed: int = 0
    part: int = 1
    parts: int = 1
    scope: str = ""
    """What the whole campaign sends: its families and deliveries, or how many requests."""
    started: str = ""
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    """For a fuzzer: requests sent, and malformed ones refused, served, closed and hung."""


@dataclass(frozen=True, slots=True)
class Report:
    """A campaign: its parts and their entries, in order."""

    parts: tuple[Part, ...]
    entries: tuple[Entry, ...]

    @property
    def verdicts(self) -> Counter[Verdict]:
        """How many entries have each verdict."""
        return Counter(entry.verdict for entry in self.entries)

    @property
    def worst(self) -> Verdict:
        """The worst verdict; ok where there is no entry."""
        return max((entry.verdict for entry in self.entries), key=ORDER.index, default=Verdict.OK)

    @property
    def exit_status(self) -> int:
        """0 where all is ok, 1 where something deviates, 3 where something hangs, 4 where something is dangerous."""
        return EXIT_STATUS[self.worst]

    @property
    def counts(self) -> Counter[str]:
        """What all parts counted together."""
        return sum((Counter(part.counts) for part in self.parts), Counter())

    def families(self) -> dict[str, list[Entry]]:
        """The entries by family, in the order in which families first occur."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.family, []).append(entry)
        return found

    def write(
        self,
        *,
        json_file: Path | None = None,
        json_lines: Path | None = None,
        junit: Path | None = None,
        html: Path | None = None,
    ) -> None:
        """Write the files that are named. One that cannot be written leaves the others be; then OSError names it."""
        from pooled_httpd.attack.report_page import page

        whole = {"parts": self._part_records(), "entries": self._entry_records()}
        lines = [json.dumps(record) for record in self._records()]
        documents = {
            json_file: json.dumps(whole, indent=1) + "\n",
            json_lines: "\n".join(lines) + "\n",
            junit: self.junit(),
            html: page(self),
        }
        failures = []
        for path, text in documents.items():
            if path is not None:
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
                except OSError as error:
                    failures.append(f"{path} cannot be written: {error.strerror}")
        if failures:
            raise OSError("; ".join(failures))

    def _part_records(self) -> list[dict[str, Any]]:
        return [asdict(part) for part in self.parts]

    def _entry_records(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.entries]

    def _records(self) -> Iterable[dict[str, Any]]:
        yield from ({"record": "part", **record} for record in self._part_records())
        yield from ({"record": "entry", **record} for record in self._entry_records())

    def junit(self) -> str:
        """As JUnit XML: a suite for each family, a test case for each entry, the parts as properties."""
        root = ET.Element("testsuites", name="pooled_httpd.attack")
        header = ET.SubElement(root, "testsuite", name="campaign", tests="0", failures="0")
        properties = ET.SubElement(header, "properties")
        for part in self.parts:
            ET.SubElement(properties, "property", name="part", value=json.dumps(asdict(part)))
        for family, entries in self.families().items():
            failures = sum(entry.verdict is not Verdict.OK for entry in entries)
            suite = ET.SubElement(
                root, "testsuite", name=family.translate(_NOT_IN_XML), tests=str(len(entries)), failures=str(failures)
            )
            for entry in entries:
                _add_test_case(suite, entry)
        ET.indent(root)
        return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_test_case(suite: ET.Element, entry: Entry) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=f"attack.{entry.family}".translate(_NOT_IN_XML),
        name=entry.name.translate(_NOT_IN_XML),
        time=f"{entry.seconds:.6f}",
    )
    properties = ET.SubElement(case, "properties")
    ET.SubElement(properties, "property", name="entry", value=json.dumps(asdict(entry)))
    if entry.verdict is not Verdict.OK:
        message = "; ".join(entry.faults).translate(_NOT_IN_XML)
        failure = ET.SubElement(case, "failure", type=str(entry.verdict), message=message)
        failure.text = f"{entry.section} {entry.level}: {entry.why}\nsent: {entry.data}\nseen: {entry.seen}".translate(
            _NOT_IN_XML
        )


def read(path: Path) -> Report:
    """Read a report back from JSON lines, JSON or JUnit XML, as :meth:`Report.write` wrote it.

    Raises ValueError where it is none.
    """
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".xml":
            return _from_junit(text)
        if path.suffix == ".json":
            document = json.loads(text)
            return Report(tuple(map(_part, document["parts"])), tuple(map(_entry, document["entries"])))
        records = [json.loads(line) for line in text.splitlines() if line.strip()]
        parts = tuple(_part(record) for record in records if record["record"] == "part")
        return Report(parts, tuple(_entry(record) for record in records if record["record"] == "entry"))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, ET.ParseError) as error:
        raise ValueError(f"{path} is no report of this kit: {error!r:.200}") from error


def _part(record: dict[str, Any]) -> Part:
    part = Part(**{key: value for key, value in record.items() if key != "record"})
    numbers = (part.seed, part.part, part.parts, *part.counts.values())
    if not all(type(number) is int for number in numbers) or not 1 <= part.part <= part.parts <= MOST_PARTS:
        raise ValueError(f"part {part.part!r} of {part.parts!r} is none")
    return part


def _entry(record: dict[str, Any]) -> Entry:
    values = {key: value for key, value in record.items() if key != "record"}
    return Entry(**{**values, "verdict": Verdict(values["verdict"]), "faults": tuple(values["faults"])})


def _from_junit(text: str) -> Report:
    root = ET.fromstring(text)
    parts = [
        json.loads(found.get("value", "")) for found in root.findall("testsuite/properties/property[@name='part']")
    ]
    entries = []
    for suite in root.iter("testsuite"):
        for case in suite.iter("testcase"):
            record = case.find("properties/property[@name='entry']")
            if record is None:
                raise ValueError(f"the test case {case.get('name')!r} has no property 'entry'")
            entries.append(_entry(json.loads(record.get("value", ""))))
    return Report(tuple(map(_part, parts)), tuple(entries))


def merge(reports: Sequence[Report]) -> Report:
    """One report of all parts, in their order. MergeError where they are not the parts of one campaign."""
    parts = [part for report in reports for part in report.parts]
    if not parts:
        raise MergeError("there is no part to merge")
    for name in ("campaign", "seed", "parts", "scope"):
        values = sorted({str(getattr(part, name)) for part in parts})
        if len(values) > 1:
            raise MergeError(f"the parts are of different campaigns: {name} is {' and '.join(values)}")
    counted = Counter(part.part for part in parts)
    twice = sorted(number for number, count in counted.items() if count > 1)
    missing = [number for number in range(1, parts[0].parts + 1) if number not in counted]
    if twice or missing:
        faults = [f"part {number} is there twice" for number in twice]
        faults += [f"part {number} of {parts[0].parts} is missing" for number in missing]
        raise MergeError("; ".join(faults))
    ordered = sorted(reports, key=lambda report: report.parts[0].part)
    return Report(
        tuple(part for report in ordered for part in report.parts),
        tuple(entry for report in ordered for entry in report.entries),
    )
