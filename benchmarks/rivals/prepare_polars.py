"""The same requests by Polars: lines of JSON read whole, expressions, a file for each slice.

python -m benchmarks.rivals.prepare_polars INPUT ROWS FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from benchmarks.inputs import MODEL
from benchmarks.timed import timed

PROMPT = "Give the sentiment of this review of {} ({} stars): {}"
WINDOW = pl.struct(pl.lit("standard").alias("completion_window"))


def main(path: str, rows: str, folder: str) -> None:
    """Make the columns of requests, and write them."""
    with timed(int(rows)):
        params = pl.struct(
            pl.lit(MODEL).alias("model"),
            pl.format(PROMPT, "product", "stars", "review").alias("input"),
            pl.lit(100).alias("max_output_tokens"),
            WINDOW.alias("metadata"),
        )
        custom_id = pl.format("r-{}", pl.col("number")).alias("custom_id")
        frame = pl.read_ndjson(path).with_row_index("number", offset=1)
        for number, part in enumerate(frame.iter_slices(100_000)):
            requests = part.select(custom_id, params.alias("params"))
            requests.write_ndjson(Path(folder, f"{number}.json"))


if __name__ == "__main__":
    main(*sys.argv[1:])
