"""Ctrl-C, SIGTERM and --timeout at each phase: stopped in good order, and gone on with exactly."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import COMMAND, MODEL, environment
from tests.e2e.gate import COME_LATER, LISTING, POLL, RESULT, UPLOAD, Gate

ROWS = 35
RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--batch-size", "10")
SOON = 20
"""Seconds within which a process must be gone; those that would hang do it for minutes."""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"a": f"w{n}"}) + "\n" for n in range(ROWS)))
    return path


@pytest.fixture
def gate(valar):
    gate = Gate(valar.port)
    yield gate
    gate.open()
    gate.listener.close()


@pytest.fixture
def gated(make_cli, gate, valar):
    """The command line, with the gate between it and the Valar."""
    return make_cli(gate.before(valar))


def once(valar, rows: int = ROWS) -> bool:
    return valar.executions() == {"total": rows, "distinct": rows, "repeated": []}


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Wait for the end of a process; give its status and what it said."""
    _, said = process.communicate(timeout=SOON)
    return process.returncode, said.decode()


def left_behind(home: Path) -> list[Path]:
    """Find what a command should have removed, in its home and beside that, where outputs are."""
    patterns = (".preparing-*", "*.partial", "user-*", "*.holder")
    found = [path for pattern in patterns for path in home.rglob(pattern)]
    return [*found, *home.parent.glob(".*")]


def caught(process: subprocess.Popen) -> None:
    """Wait until the process heeds signals: as soon as its own first lines have run."""
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        heeded = int(status.partition("SigCgt:")[2].split()[0], 16)
        if heeded & 1 << (signal.SIGTERM - 1):
            return
        time.sleep(0.002)


NOTHING = "nothing was sent, and nothing is lost. Go on: the same command again"
RESUME = "what was sent goes on at Valar. Send the rest: valar-batch resume {run}"
FETCH = "the batches go on at Valar. Go on: valar-batch fetch {run} --to {out}"
PHASES = {
    "listing": (LISTING, 0, b"", RESUME),
    "first upload": (UPLOAD, 0, b"", RESUME),
    "later uploads": (UPLOAD, 2, b"", RESUME),
    "told to wait before the first": (UPLOAD, 0, COME_LATER, RESUME),
    "told to wait before later ones": (UPLOAD, 2, COME_LATER, RESUME),
    "polling": (POLL, 0, b"", FETCH),
    "told to wait before a poll": (POLL, 1, COME_LATER, FETCH),
    "fetching": (RESULT, 5, b"", FETCH),
    "told to wait before results": (RESULT, 5, COME_LATER, FETCH),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_each_phase(path, tmp_path, gated, gate, valar, phase) -> None:
    """What was done is kept, the next command is named, and repeating the run completes it."""
    pattern, let_through, answer, words = PHASES[phase]
    index = list(PHASES).index(phase)
    number, code = [(signal.SIGINT, 130), (signal.SIGTERM, 143)][index % 2]
    gate.close_for(pattern, let_through=let_through, answer=answer)
    out = tmp_path / "out put.jsonl"
    process = gated.start("run", path, *RECIPE, "--to", out)
    gate.wait_for()
    process.send_signal(number)
    status, said = ended(process)
    assert status == code
    run = gated.json("list")[0]["run"]
    assert said.splitlines()[-1] == f"stopped; {words.format(run=run, out=repr(str(out)))}"
    assert "Traceback" not in said
    assert left_behind(gated.home) == []
    assert not out.exists()
    gate.open()
    gated("run", path, *RECIPE, "--to", out, "--quiet")
    assert [json.loads(line)["a"] for line in out.read_text().splitlines()] == [
        f"w{n}" for n in range(ROWS)
    ]
    assert once(valar)


@pytest.mark.parametrize("command", ["run", "validate", "preview"])
def test_while_an_input_is_read(tmp_path, cli, command) -> None:
    """An input that does not end yet: nothing is left of it."""
    more = ("--to", tmp_path / "out.csv") if command == "run" else ("--all",) * (command[0] == "p")
    process = cli.start(command, "-", *RECIPE, *more)
    process.stdin.write(b'{"a": "w"}\n' * 50_000)
    process.stdin.flush()
    runs = cli.home / "runs"
    if command == "preview":
        process.stdout.readline()
    else:
        while not list(runs.glob(".preparing-*/batches/00000")):
            assert process.poll() is None
            time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    status, said = ended(process)
    assert status == 130
    assert said.splitlines()[-1] == (f"stopped; {NOTHING}" if command == "run" else "stopped")
    assert "Traceback" not in said
    assert left_behind(cli.home) == []


def test_while_large_bodies_are_stuck(tmp_path, gated, gate, valar) -> None:
    """Bodies that no buffer holds, and a server that takes no more of them: they are dropped."""
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"a": f"w{n} " * 400_000}) + "\n" for n in range(12)))
    recipe = (*RECIPE[:-1], "4")
    gate.close_for(UPLOAD, let_through=1)
    process = gated.start("submit", path, *recipe)
    gate.wait_for(2)
    process.send_signal(signal.SIGINT)
    status, said = ended(process)
    assert (status, "Traceback" in said) == (130, False)
    gate.open()
    gated("resume")
    assert once(valar, 12)


def test_while_an_output_is_written(path, cli, tmp_path) -> None:
    """A reader that does not read: the output is not whole, and all answers are here."""
    path.write_text("".join(json.dumps({"a": f"w{n}" * 9000}) + "\n" for n in range(ROWS)))
    run = cli("submit", path, *RECIPE).out.strip()
    cli("fetch", run, "--to", tmp_path / "whole.jsonl")
    process = cli.start("fetch", run, "--to", "-")
    process.stdout.read(10)
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    said = process.stderr.read().decode()
    assert process.wait(SOON) == 143
    assert said.splitlines()[-1] == (
        f"stopped; all answers are here. Go on: valar-batch fetch {run} --to -"
    )
    assert left_behind(cli.home) == []


def test_a_retry_and_a_watch(path, tmp_path, serve, make_cli) -> None:
    """A retry says how to go on with the very same choice; a watch just ends."""
    valar = serve("--failure-share", "1")
    gate = Gate(valar.port)
    cli = make_cli(gate.before(valar))
    cli("run", path, *RECIPE, "--to", tmp_path / "out.jsonl", "--quiet", code=3)
    run = cli.json("list")[0]["run"]
    gate.close_for(UPLOAD)
    process = cli.start("retry", "--only", "failed")
    gate.wait_for()
    process.send_signal(signal.SIGINT)
    status, said = ended(process)
    assert (status, said.splitlines()[-1]) == (
        130,
        f"stopped; what was sent goes on at Valar. Go on: valar-batch retry {run} --only failed",
    )
    gate.open()
    gate.close_for(LISTING)  # not asked for again
    watching = cli.start("status", "--watch")
    watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    assert ended(watching) == (130, "stopped\n")
    gate.open()


@pytest.mark.parametrize("phase", ["later uploads", "polling"])
def test_the_time_is_up(path, tmp_path, gated, gate, valar, phase) -> None:
    """--timeout stops as a signal does, with the status of what is not finished."""
    pattern, let_through, answer, words = PHASES[phase]
    gate.close_for(pattern, let_through=let_through, answer=answer)
    out = tmp_path / "out.jsonl"
    done = gated("run", path, *RECIPE, "--to", out, "--timeout", "6s", code=4)
    run = gated.json("list")[0]["run"]
    assert done.err.splitlines()[-1] == (
        f"stopped: the time is up (--timeout 6s); {words.format(run=run, out=out)}"
    )
    assert left_behind(gated.home) == []
    gate.open()
    gated("run", path, *RECIPE, "--to", out, "--timeout", "10m")
    assert once(valar)


@pytest.mark.parametrize(
    ("given", "hint"),
    [("soon", "'soon' is not a time"), ("0s", "'0s' is no time"), ("5y", "'5y' is not a time")],
)
def test_what_is_no_time(make_cli, given, hint) -> None:
    """A timeout is a number with a unit, above 0."""
    assert hint in make_cli()("resume", "--timeout", given, code=2).err


def test_a_disk_that_hangs(path, tmp_path, cli) -> None:
    """The first Ctrl-C cannot be heard in the system's call; the second ends it, cursor shown.

    A pipe stands for the disk: Arrow reads it, and Python hears of no signal meanwhile.
    """
    run = cli("submit", path, *RECIPE).out.strip()
    cli("fetch", run, "--to", tmp_path / "out.jsonl")
    rows = cli.home / "runs" / run / "batches" / "00000" / "rows.arrow"
    rows.unlink()
    os.mkfifo(rows)
    shown, screen = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "fetch", run, "--to", str(tmp_path / "again.csv")],
        stderr=screen,
        env={**environment(cli.home), **cli.environment},
        start_new_session=True,
    )
    cli.started.append(process)
    os.close(screen)
    holder = os.open(rows, os.O_WRONLY)  # once the command reads it
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(SOON) == 130
    os.close(holder)
    drawn = b""
    try:
        while piece := os.read(shown, 1 << 16):
            drawn += piece
    except OSError:  # the end of a terminal, on Linux
        pass
    os.close(shown)
    assert drawn.rpartition(b"\x1b[?25")[2] == b"h"
    assert b"Traceback" not in drawn


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system when signals are heeded")
def test_at_any_moment(path, tmp_path, cli, valar) -> None:
    """From the first import to the last line: no traceback, and the status is one of two."""
    moments = 12
    command = ("run", path, *RECIPE, "--to", tmp_path / "out.jsonl", "--quiet")
    began = time.monotonic()
    cli("run", path, *RECIPE, "--again", "--to", tmp_path / "calm.jsonl")
    life = time.monotonic() - began
    seen = []
    for moment in range(moments):
        process = cli.start(*command)
        caught(process)
        time.sleep(life * moment / moments)
        process.send_signal(signal.SIGINT)
        status, said = ended(process)
        seen.append((status in (0, 130), "Traceback" in said or "Exception" in said))
    assert seen == [(True, False)] * moments
    cli(*command)
    assert left_behind(cli.home) == []


SCRIPT = """
import json, sys, threading
import valar_batch
try:
    valar_batch.run(sys.argv[1], model=sys.argv[2], prompt="{{ a }}", batch_size=10)
except BaseException as error:
    print(type(error).__name__, sorted(t.name for t in threading.enumerate()))
"""


@pytest.mark.parametrize("phase", ["later uploads", "fetching"])
def test_from_python(path, gated, gate, phase) -> None:
    """In Python it is a plain KeyboardInterrupt, and no thread of ours is left."""
    pattern, let_through, answer, _ = PHASES[phase]
    gate.close_for(pattern, let_through=let_through, answer=answer)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), MODEL],
        env={**environment(gated.home), **gated.environment},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    gated.started.append(process)
    gate.wait_for()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=SOON)
    assert (process.returncode, out) == (0, b"KeyboardInterrupt ['MainThread']\n")
