"""Typed answers: what a model wrote becomes a value of the schema, or says where it does not."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import MODEL, Served
from tests.e2e.odd_valar import IDS, OddValar, response

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["good", "bad"]},
        "score": {"type": "number"},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
        "note": {"type": ["string", "null"]},
        "status": {"type": "integer"},
    },
    "required": ["label", "score"],
    "$defs": {
        "part": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "extra": {}},
            "required": ["name"],
        }
    },
}
GOOD = {"label": "good", "score": 1.5, "parts": [{"name": "é", "extra": [1]}], "status": 7}
ANSWERS = {
    "r-1": json.dumps(GOOD, ensure_ascii=False),
    "r-2": '```json\n{"label": "bad", "score": 1.10, "note": null}\n```',
    "r-3": "I would say it is good.",
    "r-4": '{"label": "good", "score": 2, "parts": [{"name": 3}]}',
    "r-5": '{"label": "bad", "score": 0, "status": 9223372036854775808}',
    "r-6": "",
}
ERRORS = [
    None,
    None,
    "answer is not JSON: expecting value at character 1",
    'answer breaks the schema at parts.0.name: 3 is not of type "string"',
    "answer does not fit its column at status: 64 bits cannot hold 9223372036854775808",
    "answer is empty",
]
TYPE = pa.struct(
    [
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("score", pa.float64()),
        ("parts", pa.list_(pa.struct([("name", pa.string()), ("extra", pa.string())]))),
        ("note", pa.string()),
        ("status", pa.int64()),
    ]
)
TYPED = [
    {"label": "good", "score": 1.5, "parts": [{"name": "é", "extra": "[1]"}], "note": None,
     "status": 7},
    {"label": "bad", "score": 1.1, "parts": None, "note": None, "status": None},
    None, None, None, None,
]  # fmt: skip


@pytest.fixture
def odd():
    odd = OddValar()
    assert list(ANSWERS) == IDS
    for custom_id, text in ANSWERS.items():
        content = [{"type": "output_text", "text": text}]
        body = response(custom_id, output=[{"type": "message", "content": content}])
        odd.results[custom_id] = (200, json.dumps(body).encode())
    yield odd
    odd.close()


@pytest.fixture
def run(make_cli, odd, tmp_path):
    """Submit six rows with a schema; gives a command that writes them to an output."""
    cli = make_cli(Served(tmp_path, port=odd.server.server_address[1]))
    path, schema = tmp_path / "in.jsonl", tmp_path / "verdict.json"
    path.write_text("".join(json.dumps({"prompt": f"w{n}"}) + "\n" for n in range(6)))
    schema.write_text(json.dumps(SCHEMA))
    cli("submit", path, "--model", MODEL, "--schema", schema)

    def fetch(name: str, *more: str):
        done = cli("fetch", "--to", tmp_path / name, *more, code=3)
        assert "4 answers without a value" in done.err
        return tmp_path / name

    return fetch


def test_the_request_asks_for_the_schema(run, odd) -> None:
    """The schema goes into text.format under the file's name, strict."""
    form = odd.sent["requests"][0]["params"]["text"]["format"]
    assert form == {"type": "json_schema", "name": "verdict", "schema": SCHEMA, "strict": True}


def test_answers_become_a_typed_column(run) -> None:
    """The struct follows the schema; an answer that does not fit keeps its text and says where."""
    table = pq.read_table(run("out.parquet"))
    assert plain(table.schema.field("output").type) == plain(TYPE)
    assert table["output"].to_pylist() == TYPED
    assert table["output_text"].to_pylist() == list(ANSWERS.values())
    assert table["error"].to_pylist() == ERRORS
    assert table["status"].to_pylist() == ["completed"] * 6


def plain(kind: pa.DataType) -> str:
    """Give a type without the marks of its fields and the names of list items."""
    return str(kind).replace("list<element: ", "list<item: ")


def test_answers_as_json(run) -> None:
    """JSONL has the value as the model wrote it, number for number."""
    lines = run("out.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["output"] for line in lines[:3]] == [
        GOOD, {"label": "bad", "score": 1.1, "note": None}, None,
    ]  # fmt: skip
    assert b'"score":1.10' in lines[1]


def test_flattened_answers(run) -> None:
    """--flatten gives each property its column; one whose name is taken is output_<name>."""
    table = pq.read_table(run("out.parquet", "--flatten"))
    columns = ["label", "score", "parts", "note", "output_status"]
    assert [name for name in table.column_names if name in columns] == columns
    assert "output" not in table.column_names
    for name in columns:
        key = name.removeprefix("output_")
        assert table[name].to_pylist() == [row and row[key] for row in TYPED]
    with run("out.csv", "--flatten", "--columns", "label,score,parts").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:3] == [["good", "1.5", '[{"name":"é","extra":[1]}]'], ["bad", "1.10", ""]]
    assert rows[3:] == [["", "", ""]] * 4


MODELS = """
from typing import Literal
from pydantic import BaseModel

class Verdict(BaseModel):
    label: Literal["good", "bad"]
    score: float = 0
"""


def test_a_model_of_the_users_and_the_rehearsal_fit(tmp_path, cli) -> None:
    """package:Model is found in the current folder, and the local Valar's answers follow it."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "models.py").write_text(MODELS)
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n{"prompt": "c"}\n')
    process = cli.start("run", "in.jsonl", "--model", MODEL, "--schema", "shop.models:Verdict",
        "--to", "out.parquet", "-q", cwd=tmp_path)  # fmt: skip
    assert process.communicate(timeout=60) == (b"", b"")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["error"] for row in rows] == [None] * 3
    assert {row["output"]["label"] for row in rows} <= {"good", "bad"}


TOOLS = [
    {
        "type": "function",
        "name": "lookup",
        "parameters": {
            "type": "object",
            "properties": {"key": {"type": "integer"}},
            "required": ["key"],
        },
    }
]


def test_tool_calls(tmp_path, cli) -> None:
    """--tools offers tools, and their calls are a column: a list, with the arguments as JSON."""
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    out = tmp_path / "out.parquet"
    cli("run", tmp_path / "in.jsonl", "--model", MODEL, "--tools", tmp_path / "tools.json",
        "--set", "tool_choice=required", "--to", out)  # fmt: skip
    for row in pq.read_table(out).to_pylist():
        (call,) = row["tool_calls"]
        assert (call["type"], call["name"]) == ("function_call", "lookup")
        assert isinstance(json.loads(call["arguments"])["key"], int)
        assert (row["output_text"], row["error"]) == (None, None)


def test_items_that_offer_tools(tmp_path, cli) -> None:
    """Finished requests with tools have the column, too."""
    params = {"model": MODEL, "input": "a", "tools": TOOLS, "tool_choice": "required"}
    item = {"custom_id": "one", "params": params}
    (tmp_path / "in.jsonl").write_text(json.dumps(item) + "\n")
    cli("run", tmp_path / "in.jsonl", "--to", tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert row["tool_calls"][0]["name"] == "lookup"
