"""Columns of any name, and of any number, through the real command line to every format."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import MODEL

NAMES = ["", "a.b", "a b", 'say "x"', "it's", "é漢😀", "a\nb", "a,b", "\ttab ", "{{ x }}", "NULL",
    "__index_level_0__", "custom_id", "status", "valar_status", "output_text", "error", "model",
    "A", "a"]  # fmt: skip
"""With those of pandas' index and of the outcome, which is named otherwise then."""


def write(path, kind: str, names: list[str], rows: list[list[str]]) -> None:
    """Write rows of text."""
    if kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([names, *rows])
    elif kind == "jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows]
        path.write_text("".join(lines))
    else:
        columns = [pa.array(column) for column in zip(*rows, strict=True)]
        pq.write_table(pa.Table.from_arrays(columns, names), path)


def read(path, names: list[str]) -> list[list[str]]:
    """Read rows, as far as they are in these columns."""
    if path.suffix in (".csv", ".tsv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    elif path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        rows = pa.ipc.open_file(path.read_bytes()).read_all().to_pylist()
    return [[row[name] for name in names] for row in rows]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_names_that_need_care(tmp_path, cli, kind) -> None:
    """Every name is in every output as it was, over its own values; the outcome makes way."""
    path = tmp_path / f"in.{kind}"
    rows = [[f"{name} {number}" for name in NAMES] for number in range(3)]
    write(path, kind, NAMES, rows)
    run = cli.json("run", path, "--model", MODEL, "--prompt", "{{ a }} {{ status }}",
        "--to", tmp_path / "out.jsonl")["run"]  # fmt: skip
    for output in ("csv", "tsv", "parquet", "arrow"):
        cli("fetch", run, "--to", tmp_path / f"out.{output}")
    for output in ("jsonl", "csv", "tsv", "parquet", "arrow"):
        found = tmp_path / f"out.{output}"
        assert read(found, NAMES) == rows, output
        assert read(found, ["valar_valar_status", "valar_custom_id"]) == [
            ["completed", f"r-{number}"] for number in (1, 2, 3)
        ]


def test_a_frame_with_its_index(tmp_path, cli) -> None:
    """What pandas writes with an index comes out with it, from CSV and from Parquet."""
    frame = pd.DataFrame({"a": ["one", "two"]}, index=["x", "y"])
    frame.to_csv(tmp_path / "in.csv")
    frame.to_parquet(tmp_path / "in.parquet")
    for kind, index in (("csv", ""), ("parquet", "__index_level_0__")):
        out = tmp_path / f"out.{kind}"
        cli("run", tmp_path / f"in.{kind}", "--model", MODEL, "--prompt", f"{kind} {{{{ a }}}}",
            "--to", out)  # fmt: skip
        assert read(out, [index, "a"]) == [["x", "one"], ["y", "two"]]


def test_five_thousand_columns(tmp_path, cli) -> None:
    """Very many columns go through every text and column format."""
    names = [f"column {number}" for number in range(5_000)]
    rows = [[f"{number}-{row}" for number in range(5_000)] for row in range(20)]
    path = tmp_path / "in.csv"
    write(path, "csv", names, rows)
    arguments = ("--model", MODEL, "--prompt", "Hello.")
    run = cli.json("run", path, *arguments, "--to", tmp_path / "out.csv")["run"]
    for output in ("jsonl", "parquet", "arrow"):
        cli("fetch", run, "--to", tmp_path / f"out.{output}")
    for output in ("csv", "jsonl", "parquet", "arrow"):
        assert read(tmp_path / f"out.{output}", names) == rows, output
