"""Whatever the bytes of a recipe, a schema, tools, or a list of rows: an error of ours."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.flow.in_process import prepared_run
from tests.fuzz.mutation import cases
from valar_batch.core.recipe import Recipe, Source
from valar_batch.core.renderer import Renderer, RowRefused
from valar_batch.errors import InputError, UsageError
from valar_batch.flow.named_rows import named_rows
from valar_batch.flow.requests import Order
from valar_batch.recipes import make_recipe

RECIPE = b"""\
model = "openai/gpt-oss-120b"
prompt = "{{ text }} {% if n %}{{ n|upper }}{% endif %}"
system = 'Be "brief".'
id = "id"
temperature = 0.5
max_output_tokens = 100
image = ["a", "b"]
fix = true
[set]
metadata.team = "x"
"""
SCHEMA = b'{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/$defs/c"}},\
 "required": ["a"], "$defs": {"c": {"type": ["string", "null"], "pattern": "^a+$"}}}'
TOOLS = b'[{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "custom"}]'


@pytest.mark.parametrize(
    ("name", "seed"),
    [("recipe.toml", RECIPE), ("schema.json", SCHEMA), ("tools.json", TOOLS)],
    ids=["recipe.toml", "schema.json", "tools.json"],
)
def test_recipes_of_any_bytes(tmp_path, name, seed) -> None:
    """A recipe is taken and can be used, or refused with its file's or its option's name."""
    path = tmp_path / name
    for content in cases(name, [seed], 500):
        path.write_bytes(content)
        given = {} if name == "recipe.toml" else {name.removesuffix(".json"): path}
        file = path if name == "recipe.toml" else None
        try:
            recipe = make_recipe(file, **{"model": "google/gemma-4-31B-it", "prompt": "x"} | given)
            Renderer(recipe, Source.TEMPLATE).params({"text": "x", "n": "y"})
            recipe.digest()
        except (UsageError, RowRefused):
            continue


IDS = [f"id-{number}" for number in range(8)]


def lists(tmp_path) -> dict[str, bytes]:
    """Give files that name rows, in every form that retry takes."""
    table = pa.table({"custom_id": IDS[:3], "status": ["failed"] * 3})
    pq.write_table(table, tmp_path / "x.parquet")
    return {
        "rows.txt": "\n".join(IDS[:5]).encode(),
        "rows.csv": b"custom_id,status\r\nid-1,failed\r\nid-2,missing\r\n",
        "rows.jsonl": b'{"custom_id": "id-1"}\n{"custom_id": "id-2", "x": [1]}\n',
        "rows.parquet": (tmp_path / "x.parquet").read_bytes(),
    }


def test_lists_of_rows_of_any_bytes(tmp_path) -> None:
    """A list names rows of the run, or is refused with its path."""
    path = tmp_path / "in.jsonl"
    rows = [{"key": name, "text": "x"} for name in IDS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe(model="m", prompt="{{ text }}", id_column="key")
    run = prepared_run(Order(str(path), recipe, "local"), tmp_path / "home")
    for name, seed in lists(tmp_path).items():
        given = tmp_path / name
        for content in cases(name, [seed], 250):
            given.write_bytes(content)
            try:
                assert sum(named_rows(run, given, tmp_path / "ids"))
            except InputError as error:
                if str(given) not in error.message:
                    raise
