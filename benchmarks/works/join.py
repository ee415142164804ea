"""Join: the answers of a run beside its rows, as Parquet and in the other forms."""

from __future__ import annotations

import statistics
import subprocess
from typing import TYPE_CHECKING

from benchmarks.harness import Contender, Sample, compare, ratio, script
from benchmarks.report import Comparison, Goal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.harness import Bench

TITLE = "Joining"
OURS, PANDAS, DUCKDB = "valar-batch", "pandas", "DuckDB"
SETUP = (
    "Set-up, not measured: the input is prepared as `submit` does it, and the spool is filled with "
    "generated responses of 1.8 KB, in disorder within 1,000 rows. Ours reads the run folder; the "
    "others read the input and the results as JSONL, `{custom_id, response}` a line."
)


def measure(bench: Bench) -> Iterator[Comparison]:
    """Join to Parquet beside the rivals; then in other forms, and in two processes."""
    rows = bench.pick(100_000, 1_000_000)
    made = prepared(bench.folder / f"join-{rows}", rows)
    samples = compare(
        [
            ours(OURS, made, "out.parquet", rows),
            *(rival(name, made, rows) for name in ("pandas", "duckdb", "polars")),
            rival("duckdb", made, rows, "results.jsonl.zst"),
        ],
        bench.rounds,
    )
    mine, theirs = peak(samples, OURS), peak(samples, DUCKDB)
    goals = [
        Goal("join to Parquet: speed, to pandas merge", ratio(samples, OURS, PANDAS), 2.3),
        Goal("join to Parquet: peak memory", mine, 600, at_most=True, unit="MB"),
        Goal("join to Parquet: speed, to DuckDB", ratio(samples, OURS, DUCKDB), 0.8),
    ]
    if mine and theirs:
        goals.append(
            Goal("join to Parquet: peak memory, to DuckDB", mine / theirs, 0.5, at_most=True)
        )
    if bench.full:
        small = prepared(bench.folder / "join-100000", 100_000)
        tenth = compare([ours(OURS, small, "out.parquet", 100_000)], bench.rounds)
        less = peak(tenth, OURS)
        if mine and less:
            goals.append(Goal("join: peak at 1M rows, to 100k", mine / less, 1.15, at_most=True))
    yield Comparison(f"{TITLE}, {rows:,} rows to Parquet", "rows", samples, OURS, [SETUP], goals)

    fewer = bench.pick(50_000, 500_000)
    plain = prepared(bench.folder / f"join-{fewer}", fewer, batch=fewer // 4)
    typed = prepared(bench.folder / f"join-typed-{fewer}", fewer, batch=fewer // 4, typed=True)
    forms = compare(
        [
            ours("Parquet", plain, "out.parquet", fewer),
            ours("JSONL", plain, "out.jsonl", fewer),
            ours("CSV", plain, "out.csv", fewer),
            ours("Parquet, typed by a schema", typed, "out.parquet", fewer),
            ours("a folder of parts", plain, "parts/", fewer, 1),
            ours("a folder of parts, two processes", plain, "parts/", fewer, 2),
        ],
        bench.rounds,
    )
    note = "Of processes that share the work, memory is that of the first; CPU has their start-up."
    yield Comparison(f"{TITLE}, {fewer:,} rows in other forms", "rows", forms, "Parquet", [note])


def prepared(folder: Path, rows: int, *, batch: int = 100_000, typed: bool = False) -> Path:
    """Make a run folder with all results, and the same as files, where they are not made yet."""
    if not (folder / "done").exists():
        words = ["typed"] if typed else []
        command = script("ours.join_prepared", folder, rows, batch, *words)
        subprocess.run(command, check=True)  # noqa: S603 - our own command
    return folder


def ours(name: str, made: Path, out: str, rows: int, processes: int | None = None) -> Contender:
    """Join with this program, by so many processes; None is this one."""
    target = f"{made}/{out}"
    words = [] if processes is None else [processes]
    command = script("ours.join_parts" if words else "ours.join", made, target, rows, *words)
    return Contender(name, command, check=checking(target, rows))


def rival(module: str, made: Path, rows: int, results: str = "results.jsonl") -> Contender:
    """Join with another library."""
    name = {"pandas": PANDAS, "duckdb": DUCKDB, "polars": "Polars"}[module]
    name = f"{name}, results as zstd" if results.endswith(".zst") else name
    target = f"{made}/{module}.parquet"
    command = script(f"rivals.join_{module}", made / "in.jsonl", made / results, target, rows)
    return Contender(name, command, needs=[module], check=checking(target, rows))


class checking:  # noqa: N801 - reads as a verb where it is used
    """Makes sure that an output has every row with its own answer."""

    def __init__(self, target: str, rows: int) -> None:
        self._command = script("ours.join_checked", target, rows)

    def __call__(self, _: Sample) -> None:
        """Raise CalledProcessError where it has not."""
        subprocess.run(self._command, check=True)  # noqa: S603 - our own command


def peak(samples: Mapping[str, Sequence[Sample]], name: str) -> float | None:
    """Give the median peak of a contender in MB."""
    return statistics.median(s.peak for s in samples[name]) if name in samples else None
