"""How long the command line takes to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness import PYTHON, Contender, compare, ratio, script
from benchmarks.report import Comparison, Goal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Bench

TITLE = "Starting"
OURS, VERSION, LIST = "valar-batch --help", "valar-batch --version", "valar-batch list"
TYPER, PYTHON_ALONE = "an empty typer program's --help", "python -c pass"
VALAR = (PYTHON, "-m", "valar_batch")


def measure(bench: Bench) -> Iterator[Comparison]:
    """Start each many times."""
    commands = {
        OURS: [*VALAR, "--help"],
        VERSION: [*VALAR, "--version"],
        LIST: [*VALAR, "list"],
        TYPER: script("rivals.start_typer", "--help"),
        PYTHON_ALONE: [PYTHON, "-c", "pass"],
    }
    environment = {"VALAR_BATCH_HOME": str(bench.folder / "home")}
    contenders = [
        Contender(name, command, environment=environment, reads=lambda _: {"items": 1})
        for name, command in commands.items()
    ]
    samples = compare(contenders, bench.pick(10, 40))
    slower = ratio(samples, TYPER, OURS)
    goal = Goal("time of --help, of an empty typer program's", slower, 1.3, at_most=True)
    yield Comparison("Starting", "starts", samples, OURS, goals=[goal])
