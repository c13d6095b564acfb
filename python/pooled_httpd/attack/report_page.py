"""A report as one HTML page, without anything from outside; what a peer sent is escaped."""

from __future__ import annotations

from html import escape

from pooled_httpd.attack.report import ORDER, Entry, Report

_STYLE = """
:root { color-scheme: light dark; --line: rgb(127 127 127 / .35);
  --ok: #18794e; --deviates: #946800; --hangs: #8e4ec6; --dangerous: #ce2c31; }
@media (prefers-color-scheme: dark) {
  :root { --ok: #3dd68c; --deviates: #ffca16; --hangs: #d19dff; --dangerous: #ff9592; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.ok { color: var(--ok); }
.deviates { color: var(--deviates); }
.hangs { color: var(--hangs); }
.dangerous { color: var(--dangerous); font-weight: 600; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; }
code, pre { font: 13px/1.4 ui-monospace, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .4rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .4rem 0 .6rem 1rem; }
dd { margin: 0; }
"""


def page(report: Report) -> str:
    """The whole page."""
    first = report.parts[0] if report.parts else None
    title = f"{first.campaign} against {first.target}" if first else "attack report"
    body = [f"<h1>{escape(title)}</h1>", _parts(report), _table(report)]
    for family, entries in report.families().items():
        body.append(f"<h2>{escape(family)}</h2>")
        body += [_entry(entry) for entry in sorted(entries, key=lambda entry: -ORDER.index(entry.verdict))]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _parts(report: Report) -> str:
    lines = []
    for part in report.parts:
        counts = ", ".join(f"{count:,} {name}" for name, count in part.counts.items())
        text = f"part {part.part} of {part.parts}, seed {part.seed}, {part.started}, {part.seconds:.1f} s"
        lines.append(f"<li>{escape(text)}{escape(': ' + counts) if counts else ''}</li>")
    return f"<ul>{''.join(lines)}</ul>"


def _table(report: Report) -> str:
    heads = "".join(f'<th class="number">{verdict}</th>' for verdict in ORDER)
    rows = []
    for family, entries in report.families().items():
        counts = {verdict: sum(entry.verdict is verdict for entry in entries) for verdict in ORDER}
        cells = "".join(
            f'<td class="number {verdict if count else ""}">{count}</td>' for verdict, count in counts.items()
        )
        rows.append(f"<tr><td>{escape(family)}</td>{cells}</tr>")
    totals = "".join(f'<td class="number"><strong>{report.verdicts[verdict]}</strong></td>' for verdict in ORDER)
    rows.append(f"<tr><td><strong>all</strong></td>{totals}</tr>")
    head = f"<thead><tr><th>family</th>{heads}</tr></thead>"
    return f"<div class=wide><table>{head}<tbody>{''.join(rows)}</tbody></table></div>"


def _entry(entry: Entry) -> str:
    facts = {
        "source": f"{entry.section} {entry.level}".strip(),
        "seen": entry.seen,
        "wrong": "; ".join(entry.faults),
        "why": entry.why,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text)
    sent = f"<pre>{escape(entry.data)}</pre>" if entry.data else ""
    return (
        f'<details><summary><span class="{entry.verdict}">{entry.verdict}</span> <code>{escape(entry.name)}</code>'
        f"</summary><dl>{rows}</dl>{sent}</details>"
    )
