"""Ctrl-C, SIGTERM and --timeout at each phase: stopped in good order, and gone on with exactly."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
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
    assert valar.ran_once(ROWS)


def write_on(process: subprocess.Popen) -> None:
    """Give a command rows without end."""
    with contextlib.suppress(OSError, ValueError):
        while True:
            process.stdin.write(b'{"a": "w"}\n' * 1000)


@pytest.mark.parametrize("command", ["run", "validate", "preview"])
def test_while_an_input_is_read(tmp_path, cli, command) -> None:
    """An input that does not end yet: nothing is left of it."""
    more = ("--to", tmp_path / "out.csv") if command == "run" else ("--all",) * (command[0] == "p")
    process = cli.start(command, "-", *RECIPE, *more)
    threading.Thread(target=write_on, args=(process,), daemon=True).start()
    runs = cli.home / "runs"
    if command == "preview":
        process.stdout.readline()
    else:
        while not list(runs.glob(".preparing-*/batches/00000")):
            assert process.poll() is None
            time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.stderr.read().decode()
    assert process.wait(SOON) == 130
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
    assert valar.ran_once(12)


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
    status, said = ended(watching)
    assert (status, said.splitlines()[-1]) == (130, "stopped")
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
    assert valar.ran_once(ROWS)


def test_what_is_no_time(make_cli) -> None:
    """A timeout is a number with a unit, above 0: said before anything else is looked at."""
    assert "'soon' is not a time" in make_cli()("resume", "--timeout", "soon", code=2).err


DEAF = """
import signal, time
from valar_batch.cli.interrupts import heed
heed.install()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("deaf", flush=True)
time.sleep(300)
"""


def test_a_call_that_hears_nothing(make_cli) -> None:
    """Where the first Ctrl-C cannot be heard, as while a disk hangs, the second ends it."""
    cli = make_cli()
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
    cli.started.append(process)
    assert process.stdout.readline() == b"deaf\n"
    time.sleep(0.5)  # until it sleeps: on the way there Python itself would hear of the signal
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(SOON) == 130


def on_terminal(cli, *arguments: object) -> tuple[subprocess.Popen, int, int]:
    """Start a command with its screen on a terminal; give the terminal's two ends."""
    shown, screen = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stderr=screen,
        env={**environment(cli.home), **cli.environment, "TERM": "xterm"},
        start_new_session=True,
    )
    cli.started.append(process)
    return process, shown, screen


def drawn_on(shown: int) -> bytes:
    """Read all that is to be seen on a terminal."""
    drawn = b""
    os.set_blocking(shown, False)
    with contextlib.suppress(OSError):
        while piece := os.read(shown, 1 << 16):
            drawn += piece
    return drawn


@pytest.mark.parametrize("signals", [1, 2])
def test_the_terminal_is_left_in_order(path, tmp_path, gated, gate, signals) -> None:
    """The cursor is shown again, whether there was time for more or not."""
    gate.close_for(POLL)
    arguments = ("run", path, *RECIPE, "--to", tmp_path / "out.csv")
    process, shown, screen = on_terminal(gated, *arguments)
    gate.wait_for()
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
    assert process.wait(SOON) == 130
    drawn = drawn_on(shown)
    os.close(screen)
    os.close(shown)
    assert b"\x1b[?25l" in drawn
    assert drawn.rpartition(b"\x1b[?25")[2].startswith(b"h")
    assert b"Traceback" not in drawn


def test_a_terminal_that_stands_still(path, tmp_path, gated, gate) -> None:
    """Where not even the farewell can be written, as after Ctrl-S, the second ends it."""
    gate.close_for(POLL)
    arguments = ("run", path, *RECIPE, "--to", tmp_path / "out.csv")
    process, shown, screen = on_terminal(gated, *arguments)
    gate.wait_for()
    termios.tcflow(screen, termios.TCOOFF)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(SOON) == 130
    os.close(screen)
    os.close(shown)


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
