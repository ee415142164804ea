"""kill -9 at any moment, then the same command again: complete, exact, and nothing paid twice.

The moments are spread evenly over the life of the command, as an undisturbed one takes it here.
KILLS sets how many there are for each case.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

KILLS = int(os.environ.get("KILLS", "20"))
ROWS = 240
RECIPE = ("--model", MODEL, "--prompt", "{{ a }}", "--id", "id", "--batch-size", "40", "--quiet")


class Work:
    """One input of its own, and the ways to work on it."""

    def __init__(self, folder, name: str) -> None:
        self.name = name
        self.path = folder / f"{name}.jsonl"
        self.out = folder / f"{name}.out.jsonl"
        rows = ({"id": f"{name}-{n}", "a": f"{name}word{n}"} for n in range(ROWS))
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def submit(self) -> tuple[object, ...]:
        return ("submit", self.path, *RECIPE, "--name", self.name)

    def fetch(self) -> tuple[object, ...]:
        return ("fetch", self.name, "--to", self.out, "--quiet")

    def run(self) -> tuple[object, ...]:
        return ("run", self.path, *RECIPE, "--name", self.name, "--to", self.out)

    def check(self, *, same_home: bool = True) -> None:
        """Every row once, in order, with its own answer, and nothing left beside the output.

        Another home cannot tell the temporary file of a killed command from that of a living one.
        """
        rows = [json.loads(line) for line in self.out.read_text().splitlines()]
        assert [row["id"] for row in rows] == [f"{self.name}-{n}" for n in range(ROWS)]
        for row in rows:
            assert row["status"] == "completed"
            assert row["a"] in row["output_text"].split()
        assert not same_home or not list(self.out.parent.glob(f".{self.out.name}*"))


def killed(cli, arguments: tuple[object, ...], after: float) -> bool:
    """Start a command and kill it after so many seconds; whether it was still alive."""
    process = cli.start(*arguments)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def life(cli, arguments: tuple[object, ...]) -> float:
    """Seconds that the command takes when nobody disturbs it."""
    began = time.monotonic()
    cli(*arguments)
    return time.monotonic() - began


def kill_over(seconds: float, attempt: Callable[[int, float], bool]) -> int:
    """Kill a command KILLS times, at moments spread over its life; gives the attempts it took.

    `attempt(number, moment)` says whether the command was still alive then. Where it was not, it
    lives shorter than it did when it was measured, and the moments draw together.
    """
    done = attempts = 0
    while done < KILLS:
        if attempt(attempts, seconds * (done + 1) / (KILLS + 1)):
            done += 1
        else:
            seconds *= 0.95
        attempts += 1
    return attempts


def judge(valar, works: int) -> None:
    """Each (custom_id, params) was executed once."""
    executed = works * ROWS
    assert valar.executions() == {"total": executed, "distinct": executed, "repeated": []}


@pytest.fixture
def slow(serve):
    """A Valar that takes a while, so that fetching overlaps with its work."""
    return serve("--latency", "0.4")


def test_kill_submit(tmp_path, slow, make_cli) -> None:
    """submit, killed and repeated, then fetched."""
    cli = make_cli(slow)

    def attempt(number: int, moment: float) -> bool:
        work = Work(tmp_path, f"s{number}")
        was_alive = killed(cli, work.submit(), moment)
        cli(*work.submit())
        cli(*work.fetch())
        work.check()
        return was_alive

    judge(slow, 1 + kill_over(life(cli, Work(tmp_path, "calm").submit()), attempt))


def test_kill_fetch(tmp_path, slow, make_cli) -> None:
    """fetch, killed and repeated."""
    cli = make_cli(slow)
    calm = Work(tmp_path, "calm")
    cli(*calm.submit())

    def attempt(number: int, moment: float) -> bool:
        work = Work(tmp_path, f"f{number}")
        cli(*work.submit())
        was_alive = killed(cli, work.fetch(), moment)
        cli(*work.fetch())
        work.check()
        return was_alive

    judge(slow, 1 + kill_over(life(cli, calm.fetch()), attempt))


def test_kill_run(tmp_path, slow, make_cli) -> None:
    """run, killed up to three times in its life and repeated."""
    cli = make_cli(slow)

    def attempt(number: int, moment: float) -> bool:
        work = Work(tmp_path, f"r{number}")
        was_alive = killed(cli, work.run(), moment)
        for share in (0.6, 0.8):
            killed(cli, work.run(), moment * share)
        cli(*work.run())
        work.check()
        return was_alive

    judge(slow, 1 + kill_over(life(cli, Work(tmp_path, "calm").run()), attempt))


@pytest.mark.parametrize("state", ["submitting", "submitted", "collected"])
def test_kill_at_a_step(tmp_path, slow, make_cli, state) -> None:
    """run, killed the moment that each of its batches is seen in a state, and repeated."""
    cli = make_cli(slow)
    for number in range(ROWS // 40):
        work = Work(tmp_path, f"{state}{number}")
        process = cli.start(*work.run())
        runs: set[Path] = set()
        while process.poll() is None and not any(reached(run, number, state) for run in runs):
            runs = runs or runs_of(work, cli)
            time.sleep(0.001)
        process.kill()
        process.wait()
        cli(*work.run())
        work.check()
    judge(slow, ROWS // 40)


class Retrying:
    """Works of which a part failed: each failed row is executed once more, whatever is killed."""

    def __init__(self, tmp_path, valar, cli) -> None:
        self.folder = tmp_path
        self.valar = valar
        self.cli = cli
        self.rows = 0
        self.again: set[str] = set()

    def fails(self, share: float) -> None:
        """Let so many of the requests fail that are sent from now on."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.valar.port}/local/settings",
            json.dumps({"failure_share": share}).encode(),
            {"Authorization": f"Bearer {self.valar.key}"},
        )
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310 - loopback

    def begun(self, name: str) -> tuple[Work, tuple[object, ...]]:
        """Give a work of which all is fetched and a part has failed, and its retry."""
        work = Work(self.folder, name)
        self.fails(0.4)
        self.cli(*work.run(), code=3)
        rows = [json.loads(line) for line in work.out.read_text().splitlines()]
        self.again |= {row["id"] for row in rows if row["status"] == "failed"}
        self.rows += ROWS
        self.fails(0)
        return work, ("retry", name, "--quiet")

    def end(self, work: Work) -> None:
        """Repeat the retry, fetch, and look whether all is there."""
        self.cli("retry", work.name, "--quiet")
        self.cli(*work.fetch())
        work.check()

    def judge(self) -> None:
        """Each row was executed once, and each that had failed once more."""
        told = self.valar.executions()
        assert {(item["custom_id"], item["count"]) for item in told["repeated"]} == {
            (name, 2) for name in self.again
        }
        assert (told["distinct"], told["total"]) == (self.rows, self.rows + len(self.again))


def test_kill_retry(tmp_path, serve, make_cli) -> None:
    """retry, killed and repeated, then fetched."""
    valar = serve("--latency", "0.2")
    retrying = Retrying(tmp_path, valar, make_cli(valar))
    calm, command = retrying.begun("calm")
    seconds = life(retrying.cli, command)
    retrying.end(calm)

    def attempt(number: int, moment: float) -> bool:
        work, command = retrying.begun(f"y{number}")
        was_alive = killed(retrying.cli, command, moment)
        retrying.end(work)
        return was_alive

    kill_over(seconds, attempt)
    retrying.judge()


@pytest.mark.parametrize("step", [".preparing", "2", "2/prepared", "2/submitting", "2/submitted"])
def test_kill_retry_at_a_step(tmp_path, serve, make_cli, step) -> None:
    """retry, killed the moment that its folder is begun, is there, and is seen in a state."""
    valar = serve("--latency", "0.2")
    retrying = Retrying(tmp_path, valar, make_cli(valar))
    for number in range(3):
        work, command = retrying.begun(f"{step.replace('/', '').strip('.')}{number}")
        (run,) = runs_of(work, retrying.cli)
        folder = run / "retries"
        name, _, state = step.partition("/")
        process = retrying.cli.start(*command)
        while process.poll() is None:
            if reached(folder / name, number, state) if state else (folder / name).exists():
                break
            time.sleep(0.0005)
        process.kill()
        process.wait()
        retrying.end(work)
        assert sorted(path.name for path in folder.iterdir()) == ["2"]
    retrying.judge()


def runs_of(work: Work, cli) -> set[Path]:
    """Give the folders of a work's runs."""
    records = (cli.home / "runs").glob("run-*/run.json")
    return {path.parent for path in records if f'"{work.name}"' in path.read_text()}


def reached(folder: Path, number: int, state: str) -> bool:
    """Whether a batch of a run or of a retry is in a state, as its folder says."""
    path = folder / "batches" / f"{number:05d}" / "batch.json"
    return path.exists() and json.loads(path.read_bytes())["state"] == state


@pytest.mark.parametrize("loss", ["run folder", "home"])
def test_kill_and_lose_the_folder(tmp_path, slow, make_cli, loss) -> None:
    """run, killed, then its folder is lost or another home is used: the same run, taken up."""
    cli = make_cli(slow)

    def attempt(number: int, moment: float) -> bool:
        work = Work(tmp_path, f"l{number}")
        was_alive = killed(cli, work.run(), moment)
        before, repeat = runs_of(work, cli), cli
        if loss == "home":
            repeat = cli.elsewhere(tmp_path / f"home-{number}")
        else:
            for run in before:
                shutil.rmtree(run)
        repeat(*work.run(), "--overwrite")
        work.check(same_home=loss != "home")
        after = [run.name for run in runs_of(work, repeat)]
        assert len(after) == 1
        assert {run.name for run in before} <= {*after}
        return was_alive

    judge(slow, 1 + kill_over(life(cli, Work(tmp_path, "calm").run()), attempt))


def test_kill_the_server(tmp_path, slow, make_cli) -> None:
    """The local Valar itself is killed and started again under a run: the run goes on."""
    cli = make_cli(slow)
    for n in range(5):
        work = Work(tmp_path, f"v{n}")
        process = cli.start(*work.run())
        time.sleep(0.3 + 0.2 * n)
        slow.stop(signal.SIGKILL)
        slow.start()
        assert process.wait(300) == 0, process.stderr.read()
        work.check()
    judge(slow, 5)


def test_what_was_prepared_by_the_dead_is_swept(tmp_path, slow, make_cli) -> None:
    """Preparations of killed processes do not pile up on the disk."""
    cli = make_cli(slow)
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"id": f"m{n}", "a": "x"}) + "\n" for n in range(60_000)))
    runs = cli.home / "runs"
    process = cli.start("submit", path, *RECIPE)
    while not list(runs.glob(".preparing-*/batches")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert list(runs.glob(".preparing-*/batches"))
    cli(*Work(tmp_path, "next").submit())
    assert not list(runs.glob(".preparing-*"))
