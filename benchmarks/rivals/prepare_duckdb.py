"""The same requests by one SQL statement of DuckDB, on all cores: COPY with a file for each batch.

python -m benchmarks.rivals.prepare_duckdb INPUT ROWS FOLDER
"""

from __future__ import annotations

import sys

import duckdb

from benchmarks.inputs import MODEL
from benchmarks.timed import timed

STATEMENT = """
COPY (
    SELECT
        (number - 1) // 100000 AS batch,
        'r-' || number AS custom_id,
        {
            model: 'MODEL',
            input: format(
                'Give the sentiment of this review of {} ({} stars): {}',
                product, stars, review
            ),
            max_output_tokens: 100,
            metadata: {completion_window: 'standard'}
        } AS params
    FROM (
        SELECT row_number() OVER () AS number, *
        FROM read_json($path, format = 'newline_delimited')
    )
) TO 'FOLDER' (FORMAT json, PARTITION_BY (batch), OVERWRITE_OR_IGNORE)
"""


def main(path: str, rows: str, folder: str) -> None:
    """Run the statement."""
    with duckdb.connect() as connection, timed(int(rows)):
        connection.execute(
            STATEMENT.replace("FOLDER", folder).replace("MODEL", MODEL), {"path": path}
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
