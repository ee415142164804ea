"""Runs contenders in turn, each time in a fresh process, and takes their time, CPU and memory.

What the system says of a child's peak is never less than what this process holds (Linux carries it
over exec). So scripts say their own peak, and it is asked for other programs only.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Value = TypeVar("Value")
PYTHON = sys.executable
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Bench:
    """How much is measured, and a folder for what that needs."""

    full: bool
    rounds: int
    folder: Path

    def pick(self, short: Value, full: Value) -> Value:
        """Choose a size."""
        return full if self.full else short


class Sample(NamedTuple):
    """One run of a contender: seconds and CPU seconds of its work, peak memory of its process in
    MB, and what it said of the work."""

    items: int
    seconds: float
    cpu: float
    peak: float
    facts: Mapping[str, Any]

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds


def last_line(printed: str) -> Mapping[str, Any]:
    """Read what `timed` printed."""
    found: Mapping[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@dataclass(frozen=True, slots=True)
class Contender:
    """A command that does the work once.

    `needs` are the programs and modules that it cannot do without. `before` runs ahead of each
    round, outside of what is measured; `check` raises where the work was not done. `reads` gives
    `items`, `seconds`, `cpu`, `peak` and `facts` of what was printed; where seconds, cpu or peak
    are not among them, they are those of the whole process.
    """

    name: str
    command: Sequence[str | Path]
    needs: Sequence[str] = ()
    before: Callable[[], object] = lambda: None
    check: Callable[[Sample], object] = lambda _: None
    reads: Callable[[str], Mapping[str, Any]] = last_line
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def lacks(self) -> list[str]:
        """What it needs and this machine does not have."""
        return [need for need in self.needs if not shutil.which(need) and not importable(need)]


def importable(module: str) -> bool:
    """Whether a module is installed, found without importing it."""
    return module.isidentifier() and importlib.util.find_spec(module) is not None


def script(module: str, *arguments: object) -> list[str]:
    """Give the command that runs a module of this package."""
    return [PYTHON, "-m", f"benchmarks.{module}", *map(str, arguments)]


def run(contender: Contender) -> Sample:
    """Run a contender once. Raises SystemExit with what it said where it fails."""
    contender.before()
    with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryFile("w+") as printed:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - a contender's own command
            [os.fspath(part) for part in contender.command],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, **contender.environment},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{contender.name} ended with {process.returncode}:\n{errors.read()}")
        found = contender.reads(printed.read())
    sample = Sample(
        items=found["items"],
        seconds=found.get("seconds", seconds),
        cpu=found.get("cpu", usage.ru_utime + usage.ru_stime),
        peak=found.get("peak", usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)),
        facts=found.get("facts", {}),
    )
    contender.check(sample)
    return sample


def compare(contenders: Sequence[Contender], rounds: int) -> dict[str, list[Sample]]:
    """Run all in each round, every other round backwards, so that a drift of the machine hits all.

    Contenders that lack something are left out, and that is said.
    """
    able = []
    for contender in contenders:
        if contender.lacks:
            print(f"{contender.name} is left out: no {', '.join(contender.lacks)}", file=sys.stderr)
        else:
            able.append(contender)
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in able}
    for number in range(rounds):
        for contender in able if number % 2 == 0 else reversed(able):
            samples[contender.name].append(run(contender))
    return samples


def ratio(samples: Mapping[str, Sequence[Sample]], one: str, other: str) -> float | None:
    """How many times the rate of `other` that of `one` is: the median of the rounds' ratios."""
    if one not in samples or other not in samples:
        return None
    pairs = zip(samples[one], samples[other], strict=True)
    return statistics.median(mine.rate / theirs.rate for mine, theirs in pairs)
