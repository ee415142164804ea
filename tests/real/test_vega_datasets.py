"""The data of PyPI's vega_datasets, JSON and CSV, goes through unharmed."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from tests.real.outputs import differences, read_csv

DATA = Path(str(files("vega_datasets"))) / "_data"


def tables(content: object) -> bool:
    """Whether JSON is rows: an array of objects. A map (GeoJSON, TopoJSON) is one object."""
    return isinstance(content, list) and all(isinstance(row, dict) for row in content)


def test_every_csv_goes_through(tmp_path, cli) -> None:
    """What comes out is what the standard library reads in each file."""
    found = {
        path.name: differences(cli, path, tmp_path, read_csv(path))
        for path in sorted(DATA.glob("*.csv"))
    }
    assert {name: told for name, told in found.items() if told} == {}
    assert len(found) == 8


def test_every_json_goes_through(tmp_path, cli) -> None:
    """As JSONL, a line for each object of the array, as `jq -c '.[]'` writes it."""
    found, left_out = {}, []
    for path in sorted(DATA.glob("*.json")):
        rows = json.loads(path.read_text("utf-8"))
        if not tables(rows):
            left_out.append(path.name)
            continue
        lines = tmp_path / f"{path.stem}.jsonl"
        lines.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
        found[path.name] = differences(cli, lines, tmp_path, rows)
    assert {name: told for name, told in found.items() if told} == {}
    assert (len(found), left_out) == (9, [])
