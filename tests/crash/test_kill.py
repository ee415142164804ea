"""kill -9 at any moment, then the same command again: complete, exact, and nothing paid twice."""

from __future__ import annotations

import time
from itertools import count
from types import MappingProxyType

import pytest

from tests.crash.harness import BATCH, GOLDEN, KILLS_EACH, PATIENCE, RETRY, After, Before, kills
from tests.crash.works import COURSES


@pytest.mark.parametrize("course", COURSES)
def test_kill(stages, course) -> None:
    """At moments spread evenly over its life, and at random ones; now and then Valar, too."""
    stage = stages(course, works=2)
    seconds = stage.measure()
    numbers = count(1)
    for attempt in stage.attempts(kills(6, 0.12)):
        attempt.begin()
        for number in (next(numbers) for _ in range(KILLS_EACH)):
            share = stage.random.random() if number % 2 else GOLDEN * number % 1
            if not attempt.kill(After(share * seconds)):
                seconds *= 0.95
                break
            if number % 8 == 0:
                attempt.kill_valar()
        attempt.repeat()
        attempt.finish()
        stage.check(attempt)
        attempt.remove()


STEPS = MappingProxyType(
    {
        "submit": {
            "the draft, the run, the first intent": (
                Before("make .*/.preparing-"),
                Before("rename .*/runs/run-"),
                Before(BATCH.format("00000")),
            ),
            "answers that were not heard": (
                Before(BATCH.format("00000"), 2),
                Before(BATCH.format("00002"), 1),
                Before(BATCH.format("00002"), 2),
            ),
        },
        "fetch": {
            "the spool": (
                Before("write .*/00000/results.jsonl.zst"),
                Before(BATCH.format("00001")),
                Before(BATCH.format("00003")),
            ),
            "the output": (
                Before("write .*/work.*partial"),
                Before("rename .*/work"),
                Before("rename .*/outputs.json"),
            ),
        },
        "run": {
            "the draft and an answer": (
                Before("write .*/.preparing-.*/run.json"),
                Before("make .*/run-.*/00001"),
                Before(BATCH.format("00001"), 2),
            ),
            "the spool and the output": (
                Before("write .*/00002/results.jsonl.zst"),
                Before("write .*/work.*partial"),
                Before("rename .*/outputs.json"),
            ),
        },
        "retry": {
            "the draft, the round, the intent": (
                Before("make .*/retries/.preparing"),
                Before("rename .*/retries/2"),
                Before(RETRY.format("00000")),
            ),
            "answers that were not heard": (
                Before(RETRY.format("00000"), 2),
                Before(RETRY.format("00001"), 1),
                Before(RETRY.format("00001"), 2),
            ),
        },
    }
)


@pytest.mark.parametrize("course", COURSES)
def test_kill_at_a_step(stages, course) -> None:
    """Just before each step that matters; in a long run, just before each step that there is."""
    stage = stages(course, works=2)
    named = iter(STEPS[course].values())
    numbers = count(1)
    for attempt in stage.attempts(kills(6, 0.09)):
        attempt.begin()
        moments = next(named, None)
        spread = (int(GOLDEN * next(numbers) % 1 * len(stage.steps)) for _ in range(KILLS_EACH))
        for moment in moments or (Before("", 1 + step) for step in spread):
            if not attempt.kill(moment):
                assert moments is None, f"{moment} did not come"
                break
        attempt.repeat()
        attempt.finish()
        stage.check(attempt)
        attempt.remove()


def test_kill_valar(stages) -> None:
    """Valar itself is killed and started again under a run: the run goes on."""
    stage = stages("run", works=2)
    seconds = stage.measure()
    for attempt in stage.attempts(kills(2, 0.01), "servers"):
        process = attempt.cli.start(*attempt.killed)
        time.sleep(stage.random.random() * seconds)
        attempt.kill_valar()
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err.decode()
        stage.check(attempt)
        attempt.remove()
