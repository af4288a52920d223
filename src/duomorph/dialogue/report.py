"""All lines at a glance: what it took, what failed and why, and which curves somebody should look at.

One promise: whoever is named here is named with the number that made it odd; the page fetches nothing.

    with Ledger("curves/duomorph.sqlite") as ledger:
        report = look(ledger)
    print(text(report))
    write("curves/duomorph.html", report)
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from duomorph import files
from duomorph.dialogue.ledger import Ledger

SILENT_DB: Final = -60.0
CLIPPED: Final = 0.001  # of the samples
SHUT: Final = 0.05  # jawOpen
APART: Final = 6.0  # standard deviations, as the middle half of the group tells them
ENOUGH: Final = 20  # lines that make a group
SHOWN: Final = 20  # of a kind, in text
MEASURES: Final = {"level_db": "level, dB", "openness": "mean jawOpen", "motion": "motion, 1/s"}
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2530; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.4rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: left; font-weight: normal }
td { vertical-align: top; overflow-wrap: anywhere } thead th { color: #66707c; border-bottom: 1px solid #e3e7ec }
.faint { color: #66707c } b { font-size: 1.1em }
"""


@dataclass(frozen=True)
class Group:
    """Lines that belong together, and their medians in the order of `MEASURES`; `odd`: in which of them it stands
    outside the middle nine tenths of all other lines."""

    name: str
    lines: int
    heard_s: float
    medians: tuple[float, ...]
    odd: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a ledger tells of the last list.

    Attributes:
        states: lines by state. heard_s, cost_s: of all lines that are done, in seconds of sound and of one worker.
        runs: number, beginning and seconds of each run. failures, outliers: name and what there is to say.
    """

    states: dict[str, int]
    heard_s: float
    cost_s: float
    runs: list[tuple[int, float, float]]
    groups: list[Group]
    failures: list[tuple[str, str]]
    outliers: list[tuple[str, str]]


def look(ledger: Ledger) -> Report:
    """What the ledger tells. Raises BatchError."""
    names, parts, numbers = [], [], []
    for name, part, *values in ledger.rows(
        "name, part, heard_s, cost_s, clipped, jaw, level_db, openness, motion", "state IN ('done', 'check')"
    ):
        names.append(str(name))
        parts.append(str(part))
        numbers.append(values)
    table = np.array(numbers, dtype=np.float64).reshape(-1, 7)  # a sound's numbers each
    failures = [(str(name), str(error)) for name, error in ledger.rows("source, error", "state = 'failed'")]
    groups, odd = _compared(parts, table)
    outliers = []
    for k, (name, (_, _, clipped, jaw, level, *_)) in enumerate(zip(names, table, strict=True)):
        said = []
        if level < SILENT_DB:
            said.append(f"silent: {level:.0f} dB")
        elif jaw < SHUT:
            said.append(f"the mouth never opens: jawOpen {jaw:.3f} at most")
        if clipped > CLIPPED:
            said.append(f"clipped: {clipped:.1%} of the samples at full scale")
        said += odd.get(k, []) if level >= SILENT_DB else []
        if said:
            outliers.append((name, "; ".join(said)))
    heard, cost = table[:, :2].sum(axis=0)
    return Report(ledger.tally(), float(heard), float(cost), ledger.runs(), groups, failures, outliers)


def _compared(parts: list[str], table: NDArray[np.float64]) -> tuple[list[Group], dict[int, list[str]]]:
    """Groups beside each other, and by row what is odd in its own group."""
    rows = defaultdict(list)
    for k, part in enumerate(parts):
        if table[k, 4] >= SILENT_DB:
            rows[part].append(k)
    groups, odd = [], defaultdict(list)
    for part, own in sorted(rows.items()):
        inside = np.isin(np.arange(len(table)), own)
        heard = np.flatnonzero(table[:, 4] >= SILENT_DB)
        others = table[heard[~inside[heard]], 4:]
        medians = np.median(table[own, 4:], axis=0)
        strange = []
        for column, (label, middle) in enumerate(zip(MEASURES.values(), medians, strict=True)):
            values = table[own, 4 + column]
            low, high = np.quantile(values, [0.25, 0.75])
            spread = (high - low) / 1.349  # of a normal distribution
            if len(own) >= ENOUGH and spread > 0:
                for k in np.asarray(own)[np.abs(values - middle) > APART * spread]:
                    odd[int(k)].append(f"{label} {table[k, 4 + column]:.3g}, of its group {middle:.3g}")
            if len(own) >= ENOUGH and len(others) >= ENOUGH:
                low, high = np.quantile(others[:, column], [0.05, 0.95])
                if not low <= middle <= high:
                    strange.append(label)
        groups.append(Group(part, len(own), float(table[own, 0].sum()), tuple(map(float, medians)), tuple(strange)))
    return groups, odd


def text(report: Report) -> str:
    """A screen of it."""
    lines = list(_facts(report))
    for title, named in (("failed", report.failures), ("to look at", report.outliers)):
        if named:
            lines += ["", f"{title}: {len(named)}"]
            lines += [f"  {name}  {said}" for name, said in named[:SHOWN]]
            lines += [f"  ... and {len(named) - SHOWN} more"] * (len(named) > SHOWN)
    odd = [group for group in report.groups if group.odd]
    if odd:
        lines += ["", f"groups unlike the others: {len(odd)}"]
        lines += [f"  {group.name or '-'}  {', '.join(group.odd)}" for group in odd]
    return "\n".join(lines)


def write(path: str | Path, report: Report) -> None:
    """Put the page at `path`, whole or not at all. Raises FormatError."""
    named = [(group.name or "–", group) for group in report.groups]
    body = [
        "<h1>Dialogue</h1>",
        *(f"<p>{escape(fact)}.</p>" for fact in _facts(report)),
        "<h2>Failed</h2>",
        _table(["sound", "reason"], report.failures),
        "<h2>To look at</h2>",
        f"<p class=faint>Silent: below {SILENT_DB:g} dB. Clipped: more than {CLIPPED:.1%} of the samples. "
        f"Odd: {APART:g} standard deviations from the median of its group.</p>",
        _table(["line", "why"], report.outliers),
        "<h2>Groups</h2>",
        _table(
            ["group", "lines", "hours", *(f"median {label}" for label in MEASURES.values()), "unlike the others in"],
            [
                (name, group.lines, f"{group.heard_s / 3600:.2f}", *(f"{one:.3g}" for one in group.medians),
                 ", ".join(group.odd))
                for name, group in named
            ],
        ),
        "<h2>Runs</h2>",
        _table(
            ["run", "began (UTC)", "hours"],
            [(run, time.strftime("%Y-%m-%d %H:%M", time.gmtime(began)), f"{took / 3600:.2f}")
             for run, began, took in report.runs],
        ),
    ]  # fmt: skip
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>Duomorph: dialogue</title><style>{STYLE}</style>"
    files.write(path, "\n".join([head, *body, "</html>", ""]).encode("utf-8", "backslashreplace"))


def _facts(report: Report) -> list[str]:
    lines = sum(report.states.values())
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.states.items()))
    took = report.runs[-1][2] if report.runs else 0.0
    speed = f"{report.heard_s / report.cost_s:.1f} x real time a worker" if report.cost_s else "no work yet"
    return [f"{lines} lines: {states or 'none'}", f"{report.heard_s / 3600:.2f} h of sound, {speed}",
            f"the last run took {took / 3600:.2f} h"]  # fmt: skip


def _table(titles: list[str], rows: Sequence[tuple[object, ...]]) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    lines = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>" + "".join(f"<tr>{line}</tr>\n" for line in lines) + "</table>"
