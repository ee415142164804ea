"""Steps: where the time of one row and of one result goes, in µs of CPU."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from benchmarks.harness import ROOT, script
from benchmarks.report import Figures, number
from benchmarks.works.join import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Bench

TITLE = "Steps"
NOTE = "Each step by itself, in the best of five goes; what overlaps in threads is not told apart."


def measure(bench: Bench) -> Iterator[Figures]:
    """Take the steps of each path apart."""
    rows = bench.pick(20_000, 50_000)
    made = prepared(bench.folder / "steps", rows, batch=rows)
    told = subprocess.run(  # noqa: S603 - our own command
        script("ours.steps", made, rows), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    for title, steps in json.loads(told).items():
        rows_of = [[step, number(each)] for step, each in steps]
        yield Figures(title, ["step", "CPU µs"], rows_of, [NOTE])
