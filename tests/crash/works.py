"""The works of the harness: an input each, the commands on it, and what they leave behind."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tests.conftest import MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROWS, BATCH = 120, 30
LOCK = re.compile(r"lock(\.holder)?$")
OUTPUTS = ("out.jsonl", "out.parquet", "parts/", "out.csv", "out.arrow")


@dataclass(frozen=True)
class Course:
    """Which commands a work goes through: before the one that is killed, that one, and after it.

    `failing` is the share of requests that fail in the first attempt.
    """

    before: tuple[str, ...]
    killed: str
    after: tuple[str, ...] = ()
    failing: float = 0.0


COURSES: Mapping[str, Course] = MappingProxyType(
    {
        "submit": Course((), "submit", ("fetch",)),
        "fetch": Course(("submit",), "fetch"),
        "run": Course((), "run"),
        "retry": Course(("run",), "retry", ("fetch",), failing=0.4),
    }
)


class Work:
    """One input of its own, and one form of output."""

    def __init__(self, folder: Path, number: int) -> None:
        self.name = f"work{number}"
        self.path = folder / f"{self.name}.jsonl"
        self.results = folder / self.name
        self.results.mkdir()
        out = f"{self.results}/{OUTPUTS[number % len(OUTPUTS)]}"
        recipe = ("--model", MODEL, "--prompt", "{{ a }}", "--id", "id", "--batch-size", BATCH)
        order = (self.path, *recipe, "--name", self.name, "--quiet")
        self.commands = {
            "submit": ("submit", *order),
            "fetch": ("fetch", self.name, "--to", out, "--quiet"),
            "run": ("run", *order, "--to", out),
            "retry": ("retry", self.name, "--quiet"),
        }
        self.write()

    def write(self, changed: int | None = None) -> None:
        """Write the input, or another that differs in one row."""
        rows = [{"id": f"{self.name}-{n}", "a": f"{self.name} word{n}"} for n in range(ROWS)]
        if changed is not None:
            rows[changed]["a"] = "another word"
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def written(self) -> dict[str, bytes]:
        """Give all that stands where the output is, to the last byte."""
        return contents(self.results)


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def names(folder: Path) -> list[str]:
    """Name everything below a folder; not the locks, of which those of the dead mean nothing."""
    paths = (path for path in folder.rglob("*") if not LOCK.search(path.name))
    return sorted(str(path.relative_to(folder)) for path in paths)
