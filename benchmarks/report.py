"""The tables: as text on the screen, and as Markdown in the page that shows the figures."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.machine import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.harness import Sample

COLUMNS = ("", "{}/s", "spread", "ours : it", "CPU µs each", "peak MB")
GOALS = ("work", "goal", "wanted", "reached", "")


class Goal(NamedTuple):
    """What is to be reached: a number and its bound, with the unit's sign after it."""

    text: str
    reached: float | None
    wanted: float
    at_most: bool = False
    unit: str = "×"

    @property
    def is_reached(self) -> bool | None:
        """Whether it is; None where it could not be measured."""
        if self.reached is None:
            return None
        return self.reached <= self.wanted if self.at_most else self.reached >= self.wanted

    def cells(self) -> list[str]:
        """Lay it out."""
        verdict = {True: "reached", False: "**not reached**", None: "not measured"}
        reached = "" if self.reached is None else f"{number(self.reached)} {self.unit}"
        sign = "≤" if self.at_most else "≥"
        wanted = f"{sign} {number(self.wanted)} {self.unit}"
        return [self.text, wanted, reached, verdict[self.is_reached]]


@dataclass(frozen=True, slots=True)
class Figures:
    """A table of any columns. `picture` is the path of one, as seen from the page."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    goals: Sequence[Goal] = ()
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same work by several contenders; `unit` is the plural of what they work through."""

    title: str
    unit: str
    samples: Mapping[str, Sequence[Sample]]
    ours: str
    notes: Sequence[str] = ()
    goals: Sequence[Goal] = field(default=())

    def figures(self) -> Figures:
        """Lay it out: medians over the rounds, and how far rates lie apart, by their median."""
        ours = statistics.median(sample.rate for sample in self.samples[self.ours])
        rows = []
        for name, samples in self.samples.items():
            rates = [sample.rate for sample in samples]
            rate = statistics.median(rates)
            each = statistics.median(1e6 * sample.cpu / sample.items for sample in samples)
            peak = statistics.median(sample.peak for sample in samples)
            spread = (max(rates) - min(rates)) / rate
            figures = [
                number(rate),
                f"{spread:.0%}",
                number(ours / rate),
                number(each),
                number(peak),
            ]
            rows.append([name, *figures])
        header = [column.format(self.unit) for column in COLUMNS]
        return Figures(self.title, header, rows, self.notes, self.goals)


def number(value: float) -> str:
    """Write a number with three digits that say something."""
    if value == 0:
        return "0"
    for least, digits in ((100, 0), (10, 1), (0.1, 2)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.2g}"


def as_text(figures: Figures) -> str:
    """Lay a table out for a terminal."""
    rows = [list(figures.header), *map(list, figures.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(figures.header))]
    lines = [figures.title]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    lines += [f"  {note}" for note in figures.notes]
    for goal in figures.goals:
        text, wanted, reached, verdict = goal.cells()
        lines.append(f"  {text}: {reached or '?'} (wanted {wanted}): {verdict.strip('*')}")
    return "\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay a table out as Markdown."""
    line = "|" + "---|" + "---:|" * (len(header) - 1)
    escaped = [[cell.replace("|", r"\|") for cell in cells] for cells in (header, *rows)]
    head, *lines = [f"| {' | '.join(cells)} |" for cells in escaped]
    return [head, line, *lines]


def as_markdown(tables: Sequence[Figures], command: str) -> str:
    """Lay out the tables of one work, with the machine, the day and the command."""
    lines = [f"{describe()} Command: `{command}`."]
    for figures in tables:
        lines += ["", f"**{figures.title}**", "", *table(figures.header, figures.rows)]
        if figures.notes:
            lines += ["", " ".join(figures.notes)]
        if figures.picture:
            lines += ["", f"![{figures.title}]({figures.picture})"]
    return "\n".join(lines)


def write_page(page: Path, work: str, title: str, tables: Sequence[Figures], command: str) -> None:
    """Put the tables of a work between its marks in a page, and its goals into the page's table."""
    text = fill(page.read_text(), work, as_markdown(tables, command))
    goals = [[title, *goal.cells()] for figures in tables for goal in figures.goals]
    found = re.search(r"<!-- goals -->\n(.*?)\n?<!-- /goals -->", text, re.DOTALL)
    kept = [] if found is None else found[1].splitlines()[2:]
    rows = [line for line in kept if not line.startswith(f"| {title} |")]
    new = table(GOALS, goals)
    page.write_text(fill(text, "goals", "\n".join([*new[:2], *rows, *new[2:]])))


def fill(text: str, mark: str, content: str) -> str:
    """Replace what stands between two marks of a page. Raises ValueError where they are missing."""
    filled, count = re.subn(
        rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)",
        lambda match: f"{match[1]}{content}\n{match[2]}",
        text,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"the page has no place for {mark!r}")
    return filled
