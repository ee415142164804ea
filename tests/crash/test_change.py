"""kill -9, then something is not as it was: each change does what the design says, and no more."""

from __future__ import annotations

import shutil
from itertools import cycle
from pathlib import Path

import pytest

import valar_batch
from tests.crash.harness import BATCH, NEW_KEY, RETRY, Before, kills

INTENT, ANSWER = Before(BATCH.format("00000")), Before(BATCH.format("00000"), 2)
INTENT_HELD = Before("remove .*/run-[^/]*/batches/00000/")
"""The intent to send the first batch is on the disk, and nothing has left."""
FIRST_SENT = Before("make .*/run-[^/]*/batches/0000[123]")


def lose_folder(attempt) -> None:
    for run in (attempt.cli.home / "runs").glob("run-*"):
        shutil.rmtree(run)


def take_another_home(attempt) -> None:
    attempt.cli = attempt.at(Path(f"{attempt.cli.home}-other"))


def move_home(attempt) -> None:
    moved = Path(f"{attempt.cli.home}-moved")
    if attempt.cli.home.exists():
        attempt.cli.home.rename(moved)
    attempt.cli = attempt.at(moved)


@pytest.mark.parametrize("change", [lose_folder, take_another_home, move_home])
def test_kill_and(stages, change) -> None:
    """A run whose folder or home is lost, moved or another one is the same run, taken up."""
    stage = stages("run", works=2)
    for attempt in stage.attempts(kills(2, 0.02)):
        attempt.kill(Before("", stage.random.randint(1, len(stage.steps))))
        change(attempt)
        attempt.repeat("--overwrite")
        stage.check(attempt, same_home=change is lose_folder)
        attempt.remove()


def test_kill_and_lose_the_round(stages) -> None:
    """A retry whose folder is lost is taken up from Valar, and no row is sent a third time."""
    stage = stages("retry", works=2)
    for attempt in stage.attempts(kills(2, 0.02)):
        attempt.begin()
        assert attempt.kill(Before(RETRY.format("00001"), 2))
        shutil.rmtree(attempt.run() / "retries")
        attempt.repeat()
        attempt.finish()
        stage.check(attempt, same_folder=False)
        attempt.remove()


def refused(attempt, words: str) -> None:
    """The command again stops with these words, and sends nothing."""
    before = attempt.stage.valar.executions()
    assert words in attempt.repeat(code=1).err
    assert attempt.stage.valar.executions() == before


def test_kill_and_edit_the_input(stages) -> None:
    """An edited input stops; `resume` completes the run as it was begun."""
    stage = stages("submit", works=3)
    moments = cycle([INTENT, ANSWER, FIRST_SENT])
    for attempt in stage.attempts(kills(3, 0.02)):
        assert attempt.kill(next(moments))
        attempt.work.write(changed=7)
        refused(attempt, "the input has changed")
        attempt.cli("resume", attempt.run().name, "--quiet")
        attempt.work.write()
        attempt.finish()
        stage.check(attempt)
        attempt.remove()


def another_version(folder: Path, attempt, *changes: tuple[str, str, str]) -> None:
    """Let the command be that of another version, with these changes to its files."""
    copy = folder / "another"
    if not copy.exists():
        shutil.copytree(Path(valar_batch.__file__).parent, copy / "valar_batch")
        for name, old, new in changes:
            path = copy / "valar_batch" / name
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
    path = f"{copy}:{attempt.cli.environment['PYTHONPATH']}"
    attempt.cli = attempt.at(attempt.cli.home, PYTHONPATH=path, PYTHONSAFEPATH="1")
    assert "99.9" in attempt.cli("--version").out


VERSION = ("__init__.py", f'__version__ = "{valar_batch.__version__}"', '__version__ = "99.9"')


def test_kill_and_update(stages, tmp_path) -> None:
    """Another version of the tool goes on with the run of the one before."""
    stage = stages("run", works=2)
    moments = cycle([ANSWER, Before("write .*/00002/results.jsonl.zst")])
    for attempt in stage.attempts(kills(2, 0.02)):
        assert attempt.kill(next(moments))
        another_version(tmp_path, attempt, VERSION)
        attempt.repeat()
        stage.check(attempt)
        attempt.remove()


def test_kill_and_update_to_other_requests(stages, tmp_path) -> None:
    """A version that makes other requests of the input stops; `resume` sends what was prepared."""
    stage = stages("submit", works=2)
    moments = cycle([INTENT, ANSWER])
    spaced = ("core/wire.py", """b'","params":'""", """b'", "params": '""")
    for attempt in stage.attempts(kills(2, 0.02)):
        assert attempt.kill(next(moments))
        another_version(tmp_path, attempt, VERSION, spaced)
        refused(attempt, f"valar-batch {valar_batch.__version__} made other requests of it")
        attempt.cli("resume", attempt.run().name, "--quiet")
        attempt.finish()
        stage.check(attempt)
        attempt.remove()


def test_kill_and_rotate_the_key(stages) -> None:
    """Under a new key a batch that Valar has is adopted; whether it has one is not guessed."""
    stage = stages("submit", works=2)
    moments = cycle([ANSWER, INTENT_HELD])
    for attempt in stage.attempts(kills(4, 0.02)):
        moment = next(moments)
        assert attempt.kill(moment)
        attempt.cli = attempt.at(attempt.cli.home, VALAR_API_KEY=NEW_KEY)
        if moment is ANSWER:
            attempt.repeat()
        else:
            refused(attempt, "it was sent under another API key")
            attempt.cli("resume", attempt.run().name, "--resend", "--quiet")
        attempt.finish()
        stage.check(attempt)
        attempt.remove()
