"""A problem of the input: where it is, what is wrong, what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that validation found.

    `row` counts data rows from 1 and is None for what concerns the recipe or the whole input;
    `line` is the line of a text file where the row begins, where it is known. `kind` groups
    problems of one cause: a short word that does not change between versions.
    """

    kind: str
    field: str
    message: str
    hint: str = ""
    row: int | None = None
    line: int | None = None

    def at(self, row: int, line: int | None) -> Problem:
        """Give the same problem, placed on a row."""
        return Problem(self.kind, self.field, self.message, self.hint, row, line)

    def __str__(self) -> str:
        where = "" if self.row is None else f"row {self.row}"
        if self.line not in (None, self.row):
            where += f" (line {self.line})"
        return ", ".join(part for part in (where, self.field) if part) + f": {self.message}"


@dataclass(slots=True)
class Tally:
    """Counts of problems by kind and field, and the first few in full: flat in memory.

    Beyond the `shown` first, the first of a further kind is kept too, as long as they are few.
    """

    shown: int = 20
    rows: int = 0
    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[Problem] = field(default_factory=list)

    def add(self, problems: list[Problem]) -> None:
        """Count the problems of one row."""
        self.rows += 1
        for problem in problems:
            self.groups[problem.kind, problem.field] += 1
            is_new = self.groups[problem.kind, problem.field] == 1
            if len(self.first) < (2 * self.shown if is_new else self.shown):
                self.first.append(problem)
