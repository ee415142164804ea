"""Inputs that are in memory: tables, frames and dicts are the same rows as their file."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import valar_batch
from tests.conftest import MODEL

RECIPE = {"model": MODEL, "prompt": "Team for {{ text }}?", "id": "n"}
ROWS = [{"n": n, "text": f"ticket {n}", "stars": n / 2, "tags": ["a", "b"][:n]} for n in range(3)]


def arrow() -> pa.Table:
    return pa.Table.from_pylist(ROWS)


INPUTS = {
    "table": arrow,
    "batches": lambda: pa.RecordBatchReader.from_batches(arrow().schema, arrow().to_batches()),
    "pandas": lambda: pd.DataFrame(ROWS),
    "polars": lambda: pl.DataFrame(ROWS),
    "list": lambda: ROWS,
    "generator": lambda: (row for row in ROWS),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_rows_in_memory(kind, tmp_path, target) -> None:
    """Rows from memory come back with their answers, and are the same run as the same file."""
    table = valar_batch.run(INPUTS[kind](), **RECIPE)
    rows = table.select(list(ROWS[0])).to_pylist()
    assert rows == ROWS
    assert table["status"].to_pylist() == ["completed"] * 3
    path = tmp_path / "in.parquet"
    pq.write_table(arrow(), path)
    from_file = valar_batch.run(path, **RECIPE)
    assert from_file["response_id"].equals(table["response_id"])
    assert target.executions() == {"total": 3, "distinct": 3, "repeated": []}


@pytest.mark.parametrize("kind", INPUTS)
def test_problems_of_rows_in_memory(kind, target) -> None:
    """A problem names its row, and nothing is sent."""
    with pytest.raises(valar_batch.InputError, match="row 1, prompt: the prompt is empty text"):
        valar_batch.run(INPUTS[kind](), model=MODEL, prompt="{% if n > 0 %}{{ text }}{% endif %}")
    assert target.executions()["total"] == 0


def test_answers_go_back_into_a_frame(target) -> None:
    """A frame labelled by its own index: rows come back in their order."""
    frame = pd.DataFrame(ROWS).sample(frac=1, random_state=1)
    answers = valar_batch.run(frame, **RECIPE).to_pandas()
    assert answers["n"].tolist() == frame["n"].tolist()


def test_what_gives_no_rows(home) -> None:
    """What is no input is a UsageError that says so."""
    with pytest.raises(valar_batch.UsageError, match="int"):
        valar_batch.run(7, **RECIPE, local=True)
