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
    print([name for name in ("pandas", "pygments") if name in sys.modules], file=sys.stderr)
"""
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["a", "b"]}, "marks": {"type": "array"}},
    "required": ["kind", "marks"],
    "additionalProperties": False,
}


def test_no_command_loads_what_it_does_not_need(tmp_path, cli) -> None:
    """Both are installed here: pyarrow would load the one, httpx the other."""
    schema, lines, table = tmp_path / "s.json", tmp_path / "in.csv", tmp_path / "in.parquet"
    schema.write_text(json.dumps(SCHEMA))
    lines.write_text("id,text\na,one\nb,two\n")
    parquet.write_table(pa.table({"id": ["a", "b"], "text": ["one", "two"]}), table)
    recipe = ("--model", MODEL, "--prompt", "{{ text }}", "--id", "id")
    loads = {}
    for command in (
        ("validate", lines, *recipe),
        ("preview", table, *recipe),
        ("run", lines, *recipe, "--name", "csv", "--to", tmp_path / "out.csv"),
        ("run", table, *recipe, "--schema", schema, "--to", tmp_path / "out.parquet"),
        ("fetch", "csv", "--to", tmp_path / "out.jsonl"),
        ("retry", "csv"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *map(str, command)],
            env={**os.environ, "VALAR_BATCH_HOME": str(cli.home), **cli.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        loads[command[:2]] = done.stderr.splitlines()[-1]
    assert set(loads.values()) == {"[]"}, loads
