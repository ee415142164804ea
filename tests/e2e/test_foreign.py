"""Batches from elsewhere: any id at Valar has a status, and its answers come home."""

from __future__ import annotations

import json
import urllib.request

import pyarrow.parquet as pq
import pytest

from tests.conftest import MODEL
from valar_batch.core.identity import custom_id_for_value

RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--id", "id", "--batch-size", "10")
VALUES = ["plain", "With Capitals", "7", "x-ray", "trailing_"]


def post(valar, ids: list[str], label: str | None = None) -> str:
    """Send a batch past our own client; gives its id."""
    requests = [
        {"custom_id": name, "params": {"model": MODEL, "input": f"word-{name}"}} for name in ids
    ]
    body = {"endpoint": "/v1/responses", "requests": requests}
    if label is not None:
        body["label"] = label
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{valar.base_url}/batches",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {valar.key}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
        return json.load(answer)["id"]


def read(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def submitted(cli, tmp_path):
    """A run of 25 rows in three batches; gives its id."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"id": f"k{n}", "a": f"w{n}"}) + "\n" for n in range(25)))
    return cli("submit", path, *RECIPE).out.strip()


def test_its_requests_are_the_rows(cli, valar, tmp_path) -> None:
    """Without an input, the output has the batch's requests, each with its answer."""
    ids = ["b", "a", "c-3"]
    batch, out = post(valar, ids), tmp_path / "out.jsonl"
    cli("fetch", batch, "--to", out)
    rows = read(out)
    assert sorted(row["custom_id"] for row in rows) == sorted(ids)
    assert list(rows[0])[:3] == ["custom_id", "status", "output_text"]
    for row in rows:
        assert row["status"] == "completed"
        assert f"word-{row['custom_id']}" in row["output_text"].split()
        assert (row["model"], row["attempts"]) == (MODEL, 1)
        assert row["cost_usd"] > 0
    cli("fetch", batch, "--to", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == rows
    assert valar.executions()["total"] == 3


def test_its_status(cli, valar) -> None:
    """status tells how a batch stands that was never seen here."""
    batch = post(valar, ["a", "b"])
    standing = cli.json("status", batch)
    assert (standing["name"], standing["statuses"]) == (batch, {"completed": 2})
    (shown,) = standing["batches"]
    assert (shown["batch_id"], shown["state"], shown["requests"]) == (batch, "submitted", 2)
    assert batch in cli("status", batch).out


def test_what_is_here_needs_neither_key_nor_network(cli, valar, tmp_path) -> None:
    """Its answers are kept like a run's: fetched once, joined as often as one likes."""
    batch = post(valar, ["a", "b"])
    cli("fetch", batch, "--to", tmp_path / "1.jsonl")
    valar.stop()
    source = tmp_path / "in.csv"
    source.write_text("k\nb\na\n")
    offline = cli.elsewhere(cli.home, VALAR_API_KEY="")
    offline("fetch", batch, "--to", tmp_path / "2.csv", "--input", source, "--id", "k")
    assert (tmp_path / "2.csv").read_text().splitlines()[1].startswith("b,b,completed,")
    assert offline.json("status", batch)["statuses"] == {"completed": 2}


def test_without_waiting(serve, make_cli, tmp_path) -> None:
    """--no-wait gives whole files with pending rows, and a later fetch the rest."""
    valar = serve("--latency", "100000")
    cli, out = make_cli(valar), tmp_path / "out.jsonl"
    batch = post(valar, ["a", "b"])
    cli("fetch", batch, "--no-wait", "--to", out, code=4)
    assert {row["status"] for row in read(out)} == {"pending"}
    assert cli.json("status", batch)["statuses"] == {"pending": 2}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_joined_to_an_input(cli, valar, tmp_path, suffix) -> None:
    """The input's rows come out in order, each with its answer, whatever form its id has."""
    ids = [VALUES[0], *map(custom_id_for_value, VALUES[1:]), "unknown-1", "unknown-2"]
    batch, out = post(valar, ids), tmp_path / f"out.{suffix}"
    source = tmp_path / "in.jsonl"
    values = ["elsewhere", *reversed(VALUES), None]
    source.write_text(
        "".join(json.dumps({"k": v, "status": n}) + "\n" for n, v in enumerate(values))
    )
    done = cli("fetch", batch, "--to", out, "--input", source, "--id", "k", code=3)
    assert "2 requests of the batch are named by no row, as 'unknown-1'" in done.err
    if suffix == "csv":
        assert out.read_text().splitlines()[0].startswith("k,status,custom_id,valar_status,")
        return
    rows = pq.read_table(out).to_pylist() if suffix == "parquet" else read(out)
    assert [(row["k"], row["status"]) for row in rows] == [(v, n) for n, v in enumerate(values)]
    for row in rows:
        if row["k"] in VALUES:
            name = row["custom_id"]
            assert name in (row["k"], custom_id_for_value(row["k"]))
            assert row["valar_status"] == "completed"
            assert f"word-{name}" in row["output_text"].split()
        else:
            assert (row["valar_status"], row["error"]) == ("missing", "not in this batch")
            assert (row["custom_id"], row["attempts"]) == (None, 0)


def test_a_folder_of_parts_around_an_input(cli, valar, tmp_path) -> None:
    """The parts hold the input's rows, too, and nothing of the bare requests."""
    batch, out = post(valar, ["a", "b"]), tmp_path / "parts"
    source = tmp_path / "in.csv"
    source.write_text("k\nb\na\n")
    cli("fetch", batch, "--to", f"{out}/", "--input", source, "--id", "k")
    (part,) = out.glob("*.parquet")
    rows = pq.read_table(part).to_pylist()
    assert [(row["k"], row["status"]) for row in rows] == [("b", "completed"), ("a", "completed")]


def test_an_id_that_is_literal_is_not_mapped(cli, valar, tmp_path) -> None:
    """A value that is an id of the batch is that id, though submit would have hashed it."""
    batch, out = post(valar, ["x-7", "plain"]), tmp_path / "out.jsonl"
    source = tmp_path / "in.csv"
    source.write_text("custom_id\nx-7\nplain\n")
    cli("fetch", batch, "--to", out, "--input", source, "--id", "custom_id")
    assert [list(row.items())[:2] for row in read(out)] == [
        [("custom_id", "x-7"), ("status", "completed")],
        [("custom_id", "plain"), ("status", "completed")],
    ]


def test_rows_that_are_numbered(cli, valar, tmp_path) -> None:
    """Without --id the rows are r-1, r-2 and so on, as submit numbers them."""
    batch, out = post(valar, ["r-2", "r-1"]), tmp_path / "out.jsonl"
    source = tmp_path / "in.csv"
    source.write_text("a\nfirst\nsecond\nthird\n")
    done = cli("fetch", batch, "--to", out, "--input", source, code=3)
    assert "1 × not in this batch" in done.err
    assert "fetch again" not in done.err
    assert [(row["a"], row["custom_id"], row["status"]) for row in read(out)] == [
        ("first", "r-1", "completed"),
        ("second", "r-2", "completed"),
        ("third", None, "missing"),
    ]


def test_inputs_that_cannot_be_joined(cli, valar, submitted, tmp_path) -> None:
    """Ids that occur twice, missing columns and runs with rows of their own are errors."""
    batch, out = post(valar, ["a", "b"]), tmp_path / "out.jsonl"
    source = tmp_path / "in.csv"
    source.write_text("k\na\nb\na\n")
    fetch = ("fetch", batch, "--to", out)
    assert (
        "row 3, k: row 1 has the same id" in cli(*fetch, "--input", source, "--id", "k", code=6).err
    )
    assert "no column 'q'; it has: k" in cli(*fetch, "--input", source, "--id", "q", code=6).err
    lines = tmp_path / "in.jsonl"
    lines.write_text('{"k": 1}\n')
    assert "'q'; no row has it" in cli(*fetch, "--input", lines, "--id", "q", code=6).err
    assert "give it, too" in cli(*fetch, "--id", "k", code=2).err
    done = cli("fetch", submitted, "--to", out, "--input", source, code=2)
    assert "has its own rows" in done.err
    assert not out.exists()
    assert not list((cli.home / "runs").glob(".*"))


def test_a_batch_of_a_run_here(cli, submitted, tmp_path) -> None:
    """The id of a batch that was sent from here gives that batch's rows, with their columns."""
    batches = cli.json("status", submitted)["batches"]
    out = tmp_path / "out.jsonl"
    cli("fetch", batches[1]["batch_id"], "--to", out)
    assert [(row["id"], row["a"]) for row in read(out)] == [
        (f"k{n}", f"w{n}") for n in range(10, 20)
    ]
    standing = cli.json("status", batches[2]["batch_id"])
    assert (standing["run"], standing["statuses"]) == (submitted, {"completed": 5})
    assert [batch["number"] for batch in standing["batches"]] == [2]
    assert not list((cli.home / "runs").glob("ext-*"))


def test_a_batch_of_a_retry(serve, make_cli, tmp_path) -> None:
    """A retry's batch is fetched with the input's columns of the rows that it sent again."""
    valar = serve("--failure-share", "0.4")
    cli, path, out = make_cli(valar), tmp_path / "in.csv", tmp_path / "out.jsonl"
    path.write_text("id,a\n" + "".join(f"k{n},w{n}\n" for n in range(40)))
    cli("run", path, *RECIPE, "--to", out, code=3)
    failed = [row for row in read(out) if row["status"] == "failed"]
    assert 5 < len(failed) < 35
    cli("retry")
    batches = [batch for batch in cli.json("status")["batches"] if batch["attempt"] == 2]
    rows = []
    for batch in batches:
        cli("fetch", batch["batch_id"], "--to", out, code=3)
        rows += read(out)
    assert [(row["id"], row["a"]) for row in rows] == [(row["id"], row["a"]) for row in failed]


def test_a_known_batch_needs_no_target(cli, valar, tmp_path) -> None:
    """Once its answers are here, a batch is found by its id alone, as a run is."""
    batch, out = post(valar, ["a", "b"]), tmp_path / "out.jsonl"
    cli("fetch", batch, "--to", out)
    before = out.read_bytes()
    bare = cli.elsewhere(cli.home, VALAR_BASE_URL="", VALAR_API_KEY="")
    bare("fetch", batch, "--to", out)
    assert out.read_bytes() == before
    assert bare.json("status", batch)["target"] == valar.base_url


def test_names_that_are_nothing(cli, valar, submitted, make_cli) -> None:
    """No run, no batch: one clear error; without a key, it says that Valar could not be asked."""
    done = cli("status", "batch_nowhere", code=1)
    assert "no run 'batch_nowhere'" in done.err
    assert f"no such batch at {valar.base_url} with this key" in done.err
    assert "the run has no name" in cli("fetch", "", "--to", "-", code=1).err
    assert "no run 'run-none'" in cli("fetch", "run-none", "--to", "-", code=1).err
    done = cli.elsewhere(cli.home, VALAR_API_KEY="")("status", "batch_nowhere", code=1)
    assert "VALAR_API_KEY is not set" in done.err
    assert not list((cli.home / "runs").glob("ext-*"))


@pytest.mark.parametrize("command", ["resume", "retry"])
def test_there_is_nothing_to_send(cli, valar, submitted, command) -> None:
    """resume and retry say that a batch from elsewhere has no requests here."""
    batch = post(valar, ["a"])
    assert f"no run '{batch}'" in cli(command, batch, code=1).err
    cli("status", batch)
    done = cli(command, batch, code=1)
    assert f"{batch} was not sent from here" in done.err
    own = cli.json("status", submitted)["batches"][0]["batch_id"]
    assert f"{own} is a batch of {submitted}" in cli(command, own, code=1).err
    assert valar.executions()["total"] == 26


def test_from_the_local_valar(make_cli, tmp_path) -> None:
    """--local asks the local Valar, for a batch of another home's run, too."""
    cli = make_cli()
    path = tmp_path / "in.jsonl"
    path.write_text('{"prompt": "hello"}\n')
    cli("submit", path, "--local", "--model", MODEL)
    (batch,) = cli.json("list", "--remote", "--local")
    for folder in (cli.home / "runs").iterdir():
        folder.rename(tmp_path / folder.name)
    assert cli.json("status", batch["id"], "--local")["statuses"] == {"completed": 1}
    out = tmp_path / "out.jsonl"
    cli("fetch", batch["id"], "--local", "--to", out, "--input", path)
    assert [(row["prompt"], row["status"]) for row in read(out)] == [("hello", "completed")]


def test_all_batches_at_valar(cli, valar, submitted) -> None:
    """list --remote pages through all of them and marks those of runs here."""
    others = [post(valar, [f"o{n}"], f"other-{n}") for n in range(230)]
    unlabelled = post(valar, ["u"])
    lost = post(valar, ["l"], "run-0123456789abcdef-1-0")
    known = cli.json("status", submitted)["batches"]
    listed = cli.json("list", "--remote")
    assert {batch["id"]: batch["run"] for batch in listed} == {
        **dict.fromkeys([*others, unlabelled, lost]),
        **{batch["batch_id"]: submitted for batch in known},
    }
    assert len(listed) == 235
    assert [b["created_at"] for b in listed] == sorted(
        (b["created_at"] for b in listed), reverse=True
    )
    by_id = {batch["id"]: batch for batch in listed}
    assert by_id[unlabelled]["label"] is None
    assert (by_id[others[7]]["label"], by_id[others[7]]["requests"]) == ("other-7", 1)
    lines = cli("list", "--remote").out.splitlines()
    assert lines[0] == "id\tlabel\trequests\tcreated\trun"
    assert len(lines) == 236
