"""Inputs of every kind through the real command line: every row and every problem in its place."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.conftest import MODEL
from valar_batch.core.recipe import Recipe
from valar_batch.flow.prepare import prepare
from valar_batch.flow.requests import Order
from valar_batch.runs.draft import Draft
from valar_batch.runs.home import Home

GOOD = ("--model", MODEL, "--prompt", "{{ a }}")
ANSWER = "[rehearsal] an answer would stand here, to:"
RECIPE = Recipe(model=MODEL, prompt="{{ a }}")


def put(folder, files):
    """Write files of text or bytes."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(path):
    """Read an output of JSONL."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("in.tsv", b"id\ta\n01\tx, y\n02\tz\n", ()),
        ("in.csv", b"id;a\n01;x, y\n02;z\n", ()),
        ("in.csv", b"01^~x, y~\n02^z\n",
            ("--no-header", "--csv-delimiter", "^", "--csv-quote", "~")),
        ("in.csv", "id,a\n01,'x, y'\n02,z\n".encode("utf-16"), ()),
        ("in.csv.gz", gzip.compress(b'id,a\n01,"x, y"\n02,z\n', mtime=0), ()),
        ("in.ndjson.zst", zstandard.compress(b'{"id":"01","a":"x, y"}\n{"id":"02","a":"z"}\n'), ()),
        ("-", gzip.compress(b"id\ta\n01\tx, y\n02\tz\n", mtime=0), ()),
        ("in.dat", "id|a|ÿ\n01|x, y|ÿ\n02|z|ÿ\n".encode("cp1252"), ("--encoding", "cp1252")),
    ],
)  # fmt: skip
def test_text_of_any_kind(tmp_path, cli, name, content, options) -> None:
    """Values come out as the text that they were, whatever they were in."""
    path = name if name == "-" else tmp_path / name
    if name != "-":
        path.write_bytes(content)
    recipe = ("--model", MODEL, "--prompt", "{{ column_2 }}") if "--no-header" in options else GOOD
    out = tmp_path / "out.jsonl"
    cli("run", path, *recipe, *options, "--to", out, given=content if name == "-" else b"")
    rows = read(out)
    assert [list(row.values())[:2] for row in rows] == [["01", "x, y"], ["02", "z"]]
    assert [row["output_text"] for row in rows] == [f"{ANSWER} x, y", f"{ANSWER} z"]


@pytest.mark.parametrize("kind", ["file", "stream", "pipe"])
def test_arrow(tmp_path, cli, kind) -> None:
    """An Arrow file or stream: its types are in the output."""
    table = pa.table(
        {
            "a": pa.array(["x", "y"]).dictionary_encode(),
            "t": pa.array([1, None], pa.timestamp("ns", "Europe/Berlin")),
            "v": pa.array(["x" * 20, None], pa.string_view()),
        }
    )
    make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    path, out = tmp_path / "in.arrow", tmp_path / "out.parquet"
    with make(path, table.schema) as writer:
        writer.write_table(table)
    given = path.read_bytes() if kind == "pipe" else b""
    cli("run", "-" if given else path, *GOOD, "--to", out, given=given)
    assert pq.read_table(out).select(table.column_names).equals(table)


@pytest.mark.parametrize("what", ["folder", "pattern"])
def test_a_folder_of_files(tmp_path, cli, what) -> None:
    """Files in sorted order are one input; ids count over all of it."""
    folder = put(tmp_path / "in", {
        "b.csv.gz": gzip.compress(b"k,a\n3,three\n"), "a.csv": "a,k\none,1\ntwo,2\n",
        "README.md": "not data",
    })  # fmt: skip
    out = tmp_path / "out.jsonl"
    given = folder if what == "folder" else folder / "*.csv*"
    done = cli("run", given, *GOOD, "--to", out)
    found = [(row["custom_id"], row["k"], row["output_text"]) for row in read(out)]
    assert found == [
        ("r-1", "1", f"{ANSWER} one"),
        ("r-2", "2", f"{ANSWER} two"),
        ("r-3", "3", f"{ANSWER} three"),
    ]
    assert ("left out, as their names tell no format: 'README.md'" in done.err) == (
        what == "folder"
    )
    (listed,) = cli.json("list")
    assert listed["input"] == str(given)


def test_problems_name_the_file(tmp_path, cli) -> None:
    """A problem is of a row of its file, also where two files have the same id."""
    folder = put(tmp_path / "in", {
        "a.csv": "id,a\n1,x\n2,y\n", "b.csv": "id,a\n3,x\n\n1,y\n,z\n5\n",
    })  # fmt: skip
    done = cli("submit", folder, *GOOD, "--id", "id", code=6)
    assert "\n  b.csv row 3 (line 5), id: the id is empty\n" in done.err
    assert "\n  b.csv row 4 (line 6): the row has 1 fields, the header 2" in done.err
    assert "\n  b.csv row 2, id: a.csv row 1 has the same id\n" in done.err
    out = tmp_path / "out.jsonl"
    cli("run", folder, *GOOD, "--id", "id", "--on-invalid", "skip", "--to", out, code=3)
    assert [row["error"] for row in read(out)][3:5] == [
        "b.csv row 2, id: a.csv row 1 has the same id",
        "b.csv row 3 (line 5), id: the id is empty",
    ]


def test_a_refusal_by_valar_names_the_file(tmp_path, cli) -> None:
    """The row that Valar refuses is led back to its file."""
    item = '{{"custom_id":"i{}","params":{{"model":"{}","input":"x"}}}}\n'
    folder = put(tmp_path / "in", {
        "a.jsonl": item.format(1, MODEL) + item.format(2, MODEL),
        "b.jsonl": "\n" + item.format(3, MODEL) + item.format(4, "no/such-model"),
    })  # fmt: skip
    done = cli("submit", folder, code=1)
    assert "b.jsonl row 2, model: " in done.err


def test_files_that_changed_while_unsent(tmp_path, make_cli, valar) -> None:
    """A pattern that matches another file now is an input that has changed."""
    folder = put(tmp_path / "in", {"a.csv": "a\nx\n"})
    cli = make_cli(valar, VALAR_API_KEY="not-the-key")
    cli("submit", folder, *GOOD, code=5)
    put(folder, {"b.csv": "a\ny\n"})
    done = cli("submit", folder, *GOOD, code=1)
    assert "the input has changed" in done.err


def test_the_same_bytes_read_otherwise(tmp_path, cli, valar) -> None:
    """Other options of reading are other rows around the same requests: nothing is paid twice."""
    path, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    path.write_bytes("a,b\nx,é\n".encode())
    cli("run", path, *GOOD, "--to", out)
    assert read(out)[0]["b"] == "é"
    done = cli("run", path, *GOOD, "--encoding", "latin-1", "--to", out)
    assert read(out)[0]["b"] == "Ã©"
    assert "the input around them has changed" in done.err
    assert valar.executions()["total"] == 1


@pytest.mark.parametrize(
    ("name", "content", "options", "code", "said"),
    [
        (
            "in.csv.gz",
            gzip.compress(b"a\nx\n", mtime=0)[:-3],
            (),
            6,
            "in.csv.gz: its .gz data is cut off",
        ),
        ("in.csv", "a\né\n".encode("cp1252"), (), 6, "line 2 is not UTF-8"),
        ("in.feather", b"FEA1", (), 6, "Feather version 1 is not read"),
        ("in.csv", b"a\nx\n", ("--csv-delimiter", "ab"), 2, "--csv-delimiter 'ab'"),
        ("in.csv", b"a\nx\n", ("--encoding", "klingon"), 2, "--encoding klingon"),
        ("in.jsonl", b'{"a":"x"}\n', ("--no-header",), 2, "--no-header: this is for CSV"),
        ("*.txt", b"", (), 6, "*.txt: no file matches"),
    ],
)
def test_inputs_that_are_refused(tmp_path, cli, name, content, options, code, said) -> None:
    """Each says what it is; nothing is sent."""
    if "*" not in name:
        (tmp_path / name).write_bytes(content)
    assert said in cli("submit", tmp_path / name, *GOOD, *options, code=code).err


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (pa.table({"a": ["x", "y"]}), "table"),
        ([{"a": "x"}, {"a": "y"}], "rows"),
    ],
)
def test_rows_in_memory_are_no_file(tmp_path, given, path) -> None:
    """Prepared like any input, and named so that no file can be meant."""
    home = Home(tmp_path / "home")
    with Draft(home) as draft:
        prepared = prepare(Order(given, RECIPE, "local"), draft, home, lambda _: None)
    assert (prepared.totals.rows, prepared.totals.requests) == (2, 2)
    assert (prepared.input.path, prepared.input.is_on_disk) == (path, False)
