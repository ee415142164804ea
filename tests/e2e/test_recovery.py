"""Repeating a command is the recovery: nothing is sent twice, nothing is forgotten."""

from __future__ import annotations

import json
import shutil
import time

import msgspec
import pyarrow.parquet as pq
import pytest

from tests.conftest import MODEL

RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--batch-size", "10")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"a": f"w{n}"}) + "\n" for n in range(35)))
    return path


def edit_batch(cli, run: str, number: int, **facts: object) -> None:
    """Put a batch of a run into another state, as a crash would have left it."""
    path = cli.home / "runs" / run / "batches" / f"{number:05d}" / "batch.json"
    path.write_bytes(msgspec.json.encode({**json.loads(path.read_bytes()), **facts}))


def test_submit_again_names_the_run_and_sends_nothing(path, cli, valar) -> None:
    """The same submit prints the same id; the screen says that all of it is there."""
    run = cli("submit", path, *RECIPE).out
    done = cli("submit", path, *RECIPE)
    assert done.out == run
    assert f"{run.strip()}: all of it was at Valar already, nothing was sent" in done.err
    assert valar.ran_once(35)


def test_how_it_is_packed_makes_no_other_run(path, cli, valar) -> None:
    """Another --batch-size for the same requests finds the run that is there."""
    run = cli("submit", path, *RECIPE).out
    assert cli("submit", path, *RECIPE[:-1], "20").out == run
    assert valar.ran_once(35)


def test_run_again_writes_the_same_bytes(path, tmp_path, cli, valar) -> None:
    """A finished run repeated costs nothing and gives the same file."""
    out = tmp_path / "out.parquet"
    cli("run", path, *RECIPE, "--to", out)
    first = out.read_bytes()
    done = cli("run", path, *RECIPE, "--to", out)
    assert out.read_bytes() == first
    assert "nothing was sent" in done.err
    assert valar.ran_once(35)


def test_a_lost_run_folder(path, tmp_path, cli, valar) -> None:
    """With the folder gone, the same submit makes the same run and adopts every batch."""
    run = cli("submit", path, *RECIPE).out.strip()
    shutil.rmtree(cli.home)
    done = cli("submit", path, *RECIPE)
    assert done.out.strip() == run
    assert f"{run}: 4 batches found at Valar; next: " in done.err
    cli("fetch", run, "--to", tmp_path / "out.jsonl")
    assert valar.ran_once(35)


def test_a_second_home(path, tmp_path, cli, valar) -> None:
    """From another machine's home the run has the same id, and nothing is executed again."""
    run = cli("submit", path, *RECIPE).out
    second = cli.elsewhere(tmp_path / "second-home")
    assert second("run", path, *RECIPE, "--to", tmp_path / "out.jsonl").code == 0
    assert second.json("status")["run"] == run.strip()
    assert valar.ran_once(35)


def test_a_doubtful_batch_is_adopted(path, cli, valar) -> None:
    """A POST whose answer was never heard is found by its label, even under another key's mark."""
    run = cli("submit", path, *RECIPE).out.strip()
    edit_batch(cli, run, 1, state="submitting", batch_id=None, key="other", intent_at=1.0)
    cli("resume", run)
    assert cli.json("status")["batches"][1]["state"] == "submitted"
    assert valar.ran_once(35)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"key": "0" * 32}, "another API key"),
        ({"intent_at": 1.0}, "over an hour old"),
    ],
)
def test_a_doubtful_batch_that_cannot_be_found(path, cli, valar, serve, facts, reason) -> None:
    """Where sending again could pay twice, it stops and says so; --resend is the user's word."""
    run = cli("submit", path, *RECIPE).out.strip()
    elsewhere = serve(name="other")
    record = cli.home / "runs" / run / "batches" / "00001" / "batch.json"
    key = json.loads(record.read_bytes())["key"]
    facts = {"key": key, "intent_at": time.time(), **facts}
    edit_batch(cli, run, 1, state="submitting", batch_id=None, **facts)
    valar.stop()
    elsewhere.stop()
    elsewhere.port = valar.port
    elsewhere.start()  # the same address, where nothing is known of the batch
    done = cli("resume", run, code=1)
    assert reason in done.err
    assert f"valar-batch resume {run} --resend" in done.err
    assert elsewhere.executions()["total"] == 0
    cli("resume", run, "--resend")
    assert elsewhere.executions()["total"] == 10


def test_again_pays_on_purpose_and_once(path, tmp_path, cli, valar) -> None:
    """--again makes a second generation; until that is fetched, repeating it makes no third."""
    cli("run", path, *RECIPE, "--to", tmp_path / "1.jsonl")
    first = cli.json("status")["run"]
    run = cli("submit", path, *RECIPE, "--again").out.strip()
    assert run == f"{first}-2"
    assert cli("submit", path, *RECIPE, "--again").out.strip() == run
    assert valar.executions()["total"] == 70
    cli("fetch", run, "--to", tmp_path / "2.jsonl")
    assert cli("submit", path, *RECIPE, "--again").out.strip() == f"{first}-3"
    assert valar.executions()["total"] == 105


def test_again_after_its_folder_was_lost(path, cli, valar) -> None:
    """Not even --again pays twice by accident: a generation begun before the loss is taken up."""
    cli("submit", path, *RECIPE)
    run = cli("submit", path, *RECIPE, "--again", code=None).out.strip()
    shutil.rmtree(cli.home)
    lost = cli("submit", path, *RECIPE, "--again").out.strip()
    assert lost.endswith("-2")
    shutil.rmtree(cli.home)
    assert cli("submit", path, *RECIPE, "--again").out.strip() == lost
    assert run in lost
    assert valar.executions()["total"] == 70


def test_a_lost_generation(path, tmp_path, cli, valar) -> None:
    """A second generation whose folder is gone is taken up again, also where the first is here."""
    cli("run", path, *RECIPE, "--to", tmp_path / "1.jsonl")
    run = cli("submit", path, *RECIPE, "--again").out.strip()
    shutil.rmtree(cli.home / "runs" / run)
    assert cli("submit", path, *RECIPE, "--again").out.strip() == run
    assert valar.executions()["total"] == 70


def test_an_edited_input_stops_before_paying(path, cli, valar) -> None:
    """A run that is not all sent, and an input that has changed: the user decides."""
    run = cli("submit", path, *RECIPE).out.strip()
    edit_batch(cli, run, 3, state="prepared", batch_id=None)
    path.write_text(path.read_text().replace("w7", "changed"))
    done = cli("submit", path, *RECIPE, code=1)
    assert f"valar-batch resume {run}" in done.err
    assert "--again" in done.err
    assert valar.ran_once(35)
    cli("resume", run)
    other = cli("submit", path, *RECIPE).out.strip()
    assert other != run
    counted = valar.executions()
    assert (counted["total"], counted["distinct"]) == (70, 36)


def test_other_rows_around_the_same_requests(path, tmp_path, cli, valar) -> None:
    """An edit that no request feels costs nothing, and the output has the rows as they are now."""
    out = tmp_path / "out.jsonl"
    run = cli("submit", path, *RECIPE).out
    for note in ("first", "second", "third"):
        rows = [{"a": f"w{n}", "note": f"{note}-{n}"} for n in range(35)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = cli("run", path, *RECIPE[:-1], "8", "--to", out)
        assert f"the requests are those of {run.strip()}" in done.err
        written = [json.loads(line) for line in out.read_text().splitlines()]
        assert [{"a": row["a"], "note": row["note"]} for row in written] == rows
        assert all(row["a"] in row["output_text"].split() for row in written)
    kept = {file.name for file in (cli.home / "runs").glob("*/batches/00000/rows*")}
    assert kept == {"rows-2.arrow", "rows-3.arrow"}

    other = tmp_path / "other.csv"
    other.write_text("k,a\n" + "".join(f"{n},w{n}\n" for n in range(35)))
    cli("run", other, *RECIPE, "--to", tmp_path / "other.jsonl")
    written = [json.loads(line) for line in (tmp_path / "other.jsonl").read_text().splitlines()]
    assert [(row["k"], row["a"]) for row in written] == [(str(n), f"w{n}") for n in range(35)]
    assert valar.ran_once(35)


def test_what_is_here_needs_neither_key_nor_network(path, tmp_path, cli, valar, make_cli) -> None:
    """Once all answers are here, another format is written with no key and no Valar."""
    run = cli("submit", path, *RECIPE).out.strip()
    cli("fetch", run, "--to", tmp_path / "out.jsonl")
    valar.stop()
    make_cli()("fetch", run, "--to", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 35


def test_resume_sends_the_rest_without_the_input(path, tmp_path, cli, valar) -> None:
    """fetch never spends: it writes pending rows and ends with 4; resume sends what is left."""
    run = cli("submit", path, *RECIPE).out.strip()
    edit_batch(cli, run, 3, state="prepared", batch_id=None)
    shutil.rmtree(valar.home / "local")  # a Valar that forgets: the batch is really not there
    path.unlink()
    valar.stop()
    valar.start()
    out = tmp_path / "out.jsonl"
    edit_all = cli.home / "runs" / run / "batches"
    for number in range(len(list(edit_all.iterdir()))):
        edit_batch(cli, run, number, state="prepared", batch_id=None, key=None, intent_at=None)
    done = cli("fetch", run, "--to", out, code=4)
    assert "not sent yet" in done.err
    assert f"valar-batch resume {run}" in done.err
    assert valar.executions()["total"] == 0
    cli("resume", run)
    cli("fetch", run, "--to", out)
    assert valar.ran_once(35)


def test_taking_what_is_there_now(path, tmp_path, serve, make_cli) -> None:
    """--no-wait gives a whole, valid file at any time: pending rows at their place, exit 4."""
    slow = serve("--latency", "100000")
    cli = make_cli(slow)
    run = cli("submit", path, *RECIPE).out.strip()
    out = tmp_path / "out.parquet"
    cli("fetch", run, "--to", out, "--no-wait", code=4)
    rows = pq.read_table(out).to_pylist()
    assert [row["a"] for row in rows] == [f"w{n}" for n in range(35)]
    assert {row["status"] for row in rows} == {"pending"}


def test_a_torn_spool_is_fetched_again(path, tmp_path, cli, valar) -> None:
    """A spool cut anywhere, as a power cut would, gives the same output after fetching again."""
    run = cli("submit", path, *RECIPE).out.strip()
    out = tmp_path / "out.jsonl"
    cli("fetch", run, "--to", out)
    whole = out.read_bytes()
    for number, size in enumerate((0, 1, 20, -1)):
        spool = cli.home / "runs" / run / "batches" / f"{number:05d}" / "results.jsonl.zst"
        content = spool.read_bytes()
        spool.write_bytes(content[:size])
        edit_batch(cli, run, number, state="submitted")
    cli("fetch", run, "--to", out)
    assert out.read_bytes() == whole


def test_a_damaged_body_is_not_sent(path, cli, valar) -> None:
    """The bytes of every POST are checked against what was prepared before the last of them leave.

    Valar never has such a body, so nothing is in doubt afterwards.
    """
    run = cli("submit", path, *RECIPE).out.strip()
    edit_batch(cli, run, 0, state="prepared", batch_id=None, label="run-0-1-0", sha256="0" * 64)
    done = cli("resume", run, code=1)
    assert "is not what was prepared" in done.err
    record = json.loads((cli.home / "runs" / run / "batches/00000/batch.json").read_bytes())
    assert (record["state"], record["intent_at"]) == ("prepared", None)
    assert valar.ran_once(35)


def test_a_run_of_a_newer_version(path, cli) -> None:
    """A folder that a newer version wrote is refused with a clear word."""
    run = cli("submit", path, *RECIPE).out.strip()
    record = cli.home / "runs" / run / "run.json"
    newer = {**json.loads(record.read_bytes()), "folder_version": 99}
    record.write_bytes(msgspec.json.encode(newer))
    assert "newer version" in cli("fetch", run, "--to", "-", code=1).err
