"""A file through a whole run of the real command, into three formats, read by other tools."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import valar_batch
from tests.conftest import MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.conftest import Cli

csv.field_size_limit(sys.maxsize)

TEXTS = {str, type(None)}


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV with the standard library."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def differences(
    cli: Cli,
    path: Path,
    folder: Path,
    rows: Sequence[dict[str, Any]],
    prompt: str = "What is this?",
) -> list[str]:
    """Send a file to JSONL, CSV and Parquet, and say in what these differ from its `rows`.

    `rows` are what another reader finds in the original. A number is in a CSV as JSON writes it,
    a list or object as JSON; what is null or absent is an empty field.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = {suffix: folder / f"{path.name}.out.{suffix}" for suffix in ("jsonl", "csv", "parquet")}
    recipe = ("--model", MODEL, "--prompt", f"{path.stem}: {prompt}")
    run = cli.json("run", path, *recipe, "--to", out["jsonl"])["run"]
    with pytest.MonkeyPatch.context() as patch:  # what is here already needs no process of its own
        patch.setenv("VALAR_BATCH_HOME", str(cli.home))
        for kind in ("csv", "parquet"):
            valar_batch.fetch(run, to=out[kind], progress="none")
    table = pq.read_table(out["parquet"])
    marked = [name for name in columns if is_json(table.schema.field(name))]
    came = {
        "jsonl": [json.loads(line) for line in out["jsonl"].read_text("utf-8").split("\n")[:-1]],
        "csv": read_csv(out["csv"]),
        "parquet": [decoded(row, marked) for row in table.to_pylist()],
    }
    wanted = {
        "jsonl": rows,
        "csv": [{name: as_text(row.get(name)) for name in columns} for row in rows],
        "parquet": [{name: row.get(name) for name in columns} for row in rows],
    }
    found = []
    for kind, lines in came.items():
        statuses = {line.get("status") for line in lines}
        if len(lines) != len(rows) or statuses != {"completed"}:
            found.append(f"{kind}: {len(lines)} rows of {len(rows)}, {statuses}")
        for number, (line, row) in enumerate(zip(lines, wanted[kind], strict=False), 1):
            values = {name: line[name] for name in columns if name in line}
            if not same(values, row):
                found.append(f"{kind}: row {number} is {values!r}, not {row!r}")
    return found


def is_json(field: Any) -> bool:
    """Whether a column of Parquet holds JSON text."""
    return (field.metadata or {}).get(b"valar_batch") == b"json"


def decoded(row: dict[str, Any], marked: Sequence[str]) -> dict[str, Any]:
    """Give a row of Parquet with the values of its JSON text."""
    return row | {name: json.loads(row[name]) for name in marked if row[name] is not None}


def as_text(value: Any) -> str:
    """Write a value as a field of a CSV."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal; numbers by value, but true is not 1."""
    if isinstance(one, dict) and one == other and {*map(type, one.values())} <= TEXTS:
        return True  # as most rows are: what follows takes twenty times as long
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)
