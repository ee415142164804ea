"""What comes out: whole runs on the local Valar, and a word for each of their values."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

import valar_batch
from tests.value_types.cases import ABSENT, CASES
from tests.value_types.given import INPUTS, MAKE, Given, Key, column_name, trees
from tests.value_types.judge import Unfaithful, of_json, verdict

OUTPUTS = {
    "parquet": "Parquet",
    "arrow": "Arrow",
    "table": "table",
    "jsonl": "JSONL",
    "csv": "CSV",
    "tsv": "TSV",
}


def judged_columns(came: pa.Table, given: Given, key: Key) -> str:
    """Judge a column of Parquet, Arrow, or a table."""
    name = column_name(key)
    field = came.schema.field(name)
    values, kind = trees(came[name]), given.types.get(key)
    if (field.metadata or {}).get(b"valar_batch") == b"json":
        values = [value if value is None else of_json(value) for value in values]
        more = {"JSON"}
    else:
        more = {"plain"} if kind not in (None, field.type) else set()
    return verdict(given.columns[key], values, as_text=False, more=more)


def judged_json(lines: list[dict[str, Any]], given: Given, key: Key) -> str:
    """Judge a field of JSONL."""
    values = [line.get(column_name(key), ABSENT) for line in lines]
    return verdict(given.columns[key], values, as_text=False, more=set())


def judged_text(came: pa.Table, given: Given, key: Key) -> str:
    """Judge a field of CSV or TSV."""
    values = came[column_name(key)].to_pylist()
    return verdict(given.columns[key], values, as_text=True, more=set())


def read_json(path: Path) -> list[dict[str, Any]]:
    """Read JSONL with the standard library."""
    return [of_json(line) for line in path.read_text("utf-8").split("\n")[:-1]]


def read_delimited(path: Path, delimiter: str) -> pa.Table:
    """Read CSV with Arrow, which tells an empty field from an empty text, and compare with csv."""
    with path.open(encoding="utf-8", newline="") as file:
        csv.field_size_limit(10_000_000)
        header, *records = csv.reader(file, delimiter=delimiter)
    came = pyarrow.csv.read_csv(
        path,
        pyarrow.csv.ReadOptions(block_size=1 << 30),
        pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    rows = zip(*(column.fill_null("").to_pylist() for column in came.columns), strict=True)
    if (came.column_names, list(map(list, rows))) != (header, records):
        raise Unfaithful(f"{path.name}: Arrow and the standard library do not read the same")
    return came


READ: Mapping[str, tuple[Callable[[Path], Any], Callable[[Any, Given, Key], str]]] = {
    "parquet": (pq.read_table, judged_columns),
    "arrow": (lambda path: pa.ipc.open_file(pa.memory_map(str(path))).read_all(), judged_columns),
    "jsonl": (read_json, judged_json),
    "csv": (lambda path: read_delimited(path, ","), judged_text),
    "tsv": (lambda path: read_delimited(path, "\t"), judged_text),
}

Verdicts = dict[Key, dict[str, dict[str, str]]]
"""By case, input format and output format: a word, or what was lost."""


def through(kind: str, folder: Path) -> dict[Key, dict[str, str]]:
    """Send an input of a kind through a whole run on the local Valar, and judge each output."""
    given = MAKE[kind](folder)
    recipe = {"model": "openai/gpt-oss-120b", "prompt": "{{ row }}", "id": "row", "local": True}
    run = valar_batch.submit(given.source, **recipe, progress="none")
    found: dict[Key, dict[str, str]] = {key: {} for key in given.columns}
    for output in OUTPUTS:
        if output == "table":
            came, judge = valar_batch.fetch(run, progress="none"), judged_columns
        else:
            path = folder / f"{kind}-out.{output}"
            valar_batch.fetch(run, to=path, progress="none")
            read, judge = READ[output]
            came = read(path)
        for key in given.columns:
            try:
                found[key][output] = judge(came, given, key)
            except Unfaithful as error:
                found[key][output] = f"LOST: {error}"
    return found


def computed(folder: Path) -> Verdicts:
    """Fill the whole table. The target and the home are the environment's."""
    table: Verdicts = {(case.group, case.name): {} for case in CASES}
    for kind in INPUTS:
        for key, words in through(kind, folder).items():
            table[key][kind] = words
    return table
