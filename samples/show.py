"""Show the first rows of a Parquet file, long values cut: show.py FILE COLUMN..."""

from __future__ import annotations

import sys

import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

ROWS = 5
WIDEST = 24
"""Cells of a column at most; the last column has what is left of the line."""
GAP = 3


def main(path: str, columns: list[str]) -> None:
    """Print these columns of the first rows as a table."""
    first = next(pq.ParquetFile(path).iter_batches(batch_size=ROWS, columns=columns))
    rows = [
        [Text(" ".join(str(row[name]).split())) for name in columns] for row in first.to_pylist()
    ]
    console = Console(highlight=False)
    left = console.width - 2  # the table's edges
    for position, name in enumerate(columns):
        cells = [row[position] for row in rows]
        is_last = position == len(columns) - 1
        for cell in cells:
            cell.truncate(max(left, 1) if is_last else WIDEST, overflow="ellipsis")
        left -= max(Text(name).cell_len, *(cell.cell_len for cell in cells)) + GAP
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
