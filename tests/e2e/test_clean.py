"""clean: run folders go when they are finished and were asked to, and never by halves."""

from __future__ import annotations

import json
import os
import time

import filelock
import msgspec
import pytest

from tests.conftest import MODEL
from tests.e2e.test_foreign import post


def submit(cli, tmp_path, word: str, *more: str) -> str:
    path = tmp_path / f"{word}.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"{word}{n}"}) + "\n" for n in range(4)))
    return cli("submit", path, "--model", MODEL, "--batch-size", "2", *more).out.strip()


def fetch(cli, tmp_path, run: str) -> str:
    cli("fetch", run, "--to", tmp_path / f"{run}.jsonl")
    return run


def age(cli, run: str, days: float) -> None:
    """Make a run older."""
    path = cli.home / "runs" / run / "run.json"
    record = {**json.loads(path.read_bytes()), "created_at": time.time() - days * 86_400}
    path.write_bytes(msgspec.json.encode(record))


def here(cli) -> set[str]:
    return {path.name for path in (cli.home / "runs").iterdir()}


@pytest.fixture
def runs(cli, tmp_path) -> dict[str, str]:
    """Three runs: one finished, one sent and not fetched, one that was not all sent."""
    made = {
        "finished": fetch(cli, tmp_path, submit(cli, tmp_path, "done")),
        "sent": submit(cli, tmp_path, "sent", "--name", "mine"),
        "unsent": submit(cli, tmp_path, "part"),
    }
    path = cli.home / "runs" / made["unsent"] / "batches" / "00001" / "batch.json"
    record = {**json.loads(path.read_bytes()), "state": "prepared", "batch_id": None}
    path.write_bytes(msgspec.json.encode(record))
    for days, run in enumerate(made.values(), 1):
        age(cli, run, days * 10)
    return made


def test_it_lists_and_removes_nothing(cli, runs) -> None:
    """Without --remove, clean says of every run whether it would go and what would be lost."""
    listed = cli.json("clean")
    assert [(e["run"], e["state"], e["goes"], e["removed"], e["loses"]) for e in listed] == [
        (runs["unsent"], "prepared", False, False,
         "2 requests not sent, 2 answers not all fetched, which stay at Valar"),
        (runs["sent"], "submitted", False, False, "4 answers not all fetched, which stay at Valar"),
        (runs["finished"], "finished", True, False, ""),
    ]  # fmt: skip
    folder = cli.home / "runs" / runs["finished"]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert listed[2]["bytes"] == size
    done = cli("clean")
    assert done.out.splitlines()[0] == "run\tname\tbegun\tstate\tsize\tgoes\tloses"
    assert "1 run, " in done.err
    assert here(cli) == set(runs.values())


def test_remove_needs_to_be_told_what(cli, runs) -> None:
    """--remove alone removes nothing; --all means every run that is finished."""
    assert "--remove needs to be told what" in cli("clean", "--remove", code=2).err
    assert here(cli) == set(runs.values())
    assert "removed 1 run, " in cli("clean", "--remove", "--all").err
    assert here(cli) == {runs["sent"], runs["unsent"]}


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (("--older-than", "15d"), {"sent", "unsent"}),
        (("--older-than", "25d", "--state", "prepared"), {"unsent"}),
        (("--state", "submitted", "--state", "finished"), {"sent", "finished"}),
        (("--larger-than", "1GB"), set()),
        (("--larger-than", "1kB"), {"sent", "unsent", "finished"}),
        (("mine",), {"sent"}),
    ],
)
def test_which_runs_are_meant(cli, runs, options, meant) -> None:
    """Age, state, size and names choose, and all that is given must hold."""
    assert {entry["run"] for entry in cli.json("clean", *options)} == {runs[m] for m in meant}
    cli("clean", "--remove", "--unfetched", *options)
    assert here(cli) == {run for name, run in runs.items() if name not in meant}


def test_what_was_not_fetched_stays(cli, runs, tmp_path, valar) -> None:
    """A named run that is not finished stays, exit 1; with --unfetched it goes, and is not paid."""
    done = cli("clean", "mine", "--remove", code=1)
    assert "removed 0 runs" in done.err
    assert "stay, unless --unfetched is given" in done.err
    assert here(cli) == set(runs.values())
    done = cli("clean", "mine", "--remove", "--unfetched")
    assert f"{runs['sent']}: lost 4 answers not all fetched, which stay at Valar" in done.err
    assert here(cli) == {runs["finished"], runs["unsent"]}
    before = valar.executions()
    assert submit(cli, tmp_path, "sent") == runs["sent"]
    fetch(cli, tmp_path, runs["sent"])
    assert valar.executions() == before


def test_an_output_that_lacks_answers_is_not_the_end(serve, make_cli, tmp_path) -> None:
    """A run is finished when an output has all of its answers, those of a retry included."""
    valar = serve("--failure-share", "1.0")
    cli = make_cli(valar)
    run = submit(cli, tmp_path, "bad")
    cli("fetch", run, "--to", tmp_path / "out.jsonl", code=3)
    assert [entry["state"] for entry in cli.json("clean")] == ["finished"]
    cli("retry", run)
    (entry,) = cli.json("clean")
    assert (entry["state"], entry["goes"]) == ("submitted", False)
    cli("fetch", run, "--to", tmp_path / "out.jsonl", code=3)
    assert [entry["state"] for entry in cli.json("clean")] == ["finished"]


@pytest.mark.parametrize("lock", ["outputs.lock", "retries.lock", "batches/00001/lock"])
def test_a_run_in_use_stays(cli, runs, lock) -> None:
    """What another process works on is skipped, and said."""
    run = runs["finished"]
    with filelock.FileLock(cli.home / "runs" / run / lock):
        done = cli("clean", "--remove", "--all")
        assert f"{run} is in use by another process and stays" in done.err
        assert here(cli) == set(runs.values())
    cli("clean", "--remove", "--all")
    assert run not in here(cli)


def test_batches_from_elsewhere_go_too(cli, valar, tmp_path) -> None:
    """They are listed with the id of their batch, and go by it."""
    batch = post(valar, ["a", "b"])
    fetch(cli, tmp_path, batch)
    (entry,) = cli.json("clean", "--state", "finished")
    assert (entry["name"], entry["goes"]) == (batch, True)
    assert cli("list").out == ""
    cli("clean", batch, "--remove")
    assert here(cli) == set()


def test_a_damaged_folder(cli, runs) -> None:
    """A folder that cannot be read stops nothing, and goes only with --unfetched."""
    (cli.home / "runs" / runs["sent"] / "run.json").write_text("{")
    states = {entry["run"]: (entry["state"], entry["goes"]) for entry in cli.json("clean")}
    assert states[runs["sent"]] == ("damaged", False)
    cli("clean", "--remove", "--state", "damaged")
    assert runs["sent"] in here(cli)
    cli("clean", "--remove", "--state", "damaged", "--unfetched")
    assert runs["sent"] not in here(cli)


def test_an_interrupted_removal_is_swept(cli, runs, tmp_path) -> None:
    """What a kill left half removed is no run any more, and the next command ends it."""
    folder = cli.home / "runs" / runs["finished"]
    for next_command in (
        lambda: cli("clean", "--remove", "--state", "settled"),
        lambda: submit(cli, tmp_path, "next"),
    ):
        aside = folder.with_name(f".removing-{folder.name}-1")
        os.renames(folder, aside) if folder.exists() else aside.mkdir()
        next_command()
        assert not aside.exists()
    assert runs["finished"] not in {run["run"] for run in cli.json("list")}


def test_what_cannot_be_read(cli) -> None:
    """Words that are no age, size or state are refused with an example; no home has no runs."""
    assert "as in 30d" in cli("clean", "--older-than", "soon", code=2).err
    assert "as in 1GB" in cli("clean", "--larger-than", "big", code=2).err
    assert "--state is one of prepared" in cli("clean", "--state", "odd", code=2).err
    assert cli.json("clean") == []
    assert "no run 'x'" in cli("clean", "x", code=1).err
