"""The network is away in each phase of a run: it is waited for, and no row is the worse for it."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.network.ways import DROP, PAGE, PHASES, REFUSE, RESULT, SILENCE, UPLOAD, Relay

SECONDS = 1.0
"""How long a scripted outage lasts."""

FAULTS = {"refuse": REFUSE, "drop": DROP, "silence": SILENCE, "page": PAGE}


@pytest.fixture
def relay(make_relay, valar) -> Relay:
    return make_relay(valar)


@pytest.fixture
def cli(make_cli, valar, relay):
    return make_cli(valar, VALAR_BASE_URL=relay.base_url, VALAR_BATCH_READ_TIMEOUT="1")


@pytest.fixture
def hasty(make_cli, valar, relay):
    """A command line that waits a second where it would wait a minute."""
    settings = {"VALAR_BATCH_READ_TIMEOUT": "0.5", "VALAR_BATCH_PATIENCE": "1"}
    return make_cli(valar, VALAR_BASE_URL=relay.base_url, **settings)


def waits(said: str) -> list[str]:
    """The calls that the screen says are tried again."""
    return re.findall(r"^(.*?): .*; trying again", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("fault", "is_before"),
    [(REFUSE, True), (SILENCE, True), (DROP, False), (PAGE, False)],
    ids=["refused, unasked", "silent, unasked", "dropped, unheard", "a page, unheard"],
)
def test_an_outage_in_every_phase(cli, job, valar, relay, fault, is_before) -> None:
    """At a listing, an upload, a poll and a fetch: the call is lost, or its answer; one run."""
    began = []

    def away() -> None:
        began.append(fault)
        relay.down(fault, SECONDS)

    for words in PHASES.values():
        relay.at(words, away, before=is_before)
    said = job.run(cli).err
    job.check(valar)
    assert len(began) == len(PHASES)
    assert 3 <= len(waits(said)) <= 2 * len(PHASES)


def test_an_outage_is_said_once_and_so_is_its_end(cli, job, valar, relay) -> None:
    """Many calls fail meanwhile; the screen has a line at the beginning and one at the end."""
    relay.at(UPLOAD, lambda: relay.down(REFUSE, 12))
    said = job.run(cli, "submit").err
    assert waits(said) == ["POST /batches"]
    [lasted] = re.findall(r"^Valar answers again, after (\d+) s; going on$", said, re.MULTILINE)
    assert 10 <= int(lasted) <= 40
    assert valar.executions() == {"total": 40, "distinct": 40, "repeated": []}


def test_results_that_alone_cannot_be_had_are_said(cli, job, valar, relay) -> None:
    """Polls succeed and results do not: one line says why it takes so long."""
    job.run(cli, "submit")
    relay.drops = RESULT
    process = cli.start(*job.arguments("fetch"))
    said = b""
    while b"trying again" not in said:
        said += process.stderr.readline()
    relay.drops = None
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 0
    job.check(valar)
    assert waits(said.decode()) == ["fetching results"]


def test_a_valar_that_is_started_late(cli, job, valar, relay) -> None:
    """Nobody listens yet when the command begins."""
    relay.down(REFUSE, 2)
    job.run(cli)
    job.check(valar)


@pytest.mark.parametrize("fault", FAULTS)
def test_one_that_never_answers_is_given_up(hasty, valar, job, relay, fault) -> None:
    """After a minute (here a second): nothing is sent, and the message says what to check."""
    relay.down(FAULTS[fault])
    said = job.run(hasty, code=1).err
    words = {"page": "Valar answered 502: <h1>502</h1"}
    assert words.get(fault, "check the network, VALAR_BASE_URL and HTTPS_PROXY") in said
    assert valar.executions()["total"] == 0


def test_a_name_that_nobody_knows(hasty, job) -> None:
    """DNS has no answer: said after a minute (here a second), with what to check."""
    hasty.environment["VALAR_BASE_URL"] = "https://valar.invalid/v1"
    said = job.run(hasty, code=1).err
    assert "no answer from valar.invalid: " in said
    assert "check the network, VALAR_BASE_URL and HTTPS_PROXY" in said


@pytest.mark.parametrize("phase", ["poll", "result"])
def test_patience_ends(hasty, valar, job, relay, phase) -> None:
    """One that was there and stays away is given up at last; the same command goes on later."""
    job.run(hasty, "submit")
    relay.at(PHASES[phase], lambda: relay.down(REFUSE))
    job.run(hasty, "fetch", code=1)
    assert not job.out.exists()
    relay.up()
    job.run(hasty, "fetch")
    job.check(valar)


def test_a_refusal_in_an_outage_stops_at_once(hasty, valar, job, relay) -> None:
    """What no wait mends is not waited for, even where Valar was away just now."""
    hasty.environment["VALAR_BATCH_PATIENCE"] = "1000"
    job.run(hasty, "submit")
    page = b'{"error": {"message": "no credits", "type": "billing_error"}}'
    refusal = b"HTTP/1.1 402 No\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)

    def away() -> None:
        relay.down(REFUSE)
        time.sleep(1)
        relay.up()
        relay.fault = refusal

    relay.at(RESULT, away)
    assert "no credits" in job.run(hasty, "fetch", code=5).err


def test_a_server_that_restarts_in_every_phase(make_cli, serve, job, make_relay) -> None:
    """Killed when it has done what was asked, and started again: the run goes on where it was."""
    served = serve()
    relay = make_relay(served)
    restarts = []

    def restart() -> None:
        restarts.append(served.process.pid)
        served.stop(signal.SIGKILL)
        served.start()

    for words in PHASES.values():
        relay.at(words, restart, before=False)
    job.run(make_cli(served, VALAR_BASE_URL=relay.base_url))
    job.check(served)
    assert len(set(restarts)) == len(PHASES)


def test_connections_that_close_while_idle(cli, job, valar, relay) -> None:
    """A kept connection that the server ended meanwhile is no failure, and the call is made."""
    relay.most = 2
    job.run(cli)
    job.check(valar)


def test_descriptors_do_not_grow(cli, valar, relay, tmp_path) -> None:
    """However many connections are dropped under way, the command holds no more of them."""
    path, out = tmp_path / "many.jsonl", tmp_path / "many.out.jsonl"
    path.write_text("".join(f'{{"prompt": "word {n}"}}\n' for n in range(600)))
    cli("submit", path, "--model", "openai/gpt-oss-120b")
    relay.most, relay.connections = 3, 0
    process = cli.start("fetch", "--to", out, "--concurrency", "8", "--quiet")
    held = []
    while process.poll() is None:
        try:
            held.append(len(list(Path(f"/proc/{process.pid}/fd").iterdir())))
        except OSError:
            break
        time.sleep(0.02)
    assert process.wait() == 0
    assert len(out.read_text().splitlines()) == 600
    assert relay.connections > 150
    assert max(held) < 60
