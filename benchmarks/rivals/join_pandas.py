"""join_pandas INPUT RESULTS OUT ROWS: read_json by chunks, as for large files, then merge.

Source: pandas, IO tools (line-delimited JSON), and Merge.
"""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd

from benchmarks.timed import timed

CHUNK = 100_000


def text(response: dict[str, Any]) -> str:
    """Put together the text of an answer."""
    messages = (item for item in response["output"] if item["type"] == "message")
    return "".join(part["text"] for message in messages for part in message["content"])


def columns(chunk: pd.DataFrame) -> pd.DataFrame:
    """Take the columns that are wanted out of the responses."""
    responses = chunk["response"]
    usage = responses.str["usage"]
    return pd.DataFrame(
        {
            "custom_id": chunk["custom_id"],
            "status": chunk["status"],
            "output_text": responses.map(text),
            "response_id": responses.str["id"],
            "model": responses.str["model"],
            "input_tokens": usage.str["input_tokens"],
            "cached_tokens": usage.str["input_tokens_details"].str["cached_tokens"],
            "output_tokens": usage.str["output_tokens"],
            "reasoning_tokens": usage.str["output_tokens_details"].str["reasoning_tokens"],
        }
    )


source, results, out, rows = sys.argv[1:]
with timed(int(rows)):
    inputs = pd.read_json(source, lines=True)
    with pd.read_json(results, lines=True, chunksize=CHUNK) as chunks:
        answers = pd.concat(map(columns, chunks), ignore_index=True)
    joined = inputs.merge(answers, how="left", left_on="id", right_on="custom_id")
    joined.to_parquet(out, compression="zstd")
