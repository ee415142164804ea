"""Ten times the rows, ten times the time, and the same memory: preparing, and the whole path.

Preparing goes to 10 million rows. The whole path ends at a million, where it works through ten full
batches: beyond that there are only more of them, and every row is answered by the local Valar.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

from benchmarks.harness import PYTHON, ROOT, Contender, run, script
from benchmarks.inputs import SEED
from benchmarks.ours.rehearsal import recipe
from benchmarks.report import Figures, Goal, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.harness import Bench, Sample

TITLE = "Growth"
PICTURE = "growth.svg"
WORDS = ("late", "well", "good", "bad", "box", "kettle", "lid", "loose", "warm", "twice", "never")
PREPARE, WHOLE = "prepare (validate)", "run --local"
HEADER = ("work", "rows", "seconds", "µs a row", "CPU µs a row", "peak MB")


def measure(bench: Bench) -> Iterator[Figures]:
    """Measure each size once: what is looked for are factors."""
    sizes = {
        PREPARE: bench.pick([10_000, 100_000, 1_000_000], [10_000, 100_000, 1_000_000, 10_000_000]),
        WHOLE: bench.pick([10_000, 100_000], [10_000, 100_000, 1_000_000]),
    }
    makers: dict[str, Callable[[Path, Path, int], Contender]] = {PREPARE: preparing, WHOLE: whole}
    samples: dict[str, dict[int, Sample]] = {}
    for work, rows in sizes.items():
        for count in rows:
            home = bench.folder / f"home-{count}"
            contender = makers[work](home, short_rows(bench.folder, count), count)
            samples.setdefault(work, {})[count] = run(contender)
            shutil.rmtree(home, ignore_errors=True)
    if bench.full:
        draw(samples)
    yield table(samples, PICTURE if bench.full else "")


def preparing(home: Path, source: Path, rows: int) -> Contender:
    """Read, render, check and pack everything, and send nothing."""

    def counted(printed: str) -> Mapping[str, int]:
        return {"items": json.loads(printed)["requests"]}

    def check(sample: Sample) -> None:
        if sample.items != rows:
            raise SystemExit(f"{sample.items} requests were prepared of {rows} rows")

    command = [PYTHON, "-m", "valar_batch", "validate", source, *recipe(), "--json"]
    environment = {"VALAR_BATCH_HOME": str(home)}
    return Contender(PREPARE, command, reads=counted, check=check, environment=environment)


def whole(home: Path, source: Path, rows: int) -> Contender:
    """Prepare, send, fetch and join to Parquet, against the local Valar."""
    command = script("ours.rehearsal", source, rows, home.with_suffix(".parquet"))
    return Contender(WHOLE, command, environment={"VALAR_BATCH_HOME": str(home)})


def short_rows(folder: Path, rows: int) -> Path:
    """Write rows of some 60 bytes, one JSON object a line, where they are not written yet."""
    path = folder / f"short-{rows}.jsonl"
    if not path.exists():
        draws = random.Random(SEED)  # noqa: S311 - no secret
        with path.open("w") as file:
            for row in range(rows):
                text = " ".join(draws.choices(WORDS, k=5))
                file.write(f'{{"id": "row-{row:08}", "text": "{text}"}}\n')
    return path


def peak(sample: Sample) -> float:
    """Give the client's peak memory in MB: of the command, not of the script that ran it."""
    held: float = sample.facts.get("peak", sample.peak)
    return held


def table(samples: Mapping[str, Mapping[int, Sample]], picture: str) -> Figures:
    """Lay the figures out; the goals compare the largest input with that of 100,000 rows."""
    rows = [
        [
            work,
            f"{count:,}",
            number(sample.seconds),
            number(1e6 * sample.seconds / count),
            number(1e6 * sample.cpu / count),
            number(peak(sample)),
        ]
        for work, found in samples.items()
        for count, sample in found.items()
    ]
    goals: list[Goal] = []
    for work, found in samples.items():
        largest, hundred = max(found), found[100_000]
        if largest > 100_000:
            name = f"{work}: {largest:,} rows to 100,000"
            more = peak(found[largest]) / peak(hundred)
            longer = found[largest].seconds / largest / (hundred.seconds / 100_000)
            goals += [
                Goal(f"{name}, peak memory", more, 1.15, at_most=True),
                Goal(f"{name}, time of a row", longer, 1.15, at_most=True),
            ]
    notes = [
        "Rows of about 60 bytes; one round. CPU is that of client and server, memory the client's.",
        "The whole path ends at a million rows: ten million are only more batches.",
    ]
    return Figures("Ten times the rows", HEADER, rows, notes, goals, picture)


def draw(samples: Mapping[str, Mapping[int, Sample]]) -> None:
    """Draw the picture, in a process of its own: this one imports nothing large."""
    series: dict[str, Sequence[tuple[int, float, float]]] = {
        work: [
            (count, 1e6 * sample.seconds / count, peak(sample)) for count, sample in found.items()
        ]
        for work, found in samples.items()
    }
    command = script("growth_picture", ROOT / "docs" / PICTURE)
    subprocess.run(command, input=json.dumps(series), text=True, check=True)  # noqa: S603
