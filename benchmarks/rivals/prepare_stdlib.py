"""The loop that one would write with the stdlib: it checks nothing and keeps no rows.

python -m benchmarks.rivals.prepare_stdlib INPUT ROWS FOLDER template|id|finished
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.inputs import MODEL
from benchmarks.timed import timed

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMPT = "Give the sentiment of this review of {product} ({stars} stars): {review}"
BATCH = 100_000


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of CSV or JSONL."""
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            yield from csv.DictReader(file)
            return
        for line in file:
            yield json.loads(line)


def request_of(row: dict[str, Any], number: int, kind: str) -> dict[str, Any]:
    """Build the request of a row."""
    if kind == "finished":
        return {"custom_id": row["custom_id"], "params": row["params"]}
    return {
        "custom_id": row["id"] if kind == "id" else f"r-{number}",
        "params": {
            "model": MODEL,
            "input": PROMPT.format(**row),
            "max_output_tokens": 100,
            "metadata": {"completion_window": "standard"},
        },
    }


def main(path: str, rows: str, folder: str, kind: str) -> None:
    """Write the bodies of all batches."""
    count, out = 0, None
    with timed(int(rows)):
        for row in rows_of(Path(path)):
            if out is None:
                out = Path(folder, f"{count // BATCH}.json").open("w", encoding="utf-8")  # noqa: SIM115
                out.write('{"endpoint":"/v1/responses","requests":[\n')
            else:
                out.write(",\n")
            count += 1
            out.write(json.dumps(request_of(row, count, kind)))
            if count % BATCH == 0:
                out.write("\n]}")
                out.close()
                out = None
        if out is not None:
            out.write("\n]}")
            out.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
