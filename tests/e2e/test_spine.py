"""From a file to joined rows through the real command line and a real local Valar."""

from __future__ import annotations

import csv
import json
import os
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.conftest import COMMAND, MODEL

ROWS = [
    {"id": "A.1", "review": "Größer, “better”; 漢字 😀", "n": 9007199254740993, "tags": ["x", "y"]},
    {"id": "b", "review": 'two\nlines, "quoted"', "n": None, "tags": []},
    {"id": "c-3", "review": "plain", "n": -1, "tags": None},
]
OUTCOME_COLUMNS = [
    "custom_id", "status", "output_text", "incomplete_reason", "error", "response_id", "model",
    "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd", "attempts",
]  # fmt: skip
PROMPT = "Sentiment of: {{ review }}"


def write_input(path, rows=ROWS):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read_output(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


def recipe(*more):
    return ("--model", MODEL, "--prompt", PROMPT, *more)


@pytest.mark.parametrize("output", ["out.parquet", "out.jsonl", "out.csv"])
@pytest.mark.parametrize("source", ["in.jsonl", "in.csv", "in.parquet"])
def test_submit_status_fetch(tmp_path, cli, valar, source, output) -> None:
    """Every input format through the three commands into every output format, rows unchanged."""
    path, out = write_input(tmp_path / source), tmp_path / output
    submitted = cli("submit", path, *recipe("--id", "id"))
    run = submitted.out.strip()
    assert submitted.out == f"{run}\n"
    standing = cli.json("status", run)
    assert (standing["run"], standing["statuses"]) == (run, {"completed": 3})
    cli("fetch", run, "--to", out)

    rows = read_output(out)
    given = read_output(path) if source == "in.csv" or output != "out.csv" else None
    assert list(rows[0]) == ["id", "review", "n", "tags", *OUTCOME_COLUMNS]
    if given is not None:
        assert [{name: row[name] for name in ROWS[0]} for row in rows] == given
    assert [row["custom_id"] for row in rows] == ["x-4a3jl4ub3rj6rbpuzqn7lr4anu", "b", "c-3"]
    assert [row["status"] for row in rows] == ["completed"] * 3
    for row, word in zip(rows, ("Größer", "two", "plain"), strict=True):
        assert row["output_text"].startswith("[rehearsal] ")
        assert word in row["output_text"]
    assert {int(row["attempts"]) for row in rows} == {1}
    assert valar.executions() == {"total": 3, "distinct": 3, "repeated": []}


def test_csv_output_holds_numbers_and_nested_values_as_they_stand(tmp_path, cli) -> None:
    """Into CSV, an integer beyond 2^53 keeps its digits, a null is empty, a list is its JSON."""
    path, out = write_input(tmp_path / "in.jsonl"), tmp_path / "out.csv"
    cli("run", path, *recipe(), "--to", out)
    rows = [[row["n"], row["tags"]] for row in read_output(out)]
    assert rows == [["9007199254740993", '["x", "y"]'], ["", "[]"], ["-1", ""]]


def test_run_is_the_same_in_one_command(tmp_path, cli) -> None:
    """`run` writes what submit and fetch write, byte for byte."""
    path = write_input(tmp_path / "in.parquet")
    cli("run", path, *recipe(), "--to", tmp_path / "one.parquet")
    cli("fetch", "--to", tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@pytest.mark.parametrize("source", ["in.jsonl", "in.csv"])
def test_a_pipe(tmp_path, cli, source) -> None:
    """Standard input is read once, and clean JSONL comes out, whatever the screen says."""
    content = write_input(tmp_path / source).read_bytes()
    done = cli("run", "-", *recipe(), "--to", "-", given=content)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["review"] for row in rows] == [row["review"] for row in ROWS]
    assert [row["custom_id"] for row in rows] == ["r-1", "r-2", "r-3"]
    assert "3 completed" in done.err


def test_a_closed_pipe_is_no_accident(tmp_path, cli) -> None:
    """When the reader has seen enough, the command ends quietly with 141."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{n} {'x' * 400}"}) + "\n" for n in range(3000)))
    process = cli.start("run", path, "--model", MODEL, "--to", "-", "--quiet")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("closed", "code", "said"),
    [
        (">&-", 141, ""),
        ("2>&-", 0, ""),
        ("<&-", 6, "error: standard input: there are no rows"),
    ],
)
def test_streams_that_the_shell_closed(tmp_path, cli, closed, code, said) -> None:
    """Data for nobody is a closed pipe; what is for the screen never comes among the data."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"prompt": "a"}\n')
    command = [*COMMAND, "run", "-" if closed == "<&-" else path, "--model", MODEL, "--to", "-"]
    process = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *map(str, command)],
        env={**os.environ, "VALAR_BATCH_HOME": str(cli.home), **cli.environment},
        capture_output=True,
        check=False,
    )
    assert process.returncode == code
    assert process.stderr.decode().startswith(said)
    assert b"Traceback" not in process.stderr
    rows = [json.loads(line)["status"] for line in process.stdout.splitlines()]
    assert rows == (["completed"] if code == 0 else [])


def test_many_batches_keep_every_row_in_order(tmp_path, cli, valar) -> None:
    """Rows over many small batches come out once each, in input order, each with its answer."""
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"word{n}"}) + "\n" for n in range(2500)))
    cli("run", path, "--model", MODEL, "--batch-size", "300", "--to", out)
    rows = read_output(out)
    assert [row["prompt"] for row in rows] == [f"word{n}" for n in range(2500)]
    assert all(row["prompt"] in row["output_text"].split() for row in rows)
    assert [batch["requests"] for batch in cli.json("status")["batches"]] == [300] * 8 + [100]
    assert valar.executions()["total"] == 2500


def test_batches_by_bytes(tmp_path, cli) -> None:
    """A lowered --batch-bytes packs by size; every body stays under it."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"prompt": "y" * 900}) + "\n" for _ in range(40)))
    cli("run", path, "--model", MODEL, "--batch-bytes", "9000", "--to", tmp_path / "o.jsonl")
    batches = cli.json("status")["batches"]
    assert sum(batch["requests"] for batch in batches) == 40
    assert len(batches) > 4
    assert all(batch["bytes"] < 9000 for batch in batches)


def test_finished_requests_are_sent_as_they_are(tmp_path, cli) -> None:
    """Valar items keep their custom_id and their params; the output has one custom_id column."""
    path, out = tmp_path / "items.jsonl", tmp_path / "out.jsonl"
    items = [
        {"custom_id": f"item-{n}", "params": {"model": MODEL, "input": f"say {n}", "top_p": 0.5}}
        for n in range(3)
    ]
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    cli("run", path, "--to", out)
    rows = read_output(out)
    assert [row["custom_id"] for row in rows] == ["item-0", "item-1", "item-2"]
    assert [row["params"] for row in rows] == [item["params"] for item in items]
    assert "valar_custom_id" not in rows[0]


def test_finished_requests_in_parquet(tmp_path, cli, valar) -> None:
    """Where Parquet must hold a null for a field that is absent, the request does without it."""
    path, out = tmp_path / "items.parquet", tmp_path / "out.parquet"
    messages = [
        [{"role": "user", "content": "one"}],
        [{"role": "user", "content": "two", "name": "ann"}],
    ]
    params = [
        {"model": MODEL, "input": messages[0], "temperature": 0.5},
        {"model": MODEL, "input": messages[1], "user": "u-1"},
    ]
    table = pa.table({"custom_id": ["a", "b"], "params": params})
    pq.write_table(table, path)
    cli("run", path, "--to", out)
    assert [row["params"] for row in pq.read_table(out).to_pylist()] == table["params"].to_pylist()
    table = pa.table({"messages": messages})
    pq.write_table(table, path)
    cli("run", path, "--model", MODEL, "--to", tmp_path / "messages.parquet")
    bodies = list((cli.home / "runs").glob("run-*/batches/00000/request.json.zst"))
    assert len(bodies) == 2
    for body in bodies:
        with body.open("rb") as file:
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            assert b"null" not in reader.read()


def test_columns_that_the_input_has_already(tmp_path, cli) -> None:
    """The input's own status column stays, ours is valar_status."""
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"prompt": "hi", "status": "mine"}\n')
    cli("run", path, "--model", MODEL, "--to", out)
    (row,) = read_output(out)
    assert (row["status"], row["valar_status"]) == ("mine", "completed")


def test_provenance(tmp_path, cli) -> None:
    """A Parquet output says which run, recipe and input it came from, and no times."""
    path, out = write_input(tmp_path / "in.jsonl"), tmp_path / "out.parquet"
    cli("run", path, *recipe(), "--to", out)
    metadata = pq.read_schema(out).metadata
    run = cli.json("status")["run"]
    assert metadata[b"valar_batch.run_id"] == run.encode()
    assert {key for key in metadata if key.startswith(b"valar_batch.")} == {
        b"valar_batch.run_id",
        b"valar_batch.recipe",
        b"valar_batch.input_digest",
        b"valar_batch.tool_version",
    }


def test_models_lists_what_is_served(cli) -> None:
    """The models at Valar, with the prices that this version knows."""
    models = {model["id"]: model["windows"] for model in cli.json("models")}
    assert models[MODEL]["standard"] == {"input": 0.04, "cached_input": 0.02, "output": 0.30}
    assert len(models) == 8


def test_list_and_names(tmp_path, cli) -> None:
    """Runs are listed, newest first, and found by name and by the beginning of their id."""
    path = write_input(tmp_path / "in.jsonl")
    first = cli("submit", path, *recipe("--name", "alpha")).out.strip()
    second = cli("submit", path, *recipe("--temperature", "0.5")).out.strip()
    listed = cli.json("list")
    assert [(run["run"], run["name"], run["state"]) for run in listed] == [
        (second, None, "submitted"),
        (first, "alpha", "submitted"),
    ]
    assert cli.json("status", "alpha")["run"] == first
    assert cli.json("status", second[:10])["run"] == second
    assert cli.json("status")["run"] == second


def test_watching_ends_when_all_is_settled(tmp_path, serve, make_cli) -> None:
    """--watch shows a run anew until nothing is pending, and then ends by itself."""
    cli = make_cli(serve("--latency", "8"))
    path = write_input(tmp_path / "in.jsonl")
    cli("submit", path, *recipe())
    seen = cli("status", "--watch").err.split("rows    3: ")[1:]
    assert "pending" in seen[0]
    assert seen[-1].startswith("3 completed")
