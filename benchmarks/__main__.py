"""The command: measures the works that are asked for, and prints their tables."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import Bench
from benchmarks.machine import describe
from benchmarks.report import Comparison, as_text, write_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from benchmarks.report import Figures

WORKS = ("prepare", "submit", "poll", "fetch", "join", "start", "local", "growth", "steps")


def tables_of(work: ModuleType, bench: Bench) -> Iterator[Figures]:
    """Measure a work, and print each of its tables as it comes."""
    for found in work.measure(bench):
        figures = found.figures() if isinstance(found, Comparison) else found
        print(as_text(figures), flush=True)
        yield figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}; or all")
    parser.add_argument("--full", action="store_true", help="the sizes of the published figures")
    parser.add_argument("--rounds", type=int, help="how often each contender runs (default 3; 5)")
    parser.add_argument("--page", type=Path, help="write the tables into this Markdown page")
    asked = parser.parse_args()
    if unknown := set(asked.works) - set(WORKS):
        parser.error(f"{', '.join(sorted(unknown))}: not of {', '.join(WORKS)}")
    works = asked.works or WORKS
    if len(works) > 1:  # each in a process of its own, for what it holds would count as its peaks
        options = [argument for argument in sys.argv[1:] if argument not in works]
        for name in works:
            subprocess.run([sys.executable, "-m", "benchmarks", name, *options], check=True)  # noqa: S603
        return
    print(describe(), file=sys.stderr)
    [name] = works
    work = importlib.import_module(f"benchmarks.works.{name}")
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
        rounds = asked.rounds or (5 if asked.full else 3)
        tables = list(tables_of(work, Bench(asked.full, rounds, Path(folder))))
    if asked.page:
        command = f"python -m benchmarks {name}{' --full' * asked.full}"
        write_page(asked.page, name, work.TITLE, tables, command)


if __name__ == "__main__":
    main()
