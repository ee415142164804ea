"""join_checked OUT ROWS: every row is there once, and the rows looked at have their own answer."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset
import pyarrow.json

from benchmarks.inputs import response

path, rows = Path(sys.argv[1]), int(sys.argv[2])
columns = ["id", "custom_id", "output_text", "response_id", "input_tokens"]
kind = {".jsonl": "json", ".csv": "csv"}.get(path.suffix, "parquet")
table = pa.dataset.dataset(path, format=kind).to_table(columns=columns)
if table.num_rows != rows or pc.count_distinct(table["id"]).as_py() != rows:
    raise SystemExit(f"{path} has {table.num_rows:,} rows of {rows:,}")
if not pc.all(pc.equal(table["id"], table["custom_id"])).as_py():
    raise SystemExit(f"{path} has rows beside another row's answer")
for row in table.take(pa.array(range(0, rows, 997))).to_pylist():
    number = int(row["id"].removeprefix("review-"))
    wanted = response(row["id"], number)
    found = (row["response_id"], row["input_tokens"])
    if found != (wanted["id"], wanted["usage"]["input_tokens"]):
        raise SystemExit(f"{path} has a wrong answer at {row}")
    text = wanted["output"][0]["content"][0]["text"]
    if row["output_text"] != text and not row["output_text"].startswith("{"):
        raise SystemExit(f"{path} has a wrong text at {row}")
