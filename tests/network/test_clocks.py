"""The time of day jumps, and the machine sleeps, while a command is at work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.network.ways import DROP, LIST, POLL, RESULT, UPLOAD

HOUR = 3600


class Clocks:
    """Those of a command line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set(self, wall: float, slept: float = 0) -> None:
        """Move the time of day, and the clock that goes on in a sleep, by so many seconds."""
        beside = self.path.with_suffix(".new")
        beside.write_text(f"{wall} {slept}")
        beside.replace(self.path)


@pytest.fixture
def clocks(tmp_path) -> Clocks:
    return Clocks(tmp_path / "clocks")


@pytest.fixture
def served(serve):
    return serve("--latency", "1")


@pytest.fixture
def relay(make_relay, served):
    return make_relay(served)


@pytest.fixture
def cli(make_cli, served, relay, clocks, tmp_path):
    """A command line whose clocks are those of the test."""
    usual = environment(tmp_path)["PYTHONPATH"]
    path = os.pathsep.join([str(Path(__file__).with_name("clocks")), usual])
    settings = {"PYTHONPATH": path, "CLOCKS": str(clocks.path)}
    return make_cli(served, VALAR_BASE_URL=relay.base_url, **settings)


@pytest.mark.parametrize("jump", [10 * HOUR, -10 * HOUR], ids=["forward", "back"])
def test_the_time_of_day_is_set(cli, job, served, relay, clocks, jump) -> None:
    """At each phase, by ten hours more: nothing is waited for longer, given up or sent twice."""
    for number, words in enumerate((LIST, UPLOAD, POLL, RESULT), 1):
        relay.at(words, lambda number=number: clocks.set(jump * number))
    said = job.run(cli).err
    job.check(served)
    assert "trying again" not in said


def sleep(relay, clocks) -> None:
    """The machine sleeps for two hours, and its connections are gone when it wakes."""
    clocks.set(2 * HOUR, 2 * HOUR)
    relay.down(DROP, 0.5)


def test_a_sleep_in_an_upload_that_arrived(cli, job, served, relay, clocks) -> None:
    """The idempotency key may be forgotten by now, so the batch is looked for, and adopted."""
    relay.at(UPLOAD, lambda: sleep(relay, clocks), before=False)
    job.run(cli)
    job.check(served)
    uploads = sum(line.startswith(b"POST ") for line in relay.asked)
    listings = sum(line.startswith(b"GET /v1/batches?") for line in relay.asked)
    assert (uploads, listings) == (4, 2)


def test_a_sleep_in_an_upload_that_did_not_arrive(cli, job, served, relay, clocks) -> None:
    """It is not at Valar and may still be on its way: only the user can decide."""
    relay.at(UPLOAD, lambda: sleep(relay, clocks))
    said = job.run(cli, "submit", code=1).err
    assert "may have reached Valar, and its label is not listed there" in said
    assert "the attempt is over an hour old" in said
    assert served.executions()["total"] == 0
    run = json.loads(cli("list", "--json").out)[0]["run"]
    cli("resume", run, "--resend")
    job.run(cli, "fetch")
    job.check(served)


def test_a_sleep_between_polls(cli, job, served, relay, clocks) -> None:
    """The run goes on when the machine wakes."""
    for words in (POLL, RESULT):
        relay.at(words, lambda: sleep(relay, clocks), before=False)
    job.run(cli)
    job.check(served)
