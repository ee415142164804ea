"""A problem of the input: where it is, what is wrong, what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that validation found.

    `row` counts data rows from 1 and is None for what concerns the recipe or the whole input;
    `line` is the line of a text file where the row begins, where it is known. Where the input is
    several files, `file` is the one that row and line are of. `kind` groups problems of one cause:
    a short word that does not change between versions. `fixable` ones have one right answer.
    """

    kind: str
    field: str
    message: str
    hint: str = ""
    row: int | None = None
    line: int | None = None
    file: str | None = None
    fixable: bool = False

    def at(self, row: int, line: int | None = None, file: str | None = None) -> Problem:
        """Give the same problem, placed on a row."""
        return replace(self, row=row, line=line, file=file)

    def __str__(self) -> str:
        where = "" if self.row is None else row_name(self.row, self.file)
        if self.line not in (None, self.row):
            where += f" (line {self.line})"
        return ", ".join(part for part in (where, self.field) if part) + f": {self.message}"


@dataclass(frozen=True, slots=True)
class FileRows:
    """A file of an input that has several, as problems name it, and how many rows it has."""

    path: str
    rows: int


def place_of(row: int, files: Sequence[FileRows]) -> tuple[int, str | None]:
    """Give a row of the whole input as the row of its file, with the file; itself without files."""
    for file in files:
        if row <= file.rows:
            return row, file.path
        row -= file.rows
    return row, None


def row_name(row: int, file: str | None) -> str:
    """Name a row in a sentence."""
    return f"{file} row {row}" if file else f"row {row}"


@dataclass(slots=True)
class Tally:
    """Counts of problems by kind and field, and the first few in full: flat in memory.

    Beyond the `shown` first, the first of a further kind is kept too, as long as they are few.
    """

    shown: int = 20
    rows: int = 0
    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[Problem] = field(default_factory=list)

    def add(self, problems: Sequence[Problem]) -> None:
        """Count the problems of one row."""
        self.rows += 1
        for problem in problems:
            self.groups[problem.kind, problem.field] += 1
            is_new = self.groups[problem.kind, problem.field] == 1
            if len(self.first) < (2 * self.shown if is_new else self.shown):
                self.first.append(problem)
