"""join_duckdb INPUT RESULTS OUT ROWS: SQL over both files; only the fields needed are in `columns`.

Source: DuckDB, Loading JSON, and Parquet (COPY).
"""

from __future__ import annotations

import sys

import duckdb

from benchmarks.timed import timed

RESPONSE = """STRUCT(
    id VARCHAR,
    model VARCHAR,
    "output" STRUCT("type" VARCHAR, content STRUCT("text" VARCHAR)[])[],
    usage STRUCT(
        input_tokens BIGINT,
        input_tokens_details STRUCT(cached_tokens BIGINT),
        output_tokens BIGINT,
        output_tokens_details STRUCT(reasoning_tokens BIGINT)
    )
)"""
QUERY = """
COPY (
    SELECT
        rows.*, custom_id, status,
        array_to_string(list_transform(flatten(list_transform(
            list_filter(response.output, lambda item: item.type = 'message'),
            lambda item: item.content
        )), lambda part: part.text), '') AS output_text,
        response.id AS response_id,
        response.model AS model,
        response.usage.input_tokens AS input_tokens,
        response.usage.input_tokens_details.cached_tokens AS cached_tokens,
        response.usage.output_tokens AS output_tokens,
        response.usage.output_tokens_details.reasoning_tokens AS reasoning_tokens
    FROM read_json(?, format = 'newline_delimited') AS rows
    LEFT JOIN read_json(
        ?, format = 'newline_delimited',
        columns = {custom_id: 'VARCHAR', status: 'VARCHAR', response: $RESPONSE}
    ) AS results ON rows.id = results.custom_id
) TO '$OUT' (FORMAT parquet, COMPRESSION zstd)
"""

source, results, out, rows = sys.argv[1:]
quoted = RESPONSE.replace("'", "''").replace("\n", " ")
query = QUERY.replace("$RESPONSE", f"'{quoted}'").replace("$OUT", out.replace("'", "''"))
with timed(int(rows)):
    duckdb.execute(query, [source, results])
