"""A command loads what it needs, and nothing more."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pyarrow as pa
from pyarrow import parquet

from tests.conftest import MODEL

PROBE = """
import sys
from valar_batch.cli.main import main
try:
    main()
finally:
    print([name for name in {names!r} if name in sys.modules], file=sys.stderr)
"""
SIDE = ("pandas", "pygments")
WORKING = (*SIDE, "pyarrow", "httpx", "pycurl", "ssl", "asyncio", "sqlite3", "jsonschema_rs")
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["a", "b"]}, "marks": {"type": "array"}},
    "required": ["kind", "marks"],
    "additionalProperties": False,
}


def test_no_command_loads_what_it_does_not_need(tmp_path, cli) -> None:
    """pyarrow would load pandas, and httpx pygments; to look at what is finished needs neither."""
    schema, lines, table = tmp_path / "s.json", tmp_path / "in.csv", tmp_path / "in.parquet"
    schema.write_text(json.dumps(SCHEMA))
    lines.write_text("id,text\na,one\nb,two\n")
    parquet.write_table(pa.table({"id": ["a", "b"], "text": ["one", "two"]}), table)
    recipe = ("--model", MODEL, "--prompt", "{{ text }}", "--id", "id")
    loads = {}
    for names, *command in (
        (SIDE, "validate", lines, *recipe),
        (SIDE, "preview", table, *recipe),
        (SIDE, "run", lines, *recipe, "--name", "csv", "--to", tmp_path / "out.csv"),
        (SIDE, "run", table, *recipe, "--schema", schema, "--to", tmp_path / "out.parquet"),
        (SIDE, "fetch", "csv", "--to", tmp_path / "out.jsonl"),
        (SIDE, "retry", "csv"),
        (WORKING, "status", "csv"),
        (WORKING, "status", "csv", "--json"),
        (WORKING, "list"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", PROBE.format(names=names), *map(str, command)],
            env={**os.environ, "VALAR_BATCH_HOME": str(cli.home), **cli.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        loads[tuple(command)] = done.stderr.splitlines()[-1]
    assert {key: names for key, names in loads.items() if names != "[]"} == {}
