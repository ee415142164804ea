"""join_polars INPUT RESULTS OUT ROWS: both files scanned, joined, and sunk by the streaming engine.

Source: Polars, User guide: Lazy API, and IO (JSON, Parquet).
"""

from __future__ import annotations

import sys

import polars as pl

from benchmarks.timed import timed

USAGE = pl.Struct(
    {
        "input_tokens": pl.Int64,
        "input_tokens_details": pl.Struct({"cached_tokens": pl.Int64}),
        "output_tokens": pl.Int64,
        "output_tokens_details": pl.Struct({"reasoning_tokens": pl.Int64}),
    }
)
PART = pl.Struct({"text": pl.String})
ITEM = pl.Struct({"type": pl.String, "content": pl.List(PART)})
RESPONSE = pl.Struct({"id": pl.String, "model": pl.String, "output": pl.List(ITEM), "usage": USAGE})

source, results, out, rows = sys.argv[1:]
with timed(int(rows)):
    response, usage = pl.col("response").struct, pl.col("response").struct.field("usage").struct
    text = (
        response.field("output")
        .list.filter(pl.element().struct.field("type") == "message")
        .list.eval(
            pl.element()
            .struct.field("content")
            .list.eval(pl.element().struct.field("text"))
            .list.join("")
        )
        .list.join("")
    )
    schema = {"custom_id": pl.String, "status": pl.String, "response": RESPONSE}
    answers = pl.scan_ndjson(results, schema=schema).select(
        pl.col("custom_id").alias("id"),
        "custom_id",
        "status",
        text.alias("output_text"),
        response.field("id").alias("response_id"),
        response.field("model"),
        usage.field("input_tokens"),
        usage.field("input_tokens_details").struct.field("cached_tokens"),
        usage.field("output_tokens"),
        usage.field("output_tokens_details").struct.field("reasoning_tokens"),
    )
    joined = pl.scan_ndjson(source).join(answers, on="id", how="left", maintain_order="left")
    joined.sink_parquet(out, compression="zstd")
