"""What goes in: each input format with the cases that it holds, and what another reader finds."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.value_types.cases import ABSENT, CASES, ROWS, Case
from tests.value_types.judge import Unfaithful, of_arrow, of_json, of_python, verdict

INPUTS = {
    "jsonl": "JSONL",
    "dicts": "dicts",
    "csv": "CSV",
    "tsv": "TSV",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "table": "table",
    "pandas": "pandas",
    "polars": "Polars",
}
UNKNOWN_TO_POLARS = "decimal256|union|run_end|interval|extension"
Key = tuple[str, str]
"""The group and the name of a case."""


@dataclass(frozen=True)
class Given:
    """An input, and what is in each of its columns by another reader than ours.

    `types` are its Arrow types, where the format has them.
    """

    source: object
    columns: Mapping[Key, list[Any]]
    types: Mapping[Key, pa.DataType]


def column_name(key: Key) -> str:
    """Give the column's name in the files: with what needs quoting in it."""
    return ", ".join(key)


def fitting(form: str) -> list[tuple[Key, Case]]:
    """Give the cases that have a form."""
    found = [((c.group, c.name), c) for c in CASES if getattr(c, form) is not None]
    if len(dict(found)) != len(found):
        raise ValueError(f"two cases of {form} have one name")
    return found


# What goes in


def json_lines(folder: Path) -> Given:
    """Write JSONL, each value as its text stands."""
    cases = fitting("json")
    lines = []
    for row in range(ROWS):
        pairs = [f'"row": {row}']
        pairs += [
            f"{json.dumps(column_name(key))}: {case.json[row]}"
            for key, case in cases
            if case.json[row] is not ABSENT
        ]
        lines.append("{" + ", ".join(pairs) + "}\n")
    path = folder / "in.jsonl"
    path.write_text("".join(lines), "utf-8")
    values = {key: [v if v is ABSENT else of_json(v) for v in case.json] for key, case in cases}
    return Given(path, values, {})


def dicts(_folder: Path) -> Given:
    """Give dicts of Python's values."""
    cases = fitting("dicts")
    rows = [
        {"row": row}
        | {column_name(key): c.dicts[row] for key, c in cases if c.dicts[row] is not ABSENT}
        for row in range(ROWS)
    ]
    return Given(rows, {key: list(map(of_python, case.dicts)) for key, case in cases}, {})


def delimited(folder: Path, kind: str, delimiter: str) -> Given:
    """Write CSV or TSV with the standard library."""
    cases = fitting("text")
    path = folder / f"in.{kind}"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["row", *[column_name(key) for key, _ in cases]])
        writer.writerows([row, *[case.text[row] for _, case in cases]] for row in range(ROWS))
    return Given(path, {key: case.text for key, case in cases}, {})


def columns_of(form: Callable[[pa.Table], Any], back: Callable[[Any], pa.Table]) -> pa.Table:
    """Give a table of the cases whose values another format holds: as that gives them back."""
    held = {"row": pa.array(range(ROWS))}
    for key, case in fitting("arrow"):
        name = column_name(key)
        try:
            column = back(form(pa.table({name: case.arrow})))[name].combine_chunks()
            verdict(trees(case.arrow), trees(column), as_text=False, more=set())
        except (Unfaithful, pa.ArrowException, NotImplementedError, pl.exceptions.PolarsError,
            TypeError, ValueError, OverflowError):  # fmt: skip
            continue
        held[name] = case.arrow
    return pa.table(held)


def trees(array: pa.Array[Any] | pa.ChunkedArray[Any]) -> list[Any]:
    """Read a column."""
    return [of_arrow(value) for value in array]


def given_table(source: object, table: pa.Table) -> Given:
    """Give an input whose columns are those of a table."""
    keys = [key for key, _ in fitting("arrow") if column_name(key) in table.column_names]
    values = {key: trees(table[column_name(key)]) for key in keys}
    return Given(source, values, {key: table.schema.field(column_name(key)).type for key in keys})


def itself(table: pa.Table) -> pa.Table:
    """Give a table as it is."""
    return table


def table(_folder: Path) -> Given:
    """Give a table in memory."""
    held = columns_of(itself, itself)
    return given_table(held, held)


def arrow_file(folder: Path) -> Given:
    """Write an Arrow file."""
    held = columns_of(itself, itself)
    path = folder / "in.arrow"
    with pa.ipc.new_file(path, held.schema) as writer:
        writer.write_table(held)
    return given_table(path, held)


def parquet(folder: Path) -> Given:
    """Write a Parquet file."""

    def form(held: pa.Table, path: Path = folder / "one.parquet") -> Path:
        pq.write_table(held, path)
        return path

    path = form(columns_of(form, pq.read_table), folder / "in.parquet")
    return given_table(path, pq.read_table(path))


def pandas(_folder: Path) -> Given:
    """Give a pandas frame."""

    def back(frame: pd.DataFrame) -> pa.Table:
        return pa.Table.from_pandas(frame, preserve_index=False)

    frame = columns_of(pa.Table.to_pandas, back).to_pandas()
    return given_table(frame, back(frame))


def polars(_folder: Path) -> Given:
    """Give a Polars frame."""

    def back(frame: pl.DataFrame) -> pa.Table:
        return pa.RecordBatchReader.from_stream(frame).read_all()

    def form(held: pa.Table) -> pl.DataFrame:
        if any(re.search(UNKNOWN_TO_POLARS, str(kind)) for kind in held.schema.types):
            raise NotImplementedError  # where Polars would panic, with a page of text
        return pl.from_arrow(held)

    frame = form(columns_of(form, back))
    return given_table(frame, back(frame))


MAKE: Mapping[str, Callable[[Path], Given]] = {
    "jsonl": json_lines,
    "dicts": dicts,
    "csv": lambda folder: delimited(folder, "csv", ","),
    "tsv": lambda folder: delimited(folder, "tsv", "\t"),
    "parquet": parquet,
    "arrow": arrow_file,
    "table": table,
    "pandas": pandas,
    "polars": polars,
}
