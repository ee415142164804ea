"""Two commands on one run: they take turns or refuse, say who has it, and nothing is paid twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import msgspec
import pytest

from tests.conftest import MODEL
from tests.e2e.gate import POLL, UPLOAD, Gate
from valar_batch.core.identity import key_fingerprint

ROWS = 35
RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--batch-size", "10")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "in.jsonl"
    write(path, "")
    return path


def write(path, note: str, rows: int = ROWS, words: int = 1) -> None:
    lines = ({"a": f"w{n} " * words, "note": f"{note}-{n}"} for n in range(rows))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def notes(output: bytes) -> list[str]:
    """Read an output: each row with its own answer; gives what the requests do not use."""
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["status"] for row in rows] == ["completed"] * len(rows)
    assert all(row["a"].split()[0] in row["output_text"].split() for row in rows)
    return [row["note"] for row in rows]


def line_of(process, words: str) -> str:
    """Wait for a line of what a command says, and give it."""
    for line in process.stderr:
        if words in line.decode():
            return line.decode().strip()
    raise AssertionError(f"it never said {words!r}")


def outcome(process) -> int:
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.parametrize("commands", [("submit", "submit"), ("run", "run"), ("submit", "run")])
def test_the_same_work(path, tmp_path, cli, valar, commands) -> None:
    """Two processes with the same work end with one run, sent once, and the same output."""
    outs = [tmp_path / f"{n}.jsonl" for n in range(2)]
    processes = [
        cli.start(command, path, *RECIPE, *(("--to", out) if command == "run" else ()))
        for command, out in zip(commands, outs, strict=True)
    ]
    assert [outcome(process) for process in processes] == [0, 0]
    assert len(cli.json("list")) == 1
    assert valar.ran_once(ROWS)
    for command, out in zip(commands, outs, strict=True):
        if command == "run":
            assert notes(out.read_bytes()) == [f"-{n}" for n in range(ROWS)]


def test_while_an_upload_is_under_way(path, tmp_path, gated, gate, valar) -> None:
    """submit and resume wait for it by name, fetch leaves it alone; then all go on."""
    gate.close_for(UPLOAD)
    first = gated.start("submit", path, *RECIPE)
    gate.wait_for()
    run = gated.json("list")[0]["run"]
    second, third = gated.start("submit", path, *RECIPE), gated.start("resume", run)
    waits = f"batch 0 is in use by valar-batch submit (process {first.pid}): waiting for it"
    assert line_of(second, "in use") == line_of(third, "in use") == waits
    third.send_signal(signal.SIGINT)
    assert outcome(third) == 130
    fetched = gated("fetch", run, "--to", tmp_path / "early.jsonl", code=4)
    assert "35 rows: 35 pending" in fetched.err
    gate.open()
    assert (outcome(first), outcome(second)) == (0, 0)
    gated("fetch", run, "--to", tmp_path / "out.jsonl")
    assert notes((tmp_path / "out.jsonl").read_bytes()) == [f"-{n}" for n in range(ROWS)]
    assert valar.ran_once(ROWS)


def test_a_killed_holder_is_not_waited_for(path, tmp_path, gated, gate, valar) -> None:
    """The lock ends with its process: who waits goes on, and the name that is left fools nobody."""
    run = gated("submit", path, *RECIPE).out.strip()
    gate.close_for(POLL)
    first = gated.start("fetch", run, "--to", tmp_path / "first.jsonl")
    gate.wait_for()
    second = gated.start("fetch", run, "--to", tmp_path / "second.jsonl")
    waits = f"batch 0 is in use by valar-batch fetch (process {first.pid}): waiting for it"
    assert line_of(second, "in use") == waits
    cleaned = gated("clean", run, "--remove", "--unfetched", code=1)
    assert f"{run} is in use by valar-batch fetch (process " in cleaned.err
    first.kill()
    first.wait()
    gate.open()
    assert outcome(second) == 0
    assert notes((tmp_path / "second.jsonl").read_bytes()) == [f"-{n}" for n in range(ROWS)]
    gated("clean", run, "--remove")
    assert gated.json("list") == []
    assert valar.ran_once(ROWS)


def test_other_rows_while_an_output_is_written(path, tmp_path, cli, valar) -> None:
    """The rows that a fetch began with stay while it lives, however often others take their place.

    Its reader does not read yet, so it stands in the middle of its output.
    """
    write(path, "first", words=3000)
    run = cli("submit", path, *RECIPE).out.strip()
    cli("fetch", run, "--to", tmp_path / "whole.jsonl")
    fetching = cli.start("fetch", run, "--to", "-")
    assert fetching.stdout.read(1) == b"{"
    for note in ("second", "third"):
        write(path, note, words=3000)
        assert cli("submit", path, *RECIPE).out.strip() == run
    waiting = cli.start("fetch", run, "--to", tmp_path / "new.jsonl")
    assert line_of(waiting, "in use") == (
        f"the output of {run} is in use by valar-batch fetch (process {fetching.pid}): "
        "waiting for it"
    )
    assert f"{run} is in use by " in cli("clean", run, "--remove", code=1).err
    rest = fetching.stdout.read()
    assert (outcome(fetching), outcome(waiting)) == (0, 0)
    assert notes(b"{" + rest) == [f"first-{n}" for n in range(ROWS)]
    assert notes((tmp_path / "new.jsonl").read_bytes()) == [f"third-{n}" for n in range(ROWS)]
    write(path, "fourth", words=3000)
    cli("submit", path, *RECIPE)
    kept = {file.name for file in (cli.home / "runs" / run).glob("batches/00000/rows*")}
    assert kept == {"rows-2.arrow", "rows-3.arrow"}
    assert valar.ran_once(ROWS)


def test_retry_while_an_output_is_written(path, tmp_path, serve, make_cli) -> None:
    """A retry does not wait for a fetch, and a second one takes turns with the first."""
    valar = serve("--failure-share", "0.4")
    cli = make_cli(valar)
    write(path, "", words=3000)
    run = cli("submit", path, *RECIPE).out.strip()
    cli("fetch", run, "--to", tmp_path / "whole.jsonl", code=3)
    failed = (tmp_path / "whole.jsonl").read_text().count('"status":"failed"')
    assert failed
    fetching = cli.start("fetch", run, "--to", "-")
    assert fetching.stdout.read(1) == b"{"
    retries = [cli.start("retry", run) for _ in range(2)]
    assert [outcome(process) for process in retries] == [0, 0]
    assert valar.executions()["total"] == ROWS + failed
    rest = fetching.stdout.read()
    assert outcome(fetching) == 3
    rows = [json.loads(line) for line in (b"{" + rest).splitlines()]
    assert [row["note"] for row in rows] == [f"-{n}" for n in range(ROWS)]
    cli("fetch", run, "--to", tmp_path / "out.jsonl", code=None)
    assert valar.executions()["total"] == ROWS + failed


def test_two_choices_of_rows(path, tmp_path, cli) -> None:
    """The second retry waits until the first has chosen, and says for whom."""
    run = cli("submit", path, *RECIPE).out.strip()
    cli("fetch", run, "--to", tmp_path / "out.jsonl")
    spool = cli.home / "runs" / run / "batches" / "00000" / "results.jsonl.zst"
    kept = spool.read_bytes()
    spool.unlink()
    os.mkfifo(spool)
    choosing = cli.start("retry", run, "--rows", tmp_path / "out.jsonl")
    descriptor = os.open(spool, os.O_WRONLY)  # once the retry reads it
    waiting = cli.start("retry", run)
    assert line_of(waiting, "in use") == (
        f"the choice of rows of {run} is in use by valar-batch retry (process {choosing.pid}): "
        "waiting for it"
    )
    waiting.send_signal(signal.SIGTERM)
    assert outcome(waiting) == 143
    os.write(descriptor, kept)
    os.close(descriptor)
    choosing.kill()


def test_resend_looks_at_valar_again(path, tmp_path, serve, make_cli) -> None:
    """A batch that another process sent after the list was made is found, not paid again.

    The test is the other process: it holds the lock, and sends the batch under another key.
    """
    from valar_batch.locks import taken

    valar = serve("--api-key", "another")
    gate = Gate(valar.port)
    cli = make_cli(gate.before(valar))
    write(path, "", rows=20)
    gate.close_for(UPLOAD, let_through=1)
    sending = cli.start("submit", path, *RECIPE)
    gate.wait_for()
    sending.kill()
    sending.wait()
    gate.open()
    run = cli.json("list")[0]["run"]
    folder = cli.home / "runs" / run / "batches" / "00001"
    record = json.loads((folder / "batch.json").read_bytes())
    key = key_fingerprint("another", (cli.home / "salt").read_bytes())
    facts = {**record, "state": "submitting", "key": key, "intent_at": time.time()}
    (folder / "batch.json").write_bytes(msgspec.json.encode(facts))
    other = cli.elsewhere(tmp_path / "other", VALAR_API_KEY="another")
    shutil.copytree(cli.home, other.home)
    with taken(folder / "lock"):
        resending = cli.start("resume", run, "--resend")
        line_of(resending, "batch 1 is in use by ")
        other("resume", run)
    assert outcome(resending) == 0
    assert valar.ran_once(20)


def test_another_machine_and_a_reused_number(path, tmp_path, cli) -> None:
    """A holder on another machine is named with it; one that is dead here is not believed."""
    from filelock import FileLock

    run = cli("submit", path, *RECIPE).out.strip()
    lock = cli.home / "runs" / run / "outputs.lock"
    gone = cli.start("--version")
    gone.wait()
    cases = {
        "valar-batch fetch (process 7 on elsewhere)": {"pid": 7, "host": "elsewhere"},
        "another process": {"pid": gone.pid, "host": os.uname().nodename},
    }
    for holder, told in cases.items():
        with FileLock(lock):
            name = {"command": "valar-batch fetch", **told}
            lock.with_name("outputs.lock.holder").write_bytes(msgspec.json.encode(name))
            waiting = cli.start("fetch", run, "--to", tmp_path / "out.jsonl")
            said = line_of(waiting, "in use")
        assert said == f"the output of {run} is in use by {holder}: waiting for it"
        assert outcome(waiting) == 0
