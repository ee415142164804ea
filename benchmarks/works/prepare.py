"""Preparing: an input of reviews to requests in batches, checked, with their rows kept."""

from __future__ import annotations

import csv
import json
import shutil
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from benchmarks.harness import PYTHON, Contender, compare, ratio, run, script
from benchmarks.inputs import MODEL, reviews, write_jsonl
from benchmarks.report import Comparison, Goal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.harness import Bench, Sample

TITLE = "Preparing"
OURS, LOOP = "valar-batch", "a loop with the stdlib's json"
HALVES = "valar-batch, two processes"
WANTED, MOST_MB, MOST_GROWTH = 3.0, 400.0, 1.15
PARQUET = (
    "import sys, pyarrow.json as j, pyarrow.parquet as p; "
    "p.write_table(j.read_json(sys.argv[1]), sys.argv[2])"
)


def measure(bench: Bench) -> Iterator[Comparison]:
    """Compare on the main job, then on other inputs and recipes."""
    rows, others = bench.pick(100_000, 1_000_000), bench.pick(30_000, 200_000)
    yield main_job(bench, rows)
    yield from other_inputs(bench, others)


def main_job(bench: Bench, rows: int) -> Comparison:
    """JSONL with a template, against everybody."""
    path, place = write_jsonl(bench.folder / f"reviews-{rows}.jsonl", rows), bench.folder / "out"
    contenders = [
        contender(OURS, place, "ours.prepare", path, rows, place, "template"),
        contender(HALVES, place, "ours.prepare_halves", *halves(path, rows), rows, place),
        rival(LOOP, place, "stdlib", path, rows, place, "template"),
        rival("DuckDB, SQL", place, "duckdb", path, rows, place, needs=["duckdb"]),
        rival("Polars", place, "polars", path, rows, place, needs=["polars"]),
    ]
    samples = compare(contenders, bench.rounds)
    few = write_jsonl(bench.folder / f"reviews-{rows // 10}.jsonl", rows // 10)
    small = run(contender(OURS, place, "ours.prepare", few, rows // 10, place, "template"))
    peak = max(sample.peak for sample in samples[OURS])
    goals = [
        Goal("rate beside the loop", ratio(samples, OURS, LOOP), WANTED),
        Goal("peak memory", peak, MOST_MB, at_most=True, unit="MB"),
    ]
    if bench.full:
        text = f"peak memory beside that of {rows // 10:,} rows"
        goals.append(Goal(text, peak / small.peak, MOST_GROWTH, at_most=True))
    notes = [
        "Ours also validates, packs, hashes and compresses, and keeps the rows, all fsynced.",
    ]
    title = f"{rows:,} rows of JSONL with a template"
    return Comparison(title, "rows", samples, OURS, notes, goals)


def other_inputs(bench: Bench, rows: int) -> Iterator[Comparison]:
    """Other formats and recipes, each beside the loop; Parquet beside the loop over JSONL."""
    path = write_jsonl(bench.folder / f"reviews-{rows}.jsonl", rows)
    table, columns = path.with_suffix(".csv"), path.with_suffix(".parquet")
    finished = path.with_suffix(".finished.jsonl")
    write_csv(table, rows)
    write_finished(finished, rows)
    run(
        Contender(
            "to Parquet", [PYTHON, "-c", PARQUET, path, columns], reads=lambda _: {"items": 1}
        )
    )
    place = bench.folder / "out"
    for title, ours, theirs, kind in (
        ("CSV with a template", table, table, "template"),
        ("Parquet with a template, beside the loop over JSONL", columns, path, "template"),
        ("JSONL with --id", path, path, "id"),
        ("finished requests", finished, finished, "finished"),
    ):
        contenders = [
            contender(OURS, place, "ours.prepare", ours, rows, place, kind),
            rival(LOOP, place, "stdlib", theirs, rows, place, kind),
        ]
        samples = compare(contenders, bench.rounds)
        yield Comparison(f"{rows:,} rows: {title}", "rows", samples, OURS)


def contender(name: str, place: Path, module: str, *arguments: object) -> Contender:
    """Make a contender of a script of ours, which counts its requests itself."""
    return Contender(name, script(module, *arguments), before=partial(emptied, place))


def rival(
    name: str, place: Path, library: str, *arguments: object, needs: list[str] | None = None
) -> Contender:
    """Make a contender of a rival's script, whose requests are counted in its files."""
    return Contender(
        name,
        script(f"rivals.prepare_{library}", *arguments),
        needs=needs or (),
        before=partial(emptied, place),
        check=partial(check_files, place),
    )


def emptied(place: Path) -> None:
    """Make a folder anew."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)


def check_files(place: Path, sample: Sample) -> None:
    """Make sure that every row has a request, and that batches are not too large."""
    counts = [
        path.read_bytes().count(b'"custom_id":') for path in place.rglob("*") if path.is_file()
    ]
    if sum(counts) != sample.items or max(counts) > 100_000:
        raise SystemExit(f"{counts} requests of {sample.items} rows")


def halves(path: Path, rows: int) -> list[Path]:
    """Cut a file of lines in two, with half of the rows each."""
    parts = [path.with_suffix(f".half{number}.jsonl") for number in (1, 2)]
    with path.open("rb") as lines:
        for part in parts:
            with part.open("wb") as file:
                file.writelines(islice(lines, (rows + 1) // 2))
    return parts


def write_csv(path: Path, rows: int) -> None:
    """Write reviews as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for row in reviews(rows):
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow(row)


def write_finished(path: Path, rows: int) -> None:
    """Write reviews as Valar's batch items."""
    with path.open("w", encoding="utf-8") as file:
        for row in reviews(rows):
            messages = [
                {"role": "system", "content": "You label reviews."},
                {"role": "user", "content": row["review"]},
            ]
            params = {"model": MODEL, "input": messages, "max_output_tokens": 100}
            item = {"custom_id": row["id"], "params": params}
            file.write(json.dumps(item, ensure_ascii=False) + "\n")
